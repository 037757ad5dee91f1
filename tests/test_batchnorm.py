"""Batch normalisation: the exact gradient, Darknet's own, statistics that do not cancel."""
import naive
import numpy as np
import pytest
from conftest import framed, margin_is_zero, planes
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import (
    activation_backward,
    activation_forward,
    batchnorm_backward,
    batchnorm_backward_darknet,
    batchnorm_forward,
    batchnorm_statistics,
    convolutional_backward_weight,
    convolutional_forward,
    cost_sse,
    sgd_update,
)
from minidarknet.kernels.activations import LEAKY

EPSILON = 1e-5
SHAPES = [(1, 3, 5, 3), (3, 2, 3, 1), (1, 2, 7, 125), (3, 1, 1, 4), (1, 40, 3, 2)]


def make(rng, shape, dtype=np.float64):
    """x, scale, bias, upstream gradient."""
    c = shape[3]
    arrays = rng.standard_normal(shape) * 2 + 3, 1 + rng.random(c), rng.standard_normal(c), rng.standard_normal(shape)
    return [a.astype(dtype) for a in arrays]


def forward(x, scale, bias):
    """(out, mean, inverse) by the kernels."""
    mean, variance, out = np.empty_like(scale), np.empty_like(scale), np.empty_like(x)
    batchnorm_statistics(x, mean, variance)
    inverse = (1 / np.sqrt(variance + EPSILON)).astype(x.dtype)
    batchnorm_forward(x, mean, inverse, scale, bias, out)
    return out, mean, inverse


def backward(x, scale, grad_out, mean, inverse):
    """(grad_scale, grad_bias, grad_x) by the kernel."""
    grad_scale, grad_bias, grad_x = np.zeros_like(scale), np.zeros_like(scale), np.empty_like(x)
    batchnorm_backward(x, mean, inverse, scale, grad_out, grad_scale, grad_bias, grad_x)
    return grad_scale, grad_bias, grad_x


