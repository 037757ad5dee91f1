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
import numba

from minidarknet.engine.call import Call
from minidarknet.engine.finish import ACTIVATE, finish_tile, memory_of, merge_sums, placed, start_sums, store_sums
from minidarknet.engine.fold import fold
from minidarknet.engine.pack import Taps, filter_offset, pack
from minidarknet.engine.tiling import PLACE, tiling
from minidarknet.engine.vector import FLOAT, LANES, prefetch, read_integer
from minidarknet.engine.winograd import TAPS_SIDE, VALUES, pixels_tile, results_columns, taps_tile
from minidarknet.engine.winograd_plan import NARROW, WIDTH, plan_convolution
from minidarknet.engine.winograd_products import Slice, multiply_slice, write_positions
from minidarknet.kernels._jit import jit, parallel_once, prange


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
def _following(taps, plan, block, channel):
    """(address, 1) of the weights of a block of filters from `channel` on, to be fetched. Ints.

    Where there are none, or they will be near, (address, 0): of memory that there is, since to fetch from where there is
    none takes long.
    """
    if plan.shared == 0 or block * WIDTH >= taps.outputs or taps.output != 1:
        return taps.address, 0
    return taps.address + FLOAT * (filter_offset(taps, block * WIDTH) + channel * taps.input), 1


@jit
def _blocks(taps, out, tiles, plan, finish, chunk, first_block, v, own):
    """One chunk of tiles times `plan.group` blocks of filters, into out.

    first_block int; v: address of the chunk's V; own: the thread's memory.
    """
    last_block = min(first_block + plan.group, plan.blocks)
    first_tile = chunk * plan.chunk
    count = min(plan.chunk, plan.tiles - first_tile)
    u, work, written = own + plan.u, own + plan.work, (0, 0, False)
    for part in range(plan.slices):
        channel = part * plan.depth
        depth = min(plan.depth, taps.inputs - channel)
        for block in range(first_block, last_block):
            width = WIDTH if taps.outputs - block * WIDTH > NARROW else NARROW
            m = own + plan.m + (block - first_block) * VALUES * plan.m_plane
            weights = _slice(taps, block * WIDTH, width, channel, depth, own + plan.packed)
            _transform_weights(weights, width, depth, plan, u)
            shape = width, weights.row, weights.left < width  # the rest is the same for all blocks and slices
            if shape != written:
                write_positions(own, tiles, plan, taps, weights, width, first_tile, count)
                written = shape
            # What is transformed next: the next block's, at the end of the group the next slice's, at last the next task's.
            next_block, next_channel = block + 1, channel
            if next_block == last_block:
                next_block, next_channel = (first_block, channel + depth) if part + 1 < plan.slices else (next_block, 0)
            following, more = _following(taps, plan, next_block, next_channel)
            multiply_slice(own, plan, v + part * plan.v_slice, u, weights, m, width, depth, part > 0, following, more)
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
