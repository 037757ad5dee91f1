"""The fused passes against the kernels one after the other, against NumPy, and against numeric derivatives."""
import naive
import numpy as np
import pytest
from conftest import framed

from minidarknet import engine, kernels
from minidarknet.activations import TOLD_BY_INPUT, activation_code

# b, h, w, c: odd and even sizes, channel counts below, at, between and above whole registers
SHAPES = [(2, 5, 7, 3), (1, 13, 13, 125), (3, 6, 5, 16), (2, 1, 1, 20), (2, 33, 4, 32), (1, 3, 2, 1), (4, 10, 9, 72)]
KINDS = ["linear", "leaky", "relu", "relie"]
CURVES = ["mish", "swish"]


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["plain", "pool"])
def pool(request):
    return request.param


def halved(shape):
    b, h, w, c = shape
    return b, -(-h // 2), -(-w // 2), c


def close(found, expected, tolerance=2e-6):
    """Whether two arrays agree relative to the largest element."""
    return np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-30)


def margin_untouched(inner):
    return np.count_nonzero(inner.base) == np.count_nonzero(inner)


class Case:
    """Numbers of a few bits: no rounding before the activation, so that ties are ties for everybody. Many ties."""

    def __init__(self, rng, shape, pool):
        c = shape[3]
        self.pool, self.z = pool, framed((rng.integers(-8, 9, shape) / 4).astype(np.float32), 2)
        self.mean, self.bias = (rng.integers(-4, 5, (2, c)) / 4).astype(np.float32)
        self.inverse = rng.choice(np.array([.5, 1, 2], np.float32), c)
        self.scale = rng.choice(np.array([-2, -1, .5, 1], np.float32), c)
        self.grad_out = framed(rng.standard_normal(halved(shape) if pool else shape).astype(np.float32), 1)
        self.factor = self.scale * self.inverse
        self.shift = self.bias - self.mean * self.factor

    def forward(self, kind, out=None):
        out = framed(np.ones_like(self.grad_out), 1) if out is None else out
        engine.fused_forward(self.z, self.factor, self.shift, activation_code(kind), self.pool, out)
        return out

    def backward(self, kind, grad_z, start=0):
        """(grad_scale, grad_bias, grad_z); the sums begin at `start`."""
        grad_scale, grad_bias = np.full((2, len(self.scale)), start, np.float32)
        engine.fused_backward(self.z, self.mean, self.inverse, self.factor, self.shift, activation_code(kind), self.pool,
                              self.grad_out, grad_scale, grad_bias, grad_z)
        return grad_scale, grad_bias, grad_z

    def one_after_the_other(self, kind):
        """(out, grad_scale, grad_bias, grad_z, sum of what reaches u, that itself) by the kernels, in float64."""
        z, *numbers, grad_out = (np.ascontiguousarray(a).astype(np.float64) for a in (
            self.z, self.mean, self.inverse, self.scale, self.bias, self.grad_out))
        code, y, grad = activation_code(kind), np.empty_like(z), grad_out
        kernels.batchnorm_forward(z, *numbers, y)
        u = y.copy()
        kernels.activation_forward(y, code)
        out = y
        if self.pool:
            out, winner, grad = np.empty(grad_out.shape), np.empty(grad_out.shape, np.int32), np.empty_like(z)
            kernels.maxpool_forward(y, out, winner, 2, 2, 0)
            kernels.maxpool_backward(grad_out, winner, grad, 2, 2, 0, False)
        kernels.activation_backward(u if code in TOLD_BY_INPUT else y, grad, code)
        grad_scale, grad_bias, grad_z = np.zeros(z.shape[3]), np.zeros(z.shape[3]), np.empty_like(z)
        kernels.batchnorm_backward(z, *numbers[:3], grad, grad_scale, grad_bias, grad_z)
        return out, grad_scale, grad_bias, grad_z, grad


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_kernels_one_after_the_other(rng, shape, pool, kind):
    case = Case(rng, shape, pool)
    out, grad_scale, grad_bias, grad_z, _ = case.one_after_the_other(kind)
    before, found = case.z.copy(), case.forward(kind)
    assert close(found, out, 1e-7)
    assert margin_untouched(found)
    assert case.z.tobytes() == before.tobytes()
    found = case.backward(kind, framed(np.ones_like(case.z), 1), start=3)
    for ours, theirs in zip(found, (3 + grad_scale, 3 + grad_bias, grad_z), strict=True):
        assert close(ours, theirs)
    assert margin_untouched(found[2])


