"""The way back through pooling, activation and batch norm (or bias): fused.py's pass, taken in the other direction.

Batch norm's gradient contains sums over the whole batch, so there are two passes, each of which finds the winner of
every window again from z:

    reduce   sum g and sum g * (z - mean),  g = dL/dout * f'(u) where a pixel won its window, else 0
    apply    dL/dz = factor * (g - sum g / M - x_hat * sum g x_hat / M) = factor * g + along_z * z + along_one

    dL/dout  [ d ]    the window's y  | y0  y1 |     dL/du | 0  g |     if y1 is the largest;
                                      | y2  y3 |           | 0  0 |     the first in row-column order wins a tie

A pixel that stands in for one beyond an odd edge never wins, because a later pixel must be larger than an earlier one,
and what is written in its name is overwritten by its own: the four are written in reverse order.
"""
from typing import NamedTuple

import numpy as np

from minidarknet.engine.activations import SHAPES, activate, bent_gradient
from minidarknet.engine.batchnorm import whole_registers
from minidarknet.engine.fused import window_right, window_row
from minidarknet.engine.maxpool import LOWEST, larger
from minidarknet.engine.memory import address_of, doubles, picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, ZERO, add_product, load, splat, store, where_greater
from minidarknet.kernels._chunks import CHUNKS, chunk_rows
from minidarknet.kernels._jit import jit, parallel, prange


class Channels(NamedTuple):
    """Addresses of (c,) float32 numbers: what every channel of a pass needs to know."""

    factor: int      # u = factor * z + shift
    shift: int
    mean: int        # of z, the point from which sums count
    along_z: int     # what batch norm's own gradient adds: along_z * z + along_one
    along_one: int


@jit
def _winner(a, b, z_a, z_b):
    """(larger of a and b, and z_a or z_b, whichever belongs to it): vectors; a wins a tie."""
    return larger(b, a), where_greater(b, a, z_b, z_a)


@jit
def _sum_pooled_row(row, z, j, n, slope, out):
    """Sums of g and of g * (z - mean) of channels j to j + LANES over a row of windows: two vectors.

    row int; z, out: Pictures of z and of dL/dout; n: Channels; slope: a vector.
    """
    left, at = z.c - j, FLOAT * j
    factor, shift, mean = load(n.factor + at, left), load(n.shift + at, left), load(n.mean + at, left)
    plain, weighted, zero, lowest = splat(ZERO), splat(ZERO), splat(ZERO), splat(LOWEST)
    source, down = window_row(z, row)
    source += at
    grad = row_address(out, row) + at
    for ox in range(out.w):
        right = window_right(z, ox)
        z0, z1 = load(source, left), load(source + right, left)
        z2, z3 = load(source + down, left), load(source + down + right, left)
        y0, y1 = larger(activate(z0, factor, shift, slope), lowest), activate(z1, factor, shift, slope)
        y2, y3 = larger(activate(z2, factor, shift, slope), lowest), activate(z3, factor, shift, slope)
        top, z_top = _winner(y0, y1, z0, z1)
        bottom, z_bottom = _winner(y2, y3, z2, z3)
        best, z_best = _winner(top, bottom, z_top, z_bottom)
        g = load(grad, left)
        g = where_greater(best, zero, g, slope * g)
        plain = plain + g
        weighted = weighted + g * (z_best - mean)
        source += 2 * FLOAT * z.pixel
        grad += FLOAT * out.pixel
    return plain, weighted


@jit
def _sum_plain_row(row, z, j, n, curved, slope, out):
    """Sums of g and of g * (z - mean) over a row of pixels, see _sum_pooled_row. curved, slope: as in `bent`."""
    left, at = z.c - j, FLOAT * j
    factor, shift, mean = load(n.factor + at, left), load(n.shift + at, left), load(n.mean + at, left)
    plain, weighted = splat(ZERO), splat(ZERO)
    source, grad = row_address(z, row) + at, row_address(out, row) + at
    for _ in range(out.w):
        value = load(source, left)
        g = bent_gradient(factor * value + shift, load(grad, left), curved, slope)
        plain = plain + g
        weighted = weighted + g * (value - mean)
        source += FLOAT * z.pixel
        grad += FLOAT * out.pixel
    return plain, weighted


@parallel
def _reduce(z, n, curved, slope, pool, out, totals):
    """Sums of g and of g * (z - mean) over each of CHUNKS runs of rows: totals (CHUNKS, 2, >= c) float64, *written*.

    z, out: Pictures of z and of dL/dout; n: Channels; curved, slope: from SHAPES; pool bool.
    """
    base, channels = totals.ctypes.data, totals.shape[2]
    for chunk in prange(CHUNKS):
        totals[chunk] = 0
        one, below = splat(np.float32(1)), splat(slope)
        first, last = chunk_rows(chunk, out.b * out.h)
        for row in range(first, last):
            for j in range(0, z.c, LANES):
                if pool:
                    plain, weighted = _sum_pooled_row(row, z, j, n, below, out)
                else:
                    plain, weighted = _sum_plain_row(row, z, j, n, curved, below, out)
                total = base + 8 * (2 * chunk * channels + j)
                add_product(total, plain, one)
                add_product(total + 8 * channels, weighted, one)


