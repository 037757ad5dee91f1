"""Softmax and cross-entropy: groups, temperature, and the gradient of both together."""
import naive
import numpy as np
import pytest
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import softmax_forward, softmax_loss


def forward(x, groups=1, temperature=1.0):
    out = np.full_like(x, np.nan)
    softmax_forward(x, out, parts(x, groups), temperature)
    return out


def parts(x, groups):
    """The borders of equal groups of x (b, n)."""
    return np.arange(0, x.shape[1] + 1, x.shape[1] // groups)


def cross_entropy(x, truth, borders=None):
    """(loss, grad) of scores x by the two kernels."""
    borders = parts(x, 1) if borders is None else borders
    loss, grad, out = np.full(x.shape[0], np.nan, x.dtype), np.full_like(x, np.nan), np.full_like(x, np.nan)
    softmax_forward(x, out, borders, 1.0)
    softmax_loss(out, truth, borders, loss, grad)
    return loss, grad


@pytest.mark.plain
@pytest.mark.parametrize("b, n, groups, temperature", [(1, 3, 1, 1.0), (3, 12, 4, 2.0), (1, 125, 5, .5), (3, 1, 1, 1.0)])
def test_matches_the_naive_counterpart(rng, b, n, groups, temperature):
    x = rng.standard_normal((b, n))
    out = forward(x, groups, temperature)
    np.testing.assert_allclose(out, naive.softmax(x, groups, temperature), atol=1e-14)
    np.testing.assert_allclose(out.reshape(b, groups, -1).sum(-1), 1, atol=1e-14)
    softmax_forward(x, x, parts(x, groups), temperature)
    np.testing.assert_array_equal(x, out)


@pytest.mark.plain
@pytest.mark.parametrize("kind", ["one-hot", "soft", "sum 2"])
def test_gradient_numerically(rng, kind):
    x, truth = rng.standard_normal((3, 7)), np.eye(7)[[4, 0, 6]]
    if kind != "one-hot":
        truth = rng.random((3, 7)) * (rng.random((3, 7)) > .3)
        truth *= (1 if kind == "soft" else 2) / truth.sum(1, keepdims=True)
    loss, grad = cross_entropy(x, truth)
    np.testing.assert_allclose(loss, -(truth * np.log(naive.softmax(x, 1, 1))).sum(1), atol=1e-13)
    if kind != "sum 2":
        np.testing.assert_allclose(grad, naive.softmax(x, 1, 1) - truth, atol=1e-14)
    check_gradient(lambda: cross_entropy(x, truth)[0].sum(), x, grad, "softmax_loss")
    check_rejected(lambda: cross_entropy(x, truth)[0].sum(), x, -grad, -truth, grad / 7)


@pytest.mark.plain
def test_golden():
    """Goldens G11 (temperature 2) and G16 (loss and delta), computed by Darknet."""
    np.testing.assert_allclose(forward(np.array([[1, 2, 3.]]), 1, 2.0), [[.1863237, .3071959, .5064804]], atol=1e-7)
    loss, grad = cross_entropy(np.array([[1, 2.]]), np.array([[0, 1.]]))
    np.testing.assert_allclose(loss, .3132617, atol=1e-7)
    np.testing.assert_allclose(-grad, [[-.2689414, .2689414]], atol=1e-7)


@pytest.mark.plain
def test_large_scores_do_not_overflow():
    x = np.array([[1000, 1001, -1e30]])
    np.testing.assert_allclose(forward(x), [[.26894142, .73105858, 0]], atol=1e-8)
    truth = np.array([[0, 1, 0.]])  # the impossible class has t = 0: it adds nothing, not 0 * infinity
    loss, grad = cross_entropy(x, truth)
    assert np.isfinite(loss).all() and np.isfinite(grad).all()


def test_float32_and_threads(rng, same_bits):
    x = rng.standard_normal((3, 60)).astype(np.float32)
    truth = np.eye(60, dtype=np.float32)[:3]
    np.testing.assert_allclose(forward(x, 6, 1.5), naive.softmax(x.astype(np.float64), 6, 1.5), atol=1e-6)
    loss, grad = cross_entropy(x, truth)
    wide_loss, wide_grad = cross_entropy(x.astype(np.float64), truth.astype(np.float64))
    np.testing.assert_allclose(loss, wide_loss, rtol=1e-6)
    np.testing.assert_allclose(grad, wide_grad, atol=1e-6)
    same_bits(lambda: [forward(x, 6, 1.5), *cross_entropy(x, truth)])


# ---- a softmax for each group of siblings of a tree (groups of 2, 2, 3 and 1)

BORDERS = np.array([0, 2, 4, 7, 8])


def tree_truth(b=3):
    """One class of some groups, of every picture; the last group is never asked for."""
    truth = np.zeros((b, 8))
    for image, path in zip(range(b), ([0, 3], [1, 6], [0, 2, 5])):
        truth[image, path] = 1
    return truth


@pytest.mark.plain
def test_unequal_groups(rng):
    x = rng.standard_normal((3, 8))
    out = np.full_like(x, np.nan)
    softmax_forward(x, out, BORDERS, 1.0)
    expected = np.concatenate([naive.softmax(x[:, a:b], 1, 1) for a, b in zip(BORDERS, BORDERS[1:])], axis=1)
    np.testing.assert_allclose(out, expected, atol=1e-14)


@pytest.mark.plain
def test_gradient_of_a_path_numerically(rng):
    x, truth = rng.standard_normal((3, 8)), tree_truth()
    loss, grad = cross_entropy(x, truth, BORDERS)
    assert not grad[:, 7].any() and not grad[0, 4:].any()  # groups without truth learn nothing

    def total():
        return cross_entropy(x, truth, BORDERS)[0].sum()
    check_gradient(total, x, grad, "softmax_loss over a tree")
    group_left_out, cut_short, unmasked = grad.copy(), grad.copy(), grad.copy()
    group_left_out[:, 2:4] = 0
    cut_short[:, :2] = 0     # the root is not asked for
    unmasked[0, 4:7] = 1 / 3  # p - t of a group that the label says nothing of
    check_rejected(total, x, group_left_out, cut_short, unmasked, cross_entropy(x, truth)[1])
