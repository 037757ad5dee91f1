"""The processor's own limit: the microkernel on a few numbers that never leave the first-level cache.

    every thread, again and again:   C = A B        A, B, C of its own, some 25 KB together

Nothing waits for memory, so what is measured is how many multiply-adds the arithmetic units take in. What a network
reaches of it is its share of the peak. Winograd's convolution makes do with fewer multiplications than a convolution is
credited with, so that the share can pass 100 %.
"""
import time

import numba
import numpy as np

from minidarknet.engine.microkernel import PIXELS, multiply
from minidarknet.engine.vector import FLOAT, LANES
from minidarknet.kernels._jit import parallel, prange

DEPTH = 128         # length of A's rows
WIDTH = 2 * LANES   # columns of B and C
A, B, C = PIXELS * DEPTH, DEPTH * WIDTH, PIXELS * WIDTH  # numbers of each
APART = 1024        # numbers between the blocks of two threads: no cache line belongs to both


@parallel
def _products(memory, step, a_table, c_table, threads, repeats):
    """`repeats` products on each of `threads` threads. memory: address; step: bytes from thread to thread."""
    for thread in prange(threads):
        a = memory + thread * step
        b = a + FLOAT * A
        for _ in range(repeats):
            multiply(PIXELS, 2, 1, DEPTH, a_table, a, 1, 0, b, WIDTH, 0, c_table, b + FLOAT * B, 0, (), ())


def peak(seconds=.4):
    """Fused multiply-adds per second of this machine on Numba's present threads, in GFLOP/s (two operations each).

    seconds: how long to look; the best of many short looks counts.
    """
    threads = numba.get_num_threads()
    memory = np.zeros((threads, A + B + C + APART), np.float32)
    a_table, c_table = (np.arange(PIXELS) * FLOAT * length for length in (DEPTH, WIDTH))  # where the rows begin
    arguments = (memory.ctypes.data, memory.strides[0], a_table.ctypes.data, c_table.ctypes.data, threads)
    repeats, best = 1000, 0.0
    _products(*arguments, 1)  # compiles
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        _products(*arguments, repeats)
        best = max(best, 2e-9 * threads * repeats * PIXELS * WIDTH * DEPTH / (time.perf_counter() - began))
    return best
