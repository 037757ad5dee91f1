"""Which pixels a Winograd tile reads and writes: tables of offsets, made once per shape.

A grid of 13 x 13 needs 4 x 4 tiles of 4 x 4 results, and a third of what they compute lies outside. Pictures of a batch
are therefore laid side by side where that saves tiles, with one line of zeros between two, and the tiles run across:

    0 a a a a a 0 b b b b b 0 0      a row of 5 pixels of two pictures; the 0 between them is the margin of both
    [---------]                      tile 0 gives  a a a a
            [---------]              tile 1 gives  a . b b    what lies between the pictures is not written
                    [---------]      tile 2 gives  b b b .    3 tiles instead of 2 + 2

8 pictures of 13 x 13 make 4 x 2, that is 55 x 27 lines: 14 x 7 tiles instead of 8 x 16. Nothing is moved for that: tile
row ty reads six rows and tile column tx six columns, anywhere, and the address of a pixel is the sum of a row's offset
and a column's, also across pictures.

In such a tile a neighbour's pixels are multiplied by numbers that add up to 0, so that rounding alone is left of them:
some 1e-6 of the largest number in the tile. A picture's results thus depend on who is beside it in the batch about as
much as they depend on the algorithm, which is less than any layer behind it notices; the same batch gives the same bits.
A NaN does not add up to 0: it spreads to the neighbour's results in its tile, as it would within one picture. Pictures
hold none, and weights that make one make it in every picture. With algorithm=direct pictures know nothing of each other.
"""
from functools import cache
from typing import NamedTuple

import numpy as np

from minidarknet.engine.vector import FLOAT
from minidarknet.engine.winograd import IN, OUT


class Tiling(NamedTuple):
    """rows x columns tiles; the tables hold bytes from the address of the batch's first pixel or result.

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


def _along(pictures, side, joined):
    """(tiles, period): tiles that `pictures` pictures of `side` lines need one after the other, and the lines from each
    to the next. joined: whether neighbours share a line of zeros (bool), else each begins with a tile of its own."""
    period = side + 1 if joined else -(-side // OUT) * OUT
    return -(-(pictures * period - joined) // OUT), period


def _count(b, h, w, across, joined):
    """How many tiles b pictures of h x w pixels need with `across` of them side by side; joined as in _along."""
    return _along(b // across, h, joined)[0] * _along(across, w, joined)[0]


def arrangement(b, h, w, joined):
    """(pictures side by side, whether they are joined) with the fewest tiles: (int, bool).

    b, h, w: pictures, their height and width in pixels; joined: whether they may be joined (bool).
    """
    choices = [(across, True) for across in range(1, b + 1) if joined and b % across == 0]
    return min([(1, False), *choices], key=lambda choice: _count(b, h, w, *choice))


def count_tiles(b, h, w):
    """How many tiles b pictures of h x w pixels need at least (ints)."""
    return _count(b, h, w, *arrangement(b, h, w, True))


def _tables(pictures, side, joined, source, target, pool):
    """The two tables of one direction, of rows or of columns: (n, 6) to read and (n, 4) to write, int64, see Tiling.

    pictures, side, joined: as in _along. source, target: (bytes from picture to picture, bytes from line to line), of
    the pixels and of the results, with pool (0 or 1) of the poolings.
    """
    tiles, period = _along(pictures, side, joined)
    first = np.arange(tiles)[:, None] * OUT
    lines = first + np.arange(IN)  # numbered through all pictures, 0 being the margin before the first
    # A tile that begins in one picture may end in the next one only where they are joined.
    picture = np.minimum((lines if joined else first) // period, pictures - 1)
    line = np.minimum(lines - picture * period, side + 1)  # side + 1 is the margin behind a picture
    reads = picture * source[0] + line * source[1]
    picture, line = np.divmod(first + np.arange(OUT), period)
    there = (line < side) & (picture < pictures)
    writes = np.where(there, picture * target[0] + line // (1 + pool) * target[1], -1)
    return np.ascontiguousarray(reads, np.int64), np.ascontiguousarray(writes, np.int64)


@cache
def tiling(b, h, w, image, row, pixel, out_image, out_row, out_pixel, joined, pool):
    """The Tiling of a batch of b pictures of h x w pixels.

    image, row, pixel: strides of the pictures in numbers; out_image, out_row, out_pixel: of the results; joined: whether
    pictures may be joined (bool); pool: whether 2 x 2 results are written to one place (0 or 1).
    """
    # Windows of 2 x 2 must not be cut by a tile's border: every picture then has tiles of its own.
    across, joined = arrangement(b, h, w, joined and not pool)
    reads_rows, writes_rows = _tables(b // across, h, joined, (FLOAT * across * image, FLOAT * row),
                                      (FLOAT * across * out_image, FLOAT * out_row), pool)
    reads_columns, writes_columns = _tables(across, w, joined, (FLOAT * image, FLOAT * pixel),
                                            (FLOAT * out_image, FLOAT * out_pixel), pool)
    tables = (reads_rows, reads_columns, writes_rows, writes_columns)
    _kept.extend(tables)
    return Tiling(len(reads_rows), len(reads_columns), *(table.ctypes.data for table in tables))
