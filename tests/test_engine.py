"""The engine's direct convolution against the kernels and the naive counterpart: every shape, margins, adjoints, threads."""
import naive
import numpy as np
import pytest
from conftest import framed, margin_is_zero

from minidarknet import engine, kernels

# b, h, w, c, f, k, stride, pad, groups
SHAPES = [
    (1, 13, 13, 3, 16, 3, 1, 1, 1),      # the first layer of a network
    (2, 10, 11, 16, 32, 3, 1, 1, 1),     # whole registers of filters, blocks of pixels that cross lines and pictures
    (1, 19, 14, 32, 64, 3, 1, 1, 1),     # two blocks of filters
    (3, 5, 7, 125, 29, 1, 1, 0, 1),      # 1x1, no margin, odd channel counts
    (2, 3, 3, 20, 125, 1, 1, 0, 1),      # a head
    (1, 4, 3, 7, 425, 1, 1, 0, 1),       # a head of 80 classes
    (1, 17, 12, 9, 33, 3, 2, 1, 1),      # stride 2
    (2, 15, 14, 5, 7, 5, 3, 2, 1),       # stride 3
    (1, 14, 14, 20, 30, 1, 2, 0, 1),     # stride larger than the kernel: pixels that nobody reads
    (2, 8, 9, 3, 50, 7, 2, 3, 1),        # a large kernel
    (1, 9, 8, 48, 80, 2, 2, 0, 1),       # an even kernel
    (1, 6, 7, 4, 5, 2, 1, 1, 1),         # an even kernel with padding: the output is larger than the input
    (1, 12, 11, 8, 12, 3, 1, 1, 4),      # groups
    (2, 7, 9, 36, 40, 3, 2, 1, 2),       # groups wider than a block, stride 2
    (2, 7, 7, 6, 6, 3, 1, 1, 6),         # depthwise
    (1, 5, 6, 3, 9, 3, 1, 1, 3),         # depthwise with three filters per channel
    (3, 1, 1, 8, 8, 3, 1, 1, 1),         # a picture of one pixel
    (1, 3, 2, 4, 4, 3, 1, 2, 2),         # a kernel larger than the picture, wide padding
    (1, 3, 2, 4, 4, 1, 1, 1, 2),         # padding of a 1x1 kernel: the margin's zeros come out
    (1, 2, 3, 700, 40, 3, 1, 1, 1),      # so deep that the kernel rows are packed one by one
]
NAMES = ["x".join(map(str, shape)) for shape in SHAPES]
TOLERANCE = 2e-6  # relative to the largest result; float32 sums of up to 6300 products


