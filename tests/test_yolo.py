"""The YOLOv3 head: golden values of the real Darknet, an independent counterpart, and the numeric derivative."""
from types import SimpleNamespace

import naive_region
import naive_yolo as naive
import numpy as np
import pytest
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import YoloHead, yolo_activate, yolo_assign, yolo_decode, yolo_loss


def train(x, anchors, mask, size, truth, classes, ignore_thresh=.5, truth_thresh=1.0, **keys):
    """activate, decode, assign and loss in one go -> namespace of all arrays. x raw (b, h, w, c)."""
    mask = np.asarray(mask)
    head = YoloHead(np.asarray(anchors, x.dtype), mask, np.array(size), classes, ignore_thresh=ignore_thresh,
                    truth_thresh=truth_thresh, **keys)
    b, h, w, _ = x.shape
    out, target, weight, grad = (np.full_like(x, np.nan) for _ in range(4))
    boxes = np.full((b, h, w, len(mask), 4), np.nan, x.dtype)
    match, loss, cost = np.full((b, truth.shape[1], 4), np.nan), np.full(b, np.nan), np.full(b, np.nan)
    yolo_activate(x, out, head)
    yolo_decode(out, head, boxes)
    yolo_assign(out, boxes, head, truth.astype(x.dtype), target, weight, match)
    yolo_loss(out, boxes, head, target, weight, grad, loss, cost)
    return SimpleNamespace(out=out, boxes=boxes, target=target, weight=weight, match=match, grad=grad, loss=loss, cost=cost,
                           head=head)


def loss_of(x, run):
    """What yolo_loss says of raw x, target and weight being those of `run`."""
    out, boxes, grad, each, cost = (np.empty_like(a) for a in (x, run.boxes, x, run.loss, run.cost))
    yolo_activate(x, out, run.head)
    yolo_decode(out, run.head, boxes)
    yolo_loss(out, boxes, run.head, run.target, run.weight, grad, each, cost)
    return each.sum()


def random_case(seed, b=2, h=3, w=4, n=2, num=4, classes=3, t=6, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (b, h, w, n * (5 + classes))).astype(dtype)
    anchors = rng.uniform(8, 60, (num, 2))
    truth = np.concatenate([rng.uniform(.05, .95, (b, t, 2)), rng.uniform(.05, .6, (b, t, 2)),
                            rng.integers(0, classes, (b, t, 1))], axis=2)
    return x, anchors, tuple(rng.permutation(num)[:n]), (32 * w, 32 * h), truth, classes


def rows(truth):
    return [[tuple(row) for row in image if row[2] > 0 and row[3] > 0] for image in truth]


def test_golden_deltas():
    """Golden G7, computed by Darknet: a 2 x 2 grid in a network of 2 x 2 pixels, three anchors of which two are ours."""
    x = (((np.arange(56) * 7) % 11 - 5) * .1).reshape(1, 2, 7, 2, 2)
    truth = np.array([[[.3, .7, .25, .6, 1]]])
    run = train(naive_region.our_order(x), [[1, 1], [2, 1], [.5, 1.2]], [1, 2], (2, 2), truth, 2, ignore_thresh=.2)
    delta = naive_region.darknet_order(-run.grad, 2).ravel()
    expected = np.zeros(56)
    expected[16:20] = -.4255575, -.5986876, 0, -.4013124
    expected[[30, 34, 38, 42]] = .3675722, -.277193, .555, -.555
    expected[44:48] = -.3775407, -.549834, .549834, -.6224594
    expected[[50, 54]] = -.5986876, .5249792
    np.testing.assert_allclose(delta, expected, atol=1e-5)
    assert run.cost[0] == pytest.approx(3.29723, abs=1e-5)
    np.testing.assert_allclose(run.match[0, 0, 1:], (.309787, .450166, .475021), atol=1e-6)
    assert run.out[..., 4::7].mean() == pytest.approx(.490695, abs=1e-6)


SHAPES = [{}, {"n": 1}, {"n": 4}, {"classes": 1}, {"t": 0}, {"t": 45}, {"h": 1, "w": 7}, {"h": 5, "w": 2, "n": 3, "b": 3}]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("thresholds", [(.5, 1.0), (.1, 1.0), (.1, .2), (.7, .3)], ids=str)
def test_like_the_naive_counterpart(thresholds, shape, dtype):
    x, anchors, mask, size, truth, classes = random_case(1, dtype=dtype, **shape)
    run = train(x, anchors, mask, size, truth, classes, *thresholds)
    out = naive.activate(naive_region.darknet_order(x.astype(np.float64), len(mask)))
    delta = naive.deltas(out, anchors, mask, size, rows(truth), *thresholds)
    close = {"atol": 1e-12} if dtype == np.float64 else {"atol": 2e-5}
    np.testing.assert_allclose(run.out, naive_region.our_order(out), **close)
    np.testing.assert_allclose(run.grad, naive_region.our_order(-delta), **close)
    np.testing.assert_allclose(run.cost, (delta ** 2).sum(axis=(1, 2, 3, 4)), rtol=1e-4)
    for image, oy, ox, a in np.ndindex(*run.boxes.shape[:4]):
        expected = naive.box(out, anchors, mask, size, image, a, oy, ox)
        np.testing.assert_allclose(run.boxes[image, oy, ox, a], expected, rtol=1e-4)


