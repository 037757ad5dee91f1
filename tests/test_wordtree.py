"""WordTree: reading, checking and writing Darknet's files, the chain rule, the walk down."""
from pathlib import Path

import numpy as np
import pytest

from minidarknet import paths
from minidarknet.data.drawing import NAMES, TREE
from minidarknet.errors import DataError
from minidarknet.names import read_names
from minidarknet.wordtree import MASK, WordTree, grow, read_map, read_tree, write_map

REAL = next((file for file in (Path(__file__).parents[2] / "shared/data/yolo9000/data_9k.tree",
                               Path("/usr/share/darknet/data/9k.tree")) if file.exists()), None)

# The tree of the specification's golden values, and conditional probabilities for it.
GOLDEN = ["a -1", "b -1", "c 0", "d 0", "e 1", "f 1", "g 2", "h 2"]
CONDITIONAL = np.array([.9, .1, .8, .2, .5, .5, .95, .05])
ABSOLUTE = [.9, .1, .72, .18, .05, .05, .684, .036]


def golden():
    return WordTree(*zip(*((name, int(parent)) for name, parent in map(str.split, GOLDEN))))


@pytest.fixture
def write(tmp_path):
    def to(lines, end="\n", name="my.tree"):
        path = tmp_path / name
        path.write_bytes(end.join(lines).encode())
        return path
    return to


# ---- files

@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_groups_of_the_golden_tree(write, end):
    tree = read_tree(write([*GOLDEN, ""], end))
    assert tree.names == tuple("abcdefgh") and tree.parent.tolist() == [-1, -1, 0, 0, 1, 1, 2, 2]
    assert tree.borders.tolist() == [0, 2, 4, 6, 8] and tree.groups == 4
    assert tree.children.tolist() == [[2, 4], [4, 6], [6, 8], *[[0, 0]] * 5]
    assert tree.is_leaf.tolist() == [False] * 3 + [True] * 5 and tree.depth.tolist() == [1, 1, 2, 2, 2, 2, 3, 3]
    assert tree.first.tolist() == [0, 0, 2, 2, 4, 4, 6, 6] and tree.last.tolist() == [2, 2, 4, 4, 6, 6, 8, 8]
    assert tree.path_to_root(7) == [7, 2, 0]


def test_written_and_read_back(tmp_path):
    tree = grow({"traffic light": None, "animal": ["dog", {"cat": ["tom"]}]})
    tree.write(tmp_path / "x.tree")
    assert (tmp_path / "x.tree").read_bytes() == b"traffic_light -1\nanimal -1\ndog 1\ncat 1\ntom 3\n"
    again = read_tree(tmp_path / "x.tree")
    assert again.parent.tolist() == tree.parent.tolist() and again.number["tom"] == 4
    again.write(tmp_path / "y.tree")
    assert (tmp_path / "x.tree").read_bytes() == (tmp_path / "y.tree").read_bytes()


@pytest.mark.parametrize("lines, words", [
    (["a -1", "b 0", "c 1", "d 0"], r"my.tree:4 'd' stands apart from the other children of 'a'"),
    (["a -1", "b 0", "c -1"], r":3 'c' stands apart from the other roots"),
    (["a -1", "b 2", "c 0"], r":2 'b' has the parent 2, which is 'c' at line 3; expected parents before"),
    (["a -1", "b 2", "c 1"], r":2 'b' has the parent 2, and its ancestors go in a circle: b -> c -> b"),
    (["a 0"], r":1 'a' .*circle: a -> a"),
    (["a -1", "b 9"], r":2 'b' has the parent 9; expected -1 for a root"),
    (["a -2"], r":1 'a' has the parent -2"),
    (["a -1", "", "b 0", "a 0"], r":4 'a' was defined at line 1 already"),
    (["a -1", "b"], r":2 'b': expected `name parent`"),
    (["a -1", "b x"], ":2"), (["a -1", "b 1.5"], ":2"), (["a -1", "b 99999999999999999999"], ":2"),
    (["a -1", "hot dog 0", "hot_dog 0"], ":3 'hot_dog' was defined at line 2 already as 'hot dog'"),
    (["a -1", "b 0 # comment"], ":2"), ([], "no nodes"), (["", " "], "no nodes"), (["a -1\0"], "not text"),
])
def test_what_is_no_tree_is_refused_with_its_line(write, lines, words):
    with pytest.raises(DataError, match=words):
        read_tree(write(lines))


def test_shuffled_and_cut_trees_are_refused(write, rng):
    with pytest.raises(DataError, match=r"my.tree:\d+ "):
        read_tree(write(GOLDEN[::-1]))
    refused = 0
    for _ in range(30):
        lines = [GOLDEN[i] for i in rng.permutation(len(GOLDEN))]
        try:
            assert len(read_tree(write(lines))) == 8  # a few orders are trees, though others
        except DataError:
            refused += 1
    assert refused > 20
    assert len(read_tree(write([*GOLDEN[:5], ""]))) == 5     # cut at the end it is a smaller tree ...
    with pytest.raises(DataError, match=":1 "):
        read_tree(write(GOLDEN[2:]))                  # ... but not at the beginning