@pytest.mark.parametrize("kind", KINDS)
def test_bias_agrees_with_the_kernels_one_after_the_other(rng, shape, pool, kind):
    case = Case(rng, shape, pool)
    case.mean[:], case.inverse[:], case.scale[:], case.factor[:], case.shift[:] = 0, 1, 1, 1, case.bias
    out, _, grad_bias, _, grad = case.one_after_the_other(kind)
    assert close(case.forward(kind), out, 1e-7)
    found, grad_z = np.full(shape[3], 3, np.float32), framed(np.ones_like(case.z), 1)
    engine.fused_bias_backward(case.z, case.bias, activation_code(kind), pool, case.grad_out, found, grad_z)
    assert close(found, 3 + grad_bias)
    assert close(grad_z, grad, 1e-7)
    assert margin_untouched(grad_z)


@pytest.mark.parametrize("kind", CURVES)
def test_curves_agree_with_the_kernels_one_after_the_other(rng, shape, kind):
    """Never pooled in the same pass; with batch norm, then with a bias, also written over z."""
    case = Case(rng, shape, False)
    out, grad_scale, grad_bias, grad_z, grad = case.one_after_the_other(kind)
    assert close(case.forward(kind), out, 4e-7)
    found = case.backward(kind, framed(np.ones_like(case.z), 1), start=3)
    for ours, theirs in zip(found, (3 + grad_scale, 3 + grad_bias, grad_z), strict=True):
        assert close(ours, theirs)
    assert margin_untouched(found[2])
    assert case.backward(kind, case.z)[2].tobytes() == found[2].tobytes()
    case = Case(rng, shape, False)
    case.mean[:], case.inverse[:], case.scale[:], case.factor[:], case.shift[:] = 0, 1, 1, 1, case.bias
    _, _, grad_bias, _, grad = case.one_after_the_other(kind)
    found = np.full(shape[3], 3, np.float32)
    engine.fused_bias_backward(case.z, case.bias, activation_code(kind), False, case.grad_out, found, case.z)
    assert close(found, 3 + grad_bias)
    assert close(case.z, grad, 4e-7)


