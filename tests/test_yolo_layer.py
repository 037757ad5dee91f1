"""[yolo] in a network: two heads that share the anchors, their boxes, their loss, and what cannot be."""
import numpy as np
import pytest

from minidarknet import Network
from minidarknet.errors import CfgError, DataError
from minidarknet.ops import BACKENDS
from minidarknet.optimizer import SGD

HEADS = """[net]
batch=2
width=64
height=64
channels=3
learning_rate=.005
momentum=.9
burn_in=0

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=16
size=3
stride=4
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters={filters}
size=1
activation=linear

[yolo]
mask={coarse}
anchors=6,6, 10,12, 30,30, 40,50
classes={classes}
num=4
ignore_thresh=.5

[route]
layers=2

[upsample]
stride=2

[route]
layers=-1,1

[convolutional]
filters=16
size=1
activation=linear

[yolo]
mask=0,1
anchors=6,6, 10,12, 30,30, 40,50
classes=3
num=4
ignore_thresh=.5
"""
TRUTH = np.array([[[.3, .3, .1, .1, 0], [.6, .5, .5, .6, 2]], [[.7, .2, .16, .2, 1], [0, 0, 0, 0, 0]]], np.float32)


def text(filters=16, coarse="2,3", classes=3):
    return HEADS.format(filters=filters, coarse=coarse, classes=classes)


@pytest.fixture
def net():
    return Network.from_string(text(), seed=3)


def test_two_heads(net, rng):
    outs = net.predict(rng.random((2, 64, 64, 3), np.float32))
    assert [out.shape for out in outs] == [(2, 4, 4, 16), (2, 8, 8, 16)]
    assert net.detects and net.classes == 3 and net.stride == 16 and net.heads == [net.layers[4], net.layers[9]]
    boxes, objectness, probability = net.boxes(outs)
    assert boxes.shape == (2, 160, 4) and objectness.shape == (2, 160) and probability.shape == (2, 160, 3)
    cell = outs[0][1, 2, 3].reshape(2, 8)[1]  # picture 1, row 2, column 3, the anchor of 40 x 50 pixels
    number = (2 * 4 + 3) * 2 + 1
    np.testing.assert_allclose(boxes[1, number], [(3 + cell[0]) / 4, (2 + cell[1]) / 4, np.exp(cell[2]) * 40 / 64,
                                                  np.exp(cell[3]) * 50 / 64], rtol=1e-5)
    assert objectness[1, number] == cell[4] and np.array_equal(probability[1, number], cell[5:])
    cell = outs[1][0, 7, 0].reshape(2, 8)[0]
    np.testing.assert_allclose(boxes[0, 32 + 7 * 8 * 2], [cell[0] / 8, (7 + cell[1]) / 8, np.exp(cell[2]) * 6 / 64,
                                                          np.exp(cell[3]) * 6 / 64], rtol=1e-5)


def test_an_object_is_one_heads(net, rng):
    net.forward(rng.random((2, 64, 64, 3), np.float32), TRUTH, train=True)
    coarse, fine = (head.match[..., 0] >= 0 for head in net.heads)
    assert coarse.tolist() == [[False, True], [False, False]] and fine.tolist() == [[True, False], [True, False]]
    assert net.statistics["count"] == 3


def test_cost_is_the_mean_of_the_heads_and_loss_their_sum(net, rng):
    """Darknet prints the mean; what is differentiated is the sum."""
    x = rng.random((2, 64, 64, 3), np.float32)
    net.forward(x, TRUTH, train=True)
    costs = [np.square(head.gradient).sum() / 2 for head in net.heads]
    assert net.darknet_cost == pytest.approx(sum(costs) / 2, rel=1e-5)
    assert net.loss > 0


@pytest.mark.parametrize("backend, lines", [*((backend, ()) for backend in BACKENDS), ("kernels", ("iou_loss=ciou",))])
def test_learns_by_heart_and_finds_again(backend, lines, rng):
    net = Network.from_string(with_keys(*lines), seed=3, backend=backend)
    pictures = (rng.random((2, 64, 64, 3)) * 255).astype(np.uint8)
    x, sgd, losses = pictures.astype(np.float32) / 255, SGD(net), []
    for _ in range(150):
        losses.append(net.forward(x, TRUTH, train=True))
        net.backward()
        sgd.step()
    assert np.mean(losses[-5:]) < .4 * np.mean(losses[:5])
    for picture, objects in zip(pictures, TRUTH, strict=True):
        found = net.detect(picture, thresh=.3)
        wanted = {int(row[4]) for row in objects if row[2] > 0}
        assert wanted <= set(found.class_id.tolist())


