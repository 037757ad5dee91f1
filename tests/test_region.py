"""The region head: golden values of the real Darknet, an independent counterpart, and the numeric derivative."""
from types import SimpleNamespace

import naive_region as naive
import numba
import numpy as np
import pytest

from minidarknet.kernels.region import region_activate, region_assign, region_decode, region_loss
from minidarknet.wordtree import WordTree

DEFAULT = {"direct": 1, "softmax": 1, "warm_up": False, "thresh": .6, "bias_match": 1, "rescore": 1,
           "scales": (1., 5., 1., 1.)}


def train(x, anchors, truth, classes, tree=None, class_only_iou=.3, **changes):
    """activate, decode, assign and loss in one go -> namespace of all arrays. x raw (b, h, w, c)."""
    o, tree = {**DEFAULT, **changes}, tree or WordTree.flat(classes)
    anchors = np.asarray(anchors, x.dtype)
    b, h, w, _ = x.shape
    n = len(anchors)
    out, target, weight, grad = (np.full_like(x, np.nan) for _ in range(4))
    boxes = np.full((b, h, w, n, 4), np.nan, x.dtype)
    match, loss, cost = np.full((b, truth.shape[1], 4), np.nan), np.full(b, np.nan), np.full(b, np.nan)
    region_activate(x, out, anchors, 4, o["direct"], o["softmax"], tree.borders)
    region_decode(out, anchors, classes, 4, boxes)
    region_assign(out, boxes, anchors, truth.astype(x.dtype), 4, o["softmax"], (tree.parent, tree.first, tree.last),
                  o["warm_up"], o["thresh"], o["bias_match"], o["rescore"], class_only_iou, o["scales"], target, weight,
                  match)
    region_loss(out, target, weight, anchors, classes, 4, o["direct"], o["softmax"], grad, loss, cost)
    return SimpleNamespace(x=x, anchors=anchors, direct=o["direct"], out=out, boxes=boxes, target=target, weight=weight,
                           match=match, grad=grad, loss=loss, cost=cost, classes=classes, softmax=o["softmax"], tree=tree)


def loss_at(run, x):
    """The loss of other raw numbers under the assignments of `run`, its gradient being thrown away."""
    out, grad, loss, cost = np.empty_like(x), np.empty_like(x), np.empty(len(x)), np.empty(len(x))
    region_activate(x, out, run.anchors, 4, run.direct, run.softmax, run.tree.borders)
    region_loss(out, run.target, run.weight, run.anchors, run.classes, 4, run.direct, run.softmax, grad, loss, cost)
    return loss.sum()


def random_case(seed, b=2, h=3, w=4, n=2, classes=3, t=4, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (b, h, w, n * (5 + classes))).astype(dtype)
    anchors = rng.uniform(.5, 2.5, (n, 2))
    truth = np.concatenate([rng.uniform(.05, .95, (b, t, 2)), rng.uniform(.05, .6, (b, t, 2)),
                            rng.integers(0, classes, (b, t, 1))], axis=2)
    return x, anchors, truth


def rows(truth):
    """Truth (b, t, 5) as the lists of the naive counterpart, without its empty rows."""
    return [[tuple(row) for row in image if row[2] > 0 and row[3] > 0] for image in truth]


# ---- Darknet's own numbers (spec, G6): a 2 x 2 grid, two anchors, two classes, one truth

def golden_case(warm_up):
    x = (((np.arange(56) * 7) % 11 - 5) * .1).reshape(1, 2, 7, 2, 2)
    truth = np.array([[[.3, .7, .25, .6, 1]]])
    return train(naive.our_order(x), [[1, 1], [.5, 1.5]], truth, 2, warm_up=warm_up)


def delta_of(run):
    """Darknet's delta of a run, flat and in Darknet's order."""
    return naive.darknet_order(run.weight * (run.target - run.out), run.boxes.shape[3]).ravel()


