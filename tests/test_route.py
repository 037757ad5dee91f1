"""Route: channels side by side, gradients back to their owners."""
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import route_backward, route_forward


@pytest.mark.plain
@pytest.mark.parametrize("channels", [(3, 4), (1, 1, 1), (2, 125)])
@pytest.mark.parametrize("b", [1, 3])
def test_concatenates_and_gives_back(rng, channels, b):
    sources = [rng.standard_normal((b, 3, 5, c)) for c in channels]
    out = np.full((b, 3, 5, sum(channels)), np.nan)
    starts = np.cumsum((0, *channels[:-1]))
    for x, start in zip(sources, starts, strict=True):
        route_forward(x, out, start)
    np.testing.assert_array_equal(out, np.concatenate(sources, axis=3))
    grad_out = rng.standard_normal(out.shape)
    product = 0
    for x, start in zip(sources, starts, strict=True):
        grad_x = np.full_like(x, np.nan)
        route_backward(grad_out, grad_x, start, False)
        np.testing.assert_array_equal(grad_x, grad_out[..., start:start + x.shape[3]])
        product += np.sum(x * grad_x)
        filled = np.ones_like(x)
        route_backward(grad_out, filled, start, True)
        np.testing.assert_array_equal(filled, 1 + grad_x)
    assert np.sum(out * grad_out) == pytest.approx(product, abs=1e-10)


@pytest.mark.plain
def test_gradient_numerically(rng):
    x, grad_out = rng.standard_normal((1, 2, 3, 4)), rng.standard_normal((1, 2, 3, 9))

    def loss():
        out = np.zeros_like(grad_out)
        route_forward(x, out, 2)
        return np.sum(grad_out * out)

    grad_x, shifted = np.empty_like(x), np.empty_like(x)
    route_backward(grad_out, grad_x, 2, False)
    route_backward(grad_out, shifted, 3, False)
    check_gradient(loss, x, grad_x, "route_backward")
    check_rejected(loss, x, -grad_x, shifted)


def test_float32_in_frames_and_threads(rng, same_bits):
    x, grad_out = rng.standard_normal((3, 5, 4, 7)).astype(np.float32), rng.standard_normal((3, 5, 4, 9)).astype(np.float32)
    out, grad_x = framed(np.zeros_like(grad_out)), framed(x)
    route_forward(framed(x), out, 2)
    route_backward(framed(grad_out), grad_x, 1, False)
    assert (out[..., 2:] == x).all() and (out[..., :2] == 0).all() and margin_is_zero(out)
    assert (grad_x == grad_out[..., 1:8]).all() and margin_is_zero(grad_x)

    def run():
        there, back = np.zeros_like(grad_out), np.zeros_like(x)
        route_forward(x, there, 1)
        route_backward(grad_out, back, 2, True)
        return there, back

    same_bits(run)
