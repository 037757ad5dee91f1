"""Dropout: a given mask is applied, forward and backward."""
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import dropout_backward, dropout_forward


def forward(x, keep, scale):
    out = np.full_like(x, np.nan)
    dropout_forward(x, keep, scale, out)
    return out


def backward(grad_out, keep, scale):
    grad_x = np.full_like(grad_out, np.nan)
    dropout_backward(grad_out, keep, scale, grad_x, False)
    return grad_x


@pytest.mark.plain
@pytest.mark.parametrize("shape", [(1, 3, 5, 3), (3, 2, 1, 1), (1, 1, 2, 125)])
def test_values_gradient_and_adjoint(rng, shape):
    x, grad_out, keep = rng.standard_normal(shape), rng.standard_normal(shape), rng.integers(0, 2, shape, np.uint8)
    out, grad_x = forward(x, keep, 1.25), backward(grad_out, keep, 1.25)
    np.testing.assert_allclose(out, 1.25 * x * keep, atol=1e-15)
    assert np.sum(out * grad_out) == pytest.approx(np.sum(x * grad_x), abs=1e-12)

    def loss():
        return np.sum(grad_out * forward(x, keep, 1.25))

    check_gradient(loss, x, grad_x, "dropout_backward")
    check_rejected(loss, x, -grad_x, grad_x / 1.25, backward(grad_out, 1 - keep, 1.25))
    filled = np.ones_like(x)
    dropout_backward(grad_out, keep, 1.25, filled, True)
    np.testing.assert_allclose(filled, 1 + grad_x, atol=1e-15)


@pytest.mark.plain
def test_golden():
    """Golden G-dropout: what Darknet made of 1..8 at probability .5; its random numbers are the mask here."""
    keep = np.array([1, 0, 1, 1, 1, 0, 0, 1], np.uint8).reshape(1, 1, 1, 8)
    x = np.arange(1., 9).reshape(1, 1, 1, 8)
    dropout_forward(x, keep, 2., x)  # in place, as Darknet
    assert x.ravel().tolist() == [2, 0, 6, 8, 10, 0, 0, 16]


@pytest.mark.plain
def test_a_dropped_value_is_zero_even_if_it_was_none():
    assert forward(np.full((1, 1, 1, 1), np.nan), np.zeros((1, 1, 1, 1), np.uint8), 2.).item() == 0


def test_float32_in_frames_and_threads(rng, same_bits):
    x, keep = rng.standard_normal((3, 5, 4, 7)).astype(np.float32), rng.integers(0, 2, (3, 5, 4, 7), np.uint8)
    out, grad_x = framed(x), framed(x)
    dropout_forward(framed(x), keep, 2., out)
    dropout_backward(framed(x), keep, 2., grad_x, False)
    assert (out == 2 * x * keep).all() and (grad_x == out).all() and margin_is_zero(out) and margin_is_zero(grad_x)
    same_bits(lambda: [forward(x, keep, 2.), backward(x, keep, 2.)])
