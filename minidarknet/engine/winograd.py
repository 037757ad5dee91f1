"""Winograd's 3x3 convolution: 4 x 4 results from 6 x 6 numbers with 36 products per channel pair instead of 144.

A convolution of 6 numbers d with 3 weights g gives 4 results y. Seen as polynomials, the product of two is known from its
values at six points; values at a point cost additions, and only the products of values are real work:

    y = A^T [ (G g) . (B^T d) ]              in two dimensions    Y = A^T [ (G g G^T) . (B^T d B) ] A

      d: 6 x 6 pixels --B-->  6 x 6 values  \\
                                             >-- 36 products, summed over channels --A-->  4 x 4 results
      g: 3 x 3 taps ----G-->  6 x 6 values  /

The sum over channels makes each of the 36 positions a matrix product: tiles x channels times channels x filters.
The transposed formula is the weight gradient: grad_g = G^T [ (A grad_Y A^T) . (B^T d B) ] G, summed over tiles.

The points are 0, 1, -1, 1/2, -2 and infinity: with the usual 2 in place of 1/2 the rounding errors are larger, 1.5 to
4 times by layer. Each `*_line` function is one of the matrices times a vector, written out; a `*_tile` applies it to
rows and columns. Source: S. Winograd, Arithmetic complexity of computations, 1980; A. Lavin and S. Gray, arXiv 1509.09308.
"""
import numpy as np

from minidarknet.engine.vector import FLOAT, LANES, ZERO, load, load_all, read_integer, splat, store, store_all
from minidarknet.kernels._jit import jit

OUT, IN, TAPS_SIDE = 4, 6, 3       # sides of a tile of results, of pixels, of the kernel
VALUES = IN * IN                   # positions at which products are taken
BYTES = FLOAT * LANES              # of a register
WORKSPACE = (VALUES + 4) * BYTES   # bytes a tile transform needs for its half-done numbers, and 4 registers of measure.py

HALF, QUARTER, EIGHTH = np.float32(1 / 2), np.float32(1 / 4), np.float32(1 / 8)
ONE_AND_HALF, TWO, FOUR, EIGHT = np.float32(3 / 2), np.float32(2), np.float32(4), np.float32(8)
THIRD, FIFTEENTH = np.float32(1 / 3), np.float32(1 / 15)
FOUR_15, EIGHT_15, SIXTEEN_15, TWO_15 = (np.float32(n / 15) for n in (4, 8, 16, 2))


@jit
def pixels_line(d0, d1, d2, d3, d4, d5):
    """B^T d: six vectors from six, the pixels d0, d1, d2, d3, d4, d5 of a line.

    Row j of B^T holds the coefficients of the product of (x - point) over all points but the j-th.
    """
    half, one_and_half, two = splat(HALF), splat(ONE_AND_HALF), splat(TWO)
    r, s = d4 - d2, d3 - d1
    p, q = r + one_and_half * d3, s + one_and_half * d2
    return (d0 - d2 + r + one_and_half * s, p + q, p - q, r + two * s, r - half * s, d5 - d3 - s + one_and_half * r)


@jit
def taps_line(g0, g1, g2):
    """G g: six vectors from three, the taps g0, g1, g2 of a line.

    They are the values of g0 + g1 x + g2 x^2 at the points, each divided by the product of the point's distances from
    the others.
    """
    third, fifteenth = splat(THIRD), splat(FIFTEENTH)
    even, odd = third * (g0 + g2), third * g1
    return (g0, even + odd, odd - even, splat(-SIXTEEN_15) * (g0 + splat(HALF) * g1 + splat(QUARTER) * g2),
            fifteenth * (g0 - splat(TWO) * g1 + splat(FOUR) * g2), g2)


@jit
def results_line(m0, m1, m2, m3, m4, m5):
    """A^T m: four vectors, results, from six, the products m0, m1, m2, m3, m4, m5 at the points.

    Column j of A^T holds the powers 0..3 of point j.
    """
    even, odd = m1 + m2, m1 - m2
    return (m0 + even + m3 + m4, odd + splat(HALF) * m3 - splat(TWO) * m4, even + splat(QUARTER) * m3 + splat(FOUR) * m4,
            odd + splat(EIGHTH) * m3 - splat(EIGHT) * m4 + m5)


