"""What the convolution does with its results on the way: statistics while training, activation and pooling in prediction."""
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from test_engine import Case, close

from minidarknet import engine, kernels
from minidarknet.activations import activation_code

SHAPES = [(2, 10, 11, 3, 40, 3, 1, 1, 1), (1, 13, 13, 64, 70, 3, 1, 1, 1), (8, 13, 13, 20, 33, 3, 1, 1, 1),
          (1, 9, 8, 20, 9, 3, 2, 1, 1), (3, 5, 7, 125, 29, 1, 1, 0, 1), (1, 12, 11, 8, 12, 3, 1, 1, 4),
          (1, 7, 7, 36, 72, 3, 1, 1, 2), (2, 7, 7, 6, 6, 3, 1, 1, 6), (1, 61, 60, 20, 18, 3, 1, 1, 1),
          (1, 2, 3, 700, 40, 3, 1, 1, 1), (2, 1, 1, 8, 8, 3, 1, 1, 1), (1, 1, 5, 8, 8, 3, 1, 1, 1)]
KINDS = ["linear", "leaky", "relu", "relie"]


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=["direct", "winograd"])
def algorithm(request):
    return request.param


def expected_results(case):
    """What the kernels compute in float64."""
    out = np.zeros(case.grad_out.shape)
    x, weight = case.x.astype(np.float64), case.weight.astype(np.float64)
    kernels.convolutional_forward(x, weight, out, *case.how)
    return out


