"""The functions between the layers: f(x), and f'(x) told from the output, or from x where the output cannot tell.

Every formula is evaluated in float64 and rounded once when it is stored, as C's double constants make Darknet do.
Darknet: src/activations.h, src/activations.c; mish, swish, hard_mish and relu6: AlexeyAB's. Papers: leaky .1 is from
YOLOv1 (arXiv 1506.02640), section 2.2; mish: arXiv 1908.08681; swish: arXiv 1710.05941.
"""
import numpy as np

from minidarknet.activations import ACTIVATIONS
from minidarknet.kernels._jit import jit, parallel, prange

(LINEAR, LEAKY, RELU, LOGISTIC, LOGGY, ELU, SELU, RELIE, RAMP, TANH, PLSE, STAIR, HARDTAN,
 LHTAN, MISH, SWISH, HARD_MISH, RELU6) = range(len(ACTIVATIONS))

SELU_SCALE, SELU_ALPHA = 1.0507, 1.6732
SATURATED = 20.0  # from here on mish is x, to the last digit of a float64; and its exponential does not overflow


@jit
def _tanh_softplus(e):
    """tanh(log(1 + e)) of e = e^x: with w = e^2 + 2 e it is w / (w + 2), which loses no digits anywhere."""
    w = e * (e + 2)
    return w / (w + 2)


@jit
def activate(x, kind):
    """f(x) of one number.

    x float64; kind int, the code of the function (minidarknet/activations.py). Returns float64. NaN stays NaN.
    Products such as x * (x > 0) are Darknet's: they turn an infinity on the switched-off side into NaN.
    Darknet: src/activations.h.
    """
    if kind == LEAKY:
        return x if x > 0 else .1 * x
    if kind == RELU:
        return x * (x > 0)
    if kind == LOGISTIC:
        return 1 / (1 + np.exp(-x))
    if kind == LOGGY:
        return 2 / (1 + np.exp(-x)) - 1
    if kind == ELU:
        return (x >= 0) * x + (x < 0) * (np.exp(x) - 1)
    if kind == SELU:
        return (x >= 0) * SELU_SCALE * x + (x < 0) * SELU_SCALE * SELU_ALPHA * (np.exp(x) - 1)
    if kind == RELIE:
        return x if x > 0 else .01 * x
    if kind == RAMP:
        return x * (x > 0) + .1 * x
    if kind == TANH:
        return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)
    if kind == PLSE:
        if x < -4:
            return .01 * (x + 4)
        return .01 * (x - 4) + 1 if x > 4 else .125 * x + .5
    if kind == STAIR:
        floor = np.floor(x)
        return np.floor(x / 2) if floor % 2 == 0 else x - floor + np.floor(x / 2)
    if kind == HARDTAN:
        if x < -1:
            return -1.0
        return 1.0 if x > 1 else x
    if kind == LHTAN:
        if x < 0:
            return .001 * x
        return .001 * (x - 1) + 1 if x > 1 else x
    if kind == MISH:
        return x * _tanh_softplus(np.exp(min(x, SATURATED)))
    if kind == SWISH:
        return x / (1 + np.exp(-x))
    if kind == HARD_MISH:
        if x <= -2:
            return 0.0
        return x if x > 0 else x * x / 2 + x
    if kind == RELU6:
        if x < 0:
            return 0.0
        return 6.0 if x > 6 else x
    return x


@jit
def activation_slope(y, kind):
    """f'(x) of one number, told from the output y = f(x); for the functions of TOLD_BY_INPUT, y is x itself.

    y float64; kind int, the code of the function. Returns float64. At y = 0 leaky's slope is .1 and relu's 0. Stair's
    is Darknet's, which asks whether the output is a whole number where it should ask the input.
    Darknet: src/activations.h, the functions named *_gradient.
    """
    if kind == MISH:
        e = np.exp(min(y, SATURATED))
        t = _tanh_softplus(e)
        return t + y * (1 - t * t) * e / (1 + e)
    if kind == SWISH:
        p = 1 / (1 + np.exp(-y))
        return p + y * p * (1 - p)
    if kind == HARD_MISH:
        if y > 0:
            return 1.0
        return y + 1 if y > -2 else 0.0
    if kind == RELU6:
        return 1.0 if 0 < y < 6 else 0.0
    if kind == LEAKY:
        return 1.0 if y > 0 else .1
    if kind == RELU:
        return 1.0 if y > 0 else 0.0
    if kind == LOGISTIC:
        return y * (1 - y)
    if kind == LOGGY:
        half = (y + 1) / 2  # the logistic function that loggy stretches to -1..1
        return 2 * half * (1 - half)
    if kind == ELU:
        return 1.0 if y >= 0 else y + 1
    if kind == SELU:
        return SELU_SCALE if y >= 0 else y + SELU_SCALE * SELU_ALPHA
    if kind == RELIE:
        return 1.0 if y > 0 else .01
    if kind == RAMP:
        return (y > 0) + .1
    if kind == TANH:
        return 1 - y * y
    if kind == PLSE:
        return .01 if y < 0 or y > 1 else .125
    if kind == STAIR:
        return 0.0 if np.floor(y) == y else 1.0
    if kind == HARDTAN:
        return 1.0 if -1 < y < 1 else 0.0
    if kind == LHTAN:
        return 1.0 if 0 < y < 1 else .001
    return 1.0


@parallel
def activation_forward(x, kind):
    """Replace every element by f of it: x <- f(x).

    x (b, h, w, c) float, *written* in place; kind int, the code of the function. Darknet: src/activations.c.
    """
    b, h, w, c = x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            if kind == LEAKY:  # said apart: a constant kind leaves a loop that compiles to vector instructions
                for channel in range(c):
                    x[image, y, column, channel] = activate(np.float64(x[image, y, column, channel]), LEAKY)
            else:
                for channel in range(c):
                    x[image, y, column, channel] = activate(np.float64(x[image, y, column, channel]), kind)


@parallel
def activation_backward(told, grad, kind):
    """Take a gradient through the function: dL/dx = dL/dout * f'(x), with f' told from out, or from x.

    told (b, h, w, c) float: what activation_forward left, but what it was given where kind is one of
    activations.TOLD_BY_INPUT; grad (b, h, w, c) float: dL/dout, *written* in place to dL/dx; kind int, the code of the
    function. Darknet: src/activations.c.
    """
    b, h, w, c = told.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            # forward: x = activate(x)
            if kind == LEAKY:
                for channel in range(c):
                    grad[image, y, column, channel] *= activation_slope(np.float64(told[image, y, column, channel]), LEAKY)
            else:
                for channel in range(c):
                    grad[image, y, column, channel] *= activation_slope(np.float64(told[image, y, column, channel]), kind)
