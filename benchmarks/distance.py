"""How far apart two cores are: how long a message takes from one to the other and back.

    thread 0:   1 ------> wait for 2   3 ------> wait for 4 ...         both read and write one number in memory
    thread 1:   wait for 1   2 ------> wait for 3   4 ------> ...

Cores that share a third-level cache are some 100 ns apart, others several times as far, and then every number that one
core wrote and the other reads takes as much longer. A virtual machine's cores may be moved, in the middle of a measurement:
times are comparable while the distance is the same. With one picture a network's layers are short, and each reads what both
cores wrote: there it shows most.
"""
import statistics
import threading
import time

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidarknet.cores import cores
from minidarknet.kernels._jit import jit

MESSAGES = 2000  # there and back, in a round
FIRST = 200      # before them
ROUNDS = 9
INTEGER = ir.IntType(64)


@intrinsic
def _receive(typing_context, address):
    """The int64 at `address` (intp), read anew every time."""
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], INTEGER.as_pointer()), "acquire", 8)
    return types.intp(types.intp), generate


@intrinsic
def _send(typing_context, address, value):
    """Write `value` (intp) to `address` (intp), for others to see."""
    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], builder.inttoptr(arguments[0], INTEGER.as_pointer()), "release", 8)
        return context.get_dummy_value()
    return types.void(types.intp, types.intp), generate


@jit
def _call(address, first, last):
    """Send the messages first .. last - 1, and wait for the answer to each (ints)."""
    for message in range(first, last):
        _send(address, 2 * message + 1)
        while _receive(address) != 2 * message + 2:
            pass


@jit
def _answer(address, first, last):
    """Wait for the messages first .. last - 1, and answer each (ints)."""
    for message in range(first, last):
        while _receive(address) != 2 * message + 1:
            pass
        _send(address, 2 * message + 2)


def distance():
    """Nanoseconds (float) from one core to another and back, the median of ROUNDS; None where there is one core only."""
    return statistics.median(_round() for _ in range(ROUNDS)) if cores() > 1 else None


def _round():
    number = np.zeros(1, np.int64)
    address = number.ctypes.data
    _call(address, 0, 0), _answer(address, 0, 0)  # compiled before anybody waits
    other = threading.Thread(target=_answer, args=(address, 0, FIRST + MESSAGES))
    other.start()
    _call(address, 0, FIRST)  # until both are awake
    began = time.perf_counter()
    _call(address, FIRST, FIRST + MESSAGES)
    took = time.perf_counter() - began
    other.join()
    return took / MESSAGES * 1e9


if __name__ == "__main__":
    took = distance()
    print(f"a message between two cores: {took:.0f} ns there and back" if took else "there is one core only: no distance")
