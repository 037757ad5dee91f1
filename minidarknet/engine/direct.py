"""Convolution without im2col: the window of a pixel is k runs of k * c numbers that already lie in memory.

            x, in its frame of zeros                          k = 3, c = 2, stride 1
        ky=0  . . [a a a a a a] . . .      <- 3 pixels of 2 channels side by side: one run
        ky=1  . . [b b b b b b] . . .      out[pixel, f] = a . W[0][:, f] + b . W[1][:, f] + c . W[2][:, f]
        ky=2  . . [c c c c c c] . . .

So some windows times a block of filters are one call of the microkernel, with k rows of depth k * c. The pixels of a
block are numbered through all pictures of the batch; past the last one the last is repeated, which writes the same
bits to the same place. A task owns some pixels and one block of filters, packs its weights and sweeps over its pixels;
then, while they are in its cache, it finishes them (finish.py). A convolution of size 1 is a plain matrix product.
"""
from typing import NamedTuple

import numba

from minidarknet.engine.call import Call
from minidarknet.engine.finish import ACCUMULATE, ACTIVATE, finish_pixels, memory_of, merge_sums, placed, pool_pixels
from minidarknet.engine.fold import fold
from minidarknet.engine.memory import Picture, even_share
from minidarknet.engine.microkernel import NV, PIXELS, TALL, multiply
from minidarknet.engine.pack import BLOCK, filter_offset, pack
from minidarknet.engine.vector import FLOAT, LANES, load, load_all, read_integer, store, write_integer
from minidarknet.engine.winograd import WORKSPACE
from minidarknet.kernels._jit import jit, parallel_once, prange

WIDTH = BLOCK                  # filters of a block, in NV registers; 2 or 1 where there are no more filters
HIGH = 2 * PIXELS              # rows of a block that is one register wide: enough sums at once to hide their latency
TABLE = 8 * HIGH               # bytes of a table of addresses
TILE = FLOAT * max(PIXELS * 2 * LANES, TALL * WIDTH)  # bytes of a block of results
ASIDE = 5 * TABLE              # where a block of results that is computed aside lies; and the numbers of finish.py
TABLES = ASIDE + max(TILE, WORKSPACE)  # what a thread's memory begins with; then packed weights
PACKED = 512 * 1024            # bytes of packed weights that may stay in a core's own cache beside the pixels
TASK_PIXELS = 1300             # pixels of a task: many enough to be worth packing the weights
TASKS = 16                     # at least, where there are pixels enough


class Plan(NamedTuple):
    """How a direct convolution is cut up; all ints.

    stride, groups; blocks: of filters; chunk: pixels of a task, or with pool pairs of rows; chunks. The window is read
    in `passes` times `rows` runs of `depth` numbers, `a_row` numbers apart. ready: whether the weights are used where they
    are, because they lie as the microkernel wants them.
    """

    stride: int
    groups: int
    blocks: int
    chunk: int
    chunks: int
    passes: int
    rows: int
    depth: int
    a_row: int
    ready: int


@jit
def _block_width(left):
    """How wide the block is that takes the first of `left` (int) filters: NV, 2 or 1 registers."""
    return WIDTH if left > 2 * LANES else 2 * LANES if left > LANES else LANES


@jit
def _address_pixels(first, last, count, x, out, stride, a_table, c_table):
    """Write how many bytes `count` windows of x and pixels of out lie from the batch's first, repeating pixel last - 1.

    The first of them is pixel `first`. All ints; a_table, c_table: addresses.
    """
    a, c, ox = _distances(first, x, out, stride)
    oy, picture = first // out.w % out.h, first // out.w // out.h
    for i in range(count):
        write_integer(a_table + 8 * i, a)
        write_integer(c_table + 8 * i, c)
        if first + i + 1 < last:
            ox += 1
            a += FLOAT * stride * x.pixel
            c += FLOAT * out.pixel
            if ox == out.w:
                ox = 0
                oy += 1
                if oy == out.h:
                    oy = 0
                    picture += 1
                a = FLOAT * (picture * x.image + oy * stride * x.row)
                c = FLOAT * (picture * out.image + oy * out.row)


@jit
def _distances(pixel, x, out, stride):
    """(a, c, ox): bytes from the batch's first window and first result to those of `pixel`, and its column. Ints."""
    row, ox = pixel // out.w, pixel % out.w
    picture, oy = row // out.h, row % out.h
    return (FLOAT * (picture * x.image + oy * stride * x.row + ox * stride * x.pixel),
            FLOAT * (picture * out.image + oy * out.row + ox * out.pixel), ox)


