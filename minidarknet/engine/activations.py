"""The activation functions that cost time, a register at a time; the others run in kernels/activations.py.

leaky, relu and relie are one function with different slopes below zero: x where x > 0, else slope * x. The functions
here take them so, and mish and swish, which are no straight lines, by their code (curves.py).
"""
import numpy as np

from minidarknet import kernels
from minidarknet.engine.curves import CURVES, curve, curve_slope
from minidarknet.engine.memory import picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, ZERO, load, splat, store, where_greater
from minidarknet.kernels._jit import jit, parallel, prange
from minidarknet.kernels.activations import LEAKY, LINEAR, RELIE, RELU

STRAIGHT = LINEAR  # the code that `bent` takes for all functions made of two straight lines
SLOPES = {LINEAR: np.float32(1), LEAKY: np.float32(.1), RELU: ZERO, RELIE: np.float32(.01)}
SHAPES = {**{kind: (STRAIGHT, slope) for kind, slope in SLOPES.items()}, **{kind: (kind, ZERO) for kind in CURVES}}


def _runs(array):
    """The Picture of `array`, with a whole row for a pixel where rows are contiguous in memory."""
    p = picture(array)
    if p.pixel == p.c:
        p = p._replace(w=1, c=p.w * p.c)
    return p


@jit
def bent(u, curved, slope):
    """f(u): u where u > 0, else slope * u, or a curve. u, slope: vectors; curved: STRAIGHT or one of CURVES. NaN stays."""
    if curved == STRAIGHT:
        return where_greater(u, splat(ZERO), u, slope * u)
    return curve(u, curved)


@jit
def bent_gradient(u, g, curved, slope):
    """g * f'(u); u, curved, slope: as in bent; g: a vector. Where straight, f(u) tells the same as u."""
    if curved == STRAIGHT:
        return where_greater(u, splat(ZERO), g, slope * g)
    return g * curve_slope(u, curved)


@jit
def activate(z, factor, shift, slope):
    """y = u where u > 0, else slope * u, with u = factor * z + shift: what stands behind a convolution, in registers.

    z, factor, shift, slope: vectors; slope: of the activation below zero, from SLOPES. Returns a vector. NaN stays NaN.
    """
    return bent(factor * z + shift, STRAIGHT, slope)


@parallel
def _bend(x, curved, slope):
    """x <- f(x). x Picture; curved, slope: from SHAPES."""
    for row in prange(x.b * x.h):
        start = row_address(x, row)
        below = splat(slope)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                value = load(start + FLOAT * j, x.c - j)
                store(start + FLOAT * j, bent(value, curved, below), x.c - j)
            start += FLOAT * x.pixel


@parallel
def _bend_gradient(told, grad, curved, slope):
    """grad <- grad * f'. told, grad Pictures with runs of the same length; curved, slope: from SHAPES."""
    for row in prange(told.b * told.h):
        y = row_address(told, row)
        g = row_address(grad, row)
        below = splat(slope)
        for _ in range(told.w):
            for j in range(0, told.c, LANES):
                # forward: x <- f(x); of straight lines the sign of x is the sign of out
                value = bent_gradient(load(y + FLOAT * j, told.c - j), load(g + FLOAT * j, told.c - j), curved, below)
                store(g + FLOAT * j, value, told.c - j)
            y += FLOAT * told.pixel
            g += FLOAT * grad.pixel


def activation_forward(x, kind):
    """Replace every element by f of it: x <- f(x).

    x (b, h, w, c) float32, *written* in place; kind int, the code of the function (minidarknet/activations.py).
    Darknet: src/activations.c.
    """
    if kind == LINEAR:
        return
    if kind in SHAPES:
        _bend(_runs(x), *SHAPES[kind])
    else:
        kernels.activation_forward(x, kind)


def activation_backward(told, grad, kind):
    """Take a gradient through the function: dL/dx = dL/dout * f'(x), with f' told from out, or from x.

    told (b, h, w, c) float32: what activation_forward left, but what it was given where kind is one of
    activations.TOLD_BY_INPUT; grad (b, h, w, c) float32: dL/dout, *written* in place to dL/dx; kind int, the code of the
    function. Darknet: src/activations.c.
    """
    if kind == LINEAR:
        return
    if kind in SHAPES:
        y, g = _runs(told), _runs(grad)
        if y.w != g.w:  # one of them is part of a wider array
            y, g = picture(told), picture(grad)
        _bend_gradient(y, g, *SHAPES[kind])
    else:
        kernels.activation_backward(told, grad, kind)
