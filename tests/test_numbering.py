"""numbering.py: the classes of a data set among a network's, by name or by region.map, whichever is right."""
import shutil
from dataclasses import replace

import make_data as make
import numpy as np
import pytest
from small import TINY, TREE, rows, train

from minidarknet import numbering, schedule, training_data
from minidarknet import train as train_command
from minidarknet.data import sample
from minidarknet.data.annotations import load
from minidarknet.network import Network
from minidarknet.paths import BUNDLED
from minidarknet.wordtree import read_map, read_tree, write_map

NODES = read_tree(BUNDLED / "sample.tree")
SHAPES = tuple((BUNDLED / "sample.names").read_text().split())
OWN = read_map(BUNDLED / "sample.map", len(NODES))


@pytest.fixture
def shapes(tmp_path):
    """A picture of each of the sample set's twelve classes."""
    labels = {f"p{k:02d}": f"{k} .5 .5 .4 .4\n" for k in range(12)}
    return load(make.yolo(tmp_path / "shapes", labels, SHAPES), "train")


def net_with(tmp_path, nodes=OWN):
    """A network over the sample's tree with the map `nodes`."""
    (tmp_path / "t.cfg").write_text(TREE.replace("sample.map", "own.map"))
    write_map(tmp_path / "own.map", nodes)
    net = Network.from_cfg(tmp_path / "t.cfg")
    net.names = NODES.names
    return net


# ---- the map

def test_its_own_map_is_used_without_a_word(tmp_path, shapes, capsys):
    net = net_with(tmp_path)
    assert numbering.in_classes_of(net, shapes) is shapes and numbering.mapped(net, shapes)
    assert not capsys.readouterr().err


def test_a_map_of_another_number_of_classes_is_not_used(tmp_path, shapes, capsys):
    net = net_with(tmp_path, OWN[:11])
    data = numbering.in_classes_of(net, shapes)
    assert net.head.map is None and [NODES.names[e.classes[0]] for e in data] == list(SHAPES)
    assert "own.map tells the nodes of 11 classes, but my has 12: it is not used" in capsys.readouterr().err


def test_a_map_of_another_order_gives_way_to_the_names(tmp_path, shapes, capsys):
    """Else a triangle would be learned as an angle, without a word."""
    net, other = net_with(tmp_path), replace(shapes, names=SHAPES[::-1])
    data = numbering.in_classes_of(net, other)
    assert net.head.map is None and not numbering.mapped(net, other)
    assert [NODES.names[e.classes[0]] for e in data] == list(SHAPES[::-1])
    told = capsys.readouterr().err
    assert "own.map takes 'triangle' for 'angle', 'star' for 'arrow', " in told
    assert "against the names of 12 of the 12" in told


@pytest.mark.parametrize("wrong, used", [(6, True), (7, False)])
def test_the_names_win_where_they_contradict_more_than_they_agree(tmp_path, shapes, capsys, wrong, used):
    nodes = OWN.copy()
    nodes[:wrong] = np.roll(nodes[:wrong], 1)
    net = net_with(tmp_path, nodes)
    numbering.in_classes_of(net, shapes)
    told = capsys.readouterr().err
    assert (net.head.map is not None) == used and f"'angle' for '{SHAPES[wrong - 1]}'" in told
    assert ("it agrees with most" in told) == used and ("the names of the classes decide" in told) != used


@pytest.mark.parametrize("nodes", [NODES.parent[OWN], np.zeros(12, int)], ids=["parents", "all one root"])
def test_a_broader_word_is_no_contradiction(tmp_path, shapes, capsys, nodes):
    """Calling a square a polygon is what boxes without their exact class are for; calling a star one is a mistake."""
    net = net_with(tmp_path, nodes)
    numbering.forget_foreign_map(net, shapes)
    told = capsys.readouterr().err
    if nodes.any():
        assert not told and net.head.map is not None
    else:
        assert "against the names of 8 of the 12" in told and net.head.map is None


def test_a_map_that_no_name_confirms_is_used_and_that_is_said(tmp_path, shapes, capsys):
    net, other = net_with(tmp_path), replace(shapes, names=tuple("abcdefghijkl"))
    assert numbering.in_classes_of(net, other) is other and numbering.mapped(net, other)
    assert "none of the 12 classes of my has the name of a node: own.map alone" in capsys.readouterr().err


def test_training_in_another_order_teaches_the_same(tmp_path):
    """The whole command: a foreign map and no map give the same weights."""
    labels = {f"p{k:02d}": f"{k} .5 .5 .4 .4\n" for k in range(12)}
    data = make.yolo(tmp_path / "shapes", labels, SHAPES[::-1])
    shutil.copy(tmp_path / "shapes/train.txt", tmp_path / "shapes/valid.txt")
    data.write_text(data.read_text() + "valid=valid.txt\n")
    told, weights = [], []
    for name, text in (("map", TREE), ("names", TREE.replace("map=sample.map\n", ""))):
        (tmp_path / f"{name}.cfg").write_text(text)
        done = train(tmp_path / f"{name}.cfg", data, tmp_path / name, "--max-batches", 1, "--no-multiscale")
        assert done.returncode == 0 and rows(tmp_path / name), done.stderr
        told.append(done.stderr.count("sample.map takes"))
        weights.append((tmp_path / name / "weights/last.weights").read_bytes())
    assert told == [1, 0] and weights[0] == weights[1]


@pytest.mark.parametrize("nodes, used", [(OWN, True), (OWN[::-1], False), (OWN[:11], False)])
def test_a_shortened_training_decides_the_same_once(tmp_path, drawn, monkeypatch, capsys, nodes, used):
    """On the sample set the network is built twice, for the cfg's schedule and for the short one."""
    net_with(tmp_path, nodes)
    monkeypatch.setattr(sample, "ensure_sample", lambda: drawn)
    monkeypatch.setattr(schedule, "measure", lambda net, truth: 100.)
    monkeypatch.setattr(train_command.Session, "_train", lambda self, net: (self, net))
    args = train_command.arguments().parse_args([str(tmp_path / "t.cfg"), "--out", str(tmp_path / "out")])
    training_data.complete(args)
    session, net = train_command.Session(args, 0).run()
    assert (net.head.map is not None) == used and session.training.names == (SHAPES if used else NODES.names)
    told = capsys.readouterr().err
    assert "short schedule" in told and told.count("own.map") == (not used)


# ---- the order alone

def test_as_many_strangers_as_nodes_are_taken_in_order_and_that_is_said(tmp_path, shapes, capsys):
    net = net_with(tmp_path)
    strangers = replace(shapes, names=tuple(f"s{k}" for k in range(15)))
    data = numbering.in_classes_of(net, strangers)
    assert [e.classes[0] for e in data] == list(range(12)) and data.names == NODES.names
    assert "none of the 15 classes of my (s0, s1, " in (told := capsys.readouterr().err)
    assert "'s0' for 'polygon', 's14' for 'heart'" in told


# ---- a network without a tree

def test_names_of_a_plain_list_are_compared_as_those_of_nodes(shapes, capsys):
    net = Network.from_string(TINY)
    net.names = tuple(name.upper() for name in SHAPES[::-1])
    data = numbering.in_classes_of(net, replace(shapes, names=("zebra", *SHAPES[1:])))
    assert [e.classes[0] for e in data] == [12, *range(10, -1, -1)] and data.names[-1] == "zebra"
    assert "does not know zebra" in capsys.readouterr().err
    net.names = SHAPES
    assert numbering.in_classes_of(net, shapes) is shapes
