"""OpenCV 4's Darknet importer, written by others, reads our cfg and weights files and computes the same numbers.

Its batch norm has 1e-6 inside the root, ours 1e-5: with variances near 1 a difference of some millionths in each layer,
which e^w in the boxes of a head enlarges.
"""
import numpy as np
import pytest
from small import BODY, REGION

from minidarknet import Network, parser, weights

cv2 = pytest.importorskip("cv2")
BACKENDS = [("engine", True), ("engine", False), ("kernels", False)]

CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize={}\nstride={}\npad=1\nactivation={}\n"
HEAD = """[convolutional]
filters=16
size=1
activation={activation}
[yolo]
mask={mask}
anchors=6,6, 10,12, 30,30, 40,50
classes=3
num=4
scale_x_y={scale}
{more}
"""
YOLOV4 = ("[net]\nwidth=32\nheight=32\nchannels=3\n"
          + CONV.format(8, 3, 1, "mish") + CONV.format(12, 3, 2, "mish")                 # 0, 1
          + CONV.format(6, 1, 1, "mish") + "[route]\nlayers=-2\n" + CONV.format(6, 1, 1, "mish")  # half goes round
          + CONV.format(4, 1, 1, "mish") + CONV.format(6, 3, 1, "mish") + "[shortcut]\nfrom=-3\nactivation=linear\n"
          + CONV.format(6, 1, 1, "swish") + "[route]\nlayers=-1,-7\n"                     # 8, 9
          + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" + CONV.format(12, 3, 2, "leaky")  # 10, 11
          + "[avgpool]\n[convolutional]\nfilters=12\nsize=1\nactivation=logistic\n[scale_channels]\nfrom=11\n"
          + "[maxpool]\nsize=5\nstride=1\n[route]\nlayers=-2\n[maxpool]\nsize=9\nstride=1\n[route]\nlayers=-1,-3,-4\n"
          + CONV.format(8, 1, 1, "leaky")                                                # 19
          + HEAD.format(activation="linear", mask="2,3", scale=1.05, more="iou_loss=ciou\nnms_kind=greedynms")
          + "[route]\nlayers=-3\n[upsample]\nstride=2\n[route]\nlayers=-1,9\n" + CONV.format(8, 3, 1, "leaky")
          + HEAD.format(activation="logistic", mask="0,1", scale=2, more="new_coords=1"))


def read_by_both(tmp_path, text, backend, fused, rng):
    """(our network, OpenCV's), the same weights, whose rolling statistics come from a batch."""
    net = Network.from_string(text, backend=backend, fused=fused)
    for layer in net.layers:
        for stored in layer.stored:
            if stored.name == "scale":
                stored.array[...] = rng.uniform(.5, 1.5, stored.array.shape)
            elif stored.name == "bias":
                stored.array[...] = rng.uniform(-.5, .5, stored.array.shape)
    net.forward(rng.random((2, *net.input.shape), np.float32), train=True)
    (tmp_path / "net.cfg").write_text(text)
    weights.save(net, tmp_path / "net.weights")
    other = cv2.dnn.readNetFromDarknet(str(tmp_path / "net.cfg"), str(tmp_path / "net.weights"))
    other.enableFusion(False)  # or the outputs in between are not kept
    return net, other


def compare(net, other, x, tolerance):
    """Every layer whose output both have, relative to its largest value; of [yolo] the boxes and scores."""
    net.predict(x)
    other.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    names, compared = other.getLayerNames(), 0
    for layer in net.layers:
        if layer.out is None or layer.name == "region":
            continue  # fused with its pooling; [region] is shown without its coordinates
        theirs = other.forward(last_operation(names, layer))
        ours = layer.out.transpose(0, 3, 1, 2)
        if layer.name == "yolo":
            boxes, objectness, probability = (found[0] for found in layer.boxes(layer.out))
            theirs = theirs.reshape(-1, 5 + layer.options.classes)
            scores = objectness[:, None] * probability * (theirs[:, 5:] > 0)  # OpenCV drops those below .2
            ours = np.concatenate([boxes, objectness[:, None], scores], axis=1)
            assert np.count_nonzero(scores) > 5
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(np.abs(theirs).max(), 1),
                                   err_msg=f"layer {layer.index} [{layer.name}]")
        compared += 1
    return compared


def last_operation(names, layer):
    """OpenCV's name of what a section ends with; it numbers activations by the section behind."""
    kinds = {"maxpool": ["pool"], "route": ["identity", "concat", "slice"], "convolutional": ["bn", "conv"],
             "avgpool": ["avgpool"], "scale_channels": ["scale_channels"]}
    if layer.name == "convolutional" and layer.options.activation != "linear":
        return f"{layer.options.activation}_{layer.index + 1}"
    return next(name for kind in kinds.get(layer.name, [layer.name]) if (name := f"{kind}_{layer.index}") in names)


@pytest.mark.parametrize("backend, fused", BACKENDS)
def test_yolov2(tmp_path, rng, backend, fused):
    """Batch norm, leaky, pooling with stride 2 and 1, shared sources, two routes, reorg and 1x1 convolutions."""
    text = BODY.format(activation="leaky") + REGION.format(rescore=0)
    net, other = read_by_both(tmp_path, text, backend, fused, rng)
    assert compare(net, other, rng.random((1, 16, 16, 3), np.float32), 1e-4) == len(net.layers) - 1 - fused


@pytest.mark.parametrize("backend, fused", BACKENDS)
def test_yolov4(tmp_path, rng, backend, fused):
    """mish, swish and logistic, a residual block that half of the channels go round, groups in a route, a gate for the
    channels, spatial pyramid pooling, upsampling; heads with scale_x_y and with new_coords."""
    net, other = read_by_both(tmp_path, YOLOV4, backend, fused, rng)
    assert compare(net, other, rng.random((1, 32, 32, 3), np.float32), 1e-3) == len(net.layers)


def test_yolov4_tiny(tmp_path, rng):
    cfg = parser.override(parser.read("cfg/yolov4-tiny.cfg"), {"net.width": 96, "net.height": 64})
    net, other = read_by_both(tmp_path, parser.render(cfg), "engine", False, rng)
    assert compare(net, other, rng.random((1, 64, 96, 3), np.float32), 1e-3) == 38


def test_the_comparison_notices_a_difference(tmp_path, rng):
    net, other = read_by_both(tmp_path, YOLOV4, "kernels", False, rng)
    net.layers[8].norm.scale[3] *= 1.05
    with pytest.raises(AssertionError, match=r"layer 8 \[convolutional\]"):
        compare(net, other, rng.random((1, 32, 32, 3), np.float32), 1e-3)
