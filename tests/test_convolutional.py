"""Convolution and bias: numeric gradients, an independent counterpart, adjoints, layouts, threads."""
import naive
import numpy as np
import pytest
from conftest import framed, margin_is_zero, planes
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import (
    bias_backward,
    bias_forward,
    convolutional_backward_data,
    convolutional_backward_weight,
    convolutional_forward,
)

# b, h, w, c, f, k, stride, pad, groups
SHAPES = [
    (1, 5, 5, 3, 4, 3, 1, 1, 1),      # the usual 3x3
    (3, 7, 5, 1, 1, 1, 1, 0, 1),      # one channel, 1x1
    (1, 6, 7, 125, 3, 1, 1, 0, 1),    # many channels in
    (1, 5, 4, 3, 125, 3, 2, 0, 1),    # many out, no padding
    (3, 9, 8, 4, 6, 3, 2, 1, 2),      # stride, groups, a remainder on one side
    (1, 7, 9, 6, 6, 3, 1, 1, 6),      # one channel per group
    (1, 5, 6, 2, 3, 2, 1, 1, 1),      # even size with padding: the output is larger than the input
    (1, 11, 10, 4, 4, 5, 3, 2, 1),    # stride 3
    (1, 8, 7, 2, 3, 2, 3, 0, 1),      # stride larger than the kernel: some pixels are never read
    (1, 4, 5, 35, 17, 3, 1, 1, 1),    # two full blocks of input channels and a rest
    (1, 2, 2, 2, 2, 5, 1, 2, 1),      # kernel larger than the picture
    (1, 3, 3, 2, 2, 1, 1, 1, 1),      # more padding than the kernel needs
]


