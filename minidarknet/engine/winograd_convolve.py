"""Winograd's convolution over whole pictures: forward, and the data gradient, which is the same with turned weights.

                          tiles x channels                     channels x filters
    x --pixels_tile-->  36 planes of V  \\             / 36 planes of U  <--taps_tile-- weights
                                          > multiply <
                            36 planes of M = V U, tiles x filters --results--> out

A task owns a chunk of tiles and one block of filters: M (tiles x block) and U (one slice of channels x block) stay in the
core's second-level cache, one plane of U in the first. Slices of channels follow each other and add to M. The weights
are transformed anew by every task, which is faster than fetching 36/9 times as many numbers from memory. V is made by
the task itself, chunk by chunk in the cache, while there are few channels; else by all threads, for a wave of chunks at
once, small enough for the cache that they share, and all tasks read it there.
"""
from typing import NamedTuple

import numba

from minidarknet.engine.finish import MEASURE, bytes_of_sums, finish_tile, merge_sums, start_sums, store_sums
from minidarknet.engine.memory import ALIGNMENT, even_share, odd_lines, scratch, second_level_cache
from minidarknet.engine.microkernel import NV, TALL, multiply
from minidarknet.engine.pack import BLOCK, Taps, filter_offset, pack
from minidarknet.engine.tiling import PLACE, tiles_at, tiling
from minidarknet.engine.vector import FLOAT, LANES, prefetch, read_integer, write_integer
from minidarknet.engine.winograd import TAPS_SIDE, VALUES, WORKSPACE, pixels_tile, results_columns, taps_tile
from minidarknet.kernels._jit import jit, parallel, prange

SHORT = 4                          # rows of a lower block: TALL and SHORT ones make up every even number of tiles
WIDTH = BLOCK                      # filters of a block: NV registers
NARROW_NV = NV // 2                # where few filters are left: half the registers per row, twice the rows
NARROW_TALL, NARROW_SHORT = 2 * TALL, 2 * SHORT
NARROW = NARROW_NV * LANES
DEPTH = 64                         # channels of a slice; half as many where there are few tiles, and the weights decide
FEW_TILES = 64
OWN_CACHE = 1600 * 1024            # bytes of V, U and M that may stay in a core's own cache
WAVE = 8 << 20                     # bytes of V that are made for all tasks at once: most shared caches hold them
LEAST_TILES = 20                   # of a chunk that a core's cache holds, for V to be made by tasks
WORTH_TILES = 40                   # of every chunk, where there are few: else it costs more to transform the weights anew
MOST_TILES = 104                   # of a chunk: M alone
TASKS_PER_THREAD = 1               # at least, for tasks to take several blocks
TASKS_OF_WAVE = 4                  # per thread, at least
TASKS = 16                         # at least, for V to be made by tasks
TABLE = 8 * NARROW_TALL
LINE = ALIGNMENT // FLOAT          # numbers of a cache line


