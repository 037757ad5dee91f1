"""What becomes of a convolution's results y while they are at hand, in registers or in the nearest cache.

    WRITE        out = y                                   the data gradient's first writer
    ACCUMULATE   out = out + y                             its later writers
    MEASURE      out = y, and the sums for the mean and variance of each filter (measure.py)        training
    ACTIVATE     out = act(factor * y + shift): batch norm or bias folded into two numbers          prediction
                 and, with pool, only the largest number of every 2 x 2 window of that,
                 or, with added, act2(that + what lies there): the shortcut behind the convolution

Winograd hands over tiles of 4 x 4 results (finish_tile): they never see memory before they are finished.

    work, half transformed        registers                  out                            with pool
    | 6 vectors | --results_row-->  y0 y1 y2 y3  --finish-->  . y0 y1 y2 y3 .                largest largest
    | 6 vectors |                   y0 y1 y2 y3               . y0 y1 y2 y3 .
    4 such rows                                               offset -1: outside, not written

The direct convolution writes a task's results first and finishes them in its cache (finish_pixels), or, where they are
pooled, writes two rows aside and pools those into out (pool_pixels).

A NaN is written where it arises; in a window only the upper left result can bring one through, see maxpool.larger.
"""
from typing import NamedTuple

import numpy as np

from minidarknet.engine.activations import STRAIGHT, activate, bent
from minidarknet.engine.maxpool import larger
from minidarknet.engine.measure import (  # noqa: F401  (the convolutions take all of finishing from here)
    add_run,
    add_tile,
    merge_sums,
    start_sums,
    store_sums,
)
from minidarknet.engine.memory import row_address
from minidarknet.engine.tiling import PLACE
from minidarknet.engine.vector import FLOAT, LANES, load, load_all, read_integer, splat, store
from minidarknet.engine.winograd import OUT, results_row
from minidarknet.kernels._jit import jit

WRITE, ACCUMULATE, MEASURE, ACTIVATE = range(4)
OFFSET = 8  # bytes of an entry in the tables of a Tiling


class Finish(NamedTuple):
    """What to do with results, see the head of this file; what a mode does not need is 0.

    mode: one of the four, int; pool: 1 or 0, with ACTIVATE; filters: int, of the whole convolution. scale, bias, mean,
    variance: addresses of (filters,) float32: for ACTIVATE, *read*, as fold.py wants them, epsilon float32 too; for MEASURE
    mean and variance, *written*. curved int and slope float32: the activation, from activations.SHAPES: for ACTIVATE.
    added: with ACTIVATE without pool, bytes from a result's address to that of what is added to it, 0: nothing is;
    sum_curved, sum_slope: the activation of the sum.
    sums, factor, shift: addresses in the convolution's memory, which `placed` knows: the table of measure.py, for MEASURE;
    (filters,) float32 each, for ACTIVATE.
    """

    mode: int
    pool: int = 0
    filters: int = 0
    scale: int = 0
    bias: int = 0
    mean: int = 0
    variance: int = 0
    epsilon: np.float32 = np.float32(0)
    curved: int = STRAIGHT
    slope: np.float32 = np.float32(1)
    added: int = 0
    sum_curved: int = STRAIGHT
    sum_slope: np.float32 = np.float32(1)
    sums: int = 0
    factor: int = 0
    shift: int = 0


def memory_of(finish, chunks):
    """Bytes (int) that `placed` needs. finish: Finish; chunks: int.

    float32 numbers: for MEASURE (chunks, 3, filters), count, mean, scatter; for ACTIVATE (2, filters), factor, shift.
    """
    if finish.mode == MEASURE:
        return 3 * FLOAT * chunks * finish.filters
    return 2 * FLOAT * finish.filters if finish.mode == ACTIVATE else 0


