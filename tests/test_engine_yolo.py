"""The engine's activation of the yolo head against the kernel in float64 and against NumPy."""
import numpy as np
import pytest
from conftest import framed, margin_is_zero

from minidarknet import engine, kernels

# b, h, w, anchors, classes: channels below, at and above whole registers
CASES = [(1, 13, 13, 3, 80), (2, 5, 7, 3, 20), (1, 1, 1, 1, 1), (3, 2, 1, 1, 11), (1, 3, 4, 1, 12), (2, 4, 3, 5, 2)]


def head(shape, scale=1.0, squared=False):
    n, classes = shape[3:]
    return kernels.YoloHead(np.ones((n, 2)), np.arange(n), np.array([416, 416]), classes, scale=scale, squared=squared)


def numbers(rng, shape):
    b, h, w, n, classes = shape
    return rng.normal(0, 3, (b, h, w, n * (5 + classes))).astype(np.float32)


def numpys(x, shape, scale, squared):
    """The same in NumPy and float64."""
    z = x.astype(np.float64).reshape(-1, 5 + shape[4])
    out = z.copy() if squared else 1 / (1 + np.exp(-z))
    out[:, :2] = scale * out[:, :2] - (scale - 1) / 2
    out[:, 2:4] = z[:, 2:4]
    return out.reshape(x.shape)


@pytest.mark.parametrize("scale, squared", [(1.0, False), (1.2, False), (2.0, True)])
@pytest.mark.parametrize("margins", [(0, 0), (1, 0), (0, 1)], ids=str)
@pytest.mark.parametrize("shape", CASES, ids=str)
def test_agrees(rng, shape, margins, scale, squared):
    x, how = framed(numbers(rng, shape), margins[0]), head(shape, scale, squared)
    before, out = x.copy(), framed(np.full_like(x, 7), margins[1])
    engine.yolo_activate(x, out, how)
    expected, wide = numpys(x, shape, scale, squared), np.zeros(x.shape)
    kernels.yolo_activate(x.astype(np.float64), wide, how)
    np.testing.assert_allclose(wide, expected, rtol=1e-12)
    # scale * p - (scale - 1) / 2 may cancel: what is left has the product's rounding
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=2 ** -22 if scale != 1 else 1e-30)
    assert (x == before).all()
    assert margin_is_zero(out)


def test_far_numbers_and_nan(rng):
    """Nothing overflows, and what is not a number stays alone."""
    shape = CASES[1]
    x = numbers(rng, shape)
    x[0] *= 1e4
    x[1, 2, 3, [4, 30]] = np.nan
    out = np.zeros_like(x)
    engine.yolo_activate(x, out, head(shape, 1.05))
    with np.errstate(over="ignore"):
        expected = numpys(x, shape, 1.05, False)
    assert (np.isnan(out) == np.isnan(expected)).all()
    assert np.isnan(out).sum() == 2
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-37 + 2 ** -22)


def test_same_bits_on_one_and_two_threads(rng, same_bits):
    x = numbers(rng, CASES[0])

    def run():
        out = np.zeros_like(x)
        engine.yolo_activate(x, out, head(CASES[0], 1.1))
        return out
    same_bits(run)
