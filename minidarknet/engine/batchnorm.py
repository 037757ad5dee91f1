"""Batch normalisation as passes over memory; the formulas are in kernels/batchnorm.py.

Sums run in float32 along one row of one picture (hundreds of numbers per channel) and in float64 across rows, in CHUNKS
fixed runs of rows, so that neither the length of the sum nor the number of threads shows in the result.

    a row of pixels     [c0 c1 ... c15 | c16 ...] [c0 c1 ...] [c0 ...      a register walks down one channel group,
                         |  |        |             |  |        |           one pixel at a time
                         +--+--------+-------------+--+--------+-->  sum of the row, per channel
"""
import numpy as np

from minidarknet.engine.memory import address_of, doubles, picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, ZERO, add_product, load, read_number, splat, store
from minidarknet.kernels._chunks import CHUNKS, add_chunks, chunk_rows
from minidarknet.kernels._jit import jit, parallel, prange

ONE = np.float32(1)


@jit
def sum_row(start, p, left, centre):
    """Sum of x - centre over a row of the Picture p: a vector.

    start: address of the row's first channel of a group; left: channels from there to the last; centre: a vector.
    """
    even, odd = splat(ZERO), splat(ZERO)  # two sums, because an addition takes several cycles
    step = FLOAT * p.pixel
    for ox in range(p.w // 2):
        even = even + (load(start + 2 * ox * step, left) - centre)
        odd = odd + (load(start + (2 * ox + 1) * step, left) - centre)
    if p.w % 2:
        even = even + (load(start + (p.w - 1) * step, left) - centre)
    return even + odd


@jit
def _sum_squares(start, p, left, centre):
    """Sum of (x - centre)^2 of one channel group over a row that begins at `start`: a vector."""
    even, odd = splat(ZERO), splat(ZERO)
    step = FLOAT * p.pixel
    for ox in range(p.w // 2):
        a = load(start + 2 * ox * step, left) - centre
        b = load(start + (2 * ox + 1) * step, left) - centre
        even = even + a * a
        odd = odd + b * b
    if p.w % 2:
        a = load(start + (p.w - 1) * step, left) - centre
        even = even + a * a
    return even + odd


@jit
def _sum_products(start, p, grad_start, grad, left, centre):
    """Sums of g and of g * (x - centre) of one channel group over a row: two vectors."""
    plain, weighted = splat(ZERO), splat(ZERO)
    for ox in range(p.w):
        g = load(grad_start + FLOAT * ox * grad.pixel, left)
        plain = plain + g
        weighted = weighted + g * (load(start + FLOAT * ox * p.pixel, left) - centre)
    return plain, weighted


@parallel
def _statistics(x, mean, variance, totals):
    """Mean and biased variance per channel; totals (CHUNKS, 3, >= c) float64: sums over rows of what stands below.

    Numbers count from `origin`, the batch's first pixel, and a row's scatter is taken around the row's own mean (its
    numbers are in the cache by then), so that nothing cancels however far the mean lies from 0:
    sum (x - mean)^2 = sum over rows of (scatter + w * (row mean)^2) - M * mean^2, the last steps in float64.
    """
    base, channels = totals.ctypes.data, totals.shape[2]
    for chunk in prange(CHUNKS):
        totals[chunk] = 0
        one, share = splat(ONE), splat(ONE / np.float32(x.w))
        first, last = chunk_rows(chunk, x.b * x.h)
        for row in range(first, last):
            start = row_address(x, row)
            for j in range(0, x.c, LANES):
                origin = load(x.address + FLOAT * j, x.c - j)
                row_mean = sum_row(start + FLOAT * j, x, x.c - j, origin) * share
                scatter = _sum_squares(start + FLOAT * j, x, x.c - j, origin + row_mean)
                total = base + 8 * (3 * chunk * channels + j)
                add_product(total, row_mean, one)
                add_product(total + 8 * channels, row_mean, row_mean)
                add_product(total + 16 * channels, scatter, one)
    rows = x.b * x.h
    for channel in range(x.c):
        sums = add_chunks(totals[:, :, channel])
        centre = sums[0] / rows
        mean[channel] = read_number(x.address + FLOAT * channel) + centre
        variance[channel] = max(sums[2] / (rows * x.w) + sums[1] / rows - centre * centre, 0.0)


@parallel
def _normalise(x, mean, inverse, scale, bias, out):
    """out = (x - mean) * (scale * inverse) + bias. x, out Pictures; the others addresses of (c,) float32."""
    for row in prange(x.b * x.h):
        source, target = row_address(x, row), row_address(out, row)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                left, at = x.c - j, FLOAT * j
                factor = load(scale + at, left) * load(inverse + at, left)
                value = (load(source + at, left) - load(mean + at, left)) * factor + load(bias + at, left)
                store(target + at, value, left)
            source += FLOAT * x.pixel
            target += FLOAT * out.pixel


@parallel
def _gradient(x, mean, inverse, scale, grad_out, grad_scale, grad_bias, grad_x, totals, shares):
    """One pass that sums, one that applies; see batchnorm_backward.

    mean: address of (c,) float32; totals (CHUNKS, 2, >= c) float64 and shares (4, >= c) float32 are working memory.
    """
    base, channels = totals.ctypes.data, totals.shape[2]
    for chunk in prange(CHUNKS):
        totals[chunk] = 0
        one = splat(ONE)
        first, last = chunk_rows(chunk, x.b * x.h)
        for row in range(first, last):
            start, grad_start = row_address(x, row), row_address(grad_out, row)
            for j in range(0, x.c, LANES):
                left = x.c - j
                plain, weighted = _sum_products(start + FLOAT * j, x, grad_start + FLOAT * j, grad_out, left,
                                                load(mean + FLOAT * j, left))
                total = base + 8 * (2 * chunk * channels + j)
                add_product(total, plain, one)
                add_product(total + 8 * channels, weighted, one)
    m = x.b * x.h * x.w
    for channel in range(x.c):
        sums = add_chunks(totals[:, :, channel])
        sum_grad, sum_grad_x_hat = sums[0], sums[1] * inverse[channel]
        grad_bias[channel] += sum_grad          # forward: out = scale * x_hat + bias
        grad_scale[channel] += sum_grad_x_hat
        shares[0, channel] = sum_grad / m
        shares[1, channel] = sum_grad_x_hat / m * inverse[channel]
        shares[2, channel] = scale[channel] * inverse[channel]
    along_one = shares.ctypes.data
    along_x = along_one + FLOAT * channels
    factor = along_x + FLOAT * channels
    for row in prange(x.b * x.h):
        source, grad, target = row_address(x, row), row_address(grad_out, row), row_address(grad_x, row)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                # forward: x_hat = (x - mean) * inverse, where mean and inverse depend on x as well
                left, at = x.c - j, FLOAT * j
                value = load(grad + at, left) - load(along_one + at, left)
                value = value - (load(source + at, left) - load(mean + at, left)) * load(along_x + at, left)
                store(target + at, value * load(factor + at, left), left)
            source += FLOAT * x.pixel
            grad += FLOAT * grad_out.pixel
            target += FLOAT * grad_x.pixel


def whole_registers(channels):
    """`channels` (int) rounded up to a multiple of LANES."""
    return -(-channels // LANES) * LANES


def batchnorm_statistics(x, mean, variance):
    """Mean and biased variance per channel: mean = sum x / M, variance = sum (x - mean)^2 / M.

    x (b, h, w, c) float32; mean, variance (c,) float32, *written*; M = b h w.
    Darknet: src/blas.c (which divides the variance by M - 1).
    """
    _statistics(picture(x), mean, variance, doubles(CHUNKS, 3, whole_registers(x.shape[3])))


def batchnorm_forward(x, mean, inverse, scale, bias, out):
    """Normalise, scale and shift: out = scale * (x - mean) * inverse + bias.

    x (b, h, w, c) float32; mean, inverse, scale, bias (c,) float32; out (b, h, w, c) float32, *written*, may be x.
    Paper: arXiv 1502.03167, algorithm 1. Darknet: src/batchnorm_layer.c.
    """
    _normalise(picture(x), *map(address_of, (mean, inverse, scale, bias)), picture(out))


def batchnorm_backward(x, mean, inverse, scale, grad_out, grad_scale, grad_bias, grad_x):
    """The exact gradient, through the batch's own mean and biased variance.

    grad_bias += sum g,  grad_scale += sum g x_hat,
    grad_x = scale * inverse * (g - sum g / M - x_hat * sum g x_hat / M)
    with g = grad_out, x_hat = (x - mean) * inverse, M = b h w.

    x (b, h, w, c) float32, mean, inverse, scale (c,) float32: as in the forward pass; grad_out (b, h, w, c) float32;
    grad_scale, grad_bias (c,) float32, *accumulated*; grad_x (b, h, w, c) float32, *written*, may be grad_out itself.
    Paper: arXiv 1502.03167, section 3. Darknet: src/batchnorm_layer.c (see kernels.batchnorm_backward_darknet).
    """
    channels = whole_registers(x.shape[3])
    memory = doubles(2 * CHUNKS + 2, channels)
    totals = memory[:2 * CHUNKS].reshape(CHUNKS, 2, channels)
    shares = memory[2 * CHUNKS:].view(np.float32).reshape(4, channels)
    _gradient(picture(x), address_of(mean), inverse, scale, picture(grad_out), grad_scale, grad_bias, picture(grad_x),
              totals, shares)