def test_a_line_cut_off_in_its_number_is_refused(write):
    """The parent 12 cut to 1 would be another tree. A whole line may lack its end where the line before has its parent."""
    lines = ["a -1", *(f"n{i} 0" for i in range(1, 13)), "x 12", "y 12"]
    with pytest.raises(DataError, match="my.tree:15 'y' has the parent 1, which no line before has, and the line has no"):
        read_tree(write([*lines[:-1], "y 1"]))
    assert read_tree(write(lines)).parent[-1] == 12
    assert read_tree(write([*lines[:-1], "y 1", ""])).parent[-1] == 1 and len(read_tree(write(["a -1"]))) == 1


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(DataError, match="none.tree: cannot be read"):
        read_tree(tmp_path / "none.tree")


def test_maps(write, tmp_path):
    assert read_map(write(["3", "0", "3", ""], "\r\n"), 4).tolist() == [3, 0, 3]
    write_map(tmp_path / "x.map", np.array([2, 5]))
    assert (tmp_path / "x.map").read_text() == "2\n5\n"
    for lines, words in ((["1", "4"], ":2 '4': expected the number of a node, 0 to 3"), (["-1"], ":1"), (["cat"], ":1"),
                         (["1 2"], ":1"), ([], "no lines"),
                         (["1", "", "", "2"], "my.tree:2 is empty; expected the"), (["", "1"], ":1 is empty")):
        with pytest.raises(DataError, match=words):
            read_map(write(lines), 4)


@pytest.mark.parametrize("nested, words", [
    ({"a": {"b": None}, "c": ["b"]}, "the name 'b' is used twice"), ({"": ["b"]}, "the name '' is no name"),
    ({"hot dog": None, "hot_dog": None}, "'hot_dog' is used twice as 'hot dog'"), ({"a": 3}, "found 3"), ({}, "no nodes"),
    (["a", "a"], "twice")])
def test_grow_refuses(nested, words):
    with pytest.raises(DataError, match=words):
        grow(nested)


# ---- probabilities

def test_golden_absolute_probabilities():
    tree = golden()
    np.testing.assert_allclose(tree.absolute(CONDITIONAL), ABSOLUTE, rtol=1e-12)
    np.testing.assert_allclose(tree.absolute(CONDITIONAL[None, None])[0, 0], ABSOLUTE, rtol=1e-12)
    assert CONDITIONAL[2] == .8, "the conditional ones are still there"


def conditional(tree, rng, *shape):
    p = rng.random((*shape, len(tree)))
    for first, last in zip(tree.borders, tree.borders[1:]):
        p[..., first:last] /= p[..., first:last].sum(axis=-1, keepdims=True)
    return p


def random_tree(rng, count):
    """A tree of about `count` nodes, in a group of its own for the children of every parent."""
    names, parents = ["0"], [-1]
    for node in range(count):
        if node < len(names) and len(names) < count:
            for _ in range(rng.integers(0, 4) or (node == len(names) - 1)):
                names.append(str(len(names)))
                parents.append(node)
    return WordTree(names, parents)


def test_absolute_is_the_product_along_the_path(rng):
    for _ in range(5):
        tree = random_tree(rng, 60)
        p = conditional(tree, rng, 2, 3)
        absolute = tree.absolute(p)
        for node in range(len(tree)):
            np.testing.assert_allclose(absolute[..., node], p[..., tree.path_to_root(node)].prod(axis=-1))
        np.testing.assert_allclose(absolute[..., tree.is_leaf].sum(axis=-1), 1)


def walk(tree, absolute, threshold, double_count):
    """The walk of one row as the specification tells it."""
    place, product, first, last = -1, 1, 0, tree.borders[1]
    while first < last:
        best = first + int(np.argmax(absolute[first:last]))
        value = product * absolute[best] if double_count else absolute[best]
        if not value > threshold:
            return best if place == -1 else place
        place, product = best, value
        first, last = tree.children[best]
    return place


@pytest.mark.parametrize("double_count", [False, True])
@pytest.mark.parametrize("threshold", [0, .02, .1, .3, .5, .9, 1])
def test_walk_like_its_counterpart(rng, threshold, double_count):
    tree = random_tree(rng, 40)
    absolute = tree.absolute(conditional(tree, rng, 4, 7))
    found = tree.predict(absolute, threshold, double_count)
    expected = [walk(tree, row, threshold, double_count) for row in absolute.reshape(28, -1)]
    assert found.shape == (4, 7) and found.ravel().tolist() == expected


