"""What the original Darknet does with a tree of 210 words: see golden/tree/make_golden_tree.py."""
from pathlib import Path

import naive_region as naive
import numpy as np
import pytest

from minidarknet.layers import Run
from minidarknet.network import Network
from minidarknet.ops import BACKENDS

GOLDEN = Path(__file__).parent / "golden/tree"


@pytest.mark.parametrize("backend", BACKENDS)
def test_softmax_of_every_group(backend):
    with np.load(GOLDEN / "classifier.npz") as file:
        x, y = file["x"], file["y"]
    net = Network.from_cfg(GOLDEN / "classifier.cfg", weights=GOLDEN / "classifier.weights", backend=backend)
    assert net.names == net.tree.names and net.tree.groups > 20
    np.testing.assert_allclose(net.predict(x.transpose(1, 2, 0)[None])[0], y, atol=1e-6)


@pytest.fixture(scope="module")
def found():
    """(golden values, boxes, objectness, absolute probabilities, the WordTree) of the same raw numbers."""
    with np.load(GOLDEN / "detector.npz") as file:
        golden = dict(file)
    ours = np.arange(12).reshape(2, 6).T.ravel()  # Darknet goes through the cells anchor by anchor
    golden.update({key: golden[key][ours] for key in ("boxes", "objectness", "mapped")}, walks=golden["walks"][:, ours])
    net = Network.from_cfg(GOLDEN / "detector.cfg", backend="kernels")
    net.predict(np.zeros((1, 32, 48, 3), np.float32))
    head = net.head
    head.sources[0].out[...] = naive.our_order(golden["z"][None])
    head.forward(Run())
    boxes, objectness, probability = net.boxes(head.out)
    return golden, boxes[0], objectness[0], probability[0], net.tree


def test_boxes_and_absolute_probabilities(found):
    golden, boxes, objectness, probability, _ = found
    np.testing.assert_allclose(boxes, golden["boxes"], rtol=1e-5)
    np.testing.assert_allclose(objectness, golden["objectness"], rtol=1e-5)
    ours = objectness[:, None] * probability[:, golden["map"]]
    np.testing.assert_allclose(ours, golden["mapped"], rtol=1e-5, atol=1e-9)


def test_darknets_walk_and_ours(found):
    """Its labels are equal at every threshold with its product; with the right product ours go at least as deep."""
    golden, _, _, probability, tree = found
    deeper = 0
    for hier, walks in zip(golden["hier"], golden["walks"]):
        assert tree.predict(probability, hier, double_count=True).tolist() == walks.tolist()
        ours = tree.predict(probability, hier)
        assert all(theirs in tree.path_to_root(node) for node, theirs in zip(ours, walks))
        deeper += int((ours != walks).sum())
    assert deeper > 5
