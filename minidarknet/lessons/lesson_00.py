"""Lesson 00, the tour: one number of a layer, and what it can see (notebooks/00_tour.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise
from minidarknet.network import Network

_rng = np.random.default_rng(0)
WIDE = 64  # pixels, more than any field below


def _number(window, weight, scale, bias, mean, variance, slope=.1):
    z = (window[..., None] * weight).sum(axis=(0, 1, 2))
    y = scale * (z - mean) / np.sqrt(variance + 1e-5) + bias
    return np.where(y > 0, y, slope * y)


def _layer(window, weight, scale, bias, mean, variance):
    """The library's [convolutional], its window laid on a picture that is no larger."""
    k, _, c, f = weight.shape
    net = Network.from_string(f"[net]\nwidth={k}\nheight={k}\nchannels={c}\n[convolutional]\nbatch_normalize=1\n"
                              f"filters={f}\nsize={k}\nactivation=leaky\n", backend="kernels", dtype=np.float64)
    layer = net.layers[0]
    layer.weight = weight
    n = layer.norm
    n.scale[:], n.bias[:], n.rolling_mean[:], n.rolling_variance[:] = scale, bias, mean, variance
    return net.predict(window[None])[0]


@exercise(
    right=_layer,
    cases=[(_rng.random((3, 3, 3)), _rng.standard_normal((3, 3, 3, 4)), *_rng.uniform(.5, 2, (4, 4))),
           (_rng.random((1, 1, 2)), _rng.standard_normal((1, 1, 2, 3)), *_rng.uniform(.5, 2, (4, 3)))],
    slips=[(lambda *a: _number(*a, slope=0), "negative numbers became 0; the leaky activation keeps a tenth of them"),
           (lambda *a: _number(*a, slope=1), "the activation is missing: a tenth of what is negative"),
           (lambda window, weight, scale, bias, mean, variance: _number(window, weight, scale, bias, mean, variance ** 2),
            "divided by the variance: its square root is missing"),
           (lambda window, weight, scale, bias, mean, variance: _number(window, weight, scale, bias + mean, mean, variance),
            "the bias stands behind the normalisation: add it once, after scaling")],
    moral="This, at every place and for every filter of every layer, is nearly all that a detector does.")
def one_number(window, weight, scale, bias, mean, variance):
    """The outputs of a convolutional layer at one place, all filters: (f,).

    z_f = sum of window[ky, kx, c] weight[ky, kx, c, f]; y = scale (z - mean) / sqrt(variance + 1e-5) + bias; then the
    leaky activation: y where y > 0, else y / 10. window: (k, k, c). weight: (k, k, c, f). The others: (f,).
    """
    raise NotImplementedError


def _field(windows):
    """What the library's layers really see: how many columns of a picture change a number in the middle of the result."""
    text = "".join(f"[convolutional]\nfilters=1\nsize={k}\nstride={s}\npad=1\nactivation=linear\n" for k, s in windows)
    net = Network.from_string(f"[net]\nwidth={WIDE}\nheight={WIDE}\nchannels=1\n{text}", backend="kernels", dtype=np.float64)
    for layer in net.layers:
        layer.weight[:] = 1
    columns = np.eye(WIDE)[:, None, :, None].repeat(WIDE, axis=1)  # in picture i column i is bright
    out = net.predict(columns)
    return int(np.count_nonzero(out[:, out.shape[1] // 2, out.shape[2] // 2]))


def _walk(windows, step):
    field = jump = 1
    for size, stride in windows:
        field, jump = step(field, jump, size, stride)
    return field


@exercise(
    right=_field,
    cases=[([(3, 1)],), ([(3, 1), (3, 1)],), ([(3, 2), (3, 1)],), ([(3, 2), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)],)],
    slips=[(lambda ws: _walk(ws, lambda f, j, k, s: (f + (k - 1) * j * s, j * s)),
            "a layer's own stride only counts for the layers behind it: first the field, then the jump"),
           (lambda ws: _walk(ws, lambda f, j, k, s: (f + k * j, j * s)),
            "one of the k pixels was seen before: the field grows by k - 1 of them"),
           (lambda ws: _walk(ws, lambda f, j, k, s: (f + k - 1, j)),
            "behind a stride of 2 the pixels of a map lie two input pixels apart: multiply by the jump"),
           (lambda ws: _walk(ws, lambda f, j, k, s: (f * k, j)),
            "neighbouring windows overlap: the field grows by (k - 1) jumps, it is not multiplied")],
    moral="Strides make it grow fast: every halving doubles what all later layers add.")
def receptive_field(windows):
    """The side, in input pixels, of the square that one number of the last layer can see: an int.

    Start with field 1 and jump 1. Every layer: field <- field + (size - 1) jump, then jump <- jump stride.
    windows: list of (size, stride), the first layer first.
    """
    raise NotImplementedError
