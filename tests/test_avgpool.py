"""Global average pooling."""
import numpy as np
import pytest
from conftest import framed
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import avgpool_backward, avgpool_forward

SHAPES = [(1, 3, 5, 3), (3, 7, 7, 1), (1, 2, 3, 125), (3, 1, 1, 4)]


def forward(x):
    out = np.full((x.shape[0], 1, 1, x.shape[3]), np.nan, x.dtype)
    avgpool_forward(x, out)
    return out


def backward(grad_out, x):
    grad_x = np.full_like(x, np.nan)
    avgpool_backward(grad_out, grad_x, False)
    return grad_x


@pytest.mark.plain
@pytest.mark.parametrize("shape", SHAPES)
def test_values_gradient_and_adjoint(rng, shape):
    x, grad_out = rng.standard_normal(shape), rng.standard_normal((shape[0], 1, 1, shape[3]))
    out, grad_x = forward(x), backward(grad_out, x)
    np.testing.assert_allclose(out, x.mean((1, 2), keepdims=True), atol=1e-14)
    np.testing.assert_allclose(grad_x, np.broadcast_to(grad_out / (shape[1] * shape[2]), shape), atol=1e-14)
    assert np.sum(out * grad_out) == pytest.approx(np.sum(x * grad_x), abs=1e-12)

    def loss():
        return np.sum(grad_out * forward(x))

    check_gradient(loss, x, grad_x, "avgpool_backward")
    check_rejected(loss, x, -grad_x, grad_x * 2, np.zeros_like(x))
    filled = np.ones_like(x)
    avgpool_backward(grad_out, filled, True)
    np.testing.assert_allclose(filled, 1 + grad_x, atol=1e-14)


def test_float32_in_frames(rng):
    x = rng.standard_normal((3, 5, 4, 7)).astype(np.float32)
    out, grad_x = framed(x[:, :1, :1]), framed(x)
    avgpool_forward(framed(x), out)
    np.testing.assert_array_equal(out, forward(x))
    np.testing.assert_allclose(out, x.mean((1, 2), np.float64, keepdims=True), rtol=1e-6, atol=1e-8)
    avgpool_backward(out, grad_x, False)
    np.testing.assert_array_equal(grad_x, backward(forward(x), x))


def test_threads_change_no_bit(rng, same_bits):
    x = rng.standard_normal((3, 5, 4, 7)).astype(np.float32)
    same_bits(lambda: [forward(x), backward(forward(x), x)])
