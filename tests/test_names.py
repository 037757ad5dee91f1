"""Class names: of files beside cfgs and weights, and looked up among the nodes of a tree."""
import numpy as np
import pytest

from minidarknet import weights
from minidarknet.convert import loaded
from minidarknet.errors import DataError
from minidarknet.names import distinct, names_beside, names_of, nodes_named, read_names
from minidarknet.network import Network
from minidarknet.paths import resolve
from minidarknet.wordtree import WordTree, read_tree

TREE = WordTree(["n1", "n2", "n3", "n4", "n5"], [-1, -1, 0, 0, 1], "my.tree")
CFG = "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=5\nsize=1\n[avgpool]\n[softmax]\ntree=my.tree\n"
SHOWN = ("animal", "thing", "Polar bear", "crane", "crane")


def test_lists_of_names(tmp_path):
    """Every line is a class, the empty ones between others, too; names that differ stay so, or the line is told."""
    file = tmp_path / "x.names"
    file.write_bytes("caf\xe9\r\n\r\n cafe\x85s \r\n\r\n".encode())
    assert read_names(file) == ("caf\xe9", "", "cafe\x85s")
    file.write_bytes("cat\ncaf\xe9\ncaf\xe8\n".encode("latin-1"))
    with pytest.raises(DataError, match="x.names:2 is not in UTF-8: it has the byte 0xe9; expected a name on each line"):
        read_names(file)


def test_distinct():
    """Names that repeat get their number, whatever else is called so."""
    assert distinct(("cat", "dog")) == ("cat", "dog")
    assert distinct(("cat", "cat", "cat_0", "dog", "cat_0_")) == ("cat_0__", "cat_1", "cat_0", "dog", "cat_0_")
    assert distinct(()) == ()


def test_names_decide_whatever_their_capitals_and_spaces():
    np.testing.assert_array_equal(nodes_named(TREE, SHOWN, ("polar_bear", "Animal"), "data"), [2, 0])


def test_the_trees_own_names_come_first():
    np.testing.assert_array_equal(nodes_named(TREE, SHOWN, ("n5", "thing", "n4"), "data"), [4, 1, 3])
    swapped = ("n2", "n1", "n3", "n4", "n5")
    np.testing.assert_array_equal(nodes_named(TREE, swapped, ("n1",), "data"), [0])


def test_in_another_order_than_the_tree_has():
    np.testing.assert_array_equal(nodes_named(TREE, TREE.names, TREE.names[::-1], "data"), [4, 3, 2, 1, 0])


def test_as_many_strangers_as_nodes_are_the_nodes_in_order():
    np.testing.assert_array_equal(nodes_named(TREE, SHOWN, tuple("vwxyz"), "data"), range(5))


def test_what_is_no_node_is_named_with_what_is_near():
    with pytest.raises(DataError) as told:
        nodes_named(TREE, SHOWN, ("animals", "gardenia", "thing"), "flowers.data")
    assert "my.tree: of the classes of flowers.data 'animals' (near: animal), 'gardenia' (2 of 3) are no" in str(told.value)
    assert "map=FILE" in str(told.value) and "several" not in str(told.value)
    with pytest.raises(DataError, match=r"'v', 'w', 'x', 'y', 'z', \.\.\. \(6 of 6\) are no node"):
        nodes_named(TREE, SHOWN, tuple("vwxyz0"), "data")


def test_a_name_of_several_nodes_is_refused():
    with pytest.raises(DataError, match=r"'Crane' \(n4, n5\) are several nodes"):
        nodes_named(TREE, SHOWN, ("Crane", "thing"), "data")


def test_the_nodes_own_list_of_names_is_the_nodes_in_order():
    """Though two of them are called crane: 597 names of YOLO9000's nodes repeat."""
    np.testing.assert_array_equal(nodes_named(TREE, SHOWN, SHOWN, "data"), range(5))


def test_the_order_alone_is_told(capsys):
    nodes_named(TREE, SHOWN, SHOWN, "data")
    assert not capsys.readouterr().err
    nodes_named(TREE, SHOWN, tuple("vwxyz"), "letters")
    assert "note: none of the 5 classes of letters (v, w, x, y, z, ...) has the name of a node of my.tree, but they are " \
        "as many: taken in its order, 'v' for 'n1', 'z' for 'n5'" in capsys.readouterr().err


