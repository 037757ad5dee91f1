"""OpenCV 4's Darknet importer, written by others, reads our cfg and weights files and computes the same numbers."""
import numpy as np
import pytest
from small import BODY, REGION

from minidarknet import Network, oracles, parity

pytest.importorskip("cv2")


@pytest.mark.parametrize("backend, fused", [("engine", True), ("engine", False), ("kernels", False)])
def test_opencv_computes_the_same(backend, fused):
    """Batch norm, leaky, pooling with stride 2 and 1, shared sources, two routes, reorg, 1x1 convolutions, region boxes."""
    net = Network.from_string(BODY.format(activation="leaky") + REGION.format(rescore=0), backend=backend, fused=fused)
    parity.draw(net, np.random.default_rng(5))
    x = np.random.default_rng(6).random((3, 16, 16), np.float32)
    ours, theirs = oracles.outputs(net, x), oracles.opencv(net, x)
    assert set(theirs) == {*(f"layer_{i}" for i in range(12)), "boxes_12"}
    found = oracles.compare(ours, {key: array for key, array in theirs.items() if key in ours})
    assert len(found) == 13 - sum(layer.out is None for layer in net.layers)  # a layer fused with its pooling has no output
    assert max(difference.relative for difference in found.values()) < 1e-4
