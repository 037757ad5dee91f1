"""The bias of a convolution without batch normalisation, in passes over memory; see kernels/convolutional.py."""
import numpy as np

from minidarknet.engine.batchnorm import sum_row, whole_registers
from minidarknet.engine.memory import address_of, doubles, picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, ZERO, add_product, load, splat, store
from minidarknet.kernels._chunks import CHUNKS, add_chunks, chunk_rows
from minidarknet.kernels._jit import parallel, prange


@parallel
def _add(out, bias):
    """out <- out + bias. out Picture; bias: address of (c,) float32."""
    for row in prange(out.b * out.h):
        target = row_address(out, row)
        for _ in range(out.w):
            for j in range(0, out.c, LANES):
                value = load(target + FLOAT * j, out.c - j) + load(bias + FLOAT * j, out.c - j)
                store(target + FLOAT * j, value, out.c - j)
            target += FLOAT * out.pixel


@parallel
def _sum(grad_out, grad_bias, totals):
    """grad_bias += sum of grad_out; totals (CHUNKS, >= c) float64 is working memory."""
    base = totals.ctypes.data
    for chunk in prange(CHUNKS):
        totals[chunk] = 0
        one = splat(np.float32(1))
        first, last = chunk_rows(chunk, grad_out.b * grad_out.h)
        for row in range(first, last):
            start = row_address(grad_out, row)
            for j in range(0, grad_out.c, LANES):
                # forward: out = out + bias
                plain = sum_row(start + FLOAT * j, grad_out, grad_out.c - j, splat(ZERO))
                add_product(base + 8 * (chunk * totals.shape[1] + j), plain, one)
    total = add_chunks(totals)
    for channel in range(grad_out.c):
        grad_bias[channel] += total[channel]


def bias_forward(out, bias):
    """Add a number per channel: out <- out + bias.

    out (b, h, w, c) float32, *written* in place; bias (c,) float32. Darknet: src/convolutional_layer.c.
    """
    _add(picture(out), address_of(bias))


def bias_backward(grad_out, grad_bias):
    """Gradient of the bias: grad_bias[c] += sum over pictures and pixels of grad_out[..., c].

    grad_out (b, h, w, c) float32; grad_bias (c,) float32, *accumulated*. Darknet: src/convolutional_layer.c.
    """
    _sum(picture(grad_out), grad_bias, doubles(CHUNKS, whole_registers(grad_out.shape[3])))
