"""The engine's passes over memory (normalise, activate, pool, add a bias, update) against the kernels."""
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from test_reorg import SHAPES as REORGS
from test_reorg import out_shape

from minidarknet import engine, kernels
from minidarknet.activations import ACTIVATIONS

# b, h, w, c: channel counts below, at, between and above whole registers
SHAPES = [(2, 5, 7, 3), (1, 13, 13, 125), (3, 6, 5, 16), (2, 1, 1, 20), (2, 33, 4, 32), (1, 3, 2, 1), (4, 10, 9, 72)]
WINDOWS = [(2, 2, 0), (2, 1, 0), (3, 2, 1), (5, 1, 2), (2, 3, 0), (1, 1, 0)]  # size, stride, offset


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


def normal(rng, shape, scale=1, shift=0):
    """A framed float32 picture of normal numbers."""
    return framed((rng.standard_normal(shape) * scale + shift).astype(np.float32), 1)


def close(found, expected, tolerance=1e-6):
    return np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-30)


def float64(*arrays):
    return [np.ascontiguousarray(a).astype(np.float64) for a in arrays]


@pytest.mark.parametrize("shift", [0, 1000])
def test_statistics(rng, shape, shift):
    """Also where the mean is a thousand times the deviation: nothing may cancel."""
    x, c = normal(rng, shape, 1, shift), shape[3]
    mean, variance = np.ones((2, c), np.float32)
    engine.batchnorm_statistics(x, mean, variance)
    wide = x.astype(np.float64)
    assert close(mean, wide.mean((0, 1, 2)))
    # float32 cannot hold a row's mean closer than half a unit in the last place
    rounding = (shift * 2 ** -24) ** 2
    assert np.abs(variance - wide.var((0, 1, 2))).max() <= 2e-6 * variance.max() + rounding


def test_statistics_of_a_constant_and_of_an_outlier():
    x = np.full((2, 40, 3, 5), 1234.567, np.float32)
    mean, variance = np.ones((2, 5), np.float32)
    engine.batchnorm_statistics(x, mean, variance)
    assert (mean == x[0, 0, 0]).all()
    assert (variance < 1e-6).all()
    x = np.random.default_rng(0).standard_normal((2, 40, 3, 5)).astype(np.float32)
    x[0, 0, 0] = 1e4
    engine.batchnorm_statistics(x, mean, variance)
    assert close(variance, x.astype(np.float64).var((0, 1, 2)))


def test_normalise(rng, shape):
    x, out = normal(rng, shape), normal(rng, shape)
    mean, inverse, scale, bias = rng.standard_normal((4, shape[3])).astype(np.float32)
    engine.batchnorm_forward(x, mean, inverse, scale, bias, out)
    expected = np.zeros(shape)
    kernels.batchnorm_forward(*float64(x, mean, inverse, scale, bias), expected)
    assert close(out, expected)
    assert margin_is_zero(out)
    engine.batchnorm_forward(x, mean, inverse, scale, bias, x)
    assert x.tobytes() == out.tobytes()


@pytest.mark.parametrize("in_place", [False, True])
def test_normalise_backward(rng, shape, in_place):
    x, grad_out = normal(rng, shape, 2, 3), normal(rng, shape)
    mean, inverse, scale = rng.standard_normal((3, shape[3])).astype(np.float32)
    expected = np.ones(shape[3]), np.ones(shape[3]), np.zeros(shape)
    kernels.batchnorm_backward(*float64(x, mean, inverse, scale, grad_out), *expected)
    grad_scale, grad_bias = np.ones((2, shape[3]), np.float32)
    grad_x = grad_out if in_place else normal(rng, shape)
    engine.batchnorm_backward(x, mean, inverse, scale, grad_out, grad_scale, grad_bias, grad_x)
    for found, wanted in zip((grad_scale, grad_bias, grad_x), expected, strict=True):
        assert close(found, wanted, 3e-6)
    assert margin_is_zero(grad_x)


def test_normalise_numeric_derivative(rng):
    """Through mean and variance, along a random direction of x."""
    shape = (2, 4, 5, 19)
    x, upstream = normal(rng, shape), normal(rng, shape)
    scale, bias, mean, variance = rng.uniform(.5, 2, (4, 19)).astype(np.float32)

    def forward():
        engine.batchnorm_statistics(x, mean, variance)
        out = np.zeros(shape, np.float32)
        engine.batchnorm_forward(x, mean, 1 / np.sqrt(variance + np.float32(1e-5)), scale, bias, out)
        return np.vdot(out.astype(np.float64), upstream)

    forward()
    grad, sums = np.zeros(shape, np.float32), np.zeros((2, 19), np.float32)
    engine.batchnorm_backward(x, mean, 1 / np.sqrt(variance + np.float32(1e-5)), scale, upstream, *sums, grad)
    direction, before, step = rng.standard_normal(shape).astype(np.float32), x.copy(), 1e-2
    x[...] = before + step * direction
    above = forward()
    x[...] = before - step * direction
    slope = (above - forward()) / (2 * step)
    assert abs(slope - np.vdot(grad, direction)) < 1e-3 * np.linalg.norm(grad) * np.linalg.norm(direction)