@jit
def copy_columns(tile, width, c_table, c_base, rows, left, accumulate):
    """out (+)= tile for `left` columns of `rows` rows: a block of filters that is not full is computed aside.

    tile: address of rows x width float32 numbers; c_table: address of the places of out's rows, in bytes from c_base,
    *accumulated* if accumulate (bool) else *written*; width, rows, left ints.
    """
    for i in range(rows):
        source, target = tile + FLOAT * i * width, c_base + read_integer(c_table + 8 * i)
        for j in range(0, left, LANES):
            value = load_all(source + FLOAT * j)
            if accumulate:
                value = value + load(target + FLOAT * j, left - j)
            store(target + FLOAT * j, value, left - j)


@jit
def _sweep(x, taps, out, plan, finish, group, filter_, first, last, k, own, packed):
    """Pass k over pixels first .. last - 1: some windows times one block of filters at a time.

    filter_: the block's first filter within its group; own: the thread's memory; packed: address of the pass's weights.
    """
    left = taps.outputs - filter_
    width = _block_width(left)
    height = TALL if width == WIDTH else PIXELS if width > LANES else HIGH  # windows of one call
    aside = left < width  # a block that is not full is computed aside, and its existing columns are copied
    a_table, c_table, a_steps, c_steps, tile_table = own, own + TABLE, own + 2 * TABLE, own + 3 * TABLE, own + 4 * TABLE
    tile = own + ASIDE
    for i in range(height):
        write_integer(tile_table + 8 * i, FLOAT * i * width)
        write_integer(a_steps + 8 * i, FLOAT * i * plan.stride * x.pixel)
        write_integer(c_steps + 8 * i, FLOAT * i * out.pixel)
    a_start = x.address + FLOAT * (group * taps.inputs + k * x.row)
    c_start = out.address + FLOAT * (group * taps.outputs + filter_)
    add = finish.mode == ACCUMULATE or k > 0
    add_there = add and not aside
    rows, depth, a_row = plan.rows, plan.depth, plan.a_row
    b_step = taps.input if plan.ready else width
    for pixel in range(first, last, height):
        a, c, ox = _distances(pixel, x, out, plan.stride)
        a_places, c_places = a_steps, c_steps
        if ox + height > out.w or pixel + height > last:  # not all in one row
            _address_pixels(pixel, last, height, x, out, plan.stride, a_table, c_table)
            a, c, a_places, c_places = 0, 0, a_table, c_table
        a, c = a_start + a, c_start + c
        target, there = (tile_table, tile) if aside else (c_places, c)
        if width == WIDTH:
            multiply(TALL, NV, rows, depth, a_places, a, 1, a_row, packed, b_step, depth * b_step, target, there,
                     add_there, (), ())
        elif width > LANES:
            multiply(PIXELS, 2, rows, depth, a_places, a, 1, a_row, packed, b_step, depth * b_step, target, there,
                     add_there, (), ())
        else:
            multiply(HIGH, 1, rows, depth, a_places, a, 1, a_row, packed, b_step, depth * b_step, target, there,
                     add_there, (), ())
        if aside:
            copy_columns(tile, width, c_places, c, min(height, last - pixel), left, add)


@parallel_once
def _run(x, taps, out, plan, finish, memory):
    """A task for every chunk of pixels, group and block of filters."""
    pixels = out.b * out.h * out.w
    for task in prange(plan.chunks * plan.groups * plan.blocks):
        own = memory.address + memory.step * numba.get_thread_id()
        filter_, group = task % plan.blocks * WIDTH, task // plan.blocks % plan.groups
        chunk = task // plan.blocks // plan.groups
        left = taps.outputs - filter_
        first, last = chunk * plan.chunk, min(pixels, (chunk + 1) * plan.chunk)
        packed, height = own + TABLES, taps.rows // plan.passes
        if plan.ready:
            packed = taps.address + FLOAT * filter_offset(taps, filter_)
        for k in range(plan.passes):
            if not plan.ready:
                pack(taps, group, filter_, _block_width(left), k * height, height, packed)
            _sweep(x, taps, out, plan, finish, group, filter_, first, last, k, own, packed)
        there = placed(finish, memory.shared)
        if finish.mode == ACTIVATE:
            fold(there, group * taps.outputs + filter_, min(left, WIDTH))
        finish_pixels(there, out, chunk, first, last, group * taps.outputs + filter_, min(left, WIDTH), own + ASIDE)
    merge_sums(placed(finish, memory.shared), plan.chunks)


