"""The region head's activation, LANES anchor-cells at once; one by one, and the rest of the head: kernels/region.py.

    what the last convolution gave                   columns, in the core's cache
    anchor-cell 0   x y w h o c0 c1 c2 ...           x x x x ...    a register for every entry, a lane for every anchor-cell
    anchor-cell 1   x y w h o c0 c1 c2 ...  -turn->  y y y y ...    sigma and softmax, as in the kernel, but with a register
    anchor-cell 2   x y w h o c0 c1 c2 ...           w w w w ...    where that has a number
        ...                                          ...            -turn-> out

Nearly all of the work is exponentials, one per class: in YOLO9000 a cell's 3 anchors have 9418 each.
"""
from functools import partial

import numba
import numpy as np

from minidarknet import kernels
from minidarknet.engine.call import Call
from minidarknet.engine.curves import exponential, logistic
from minidarknet.engine.maxpool import larger
from minidarknet.engine.memory import address_of
from minidarknet.engine.vector import (
    FLOAT,
    LANES,
    ZERO,
    load_all,
    read_integer,
    read_number,
    splat,
    store_all,
    transpose,
    write_number,
)
from minidarknet.kernels._jit import jit, parallel_once, prange

BYTES = FLOAT * LANES  # of a register
ONE, HALF = np.float32(1), np.float32(.5)


@jit
def _turn(source, source_step, target, target_step, rows, columns):
    """Copy rows x columns numbers, rows becoming columns; either is LANES, the other any number. Steps in bytes.

    Squares of LANES x LANES; the last one overlaps the one before. Fewer than LANES are copied one by one.
    """
    if rows < LANES or columns < LANES:
        for i in range(rows):
            for j in range(columns):
                write_number(target + target_step * j + FLOAT * i, read_number(source + source_step * i + FLOAT * j))
        return
    for i in range(0, rows, LANES):
        row = min(i, rows - LANES)
        for j in range(0, columns, LANES):
            column = min(j, columns - LANES)
            transpose(source + source_step * row + FLOAT * column, source_step,
                      target + target_step * column + FLOAT * row, target_step)


@jit
def _logistic(at):
    """sigma(z) of the register at the address `at`, in place."""
    store_all(at, logistic(load_all(at)))


@jit
def _softmax(first, last):
    """softmax(z) over the registers from address `first` to address `last`, lane by lane, in place."""
    largest = load_all(first)
    for at in range(first + BYTES, last, BYTES):
        largest = larger(load_all(at), largest)
    total = splat(ZERO)
    for at in range(first, last, BYTES):
        e = exponential(load_all(at) - largest)  # the largest is 1: nothing overflows
        store_all(at, e)
        total = total + e
    share = splat(ONE) / total
    for at in range(first, last, BYTES):
        store_all(at, share * load_all(at))


@jit
def _off_centre(columns, cell, anchors, count):
    """x = 1/2 + z anchor_w, y alike, in place, of LANES anchor-cells from number `cell` on; see kernels.region_activate."""
    for lane in range(LANES):
        for entry in range(2):
            at = columns + entry * BYTES + FLOAT * lane
            size = read_number(anchors + FLOAT * (2 * ((cell + lane) % count) + entry))
            write_number(at, HALF + read_number(at) * size)


@parallel_once
def _activate(x, out, cells, entries, anchors, count, coords, direct, softmax, borders, groups, memory):
    """See region_activate. x, out, anchors, borders: addresses; cells: anchor-cells in all; count: anchors of a cell."""
    for block in prange(-(-cells // LANES)):
        cell = min(block * LANES, cells - LANES)  # the last block does some of the one before once more
        columns, place = memory.address + memory.step * numba.get_thread_id(), FLOAT * cell * entries
        _turn(x + place, FLOAT * entries, columns, BYTES, LANES, entries)
        if direct:
            _logistic(columns)
            _logistic(columns + BYTES)
        else:
            _off_centre(columns, cell, anchors, count)
        _logistic(columns + BYTES * coords)
        classes = columns + BYTES * (coords + 1)
        if softmax:
            for group in range(groups):
                _softmax(classes + BYTES * read_integer(borders + 8 * group),
                         classes + BYTES * read_integer(borders + 8 * (group + 1)))
        else:
            for at in range(classes, columns + BYTES * entries, BYTES):
                _logistic(at)
        _turn(columns, BYTES, out + place, FLOAT * entries, entries, LANES)


def region_activate(x, out, anchors, coords, direct, softmax, borders):
    """Raw numbers to activated ones: x, y in the cell, w and h as they are, sigma(objectness), class probabilities.

        direct 1    x = sigma(z)                     softmax 1    P = softmax(z) over each group of siblings
        direct 0    x = 1/2 + z anchor_w, y alike    softmax 0    P = sigma(z)

    x (b, h, w, n * (coords + 1 + classes)) float32; out: the same shape, another array, *written*; anchors (n, 2) in cells;
    coords: numbers of a box, int; borders (groups + 1,) int: the first class of each group, and `classes`. The kernel does
    it where arrays are not contiguous or hold fewer than LANES anchor-cells.
    Paper: YOLO9000, "Direct location prediction", "Hierarchical classification". Darknet: forward_region_layer.
    """
    region_prediction(x, out, anchors, coords, direct, softmax, borders)()


def region_prediction(x, out, anchors, coords, direct, softmax, borders):
    """What does region_activate's work when it is called without arguments: a Call, or a partial of the kernel.

    x, out, anchors, coords, direct, softmax, borders: as there. The numbers of x are read anew and out is *written* every
    time; anchors and borders may have been copied.
    """
    cells, entries = x[..., 0].size * len(anchors), x.shape[3] // len(anchors)
    if cells < LANES or not (x.flags.c_contiguous and out.flags.c_contiguous):
        return partial(kernels.region_activate, x, out, anchors, coords, direct, softmax, borders)
    shapes, borders = np.ascontiguousarray(anchors, np.float32), np.ascontiguousarray(borders, np.int64)
    arguments = (address_of(x), address_of(out), cells, entries, address_of(shapes), len(shapes), coords, int(direct),
                 int(softmax), borders.ctypes.data, len(borders) - 1)
    return Call(_activate, arguments, BYTES * entries, kept=(shapes, borders))
