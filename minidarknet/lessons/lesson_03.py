"""Lesson 03, batch normalisation: forward, backward, and folded away (notebooks/03_batch_normalisation.ipynb)."""
import numpy as np

from minidarknet.layers.base import Run
from minidarknet.layers.statistics import EPSILON, Normalisation
from minidarknet.lessons import exercise

_rng = np.random.default_rng(3)


def _inverse(x):
    return 1 / np.sqrt(x.var(axis=0) + EPSILON)


def _norm(x, scale, bias=0):
    """The library's Normalisation, its scale and bias set, after a forward pass of x (n, c): (norm, out)."""
    from minidarknet import kernels
    norm = Normalisation(x.shape[1], float)
    norm.scale[:], norm.bias[:] = scale, bias
    out = np.empty((len(x), 1, 1, x.shape[1]))
    norm.forward(kernels, x[:, None, None], out, Run(train=True))
    return norm, out[:, 0, 0]


BATCHES = [(_rng.normal(3, 2, (4, 2)), np.array([1., 1]), np.array([0., 0])),
           (_rng.normal(-1, .5, (7, 3)), np.array([2., .5, 1]), np.array([0., 1, -2]))]


@exercise(
    right=lambda x, scale, bias: _norm(x, scale, bias)[1],
    cases=BATCHES,
    slips=[(lambda x, s, b: s * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + EPSILON) + b,
            "the variance was divided by n - 1; the normaliser takes the biased one, divided by n"),
           (lambda x, s, b: s * (x - x.mean(axis=0)) / (x.var(axis=0) + EPSILON) + b,
            "divided by the variance: its square root is missing"),
           (lambda x, s, b: s * (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + EPSILON) + b,
            "every row was normalised by itself; batch norm takes each channel (column) over the batch"),
           (lambda x, s, b: s * (x - x.mean()) / np.sqrt(x.var() + EPSILON) + b,
            "one mean for everything: every channel has its own"),
           (lambda x, s, b: (s * x + b - x.mean(axis=0)) * _inverse(x),
            "scale and bias come last, else the normalisation takes them away again"),
           (lambda x, s, b: s * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0)) + b,
            "without the 1e-5 under the root a channel that never changes would be divided by 0")],
    moral="Whatever the layer before makes, every channel now has mean `bias` and standard deviation `scale`.")
def normalise(x, scale, bias):
    """Batch normalisation in training: (n, c) -> (n, c).

    scale (x - mean) / sqrt(variance + 1e-5) + bias, mean and biased variance of each channel over the batch.
    x: (n, c), a row for every picture and pixel. scale, bias: (c,).
    """
    raise NotImplementedError


def _gradient(x, scale, grad_out):
    from minidarknet import kernels
    norm, _ = _norm(x, scale)
    grad = grad_out[:, None, None].copy()
    norm.backward(kernels, x[:, None, None], grad, Run(train=True))
    return grad[:, 0, 0]


def _parts(x, grad_out):
    """x_hat, and the parts of grad_out along the constant and along x_hat."""
    x_hat = (x - x.mean(axis=0)) * _inverse(x)
    return x_hat, grad_out.mean(axis=0), x_hat * (grad_out * x_hat).mean(axis=0)


@exercise(
    right=_gradient,
    cases=[(x, scale, _rng.standard_normal(x.shape)) for x, scale, _ in BATCHES],
    slips=[(lambda x, s, g: s * _inverse(x) * g, "mean and variance were taken for constants, but they depend on x as well"),
           (lambda x, s, g: s * _inverse(x) * (g - _parts(x, g)[1]),
            "the way through the mean is there, the one through the variance is missing: the part along x_hat"),
           (lambda x, s, g: s * _inverse(x) * (g - _parts(x, g)[2]),
            "the way through the variance is there, the one through the mean is missing: the mean of the gradient"),
           (lambda x, s, g: _inverse(x) * (g - _parts(x, g)[1] - _parts(x, g)[2]),
            "the scale is missing: out = scale * x_hat + bias, so its slope is a factor"),
           (lambda x, s, g: s * _inverse(x) * (g - len(g) * (_parts(x, g)[1] + _parts(x, g)[2])),
            "both sums have to be divided by n, the number of rows")],
    moral="What normalisation takes out of x going forward, it takes out of the gradient going back.")
def batch_norm_gradient(x, scale, grad_out):
    """dL/dx of normalise: (n, c).

    scale / sqrt(variance + 1e-5) (g - mean(g) - x_hat mean(g x_hat)), with g = grad_out, the means over the batch.
    x, grad_out: (n, c). scale: (c,).
    """
    raise NotImplementedError


def _fold(weight, scale, bias, mean, variance):
    norm = Normalisation(len(scale), float)
    norm.scale[:], norm.bias[:], norm.rolling_mean[:], norm.rolling_variance[:] = scale, bias, mean, variance
    factor, shift = norm.fold(Run())
    return np.vstack([weight * factor, shift])


def _factor(scale, variance):
    return scale / np.sqrt(variance + EPSILON)


@exercise(
    right=_fold,
    cases=[(np.eye(2), np.array([2., 3]), np.array([1., -1]), np.array([.5, 0]), np.array([4., 1])),
           (_rng.standard_normal((4, 3)), *_rng.uniform(.5, 2, (4, 3)))],
    slips=[(lambda w, s, b, m, v: np.vstack([w * _factor(s, v), b]),
            "the mean is lost: it belongs into the bias, bias - mean * factor"),
           (lambda w, s, b, m, v: np.vstack([w * _factor(s, v), b - m]),
            "the mean is scaled as well: bias - mean * factor"),
           (lambda w, s, b, m, v: np.vstack([w * s / (v + EPSILON), b - m * s / (v + EPSILON)]),
            "divided by the variance: its square root is missing"),
           (lambda w, s, b, m, v: np.vstack([w * _factor(s, v), b + m * _factor(s, v)]),
            "the mean is subtracted before scaling, so the bias becomes smaller by mean * factor")],
    moral="A trained network needs no batch norm layer: it costs nothing at all when predicting.")
def fold(weight, scale, bias, mean, variance):
    """Weights and bias of a plain layer that does what the layer and its batch norm do: (n + 1, c), the bias last.

    scale ((z @ weight) - mean) / sqrt(variance + 1e-5) + bias must equal z @ result[:-1] + result[-1] for every z.
    weight: (n, c). scale, bias, mean, variance: (c,), the rolling statistics.
    """
    raise NotImplementedError
