"""A golden trajectory: the losses of the first ten updates of a small net, kept in a file.

Whatever changes the mathematics of a training step anywhere (kernels, engine, layers, optimizer, initial weights)
changes these numbers. `python tests/test_trajectory.py` writes the file anew, from the kernels.
"""
import json
from pathlib import Path

import numpy as np
import pytest
from small import TINY

from minidarknet import SGD, Network

FILE = Path(__file__).parent / "golden" / "trajectory.json"


def trajectory(backend):
    """Loss and Darknet's cost of ten updates on fixed noise with fixed truths: a list of [loss, cost]."""
    net = Network.from_string(TINY, backend=backend)
    rng, sgd, found = np.random.default_rng(7), SGD(net), []
    for _ in range(10):
        losses = []
        for _ in range(net.options.subdivisions):
            x = rng.random((4, 64, 64, 3), np.float32)
            truth = np.concatenate([rng.uniform(.2, .8, (4, 3, 2)), rng.uniform(.1, .4, (4, 3, 2)),
                                    rng.integers(0, 12, (4, 3, 1))], axis=2)
            losses.append((net.forward(x, truth, train=True), net.darknet_cost))
            net.backward()
        sgd.step()
        found.append(np.mean(losses, axis=0).tolist())
    return found


@pytest.mark.parametrize("backend", ["engine", "kernels"])
def test_first_ten_updates(backend):
    np.testing.assert_allclose(trajectory(backend), json.loads(FILE.read_text()), rtol=2e-4)


def test_the_trajectory_notices_a_small_change(monkeypatch):
    """Negative control: a learning rate that is one twentieth too high."""
    true = SGD.rate.fget
    monkeypatch.setattr(SGD, "rate", property(lambda self: true(self) * 1.05))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(trajectory("kernels"), json.loads(FILE.read_text()), rtol=2e-4)


if __name__ == "__main__":
    FILE.write_text(json.dumps(trajectory("kernels"), indent=1) + "\n")