def test_darknets_walk_counts_ancestors_twice():
    """P(g) = .9 * .8 * .95 = .684, so at .5 the walk ends there. Darknet multiplies .9 * .72 * .684 = .443: at c."""
    tree, absolute = golden(), np.array(ABSOLUTE)
    assert [int(tree.predict(absolute, t)) for t in (.5, .68, .69, .75, .95)] == [6, 6, 2, 0, 0]
    assert [int(tree.predict(absolute, t, double_count=True)) for t in (.45, .5, .6, .65)] == [2, 2, 2, 0]
    assert int(tree.predict(absolute, .44, double_count=True)) == 6


def test_threshold_moves_the_label_up_and_down(rng):
    tree = random_tree(rng, 80)
    absolute = tree.absolute(conditional(tree, rng, 10))
    ends = [tree.predict(absolute, t) for t in (0, .01, .1, .3, .6)]
    assert tree.is_leaf[ends[0]].all()
    for deep, shallow in zip(ends, ends[1:]):
        assert all(b in tree.path_to_root(a) for a, b in zip(deep, shallow))


def test_decide_is_one_at_the_end_of_the_walk():
    decided = golden().decide(np.array([ABSOLUTE, ABSOLUTE]), .7)
    assert decided.tolist() == [[0, 0, 1, 0, 0, 0, 0, 0]] * 2


def test_not_a_number_ends_the_walk():
    assert golden().predict(np.full((2, 8), np.nan), .5).tolist() == [0, 0]
    assert golden().predict(np.zeros((0, 8)), .5).shape == (0,)


def test_labels_count_for_their_ancestors():
    truth = np.zeros((3, 8), np.float32)
    truth[0, 7] = truth[1, 1] = truth[2, [3, 4]] = 1
    found = golden().labelled(truth)
    m = MASK
    assert found.tolist() == [[1, 0, 1, 0, m, m, 0, 1], [0, 1, m, m, m, m, m, m], [1, 1, 0, 1, 1, 0, m, m]]
    assert found.dtype == np.float32 and truth.sum() == 4
    assert golden().labelled(found).tolist() == found.tolist(), "it says nothing new the second time"


def test_flat_tree():
    tree = WordTree.flat(5)
    assert tree.borders.tolist() == [0, 5] and tree.depth.tolist() == [1] * 5
    p = conditional(tree, np.random.default_rng(0), 2)
    assert (tree.absolute(p) == p).all() and (tree.predict(p, .1) == p.argmax(axis=1)).all()


# ---- bundled trees

def test_the_sample_sets_tree():
    tree = read_tree(paths.resolve("cfg/sample.tree"))
    assert {tree.names[i]: tuple(tree.names[slice(*tree.children[i])]) for i in range(tree.borders[1])} == TREE
    assert [tree.names[node] for node in read_map(paths.resolve("cfg/sample.map"), len(tree))] == list(NAMES)


def test_vocs_taxonomy():
    tree, names = read_tree(paths.resolve("cfg/voc.tree")), read_names(paths.resolve("cfg/voc.names"))
    nodes = read_map(paths.resolve("cfg/voc.map"), len(tree))
    assert tuple(tree.names[node] for node in nodes) == names and tree.is_leaf[nodes].all()
    assert tree.names[:4] == ("animal", "vehicle", "household", "person")
    kin = {tree.names[tree.parent[tree.number[name]]] for name in ("bird", "cat", "cow", "dog", "horse", "sheep")}
    assert kin == {"animal"} and tree.parent[tree.number["person"]] == -1


# ---- the real tree: a small form of its facts runs everywhere, this where it lies

@pytest.mark.skipif(REAL is None, reason="9k.tree is not ours to copy")
def test_the_real_tree():
    tree = read_tree(REAL)
    sizes = np.diff(tree.borders)
    assert (len(tree), tree.groups, sizes[0], sizes.max(), tree.is_leaf.sum(), tree.depth.max()) == (
        9418, 1846, 4, 149, 7573, 17)
    p = conditional(tree, np.random.default_rng(9), 3)
    absolute = tree.absolute(p)
    np.testing.assert_allclose(absolute[:, tree.is_leaf].sum(axis=1), 1)
    terrier = tree.path_to_root(tree.number["n02094114"])
    np.testing.assert_allclose(absolute[:, terrier[0]], p[:, terrier].prod(axis=1))
    assert tree.names[terrier[3]] == "n02084071"  # a Norfolk terrier is a dog
    beside = [REAL.parent / REAL.name.replace("9k.tree", f"{name}9k.map") for name in ("coco", "inet")]
    coco, imagenet = (read_map(file, len(tree)) for file in beside)
    assert (len(coco), tree.is_leaf[coco].sum(), len(imagenet)) == (80, 36, 200)
