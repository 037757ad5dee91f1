"""Winograd's weight gradient: 36 matrix products, tiles being what is summed over.

                       channels x tiles                   tiles x filters
    x --pixels_tile-->  36 planes of V  \\           / 36 planes of Y  <--gradients_tile-- grad_out
                                          > multiply <
                          36 planes of U = V^T Y, channels x filters --weights_tile--> grad_weight

A task walks over its tiles in chunks; for a chunk it makes Y of one block of filters, and for every slice of channels U,
which is transformed back and added to the gradient. Where there are many channels, V is made by all threads, for a wave of
chunks at once, and each task has its own filters; where there are few, each task has its own tiles, makes V itself, and
adds to its own copy of the gradient. The copies are added up in their order, whatever the number of threads.
"""
from typing import NamedTuple

import numba

from minidarknet.engine.memory import add_copies, even_share, odd_lines, scratch
from minidarknet.engine.microkernel import TAPS, multiply
from minidarknet.engine.tiling import PLACE, tiles_at, tiling
from minidarknet.engine.vector import FLOAT, LANES, read_integer, write_integer
from minidarknet.engine.winograd import TAPS_SIDE, VALUES, WORKSPACE, gradients_tile, weights_tile
from minidarknet.engine.winograd_convolve import transform_own, transform_shared
from minidarknet.engine.winograd_plan import MOST_TILES, OWN_CACHE, WIDTH, chunks_of_wave
from minidarknet.kernels._jit import jit, parallel_once, prange

DEPTH = 64              # channels of a slice
HALF = 2 * LANES        # filters of one microkernel block
TASKS = 16              # at least, as far as there are tiles
LEAST_TILES = 24        # of a chunk, for V to be made by tasks
TABLE = 8 * TAPS


class Plan(NamedTuple):
    """How a weight gradient is cut up; all ints, steps in bytes. depth, slices: of channels; see winograd_plan.Plan.

    tiles, chunk, chunks; wave: chunks that are done at once; parts: shares of those; groups: shares of the slices.
    y, u, local_v, work: offsets in the thread's own memory; y_plane, u_plane, v_plane, v_slice, v_chunk: steps.
    """

    tiles: int
    chunk: int
    chunks: int
    wave: int
    parts: int
    groups: int
    depth: int
    slices: int
    blocks: int
    shared: int
    v_plane: int
    v_slice: int
    v_chunk: int
    y_plane: int
    u_plane: int
    y: int
    u: int
    local_v: int
    work: int


