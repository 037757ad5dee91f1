"""Which pixels a Winograd tile reads and writes: tables of offsets, made once per shape.

A grid of 13 x 13 needs 4 x 4 tiles of 4 x 4 results, and a third of what they compute lies outside. Two things save that.

Short tiles. Of the six products along a line the last, at infinity, enters the fourth result alone. A tile that gives
three results leaves it out, and 13 = 4 + 3 + 3 + 3 lines cost 6 + 5 + 5 + 5 products instead of 24:

      4   3 3 3         A  all 36 products
    4 A   B B B         B  five columns of six              numbered B A C D: the tiles that need a product at infinity
    3 C   D D D         C  five rows of six                 follow each other: B A in the last row, A C in the last column
    3 C   D D D         D  5 x 5: 441 products for 13 x 13 results, not 576
    3 C   D D D

Neighbours. Pictures of a batch are laid side by side where that saves products, with one line of zeros between two, and
the tiles run across:

    0 a a a a a 0 b b b b b 0        a row of 5 pixels of two pictures; the 0 between them is the margin of both
    [---------]                      tile 0 gives  a a a a
            [---------]              tile 1 gives  a . b b    what lies between the pictures is not written
                    [-------]        tile 2 gives  b b b      17 products instead of 2 x 10

8 pictures of 13 x 13 make 4 x 2, that is 55 x 27 lines: 14 x 7 tiles instead of 8 x 16. Nothing is moved for that: a tile
reads six rows and six columns, anywhere, and the address of a pixel is the sum of a row's offset and a column's, also
across pictures.

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
from minidarknet.kernels._jit import jit

SHORT = OUT - 1  # results of a short tile along a line
PLACE = 16       # bytes from tile to tile in Tiling.reads and Tiling.writes: two addresses


class Tiling(NamedTuple):
    """`tiles` tiles, in the order B A C D. All ints.

    reads, writes: addresses of (tiles, 2) int64, themselves addresses: of the offsets of a tile's rows and of those of its
    columns, in bytes from the batch's first pixel or result: six that it reads, and four that it writes, -1 where there
    is no result. before_a, before_c, before_d: the numbers of the first tiles of A, C and D.
    """

    tiles: int
    reads: int
    writes: int
    before_a: int
    before_c: int
    before_d: int


_kept = []  # the arrays whose addresses stand in a Tiling: 32 bytes per tile of every shape


@jit
def tiles_at(tiles, value):
    """(first, last + 1): the tiles that need the product at position `value` (0 .. 35), row by row; tiles: Tiling."""
    last_row, last_column = value // IN == IN - 1, value % IN == IN - 1
    return (tiles.before_a if last_column else 0,
            tiles.before_c if last_row else tiles.before_d if last_column else tiles.tiles)


def sides_of(lines, pool=False):
    """Results of each of the tiles that cover `lines` lines, whole ones first: a list of ints.

    pool: whether all but the last must be even (bool): the borders between tiles then cut no window of 2 x 2.
    """
    tiles = -(-lines // OUT)
    short = min(tiles * OUT - lines, 1 if pool else tiles)
    return [OUT] * (tiles - short) + [SHORT] * short


def _along(pictures, side, joined, pool):
    """(first lines, results, period) of the tiles that `pictures` pictures of `side` lines need one after the other:
    two int arrays, whole tiles first; and the lines from each picture to the next.

    joined: whether neighbours share a line of zeros (bool), else each begins with a tile of its own.
    """
    sides = np.array(sides_of(pictures * (side + 1) - 1 if joined else side, pool))
    first, period = np.cumsum(sides) - sides, side + 1
    if not joined:
        period = OUT * len(sides)
        first = (first + period * np.arange(pictures)[:, None]).ravel()
        sides = np.tile(sides, pictures)
    whole_first = np.argsort(-sides, kind="stable")
    return first[whole_first], sides[whole_first], period


def _count(b, h, w, across, joined, pool):
    """(tiles, products per channel and filter) of b pictures of h x w pixels with `across` of them side by side."""
    rows, columns = _along(b // across, h, joined, pool)[1], _along(across, w, joined, pool)[1]
    return len(rows) * len(columns), int(np.sum(rows + IN - OUT) * np.sum(columns + IN - OUT))


def arrangement(b, h, w, joined, pool=False):
    """(pictures side by side, whether they are joined) with the fewest products: (int, bool).

    b, h, w: pictures, their height and width in pixels; joined: whether they may be joined (bool); pool: whether windows
    of 2 x 2 results must not be cut by a tile's border: every picture then has tiles of its own (bool).
    """
    choices = [(across, True) for across in range(1, b + 1) if joined and not pool and b % across == 0]
    return min([(1, False), *choices], key=lambda choice: _count(b, h, w, *choice, pool)[1])


@cache
def count_tiles(b, h, w):
    """How many tiles b pictures of h x w pixels need (ints)."""
    return _count(b, h, w, *arrangement(b, h, w, True), False)[0]


@cache
def count_products(b, h, w):
    """How many products per channel and filter b pictures of h x w pixels need (ints)."""
    return _count(b, h, w, *arrangement(b, h, w, True), False)[1]


def _tables(pictures, side, joined, source, target, pool):
    """The two tables of one direction, of rows or of columns: (n, 6) to read and (n, 4) to write, int64, see Tiling; and
    how many tiles are whole: those come first.

    pictures, side, joined: as in _along. source, target: (bytes from picture to picture, bytes from line to line), of
    the pixels and of the results, with pool (0 or 1) of the poolings.
    """
    first, sides, period = _along(pictures, side, joined, pool)
    first, results = first[:, None], np.arange(OUT)
    lines = first + np.arange(IN)  # numbered through all pictures, 0 being the margin before the first
    # A tile that begins in one picture may end in the next one only where they are joined.
    picture = np.minimum((lines if joined else first) // period, pictures - 1)
    line = np.minimum(lines - picture * period, side + 1)  # side + 1 is the margin behind a picture
    reads = picture * source[0] + line * source[1]
    picture, line = np.divmod(first + results, period)
    there = (line < side) & (picture < pictures) & (results < sides[:, None])
    writes = np.where(there, picture * target[0] + line // (1 + pool) * target[1], -1)
    return np.ascontiguousarray(reads, np.int64), np.ascontiguousarray(writes, np.int64), int(np.sum(sides == OUT))


def _places(rows, columns, order):
    """Address of (tiles, 2) int64: those of the entries of two tables, rows and columns, of every tile of `order`."""
    starts = [table.ctypes.data + table.strides[0] * places for table, places in zip((rows, columns), order, strict=True)]
    places = np.ascontiguousarray(np.transpose(starts), np.int64)
    _kept.extend((rows, columns, places))
    return places.ctypes.data


@cache
def tiling(b, h, w, image, row, pixel, out_image, out_row, out_pixel, joined, pool):
    """The Tiling of a batch of b pictures of h x w pixels.

    image, row, pixel: strides of the pictures in numbers; out_image, out_row, out_pixel: of the results; joined: whether
    pictures may be joined (bool); pool: whether 2 x 2 results are written to one place (0 or 1).
    """
    across, joined = arrangement(b, h, w, joined, bool(pool))
    reads_rows, writes_rows, tall = _tables(b // across, h, joined, (FLOAT * across * image, FLOAT * row),
                                            (FLOAT * across * out_image, FLOAT * out_row), pool)
    reads_columns, writes_columns, wide = _tables(across, w, joined, (FLOAT * image, FLOAT * pixel),
                                                  (FLOAT * out_image, FLOAT * out_pixel), pool)
    row, column = np.indices((len(reads_rows), len(reads_columns))).reshape(2, -1)
    kind = np.select([row >= tall, column >= wide], [2 + (column >= wide), 0], 1)  # B A C D
    order = np.argsort(kind, kind="stable")
    before_a, before_c, before_d = (int(np.sum(kind < k)) for k in (1, 2, 3))
    return Tiling(len(order), _places(reads_rows, reads_columns, (row[order], column[order])),
                  _places(writes_rows, writes_columns, (row[order], column[order])), before_a, before_c, before_d)
