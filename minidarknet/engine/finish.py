"""What becomes of a convolution's results while they are at hand, in registers or in the nearest cache.

    WRITE        out = y                                   the data gradient's first writer
    ACCUMULATE   out = out + y                             its later writers
    MEASURE      out = y, and the sums for the mean and variance of each filter                     training
    ACTIVATE     out = act(factor * y + shift): batch norm or bias folded into two numbers          prediction
                 and, with pool, only the largest number of every 2 x 2 window of that
"""
from typing import NamedTuple

import numpy as np

from minidarknet.engine.fused import activate, larger
from minidarknet.engine.memory import row_address
from minidarknet.engine.vector import (
    FLOAT,
    LANES,
    ZERO,
    load,
    load_all,
    read_integer,
    read_number,
    splat,
    store,
    store_all,
    write_integer,
    write_number,
)
from minidarknet.engine.winograd import WORKSPACE, results_row
from minidarknet.kernels._jit import jit

WRITE, ACCUMULATE, MEASURE, ACTIVATE = range(4)
ONE = np.float32(1)
BYTES = FLOAT * LANES
# Where the sums of a chunk stand in its workspace: how many results, the first one, the sums of distances from it
# and of their squares. Distances, because sums of squares of numbers far from 0 would lose their digits.
COUNT, ORIGIN, SUM, SQUARES = (WORKSPACE - (4 - i) * BYTES for i in range(4))


class Finish(NamedTuple):
    """What to do with results, see the head of this file.

    mode int; pool 1 or 0; factor, shift: addresses of (filters,) float32; slope float32: of the activation below zero;
    filters int: of the whole convolution; mean, variance: addresses of (filters,) float32, *written*; sums: address of
    (chunks, 3, filters) float32: number of results of a chunk, their mean, sum of their squared distances from it.
    """

    mode: int
    pool: int = 0
    factor: int = 0
    shift: int = 0
    slope: np.float32 = np.float32(1)
    filters: int = 0
    mean: int = 0
    variance: int = 0
    sums: int = 0


@jit
def _largest(a, b, there):
    """Lane by lane the larger of two vectors; `a` where b lies outside the picture (there is False)."""
    return larger(b, a) if there else a


@jit
def _one(finish, value, address, column, left):
    """Write or accumulate one pixel's vector, if the column exists."""
    if column >= 0:
        if finish.mode == ACCUMULATE:
            value = value + load(address + column, left)
        store(address + column, value, left)


@jit
def _pooled(finish, base, rows, c0, c1, c2, c3, channel, left, work):
    """ACTIVATE with pool: a tile's 2 x 2 windows. channel: of the first lane, in bytes."""
    factor, shift = load(finish.factor + channel, left), load(finish.shift + channel, left)
    slope = splat(finish.slope)
    for i in range(0, 4, 2):
        row, there = read_integer(rows + 8 * i), read_integer(rows + 8 * i + 8) >= 0
        if row >= 0:
            a0, a1, a2, a3 = results_row(work, i)
            b0, b1, b2, b3 = results_row(work, i + 1)
            top0, low0 = activate(a0, factor, shift, slope), activate(b0, factor, shift, slope)
            top1, low1 = activate(a1, factor, shift, slope), activate(b1, factor, shift, slope)
            top2, low2 = activate(a2, factor, shift, slope), activate(b2, factor, shift, slope)
            top3, low3 = activate(a3, factor, shift, slope), activate(b3, factor, shift, slope)
            if c0 >= 0:
                store(base + row + c0, _largest(_largest(top0, low0, there), _largest(top1, low1, there), c1 >= 0), left)
            if c2 >= 0:
                store(base + row + c2, _largest(_largest(top2, low2, there), _largest(top3, low3, there), c3 >= 0), left)


@jit
def _set_origin(rows, c0, c1, c2, c3, work):
    """Take the tile's first result that lies inside a picture as the chunk's origin."""
    for i in range(4):
        if read_integer(rows + 8 * i) >= 0:
            y0, y1, y2, y3 = results_row(work, i)
            store_all(work + ORIGIN, y0 if c0 >= 0 else y1 if c1 >= 0 else y2 if c2 >= 0 else y3)
            return