def test_golden_deltas():
    expected = np.zeros(56)
    expected[16:20] = -.4255575, -.5986876, -.5, -.4013124
    expected[[30, 34, 38, 42]] = .3675722, -.277193, .555, -.9678155
    expected[44:48] = -.3775407, -.549834, -.9198148, -.6224594
    expected[[50, 54]] = -.6224594, .6224593
    run = golden_case(warm_up=False)
    np.testing.assert_allclose(delta_of(run), expected, atol=1e-6)
    assert run.cost[0] == pytest.approx(4.860495, abs=2e-6)

    squashed = np.r_[16:20, 30, 34, 44:48]  # these pass through a logistic, 38, 42, 50 and 54 do not
    slope = np.ones(56)
    out = naive.darknet_order(run.out, 2).ravel()
    slope[squashed] = (out * (1 - out))[squashed]
    np.testing.assert_allclose(naive.darknet_order(run.grad, 2).ravel(), -expected * slope, atol=1e-6)


def test_golden_warm_up():
    run = golden_case(warm_up=True)
    delta = delta_of(run)
    assert delta[0] == pytest.approx(.001224593, abs=1e-8)
    assert delta[8] == pytest.approx(.004, abs=1e-8)
    assert delta[30] == pytest.approx(.3675722, abs=1e-6)  # the truth replaces the prior
    assert run.cost[0] == pytest.approx(4.860647, abs=2e-6)


def test_golden_statistics_and_boxes():
    run = golden_case(warm_up=False)
    number, overlap, objectness, probability = run.match[0, 0]
    assert number == (1 * 2 + 0) * 2 + 1  # row 1, column 0, anchor 1
    np.testing.assert_allclose((overlap, probability, objectness), (.266203, .377541, .450166), atol=1e-6)
    assert run.out[..., 4::7].mean() == pytest.approx(.490695, abs=1e-6)
    # Darknet decoded them for a 100 x 50 picture, whose letterbox is the middle half of the square input.
    for (oy, ox, a), (x, y, w, h) in {(0, 0, 0): (.18877, .024979, .33516, 1.221403),
                                      (1, 1, 0): (.81123, 1.0, .303265, 1.105171),
                                      (1, 1, 1): (.787221, .950166, .372956, 1.357256)}.items():
        np.testing.assert_allclose(run.boxes[0, oy, ox, a], (x, (y + .5) / 2, w, h / 2), atol=1e-6)


# ---- the independent counterpart

CASES = [{}, {"direct": 0}, {"warm_up": True}, {"bias_match": 0}, {"rescore": 0}, {"softmax": 0}, {"thresh": .2},
         {"softmax": 0, "warm_up": True, "bias_match": 0, "rescore": 0, "scales": (1.5, 2., .7, .3)},
         {"direct": 0, "warm_up": True, "bias_match": 0}]
SHAPES = [{}, {"n": 1}, {"classes": 1}, {"t": 0}, {"t": 45}, {"h": 1, "w": 7}, {"h": 5, "w": 2, "n": 3, "b": 3}]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("changes", CASES, ids=str)
def test_like_the_naive_counterpart(changes, shape, dtype):
    x, anchors, truth = random_case(1, dtype=dtype, **shape)
    run = train(x, anchors, truth, shape.get("classes", 3), **changes)
    o = {**DEFAULT, **changes}
    out = naive.activate(naive.darknet_order(x.astype(np.float64), len(anchors)), o["softmax"])
    if not o["direct"]:
        naive.offset(out, naive.darknet_order(x.astype(np.float64), len(anchors)), anchors)
    delta, statistics = naive.deltas(out, anchors, rows(truth), **o)
    close = {"atol": 1e-12} if dtype == np.float64 else {"atol": 1e-5}
    np.testing.assert_allclose(run.out, naive.our_order(out), **close)
    np.testing.assert_allclose(run.grad, naive.our_order(naive.gradient(out, delta, o["direct"])), **close)
    np.testing.assert_allclose(run.cost, (delta ** 2).sum(axis=(1, 2, 3, 4)), rtol=1e-5)
    if statistics["count"]:
        means = run.match.reshape(-1, 4).mean(axis=0)
        np.testing.assert_allclose(means[1:], [statistics[k] for k in ("avg_iou", "obj", "class_probability")], **close)


def test_strided_arrays():
    """The engine's outputs are inner views of larger arrays."""
    x, anchors, truth = random_case(2)
    whole = train(x, anchors, truth, 3)
    frame = np.zeros((2, 5, 6, x.shape[3]))
    frame[:, 1:4, 1:5] = x
    inner = train(frame[:, 1:4, 1:5], anchors, truth, 3)
    np.testing.assert_array_equal(inner.grad, whole.grad)


