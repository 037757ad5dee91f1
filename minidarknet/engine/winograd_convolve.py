"""Winograd's convolution over whole pictures: forward, and the data gradient, which is the same with turned weights.

                          tiles x channels                     channels x filters
    x --pixels_tile-->  36 planes of V  \\             / 36 planes of U  <--taps_tile-- weights, the corners as they are
                                          > multiply <
                            36 planes of M = V U, tiles x filters --results--> out

A task owns a chunk of tiles and one block of filters or two: M (tiles x block) and U (one slice of channels x block) stay
in the core's second-level cache, one plane of U in the first. Slices of channels follow each other and add to M. The
weights are transformed anew by every task, which is faster than fetching 36/9 times as many numbers from memory. How all
is cut up, and who makes V, is decided in winograd_plan.py.
"""
from typing import NamedTuple

import numba

from minidarknet.engine.call import Call
from minidarknet.engine.finish import ACTIVATE, finish_tile, memory_of, merge_sums, placed, start_sums, store_sums
from minidarknet.engine.fold import fold
from minidarknet.engine.memory import ALIGNMENT
from minidarknet.engine.microkernel import NV, TALL, multiply
from minidarknet.engine.pack import Taps, filter_offset, pack
from minidarknet.engine.tiling import PLACE, tiles_at, tiling
from minidarknet.engine.vector import FLOAT, LANES, prefetch, read_integer, write_integer
from minidarknet.engine.winograd import IN, TAPS_SIDE, VALUES, pixels_tile, results_columns, taps_tile
from minidarknet.engine.winograd_plan import MOST_ROWS, NARROW, NARROW_NV, TABLE, WIDTH, plan_convolution
from minidarknet.kernels._jit import jit, parallel_once, prange

