"""The region head over a tree of classes: softmax per group, loss along the path, pictures with a class but no box."""
import naive_region as naive
import numpy as np
import pytest
from test_region import DEFAULT, gradient_error, numeric, random_case, rows, train

from minidarknet.kernels import region_absolute
from minidarknet.wordtree import WordTree

#           0 a            1 b
#      2 c      3 d     4 e    5 f
#    6 g 7 h                          8 i is g's only child
TREE = WordTree("abcdefghi", [-1, -1, 0, 0, 1, 1, 2, 2, 6])
NODES = len(TREE)


def case(seed=1, **kwargs):
    return random_case(seed, **{"classes": NODES, **kwargs})


def class_only(truth, image, kind):
    """The truth with one picture that has a class but no box, as Darknet marks it."""
    truth = truth.copy()
    truth[image] = 0
    truth[image, 0] = (*(999999,) * 4, kind)
    return truth


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [{}, {"n": 1}, {"h": 1, "w": 7}, {"t": 45}, {"h": 5, "w": 2, "n": 3, "b": 3}], ids=str)
@pytest.mark.parametrize("changes", [{}, {"warm_up": True}, {"scales": (1.5, 2., .7, .3)}], ids=str)
def test_like_the_naive_counterpart(changes, shape, dtype):
    x, anchors, truth = case(dtype=dtype, **shape)
    truth = class_only(truth, 1, 7)
    parent = TREE.parent.tolist()
    for iou in (.3, 0., 1.):
        run = train(x, anchors, truth, NODES, tree=TREE, class_only_iou=iou, **changes)
        out = naive.activate(naive.darknet_order(x.astype(np.float64), len(anchors)), 1, parent)
        delta, statistics = naive.deltas(out, anchors, rows(truth), parent=parent, class_only_iou=iou,
                                         **{**DEFAULT, **changes})
        close = {"atol": 1e-12} if dtype == np.float64 else {"atol": 1e-5}
        np.testing.assert_allclose(run.out, naive.our_order(out), **close)
        np.testing.assert_allclose(run.grad, naive.our_order(naive.gradient(out, delta)), **close)
        np.testing.assert_allclose(run.cost, (delta ** 2).sum(axis=(1, 2, 3, 4)), rtol=1e-5)
        met = run.match[run.match[..., 0] >= 0]
        assert len(met) == statistics["count"]
        np.testing.assert_allclose(met[:, 3].mean(), statistics["class_probability"], **close)


def test_a_flat_tree_is_the_ordinary_head():
    x, anchors, truth = case()
    flat, plain = train(x, anchors, truth, NODES, tree=WordTree.flat(NODES)), train(x, anchors, truth, NODES)
    np.testing.assert_array_equal(flat.grad, plain.grad)
    assert np.abs(train(x, anchors, truth, NODES, tree=TREE).grad - plain.grad).max() > .01


def test_probabilities_of_siblings_sum_to_one():
    x, anchors, truth = case()
    p = train(x, anchors, truth, NODES, tree=TREE).out.reshape(-1, 5 + NODES)[:, 5:]
    np.testing.assert_allclose(np.add.reduceat(p, TREE.borders[:-1], axis=1), 1)
    absolute = TREE.absolute(p)
    np.testing.assert_allclose(absolute[:, TREE.is_leaf].sum(axis=1), 1)  # a picture shows one of the leaves


@pytest.mark.plain
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_absolute_probabilities(rng, dtype):
    """Of a view as it lies in a head's output: bit for bit as NumPy's walk over groups, and the product along the path."""
    out = rng.random((2, 3, 5 + NODES)).astype(dtype)
    conditional, absolute = out[..., 5:], np.full((2, 3, NODES), 7, dtype)
    region_absolute(conditional, TREE.parent, absolute)
    assert absolute.tobytes() == TREE.absolute(conditional).tobytes()
    for node in range(NODES):
        path = conditional[..., TREE.path_to_root(node)].astype(np.float64)
        np.testing.assert_allclose(absolute[..., node], path.prod(axis=-1), rtol=1e-6)
    assert (conditional == out[..., 5:]).all() and not (absolute[..., 2:] == conditional[..., 2:]).any()


def test_loss_is_minus_the_logarithm_of_the_labels_probability():
    x, anchors, truth = case(b=1, t=1)
    for kind in range(NODES):
        truth[0, 0, 4] = kind
        run = train(x, anchors, truth, NODES, tree=TREE, scales=(0., 0., 0., 1.))
        assert run.loss[0] == pytest.approx(-np.log(run.match[0, 0, 3]))


# ---- the numeric derivative, and what it must notice

@pytest.mark.parametrize("without_box", [False, True])
def test_gradient(without_box):
    x, anchors, truth = case(4, b=1, h=2, w=3)
    truth[0, :, 4] = 8, 5, 3, 7
    run = train(x, anchors, class_only(truth, 0, 8) if without_box else truth, NODES, tree=TREE)
    assert gradient_error(run.grad, numeric(run)) < 1e-7