@jit
def _measured(finish, base, rows, c0, c1, c2, c3, left, work):
    """MEASURE: write the tile and add its results to the chunk's sums."""
    count = read_integer(work + COUNT)
    columns = (c0 >= 0) + (c1 >= 0) + (c2 >= 0) + (c3 >= 0)
    if count == 0 and columns:
        _set_origin(rows, c0, c1, c2, c3, work)
    origin = load_all(work + ORIGIN)
    total, squares = load_all(work + SUM), load_all(work + SQUARES)
    for i in range(4):
        row = read_integer(rows + 8 * i)
        if row >= 0:
            y0, y1, y2, y3 = results_row(work, i)
            if columns == 4:
                at = base + row
                store(at + c0, y0, left)
                store(at + c1, y1, left)
                store(at + c2, y2, left)
                store(at + c3, y3, left)
                d0, d1, d2, d3 = y0 - origin, y1 - origin, y2 - origin, y3 - origin
                total = total + ((d0 + d1) + (d2 + d3))
                squares = squares + ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3))
            else:
                if c0 >= 0:
                    store(base + row + c0, y0, left)
                    d0 = y0 - origin
                    total, squares = total + d0, squares + d0 * d0
                if c1 >= 0:
                    store(base + row + c1, y1, left)
                    d1 = y1 - origin
                    total, squares = total + d1, squares + d1 * d1
                if c2 >= 0:
                    store(base + row + c2, y2, left)
                    d2 = y2 - origin
                    total, squares = total + d2, squares + d2 * d2
                if c3 >= 0:
                    store(base + row + c3, y3, left)
                    d3 = y3 - origin
                    total, squares = total + d3, squares + d3 * d3
            count += columns
    store_all(work + SUM, total)
    store_all(work + SQUARES, squares)
    write_integer(work + COUNT, count)


