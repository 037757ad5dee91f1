"""Reorg by a table: where each number comes from is worked out once per shape; kernels/reorg.py says what it is.

    out, number by number    | 0 | 1 | 2 | 3 | ...        in memory's order (y, x, channel)
    table                    | 0 |676| 2 |678| ...        how far into x each one lies, in bytes

Backward is the same the other way round: number by number of grad_x, how far into grad_out.
"""
from functools import lru_cache

import numpy as np

from minidarknet.engine.memory import picture, row_address
from minidarknet.engine.vector import FLOAT, read_integer, read_number, write_number
from minidarknet.kernels._jit import parallel_once, prange
from minidarknet.kernels.reorg import _pair

ENTRY = 8  # bytes of a table's entry
KEPT = 8   # tables, those of the sizes that were used last


def _permutation(h, w, c, stride, reverse):
    """(source, target): the numbers of the input (h, w, c) and their places in the output, in memory's order, int64."""
    plane, y, column = np.indices((c, h, w)).reshape(3, -1)
    cell, partner = _pair.py_func(plane, y, column, h, w, c, stride)
    source, target = (cell, partner) if reverse else (partner, cell)
    oh, ow = (h * stride, w * stride) if reverse else (h // stride, w // stride)
    return _in_memory(source, h * w, c), _in_memory(target, oh * ow, h * w * c // (oh * ow))


def _in_memory(positions, pixels, c):
    """Positions on Darknet's planes (c, pixels) -> positions in memory (pixels, c). Int arrays."""
    plane, pixel = np.divmod(positions, pixels)
    return pixel * c + plane


@lru_cache(KEPT)
def _table(permutation, inverse, w, c, row, pixel):
    """How far from a picture's first number those lie that the others are taken from: an int64 array, bytes.

    permutation: arguments of _permutation; inverse: whether they lie in the output (bool), for the way back; w, c: width
    and channels of the picture that they lie in; row, pixel: its strides in numbers.
    """
    source, target = _permutation(*permutation)[::-1 if inverse else 1]
    table = np.empty(source.size, np.int64)
    y, rest = np.divmod(source, w * c)
    table[target] = FLOAT * (y * row + rest // c * pixel + rest % c)
    return table


@parallel_once
def _gather(x, table, out, add):
    """out[i] = what lies table[i] bytes into x, or that is added. x, out: Pictures; table: address; add: int, 0 or 1."""
    for row in prange(out.b * out.h):
        source, target = x.address + FLOAT * (row // out.h * x.image), row_address(out, row)
        entry = table + ENTRY * (row % out.h * out.w * out.c)
        for _ in range(out.w):
            for j in range(out.c):
                value = read_number(source + read_integer(entry + ENTRY * j))
                if add:
                    value += read_number(target + FLOAT * j)
                write_number(target + FLOAT * j, value)
            target += FLOAT * out.pixel
            entry += ENTRY * out.c


def reorg_forward(x, out, stride, reverse):
    """Permute the elements: out[cell] = x[partner], or the other way round with reverse.

    x (b, h, w, c) float32; out float32, *written*: (b, h/s, w/s, c s^2), or (b, h s, w s, c/s^2) with reverse (int 0 or
    1); stride int s, whose square divides c, and h and w too unless reverse. Darknet: src/blas.c.
    """
    source = picture(x)
    table = _table((*x.shape[1:], stride, int(reverse)), False, source.w, source.c, source.row, source.pixel)
    _gather(source, table.ctypes.data, picture(out), 0)


def reorg_backward(grad_out, grad_x, stride, reverse, accumulate):
    """Carry every gradient back to where its value came from: the inverse permutation.

    grad_out float32, of the shape of reorg_forward's out; grad_x (b, h, w, c) float32, *accumulated* if accumulate (bool)
    else *written*; stride, reverse ints as in the forward pass. Darknet: src/reorg_layer.c.
    """
    source = picture(grad_out)
    table = _table((*grad_x.shape[1:], stride, int(reverse)), True, source.w, source.c, source.row, source.pixel)
    _gather(source, table.ctypes.data, picture(grad_x), int(accumulate))