def test_size_changes_with_the_network(net, rng):
    net.resize((96, 128))
    outs = net.predict(rng.random((1, 128, 96, 3), np.float32))
    boxes = net.boxes(outs)[0]
    cell = outs[0][0, 0, 0]
    np.testing.assert_allclose(boxes[0, 0, 2:], [np.exp(cell[2]) * 30 / 96, np.exp(cell[3]) * 30 / 128], rtol=1e-5)


@pytest.mark.parametrize("changes, message", [
    ({"filters": 15}, r"expects 16 channels = anchors in mask 2 x \(coords 4 \+ 1 \+ classes 3\).*set filters=16"),
    ({"coarse": "2,4"}, "expected different numbers of anchors, 0 to 3"), ({"coarse": "2,2"}, "expected different numbers"),
    ({"coarse": "-1,2"}, "expected at least 0"),
    ({"classes": 2, "filters": 14}, "all heads must tell the same classes apart")])
def test_what_does_not_fit(changes, message):
    with pytest.raises(CfgError, match=message):
        Network.from_string(text(**changes))


def with_keys(*lines):
    return text().replace("ignore_thresh=.5", "\n".join(["ignore_thresh=.5", *lines]))


@pytest.mark.parametrize("line", ["focal_loss=1", "nms_kind=cornersnms", "counters_per_class=1,2,3", "iou_thresh_kind=giou",
                                  "map=a"])
def test_later_keys_are_refused(line):
    with pytest.raises(CfgError, match="is not supported yet"):
        Network.from_string(with_keys(line))


@pytest.mark.parametrize("line, told", [
    ("iou_loss=siou", "expected one of mse, iou, giou, diou, ciou"), ("scale_x_y=.5", "expected at least 1"),
    ("iou_normalizer=-2", "expected at least 0"), ("label_smooth_eps=1", "expected 0 up to below 1"),
    ("max_delta=-1", "expected at least 0"), ("new_coords=2", "expected one of 0, 1")])
def test_values_out_of_range(line, told):
    with pytest.raises(CfgError, match=told):
        Network.from_string(with_keys(line))


YOLOV4 = ("scale_x_y=1.05", "iou_thresh=.213", "iou_loss=ciou", "iou_normalizer=.07", "cls_normalizer=1", "max_delta=5",
          "nms_kind=greedynms", "beta_nms=.6", "resize=1.5")


def test_defaults_are_the_originals_without_and_alexeyabs_with_an_overlap():
    for lines, expected in (((), 1), (("iou_loss=giou",), .75), (("iou_loss=mse", "iou_normalizer=.5"), .5)):
        assert Network.from_string(with_keys(*lines)).head.options.iou_normalizer == expected


@pytest.mark.parametrize("lines, penalty, mode", [
    ((), 0, "letterbox"), (YOLOV4, .6, "stretch"), (("nms_kind=diounms", "beta_nms=.7"), .7, "letterbox")])
def test_what_the_head_says_about_detecting(lines, penalty, mode):
    net = Network.from_string(with_keys(*lines))
    assert (net.head.nms_penalty, net.resize_mode) == (penalty, mode)
    for value, told in ((1, "letterbox"), (0, "stretch")):
        changed = with_keys(*lines).replace("channels=3", f"channels=3\nletter_box={value}")
        assert Network.from_string(changed).resize_mode == told


def test_centres_reach_beyond_their_cell(rng):
    net = Network.from_string(with_keys("scale_x_y=1.2"), seed=3)
    net.layers[3].bias[0::8] = net.layers[3].bias[1::8] = 20  # the logistic is 1
    boxes = net.boxes(net.predict(rng.random((1, 64, 64, 3), np.float32)))[0]
    np.testing.assert_allclose(boxes[0, :2, :2], 1.1 / 4, rtol=1e-5)


def test_new_coords(rng):
    """The layer before is the logistic; w and h are squares."""
    body = with_keys("new_coords=1", "scale_x_y=2").replace("size=1\nactivation=linear", "size=1\nactivation=logistic")
    net = Network.from_string(body, seed=3)
    outs = net.predict(rng.random((1, 64, 64, 3), np.float32))
    raw = net.layers[3].out[0, 0, 0, :4]
    assert raw.min() > 0
    assert net.layers[3].out.max() < 1
    expected = [2 * raw[0] - .5, 2 * raw[1] - .5, 4 * raw[2] ** 2 * 30 / 16, 4 * raw[3] ** 2 * 30 / 16]
    np.testing.assert_allclose(net.boxes(outs)[0][0, 0] * 4, expected, rtol=1e-5)


def test_a_truth_that_cannot_be(net, rng):
    wrong = TRUTH.copy()
    wrong[1, 0, 4] = 3
    with pytest.raises(DataError, match="has no class of this network"):
        net.forward(rng.random((2, 64, 64, 3), np.float32), wrong, train=True)
