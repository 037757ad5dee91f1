"""The engine's activation of the region head against the kernel in float64 and against NumPy."""
import numpy as np
import pytest

from minidarknet import engine, kernels
from minidarknet.engine.vector import LANES

# b, h, w, anchors, borders of the groups of classes: anchor-cells and entries below, at and above whole registers
ALONE, FLAT, MANY = [0, 1], [0, 20], [0, 80]
TREE = [0, 3, 4, 9, 30, 47, 48]
CASES = [(1, 13, 13, 5, FLAT), (2, 1, LANES, 1, FLAT), (1, 1, LANES + 1, 1, TREE), (3, 3, 5, 2, [0, 3]), (2, 7, 3, 3, ALONE),
         (1, 4, 5, 5, MANY), (1, 5, 4, 3, TREE), (2, 2, 1, 3, TREE), (1, 1, 1, 1, FLAT), (4, 4, 4, 1, [0, 11])]


def case(rng, shape, coords=4):
    """x of the shape (b, h, w, n * entries), anchors and borders."""
    b, h, w, n, borders = shape
    x = rng.normal(0, 3, (b, h, w, n * (coords + 1 + borders[-1]))).astype(np.float32)
    return x, rng.uniform(.5, 9, (n, 2)).astype(np.float32), np.array(borders)


def numpys(x, anchors, coords, direct, softmax, borders):
    """The same in NumPy and float64."""
    n = len(anchors)
    z = x.astype(np.float64).reshape(-1, n, x.shape[3] // n)
    out = z.copy()
    out[..., :2] = 1 / (1 + np.exp(-z[..., :2])) if direct else .5 + z[..., :2] * anchors
    out[..., coords] = 1 / (1 + np.exp(-z[..., coords]))
    for first, last in zip(borders[:-1] + coords + 1, borders[1:] + coords + 1):
        e = np.exp(z[..., first:last] - z[..., first:last].max(-1, keepdims=True))
        out[..., first:last] = e / e.sum(-1, keepdims=True) if softmax else 1 / (1 + np.exp(-z[..., first:last]))
    return out.reshape(x.shape)


@pytest.mark.parametrize("direct, softmax", [(1, 1), (1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize("shape", CASES, ids=str)
def test_agrees(rng, shape, direct, softmax):
    x, anchors, borders = case(rng, shape)
    before, out = x.copy(), np.full_like(x, 7)
    engine.region_activate(x, out, anchors, 4, direct, softmax, borders)
    expected, wide = numpys(x, anchors, 4, direct, softmax, borders), np.zeros(x.shape)
    kernels.region_activate(x.astype(np.float64), wide, anchors, 4, direct, softmax, borders)
    np.testing.assert_allclose(wide, expected, rtol=1e-12)
    # 1/2 + z anchor_w may cancel: what is left has the product's rounding
    left = 1e-30 if direct else 2 ** -23 * np.abs(x).max() * anchors.max()
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=left)
    assert (x == before).all()


def test_other_coords(rng):
    """A head may have more numbers per box than four; those between the sizes and the objectness stay as they are."""
    x, anchors, borders = case(rng, (1, 5, 5, 2, [0, 6]), coords=6)
    out = np.zeros_like(x)
    engine.region_activate(x, out, anchors, 6, 1, 1, borders)
    np.testing.assert_allclose(out, numpys(x, anchors, 6, 1, 1, borders), rtol=2e-6)
    assert (out.reshape(-1, 13)[:, 2:6] == x.reshape(-1, 13)[:, 2:6]).all()


@pytest.mark.parametrize("which", ("x", "out"))
def test_views_are_left_to_the_kernel(rng, which):
    x, anchors, borders = case(rng, (2, 6, 6, 2, [0, 7]))
    found, framed = np.zeros_like(x), np.zeros((2, 8, 8, x.shape[3]), np.float32)
    view = framed[:, 1:-1, 1:-1]
    if which == "x":
        view[...] = x
    engine.region_activate(*(view, found) if which == "x" else (x, view), anchors, 4, 1, 1, borders)
    np.testing.assert_allclose(found if which == "x" else view, numpys(x, anchors, 4, 1, 1, borders), rtol=2e-6)
    if which == "out":
        view[...] = 0
        assert not framed.any()


def test_far_numbers_and_nan(rng):
    """Nothing overflows, and what is not a number stays in its own group of its own anchor-cell."""
    x, anchors, borders = case(rng, (1, 6, 6, 2, TREE))
    x.reshape(-1, 53)[:40] *= 1e4
    x[0, 2, 3, 53 + 5 + 10] = np.nan
    x[0, 4, 4, 4] = np.nan
    out = np.zeros_like(x)
    engine.region_activate(x, out, anchors, 4, 1, 1, borders)
    with np.errstate(over="ignore"):
        expected = numpys(x, anchors, 4, 1, 1, borders)
    assert (np.isnan(out) == np.isnan(expected)).all()
    assert np.isnan(out).sum() == 1 + 21
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-37)


def test_same_bits_on_one_and_two_threads(rng, same_bits):
    x, anchors, borders = case(rng, (2, 9, 7, 3, TREE))

    def run():
        out = np.zeros_like(x)
        engine.region_activate(x, out, anchors, 4, 1, 1, borders)
        return out
    same_bits(run)
