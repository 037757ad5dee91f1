"""Lesson 02, convolution and its gradients (notebooks/02_convolution.ipynb)."""
import numpy as np

from minidarknet.layers.convolutional import Convolutional, ConvolutionalOptions
from minidarknet.layers.input import Input
from minidarknet.lessons import exercise
from minidarknet.netoptions import NetOptions

_rng = np.random.default_rng(2)


def _side(n, size, stride, padding):
    """The library's layer, asked for the shape it would give."""
    options = ConvolutionalOptions(filters=1, size=size, stride=stride, padding=padding)
    source = Input(NetOptions(height=n, width=n, channels=1), None, float)
    return Convolutional(options, [source], None).out_shape((n, n, 1))[0]


@exercise(
    right=_side,
    cases=[(13, 3, 1, 1), (224, 3, 2, 1), (7, 5, 1, 0), (10, 3, 2, 0), (9, 1, 3, 0)],
    slips=[(lambda n, k, s, p: (n + 2 * p - k) // s, "one too few: a window that just fits is one place, not none"),
           (lambda n, k, s, p: (n + p - k) // s + 1, "the padding stands on both sides: 2 padding pixels are added"),
           (lambda n, k, s, p: n // s, "this forgets the window: it must lie inside the padded picture as a whole"),
           (lambda n, k, s, p: (n + 2 * p - k) / s + 1, "a window that fits only in part is left out: divide without rest"),
           (lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1,
            "a last step that would leave the padded picture is not made: round down")],
    moral="With size 3, stride 1 and padding 1 it is n again: such layers can be stacked as deep as one likes.")
def out_side(n, size, stride, padding):
    """How many places a window has along one side of a picture: an int.

    n: pixels of the side. size: of the window. stride: pixels from one place to the next. padding: zeros added at either
    end. The window must lie inside the padded picture.
    """
    raise NotImplementedError


def _windows(x, k):
    """Every k x k window of x (h, w, c), zeros around: (h, w, c, k, k)."""
    padded = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(0, 1))


def _sum(pattern):
    return lambda x, weight: np.einsum(pattern, _windows(x, len(weight)), weight)


def _forward(x, weight):
    """The library's kernel, on one picture."""
    from minidarknet.kernels.convolutional import convolutional_forward
    out = np.empty((1, *x.shape[:2], weight.shape[3]))
    convolutional_forward(x[None], weight, out, 1, len(weight) // 2, 1)
    return out[0]


PICTURES = [(_rng.standard_normal((5, 4, 1)), _rng.standard_normal((3, 3, 1, 1))),
            (_rng.standard_normal((4, 6, 3)), _rng.standard_normal((3, 3, 3, 2))),
            (_rng.standard_normal((6, 6, 2)), _rng.standard_normal((5, 5, 2, 4)))]


@exercise(
    right=_forward,
    cases=PICTURES,
    slips=[(lambda x, w: _forward(x, w[::-1, ::-1]), "the kernel is turned by half a circle: that is the mathematicians' "
                                                     "convolution; networks lay it on as it is (cross-correlation)"),
           (_sum("yxcab,bacf->yxf"), "rows and columns of the kernel are swapped: weight[ky, kx], y first"),
           (lambda x, w: np.roll(_forward(x, w), (w.shape[0] // 2,) * 2, (0, 1)),
            "everything is shifted by half a window: out[y, x] belongs to the window whose middle is x[y, x]")],
    moral="A handful of numbers, used at every place: that is why it works wherever the object stands.")
def convolve(x, weight):
    """Convolve one picture, stride 1, with k // 2 zeros around it: (h, w, c) -> (h, w, f).

    out[y, x, f] = sum over ky, kx, c of padded[y + ky, x + kx, c] * weight[ky, kx, c, f]. x: (h, w, c).
    weight: (k, k, c, f), k odd.
    """
    raise NotImplementedError


def _gradient(x, grad_out, k):
    """The library's kernel, on one picture."""
    from minidarknet.kernels.convolutional import convolutional_backward_weight
    grad = np.zeros((k, k, x.shape[2], grad_out.shape[2]))
    convolutional_backward_weight(x[None], grad_out[None], grad, 1, k // 2, 1)
    return grad


GRADIENTS = [(x, _rng.standard_normal((*x.shape[:2], weight.shape[3])), len(weight)) for x, weight in PICTURES]


@exercise(
    right=_gradient,
    cases=GRADIENTS,
    slips=[(lambda x, g, k: _gradient(x, g, k) / g[..., 0].size,
            "this is the mean over the places; a weight is used at every place, and the gradients of all uses add up"),
           (lambda x, g, k: _gradient(x, g, k)[::-1, ::-1],
            "the result is turned by half a circle: weight[ky, kx] met x[y + ky - k//2, x + kx - k//2], the same sign"),
           (lambda x, g, k: _gradient(x, g, k).transpose(1, 0, 2, 3),
            "rows and columns are swapped: grad[ky, kx], y first")],
    moral="It is a convolution itself: the picture is laid over the gradient, once for every place in the window.")
def weight_gradient(x, grad_out, k):
    """dL/dweight of convolve: (k, k, c, f).

    grad[ky, kx, c, f] = sum over y, x of padded[y + ky, x + kx, c] * grad_out[y, x, f]. x: (h, w, c).
    grad_out: dL/dout (h, w, f). k: side of the window, odd.
    """
    raise NotImplementedError
