"""The squared-error loss."""
import numpy as np
import pytest
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import cost_sse


def cost(x, truth):
    loss, grad = np.full(x.shape[0], np.nan, x.dtype), np.full_like(x, np.nan)
    cost_sse(x, truth, loss, grad)
    return loss, grad


@pytest.mark.plain
@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (3, 125)])
def test_values_and_gradient(rng, shape):
    x, truth = rng.standard_normal(shape), rng.standard_normal(shape)
    loss, grad = cost(x, truth)
    np.testing.assert_allclose(loss, ((truth - x) ** 2).sum(1) / 2, atol=1e-12)
    np.testing.assert_allclose(grad, x - truth, atol=1e-15)
    check_gradient(lambda: cost(x, truth)[0].sum(), x, grad, "cost_sse")
    check_rejected(lambda: cost(x, truth)[0].sum(), x, -grad, 2 * grad, x)


def test_float32_and_threads(rng, same_bits):
    x, truth = rng.standard_normal((2, 3, 200)).astype(np.float32)
    loss, grad = cost(x, truth)
    np.testing.assert_array_equal(grad, x - truth)
    np.testing.assert_allclose(loss, ((x.astype(np.float64) - truth) ** 2).sum(1) / 2, rtol=1e-6)
    same_bits(lambda: cost(x, truth))
