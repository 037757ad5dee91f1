"""Mean and variance of a convolution's results, summed up on the way: training's batch norm needs no pass of its own.

A task adds its results, register by register of filters, to four registers in its workspace; then its chunk's share goes
to a table, and at the end the shares of all chunks are merged in their order, whatever thread made them.

    results y --add--> | count | origin | sum (y - origin) | sum (y - origin)^2 |           in float32, per chunk
                                                  |
              --store-->  sums[chunk] = count, mean, sum (y - mean)^2
                                                  |
              --merge-->  mean = sum count * mean / M                                       in float64
                          variance = sum (sum (y - mean)^2 + count * (mean of chunk - mean)^2) / M

with M the sum of all counts. `origin` is the chunk's first result: sums of squares of numbers that lie far from 0 would
lose their digits. With (n, m, s) = (count, sum, sum of squares) of the distances: sum (y - mean)^2 = s - m * m / n.

`finish` is always a finish.Finish; where it has no place for sums (another mode than MEASURE), nothing is done.
"""
import numpy as np

from minidarknet.engine.vector import (
    FLOAT,
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
from minidarknet.engine.winograd import BYTES, OUT, WORKSPACE, results_row
from minidarknet.kernels._jit import jit

COUNT, ORIGIN, SUM, SQUARES = (WORKSPACE - (4 - i) * BYTES for i in range(4))  # behind the half-done numbers of a tile
ONE = np.float32(1)


@jit
def start_sums(finish, work):
    """Forget the chunk before. finish: Finish; work: address of WORKSPACE bytes."""
    if finish.sums:
        write_integer(work + COUNT, 0)
        store_all(work + ORIGIN, splat(ZERO))
        store_all(work + SUM, splat(ZERO))
        store_all(work + SQUARES, splat(ZERO))


@jit
def add_tile(base, rows, columns, left, work):
    """Write a tile whose half-transformed results lie in `work`, and add it to the chunk's sums.

    base: address of the first of `left` filters of the batch's first result; rows: address of 4 offsets of rows in
    bytes; columns: 4 offsets; -1 where the tile lies outside; work: address of WORKSPACE bytes.
    """
    count, origin = read_integer(work + COUNT), load_all(work + ORIGIN)
    total, squares = load_all(work + SUM), load_all(work + SQUARES)
    there = (columns[0] >= 0) + (columns[1] >= 0) + (columns[2] >= 0) + (columns[3] >= 0)
    for i in range(OUT):
        row = read_integer(rows + 8 * i)
        if row >= 0 and there:
            y = results_row(work, i)
            if count == 0:
                origin = (y[0] if columns[0] >= 0 else y[1] if columns[1] >= 0 else y[2] if columns[2] >= 0 else y[3])
                store_all(work + ORIGIN, origin)
            a, b = _away(y[0], origin, base + row, columns[0], left), _away(y[1], origin, base + row, columns[1], left)
            c, d = _away(y[2], origin, base + row, columns[2], left), _away(y[3], origin, base + row, columns[3], left)
            total = total + ((a + b) + (c + d))
            squares = squares + ((a * a + b * b) + (c * c + d * d))
            count += there
    write_integer(work + COUNT, count)
    store_all(work + SUM, total)
    store_all(work + SQUARES, squares)


@jit
def _away(y, origin, row, column, left):
    """Write the result y to row + column (bytes) and return its distance from origin; 0 where column is -1. Vectors."""
    if column < 0:
        return splat(ZERO)
    store(row + column, y, left)
    return y - origin


@jit
def add_run(start, pixels, step, left, work):
    """Add one register of channels of `pixels` pixels to the chunk's sums.

    start: address of the first pixel's first of `left` channels; step: bytes from pixel to pixel; work: address of
    WORKSPACE bytes.
    """
    count = read_integer(work + COUNT)
    if count == 0:
        store_all(work + ORIGIN, load(start, left))
    origin, total, squares = load_all(work + ORIGIN), load_all(work + SUM), load_all(work + SQUARES)
    for i in range(pixels):
        away = load(start + i * step, left) - origin
        total = total + away
        squares = squares + away * away
    write_integer(work + COUNT, count + pixels)
    store_all(work + SUM, total)
    store_all(work + SQUARES, squares)


@jit
def store_sums(finish, chunk, channel, left, work):
    """Turn a chunk's sums into its count, mean and scatter, and keep those for merge_sums.

    finish: Finish, *written* at its sums; chunk: number of the chunk; channel: the first of `left` filters, in bytes;
    work: address of WORKSPACE bytes.
    """
    if finish.sums:
        count = np.float32(read_integer(work + COUNT))
        total = load_all(work + SUM)
        away = total * splat(ONE / max(count, ONE))
        step = FLOAT * finish.filters
        at = finish.sums + 3 * step * chunk + channel
        store(at, splat(count), left)
        store(at + step, load_all(work + ORIGIN) + away, left)
        store(at + 2 * step, load_all(work + SQUARES) - total * away, left)


@jit
def merge_sums(finish, chunks):
    """Mean and biased variance of every filter, *written* where finish (Finish) says, from `chunks` (int) chunks."""
    if finish.sums:
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
