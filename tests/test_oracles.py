"""Oracles: files, Darknet behind a stand-in, OpenCV; and what counts as a difference."""
import sys
import types

import numpy as np
import pytest
from small import TINY, small_network

from minidarknet import Network, libdarknet, oracles, weights
from minidarknet.errors import DataError, MinidarknetError, UsageError

CLASSIFIER = """[net]
width=6
height=5
channels=3
[convolutional]
filters=4
size=3
pad=1
activation=leaky
[softmax]
[connected]
output=3
activation=linear
[softmax]
[cost]
"""


def noise(net, seed=0):
    h, w, c = net.input.shape
    return np.random.default_rng(seed).random((c, h, w), np.float32)


def darknet_in_python(asked):
    """Stands for libdarknet.in_child: computes with the kernels what the files say; [softmax] is no picture to it."""
    def in_child(cfg, file, x, layers=0, path=None):
        text = open(cfg).read()
        net = Network.from_string(text, backend="kernels")
        if len(net.layers) == 5:
            weights.load(net, file)
        else:  # a part of the network: the rest of the file is not read
            weights.load(net, file, len(net.layers))
        asked.append((len(net.layers), layers, path))
        found = oracles.outputs(net, np.asarray(x))
        pictures = [layer.index for layer in net.layers if layer.name not in ("softmax", "cost")]
        return {"y": found["y"], **{f"layer_{i}": found[f"layer_{i}"] for i in pictures if i < layers}}
    return in_child


def test_darknet_runs_parts_for_what_it_does_not_show(monkeypatch):
    asked = []
    monkeypatch.setattr(libdarknet, "in_child", darknet_in_python(asked))
    net = Network.from_string(CLASSIFIER, backend="kernels")
    found = oracles.darknet(net, noise(net), library="here.so")
    assert asked == [(5, 5, "here.so"), (2, 0, "here.so")]  # the whole, then up to the first [softmax]
    assert set(found) == {"y", "layer_0", "layer_1", "layer_2", "layer_3"}
    ours = oracles.outputs(net, noise(net))
    assert all(d.most == 0 for d in oracles.compare(ours, found).values())


def test_outputs_and_boxes_come_in_darknets_order():
    net = small_network(fused=False)
    x = noise(net)
    found = oracles.outputs(net, x)
    assert np.array_equal(found["x"], x) and found["layer_0"].shape == (6, 16, 16)
    head = net.layers[-1]
    assert np.array_equal(found["y"], head.out[0].transpose(2, 0, 1).ravel())
    boxes, objectness, _ = net.boxes(head.out)
    assert np.array_equal(found["boxes_12"], np.column_stack((boxes[0], objectness[0])))


def test_a_file_comes_back(tmp_path):
    net = small_network(fused=False)
    found = oracles.outputs(net, noise(net))
    oracles.save(tmp_path / "new" / "a.npz", {**found, "image": 3})
    assert all(d.most == 0 for d in oracles.compare(found, oracles.from_file(tmp_path / "new" / "a.npz")).values())


@pytest.mark.parametrize("arrays, told", [
    ({}, "found nothing"), ({"x": np.zeros((3, 2, 2))}, r"found x \(3, 2, 2\)"), ({"y": np.zeros(3)}, "expected x"),
    ({"x": np.zeros(3), "y": np.zeros(3)}, r"x \(3,\)"), ({"x": np.array("a"), "y": np.zeros(3)}, "x holds no numbers"),
    ({"x": np.array([None]), "y": np.zeros(3)}, "no .npz file of numbers")])
def test_files_that_are_refused(arrays, told, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=told):
        oracles.from_file(tmp_path / "a.npz")


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="No such file.*the word darknet or opencv"):
        oracles.from_file(tmp_path / "a.npz")
    whole = tmp_path / "b.npz"
    np.savez(whole, x=np.zeros((3, 4, 4)), y=np.zeros(9))
    for content in (b"", b"text", whole.read_bytes()[:200]):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DataError, match="a.npz: "):
            oracles.from_file(tmp_path / "a.npz")
    np.save(tmp_path / "c.npy", np.zeros(3))
    with pytest.raises(DataError, match="is no .npz file"):
        oracles.from_file(tmp_path / "c.npy")


def test_what_counts_as_a_difference():
    a = np.array([1, -4, np.inf, np.nan, 2], np.float32)
    assert oracles.compare({"y": a}, {"y": a})["y"] == (4, 0, 0)
    d = oracles.compare({"y": a}, {"y": np.array([1, -3, np.inf, np.nan, 2], np.float32)})["y"]
    assert d == (3, .2, 1) and d.relative == 1 / 3
    for other in (np.nan, -np.inf, 5):
        assert oracles.compare({"y": a}, {"y": np.array([1, -4, other, np.nan, 2], np.float32)})["y"].most == np.inf
    assert oracles.compare({"y": np.ones(2)}, {"y": np.zeros(2)})["y"].relative == 1


def test_another_network_is_refused():
    ours = {"x": np.zeros((3, 2, 2)), "layer_0": np.zeros(8), "y": np.zeros(8)}
    with pytest.raises(DataError, match="y: we give 8 numbers, the oracle 9"):
        oracles.compare(ours, {"y": np.zeros(9)})
    with pytest.raises(DataError, match="layer_7; expected y, or layer_0 to layer_0"):
        oracles.compare(ours, {"layer_7": np.zeros(9)})


@pytest.mark.parametrize("module, told", [
    (None, "OpenCV is not installed.*extra `bench`"),
    (types.SimpleNamespace(__version__="5.0.0", dnn=None), "OpenCV 5.0.0 no longer.*opencv-python-headless<5")])
def test_no_opencv(module, told, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", module)
    net = Network.from_string(TINY)
    with pytest.raises(UsageError, match=told):
        oracles.opencv(net, noise(net))


def test_what_opencv_refuses():
    pytest.importorskip("cv2")
    net = Network.from_string(CLASSIFIER.replace("[softmax]\n[connected]", "[shortcut]\nfrom=-1\nbeta=.5\n[connected]"))
    with pytest.raises(MinidarknetError, match="OpenCV .* refuses this network"):
        oracles.opencv(net, noise(net))