@jit
def gradients_line(y0, y1, y2, y3):
    """A y, the transpose of results_line: six vectors from four, the gradients y0, y1, y2, y3 of a line's results."""
    even, odd = y0 + y2, y1 + y3
    return (y0, even + odd, even - odd, y0 + splat(HALF) * y1 + splat(QUARTER) * y2 + splat(EIGHTH) * y3,
            y0 - splat(TWO) * y1 + splat(FOUR) * y2 - splat(EIGHT) * y3, y3)


@jit
def weights_line(u0, u1, u2, u3, u4, u5):
    """G^T u, the transpose of taps_line: three vectors, gradients of taps, from six, u0, u1, u2, u3, u4, u5."""
    even, odd = splat(THIRD) * (u1 - u2), splat(THIRD) * (u1 + u2)
    return (u0 + even - splat(SIXTEEN_15) * u3 + splat(FIFTEENTH) * u4,
            odd - splat(EIGHT_15) * u3 - splat(TWO_15) * u4,
            even - splat(FOUR_15) * u3 + splat(FOUR_15) * u4 + u5)


@jit
def _store_six(values, target, step):
    """Write six vectors from `target` on, `step` bytes apart."""
    store_all(target, values[0])
    store_all(target + step, values[1])
    store_all(target + 2 * step, values[2])
    store_all(target + 3 * step, values[3])
    store_all(target + 4 * step, values[4])
    store_all(target + 5 * step, values[5])


@jit
def _store_four(values, target, step):
    """Write all of six vectors but the first and the last, from `target` on, `step` bytes apart."""
    store_all(target + step, values[1])
    store_all(target + 2 * step, values[2])
    store_all(target + 3 * step, values[3])
    store_all(target + 4 * step, values[4])


@jit
def _load_six(source, step):
    """Six vectors from `source` on, `step` bytes apart."""
    return (load_all(source), load_all(source + step), load_all(source + 2 * step), load_all(source + 3 * step),
            load_all(source + 4 * step), load_all(source + 5 * step))


@jit
def pixels_tile(source, rows, columns, left, target, plane, work):
    """B^T d B for LANES channels of one tile.

    source: address of the channels of the batch's first pixel, in the margin; rows, columns: addresses of six offsets in
    bytes each; left: channels from there to the last; target: address where position 0 goes, `plane` bytes from position
    to position, *written*; work: address of WORKSPACE bytes.
    """
    r0, r1, r2 = read_integer(rows), read_integer(rows + 8), read_integer(rows + 16)
    r3, r4, r5 = read_integer(rows + 24), read_integer(rows + 32), read_integer(rows + 40)
    for j in range(IN):
        at = source + read_integer(columns + 8 * j)
        values = pixels_line(load(at + r0, left), load(at + r1, left), load(at + r2, left),
                             load(at + r3, left), load(at + r4, left), load(at + r5, left))
        _store_six(values, work + j * BYTES, IN * BYTES)
    for i in range(IN):
        values = pixels_line(*_load_six(work + i * IN * BYTES, BYTES))
        _store_six(values, target + i * IN * plane, plane)