def pooled(y):
    """The largest of every 2 x 2 window, smaller at an odd edge, in NumPy."""
    b, h, w, c = y.shape
    padded = np.full((b, h + h % 2, w + w % 2, c), -np.inf)
    padded[:, :h, :w] = y
    return padded.reshape(b, (h + 1) // 2, 2, (w + 1) // 2, 2, c).max((2, 4))


def measure(case):
    out, mean, variance = framed(np.ones(case.grad_out.shape, np.float32)), *np.ones((2, case.weight.shape[3]), np.float32)
    engine.convolutional_measure(case.x, case.weight, out, *case.how, mean, variance, case.algorithm)
    return out, mean, variance


def predict(case, kind, pool):
    rng, (b, h, w, f) = np.random.default_rng(5), case.grad_out.shape
    factor, shift = rng.standard_normal((2, f), np.float32)  # of either sign
    out = framed(np.ones((b, -(-h // 2), -(-w // 2), f) if pool else (b, h, w, f), np.float32))
    norm = factor, shift, None, None, 0
    engine.convolutional_prediction(case.x, case.weight, norm, activation_code(kind), pool, out, *case.how, case.algorithm)()
    return out, factor, shift


@pytest.mark.parametrize("far", [0, 30])
def test_measure(rng, shape, algorithm, far):
    """The mean may lie far from zero, compared with the scatter around it."""
    case = Case(rng, shape, algorithm=algorithm)
    case.x += far
    out, mean, variance = measure(case)
    expected = expected_results(case)
    assert close(out, expected, 1e-5)
    assert margin_is_zero(out)
    scatter = out.astype(np.float64).std((0, 1, 2)).max() + 1e-6
    assert np.abs(mean - out.mean((0, 1, 2), np.float64)).max() < 1e-5 * max(scatter, np.abs(mean).max())
    assert np.abs(variance - out.var((0, 1, 2), dtype=np.float64)).max() < 2e-5 * scatter ** 2


@pytest.mark.parametrize("kind, pool", [*((kind, pool) for kind in KINDS for pool in (False, True)),
                                        ("mish", False), ("swish", False)])
def test_predict(rng, shape, algorithm, kind, pool):
    case = Case(rng, shape, algorithm=algorithm)
    out, factor, shift = predict(case, kind, pool)
    expected = factor * expected_results(case) + shift
    kernels.activation_forward(expected, activation_code(kind))
    assert close(out, pooled(expected) if pool else expected, 1e-5)
    assert margin_is_zero(out)


def predict_sum(case, kind, sum_kind, seed=6):
    """(out, factor, shift, added) of a prediction whose results are added to something."""
    rng, f = np.random.default_rng(seed), case.grad_out.shape[3]
    factor, shift = rng.standard_normal((2, f), np.float32)
    out = framed(np.ones(case.grad_out.shape, np.float32))
    added = framed(rng.standard_normal(case.grad_out.shape).astype(np.float32))
    engine.convolutional_prediction(case.x, case.weight, (factor, shift, None, None, 0), activation_code(kind), False, out,
                                    *case.how, case.algorithm, added, activation_code(sum_kind))()
    return out, factor, shift, added


@pytest.mark.parametrize("kind, sum_kind", [("leaky", "linear"), ("linear", "leaky"), ("mish", "relu"), ("relu", "swish")])
def test_sum(rng, shape, algorithm, kind, sum_kind):
    """act2(act(convolution) + added), both activations and what is added at its own pixel."""
    case = Case(rng, shape, algorithm=algorithm)
    out, factor, shift, added = predict_sum(case, kind, sum_kind)
    before = added.copy()
    expected = factor * expected_results(case) + shift
    kernels.activation_forward(expected, activation_code(kind))
    expected += added
    kernels.activation_forward(expected, activation_code(sum_kind))
    assert close(out, expected, 1e-5)
    assert margin_is_zero(out) and np.array_equal(added, before)


@pytest.mark.parametrize("what", ["another margin", "another size", "another dtype", "pooled"])
def test_a_sum_that_cannot_be(rng, what):
    case = Case(rng, SHAPES[0])
    out = framed(np.ones(case.grad_out.shape, np.float32))
    added = {"another margin": np.ones_like(out), "another size": framed(np.ones(out.shape[:3] + (8,), np.float32)),
             "another dtype": out.astype(np.float64), "pooled": framed(np.ones_like(out))}[what]
    norm = *np.ones((2, out.shape[3]), np.float32), None, None, 0
    with pytest.raises(ValueError, match="laid out"):
        engine.convolutional_prediction(case.x, case.weight, norm, 0, what == "pooled", out, *case.how, "auto", added)


@pytest.mark.parametrize("missing", ["nothing", "scale", "statistics", "all but bias"])
def test_batch_norm_is_folded(rng, shape, algorithm, missing):
    """scale * (z - mean) / sqrt(variance + epsilon) + bias in float64, as far as it is there."""
    case = Case(rng, shape, algorithm=algorithm)
    filters = case.grad_out.shape[3]
    scale, bias, mean = rng.standard_normal((3, filters), np.float32)
    variance = rng.random(filters, np.float32)
    variance[0] = 0
    if missing in ("scale", "all but bias"):
        scale = None
    if missing in ("statistics", "all but bias"):
        mean = variance = None
    out = framed(np.ones(case.grad_out.shape, np.float32))
    norm = scale, bias, mean, variance, .25
    call = engine.convolutional_prediction(case.x, case.weight, norm, activation_code("linear"), False, out, *case.how,
                                           case.algorithm)
    for _ in range(2):
        call()
        normed = expected_results(case)
        if mean is not None:
            normed = (normed - mean) / np.sqrt(variance.astype(np.float64) + .25)
        assert close(out, (1 if scale is None else scale) * normed + bias, 1e-5)
        assert margin_is_zero(out)
        for array in (scale, bias, mean, variance, case.x, case.weight):  # the same Call reads them all anew
            if array is not None:
                array += np.float32(.5) * array


def test_same_bits_on_one_and_two_threads(shape, algorithm, same_bits):
    case = Case(np.random.default_rng(2), shape, algorithm=algorithm)
    same_bits(lambda: [*measure(case), predict(case, "leaky", True)[0], predict(case, "leaky", False)[0],
                        predict_sum(case, "leaky", "leaky")[0]])