def make(rng, shape, dtype=np.float64):
    """x, weight and an upstream gradient of a convolution, and its (stride, pad, groups)."""
    b, h, w, c, f, k, stride, pad, groups = shape
    oh, ow = (h + 2 * pad - k) // stride + 1, (w + 2 * pad - k) // stride + 1
    arrays = [(b, h, w, c), (k, k, c // groups, f), (b, oh, ow, f)]
    return *(rng.standard_normal(s).astype(dtype) for s in arrays), (stride, pad, groups)


def forward(x, weight, grad_out, how):
    out = np.full_like(grad_out, np.nan)
    convolutional_forward(x, weight, out, *how)
    return out


def grad_data(x, weight, grad_out, how):
    grad = np.full_like(x, np.nan)
    convolutional_backward_data(grad_out, weight, grad, *how, False)
    return grad


def grad_weight(x, weight, grad_out, how):
    grad = np.zeros_like(weight)
    convolutional_backward_weight(x, grad_out, grad, *how)
    return grad


@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_naive_counterpart(rng, shape):
    x, weight, grad_out, how = make(rng, shape)
    np.testing.assert_allclose(forward(x, weight, grad_out, how), naive.convolution(x, weight, *how), atol=1e-12)
    np.testing.assert_allclose(grad_data(x, weight, grad_out, how),
                               naive.convolution_grad_x(grad_out, weight, x.shape, *how), atol=1e-12)
    np.testing.assert_allclose(grad_weight(x, weight, grad_out, how),
                               naive.convolution_grad_weight(x, grad_out, len(weight), *how), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_numerically(rng, shape):
    x, weight, grad_out, how = make(rng, shape)

    def loss():
        return np.sum(grad_out * forward(x, weight, grad_out, how))

    check_gradient(loss, x, grad_data(x, weight, grad_out, how), "convolutional_backward_data")
    check_gradient(loss, weight, grad_weight(x, weight, grad_out, how), "convolutional_backward_weight")


@pytest.mark.plain
def test_small_gradients_and_their_negative_controls(rng):
    x, weight, grad_out, how = make(rng, (1, 4, 5, 2, 2, 3, 1, 1, 1))

    def loss():
        return np.sum(grad_out * forward(x, weight, grad_out, how))

    right_x, right_weight = grad_data(x, weight, grad_out, how), grad_weight(x, weight, grad_out, how)
    check_gradient(loss, x, right_x)
    check_gradient(loss, weight, right_weight)
    turned = np.ascontiguousarray(weight[::-1, ::-1])
    one_tap_less = weight.copy()
    one_tap_less[2, 1] = 0
    check_rejected(loss, x, -right_x, grad_data(x, turned, grad_out, how), grad_data(x, one_tap_less, grad_out, how))
    dropped = right_weight.copy()
    dropped[0, 2] = 0
    check_rejected(loss, weight, -right_weight, right_weight.transpose(1, 0, 2, 3), right_weight / 2, dropped)


@pytest.mark.parametrize("shape", SHAPES)
def test_adjoint_identity(rng, shape):
    """<A x, y> = <x, A' y>: the data and weight gradients are the transposes of the two linear maps."""
    x, weight, y, how = make(rng, shape)
    product = np.sum(forward(x, weight, y, how) * y)
    assert np.sum(x * grad_data(x, weight, y, how)) == pytest.approx(product, abs=1e-9)
    assert np.sum(weight * grad_weight(x, weight, y, how)) == pytest.approx(product, abs=1e-9)


def test_accumulates_where_it_says_so(rng):
    x, weight, grad_out, how = make(rng, SHAPES[4])
    once_x, once_weight = grad_data(x, weight, grad_out, how), grad_weight(x, weight, grad_out, how)
    filled_x, filled_weight = np.ones_like(x), np.ones_like(weight)
    convolutional_backward_data(grad_out, weight, filled_x, *how, True)
    convolutional_backward_weight(x, grad_out, filled_weight, *how)
    np.testing.assert_allclose(filled_x, 1 + once_x, atol=1e-12)
    np.testing.assert_allclose(filled_weight, 1 + once_weight, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_in_frames_and_in_planes(rng, shape):
    """Strided float32 arrays give the float64 results within rounding, and the margin stays zero."""
    x, weight, grad_out, how = make(rng, shape)
    small = [a.astype(np.float32) for a in (x, weight, grad_out)]
    for layout in (framed, planes):
        out, grad_x, gradient = layout(small[2]), layout(small[0]), np.zeros_like(small[1])
        convolutional_forward(layout(small[0]), small[1], out, *how)
        convolutional_backward_data(layout(small[2]), small[1], grad_x, *how, False)
        convolutional_backward_weight(layout(small[0]), layout(small[2]), gradient, *how)
        for got, want in ((out, forward(x, weight, grad_out, how)), (grad_x, grad_data(x, weight, grad_out, how)),
                          (gradient, grad_weight(x, weight, grad_out, how))):
            np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())
        if layout is framed:
            assert margin_is_zero(out) and margin_is_zero(grad_x)


def test_threads_change_no_bit(rng, same_bits):
    arguments = make(rng, (3, 9, 8, 36, 20, 3, 2, 1, 2), np.float32)
    same_bits(lambda: [function(*arguments) for function in (forward, grad_data, grad_weight)])
    same_bits(lambda: [bias_gradient(arguments[0])])


def test_a_long_sum_keeps_its_digits():
    """The weight gradient of a large flat picture: float32 alone would stall, rows summed in float64 do not."""
    x, grad_out = np.full((1, 400, 400, 1), .1, np.float32), np.ones((1, 400, 400, 1), np.float32)
    assert grad_weight(x, np.zeros((1, 1, 1, 1), np.float32), grad_out, (1, 0, 1)) == pytest.approx(16000, rel=1e-6)


@pytest.mark.plain
def test_1x1_with_stride_reads_every_second_pixel():
    """Darknet's CPU build ignores the stride of a 1x1 kernel and gives 0 1 2 3; its GPU build gives this."""
    x, weight = np.arange(16.).reshape(1, 4, 4, 1), np.ones((1, 1, 1, 1))
    assert forward(x, weight, np.empty((1, 2, 2, 1)), (2, 0, 1)).ravel().tolist() == [0, 2, 8, 10]


def bias_gradient(grad_out):
    grad = np.zeros(grad_out.shape[3], grad_out.dtype)
    bias_backward(grad_out, grad)
    return grad


@pytest.mark.plain
@pytest.mark.parametrize("shape", [(1, 3, 5, 3), (3, 2, 1, 1), (1, 1, 2, 125)])
def test_bias(rng, shape):
    x, bias, grad_out = rng.standard_normal(shape), rng.standard_normal(shape[3]), rng.standard_normal(shape)

    def forward_bias():
        out = x.copy()
        bias_forward(out, bias)
        return out

    def loss():
        return np.sum(grad_out * forward_bias())

    np.testing.assert_allclose(forward_bias(), x + bias, atol=1e-15)
    grad = bias_gradient(grad_out)
    check_gradient(loss, bias, grad, "bias_backward")
    check_rejected(loss, bias, -grad, grad / grad_out[..., 0].size)
    bias_backward(grad_out, grad)
    np.testing.assert_allclose(grad, 2 * grad_out.sum((0, 1, 2)), atol=1e-13)


def test_bias_in_frames(rng):
    x, bias = rng.standard_normal((3, 4, 5, 7)).astype(np.float32), rng.standard_normal(7).astype(np.float32)
    out = framed(x)
    bias_forward(out, bias)
    assert (out == x + bias).all() and margin_is_zero(out)
    np.testing.assert_allclose(bias_gradient(framed(x)), x.sum((0, 1, 2), np.float64), rtol=1e-6)