def test_extreme_numbers_stay_finite():
    x, anchors, truth = random_case(3, dtype=np.float32)
    for softmax in (0, 1):
        x[..., 4:] *= 500
        run = train(x, anchors, truth, 3, softmax=softmax)
        assert np.isfinite(run.loss).all() and np.isfinite(run.grad).all() and np.isfinite(run.out).all()


def test_not_a_number_is_not_hidden():
    x, anchors, truth = random_case(3)
    x[1, 0, 0, 4] = np.nan
    run = train(x, anchors, truth, 3)
    assert np.isfinite(run.loss[0]) and np.isnan(run.loss[1])


# ---- the numeric derivative

def numeric(run, step=1e-6):
    """dL/dx by central differences, one raw number after the other, with the assignments held fixed."""
    result = np.empty_like(run.x)
    for i in np.ndindex(run.x.shape):
        there = run.x.copy()
        there[i] += step
        up = loss_at(run, there)
        there[i] -= 2 * step
        result[i] = (up - loss_at(run, there)) / (2 * step)
    return result


def gradient_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_gradient(changes):
    x, anchors, truth = random_case(4, b=1, h=2, w=3)
    run = train(x, anchors, truth, 3, **changes)
    assert gradient_error(run.grad, numeric(run)) < 1e-7


def test_gradient_check_notices_a_forgotten_anchor():
    x, anchors, truth = random_case(4, b=1, h=2, w=3)
    run = train(x, anchors, truth, 3, direct=0)
    for divisor in (anchors[:, 0], 1 / anchors[:, 0]):    # once too often, once too little
        spoilt = run.grad.copy()
        spoilt[..., 0::8] /= divisor
        assert gradient_error(spoilt, numeric(run)) > 1e-2


def test_an_offset_moves_the_box_by_sizes_of_its_anchor():
    """One anchor width to the right and two anchor heights up, out of its cell and its picture."""
    x = np.zeros((1, 4, 4, 7))
    x[0, 2, 1, :2] = 1, -2
    run = train(x, [[1.5, 2.]], np.zeros((1, 0, 5)), 2, direct=0)
    np.testing.assert_allclose(run.boxes[0, 2, 1, 0], [(1.5 + 1.5) / 4, (2.5 - 2 * 2) / 4, 1.5 / 4, 2 / 4])


@pytest.mark.parametrize("spoil", ["sign", "no slope", "slope everywhere", "no class", "order"])
def test_gradient_check_notices(spoil):
    x, anchors, truth = random_case(4, b=1, h=2, w=3)
    run = train(x, anchors, truth, 3, warm_up=True)
    entry = np.arange(x.shape[3]) % 8
    slope = run.out * (1 - run.out)
    spoilt = {"sign": -run.grad,
              "no slope": np.where(entry == 0, run.grad / slope, run.grad),
              "slope everywhere": np.where(entry == 2, run.grad * slope, run.grad),
              "no class": np.where(entry == 6, 0, run.grad),
              "order": naive.darknet_order(run.grad, 2).reshape(x.shape)}[spoil]
    assert gradient_error(spoilt, numeric(run)) > 1e-3


def test_rescore_target_is_a_constant():
    """The IoU that objectness learns moves with the box, but no gradient flows through it."""
    x, anchors, truth = random_case(5, b=1, t=1)
    free = train(x, anchors, truth, 3, scales=(0., 5., 1., 1.))
    assert free.target[..., 4::8].max() == pytest.approx(free.match[0, 0, 1])
    assert (free.grad[..., 0::8] == 0).all() and (free.grad[..., 2::8] == 0).all()


# ---- which anchor-cell answers for which truth

def quiet(h=3, w=3, classes=2, n=1):
    """Raw numbers whose boxes are tiny and overlap nothing."""
    x = np.zeros((1, h, w, n * (5 + classes)))
    for a in range(n):
        x[..., a * (5 + classes) + 2] = x[..., a * (5 + classes) + 3] = -6
    return x


def test_later_truth_overwrites():
    truth = np.array([[[.5, .5, .2, .2, 0], [.55, .5, .4, .4, 1]]])
    run = train(quiet(), [[1, 1]], truth, 2)
    alone = train(quiet(), [[1, 1]], truth[:, 1:], 2)
    np.testing.assert_array_equal(run.grad, alone.grad)
    assert (run.match[0, :, 0] == 4).all()  # both were counted