@jit
def placed(finish, memory):
    """The Finish `finish` with its sums, factor and shift at `memory`, address of memory_of bytes: Numba has no _replace."""
    return Finish(finish.mode, finish.pool, finish.filters, finish.scale, finish.bias, finish.mean, finish.variance,
                  finish.epsilon, finish.curved, finish.slope, finish.added, finish.sum_curved, finish.sum_slope,
                  memory if finish.mode == MEASURE else 0, memory, memory + FLOAT * finish.filters)


@jit
def finish_tile(finish, base, tiles, tile, channel, left, work):
    """Finish one tile of LANES filters, whose half-transformed results lie in `work` (winograd.results_columns).

    finish: Finish; base: address of `channel` of the batch's first result; tiles: Tiling, in which `tile` (int) says
    where the results go; channel: the first of `left` filters, in bytes; work: address of WORKSPACE bytes.
    """
    rows, table = read_integer(tiles.writes + PLACE * tile), read_integer(tiles.writes + PLACE * tile + OFFSET)
    columns = (read_integer(table), read_integer(table + OFFSET), read_integer(table + 2 * OFFSET),
               read_integer(table + 3 * OFFSET))
    if finish.pool:
        _pool_tile(finish, base, rows, columns, channel, left, work)
    elif finish.mode == ACTIVATE:
        _activate_tile(finish, base, rows, columns, channel, left, work)
    elif finish.mode == MEASURE:
        add_tile(base, rows, columns, left, work)
    else:
        _write_tile(finish.mode == ACCUMULATE, base, rows, columns, left, work)


@jit
def _write_tile(add, base, rows, columns, left, work):
    """WRITE, or ACCUMULATE if add (bool). rows: address of 4 offsets, columns: 4 offsets, in bytes, -1: outside."""
    for i in range(OUT):
        row = read_integer(rows + OFFSET * i)
        if row >= 0:
            y = results_row(work, i)
            _write(add, base + row, columns[0], y[0], left)
            _write(add, base + row, columns[1], y[1], left)
            _write(add, base + row, columns[2], y[2], left)
            _write(add, base + row, columns[3], y[3], left)


@jit
def _write(add, row, column, value, left):
    """Write the vector `value` to row + column, or add it to what is there; nothing where column is -1."""
    if column >= 0:
        if add:
            value = value + load(row + column, left)
        store(row + column, value, left)


@jit
def _activate_tile(finish, base, rows, columns, channel, left, work):
    """ACTIVATE without pool; see _write_tile."""
    factor, shift = load(finish.factor + channel, left), load(finish.shift + channel, left)
    slope = splat(finish.slope)
    for i in range(OUT):
        row = read_integer(rows + OFFSET * i)
        if row >= 0:
            y = results_row(work, i)
            _write_sum(finish, base + row, columns[0], bent(factor * y[0] + shift, finish.curved, slope), left)
            _write_sum(finish, base + row, columns[1], bent(factor * y[1] + shift, finish.curved, slope), left)
            _write_sum(finish, base + row, columns[2], bent(factor * y[2] + shift, finish.curved, slope), left)
            _write_sum(finish, base + row, columns[3], bent(factor * y[3] + shift, finish.curved, slope), left)


@jit
def _write_sum(finish, row, column, value, left):
    """Write the activated vector `value`, or with finish.added its sum, to row + column; nothing where column is -1."""
    if column >= 0:
        store(row + column, _sum(finish, row + column, value, left), left)


@jit
def _sum(finish, at, value, left):
    """The vector `value` that belongs to address `at`, or with finish.added act2(value + what lies there)."""
    if finish.added == 0:
        return value
    return bent(value + load(at + finish.added, left), finish.sum_curved, splat(finish.sum_slope))


