"""Which pixels a Winograd tile reads and writes: tables of offsets, made once per shape.

A grid of 13 x 13 needs 4 x 4 tiles of 4, and a third of what they compute lies outside. Where there are several
pictures they are therefore laid side by side, one line of zeros between two, and the tiles run across:

    . . . . . . . . .          a line of zeros is the margin below one picture and above the next; 8 pictures of
    . a a a . b b b .          13 x 13 make 4 x 2 = 55 x 27 pixels: 14 x 7 tiles instead of 8 x 16
    . a a a . b b b .
    . . . . . . . . .

A picture's results then depend on its neighbours by rounding, some 1e-6 of the largest number in the tile, and a NaN
reaches into the next picture. Inside one network's batch that does no harm.

Nothing is moved: tile row ty reads six rows and tile column tx six columns, anywhere, and the address of a pixel is the
sum of a row's offset and a column's, also across pictures.
"""
from functools import cache
from typing import NamedTuple

import numpy as np

from minidarknet.engine.vector import FLOAT
from minidarknet.engine.winograd import IN, OUT


class Tiling(NamedTuple):
    """rows x columns tiles; the tables hold bytes from the picture's address.

    reads_rows (rows, 6), reads_columns (columns, 6): of the pixels; writes_rows (rows, 4), writes_columns (columns, 4):
    of the results, -1 where there is none. Addresses of int64 arrays.
    """

    rows: int
    columns: int
    reads_rows: int
    reads_columns: int
    writes_rows: int
    writes_columns: int


_kept = []  # the arrays whose addresses stand in a Tiling: a few kB per shape


def _lines(pictures, side, joined, before, step):
    """The lines (rows or columns) of `pictures` pictures of `side` lines side by side.

    joined: whether neighbours share a line of zeros, else each begins with a tile of its own. before, step: bytes from
    picture to picture and from line to line. Returns reads (n, 6) and (n, 4) tuples of (picture, line), line -1: none.
    """
    period = side + 1 if joined else -(-side // OUT) * OUT
    tiles = -(-(pictures * period - joined) // OUT)
    first = np.arange(tiles)[:, None] * OUT
    reads, writes = first + np.arange(IN), first + np.arange(OUT)
    # A tile that begins in one picture may end in the next one only where they are joined.
    owner = np.minimum((reads if joined else first) // period, pictures - 1)
    line = np.minimum(reads - owner * period, side + 1)  # beyond the last picture: its margin
    picture, place = writes // period, writes % period
    offset = np.where((place < side) & (picture < pictures), 1, -1)
    return owner * before + line * step, picture, place, offset


def _tables(pictures, side, joined, before, step, out_before, out_step, pool):
    """(n, 6) offsets to read and (n, 4) to write (-1: none), int64, see Tiling."""
    reads, picture, place, there = _lines(pictures, side, joined, before, step)
    writes = np.where(there > 0, picture * out_before + place // (1 + pool) * out_step, -1)
    return np.ascontiguousarray(reads, np.int64), np.ascontiguousarray(writes, np.int64)


def _tiles(pictures, side, joined):
    period = side + 1 if joined else -(-side // OUT) * OUT
    return -(-(pictures * period - joined) // OUT)


def _count(b, h, w, across, joined):
    """How many tiles b pictures of h x w need with `across` of them side by side (ints); joined: bool."""
    return _tiles(b // across, h, joined) * _tiles(across, w, joined)


def arrangement(b, h, w, joined):
    """(pictures side by side, whether they are joined) with the fewest tiles for b pictures of h x w; joined: whether
    they may be (bool)."""
    best = (1, False)
    if joined:
        for across in range(1, b + 1):
            if b % across == 0 and _count(b, h, w, across, True) < _count(b, h, w, *best):
                best = (across, True)
    return best


def count_tiles(b, h, w):
    """How many tiles b pictures of h x w pixels need (ints)."""
    return _count(b, h, w, *arrangement(b, h, w, True))


@cache
def tiling(b, h, w, image, row, pixel, out_image, out_row, out_pixel, joined, pool):
    """The Tiling of b pictures of h x w, their strides (from image, row and pixel to the next) and those of the
    results (out_image, out_row, out_pixel) in numbers; joined: may be laid side
    by side (bool); pool: whether 2 x 2 results are written to one place (0 or 1)."""
    # Windows of 2 x 2 must not be cut by a tile's border: every picture then has tiles of its own.
    across, joined = arrangement(b, h, w, joined and not pool)
    down = b // across
    rows = _tables(down, h, joined, FLOAT * across * image, FLOAT * row, FLOAT * across * out_image, FLOAT * out_row, pool)
    columns = _tables(across, w, joined, FLOAT * image, FLOAT * pixel, FLOAT * out_image, FLOAT * out_pixel,
                      pool)
    tables = (rows[0], columns[0], rows[1], columns[1])
    _kept.extend(tables)
    return Tiling(len(rows[0]), len(columns[0]), *(table.ctypes.data for table in tables))