SHORT = 4                        # rows of a lower block: TALL and SHORT ones make up every even number of tiles
NARROW_TALL, NARROW_SHORT = MOST_ROWS, 2 * SHORT
LINE = ALIGNMENT // FLOAT        # numbers of a cache line
LINES = max(1, WIDTH // LINE)    # cache lines of a block's filters


@jit
def transform_pixels(x, tiles, plan, tile, target, work):
    """B^T d B of one tile of x, all channels, to its place in a V.

    x: Picture; tiles: Tiling; plan: Plan, or another with depth, v_slice and v_plane; tile: number of the tile; target:
    address of the tile's place in position 0 of the first slice; work: address of WORKSPACE bytes.
    """
    rows, columns = read_integer(tiles.reads + PLACE * tile), read_integer(tiles.reads + PLACE * tile + PLACE // 2)
    for channel in range(0, x.c, LANES):
        place = target + channel // plan.depth * plan.v_slice + FLOAT * (channel % plan.depth)
        pixels_tile(x.address + FLOAT * channel, rows, columns, x.c - channel, place, plan.v_plane, work)


class Slice(NamedTuple):
    """The weights of one slice of channels and a block of filters, filters side by side; all ints.

    address: of the first tap's; row, column: numbers from tap to tap; step: from channel to channel; left: filters from
    there to the last.
    """

    address: int
    row: int
    column: int
    step: int
    left: int


@jit
def _slice(taps, first, width, channel, depth, packed):
    """The Slice from filter `first` and channel `channel` on. Where filters do not lie side by side they are packed."""
    if taps.output == 1:
        return Slice(taps.address + FLOAT * (channel * taps.input + filter_offset(taps, first)), taps.row, taps.column,
                     taps.input, taps.outputs - first)
    part = Taps(taps.address + FLOAT * channel * taps.input, TAPS_SIDE, TAPS_SIDE, depth, taps.outputs, taps.row,
                taps.column, taps.input, taps.output, taps.block, taps.group)
    pack(part, 0, first, width, 0, TAPS_SIDE, packed)
    return Slice(packed, TAPS_SIDE * depth * width, depth * width, width, width)


@jit
def _transform_weights(weights, width, depth, plan, u):
    """A Slice of weights to the planes (depth, width) of U: to those that _plane does not find as they are."""
    source, row, column, step = weights.address, weights.row, weights.column, weights.step
    for i in range(depth):
        for j in range(0, width, LANES):
            for tap in range(TAPS_SIDE ** 2):  # of the next channel: 36 vectors are written here until it is read
                prefetch(source + FLOAT * ((i + 1) * step + j + tap // TAPS_SIDE * row + tap % TAPS_SIDE * column))
            taps_tile(source + FLOAT * (i * step + j), FLOAT * row, FLOAT * column, weights.left - j,
                      u + FLOAT * (i * width + j), plan.u_plane, weights.left < width)


@jit
def _plane(value, weights, width, plan, u):
    """(address, step, near) of the weights at position `value` (0 .. 35), step in numbers from channel to channel.

    A corner of G g G^T is a corner of g: its plane of U is the tap itself, read from where it lies if all filters of the
    block are there. near: whether it lies in one piece, as planes of U do.
    """
    y, x, last = value // IN, value % IN, IN - 1
    if 0 < y < last or 0 < x < last or weights.left < width:
        return u + value * plan.u_plane, width, True
    tap = y // last * (TAPS_SIDE - 1) * weights.row + x // last * (TAPS_SIDE - 1) * weights.column
    return weights.address + FLOAT * tap, weights.step, False


class Ahead(NamedTuple):
    """What products have fetched for those who come next; all ints, bytes.

    m, v, u: how much of M, and of V and U at the next position, is due per row of a block and step of depth; next_u: where
    that U lies. weights: address of the first cache line of a share of the next weights; step: from one channel's to the
    next's.
    """

    m: int
    v: int
    u: int
    next_u: int
    weights: int
    step: int


@jit
def _ahead(taps, first, channel, value, m, v, u, next_u):
    """The Ahead of position `value` 0 .. 35; first, channel: where the weights begin that are transformed next. Ints.

    Products leave memory idle, transforms wait for it. A position's share is a cache line of one tap's filters, of every
    channel. Where there is nothing to fetch, or once all is shared out, it is the first line again and again.
    """
    tap, line = value // LINES, value % LINES
    if m == 0 or first >= taps.outputs or tap >= TAPS_SIDE ** 2 or taps.output != 1:
        return Ahead(m, v, u, next_u, taps.address, 0)
    start = taps.address + FLOAT * (tap // TAPS_SIDE * taps.row + tap % TAPS_SIDE * taps.column
                                    + filter_offset(taps, first) + LINE * line + channel * taps.input)
    return Ahead(m, v, u, next_u, start, FLOAT * taps.input)


@jit
def _write_tables(table, depth, width):
    """Where the rows of V and of M lie, for the microkernel, from `table` on."""
    for i in range(NARROW_TALL):
        write_integer(table + 8 * i, FLOAT * i * depth)
        write_integer(table + TABLE + 8 * i, FLOAT * i * width)


@jit
def _multiply_rows(plan, v, u, step, m, count, depth, width, table, add, ahead):
    """M (+)= V U for `count` tiles at one position: blocks of TALL rows, and as many SHORT ones as come out even.

    u, step: address of U's first channel, and numbers from channel to channel.

    Meanwhile each block has its rows of M fetched, those of V at the next position, and a share of U there; the first one
    also weights. ahead: Ahead, with 0 bytes of all where everything is near already.
    """
    a_table, c_table = table, table + TABLE
    tall = TALL if width == WIDTH else NARROW_TALL
    short = SHORT if width == WIDTH else NARROW_SHORT
    rest, row = count % tall, 0  # what one or two short blocks hold as well as a tall one, they take: the last ones
    short_ones = 0 if rest == 0 or rest > short else 1 if rest > 2 * short - tall or count < tall else 2
    while row < count:
        use_tall = row < count - short * short_ones
        rows = tall if use_tall else short
        a, c = v + FLOAT * row * plan.depth, m + FLOAT * row * width
        near = ((c, rows * ahead.m), (a + plan.v_plane, rows * ahead.v),
                (ahead.next_u + row * ahead.u * depth, min(rows * ahead.u, ALIGNMENT)))
        if ahead.m == 0:  # all is near: always the same line
            near = ((table, 0), (table, 0), (table, 0))
        far = ((ahead.weights, ahead.step if row == 0 else 0),)
        if width == WIDTH:
            if use_tall:
                multiply(TALL, NV, 1, depth, a_table, a, 1, 0, u, step, 0, c_table, c, add, near, far)
            else:
                multiply(SHORT, NV, 1, depth, a_table, a, 1, 0, u, step, 0, c_table, c, add, near, far)
        else:
            if use_tall:
                multiply(NARROW_TALL, NARROW_NV, 1, depth, a_table, a, 1, 0, u, step, 0, c_table, c, add, near, far)
            else:
                multiply(NARROW_SHORT, NARROW_NV, 1, depth, a_table, a, 1, 0, u, step, 0, c_table, c, add, near, far)
        row += rows


@jit
def _blocks(taps, out, tiles, plan, finish, chunk, first_block, v, own):
    """One chunk of tiles times `plan.group` blocks of filters, into out.

    first_block int; v: address of the chunk's V; own: the thread's memory.
    """
    last_block = min(first_block + plan.group, plan.blocks)
    first_tile = chunk * plan.chunk
    count = min(plan.chunk, plan.tiles - first_tile)
    u, work = own + plan.u, own + plan.work
    for part in range(plan.slices):
        channel = part * plan.depth
        depth = min(plan.depth, taps.inputs - channel)
        for block in range(first_block, last_block):
            width = WIDTH if taps.outputs - block * WIDTH > NARROW else NARROW
            m = own + plan.m + (block - first_block) * VALUES * plan.m_plane
            weights = _slice(taps, block * WIDTH, width, channel, depth, own + plan.packed)
            _transform_weights(weights, width, depth, plan, u)
            _write_tables(own, plan.depth, width)
            # What is transformed next: the next block's, at the end of the group the next slice's, at last the next task's.
            next_block, next_channel = block + 1, channel
            if next_block == last_block:
                next_block, next_channel = (first_block, channel + depth) if part + 1 < plan.slices else (next_block, 0)
            of_m, of_v, of_u = FLOAT * width // depth, FLOAT, FLOAT * width // count
            if plan.shared == 0:  # V is the task's own and near, and so is all the rest
                of_m, of_v, of_u = 0, 0, 0
            for value in range(VALUES):
                plane, step, _ = _plane(value, weights, width, plan, u)
                next_u, _, near = _plane(value + 1, weights, width, plan, u)
                ahead = _ahead(taps, next_block * WIDTH, next_channel, value, of_m, of_v, of_u if near else 0, next_u)
                first, last = tiles_at(tiles, value)
                first = max(first - first_tile, 0)
                _multiply_rows(plan, v + part * plan.v_slice + value * plan.v_plane + FLOAT * first * plan.depth,
                               plane, step, m + value * plan.m_plane + FLOAT * first * width,
                               min(last - first_tile, count) - first, depth, width, own, part > 0, ahead)
    for block in range(first_block, last_block):
        left = taps.outputs - block * WIDTH
        width = WIDTH if left > NARROW else NARROW
        m = own + plan.m + (block - first_block) * VALUES * plan.m_plane
        if finish.mode == ACTIVATE:
            fold(finish, block * WIDTH, min(width, left))
        for j in range(0, min(width, left), LANES):
            channel = FLOAT * (block * WIDTH + j)
            start_sums(finish, work)
            for i in range(count):
                results_columns(m + FLOAT * (i * width + j), plan.m_plane, work)
                finish_tile(finish, out.address + channel, tiles, first_tile + i, channel, left - j, work)
            store_sums(finish, chunk, channel, left - j, work)


@jit
def transform_shared(x, tiles, plan, first, i, memory, own):
    """V of tile `i` (int) of the wave of chunks that begins with chunk `first` (int), for the tasks that share it.

    x: Picture; tiles: Tiling; plan: Plan, or another with the same names; memory: Scratch; own: the thread's memory.
    """
    place = memory.shared + i // plan.chunk * plan.v_chunk + FLOAT * (i % plan.chunk) * plan.depth
    transform_pixels(x, tiles, plan, first * plan.chunk + i, place, own + plan.work)


@jit
def transform_own(x, tiles, plan, chunk, own):
    """V of a chunk (int), by the task that needs it, to its own memory. Returns its address.

    x: Picture; tiles: Tiling; plan: Plan, or another with the same names; own: the thread's memory.
    """
    first = chunk * plan.chunk
    for tile in range(first, min(first + plan.chunk, plan.tiles)):
        transform_pixels(x, tiles, plan, tile, own + plan.local_v + FLOAT * (tile - first) * plan.depth, own + plan.work)
    return own + plan.local_v


@parallel_once
def _convolve(x, taps, out, tiles, plan, finish, memory):
    """Wave by wave: V, if tasks share it; then a task for every chunk of the wave and every share of the filters."""
    chunks = -(-plan.tiles // plan.chunk)
    for first in range(0, chunks, plan.wave):
        if plan.shared:
            for i in prange(min(plan.tiles - first * plan.chunk, plan.wave * plan.chunk)):
                transform_shared(x, tiles, plan, first, i, memory, memory.address + memory.step * numba.get_thread_id())
        for task in prange(min(plan.wave, chunks - first) * plan.shares):
            own = memory.address + memory.step * numba.get_thread_id()
            chunk, share = task // plan.shares, task % plan.shares
            v = memory.shared + chunk * plan.v_chunk if plan.shared else transform_own(x, tiles, plan, first + chunk, own)
            for block in range(share * plan.share, min((share + 1) * plan.share, plan.blocks), plan.group):
                _blocks(taps, out, tiles, plan, placed(finish, memory.shared + plan.shared), first + chunk, block, v, own)
    merge_sums(placed(finish, memory.shared + plan.shared), chunks)


def winograd_call(x, taps, out, finish):
    """The Call of a convolution by Winograd's formula.

        out[n, oy, ox, j] = sum over ky, kx, i of  x[n, oy + ky, ox + kx, i] * taps[ky, kx, i, j],  ky, kx in 0..2

    x Picture, which begins at the first pixel of the first window, one line above and left of the first pixel, and has
    a margin of zeros; taps Taps of 3 x 3; out Picture of as many pixels (of the poolings, where finish pools), *written*
    as finish (finish.Finish) says.
    """
    tiles = tiling(x.b, x.h, x.w, x.image, x.row, x.pixel, out.image, out.row, out.pixel, True, finish.pool)
    plan = plan_convolution(tiles.tiles, taps.inputs, taps.outputs, taps.output != 1, numba.get_num_threads())
    return Call(_convolve, (x, taps, out, tiles, plan, finish), plan.own,
                plan.shared + memory_of(finish, -(-plan.tiles // plan.chunk)))