@pytest.mark.parametrize("kind", range(len(ACTIVATIONS)), ids=ACTIVATIONS)
def test_activation(rng, shape, kind):
    x = normal(rng, shape, 2)
    out, grad = framed(x, 2), normal(rng, shape)
    expected, expected_grad = x.copy(), grad.copy()
    engine.activation_forward(out, kind)
    kernels.activation_forward(expected, kind)
    assert close(out, expected)
    engine.activation_backward(out, grad, kind)
    kernels.activation_backward(out.copy(), expected_grad, kind)
    assert close(grad, expected_grad)
    assert margin_is_zero(out)
    assert np.count_nonzero(grad.base) == np.count_nonzero(grad)


@pytest.mark.parametrize("kind", ["linear", "leaky", "relu", "relie", "logistic"])
def test_activation_keeps_nan(kind):
    x = np.full((1, 1, 3, 7), np.nan, np.float32)
    engine.activation_forward(x, ACTIVATIONS.index(kind))
    assert np.isnan(x).all()


def test_activation_of_a_part_of_a_wider_array(rng):
    wide = rng.standard_normal((1, 3, 4, 24)).astype(np.float32)
    before, part = wide.copy(), wide[..., 3:21]
    grad = np.ones(part.shape, np.float32)
    engine.activation_forward(part, 1)
    engine.activation_backward(part, grad, 1)
    assert close(part, np.where(before > 0, before, .1 * before)[..., 3:21])
    assert close(grad, np.where(before > 0, 1, .1)[..., 3:21])
    assert (wide[..., :3] == before[..., :3]).all()
    assert (wide[..., 21:] == before[..., 21:]).all()


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_maxpool(rng, shape, window):
    """Whole numbers, so that there are ties: the first maximum wins."""
    stride = window[1]
    b, h, w, c = shape
    oh, ow = ((n - 1) // stride + 1 for n in (h, w))
    x = framed(np.round(rng.standard_normal(shape) * 2).astype(np.float32), 1)
    x[0, 0, 0, 0] = np.nan
    out, expected = normal(rng, (b, oh, ow, c)), np.zeros((b, oh, ow, c), np.float32)
    winner, expected_winner = np.zeros((2, b, oh, ow, c), np.int32)
    engine.maxpool_forward(x, out, winner, *window)
    kernels.maxpool_forward(x, expected, expected_winner, *window)
    assert out.tobytes() == expected.tobytes()
    assert winner.tobytes() == expected_winner.tobytes()
    alone = normal(rng, out.shape)
    engine.maxpool_prediction(x, alone, *window)()
    assert alone.tobytes() == expected.tobytes()
    grad_out = normal(rng, out.shape)
    for accumulate in (False, True):
        grad = normal(rng, shape)
        expected = grad.copy()
        engine.maxpool_backward(grad_out, winner, grad, *window, accumulate)
        kernels.maxpool_backward(grad_out, winner, expected, *window, accumulate)
        assert close(grad, expected)
        assert np.count_nonzero(grad.base) == np.count_nonzero(grad)


@pytest.mark.parametrize("part", [(0, 0, 1), (3, 2, .5), (17, 0, .5)], ids=str)  # start, first, share of the channels
def test_route(rng, shape, part):
    count = max(1, int(shape[3] * part[2]))
    start, first = part[0], min(part[1], shape[3] - count)
    x, out = normal(rng, shape), normal(rng, (*shape[:3], start + count + 5))
    expected = out.copy()
    engine.route_forward(x, out, start, first, count)
    kernels.route_forward(x, expected, start, first, count)
    assert out.tobytes() == expected.tobytes()
    for accumulate in (False, True):
        grad = normal(rng, shape)
        expected = grad.copy()
        engine.route_backward(out, grad, start, first, count, accumulate)
        kernels.route_backward(out, expected, start, first, count, accumulate)
        assert grad.tobytes() == expected.tobytes()
        assert np.count_nonzero(grad.base) == np.count_nonzero(grad)


@pytest.mark.parametrize("size", REORGS, ids=str)
@pytest.mark.parametrize("margins", [(0, 0), (1, 0), (0, 2), (2, 1)], ids=str)
def test_reorg(rng, size, margins):
    """Bit for bit, also between frames of different margins: the table of the same shape is another one."""
    *shape, stride, reverse = size
    x, out = (framed(rng.standard_normal(sides).astype(np.float32), margin)
              for sides, margin in zip((shape, out_shape(*size)), margins, strict=True))
    x[:, 0] = -0.0
    expected = out.copy()
    engine.reorg_forward(x, out, stride, reverse)
    kernels.reorg_forward(x, expected, stride, reverse)
    assert out.tobytes() == expected.tobytes()
    for accumulate in (False, True):
        grad = framed(rng.standard_normal(shape).astype(np.float32), margins[0])
        expected = grad.copy()
        engine.reorg_backward(out, grad, stride, reverse, accumulate)
        kernels.reorg_backward(out, expected, stride, reverse, accumulate)
        assert (grad == expected).all()  # the kernel adds to 0, which makes 0 of -0
        assert margin_is_zero(grad)
    assert margin_is_zero(out)


@pytest.mark.parametrize("alpha", [1, .5])
@pytest.mark.parametrize("other", [(1, 0), (2, 0), (1, 3), (1, -2), (2, -1), (.5, 0), (.5, 1)], ids=[
    "alike", "larger", "more channels", "fewer channels", "larger, fewer channels", "smaller", "smaller, more channels"])
def test_shortcut(rng, shape, other, alpha):
    factors = np.float32(alpha), np.float32(-1.25)
    b, h, w, c = shape
    times = max(1, other[0]) if min(h, w) < 4 else other[0]  # what cannot be halved is not
    sizes = int(h * times), int(w * times), max(1, c + other[1])
    x, source, out = normal(rng, shape), normal(rng, (b, *sizes)), normal(rng, shape)
    expected = np.empty(shape)
    engine.shortcut_forward(x, source, out, *factors)
    kernels.shortcut_forward(*float64(x, source), expected, *factors)
    assert close(out, expected)
    for accumulate in (False, True):
        grads, grad_sources = ([g, g.astype(np.float64)] for g in (normal(rng, shape), normal(rng, source.shape)))
        for ops, g, grad, grad_source in zip((engine, kernels), (out, out.astype(np.float64)), grads, grad_sources):
            ops.shortcut_backward_x(g, source, grad, factors[0], False, accumulate)
            ops.shortcut_backward_source(g, grad_source, factors[1], accumulate)
        assert close(*grads)
        assert close(*grad_sources)
        assert np.count_nonzero(grads[0].base) == np.count_nonzero(grads[0])
        assert np.count_nonzero(out.base) == np.count_nonzero(out)
    engine.shortcut_forward(x, source, x, *factors)  # in place
    assert x.tobytes() == out.tobytes()


def test_bias(rng, shape):
    out, bias = normal(rng, shape), rng.standard_normal(shape[3]).astype(np.float32)
    expected = out + bias
    engine.bias_forward(out, bias)
    assert out.tobytes() == expected.tobytes()
    assert np.count_nonzero(out.base) == np.count_nonzero(out)
    grad = np.ones(shape[3], np.float32)
    engine.bias_backward(out, grad)
    assert close(grad, 1 + out.astype(np.float64).sum((0, 1, 2)), 2e-6)


@pytest.mark.parametrize("size", [1, 15, 16, 4096, 10007])
def test_sgd(rng, size):
    ours = rng.standard_normal((3, size)).astype(np.float32)
    theirs = ours.astype(np.float64)
    for _ in range(2):
        engine.sgd_update(*ours, .1, .9, .0005, 8)
        kernels.sgd_update(*theirs, .1, .9, .0005, 8)
    assert close(ours[0], theirs[0])
    assert close(ours[2], theirs[2])
    assert not ours[1].any()


def test_same_bits_on_one_and_two_threads(rng, same_bits):
    shape = (2, 31, 17, 24)
    x, grad_out = normal(rng, shape), normal(rng, shape)
    vectors = rng.uniform(.5, 1, (4, 24)).astype(np.float32)
    start = rng.standard_normal((3, 9999)).astype(np.float32)

    def run():
        mean, variance, grad_scale, grad_bias, grad_head = np.zeros((5, 24), np.float32)
        out, grad_x, pooled, turned = (np.zeros(shape, np.float32) for _ in range(4))
        winner, flat = np.zeros(shape, np.int32), start.copy()
        engine.batchnorm_statistics(x, mean, variance)
        engine.batchnorm_forward(x, *vectors, out)
        engine.activation_forward(out, 1)
        engine.maxpool_forward(out, pooled, winner, 2, 1, 0)
        engine.maxpool_backward(grad_out, winner, grad_x, 2, 1, 0, False)
        engine.batchnorm_backward(x, *vectors[:3], grad_out, grad_scale, grad_bias, grad_x)
        engine.shortcut_forward(grad_x, x, grad_x, 1, 1)
        engine.route_backward(grad_x, out, 0, 5, 7, True)
        engine.reorg_forward(out, turned, 1, 0)
        engine.reorg_backward(turned, grad_x, 1, 0, True)
        engine.bias_backward(grad_x, grad_head)
        engine.sgd_update(*flat, .1, .9, .0005, 3)
        return mean, variance, out, pooled, turned, winner, grad_scale, grad_bias, grad_x, grad_head, flat

    same_bits(run)