@jit
def taps_tile(source, row, column, left, target, plane, corners):
    """G g G^T for one input channel and LANES filters.

    source: address of the first tap's filters, row and column bytes from tap to tap; left: filters from there to the
    last; target: address where position 0 goes, `plane` bytes from position to position, *written*; corners: whether also
    the four corners are (bool), which are the kernel's own corners.
    """
    # 18 half-done vectors stay in registers
    a = taps_line(load(source, left), load(source + row, left), load(source + 2 * row, left))
    source += column
    b = taps_line(load(source, left), load(source + row, left), load(source + 2 * row, left))
    source += column
    c = taps_line(load(source, left), load(source + row, left), load(source + 2 * row, left))
    _store_four(taps_line(a[0], b[0], c[0]), target, plane)
    _store_six(taps_line(a[1], b[1], c[1]), target + 6 * plane, plane)
    _store_six(taps_line(a[2], b[2], c[2]), target + 12 * plane, plane)
    _store_six(taps_line(a[3], b[3], c[3]), target + 18 * plane, plane)
    _store_six(taps_line(a[4], b[4], c[4]), target + 24 * plane, plane)
    _store_four(taps_line(a[5], b[5], c[5]), target + 30 * plane, plane)
    if corners:
        store_all(target, a[0])
        store_all(target + 5 * plane, c[0])
        store_all(target + 30 * plane, a[5])
        store_all(target + 35 * plane, c[5])


@jit
def results_columns(source, plane, work):
    """The first half of A^T m A, the tile's columns, for LANES filters; results_row makes the second.

    source: address of position 0, `plane` bytes from position to position; work: address of WORKSPACE bytes, *written*:
    4 rows of 6 vectors.
    """
    for j in range(IN):
        at = source + j * plane
        values = results_line(*_load_six(at, IN * plane))
        store_all(work + j * BYTES, values[0])
        store_all(work + (IN + j) * BYTES, values[1])
        store_all(work + (2 * IN + j) * BYTES, values[2])
        store_all(work + (3 * IN + j) * BYTES, values[3])


@jit
def results_row(work, i):
    """Row i (0..3) of the tile's results, four vectors, from what results_columns left at the address `work`."""
    return results_line(*_load_six(work + i * IN * BYTES, BYTES))


@jit
def gradients_tile(source, rows, columns, left, target, plane, work):
    """A y A^T for LANES filters of one tile.

    source: address of the filters of the batch's first result; rows, columns: addresses of four offsets in bytes each,
    below 0 where there is no result; left, target, plane, work: as in pixels_tile, for filters instead of channels.
    """
    for j in range(OUT):
        column = read_integer(columns + 8 * j)
        y0, y1, y2, y3 = splat(ZERO), splat(ZERO), splat(ZERO), splat(ZERO)
        if column >= 0:
            at = source + column
            if read_integer(rows) >= 0:
                y0 = load(at + read_integer(rows), left)
            if read_integer(rows + 8) >= 0:
                y1 = load(at + read_integer(rows + 8), left)
            if read_integer(rows + 16) >= 0:
                y2 = load(at + read_integer(rows + 16), left)
            if read_integer(rows + 24) >= 0:
                y3 = load(at + read_integer(rows + 24), left)
        _store_six(gradients_line(y0, y1, y2, y3), work + j * BYTES, OUT * BYTES)
    for i in range(IN):
        at = work + i * OUT * BYTES
        values = gradients_line(load_all(at), load_all(at + BYTES), load_all(at + 2 * BYTES), load_all(at + 3 * BYTES))
        _store_six(values, target + i * IN * plane, plane)


@jit
def weights_tile(source, plane, target, row, column, left, add, work):
    """G^T u G for one input channel and LANES filters: nine vectors, *accumulated* if add (bool) else *written*.

    source: address of position 0, `plane` bytes from position to position; target: address of the first tap's filters,
    row and column bytes from tap to tap; left: filters from there to the last; work: address of WORKSPACE bytes.
    """
    for j in range(IN):
        values = weights_line(*_load_six(source + j * plane, IN * plane))
        store_all(work + j * BYTES, values[0])
        store_all(work + (IN + j) * BYTES, values[1])
        store_all(work + (2 * IN + j) * BYTES, values[2])
    for i in range(TAPS_SIDE):
        g0, g1, g2 = weights_line(*_load_six(work + i * IN * BYTES, BYTES))
        at = target + i * row
        if add:
            g0 = g0 + load(at, left)
            g1 = g1 + load(at + column, left)
            g2 = g2 + load(at + 2 * column, left)
        store(at, g0, left)
        store(at + column, g1, left)
        store(at + 2 * column, g2, left)
