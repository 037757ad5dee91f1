"""The activation functions that cost time, a register at a time; the others run in kernels/activations.py.

leaky, relu and relie are one function with different slopes below zero: x where x > 0, else slope * x.
"""
import numpy as np

from minidarknet import kernels
from minidarknet.engine.memory import picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, ZERO, load, splat, store, where_greater
from minidarknet.kernels._jit import jit, parallel, prange
from minidarknet.kernels.activations import LEAKY, LINEAR, RELIE, RELU

SLOPES = {LINEAR: np.float32(1), LEAKY: np.float32(.1), RELU: ZERO, RELIE: np.float32(.01)}


def _runs(array):
    """The Picture of `array`, with a whole row for a pixel where rows are contiguous in memory."""
    p = picture(array)
    if p.pixel == p.c:
        p = p._replace(w=1, c=p.w * p.c)
    return p


@jit
def activate(z, factor, shift, slope):
    """y = u where u > 0, else slope * u, with u = factor * z + shift: what stands behind a convolution, in registers.

    z, factor, shift, slope: vectors; slope: of the activation below zero, from SLOPES. Returns a vector. NaN stays NaN.
    """
    u = factor * z + shift
    return where_greater(u, splat(ZERO), u, slope * u)


@parallel
def _bend(x, slope):
    """x <- x where x > 0, else slope * x. x Picture; slope float32."""
    for row in prange(x.b * x.h):
        start = row_address(x, row)
        zero, below = splat(ZERO), splat(slope)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                value = load(start + FLOAT * j, x.c - j)
                store(start + FLOAT * j, where_greater(value, zero, value, below * value), x.c - j)
            start += FLOAT * x.pixel


@parallel
def _bend_gradient(out, grad, slope):
    """grad <- grad where out > 0, else slope * grad. out, grad Pictures with runs of the same length; slope float32."""
    for row in prange(out.b * out.h):
        y = row_address(out, row)
        g = row_address(grad, row)
        zero, below = splat(ZERO), splat(slope)
        for _ in range(out.w):
            for j in range(0, out.c, LANES):
                value = load(g + FLOAT * j, out.c - j)
                # forward: x <- x where x > 0, else slope * x; the sign of x is the sign of out
                value = where_greater(load(y + FLOAT * j, out.c - j), zero, value, below * value)
                store(g + FLOAT * j, value, out.c - j)
            y += FLOAT * out.pixel
            g += FLOAT * grad.pixel


def activation_forward(x, kind):
    """Replace every element by f of it: x <- f(x).

    x (b, h, w, c) float32, *written* in place; kind int, the code of the function (minidarknet/activations.py).
    Darknet: src/activations.c.
    """
    if kind == LINEAR:
        return
    if kind in SLOPES:
        _bend(_runs(x), SLOPES[kind])
    else:
        kernels.activation_forward(x, kind)


def activation_backward(out, grad, kind):
    """Take a gradient through the function: dL/dx = dL/dout * f'(x), with f' told from out.

    out (b, h, w, c) float32: what activation_forward left; grad (b, h, w, c) float32: dL/dout, *written* in place to
    dL/dx; kind int, the code of the function. Darknet: src/activations.c.
    """
    if kind == LINEAR:
        return
    if kind in SLOPES:
        y, g = _runs(out), _runs(grad)
        if y.w != g.w:  # one of them is part of a wider array
            y, g = picture(out), picture(grad)
        _bend_gradient(y, g, SLOPES[kind])
    else:
        kernels.activation_backward(out, grad, kind)