class Plan(NamedTuple):
    """How a Winograd convolution is cut up; all ints, steps in bytes.

    tiles: in all; chunk: tiles of a task; depth: channels of a slice; slices; blocks: of filters; group: blocks of a task;
    wave: chunks for which V is made at once, for all tasks; 0 where each makes its own. v_plane, v_slice, v_chunk, u_plane,
    m_plane: steps; v: address of the shared V. In the thread's own memory u, m, local_v, packed, work: offsets.
    """

    tiles: int
    chunk: int
    depth: int
    slices: int
    blocks: int
    group: int
    wave: int
    v_plane: int
    v_slice: int
    v_chunk: int
    u_plane: int
    m_plane: int
    v: int
    u: int
    m: int
    local_v: int
    packed: int
    work: int


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
def _transform_weights(taps, first, width, channel, depth, plan, u, packed):
    """One slice of channels and a block of filters to the 36 planes (depth, width) of U."""
    source = taps.address + FLOAT * (channel * taps.input + filter_offset(taps, first))
    row, column, step, left = taps.row, taps.column, taps.input, taps.outputs - first
    if taps.output != 1:  # filters do not lie side by side: pack them first
        part = Taps(taps.address + FLOAT * channel * taps.input, TAPS_SIDE, TAPS_SIDE, depth, taps.outputs, taps.row,
                    taps.column, taps.input, taps.output, taps.block, taps.group)
        pack(part, 0, first, width, 0, TAPS_SIDE, packed)
        source, row, column, step, left = packed, TAPS_SIDE * depth * width, depth * width, width, width
    for i in range(depth):
        for j in range(0, width, LANES):
            for tap in range(TAPS_SIDE ** 2):  # of the next channel: 36 vectors are written here until it is read
                prefetch(source + FLOAT * ((i + 1) * step + j + tap // TAPS_SIDE * row + tap % TAPS_SIDE * column))
            taps_tile(source + FLOAT * (i * step + j), FLOAT * row, FLOAT * column, left - j,
                      u + FLOAT * (i * width + j), plan.u_plane)


@jit
def _expected_weights(taps, first, width, channel, depth, value):
    """(address, step), in bytes, of a share of a slice of channels, for products to fetch that come before it is read.

    Products leave memory idle, transforms wait for it. The shares are those of the positions `value` 0 .. 35: a cache line
    of one tap's filters, of every channel. Of a slice without depth, or once all is shared out: the first line again.
    """
    lines = -(-width // LINE)
    tap, line = value // lines, value % lines
    if depth <= 0 or tap >= TAPS_SIDE ** 2:
        return taps.address, 0
    return (taps.address + FLOAT * (tap // TAPS_SIDE * taps.row + tap % TAPS_SIDE * taps.column
                                    + filter_offset(taps, first) + LINE * line + channel * taps.input), FLOAT * taps.input)


@jit
def _write_tables(table, depth, width):
    """Where the rows of V and of M lie, for the microkernel, from `table` on."""
    for i in range(NARROW_TALL):
        write_integer(table + 8 * i, FLOAT * i * depth)
        write_integer(table + TABLE + 8 * i, FLOAT * i * width)


@jit
def _multiply_rows(plan, v, u, m, count, depth, width, table, add, of_m, of_u, weights):
    """M (+)= V U for `count` tiles at one position: blocks of TALL rows, and as many SHORT ones as come out even.

    Meanwhile each block has its rows of M fetched, those of V at the next position, and a share of U there; the first one
    also `weights`, an (address, step). of_m, of_u: bytes of M and U that are due per row of the block and step of depth.
    """
    a_table, c_table = table, table + TABLE
    tall = TALL if width == WIDTH else NARROW_TALL
    short = SHORT if width == WIDTH else NARROW_SHORT
    row = 0
    while row < count:
        left = count - row
        use_tall = left % tall == 0 or left % tall > short or (left > tall and left % tall > 2 * short - tall)
        rows = tall if use_tall else short
        a, c = v + FLOAT * row * plan.depth, m + FLOAT * row * width
        near = ((c, rows * of_m), (a + plan.v_plane, rows * FLOAT),
                (u + plan.u_plane + row * of_u * depth, min(rows * of_u, ALIGNMENT)))
        far = ((weights[0], weights[1] if row == 0 else 0),)
        if width == WIDTH:
            if use_tall:
                multiply(TALL, NV, 1, depth, a_table, a, 1, 0, u, WIDTH, 0, c_table, c, add, near, far)
            else:
                multiply(SHORT, NV, 1, depth, a_table, a, 1, 0, u, WIDTH, 0, c_table, c, add, near, far)
        else:
            if use_tall:
                multiply(NARROW_TALL, NARROW_NV, 1, depth, a_table, a, 1, 0, u, NARROW, 0, c_table, c, add, near, far)
            else:
                multiply(NARROW_SHORT, NARROW_NV, 1, depth, a_table, a, 1, 0, u, NARROW, 0, c_table, c, add, near, far)
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
            _transform_weights(taps, block * WIDTH, width, channel, depth, plan, u, own + plan.packed)
            _write_tables(own, plan.depth, width)
            next_depth = min(plan.depth, taps.inputs - channel - depth) if taps.output == 1 else 0
            of_m, of_u = FLOAT * width // depth, FLOAT * width // count
            for value in range(VALUES):
                weights = _expected_weights(taps, block * WIDTH, width, channel + depth, next_depth, value)
                first, last = tiles_at(tiles, value)
                first = max(first - first_tile, 0)
                _multiply_rows(plan, v + part * plan.v_slice + value * plan.v_plane + FLOAT * first * plan.depth,
                               u + value * plan.u_plane, m + value * plan.m_plane + FLOAT * first * width,
                               min(last - first_tile, count) - first, depth, width, own, part > 0,
                               of_m, of_u, weights)
    for block in range(first_block, last_block):
        left = taps.outputs - block * WIDTH
        width = WIDTH if left > NARROW else NARROW
        m = own + plan.m + (block - first_block) * VALUES * plan.m_plane
        for j in range(0, min(width, left), LANES):
            channel = FLOAT * (block * WIDTH + j)
            start_sums(finish, work)
            for i in range(count):
                results_columns(m + FLOAT * (i * width + j), plan.m_plane, work)
                finish_tile(finish, out.address + channel, tiles, first_tile + i, channel, left - j, work)
            store_sums(finish, chunk, channel, left - j, work)


@parallel
def transform_wave(x, tiles, plan, first, memory):
    """V of a wave of chunks, from chunk `first` (int) on, for tasks that share it.

    x: Picture; tiles: Tiling; plan: Plan, or another with the same names; memory: Scratch.
    """
    start = first * plan.chunk
    for i in prange(min(plan.tiles - start, plan.wave * plan.chunk)):
        work = memory.address + memory.step * numba.get_thread_id() + plan.work
        place = plan.v + i // plan.chunk * plan.v_chunk + FLOAT * (i % plan.chunk) * plan.depth
        transform_pixels(x, tiles, plan, start + i, place, work)


@parallel
def _multiply_wave(taps, out, tiles, plan, finish, first, memory):
    """A task for every group of blocks of filters and every chunk of the wave that begins with chunk `first` (int)."""
    groups = -(-plan.blocks // plan.group)
    for task in prange(min(plan.wave, -(-plan.tiles // plan.chunk) - first) * groups):
        chunk = task // groups
        _blocks(taps, out, tiles, plan, finish, first + chunk, task % groups * plan.group, plan.v + chunk * plan.v_chunk,
                memory.address + memory.step * numba.get_thread_id())


@parallel
def _multiply_own(x, taps, out, tiles, plan, finish, memory):
    """A task for every chunk, which makes its own V and meets all filters."""
    for chunk in prange(-(-plan.tiles // plan.chunk)):
        own = memory.address + memory.step * numba.get_thread_id()
        first = chunk * plan.chunk
        for tile in range(first, min(first + plan.chunk, plan.tiles)):
            transform_pixels(x, tiles, plan, tile, own + plan.local_v + FLOAT * (tile - first) * plan.depth,
                             own + plan.work)
        for block in range(0, plan.blocks, plan.group):
            _blocks(taps, out, tiles, plan, finish, chunk, block, own + plan.local_v, own)


def plan_tiles(tiles, channels, filters):
    """(chunk, depth, slices, shared) for `tiles` tiles, `channels` read and `filters` written (ints); see Plan."""
    depth = min(DEPTH // 2 if tiles <= FEW_TILES else DEPTH, -(-channels // LANES) * LANES)
    slices = -(-channels // depth)
    width = WIDTH if filters > NARROW else NARROW
    most = (OWN_CACHE // (FLOAT * VALUES) - depth * width) // (slices * depth + width)
    shared = tiles < TASKS * min(most, WORTH_TILES) or most < LEAST_TILES
    return even_share(tiles, MOST_TILES if shared else min(most, -(-tiles // TASKS))), depth, slices, shared


def group_blocks(blocks, taken, more):
    """How many blocks of filters a task takes: the slice of V that it has in its cache may serve for two.

    blocks: how many there are; taken, more: bytes that V and U take in the cache, and M of every block (ints).
    """
    tasks = TASKS_PER_THREAD * numba.get_num_threads()
    return 2 if taken + 2 * more <= second_level_cache() // 2 and blocks // 2 >= tasks else 1


def chunks_of_wave(chunks, v_chunk, tasks):
    """How many of `chunks` chunks have their V, of v_chunk bytes each, made at once; each makes `tasks` tasks (ints).

    As many as WAVE bytes hold, at least one, and enough to give every thread several tasks.
    """
    enough = -(-TASKS_OF_WAVE * numba.get_num_threads() // tasks)
    return min(chunks, max(1, WAVE // v_chunk, enough))


def winograd_convolve(x, taps, out, finish, joined=True):
    """out[n, oy, ox, j] = sum over ky, kx, i of x[n, oy + ky, ox + kx, i] * taps[ky, kx, i, j], ky, kx in 0..2.

    x Picture, which begins at the first pixel of the first window, one line above and left of the first pixel, and has
    a margin of zeros; taps Taps of 3 x 3; out Picture of as many pixels (of the poolings, where finish pools), *written*
    as finish (finish.Finish) says; joined: whether tiles may run across pictures (bool).
    """
    tiles = tiling(x.b, x.h, x.w, x.image, x.row, x.pixel, out.image, out.row, out.pixel, joined, finish.pool)
    total = tiles.tiles
    chunk, depth, slices, shared = plan_tiles(total, taps.inputs, taps.outputs)
    v_plane = odd_lines(FLOAT * (chunk + NARROW_TALL) * depth)
    u_plane, m_plane = odd_lines(FLOAT * depth * WIDTH), odd_lines(FLOAT * (chunk + NARROW_TALL) * WIDTH)
    v_slice, blocks = VALUES * v_plane, -(-taps.outputs // WIDTH)
    group = group_blocks(blocks, v_slice + VALUES * u_plane, VALUES * m_plane) if shared else 1
    v_chunk = slices * v_slice
    u = 2 * TABLE
    m = u + VALUES * u_plane
    local_v = m + group * VALUES * m_plane
    packed = local_v + (0 if shared else v_chunk)
    work = packed + (0 if taps.output == 1 else FLOAT * TAPS_SIDE ** 2 * depth * WIDTH)
    chunks = -(-total // chunk)
    wave = chunks_of_wave(chunks, v_chunk, -(-blocks // group)) if shared else 0
    shared_v = wave * v_chunk
    memory, v = scratch(work + WORKSPACE, shared_v + bytes_of_sums(finish, chunks))
    finish = finish._replace(sums=v + shared_v)
    plan = Plan(total, chunk, depth, slices, blocks, group, wave, v_plane, v_slice, v_chunk, u_plane,
                m_plane, v, u, m, local_v, packed, work)
    if shared:
        for first in range(0, chunks, wave):
            transform_wave(x, tiles, plan, first, memory)
            _multiply_wave(taps, out, tiles, plan, finish, first, memory)
    else:
        _multiply_own(x, taps, out, tiles, plan, finish, memory)
    if finish.mode == MEASURE:
        merge_sums(finish, chunks)

