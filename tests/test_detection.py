"""The YOLOv1 head: golden values of the real Darknet, an independent counterpart, and the numeric derivative."""
from types import SimpleNamespace

import naive_detection as naive
import numpy as np
import pytest
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import detection_activate, detection_assign, detection_decode, detection_loss


def train(x, truth, side, num, classes, sqrt=0, rescore=0, scales=(1, 1, 1, 1), softmax=0, chosen=None):
    """activate, decode, assign and loss in one go -> namespace of all arrays. x raw (b, n), truth (b, t, 5)."""
    b, out = len(x), np.full_like(x, np.nan)
    boxes, match = np.full((b, side, side, num, 4), np.nan, x.dtype), np.full((b, truth.shape[1], 4), np.nan)
    target, weight, grad = (np.full_like(x, np.nan) for _ in range(3))
    loss, cost = np.full(b, np.nan), np.full(b, np.nan)
    chosen = np.full(truth.shape[:2], -1) if chosen is None else chosen
    detection_activate(x, out, side, classes, softmax)
    detection_decode(out, side, classes, sqrt, boxes)
    detection_assign(out, boxes, truth, chosen, side, classes, sqrt, rescore, scales, target, weight, match)
    detection_loss(out, target, weight, side * side * classes if softmax else 0, grad, loss, cost)
    return SimpleNamespace(**{name: value for name, value in locals().items() if name not in ("x", "b")})


SHAPES = [(1, 1, 1), (2, 2, 3), (3, 2, 1), (5, 3, 20)]  # side, num, classes


