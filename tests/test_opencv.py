"""OpenCV 4's Darknet importer, written by others, reads our cfg and weights files and computes the same numbers.

Its batch norm has 1e-6 inside the root, ours 1e-5: with variances near 1 a difference of some millionths in each layer,
which e^w in the boxes of a head enlarges.
"""
import numpy as np
import pytest
from small import BODY, REGION

from minidarknet import Network, oracles, parity, parser

pytest.importorskip("cv2")
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


def compared(text, backend, fused, spoil=lambda net: None):
    """{layer: Difference} of a network with drawn weights from OpenCV's; a layer fused with its pooling has no output.

    spoil: what is done to the network after its weights were written for OpenCV.
    """
    net = Network.from_string(text, backend=backend, fused=fused)
    parity.draw(net, np.random.default_rng(5))
    x = np.random.default_rng(6).random((3, *net.input.shape[:2]), np.float32)
    theirs = oracles.opencv(net, x)
    spoil(net)
    ours = oracles.outputs(net, x)
    heads = [f"boxes_{head.index}" for head in net.heads]
    assert set(theirs) == {*(f"layer_{layer.index}" for layer in net.layers if not layer.detects), *heads}
    found = oracles.compare(ours, {key: array for key, array in theirs.items() if key in ours})
    assert len(found) == len(net.layers) - sum(layer.out is None for layer in net.layers)
    return found


def farthest(found):
    """The largest difference of any layer, relative to the layer's largest number."""
    return max(difference.relative for difference in found.values())


@pytest.mark.parametrize("backend, fused", BACKENDS)
def test_yolov2(backend, fused):
    """Batch norm, leaky, pooling with stride 2 and 1, shared sources, two routes, reorg, 1x1 convolutions, region boxes."""
    assert farthest(compared(BODY.format(activation="leaky") + REGION.format(rescore=0), backend, fused)) < 1e-4


@pytest.mark.parametrize("backend, fused", BACKENDS)
def test_yolov4(backend, fused):
    """mish, swish and logistic, a residual block that half of the channels go round, groups in a route, a gate for the
    channels, spatial pyramid pooling, upsampling; heads with scale_x_y and with new_coords."""
    assert farthest(compared(YOLOV4, backend, fused)) < 1e-3


def test_yolov4_tiny():
    cfg = parser.override(parser.read("cfg/yolov4-tiny.cfg"), {"net.width": 96, "net.height": 64})
    assert farthest(compared(parser.render(cfg), "engine", False)) < 1e-3


def test_the_comparison_notices_a_difference():
    def spoil(net):
        net.layers[8].norm.scale[3] *= 1.05
    found = compared(YOLOV4, "kernels", False, spoil)
    assert found["layer_7"].relative < 1e-3 < found["layer_8"].relative