@jit
def _transform_gradients(grad_out, tiles, plan, first, count, filter_, width, own):
    """A chunk of `count` tiles and a block of filters to the 36 planes (tiles, width) of Y."""
    for i in range(count):
        place = tiles.writes + PLACE * (first + i)
        rows, columns = read_integer(place), read_integer(place + PLACE // 2)
        for j in range(0, width, LANES):
            gradients_tile(grad_out.address + FLOAT * (filter_ + j), rows, columns, grad_out.c - filter_ - j,
                           own + plan.y + FLOAT * (i * width + j), plan.y_plane, own + plan.work)


@jit
def _multiply_slice(tiles, plan, first_tile, count, v, own, depth, width):
    """U = V^T Y for a slice of channels and a block of filters, at all 36 positions: the tiles where Y is not 0.

    Meanwhile V and Y of the next position are fetched, a share by every block; nothing where V is the task's own and near.
    """
    of_v, of_y = FLOAT * TAPS * HALF // width, FLOAT * TAPS * HALF // depth  # bytes per tile
    if plan.shared == 0:
        of_v, of_y = 0, 0
    for value in range(VALUES):
        first, last = tiles_at(tiles, value)
        first = max(first - first_tile, 0)
        last = min(last - first_tile, count)
        next_v, next_y = v + (value + 1) * plan.v_plane, own + plan.y + (value + 1) % VALUES * plan.y_plane
        for channel in range(0, depth, TAPS):
            for half in range(0, width, HALF):
                a = v + value * plan.v_plane + FLOAT * (first * plan.depth + channel)
                b = own + plan.y + value * plan.y_plane + FLOAT * (first * width + half)
                c = own + plan.u + value * plan.u_plane + FLOAT * (channel * width + half)
                multiply(TAPS, 2, 1, last - first, own, a, plan.depth, 0, b, width, 0, own + TABLE, c, 0,
                         ((next_v, of_v), (next_y, of_y)), ())
                next_v += count * of_v
                next_y += count * of_y


@jit
def _add_slice(plan, weight, own, channel, depth, inputs, filter_, filters, width, add):
    """Transform U back and add it to the gradient that begins at `weight`, or write it."""
    for i in range(depth):
        for j in range(0, min(width, filters - filter_), LANES):
            weights_tile(own + plan.u + FLOAT * (i * width + j), plan.u_plane,
                         weight + FLOAT * ((channel + i) * filters + filter_ + j),
                         FLOAT * TAPS_SIDE * inputs * filters, FLOAT * inputs * filters, filters - filter_ - j, add,
                         own + plan.work)


@jit
def _chunk(x, grad_out, weight, tiles, plan, chunk, v, block, first_slice, last_slice, add, own):
    """One chunk of tiles, one block of filters, some slices of channels. v: address of the chunk's V."""
    first = chunk * plan.chunk
    count = min(plan.chunk, plan.tiles - first)
    filter_ = block * WIDTH
    left = grad_out.c - filter_
    width = WIDTH if left > WIDTH - HALF else -(-left // HALF) * HALF
    for i in range(TAPS):
        write_integer(own + 8 * i, FLOAT * i)
        write_integer(own + TABLE + 8 * i, FLOAT * i * width)
    _transform_gradients(grad_out, tiles, plan, first, count, filter_, width, own)
    for part in range(first_slice, last_slice):
        channel = part * plan.depth
        depth = min(plan.depth, x.c - channel)
        _multiply_slice(tiles, plan, first, count, v + part * plan.v_slice, own, depth, width)
        _add_slice(plan, weight, own, channel, depth, x.c, filter_, grad_out.c, width, add)


@parallel_once
def _accumulate(x, grad_out, weight, tiles, plan, copies, memory):
    """Wave by wave of chunks: V, if tasks share it; then each task takes a share of the chunks and, where V is shared, one
    block of filters and a share of the slices."""
    size = FLOAT * TAPS_SIDE ** 2 * x.c * grad_out.c
    many = plan.blocks * plan.groups if plan.shared else 1
    for first in range(0, plan.chunks, plan.wave):
        if plan.shared:
            for i in prange(min(plan.tiles - first * plan.chunk, plan.wave * plan.chunk)):
                transform_shared(x, tiles, plan, first, i, memory, memory.address + memory.step * numba.get_thread_id())
        wave = min(plan.wave, plan.chunks - first)
        for task in prange(plan.parts * many):
            own = memory.address + memory.step * numba.get_thread_id()
            part, rest = task // many, task % many
            gradient = weight if plan.parts == 1 else copies + part * size
            block, group, blocks = (rest % plan.blocks, rest // plan.blocks, 1) if plan.shared else (0, 0, plan.blocks)
            start = wave * part // plan.parts
            for i in range(start, wave * (part + 1) // plan.parts):
                v = memory.shared + i * plan.v_chunk if plan.shared else transform_own(x, tiles, plan, first + i, own)
                for filters in range(block, block + blocks):
                    _chunk(x, grad_out, gradient, tiles, plan, first + i, v, filters, plan.slices * group // plan.groups,
                           plan.slices * (group + 1) // plan.groups, plan.parts == 1 or i > start, own)


def _cut(tiles, channels, blocks):
    """(chunk, depth, slices, parts, groups, shared) for so many tiles, channels and blocks of filters; see Plan."""
    depth = min(DEPTH, -(-channels // LANES) * LANES)
    slices = -(-channels // depth)
    most = (OWN_CACHE // (FLOAT * VALUES) - depth * WIDTH) // (slices * depth + WIDTH)
    if most >= LEAST_TILES and tiles >= TASKS * most:
        chunk = even_share(tiles, most)
        return chunk, depth, slices, min(TASKS, -(-tiles // chunk)), 1, False
    chunk = even_share(tiles, MOST_TILES)
    groups = min(slices, -(-TASKS // blocks))
    return chunk, depth, slices, min(-(-tiles // chunk), -(-TASKS // (blocks * groups))), groups, True


def winograd_weight_gradient(x, grad_out, weight):
    """weight[ky, kx, i, f] += sum over n, oy, ox of x[n, oy + ky, ox + kx, i] * grad_out[n, oy, ox, f], ky, kx in 0..2.

    x Picture, which begins at the first pixel of the first window, one line above and left of the first pixel, and has
    a margin of zeros; grad_out Picture of as many pixels; weight: address of (3, 3, x.c, grad_out.c) float32,
    *accumulated*.
    """
    tiles = tiling(x.b, x.h, x.w, x.image, x.row, x.pixel, grad_out.image, grad_out.row, grad_out.pixel, True, 0)
    total, blocks = tiles.tiles, -(-grad_out.c // WIDTH)
    chunk, depth, slices, parts, groups, shared = _cut(total, x.c, blocks)
    chunks = -(-total // chunk)
    v_plane, y_plane = odd_lines(FLOAT * (chunk + 1) * depth), odd_lines(FLOAT * chunk * WIDTH)
    u_plane = odd_lines(FLOAT * -(-depth // TAPS) * TAPS * WIDTH)
    v_slice = VALUES * v_plane
    v_chunk = slices * v_slice
    y = 2 * TABLE
    u = y + VALUES * y_plane
    local_v = u + VALUES * u_plane
    work = local_v + (0 if shared else v_chunk)
    wave = chunks_of_wave(chunks, v_chunk, blocks * groups, numba.get_num_threads()) if shared and parts == 1 else chunks
    shared_v = wave * v_chunk if shared else 0
    memory = scratch(work + WORKSPACE, shared_v + (FLOAT * parts * 9 * x.c * grad_out.c if parts > 1 else 0))
    plan = Plan(total, chunk, chunks, wave, parts, groups, depth, slices, blocks, int(shared), v_plane, v_slice, v_chunk,
                y_plane, u_plane, y, u, local_v, work)
    _accumulate(x, grad_out, weight, tiles, plan, memory.shared + shared_v, memory)
    if parts > 1:
        add_copies(memory.shared + shared_v, parts, TAPS_SIDE ** 2 * x.c * grad_out.c, weight)