@pytest.mark.plain
def test_gradient_numerically():
    x, anchors, mask, size, truth, classes = random_case(2, h=2, w=3)
    run = train(x, anchors, mask, size, truth, classes, .3)
    assert (run.match[..., 0] >= 0).any() and (run.match[..., 0] < 0).any()  # some objects are another head's

    def loss():
        return loss_of(x, run)

    check_gradient(loss, x, run.grad, "yolo_loss")
    squashed = run.grad * run.out * (1 - run.out)  # with the slope of the logistic, which cancels
    unscaled = np.divide(run.grad, run.weight, out=np.zeros_like(run.grad), where=run.weight != 0)
    check_rejected(loss, x, -run.grad, squashed, unscaled)


LATER = [{"scale": 1.2}, {"iou_loss": 1}, {"iou_loss": 2, "scale": 1.05}, {"iou_loss": 3}, {"iou_loss": 4, "scale": 1.1},
         {"iou_thresh": .2, "label_smooth_eps": .1, "obj_normalizer": .4, "iou_normalizer": .07},
         {"objectness_smooth": True}, {"squared": True, "scale": 2.},
         {"squared": True, "scale": 2., "iou_loss": 4, "iou_normalizer": .5}]


def later_case(keys, seed=4, dtype=np.float64):
    """A random case; with new_coords the raw numbers have passed a logistic."""
    x, anchors, mask, size, truth, classes = random_case(seed, h=2, w=3, dtype=dtype)
    x = 1 / (1 + np.exp(-x)) if keys.get("squared") else x
    return x, anchors, mask, size, truth, classes, .3


@pytest.mark.plain
@pytest.mark.parametrize("keys", LATER, ids=str)
def test_gradient_of_the_later_keys_numerically(keys):
    case = later_case(keys)
    x, run = case[0], train(*case, **keys)

    def loss():
        return loss_of(x, run)

    check_gradient(loss, x, run.grad, str(keys))
    darknet = train(*case, **keys, strict=True).grad
    entries = np.arange(x.shape[3]) % 8
    check_rejected(loss, x, -run.grad, np.where(entries == 0, 0, run.grad), np.where(entries == 3, 2, 1) * run.grad,
                   *([darknet] if keys.get("iou_loss") else []))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("keys", LATER, ids=str)
def test_later_keys_like_the_naive_counterpart(keys, dtype):
    """Darknet's delta: with an overlap as loss it is not the gradient, so `strict`."""
    case = later_case(keys, 5, dtype)
    x, anchors, mask, size, truth, classes, ignore_thresh = case
    run = train(*case, **keys, strict=True)
    out = naive.activate(naive_region.darknet_order(x.astype(np.float64), len(mask)), keys)
    delta = naive.deltas(out, anchors, mask, size, rows(truth), ignore_thresh, keys=keys)
    close = {"atol": 1e-7} if dtype == np.float64 else {"atol": 5e-5}
    np.testing.assert_allclose(run.out, naive_region.our_order(out), **close)
    np.testing.assert_allclose(run.grad, naive_region.our_order(-delta), rtol=1e-5, **close)


def test_max_delta():
    keys = {"iou_loss": 4, "iou_normalizer": 3.}
    case = later_case(keys)
    free, run = train(*case, **keys), train(*case, **keys, max_delta=.05)
    entries = np.arange(free.grad.shape[3]) % 8
    assert np.abs(free.grad[..., entries < 4]).max() > .05
    np.testing.assert_array_equal(run.grad, np.where(entries < 4, free.grad.clip(-.05, .05), free.grad))


def test_two_objects_in_one_anchor_cell():
    """The later one's box counts; both classes are true."""
    x = np.zeros((1, 2, 2, 8))
    truth = np.array([[[.3, .3, .2, .2, 0], [.4, .2, .21, .2, 2]]])
    run = train(x, [[12, 12], [60, 60]], [0], (64, 64), truth, 3)
    assert run.match[0, 0, 0] == run.match[0, 1, 0] == 0
    np.testing.assert_allclose(run.target[0, 0, 0], [.8, .4, np.log(.21 * 64 / 12), np.log(.2 * 64 / 12), 1, 1, 0, 1])


def test_a_truth_on_the_edge_stays_inside():
    run = train(np.zeros((1, 2, 2, 6)), [[12, 12]], [0], (64, 64), np.array([[[1., 1., .2, .2, 0]]]), 1)
    assert run.match[0, 0, 0] == 3


def test_same_bits_and_strided_arrays(same_bits):
    x, anchors, mask, size, truth, classes = random_case(3, b=5)

    def run():
        found = train(x, anchors, mask, size, truth, classes, .2)
        return found.grad, found.loss, found.cost, found.match

    same_bits(run)
    frame = np.zeros((5, 5, 6, x.shape[3]))
    frame[:, 1:4, 1:5] = x
    np.testing.assert_array_equal(train(frame[:, 1:4, 1:5], anchors, mask, size, truth, classes, .2).grad, run()[0])