def test_in_place(rng, shape, pool):
    case = Case(rng, shape, pool)
    expected = case.backward("leaky", np.empty_like(case.z))
    grad_out = case.grad_out.copy()
    if not pool:
        assert case.backward("leaky", case.grad_out)[2].tobytes() == expected[2].tobytes()
        case.grad_out[...] = grad_out
        before, out = case.z.copy(), case.forward("leaky")
        assert case.forward("leaky", case.z).tobytes() == out.tobytes()
        case.z[...] = before
    for ours, theirs in zip(case.backward("leaky", case.z), expected, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert margin_untouched(case.z)


def test_agrees_with_the_naive_counterpart(rng, shape):
    """Statistics of the batch itself, pooling and its gradient in NumPy."""
    epsilon, scale, bias = 1e-5, *rng.uniform(.5, 2, (2, shape[3])).astype(np.float32)
    z, grad_out = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(halved(shape)).astype(np.float32)
    wide = z.astype(np.float64)
    u, mean, inverse = naive.batchnorm(wide, scale, bias, epsilon)
    out, winner = naive.maxpool(np.maximum(u, .1 * u), *halved(shape)[1:3], 2, 2, 0)
    grad_u = naive.maxpool_grad_x(grad_out, winner, shape) * np.where(u > 0, 1, .1)
    mean, inverse = mean.astype(np.float32), inverse.astype(np.float32)
    factor, shift = scale * inverse, bias - mean * scale * inverse
    found, grad_z, sums = np.empty(out.shape, np.float32), np.empty_like(z), np.zeros((2, shape[3]), np.float32)
    engine.fused_forward(z, factor, shift, activation_code("leaky"), True, found)
    engine.fused_backward(z, mean, inverse, factor, shift, activation_code("leaky"), True, grad_out, *sums, grad_z)
    assert close(found, out, 1e-5)
    assert close(sums[0], (grad_u * (wide - mean) * inverse).sum((0, 1, 2)), 1e-5)
    assert close(sums[1], grad_u.sum((0, 1, 2)), 1e-5)
    assert np.abs(grad_z - naive.batchnorm_grad_x(wide, scale, grad_u, epsilon)).max() < 1e-4 * np.abs(factor).max()


@pytest.mark.parametrize("mistake", [None, "sign", "statistics are constants", "next pixel", "slope 1"])
@pytest.mark.parametrize("name", ["leaky", *CURVES])
def test_numeric_derivative(rng, pool, mistake, name):
    """Through mean and variance, along a random direction of z, scale and bias; and the check can say no."""
    if pool and name in CURVES:
        name = "relie"  # curves are not pooled in the same pass
    shape, kind = (2, 5, 7, 19), activation_code(name)
    # Numbers farther apart than the step, so that no window changes its winner, and none of them near the kink:
    # their mean lies half way between the two in the middle, and the bias moves the kink by whole gaps.
    z = np.stack([rng.permutation(70).reshape(shape[:3]) / 20 for _ in range(19)], axis=3).astype(np.float32)
    upstream = rng.standard_normal(halved(shape) if pool else shape).astype(np.float32) + 1
    scale, mean, variance = rng.uniform(.5, 2, (3, 19)).astype(np.float32)
    bias = scale / z[..., 0].std() * rng.integers(-20, 20, 19).astype(np.float32) / 20

    def forward():
        engine.batchnorm_statistics(z, mean, variance)
        inverse = 1 / np.sqrt(variance + np.float32(1e-5))
        out, factor = np.empty_like(upstream), scale * inverse
        engine.fused_forward(z, factor, bias - mean * factor, kind, pool, out)
        return np.vdot(out.astype(np.float64), upstream), inverse, factor, bias - mean * factor

    _, inverse, factor, shift = forward()
    grads = np.empty_like(z), *np.zeros((2, 19), np.float32)
    if mistake == "slope 1":
        kind = activation_code("linear")
    engine.fused_backward(z, mean, inverse, factor, shift, kind, pool, upstream, grads[1], grads[2], grads[0])
    kind = activation_code(name)
    if mistake == "sign":
        grads = [-grad for grad in grads]
    if mistake == "next pixel":
        grads = np.roll(grads[0], 1, axis=2), *grads[1:]
    if mistake == "statistics are constants":
        engine.fused_bias_backward(z, shift / factor, kind, pool, upstream, np.zeros_like(bias), grads[0])
        grads[0][...] *= factor
    agree, step = [], 1e-3
    for array, grad in zip((z, scale, bias), grads, strict=True):
        direction, before = rng.uniform(-1, 1, array.shape).astype(np.float32), array.copy()
        array[...] = before + np.float32(step) * direction
        above = forward()[0]
        array[...] = before - np.float32(step) * direction
        slope, along = (above - forward()[0]) / (2 * step), np.vdot(grad.astype(np.float64), direction)
        array[...] = before
        agree.append(abs(slope - along) < 1e-3 * np.linalg.norm(grad))
    assert all(agree) == (mistake is None), agree


def test_the_same_bits_on_one_and_two_threads(rng, same_bits, pool):
    case = Case(rng, (2, 31, 17, 24), pool)

    def run():
        return case.forward("leaky"), *case.backward("leaky", np.empty_like(case.z))

    same_bits(run)


def test_nan_never_wins_a_window():
    z, out = np.zeros((1, 3, 3, 5), np.float32), np.empty((1, 2, 2, 5), np.float32)
    z[0, 0, 0] = z[0, 1, 1] = z[0, 2, 2] = np.nan
    engine.fused_forward(z, np.ones(5, np.float32), np.ones(5, np.float32), activation_code("leaky"), True, out)
    assert (out[0, 0] == 1).all() and (out[0, 1, 0] == 1).all()
    assert (out[0, 1, 1] == -np.inf).all()
    engine.fused_forward(z, np.ones(5, np.float32), np.ones(5, np.float32), activation_code("leaky"), False, z)
    assert np.isnan(z).sum() == 15