@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_naive_counterpart(rng, shape):
    x, scale, bias, grad_out = make(rng, shape)
    out, mean, inverse = forward(x, scale, bias)
    for got, want in zip((out, mean, inverse), naive.batchnorm(x, scale, bias, EPSILON), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)
    grad_scale, grad_bias, grad_x = backward(x, scale, grad_out, mean, inverse)
    np.testing.assert_allclose(grad_bias, grad_out.sum((0, 1, 2)), atol=1e-12)
    np.testing.assert_allclose(grad_scale, (grad_out * (x - mean) * inverse).sum((0, 1, 2)), atol=1e-12)
    np.testing.assert_allclose(grad_x, naive.batchnorm_grad_x(x, scale, grad_out, EPSILON), atol=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("shape", [(2, 3, 2, 3), (3, 1, 1, 1)])
def test_gradients_numerically(rng, shape):
    x, scale, bias, grad_out = make(rng, shape)
    _, mean, inverse = forward(x, scale, bias)
    grad_scale, grad_bias, grad_x = backward(x, scale, grad_out, mean, inverse)

    def loss():
        return np.sum(grad_out * forward(x, scale, bias)[0])

    check_gradient(loss, x, grad_x, "batchnorm_backward, grad_x")
    check_gradient(loss, scale, grad_scale, "batchnorm_backward, grad_scale")
    check_gradient(loss, bias, grad_bias, "batchnorm_backward, grad_bias")
    statistics_held_fixed = grad_out * scale * inverse
    without_x_hat = scale * inverse * (grad_out - grad_out.mean((0, 1, 2)))
    check_rejected(loss, x, -grad_x, statistics_held_fixed, without_x_hat)
    check_rejected(loss, scale, -grad_scale, grad_bias)


def test_the_gradient_has_no_part_along_what_normalisation_removes(rng):
    x, scale, bias, grad_out = make(rng, (2, 5, 3, 4))
    _, mean, inverse = forward(x, scale, bias)
    grad_x = backward(x, scale, grad_out, mean, inverse)[2]
    np.testing.assert_allclose(grad_x.sum((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose((grad_x * (x - mean)).sum((0, 1, 2)), 0, atol=1e-3)  # epsilon / variance remains


def test_in_place_and_accumulating(rng):
    x, scale, bias, grad_out = make(rng, (2, 3, 4, 5))
    out, mean, inverse = forward(x, scale, bias)
    grad_scale, grad_bias, grad_x = backward(x, scale, grad_out, mean, inverse)
    more_scale, more_bias, same = np.ones(5), np.ones(5), grad_out.copy()
    batchnorm_backward(x, mean, inverse, scale, same, more_scale, more_bias, same)
    np.testing.assert_array_equal(same, grad_x)
    np.testing.assert_allclose(more_scale, 1 + grad_scale, atol=1e-12)
    np.testing.assert_allclose(more_bias, 1 + grad_bias, atol=1e-12)
    batchnorm_forward(x, mean, inverse, scale, bias, x)
    np.testing.assert_array_equal(x, out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", [framed, planes])
def test_float32_strided(rng, shape, layout):
    x, scale, bias, grad_out = make(rng, shape, np.float32)
    wide = [a.astype(np.float64) for a in (x, scale, bias, grad_out)]
    want_out, mean, inverse = forward(*wide[:3])
    want = backward(wide[0], wide[1], wide[3], mean, inverse)
    out, grad_x, grad_scale, grad_bias = layout(x), layout(x), np.zeros_like(scale), np.zeros_like(scale)
    got_mean, variance = np.empty_like(scale), np.empty_like(scale)
    batchnorm_statistics(layout(x), got_mean, variance)
    inverse = 1 / np.sqrt(variance + np.float32(EPSILON))
    batchnorm_forward(layout(x), got_mean, inverse, scale, bias, out)
    batchnorm_backward(layout(x), got_mean, inverse, scale, layout(grad_out), grad_scale, grad_bias, grad_x)
    np.testing.assert_allclose(out, want_out, atol=2e-5)
    for got, expected in zip((grad_scale, grad_bias, grad_x), want, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5 * max(1, np.abs(expected).max()))
    if layout is framed:
        assert margin_is_zero(out) and margin_is_zero(grad_x)


def test_threads_change_no_bit(rng, same_bits):
    x, scale, bias, grad_out = make(rng, (3, 37, 5, 19), np.float32)

    def run():
        out, mean, inverse = forward(x, scale, bias)
        return out, mean, inverse, *backward(x, scale, grad_out, mean, inverse)

    same_bits(run)


def test_statistics_of_a_channel_far_from_zero():
    """Mean 4096 and variance 1: the sum of squares in float32 would leave nothing of the variance."""
    x = np.tile(np.array([4095, 4097], np.float32), 5000).reshape(1, 100, 100, 1)
    mean, variance = np.empty(1, np.float32), np.empty(1, np.float32)
    batchnorm_statistics(x, mean, variance)
    assert mean[0] == 4096 and variance[0] == 1


def darknet_two_steps():
    """Darknet's CPU build by our kernels: conv, batch norm, leaky, [cost]; yields each step's numbers (golden G5)."""
    x = np.array([1, 2, 3, 6.]).reshape(2, 1, 2, 1)
    truth = np.array([[0, 1], [0, 1.]])
    weight, scale, bias = np.full((1, 1, 1, 1), 1.5), np.full(1, 2.), np.full(1, .5)
    velocities, rate = [np.zeros(1) for _ in range(3)], .1
    raw, out = np.empty((2, 1, 2, 1)), np.empty((2, 1, 2, 1))
    mean, variance, error, grad = np.empty(1), np.empty(1), np.empty((2, 2)), np.empty((2, 2))
    gradients, carried = [np.zeros(1) for _ in range(3)], [0, 0, 0]
    for _ in range(2):
        convolutional_forward(x, weight, raw, 1, 0, 1)
        batchnorm_statistics(raw, mean, variance)
        variance *= 4 / 3  # Darknet divides by M - 1
        inverse = 1 / (np.sqrt(variance) + 1e-6)
        batchnorm_forward(raw, mean, inverse, scale, bias, out)
        activation_forward(out, LEAKY)
        cost_sse(out.reshape(2, 2), truth, error, grad)
        delta = grad.reshape(2, 1, 2, 1)
        activation_backward(out, delta, LEAKY)
        batchnorm_backward_darknet(raw, mean, variance, inverse, scale, delta, gradients[1], gradients[2], delta)
        convolutional_backward_weight(x, delta, gradients[0].reshape(1, 1, 1, 1), 1, 0, 1)
        step = {"out": out.ravel().copy(), "mean": mean[0], "variance": variance[0], "cost": error.sum(),
                "delta": -delta.ravel(), "update": [u - g[0] for u, g in zip(carried, gradients, strict=True)]}
        for value, grad_value, velocity, decay in zip((weight.reshape(1), scale, bias), gradients, velocities,
                                                      (.01, 0., 0.), strict=True):
            sgd_update(value, grad_value, velocity, rate, .9, decay, 2)
        carried = [-.9 * 2 * v[0] for v in velocities]  # Darknet's buffers keep momentum * N * -velocity
        yield step | {"weight": weight.item(), "scale": scale[0], "bias": bias[0], "carried": carried[0]}


@pytest.mark.plain
def test_golden_two_steps_of_darknet():
    """Golden G5, computed by Darknet's CPU build: two whole updates of a one-weight network."""
    first, second = darknet_two_steps()
    close = {"rtol": 2e-5, "atol": 1e-6}
    np.testing.assert_allclose(first["out"], [-.135164, -.04258198, .5, 3.277459], **close)
    np.testing.assert_allclose([first["mean"], first["variance"], first["cost"]], [4.5, 10.5, 6.542068], **close)
    np.testing.assert_allclose(first["delta"], [-.04176634, .2444941, .1017915, -.3045194], **close)
    np.testing.assert_allclose(first["update"], [-1.07452, -3.223552, -2.659685], **close)
    np.testing.assert_allclose([first[k] for k in ("weight", "bias", "scale")], [1.444774, .3670157, 1.838822], **close)
    np.testing.assert_allclose(first["carried"], -.9940678, **close)
    np.testing.assert_allclose(second["out"], [-.1335402, -.04841933, .3670157, 2.920643], **close)
    np.testing.assert_allclose([second["mean"], second["variance"], second["cost"]],
                               [4.334322, 9.741069, 4.940587], **close)
    np.testing.assert_allclose(second["update"], [-1.862127, -5.629346, -4.563179], **close)
    np.testing.assert_allclose([second[k] for k in ("weight", "bias", "scale")], [1.350223, .1388568, 1.557355], **close)


def test_darknet_backward_tends_to_the_exact_one(rng):
    """Its error is about 1/M: with 2000 numbers per channel the two agree to 1e-3, with 4 they do not."""
    for shape, close in (((2, 20, 50, 3), True), ((1, 2, 2, 3), False)):
        x, scale, bias, grad_out = make(rng, shape)
        _, mean, inverse = forward(x, scale, bias)
        exact = backward(x, scale, grad_out, mean, inverse)[2]
        theirs, ignored = np.empty_like(x), np.zeros((2, 3))
        m = x[..., 0].size
        batchnorm_backward_darknet(x, mean, x.var((0, 1, 2)) * m / (m - 1), inverse, scale, grad_out, *ignored, theirs)
        assert np.allclose(theirs, exact, atol=2e-3 * np.abs(exact).max()) == close