def test_a_network_without_a_tree_has_classes():
    assert nodes_named(None, ("cat", "traffic light", "DOG"), ("Traffic_Light", "dog "), "x").tolist() == [1, 2]
    with pytest.raises(DataError, match=r"network: of the classes of x 'dig' \(near: dog\), 'b' \(2 of 2\) are no class"):
        nodes_named(None, ("cat", "dog"), ("dig", "b"), "x")      # as many as it has, but in no tree's order
    with pytest.raises(DataError, match=r"'Crane' \(1, 2\) are several classes"):
        nodes_named(None, ("cat", "crane", "crane"), ("Crane",), "x")


@pytest.mark.parametrize("names", [("cat", "dog", "owl", "elephant", "gnu"), ("n3", "n1")])
def test_a_tree_has_its_names_from_no_other_list(tmp_path, names):
    """A data set's classes in the same folder are not the nodes, however many they are."""
    TREE.write(tmp_path / "my.tree")
    (tmp_path / "data.names").write_text("\n".join(names))
    (tmp_path / "my.cfg").write_text(CFG)
    assert names_of(read_tree(tmp_path / "my.tree")) == TREE.names
    assert Network.from_cfg(tmp_path / "my.cfg").names == TREE.names
    net = Network.from_cfg(tmp_path / "my.cfg")
    weights.save(net, tmp_path / "my.weights")
    assert loaded(tmp_path / "my.cfg", tmp_path / "my.weights").names == ()  # where the tree is not read
    (tmp_path / "my.cfg").write_text(CFG.replace("tree=my.tree", ""))
    assert Network.from_cfg(tmp_path / "my.cfg").names == (names if len(names) == 5 else ())


def test_names_that_are_nodes_say_nothing_new(tmp_path):
    """Such as cfg/voc.names beside cfg/voc.tree, the classes of the data set: here one for each node, even."""
    tree = WordTree(["hot_dog", "cat", "owl"], [-1, -1, 0], tmp_path / "my.tree")
    for names, shown in ((["cat"], tree.names), (["owl", "cat", "hot dog"], tree.names), (["Hot dog", "Cat", "owl"],) * 2):
        (tmp_path / "my.names").write_text("\n".join(names))
        assert names_of(tree) == tuple(shown)
    voc = read_tree(resolve("cfg/voc.tree"))
    assert names_of(voc) == voc.names


@pytest.mark.parametrize("count", [3, 6])
def test_a_tree_with_another_number_of_names_is_refused(tmp_path, count):
    """A tree that was cut at the end of a line is a tree, too: the names tell."""
    TREE.write(tmp_path / "my.tree")
    (tmp_path / "my.names").write_text("\n".join((*SHOWN, "goose")[:count]))
    with pytest.raises(DataError, match=f"my.tree has 5 nodes, but .*my.names has {count} names; expected a name for each"):
        names_of(read_tree(tmp_path / "my.tree"))
    (tmp_path / "other.cfg").write_text(CFG)
    with pytest.raises(DataError, match="my.tree has 5 nodes"):
        Network.from_cfg(tmp_path / "other.cfg")


def test_names_that_contradict_the_tree_are_refused(tmp_path):
    TREE.write(tmp_path / "my.tree")
    (tmp_path / "my.names").write_text("\n".join(("animal", "n3", *SHOWN[2:])))
    with pytest.raises(DataError, match="my.names:2 gives the name 'n3' to the node 'n2' of .*my.tree, which has another"):
        names_of(read_tree(tmp_path / "my.tree"))


def test_names_beside_a_tree_and_in_a_run_folder(tmp_path):
    TREE.write(tmp_path / "model.tree")
    tree = read_tree(tmp_path / "model.tree")
    assert names_of(None) == () and names_of(tree) == TREE.names
    (tmp_path / "model.names").write_text("\n".join(SHOWN))
    assert names_of(tree) == SHOWN
    assert names_beside(5, tmp_path / "weights" / "last.weights") == SHOWN