@parallel_once
def _run_pooled(x, taps, out, plan, finish, aside, memory):
    """The same where the results are pooled: two rows at a time stay in the thread's memory, `aside` bytes from its
    beginning. out: of the poolings, but with the height and width of the results."""
    pairs = -(-out.h // 2)
    for task in prange(plan.chunks * plan.groups * plan.blocks):
        own = memory.address + memory.step * numba.get_thread_id()
        filter_, group = task % plan.blocks * WIDTH, task // plan.blocks % plan.groups
        chunk = task // plan.blocks // plan.groups
        left = taps.outputs - filter_
        width = _block_width(left)
        packed = own + TABLES
        pass_step = FLOAT * width * plan.rows * plan.depth
        channel = group * taps.outputs + filter_
        there = placed(finish, memory.shared)
        fold(there, channel, min(left, width))
        if plan.ready:
            packed = taps.address + FLOAT * filter_offset(taps, filter_)
        else:
            pack(taps, group, filter_, width, 0, taps.rows, packed)
        for pair in range(chunk * plan.chunk, min(out.b * pairs, (chunk + 1) * plan.chunk)):
            top = pair // pairs * out.h + pair % pairs * 2
            rows = min(2, out.h - pair % pairs * 2)
            first = top * out.w
            # A picture whose pixel `first` is the first of the thread's memory, and whose filters begin with this block's.
            here = Picture(own + aside - FLOAT * (first * width + group * taps.outputs + filter_), out.b, out.h, out.w,
                           out.c, out.h * out.w * width, out.w * width, width)
            for k in range(plan.passes):
                _sweep(x, taps, here, plan, finish, group, filter_, first, first + rows * out.w, k, own,
                       packed + k * pass_step)
            target = out.address + FLOAT * (pair // pairs * out.image + pair % pairs * out.row + channel)
            pool_pixels(there, own + aside, width, rows, out.w, target, out.pixel, channel, min(left, width))


def direct_call(x, taps, out, stride, groups, finish):
    """The Call of a direct convolution.

        out[n, oy, ox, j] = sum over ky, kx, i of  x[n, oy * stride + ky, ox * stride + kx, i] * taps[ky, kx, i, j]

    x Picture, which begins at the first pixel of the first window; taps Taps, at least one; out Picture, *written* as
    finish (finish.Finish) says; where that pools, the strides are those of the poolings; stride int in pixels; groups
    int: group g reads channels g * inputs onwards and writes channels g * outputs onwards.
    """
    block = FLOAT * WIDTH * taps.columns * taps.inputs  # bytes of one kernel row's packed weights
    if groups > 1 or x.pixel != taps.inputs:  # a run ends with its pixel
        passes, rows, depth, a_row = taps.rows, taps.columns, taps.inputs, x.pixel
    else:  # the pixels of a window's row form one run
        passes = 1 if finish.pool or taps.rows * block <= PACKED else taps.rows
        rows, depth, a_row = taps.rows // passes, taps.columns * taps.inputs, x.row
    blocks = -(-taps.outputs // WIDTH)
    if finish.pool:
        lines, most = out.b * -(-out.h // 2), max(1, TASK_PIXELS // (2 * out.w))
    else:
        lines, most = out.b * out.h * out.w, TASK_PIXELS
    # How the pixels are cut must not depend on the number of threads: sums are taken chunk by chunk.
    chunks = max(-(-lines // most), -(-TASKS // (groups * blocks)))
    chunk = even_share(lines, -(-lines // chunks))
    if not finish.pool:
        height = TALL if taps.outputs > 2 * LANES else PIXELS if taps.outputs > LANES else HIGH
        chunk = -(-chunk // height) * height
    plan = Plan(stride, groups, blocks, chunk, -(-lines // chunk), passes, rows, depth, a_row,
                int(groups == taps.rows * taps.columns == 1 and taps.input == BLOCK))
    needed = memory_of(finish, plan.chunks)
    if finish.pool:
        aside = TABLES + block * taps.rows
        return Call(_run_pooled, (x, taps, out, plan, finish, aside), aside + FLOAT * 2 * out.w * WIDTH, needed)
    return Call(_run, (x, taps, out, plan, finish), TABLES + block * (taps.rows // passes), needed)