def random_case(seed, side, num, classes, b=3):
    """x, truth with empty rows and shared cells."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-.2, 1, (b, side * side * (classes + 5 * num)))
    truth = np.concatenate([rng.uniform(.01, .99, (b, 6, 2)), rng.uniform(.02, .6, (b, 6, 2)),
                            rng.integers(0, classes, (b, 6, 1))], axis=2)
    truth[0, 2] = truth[-1, -1] = 0
    truth[-1, 0, 2] = .004  # too narrow
    return x, truth


def test_golden():
    """G8: what the original Darknet makes of one object in cell 2 of 2 x 2."""
    x = ((np.arange(48) * 7) % 11 * .09)[None]
    truth = np.array([[[.2, .8, .3, .5, 1]]])  # x, y .4, .6 within the cell of row 1, column 0
    run = train(x, truth, 2, 2, 2, sqrt=1, rescore=1, scales=(5, 1, .5, 1))
    delta = np.zeros(48)
    delta[[4, 5]] = -.54, .82
    delta[8:16] = -.045, -.36, -.18, 0, -.315, -.27, -.45, -.27
    delta[36:40] = -2.5, .3, 1.838613, -.5144661
    np.testing.assert_allclose(-run.grad[0], delta, atol=1e-6)
    assert run.cost[0] == pytest.approx(11.56072, rel=1e-6)
    assert run.match[0, 0, 0] == 2 * 2 + 1


@pytest.mark.plain
@pytest.mark.parametrize("side, num, classes", SHAPES)
@pytest.mark.parametrize("sqrt, rescore, scales", [(0, 0, (1, 1, 1, 1)), (1, 1, (5, 2, .5, 3)), (1, 0, (0, 1, .1, 0))])
def test_matches_the_naive_counterpart(side, num, classes, sqrt, rescore, scales):
    for seed in range(3):
        x, truth = random_case(seed, side, num, classes)
        run = train(x, truth, side, num, classes, sqrt, rescore, scales)
        for image in range(len(x)):
            delta = naive.deltas(x[image], [row for row in truth[image] if row[2] > 0], side, num, classes, sqrt=sqrt,
                                 rescore=rescore, coord=scales[0], obj=scales[1], noobj=scales[2], kind=scales[3])
            np.testing.assert_allclose(-run.grad[image], delta, atol=1e-12)
            assert run.cost[image] == pytest.approx((delta ** 2).sum())


@pytest.mark.plain
@pytest.mark.parametrize("softmax", [0, 1])
@pytest.mark.parametrize("side, num, classes", SHAPES)
def test_gradient(side, num, classes, softmax):
    x, truth = random_case(7, side, num, classes)
    run = train(x, truth, side, num, classes, 1, 1, (5, 2, .5, 3), softmax)
    probabilities = side * side * classes if softmax else 0

    def loss():
        out, grad, each, cost = np.empty_like(x), np.empty_like(x), np.empty(len(x)), np.empty(len(x))
        detection_activate(x, out, side, classes, softmax)
        detection_loss(out, run.target, run.weight, probabilities, grad, each, cost)
        return each.sum()

    check_gradient(loss, x, run.grad, "detection_loss")
    unscaled = np.divide(run.grad, run.weight, out=np.zeros_like(run.grad), where=run.weight != 0)
    check_rejected(loss, x, -run.grad, unscaled, 2 * run.grad)


@pytest.mark.plain
def test_decode_and_softmax():
    side, num, classes = 2, 2, 3
    x = random_case(1, side, num, classes, 2)[0]
    run = train(x, np.zeros((2, 1, 5)), side, num, classes, 1, softmax=1)
    kinds = np.exp(x[:, :12]).reshape(2, 4, 3)
    np.testing.assert_allclose(run.out[:, :12].reshape(2, 4, 3), kinds / kinds.sum(2, keepdims=True))
    np.testing.assert_array_equal(run.out[:, 12:], x[:, 12:])
    bx, by, bw, bh = x[1, 4 * (3 + 2):].reshape(2, 2, 2, 4)[1, 0, 1]  # row 1, column 0, box 1
    np.testing.assert_allclose(run.boxes[1, 1, 0, 1], [bx / 2, (1 + by) / 2, bw ** 2, bh ** 2])
    assert (run.match[..., 0] == -1).all()


def test_the_box_that_overlaps_most_answers():
    """Two boxes in one cell; where none overlaps, the nearest does; a chosen one always."""
    x = np.zeros((1, 1 + 10))
    x[0, 3:] = .2, .2, .1, .1, .5, .5, .4, .4
    near, far = np.array([[[.45, .5, .5, .5, 0]]]), np.array([[[.9, .02, .02, .02, 0]]])
    assert train(x, near, 1, 2, 1).match[0, 0, 0] == 1
    x[0, 3:] = .2, .2, .1, .1, .8, .1, .01, .01
    assert train(x, far, 1, 2, 1).match[0, 0, 0] == 1 and train(x, far, 1, 2, 1).match[0, 0, 1] == 0
    assert train(x, far, 1, 2, 1, chosen=np.array([[0]])).match[0, 0, 0] == 0
    assert np.isfinite(train(x * 1e6, far, 1, 2, 1).grad).all()  # farther than the 20 where Darknet finds none


def test_a_cell_has_one_object():
    truth = np.array([[[.3, .3, .2, .2, 0], [.4, .2, .21, .2, 2], [1., 1., .1, .1, 1]]])
    run = train(np.zeros((1, 4 * (3 + 5))), truth, 2, 1, 3)
    assert run.match[0, :, 0].tolist() == [0, -1, 3]  # and x = y = 1 belongs to the last cell
    np.testing.assert_allclose(run.target[0, [0, 2]], [1, 0])
    np.testing.assert_allclose(run.target[0, 16:20], [.6, .6, .2, .2])


def test_same_bits_and_float32(same_bits):
    x, truth = random_case(3, 5, 3, 20, b=5)

    def run():
        found = train(x, truth, 5, 3, 20, 1, 1, (5, 1, .5, 1), 1)
        return found.grad, found.loss, found.cost, found.match

    same_bits(run)
    single = train(x.astype(np.float32), truth.astype(np.float32), 5, 3, 20, 1, 1, (5, 1, .5, 1), 1)
    np.testing.assert_allclose(single.grad, run()[0], atol=1e-4)
