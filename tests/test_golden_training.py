"""Ten updates of the original Darknet, its CPU build, hold strict_darknet_cpu to it: what it printed, and its weights after.

tests/golden/make_training.py made the files, and says what they hold. One small network for each family of layers: each
ends in another head, and together they have every layer that Darknet's CPU build can train.
"""
import struct
from pathlib import Path

import numpy as np
import pytest

from minidarknet import SGD, Network, parser
from minidarknet.layers import Convolutional
from minidarknet.layers.activation import Activation
from minidarknet.layers.cost import Cost
from minidarknet.layers.detection import Detection
from minidarknet.layers.reorg import Reorg
from minidarknet.ops import BACKENDS
from minidarknet.wordtree import MASK

FOLDER = Path(__file__).parent / "golden" / "training"
NAMES = sorted(file.stem for file in FOLDER.glob("*.npz"))
UPDATES, TOLERANCE = 10, 1e-4


def network(name, parts, numbers, folder, **kwargs):
    """The network `name` with `parts` subdivisions and the `numbers` of a .weights file."""
    file = folder / "net.weights"
    file.write_bytes(struct.pack("<iiiQ", 0, 2, 0, 0) + numbers.astype("<f4").tobytes())
    return Network.from_cfg(FOLDER / f"{name}.cfg", weights=file, overrides={"net.subdivisions": parts}, **kwargs)


def train(net, x, truth):
    """Ten updates; what Darknet would print in each: the cost per picture."""
    sgd, half, costs = SGD(net), len(x) // 2, []
    for update in range(UPDATES):
        passes = []
        for pictures in np.split(np.arange(half) + half * (update % 2), net.options.subdivisions):
            net.forward(x[pictures], truth[pictures], train=True)
            net.backward()
            passes.append(net.darknet_cost)
        sgd.step()
        costs.append(np.mean(passes))
    return np.array(costs)


def distances(name, parts, folder, **kwargs):
    """(relative distance of the costs, {array: largest difference as a share of its largest number}) from Darknet's."""
    with np.load(FOLDER / f"{name}.npz") as file:
        found = dict(file)
    net = network(name, parts, found["initial"], folder, **kwargs)
    costs = train(net, found["x"].transpose(0, 2, 3, 1).astype(np.float32) / 255, found["truth"])
    darknet = network(name, parts, found[f"final_{parts}"], folder)
    arrays = {}
    for mine, theirs in zip(net.layers, darknet.layers):
        for a, b in zip(mine.stored, theirs.stored):
            arrays[f"{mine.index} {a.name}"] = np.abs(a.array - b.array).max() / np.abs(b.array).max()
    return np.abs(costs / found[f"cost_{parts}"] - 1).max(), arrays


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_ten_updates(name, parts, backend, tmp_path):
    cost, arrays = distances(name, parts, tmp_path, backend=backend, strict_darknet_cpu=True)
    assert cost < TOLERANCE
    far = {array: distance for array, distance in arrays.items() if not distance < TOLERANCE}
    assert not far


def test_every_layer_that_darknet_trains_is_here():
    """It does not survive [batchnorm], and of [region] it has the cost but no gradient."""
    layers = [section for name in NAMES for section in parser.read(FOLDER / f"{name}.cfg").layers]
    assert {section.name for section in layers} >= {
        "activation", "avgpool", "connected", "convolutional", "cost", "crop", "detection", "dropout", "local", "maxpool",
        "normalization", "reorg", "region", "route", "shortcut", "softmax", "upsample", "yolo"}
    assert {section.get("type") for section in layers if section.name == "cost"} >= {"sse", "smooth", "L1", "masked", "wgan"}
    assert set(NAMES) == {file.stem for file in FOLDER.glob("*.cfg")}
    assert all(file.stat().st_size < 100_000 for file in FOLDER.iterdir())


@pytest.mark.parametrize("name, layer", [("passthrough", Reorg), ("passthrough", Convolutional), ("activation", Activation),
                                         ("twoheads", Convolutional), ("flat", Reorg)])
def test_a_gradient_that_is_not_written_over_is_noticed(name, layer, monkeypatch, tmp_path):
    """Negative control: Darknet's 1x1 convolutions, for one, forget what later readers said of their source."""
    monkeypatch.setattr(layer, "overwrites", False)
    cost, arrays = distances(name, 1, tmp_path, backend="kernels", strict_darknet_cpu=True)
    assert max(cost, *arrays.values()) > 10 * TOLERANCE


@pytest.mark.parametrize("name", ["convolutional", "classifier", "residual", "normalization", "smooth", "wgan"])
def test_the_exact_mathematics_is_another(name, tmp_path):
    """Negative control: without strict_darknet_cpu batch norm has its true gradient, as have shortcut and costs."""
    cost, arrays = distances(name, 1, tmp_path, backend="kernels")
    assert max(cost, *arrays.values()) > 10 * TOLERANCE


def no_mask(measure):
    return lambda self, x, truth, strict: measure(self, x, np.where(truth == MASK, 0, truth), strict)


@pytest.mark.parametrize("name, cls, method, wrong", [
    ("masked", Cost, "_measure", no_mask),
    ("detection", Detection, "_chosen", lambda chosen: lambda self, run, truth: chosen(self, run, truth) + 1),
    ("detection-softmax", Detection, "_chosen", lambda chosen: lambda self, run, truth: 0 * chosen(self, run, truth) - 1)])
def test_a_wrong_target_is_noticed(name, cls, method, wrong, tmp_path, monkeypatch):
    """Negative control: unknown numbers taken for zeros; the first box always; the best box where size should decide."""
    monkeypatch.setattr(cls, method, wrong(getattr(cls, method)))
    cost, arrays = distances(name, 1, tmp_path, backend="kernels", strict_darknet_cpu=True)
    assert max(cost, *arrays.values()) > 10 * TOLERANCE
