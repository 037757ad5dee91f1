"""Networks over a tree of labels: where its file is looked for, training, detecting, scoring; yolo9000 without its tree."""
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from gradcheck import check_gradient, check_rejected
from make_data import picture
from small import TINY, sure_weights

from minidarknet import cli, evaluate, info, paths
from minidarknet.data.annotations import load
from minidarknet.errors import CfgError, DataError
from minidarknet.network import Network
from minidarknet.ops import BACKENDS

DETECTOR = TINY.replace("filters=51", "filters=60").replace("classes=12", "classes=15\ntree=sample.tree\nmap=sample.map")
CLASSIFIER = TINY.split("[region]")[0].replace("filters=51", "filters=23") + "[avgpool]\n[softmax]\ntree=voc.tree\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working folder, and no Darknet of Debian's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "DARKNET", tmp_path / "none")
    return tmp_path


# ---- where files are

def put(name):
    """An empty file, as a Path."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("")
    return Path(name)


def test_the_first_of_many_places(place, monkeypatch):
    cfg = "nets/cfg/my.cfg"
    monkeypatch.setattr(paths, "DARKNET", place / "debian")
    assert paths.find("voc.tree", cfg) == paths.find("cfg/voc.tree", cfg) == paths.BUNDLED / "voc.tree"
    for name in ("debian/data/voc.tree", "voc.tree", "nets/voc.tree", "nets/cfg/voc.tree"):  # each comes before the last
        put(name)
        assert paths.find("voc.tree", cfg).resolve() == Path(name).resolve()
    assert paths.find("voc.tree") == Path("voc.tree")  # given by hand: in the working folder
    put("debian/data/coco9k.map")
    assert paths.find("data/coco9k.map", cfg) == place / "debian/data/coco9k.map"
    with pytest.raises(CfgError, match="data/voc.tree: there is no such file in nets/cfg and nets and "):
        (place / "debian/data/voc.tree").unlink()
        paths.find("data/voc.tree", cfg)


def test_yolo9000_without_its_tree():
    net = Network.from_cfg("cfg/yolo9000.cfg", initialise=False)
    assert info.totals(net)["weights_bytes"] == 195230024 and net.names == ()
    assert net.head.shape == (17, 17, 28269)
    for name, section in (("yolo9000", "region"), ("darknet9000", "softmax")):
        with pytest.raises(CfgError) as caught:
            Network.from_cfg(f"cfg/{name}.cfg")
        told = str(caught.value)
        line = 1 + [row.startswith("tree=") for row in (paths.BUNDLED / f"{name}.cfg").read_text().split("\n")].index(True)
        assert f"{name}.cfg:{line} [{section}] tree=data/9k.tree: there is no such file" in told
        assert "Debian's package darknet" in told and "WordNet" in told and f"--set {section}.tree=FILE" in told


def test_it_is_told_before_weights_are_read(place, capsys):
    picture(Path("a.png"))
    Path("x.weights").write_bytes(b"")
    assert cli.main(["detect", "cfg/yolo9000.cfg", "x.weights", "a.png"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert cli.main(["detect", "cfg/yolo9000.cfg", "x.weights", "a.png", "--set", "region.tree=voc.tree"]) == 2
    err = capsys.readouterr().err
    assert re.search(r"voc.tree has 23 nodes, but the head has 9418 classes", err) and "[region]" in err


def test_a_tree_that_is_none_is_refused_with_its_line():
    Path("my.tree").write_text("a -1\nb 2\nc 0\n")
    with pytest.raises(DataError, match="my.tree:2 'b' has the parent 2"):
        Network.from_string(CLASSIFIER.replace("voc.tree", "my.tree")).open_files()


def test_names_of_the_nodes(place):
    Path("my.cfg").write_text(CLASSIFIER)
    assert Network.from_cfg("my.cfg").names[:4] == ("animal", "vehicle", "household", "person")
    shutil.copy(paths.BUNDLED / "voc.tree", "words.tree")
    Path("words.names").write_text("\n".join(f"word {i}" for i in range(23)))
    net = Network.from_cfg("my.cfg", overrides={"softmax.tree": str(place / "words.tree")})
    assert net.names[:2] == ("word 0", "word 1")


# ---- classifiers

def small(text, **kwargs):
    return Network.from_string(text.replace("leaky", "linear"), backend="kernels", dtype=np.float64, **kwargs)


@pytest.mark.parametrize("cost", ["", "[cost]\ntype=masked\n"])
def test_classifiers_learn_along_the_path(cost, rng):
    """The loss is -log P(label) with P(label) the product along the path; [cost] asks for it once more."""
    net = small(CLASSIFIER + cost)
    x, labels = rng.random((3, 64, 64, 3)), np.array([3, 5, 20])  # person, cat, pottedplant
    truth = np.eye(23)[labels]
    bias = next(param for param in net.layers[4].params if param.name == "bias")

    def loss():
        return net.forward(x, truth, train=True) * 3
    once = loss() / (2 if cost else 1)
    np.testing.assert_allclose(once, -np.log(net.tree.absolute(net.layers[6].out[:, 0, 0])[range(3), labels]).sum())
    net.backward()
    grad = bias.grad.copy()
    check_gradient(loss, bias.value, grad, "bias")
    group_left_out, cut_short = grad.copy(), grad.copy()
    group_left_out[17:] = 0
    cut_short[:4] = 0
    check_rejected(loss, bias.value, group_left_out, cut_short, -grad)


def test_a_cost_that_is_not_masked_is_refused():
    with pytest.raises(CfgError, match=r"type=sse behind a \[softmax\] with a tree .*expected type=masked"):
        small(CLASSIFIER + "[cost]\ntype=sse\n")


def test_classifiers_name_leaves(capsys, place):
    from minidarknet import weights
    Path("c.cfg").write_text(CLASSIFIER)
    net = Network.from_cfg("c.cfg")
    for stored in net.layers[-3].stored:
        stored.array[...] = 0
    net.layers[-3].bias[[0, 5]] = 2, 3
    weights.save(net, "c.weights")
    picture(Path("a.png"))
    assert cli.main(["detect", "c.cfg", "c.weights", "a.png", "--out", "out"]) == 0
    out = capsys.readouterr().out
    expected = np.e ** 2 / (np.e ** 2 + 3) * np.e ** 3 / (np.e ** 3 + 5)
    assert out.startswith(f"a.png: cat {expected:.3f} (cat {expected:.3f}, person ")  # the sure word, then the leaves
    assert "animal" not in out


# ---- detectors

@pytest.mark.parametrize("backend", BACKENDS)
def test_training_with_a_map_and_without_boxes(backend, rng):
    net = Network.from_string(DETECTOR, backend=backend)
    x, truth = rng.random((2, 64, 64, 3), np.float32), np.zeros((2, 3, 5), np.float32)
    truth[0, 0] = .5, .5, .3, .3, 11                # class 11 of the data set
    truth[1, 0] = (*(999999,) * 4, 14)              # node 14
    net.forward(x, truth, train=True)
    weight = net.head._buffers["weight"].view((2, 4, 4, 60))  # the arrays of the pass that was
    target = net.head._buffers["target"].view((2, 4, 4, 60)).reshape(2, 48, 20)
    nodes = [np.flatnonzero(target[image, :, 5:].any(axis=0)).tolist() for image in (0, 1)]
    tree = net.tree
    assert nodes == [sorted(tree.path_to_root(net.head.map[11])), sorted(tree.path_to_root(14))]
    assert not weight.reshape(2, 48, 20)[1, :, :4].any() and net.statistics["count"] == 1
    net.backward()
    assert all(np.isfinite(param.grad).all() for param in net.params)


@pytest.mark.parametrize("strict, expected", [(False, .3), (True, 0)])
def test_strict_leaves_objectness_alone(strict, expected, rng):
    """As the Darknet of today does; region.class_only_iou=0 does it, too."""
    net = Network.from_string(DETECTOR, backend="kernels", strict_darknet_cpu=strict)
    truth = np.full((1, 1, 5), 999999, np.float32)
    truth[..., 4] = 0
    net.layers[4].initialise(rng)
    net.layers[4].bias[4::20] = -3
    net.forward(rng.random((1, 64, 64, 3), np.float32), truth, train=True)
    out, weight = net.head.out.reshape(48, 20), net.head._buffers["weight"].view((1, 4, 4, 60)).reshape(48, 20)
    best = int(weight[:, 5].argmax())
    assert out[best, 4] < .3 and (weight[best, 4] > 0) == (expected > 0)


def test_classes_of_both_kinds_are_checked(rng):
    net, x = Network.from_string(DETECTOR, backend="kernels"), rng.random((1, 64, 64, 3), np.float32)
    for row, words in (((.5, .5, .2, .2, 12), "classes=12, so they are numbered 0..11"),
                       ((*(999999,) * 4, 15), "classes=15, so they are numbered 0..14")):
        with pytest.raises(DataError, match=words):
            net.forward(x, np.array([[row]], np.float32), train=True)


def test_a_missing_map_is_missed_when_it_is_needed(rng):
    net, x = Network.from_string(DETECTOR.replace("sample.map", "none.map")), rng.random((1, 64, 64, 3), np.float32)
    net.detect((x[0] * 255).astype(np.uint8))
    with pytest.raises(CfgError, match=r"\[region\] map=none.map: there is no such file .*--set region.map=FILE"):
        net.forward(x, np.zeros((1, 1, 5), np.float32), train=True)


@pytest.fixture
def sure(place):
    """my.cfg and my.weights, which see in every cell an animal .9, of those a dog .8."""
    text = TINY.replace("filters=51", "filters=84").replace("classes=12", "classes=23\ntree=voc.tree\nmap=voc.map")
    Path("my.cfg").write_text(text)
    from minidarknet import weights
    net = Network.from_cfg("my.cfg")
    for stored in net.layers[-2].stored:
        stored.array[...] = 0
    bias = net.layers[-2].bias.reshape(3, 28)
    bias[:, 4] = 20, -20, -20
    bias[:, 5 + net.tree.number["animal"]] = np.log(27)   # .9 of .9 .033 .033 .033
    bias[:, 5 + net.tree.number["dog"]] = np.log(20)      # .8 of .8 and five times .04
    weights.save(net, "my.weights")
    return net


@pytest.mark.parametrize("hier, name", [(".5", "dog"), (".71", "dog"), (".73", "animal"), ("1", "animal")])
def test_the_label_where_the_walk_ends(sure, capsys, hier, name):
    picture(Path("a.png"), size=(64, 64))
    assert cli.main(["detect", "my.cfg", "my.weights", "a.png", "--out", "out", "--hier", hier]) == 0
    assert capsys.readouterr().out.startswith(f"a.png: {name} 1.00, {name} 1.00")  # the confidence is the objectness


def test_scoring_through_the_map_and_by_names(sure, drawn):
    net = Network.from_cfg("my.cfg", weights="my.weights")
    x = np.zeros((1, 64, 64, 3), np.float32)
    data = load(str(drawn), "val", None, 1)
    assert not evaluate.mapped(net, data)                 # twelve shapes, twenty entries
    assert evaluate.boxes_of(net, net.predict(x), data)[2].shape == (1, 48, 23)
    data = type(data)(data.name, tuple(f"c{i}" for i in range(20)), data.examples, data.problems)
    assert evaluate.in_classes_of(net, data) is data      # the map comes before the names
    probability = evaluate.boxes_of(net, net.predict(x), data)[2]
    assert probability.shape == (1, 48, 20)
    np.testing.assert_allclose(probability[0, 0, 11], .72, atol=1e-6)  # VOC's class 11 is the dog: .9 * .8


def test_sure_weights_of_a_flat_net_are_the_same_with_a_flat_tree(place):
    """A tree of one group is an ordinary head."""
    Path("flat.cfg").write_text(TINY)
    Path("flat.tree").write_text("".join(f"n{i} -1\n" for i in range(12)))
    Path("tree.cfg").write_text(TINY + "tree=flat.tree\n")
    sure_weights("x.weights", "flat.cfg", 5)
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    flat, tree = (Network.from_cfg(f"{name}.cfg", weights="x.weights") for name in ("flat", "tree"))
    np.testing.assert_array_equal(flat.predict(x), tree.predict(x))
