"""OpenCV 4's Darknet importer, written by others, reads our cfg and weights files and computes the same numbers."""
import numpy as np
import pytest
from small import BODY, REGION

from minidarknet import Network, weights

cv2 = pytest.importorskip("cv2")


@pytest.mark.parametrize("backend, fused", [("engine", True), ("engine", False), ("kernels", False)])
def test_opencv_computes_the_same(tmp_path, backend, fused):
    """Batch norm, leaky, pooling with stride 2 and 1, shared sources, two routes, reorg and 1x1 convolutions."""
    text = BODY.format(activation="leaky") + REGION.format(rescore=0)
    net = Network.from_string(text, backend=backend, fused=fused)
    rng = np.random.default_rng(5)
    for layer in net.layers:
        for stored in layer.stored:
            if stored.name in ("scale", "rolling_variance"):
                stored.array[...] = rng.uniform(.5, 2, stored.array.shape)
            elif stored.name in ("bias", "rolling_mean"):
                stored.array[...] = rng.uniform(-.5, .5, stored.array.shape)
    (tmp_path / "net.cfg").write_text(text)
    weights.save(net, tmp_path / "net.weights")
    other = cv2.dnn.readNetFromDarknet(str(tmp_path / "net.cfg"), str(tmp_path / "net.weights"))
    x = rng.random((1, 16, 16, 3), np.float32)
    other.enableFusion(False)  # or the outputs in between are not kept
    net.predict(x)
    other.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    for layer in net.layers[:-1]:
        if layer.out is None:
            continue  # fused with its pooling
        theirs = other.forward(last_operation(other.getLayerNames(), layer))
        np.testing.assert_allclose(layer.out.transpose(0, 3, 1, 2), theirs, rtol=1e-4, atol=1e-5,
                                   err_msg=f"layer {layer.index} [{layer.name}]")


def last_operation(names, layer):
    """OpenCV's name of what a section ends with; it numbers activations by the section behind."""
    kinds = {"maxpool": ["pool"], "route": ["identity", "concat"], "reorg": ["reorg"], "convolutional": ["conv"]}
    if layer.name == "convolutional" and layer.options.activation == "leaky":
        return f"leaky_{layer.index + 1}"
    return next(name for kind in kinds[layer.name] if (name := f"{kind}_{layer.index}") in names)