def test_independent_classes_add_up():
    truth = np.array([[[.5, .5, .2, .2, 0], [.5, .5, .2, .2, 1]]])
    assert train(quiet(), [[1, 1]], truth, 2, softmax=0).target[0, 1, 1, 5:].tolist() == [1, 1]
    assert train(quiet(), [[1, 1]], truth, 2, softmax=1).target[0, 1, 1, 5:].tolist() == [0, 1]


def test_empty_rows_do_not_count_wherever_they_stand():
    x, anchors, truth = random_case(6, b=1, t=3)
    sparse = np.zeros((1, 7, 5))
    sparse[0, [1, 4, 6]] = truth[0]
    sparse[0, 2] = .5, .5, 0, .3, 1
    sparse[0, 5] = .5, .5, .3, -1, 1
    whole, gaps = train(x, anchors, truth, 3), train(x, anchors, sparse, 3)
    np.testing.assert_array_equal(whole.grad, gaps.grad)
    assert (gaps.match[0, [0, 2, 3, 5], 0] == -1).all() and (gaps.match[0, [1, 4, 6], 0] >= 0).all()


def test_truth_at_x_0_counts():
    """Darknet takes x = 0 for the end of the list."""
    run = train(quiet(), [[1, 1]], np.array([[[0, .5, .2, .2, 1], [.9, .5, .2, .2, 1]]]), 2)
    assert run.match[0, :, 0].tolist() == [3, 5]


def test_right_and_lower_edge_belong_to_the_last_cell():
    run = train(quiet(3, 4), [[1, 1]], np.array([[[1, 1, .2, .2, 1]]]), 2)
    assert run.match[0, 0, 0] == 11
    assert run.target[0, 2, 3, :2].tolist() == [1, 1]


def test_anchor_ties_go_to_the_first():
    run = train(quiet(n=3), [[2, 1], [1, 1], [1, 1]], np.array([[[.5, .5, 1 / 3, 1 / 3, 1]]]), 2)
    assert run.match[0, 0, 0] == 4 * 3 + 1


@pytest.mark.parametrize("bias_match, winner", [(1, 0), (0, 1)])
def test_bias_match(bias_match, winner):
    x = quiet(n=2)
    x[..., [2, 3]] = 2          # the first anchor has the truth's shape, but predicts boxes much larger
    x[..., [9, 10]] = np.log(.5)  # the second is twice as large, and predicts the truth's shape
    run = train(x, [[1, 1], [2, 2]], np.array([[[.5, .5, 1 / 3, 1 / 3, 1]]]), 2, bias_match=bias_match)
    assert run.match[0, 0, 0] % 2 == winner


def test_ignored_when_it_overlaps_but_is_not_responsible():
    x = np.zeros((1, 1, 1, 14))
    truth = np.array([[[.5, .5, .5, .5, 0]]])
    anchors = [[.5, .5], [.45, .45]]   # IoU 1 and .81
    assert train(x, anchors, truth, 2, thresh=.8).weight[0, 0, 0, [4, 11]].tolist() == [5, 0]
    assert train(x, anchors, truth, 2, thresh=.82).weight[0, 0, 0, [4, 11]].tolist() == [5, 1]


def test_coordinate_weight_falls_with_the_area():
    truth = np.array([[[.5, .5, .5, .5, 0]]])
    run = train(quiet(), [[1, 1]], truth, 2, scales=(3., 1., 1., 1.))
    np.testing.assert_allclose(run.weight[0, 1, 1, :4], 3 * (2 - .25))


def test_batch_order_does_not_matter():
    x, anchors, truth = random_case(7, b=3)
    run, turned = train(x, anchors, truth, 3), train(x[::-1].copy(), anchors, truth[::-1].copy(), 3)
    np.testing.assert_array_equal(run.grad, turned.grad[::-1])


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="threads are Numba's")
def test_same_bits_for_any_number_of_threads():
    case = random_case(8, b=5, dtype=np.float32)
    results, before = [], numba.get_num_threads()
    for threads in (1, min(2, before)):
        numba.set_num_threads(threads)
        results.append(train(*case, 3, warm_up=True))
    numba.set_num_threads(before)
    for name in ("out", "boxes", "target", "weight", "match", "grad", "loss", "cost"):
        np.testing.assert_array_equal(getattr(results[0], name), getattr(results[1], name))
