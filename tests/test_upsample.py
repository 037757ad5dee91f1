"""Upsample: repeating pixels and summing blocks, each the other's gradient."""
import naive
import numpy as np
import pytest
import small
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import upsample_backward, upsample_forward

# b, h, w, c (of the small picture), stride, scale
SHAPES = [(1, 1, 1, 1, 2, 1.), (3, 5, 3, 7, 2, 1.), (1, 13, 13, 125, 2, 1.), (2, 3, 4, 5, 3, -1.5), (2, 4, 2, 3, 1, 2.)]


def large(x, stride):
    b, h, w, c = x.shape
    return np.full((b, h * stride, w * stride, c), np.nan, x.dtype)


@pytest.mark.plain
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matches_the_naive_counterpart_and_its_adjoint(rng, shape):
    *size, stride, scale = shape
    x = rng.standard_normal(size)
    out = large(x, stride)
    upsample_forward(x, out, stride, scale, False)
    np.testing.assert_allclose(out, naive.upsample(x, stride, scale), rtol=1e-14)
    grad_out, grad_x = rng.standard_normal(out.shape), np.full_like(x, np.nan)
    upsample_backward(grad_out, grad_x, stride, scale, False, False)
    assert np.sum(out * grad_out) == pytest.approx(np.sum(x * grad_x), rel=1e-10)
    summed, filled = np.full_like(x, np.nan), np.ones_like(x)
    upsample_forward(grad_out, summed, stride, scale, True)
    np.testing.assert_array_equal(summed, grad_x)
    upsample_backward(grad_out, filled, stride, scale, False, True)
    np.testing.assert_allclose(filled, 1 + grad_x, rtol=1e-12, atol=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("reverse", [False, True])
def test_gradient_numerically(rng, reverse):
    x = rng.standard_normal((2, 4, 2, 3))
    grad_out = rng.standard_normal((2, 2, 1, 3) if reverse else (2, 8, 4, 3))

    def loss():
        out = np.empty_like(grad_out)
        upsample_forward(x, out, 2, .7, reverse)
        return np.sum(grad_out * out)

    grad_x = np.empty_like(x)
    upsample_backward(grad_out, grad_x, 2, .7, reverse, False)
    check_gradient(loss, x, grad_x, "upsample_backward")
    check_rejected(loss, x, -grad_x, grad_x / .7, grad_x[:, ::-1])


def test_float32_in_frames_and_threads(rng, same_bits):
    x = rng.standard_normal((3, 5, 4, 7)).astype(np.float32)
    out, grad_x = framed(np.zeros((3, 10, 8, 7), np.float32)), framed(x)
    upsample_forward(framed(x), out, 2, 1., False)
    upsample_backward(out, grad_x, 2, .25, False, False)
    assert (grad_x == x).all() and margin_is_zero(out) and margin_is_zero(grad_x)

    def run():
        there, back = large(x, 2), np.ones_like(x)
        upsample_forward(x, there, 2, 3., False)
        upsample_backward(there, back, 2, .1, False, True)
        return there, back

    same_bits(run)


def test_in_a_network(rng):
    net = Network.from_string(f"{small.HEAD}\n[convolutional]\nfilters=3\n[upsample]\n[upsample]\nstride=-4\nscale=.0625\n")
    net.predict(rng.random((1, *net.input.shape), np.float32))
    assert [layer.shape for layer in net.layers] == [(8, 8, 3), (16, 16, 3), (4, 4, 3)]
    blocks = net.layers[0].out.reshape(1, 4, 2, 4, 2, 3).mean((2, 4))
    np.testing.assert_allclose(net.layers[2].out, blocks, rtol=1e-5)


@pytest.mark.parametrize("stride, message", [(0, "stride=0 makes no picture"), (-3, "must divide the 8 x 8 pixels")])
def test_strides_that_do_not_fit(stride, message):
    with pytest.raises(CfgError, match=message):
        Network.from_string(f"{small.HEAD}\n[convolutional]\nfilters=3\n[upsample]\nstride={stride}\n")
