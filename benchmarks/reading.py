"""How long it takes to read a network's weights from memory, doing nothing else.

    thread 0:  | line | line | line | ...        one number of every cache line, straight on
    thread 1:                             | line | line | ...

That is the least that all weights cost a picture predicted alone, and what pictures predicted together share. What a
picture alone costs more than that is not the memory's fault.
"""
import numpy as np

from minidarknet.engine.memory import ALIGNMENT, address_of
from minidarknet.engine.vector import ZERO, read_number
from minidarknet.kernels._jit import jit, parallel, prange

AT_ONCE = 8  # sums that do not wait for each other


@jit
def _read_lines(address, lines):
    """The sum of one number of each of `lines` cache lines from `address` on, a multiple of AT_ONCE (ints)."""
    a = b = c = d = e = f = g = h = ZERO
    for line in range(0, lines // AT_ONCE * AT_ONCE, AT_ONCE):
        at = address + line * ALIGNMENT
        a += read_number(at)
        b += read_number(at + ALIGNMENT)
        c += read_number(at + 2 * ALIGNMENT)
        d += read_number(at + 3 * ALIGNMENT)
        e += read_number(at + 4 * ALIGNMENT)
        f += read_number(at + 5 * ALIGNMENT)
        g += read_number(at + 6 * ALIGNMENT)
        h += read_number(at + 7 * ALIGNMENT)
    return a + b + c + d + e + f + g + h


@parallel
def _read(address, lines, sums):
    """Read `lines` cache lines from `address` on (ints), a share for each of `sums` (float32 array), *written*."""
    share = lines // len(sums)
    for part in prange(len(sums)):
        sums[part] = _read_lines(address + part * share * ALIGNMENT, share)


def reading(net, threads):
    """(a function that reads as many bytes as `net` has weights, one share per thread; how many bytes: int)."""
    size = sum(stored.array.nbytes for layer in net.layers for stored in layer.stored)
    memory, sums = np.ones(size // 4, np.float32), np.zeros(threads, np.float32)

    def read():
        _read(address_of(memory), size // ALIGNMENT, sums)
    return read, size
