"""Ten updates of the original Darknet, its CPU build, hold strict_darknet_cpu to it: the layers of YOLOv1's time.

tests/golden/make_training_v1.py made the files, and says what they hold.
"""
import struct
from pathlib import Path

import numpy as np
import pytest

from minidarknet import Network, parser
from minidarknet.layers.cost import Cost
from minidarknet.layers.detection import Detection
from minidarknet.ops import BACKENDS
from minidarknet.optimizer import SGD

FOLDER = Path(__file__).parent / "golden" / "training_v1"
NAMES = ("detection", "detection-softmax", "l1", "local", "masked", "normalization", "smooth", "wgan")
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


def test_every_layer_and_cost_is_here():
    layers = [section for name in NAMES for section in parser.read(FOLDER / f"{name}.cfg").layers]
    assert {section.name for section in layers} >= {"connected", "cost", "detection", "local", "normalization"}
    assert {section.get("type") for section in layers if section.name == "cost"} >= {"sse", "smooth", "L1", "masked", "wgan"}
    assert all((FOLDER / f"{name}.npz").stat().st_size < 100_000 for name in NAMES)


@pytest.mark.parametrize("name", ["normalization", "smooth", "wgan"])
def test_the_exact_mathematics_is_another(name, tmp_path):
    """Negative control: without strict_darknet_cpu batch norm, too, has its true gradient."""
    cost, arrays = distances(name, 1, tmp_path, backend="kernels")
    assert max(cost, *arrays.values()) > 10 * TOLERANCE


def no_mask(measure):
    return lambda self, x, truth, strict: measure(self, x, np.where(truth == -1234, 0, truth), strict)


@pytest.mark.parametrize("name, cls, method, wrong", [
    ("masked", Cost, "_measure", no_mask),
    ("detection", Detection, "_chosen", lambda chosen: lambda self, run, truth: chosen(self, run, truth) + 1),
    ("detection-softmax", Detection, "_chosen", lambda chosen: lambda self, run, truth: 0 * chosen(self, run, truth) - 1)])
def test_a_wrong_target_is_noticed(name, cls, method, wrong, tmp_path, monkeypatch):
    """Negative control: unknown numbers taken for zeros; the first box always; the best box where size should decide."""
    monkeypatch.setattr(cls, method, wrong(getattr(cls, method)))
    cost, arrays = distances(name, 1, tmp_path, backend="kernels", strict_darknet_cpu=True)
    assert max(cost, *arrays.values()) > 10 * TOLERANCE