@jit
def _apply_pooled_row(row, z, n, slope, out, grad_z):
    """Write a row of windows of dL/dz; see _apply."""
    zero, lowest = splat(ZERO), splat(LOWEST)
    source, down = window_row(z, row)
    target, target_down = window_row(grad_z, row)
    grad = row_address(out, row)
    for ox in range(out.w):
        right, target_right = window_right(z, ox), window_right(grad_z, ox)
        for j in range(0, z.c, LANES):
            left, at = z.c - j, FLOAT * j
            factor, shift = load(n.factor + at, left), load(n.shift + at, left)
            along_z, along_one = load(n.along_z + at, left), load(n.along_one + at, left)
            z0, z1 = load(source + at, left), load(source + at + right, left)
            z2, z3 = load(source + at + down, left), load(source + at + down + right, left)
            y0, y1 = larger(activate(z0, factor, shift, slope), lowest), activate(z1, factor, shift, slope)
            y2, y3 = larger(activate(z2, factor, shift, slope), lowest), activate(z3, factor, shift, slope)
            top, bottom = larger(y1, y0), larger(y3, y2)
            # forward: out = y of the winner, y = u or slope * u, u = factor * z + shift
            g = load(grad + at, left)
            g = factor * where_greater(larger(bottom, top), zero, g, slope * g)
            g_top, g_bottom = where_greater(bottom, top, zero, g), where_greater(bottom, top, g, zero)
            g3, g2 = where_greater(y3, y2, g_bottom, zero), where_greater(y3, y2, zero, g_bottom)
            g1, g0 = where_greater(y1, y0, g_top, zero), where_greater(y1, y0, zero, g_top)
            place = target + at
            store(place + target_down + target_right, along_z * z3 + along_one + g3, left)
            store(place + target_down, along_z * z2 + along_one + g2, left)
            store(place + target_right, along_z * z1 + along_one + g1, left)
            store(place, along_z * z0 + along_one + g0, left)
        source += 2 * FLOAT * z.pixel
        target += 2 * FLOAT * grad_z.pixel
        grad += FLOAT * out.pixel


@jit
def _apply_plain_row(row, z, n, curved, slope, out, grad_z):
    """Write a row of dL/dz; see _apply. curved, slope: as in `bent`."""
    source, target, grad = row_address(z, row), row_address(grad_z, row), row_address(out, row)
    for _ in range(out.w):
        for j in range(0, z.c, LANES):
            left, at = z.c - j, FLOAT * j
            factor, value = load(n.factor + at, left), load(source + at, left)
            # forward: out = f(u), u = factor * z + shift
            g = factor * bent_gradient(factor * value + load(n.shift + at, left), load(grad + at, left), curved, slope)
            store(target + at, load(n.along_z + at, left) * value + load(n.along_one + at, left) + g, left)
        source += FLOAT * z.pixel
        target += FLOAT * grad_z.pixel
        grad += FLOAT * out.pixel


@parallel
def _apply(z, n, curved, slope, pool, out, grad_z):
    """dL/dz = factor * g + along_z * z + along_one. z, out, grad_z: Pictures of z, dL/dout, dL/dz; n: Channels."""
    for row in prange(out.b * out.h):
        if pool:
            _apply_pooled_row(row, z, n, splat(slope), out, grad_z)
        else:
            _apply_plain_row(row, z, n, curved, splat(slope), out, grad_z)


def fused_backward(z, mean, inverse, factor, shift, kind, pool, grad_out, grad_scale, grad_bias, grad_z):
    """Back through pooling, activation and batch norm, exactly: also through the batch's mean and biased variance.

    With g = what reaches u = factor * z + shift of dL/dout, x_hat = (z - mean) * inverse, M = b h w:
    grad_bias += sum g,  grad_scale += sum g x_hat,  grad_z = factor * (g - sum g / M - x_hat * sum g x_hat / M).

    z (b, h, w, c) float32; mean, inverse (c,) float32: of the batch; factor, shift (c,) float32: what fused_forward was
    given, scale * inverse and bias - mean * factor; kind int and pool bool as there; grad_out float32 of its out's
    shape; grad_scale, grad_bias (c,) float32, *accumulated*; grad_z (b, h, w, c) float32, *written*, may be z itself
    or, without pool, grad_out.
    Paper: arXiv 1502.03167, section 3.
    """
    how = *SHAPES[kind], bool(pool), picture(grad_out)
    n = Channels(*map(address_of, (factor, shift, mean)), 0, 0)
    sum_grad, sum_centred = _sums(z, n, how)
    grad_bias += sum_grad  # forward: u = scale * x_hat + bias
    grad_scale += sum_centred * inverse
    m, wide = z.size // z.shape[3], inverse.astype(np.float64)
    along_z = -factor * wide * wide * sum_centred / m
    along_one = -factor * sum_grad / m - along_z * mean
    along = np.array([along_z, along_one], np.float32)
    _apply(picture(z), n._replace(along_z=address_of(along[0]), along_one=address_of(along[1])), *how, picture(grad_z))


def fused_bias_backward(z, bias, kind, pool, grad_out, grad_bias, grad_z):
    """Back through pooling, activation and bias: grad_bias += sum g, grad_z = g, what reaches u = z + bias of dL/dout.

    z (b, h, w, c) float32; bias (c,) float32; kind int and pool bool as in fused_forward; grad_out float32 of its out's
    shape; grad_bias (c,) float32, *accumulated*; grad_z (b, h, w, c) float32, *written*, may be z itself or, without
    pool, grad_out.
    """
    how = *SHAPES[kind], bool(pool), picture(grad_out)
    one, zero = np.ones_like(bias), np.zeros_like(bias)
    n = Channels(*map(address_of, (one, bias, zero, zero, zero)))
    grad_bias += _sums(z, n, how)[0]
    _apply(picture(z), n, *how, picture(grad_z))


def _sums(z, n, how):
    """(sum g, sum g * (z - mean)) per channel, (2, c) float64."""
    totals = doubles(CHUNKS, 2, whole_registers(z.shape[3]))
    _reduce(picture(z), n, *how, totals)
    return totals.sum(axis=0)[:, :z.shape[3]]