@jit
def _pool_tile(finish, base, rows, columns, channel, left, work):
    """ACTIVATE with pool: four windows; see _write_tile. Offsets are the poolings': the same for both of a pair."""
    factor, shift = load(finish.factor + channel, left), load(finish.shift + channel, left)
    slope = splat(finish.slope)
    for i in range(0, OUT, 2):
        row, below = read_integer(rows + OFFSET * i), read_integer(rows + OFFSET * i + OFFSET) >= 0
        if row >= 0:
            y, z = results_row(work, i), results_row(work, i + 1)
            y0, z0 = activate(y[0], factor, shift, slope), activate(z[0], factor, shift, slope)
            y1, z1 = activate(y[1], factor, shift, slope), activate(z[1], factor, shift, slope)
            y2, z2 = activate(y[2], factor, shift, slope), activate(z[2], factor, shift, slope)
            y3, z3 = activate(y[3], factor, shift, slope), activate(z[3], factor, shift, slope)
            _write(False, base + row, columns[0], _largest(y0, y1, z0, z1, columns[1] >= 0, below), left)
            _write(False, base + row, columns[2], _largest(y2, y3, z2, z3, columns[3] >= 0, below), left)


@jit
def _largest(a, b, c, d, right, below):
    """The largest of the window | a b | of vectors, without b and d unless `right`, c and d unless `below` (bools).
                                 | c d |
    """
    if below:
        a, b = larger(c, a), larger(d, b)
    return larger(b, a) if right else a


@jit
def finish_pixels(finish, out, chunk, first, last, filter_, left, work):
    """Finish pixels first .. last - 1 (numbered through all pictures) of filters filter_ .. + left - 1 of out, in place.

    finish: Finish; out: Picture; chunk: number of this run of pixels, under which its sums are kept; all others ints
    too, work being the address of WORKSPACE bytes.
    """
    if finish.mode == MEASURE or finish.mode == ACTIVATE:
        channel, step = FLOAT * filter_, FLOAT * out.pixel
        for j in range(0, left, LANES):
            start_sums(finish, work)
            pixel = first
            while pixel < last:  # a row, or what the chunk has of it
                run = min(last - pixel, out.w - pixel % out.w)
                start = row_address(out, pixel // out.w) + step * (pixel % out.w) + channel + FLOAT * j
                if finish.mode == MEASURE:
                    add_run(start, run, step, left - j, work)
                else:
                    _activate_run(finish, start, run, step, channel + FLOAT * j, left - j)
                pixel += run
            store_sums(finish, chunk, channel + FLOAT * j, left - j, work)


@jit
def _activate_run(finish, start, pixels, step, channel, left):
    """ACTIVATE one register of channels of `pixels` pixels in place, from the address `start` on, `step` bytes apart.

    channel: the first filter, in bytes, of `left`.
    """
    factor, shift = load(finish.factor + channel, left), load(finish.shift + channel, left)
    slope = splat(finish.slope)
    for i in range(pixels):
        at = start + i * step
        value = bent(factor * load(at, left) + shift, finish.curved, slope)
        store(at, _sum(finish, at, value, left), left)


@jit
def pool_pixels(finish, source, width, rows, pixels, target, step, filter_, left):
    """ACTIVATE one or two rows of results and write the largest of each 2 x 2 window, smaller at an odd edge.

    finish: Finish; source: address of (rows, pixels, width) float32, rows being 1 or 2; target: address of the row of
    ceil(pixels / 2) results, *written*, `step` numbers from pixel to pixel; filter_: the first of `left` filters.
    """
    below = FLOAT * width * pixels if rows == 2 else 0  # a pixel that does not exist is replaced by its neighbour
    slope = splat(finish.slope)
    for j in range(0, left, LANES):
        factor = load(finish.factor + FLOAT * (filter_ + j), left - j)
        shift = load(finish.shift + FLOAT * (filter_ + j), left - j)
        for i in range(-(-pixels // 2)):
            at = source + FLOAT * (2 * i * width + j)
            right = FLOAT * width if 2 * i + 1 < pixels else 0
            a, b = activate(load_all(at), factor, shift, slope), activate(load_all(at + right), factor, shift, slope)
            c = activate(load_all(at + below), factor, shift, slope)
            d = activate(load_all(at + below + right), factor, shift, slope)
            store(target + FLOAT * (i * step + j), larger(larger(d, c), larger(b, a)), left - j)