class Case:
    """The arrays of one convolution, framed as layers frame them, and its (stride, pad, groups)."""

    def __init__(self, rng, shape, spare=0, algorithm="direct"):
        b, h, w, c, f, k, stride, pad, groups = shape
        oh, ow = ((n + 2 * pad - k) // stride + 1 for n in (h, w))
        self.spare, self.how, self.algorithm = spare, (stride, pad, groups), algorithm
        self.x = framed(rng.standard_normal((b, h, w, c), np.float32), pad + spare)
        self.weight = rng.standard_normal((k, k, c // groups, f), np.float32)
        self.grad_out = framed(rng.standard_normal((b, oh, ow, f), np.float32), max(k - 1 - pad, 0) + spare)

    def choice(self, ops):
        return (self.algorithm,) if ops is engine else ()

    def forward(self, ops=engine):
        out = framed(np.ones(self.grad_out.shape, self.x.dtype), 1)
        ops.convolutional_forward(self.x, self.weight, out, *self.how, *self.choice(ops))
        return out

    def data(self, ops=engine, start=None):
        grad = framed(np.ones(self.x.shape, self.x.dtype) if start is None else start, 2)
        ops.convolutional_backward_data(self.grad_out, self.weight, grad, *self.how, start is not None,
                                        *self.choice(ops))
        return grad

    def weights(self, ops=engine, start=0):
        grad = np.full_like(self.weight, start)
        ops.convolutional_backward_weight(self.x, self.grad_out, grad, *self.how, *self.choice(ops))
        return grad

    def all(self, ops=engine):
        return self.forward(ops), self.data(ops), self.weights(ops)

    def in_float64(self):
        self.x, self.weight, self.grad_out = (a.astype(np.float64) for a in (self.x, self.weight, self.grad_out))
        return self


def close(found, expected, tolerance=TOLERANCE):
    """Whether two arrays agree relative to the largest element."""
    return np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-30)


@pytest.fixture(params=SHAPES, ids=NAMES)
def shape(request):
    return request.param


def test_agrees_with_the_kernels(rng, shape):
    case = Case(rng, shape)
    found, start = case.all(), np.ones(case.x.shape, np.float32)
    added, more = case.data(start=start), case.weights(start=7)
    expected = case.in_float64().all(kernels)
    for name, ours, theirs in zip(("forward", "data", "weight"), found, expected, strict=True):
        assert ours.dtype == np.float32
        assert close(ours, theirs), name
    assert close(added, 1 + expected[1]), "the data gradient accumulates"
    assert close(more, 7 + expected[2]), "the weight gradient accumulates"


def test_agrees_with_the_naive_counterpart(rng, shape):
    case = Case(rng, shape)
    out, grad_x, grad_weight = case.all()
    case.in_float64()
    assert close(out, naive.convolution(case.x, case.weight, *case.how))
    assert close(grad_x, naive.convolution_grad_x(case.grad_out, case.weight, case.x.shape, *case.how))
    assert close(grad_weight, naive.convolution_grad_weight(case.x, case.grad_out, case.weight.shape[0], *case.how))


def test_margins_stay_zero_and_may_be_wider(rng, shape):
    tight, wide = Case(np.random.default_rng(1), shape), Case(np.random.default_rng(1), shape, spare=2)
    for a, b in zip(tight.all(), wide.all(), strict=True):
        assert a.tobytes() == b.tobytes()
    out, grad_x = wide.forward(), wide.data()
    assert margin_is_zero(out)
    assert np.count_nonzero(grad_x.base) <= np.count_nonzero(grad_x)
    added = wide.data(start=rng.standard_normal(wide.x.shape, np.float32))
    assert np.count_nonzero(added.base) == np.count_nonzero(added)


def test_adjoint(rng, shape):
    """<A x, y> = <x, A' y> for the map of x and for the map of the weights."""
    case = Case(rng, shape)
    out, grad_x, grad_weight = (a.astype(np.float64) for a in case.all())
    inner = np.vdot(out, case.grad_out)
    size = np.linalg.norm(out) * np.linalg.norm(case.grad_out)
    assert abs(inner - np.vdot(case.x, grad_x)) < 1e-6 * size
    assert abs(inner - np.vdot(case.weight, grad_weight)) < 1e-6 * size


@pytest.mark.parametrize("mistake", [None, "sign", "flip", "shift"])
def test_numeric_derivative(rng, mistake):
    check_numeric_derivative(rng, Case(rng, SHAPES[6]), mistake)


def check_numeric_derivative(rng, case, mistake):
    """Along random directions of x and of the weights, through a loss that is not linear; and it can say no."""
    def loss():
        return np.sum(np.sin(case.forward().astype(np.float64) / 8))

    case.grad_out[...] = np.cos(case.forward() / 8) / 8
    grads = {"x": case.data(), "weight": case.weights()}
    for name, grad in grads.items():
        if mistake:
            grad = {"sign": -grad, "flip": np.flip(grad, 1), "shift": np.roll(grad, 1, axis=1)}[mistake]
        array = getattr(case, name)
        direction, before, step = rng.standard_normal(array.shape).astype(np.float32), array.copy(), 1e-2
        array[...] = before + step * direction
        above = loss()
        array[...] = before - step * direction
        slope = (above - loss()) / (2 * step)
        array[...] = before
        along = np.vdot(grad.astype(np.float64), direction)
        agrees = abs(slope - along) < 1e-3 * np.linalg.norm(grad) * np.linalg.norm(direction) / grad.size ** .5
        assert agrees == (mistake is None), (name, slope, along)


@pytest.mark.parametrize("shape", [SHAPES[i] for i in (0, 1, 2, 6, 13)] + [(8, 13, 13, 64, 128, 3, 1, 1, 1)], ids=str)
def test_same_bits_on_one_and_two_threads(shape, same_bits):
    case = Case(np.random.default_rng(2), shape)
    same_bits(case.all)


def test_permuting_the_batch_permutes_the_result(rng):
    case = Case(rng, (3, 7, 6, 16, 32, 3, 1, 1, 1))
    out = case.forward().copy()
    case.x[...] = case.x[[2, 0, 1]].copy()
    assert case.forward().tobytes() == out[[2, 0, 1]].tobytes()


def test_nan_comes_out_as_nan(rng):
    """Only where the window sees it, and in every filter."""
    case = Case(rng, (1, 9, 9, 20, 35, 3, 1, 1, 1))
    case.x[0, 4, 4, 19] = np.nan
    out = case.forward()
    assert np.isnan(out[0, 3:6, 3:6]).all()
    assert np.isnan(out).sum() == 9 * 35
    case.x[0, 4, 4, 19] = 0
    case.grad_out[0, 0, 0, 34] = np.nan
    assert np.isnan(case.data()).sum() == 4 * 20
    grad = np.isnan(case.weights())
    assert grad[1:, 1:, :, 34].all()
    assert not grad[..., :34].any()


def test_large_then_small_then_large_again(rng):
    """The working memory is reused: what an earlier call left there must not show."""
    cases = [Case(rng, shape) for shape in (SHAPES[19], SHAPES[4], SHAPES[0])]
    first = [a.tobytes() for case in cases for a in case.all()]
    assert first == [a.tobytes() for case in cases for a in case.all()]


def test_refuses_what_it_cannot_compute(rng):
    case = Case(rng, SHAPES[0])
    with pytest.raises(TypeError, match="kernels"):
        engine.convolutional_forward(case.x.astype(np.float64), case.weight, case.forward(), *case.how)
    with pytest.raises(TypeError, match="side by side"):
        engine.activation_forward(np.ones((1, 3, 4, 4), np.float32).transpose(0, 3, 1, 2), 1)