@pytest.mark.parametrize("without_box", [False, True])
@pytest.mark.parametrize("group", [0, 1, 3])
def test_gradient_check_notices_a_group_left_out(group, without_box):
    """The groups on the path of class 7: a b, c d, g h. The path cut short is the group 0 left out."""
    x, anchors, truth = case(4, b=1, h=2, w=3, t=1)
    truth[0, :, 4] = 7
    run = train(x, anchors, class_only(truth, 0, 7) if without_box else truth, NODES, tree=TREE)
    expected, entry = numeric(run), np.arange(x.shape[3]) % (5 + NODES) - 5
    first, last = TREE.borders[group], TREE.borders[group + 1]
    spoilt = np.where((entry >= first) & (entry < last), 0, run.grad)
    assert gradient_error(run.grad, expected) < 1e-7 and gradient_error(spoilt, expected) > 1e-2
    one_softmax = train(x, anchors, truth, NODES).grad
    assert gradient_error(one_softmax, expected) > 1e-2


def test_label_is_learned_at_and_above_its_level_only():
    x, anchors, truth = case(5, b=1, t=1)
    truth[0, 0, 4] = 2
    run = train(x, anchors, truth, NODES, tree=TREE)
    at = int(run.match[0, 0, 0])
    classes = run.weight.reshape(-1, 5 + NODES)[at, 5:]
    assert classes.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0]  # nothing below c, and nothing of b's children
    assert run.target.reshape(-1, 5 + NODES)[at, 5:].tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0]


# ---- a picture with a class but no box

def class_only_case(kind=7, **changes):
    x, anchors, truth = case(6, b=2, h=3, w=3)
    x[0, 2, 1, 4 + 5 + NODES] = 3            # the second anchor there is sure to see something,
    x[0, 2, 1, (5 + NODES) + 5:] = 0
    for node in TREE.path_to_root(kind):     # namely a `kind`
        x[0, 2, 1, (5 + NODES) + 5 + node] = 4
    run = train(x, anchors, class_only(truth, 0, kind), NODES, tree=TREE, **changes)
    return run, run.weight.reshape(2, 9, 2, 5 + NODES), run.target.reshape(2, 9, 2, 5 + NODES)


def test_class_only_trains_the_box_that_believes_in_it():
    run, weight, target = class_only_case()
    classes = weight[0, :, :, 5:]
    assert np.argwhere(classes.any(axis=2)).tolist() == [[2 * 3 + 1, 1]]
    assert np.flatnonzero(classes[7, 1]).tolist() == [0, 1, 2, 3, 6, 7]
    assert np.flatnonzero(target[0, 7, 1, 5:]).tolist() == [0, 2, 7]
    assert not weight[0, :, :, :4].any() and (run.match[0, :, 0] == -1).all()
    assert weight[1, :, :, :4].any() and (run.match[1, :, 0] >= 0).all()  # the other picture has boxes


def test_belief_is_objectness_times_probability():
    """Not the most probable class, not the largest objectness: their product, along the whole path."""
    x, anchors, truth = case(7, b=1, h=1, w=3, n=1)
    x[...] = 0
    x[0, 0, 0, 4], x[0, 0, 1, 4], x[0, 0, 2, 4] = 5, 1, -5
    x[0, 0, 0, 5] = -5     # sure of an object, sure that it is no a
    x[0, 0, 2, [5, 7]] = 9  # nothing there, but if so a c
    run = train(x, anchors, class_only(truth, 0, 2), NODES, tree=TREE)
    assert run.weight[0, 0, :, 5].tolist() == [0, 1, 0]


@pytest.mark.parametrize("objectness, iou, asked", [(-3, .3, (.3, 5)), (3, .3, None), (-3, 0, None), (0, .6, (.6, 5))])
def test_class_only_objectness(objectness, iou, asked):
    """At least the assumed overlap where the class is learned (never less than it has), 0 everywhere else."""
    x, anchors, truth = case(6, b=1, h=1, w=2, n=1)
    x[0, 0, :, 4] = objectness
    run = train(x, anchors, class_only(truth, 0, 3), NODES, tree=TREE, class_only_iou=iou)
    best = int(run.weight[0, 0, :, 5].argmax())
    assert run.weight[0, 0, 1 - best, 4] == 1 and run.target[0, 0, 1 - best, 4] == 0
    found = (run.target[0, 0, best, 4], run.weight[0, 0, best, 4])
    assert found == asked if asked else found[1] == 0


def test_class_only_knows_no_warm_up_and_no_boxes_beside_it():
    x, anchors, truth = case(6, b=1)
    mixed = class_only(truth, 0, 3)
    mixed[0, 1] = .5, .5, .3, .3, 7
    alone = train(x, anchors, class_only(truth, 0, 3), NODES, tree=TREE)
    for run in (train(x, anchors, mixed, NODES, tree=TREE), train(x, anchors, mixed, NODES, tree=TREE, warm_up=True)):
        np.testing.assert_array_equal(run.grad, alone.grad)


def test_several_classes_without_boxes():
    """"There are a dog and a car somewhere": each is learned where it is believed most."""
    x, anchors, truth = case(6, b=1, h=1, w=2, n=1)
    x[...] = 0
    x[0, 0, 0, 5], x[0, 0, 1, 6] = 4, 4
    two = class_only(truth, 0, 0)
    two[0, 1] = (*(999999,) * 4, 1)
    target = train(x, anchors, two, NODES, tree=TREE).target[0, 0, :, 5:7]
    assert target.tolist() == [[1, 0], [0, 1]]


def test_float32_and_threads(same_bits):
    x, anchors, truth = case(8, b=5, dtype=np.float32)
    truth = class_only(truth, 2, 8)

    def run():
        r = train(x, anchors, truth, NODES, tree=TREE)
        return [r.out, r.target, r.weight, r.match, r.grad, r.loss, r.cost]
    same_bits(run)
