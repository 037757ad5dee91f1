"""How the engine sees arrays: addresses and strides; and the working memory that it keeps between calls.

Numba compiles a function anew for every kind of array it is given (whole, inner view, read-only ...). The engine's
functions take addresses and strides instead, so that each is compiled once.
"""
import os
import threading
from typing import NamedTuple

import numba
import numpy as np

from minidarknet.engine.vector import FLOAT, LANES, load, store
from minidarknet.kernels._jit import jit, parallel, prange

ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register


class Picture(NamedTuple):
    """A (b, h, w, c) float32 array: where it begins (bytes) and its strides (in numbers; 1 from channel to channel).

    Also used for a part of one: every second pixel, or shifted into the margin of a frame.
    """

    address: int
    b: int
    h: int
    w: int
    c: int
    image: int
    row: int
    pixel: int

    def moved(self, rows, columns):
        """The same, beginning `rows` pixels further down and `columns` to the right (both may be negative)."""
        return self._replace(address=self.address + FLOAT * (rows * self.row + columns * self.pixel))


def address_of(array):
    """Address of the first number of a float32 `array`. Raises TypeError for another dtype."""
    if array.dtype != np.float32:
        raise TypeError(f"the engine computes in float32, not {array.dtype}: use backend=\"kernels\"")
    return array.ctypes.data


def picture(array):
    """The Picture of a (b, h, w, c) float32 array whose channels lie side by side. Raises TypeError for any other."""
    address = address_of(array)
    image, row, pixel, channel = array.strides
    if channel != FLOAT and array.shape[3] != 1:
        raise TypeError("the engine needs the channels of a pixel side by side in memory")
    return Picture(address, *array.shape, image // FLOAT, row // FLOAT, pixel // FLOAT)


@jit
def row_address(p, row):
    """Address of row `row` (int) of the Picture `p`, its rows being numbered through all pictures."""
    return p.address + FLOAT * (row // p.h * p.image + row % p.h * p.row)


def second_level_cache():
    """Bytes (int) of a core's own second-level cache, where the system tells; else 1 MiB."""
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE") or 1 << 20
    except (AttributeError, OSError, ValueError):  # not on this system
        return 1 << 20


class Scratch(NamedTuple):
    """Working memory of one call: address of thread 0's, `step` bytes from thread to thread; shared: address of all's."""

    address: int
    step: int
    shared: int


_kept = threading.local()  # one set per Python thread: two networks may compute at the same time


def odd_lines(size):
    """`size` bytes rounded up to an odd number of cache lines: equal places of things that far apart do not compete for
    the same cache sets, as they would at a multiple of 4 KiB."""
    return (-(-size // ALIGNMENT) | 1) * ALIGNMENT


def even_share(total, most):
    """The size of equal shares of `total` (int) things, at most `most` (int) each; the last may be smaller."""
    return -(-total // -(-total // max(1, most)))


def _aligned_bytes(size):
    """A new array of `size` bytes, zeros, that begins at a cache line."""
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size]


def aligned_zeros(shape):
    """A new float32 array of `shape`, zeros, that begins at a cache line: a register read from it touches one, not two."""
    return _aligned_bytes(FLOAT * int(np.prod(shape))).view(np.float32).reshape(shape)


def _reserve(size):
    """This thread's memory (uint8), aligned and of at least `size` bytes. The next call gets the same; it only grows."""
    if getattr(_kept, "memory", None) is None or _kept.memory.size < size:
        _kept.memory = _aligned_bytes(size)
        _kept.address = _kept.memory.ctypes.data
    return _kept.memory


def scratch(size, shared=0):
    """A Scratch of at least `size` bytes per thread and `shared` bytes for all, aligned."""
    step = odd_lines(size)  # also from thread to thread
    own = step * numba.config.NUMBA_NUM_THREADS
    _reserve(own + shared)
    return Scratch(_kept.address, step, _kept.address + own)


def doubles(*shape):
    """A float64 array of `shape` in the working memory, of undefined contents, good until the engine's next call."""
    size = 8 * int(np.prod(shape))
    return _reserve(size)[:size].view(np.float64).reshape(shape)


@parallel
def add_copies(copies, count, size, target):
    """target += the sum of `count` copies, in their order: the bits do not depend on the threads.

    copies: address of (count, size) float32; target: address of (size,) float32, *accumulated*; count, size ints.
    """
    for block in prange(-(-size // LANES)):
        i = block * LANES
        total = load(copies + FLOAT * i, size - i)
        for copy in range(1, count):
            total = total + load(copies + FLOAT * (copy * size + i), size - i)
        store(target + FLOAT * i, load(target + FLOAT * i, size - i) + total, size - i)
