"""Weights put in the order in which the microkernel reads them.

A block holds `width` filters (NV * LANES) for all taps and input channels of one pass; filters that do not exist are 0:

    (ky, kx, i) = (0,0,0)  | f0 f1 ... f31 |      one row per number of the window, in the window's order,
                  (0,0,1)  | f0 f1 ... f31 |      the block's filters side by side
                  ...

The data gradient is a convolution of grad_out with the weights turned round: the last tap comes first (negative
strides), and input channels and filters change places (the block is then transposed in registers).
"""
from typing import NamedTuple

from minidarknet.engine.microkernel import NV
from minidarknet.engine.vector import FLOAT, LANES, ZERO, load, read_number, store_all, transpose, write_number
from minidarknet.kernels._jit import jit

BLOCK = NV * LANES  # filters that are read together, and lie together once packed


class Taps(NamedTuple):
    """Weights as a convolution reads them: where element (ky, kx, i, j) of group g stands.

        address + FLOAT * (ky * row + kx * column + i * input + j // BLOCK * block + j % BLOCK * output + g * group)

    rows, columns: taps; inputs, outputs: channels and filters per group. Strides in numbers, negative when turned.
    """

    address: int
    rows: int
    columns: int
    inputs: int
    outputs: int
    row: int
    column: int
    input: int
    output: int
    block: int
    group: int


@jit
def filter_offset(taps, first):
    """Numbers from the first filter to filter `first` (int) of the Taps `taps`."""
    return first // BLOCK * taps.block + first % BLOCK * taps.output


@jit
def _pack_tap(source, taps, left, width, target):
    """One tap: (inputs, left) numbers at `source`, zeros up to `width` columns, to `target`; strides from `taps`."""
    if taps.output == 1:
        for i in range(taps.inputs):
            for j in range(0, width, LANES):
                store_all(target + FLOAT * (i * width + j), load(source + FLOAT * (i * taps.input + j), left - j))
        return
    whole = taps.inputs // LANES * LANES if taps.input == 1 else 0
    for j in range(0, width, LANES):
        squares = whole if left - j >= LANES else 0
        for i in range(0, squares, LANES):
            transpose(source + FLOAT * (i + j * taps.output), FLOAT * taps.output,
                      target + FLOAT * (i * width + j), FLOAT * width)
        for i in range(squares, taps.inputs):
            for lane in range(j, j + LANES):
                number = ZERO
                if lane < left:
                    number = read_number(source + FLOAT * (i * taps.input + lane * taps.output))
                write_number(target + FLOAT * (i * width + lane), number)


@jit
def pack(taps, group, first, width, row, rows, target):
    """Write the block of filters first .. first + width - 1 of `group`, kernel rows row .. row + rows - 1.

    taps: Taps; group, first, width, row, rows ints; target: address of (rows, columns, inputs, width) float32,
    *written*.
    """
    for ky in range(row, row + rows):
        for kx in range(taps.columns):
            source = taps.address + FLOAT * (
                group * taps.group + filter_offset(taps, first) + ky * taps.row + kx * taps.column)
            _pack_tap(source, taps, taps.outputs - first, width, target)
            target += FLOAT * taps.inputs * width