@jit
def finish_tile(finish, base, tiles, tile, channel, left, work):
    """Finish one tile of LANES filters, whose half-transformed results lie in `work` (winograd.results_columns).

    finish: Finish; base: address of the first picture's first result; tiles: Tiling; tile: number of the tile; channel:
    first filter, in bytes; left: filters from there on; work: address of WORKSPACE bytes.
    """
    rows, columns = tiles.writes_rows + 32 * (tile // tiles.columns), tiles.writes_columns + 32 * (tile % tiles.columns)
    c0, c1 = read_integer(columns), read_integer(columns + 8)
    c2, c3 = read_integer(columns + 16), read_integer(columns + 24)
    if finish.pool:
        _pooled(finish, base, rows, c0, c1, c2, c3, channel, left, work)
    elif finish.mode == MEASURE:
        _measured(finish, base, rows, c0, c1, c2, c3, left, work)
    else:
        for i in range(4):
            row = read_integer(rows + 8 * i)
            if row >= 0:
                y0, y1, y2, y3 = results_row(work, i)
                if finish.mode == ACTIVATE:
                    factor, shift = load(finish.factor + channel, left), load(finish.shift + channel, left)
                    slope = splat(finish.slope)
                    y0, y1 = activate(y0, factor, shift, slope), activate(y1, factor, shift, slope)
                    y2, y3 = activate(y2, factor, shift, slope), activate(y3, factor, shift, slope)
                _one(finish, y0, base + row, c0, left)
                _one(finish, y1, base + row, c1, left)
                _one(finish, y2, base + row, c2, left)
                _one(finish, y3, base + row, c3, left)


@jit
def start_sums(finish, work):
    """Forget the sums of the chunk before. finish: Finish; work: address of WORKSPACE bytes."""
    if finish.mode == MEASURE:
        write_integer(work + COUNT, 0)
        store_all(work + ORIGIN, splat(ZERO))
        store_all(work + SUM, splat(ZERO))
        store_all(work + SQUARES, splat(ZERO))


@jit
def store_sums(finish, chunk, channel, left, work):
    """Write what the chunk has summed to finish.sums. finish: Finish; chunk: its number; channel: first filter, in bytes;
    left: filters from there on; work: address of WORKSPACE bytes."""
    if finish.mode == MEASURE:
        count = np.float32(read_integer(work + COUNT))
        total = load_all(work + SUM)
        away = total * splat(ONE / max(count, ONE))
        step = FLOAT * finish.filters
        at = finish.sums + 3 * step * chunk + channel
        store(at, splat(count), left)
        store(at + step, load_all(work + ORIGIN) + away, left)
        store(at + 2 * step, load_all(work + SQUARES) - total * away, left)


def bytes_of_sums(finish, chunks):
    """How much memory `sums` of a Finish, `finish`, needs for `chunks` (int) chunks."""
    return 3 * FLOAT * chunks * finish.filters if finish.mode == MEASURE else 0


@jit
def merge_sums(finish, chunks):
    """Mean and biased variance per filter from the sums of `chunks` (int) chunks, in float64 and in their order.

    finish: Finish, whose `mean` and `variance` are *written*.
    """
    if finish.mode == MEASURE:
        step = FLOAT * finish.filters
        for channel in range(0, step, FLOAT):
            count, total = 0.0, 0.0
            for chunk in range(chunks):
                at = finish.sums + 3 * step * chunk + channel
                count += read_number(at)
                total += np.float64(read_number(at)) * read_number(at + step)
            mean, scatter = total / count, 0.0
            for chunk in range(chunks):
                at = finish.sums + 3 * step * chunk + channel
                away = read_number(at + step) - mean
                scatter += read_number(at + 2 * step) + read_number(at) * away * away
            write_number(finish.mean + channel, np.float32(mean))
            write_number(finish.variance + channel, np.float32(max(scatter / count, 0.0)))


@jit
def _activate_run(finish, start, pixels, step, channel, left):
    """ACTIVATE `pixels` pixels in place from `start` on, `step` bytes apart; channel: first filter, in bytes."""
    slope = splat(finish.slope)
    for j in range(0, left, LANES):
        factor = load(finish.factor + channel + FLOAT * j, left - j)
        shift = load(finish.shift + channel + FLOAT * j, left - j)
        at = start + FLOAT * j
        for _ in range(pixels):
            store(at, activate(load(at, left - j), factor, shift, slope), left - j)
            at += step


@jit
def _measure_run(start, pixels, step, left, work):
    """Add `pixels` pixels of one register of channels to the chunk's sums."""
    if read_integer(work + COUNT) == 0:
        store_all(work + ORIGIN, load(start, left))
    origin, total, squares = load_all(work + ORIGIN), load_all(work + SUM), load_all(work + SQUARES)
    for i in range(pixels):
        away = load(start + i * step, left) - origin
        total = total + away
        squares = squares + away * away
    write_integer(work + COUNT, read_integer(work + COUNT) + pixels)
    store_all(work + SUM, total)
    store_all(work + SQUARES, squares)


@jit
def finish_pixels(finish, out, chunk, first, last, filter_, left, work):
    """Finish pixels first .. last - 1 (numbered through all pictures) of filters filter_ .. + left - 1 of out, in place.

    finish: Finish; out: Picture, *written*; chunk: the pixels' number among the sums; work: address of WORKSPACE bytes.
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
                    _measure_run(start, run, step, left - j, work)
                else:
                    _activate_run(finish, start, run, step, channel + FLOAT * j, min(left - j, LANES))
                pixel += run
            store_sums(finish, chunk, channel + FLOAT * j, left - j, work)


@jit
def pool_pixels(finish, source, width, rows, pixels, target, step, filter_, left):
    """ACTIVATE and pool one or two (rows) rows of `pixels` pixels of `width` numbers at `source` into `target`, one row
    of pixels `step` numbers apart; finish: Finish; filter_: the first of `left` filters."""
    below = FLOAT * width * pixels if rows == 2 else 0
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
            largest = larger(larger(b, a), larger(d, c))
            store(target + FLOAT * (i * step + j), largest, left - j)
