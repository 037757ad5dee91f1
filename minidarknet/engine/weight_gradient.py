"""The weight gradient: for every tap, a matrix product over all pixels of x (shifted by the tap) and grad_out.

    grad_weight[ky, kx, i, f] += sum over pixels of  x[pixel shifted by (ky, kx), i] * grad_out[pixel, f]

                        some rows of pixels -->
    a slot of channels | packed side by side, once for each ky; kx begins one pixel later                   (A)
    a block of filters | packed side by side, zeros where there is no filter                                (B)

    C += A B    C = TAPS channels of the slot x the block of filters of grad_weight at tap (ky, kx)

A task owns some channels and filters and walks over the pixels in chunks. Within a chunk, a strip of B that fits into
the first-level cache meets all taps before the next strip. With few channels (the picture's three) a slot holds all
taps of a pixel instead of one tap's channels, and the rest is as before.

Where a layer has too few weights for TASKS tasks, the pixels are shared out as well, in parts that do not depend on the
number of threads; each part has its own copy of the gradient, and the copies are added up in their order.
"""
from typing import NamedTuple

import numba

from minidarknet.engine.direct import copy_columns
from minidarknet.engine.memory import add_copies, even_share, row_address, scratch
from minidarknet.engine.microkernel import TAPS, multiply
from minidarknet.engine.vector import FLOAT, LANES, load, store_all, write_integer
from minidarknet.kernels._jit import jit, parallel_once, prange

WIDTH = 2 * LANES           # filters of a block: two registers
FILTERS = 4 * WIDTH         # filters of a task: x is packed once for all of them
CHANNELS = 64               # input channels of a task
SLOT = 16                   # input channels packed at a time: one cache line
CHUNK = 512                 # pixels of a chunk: packed x and grad_out stay in a core's own second-level cache
STRIP = 160                 # pixels of a strip: a block of packed grad_out stays in the first-level cache
TASKS = 16                  # at least, as far as there are rows of pixels
TABLE = 8 * TAPS            # bytes of a table of addresses
SLACK = FLOAT * LANES       # bytes that a whole register may be written past the end of packed numbers


class Plan(NamedTuple):
    """How a weight gradient is cut up; all ints.

    rows, columns, inputs, filters: the gradient's shape per group, as far as the loops see it; groups; stride.
    slot: numbers packed per pixel, in `runs` runs, one per kernel row when a slot holds all taps. pack_step: pixels of
    x from one packed pixel to the next; take: packed pixels from one pixel of grad_out to the next; span: packed
    pixels per row. channels: of a task. parts: shares of the pixels. chunk, strip: rows of pixels.
    """

    rows: int
    columns: int
    inputs: int
    filters: int
    groups: int
    stride: int
    slot: int
    runs: int
    pack_step: int
    take: int
    span: int
    channels: int
    parts: int
    chunk: int
    strip: int


@jit
def _pack_filters(grad_out, first_row, last_row, channel, count, width, target):
    """grad_out's rows first_row .. last_row - 1, channels `channel` .. + count - 1, as (pixels, width), 0 beyond."""
    for row in range(first_row, last_row):
        source = row_address(grad_out, row) + FLOAT * channel
        for _ in range(grad_out.w):
            for j in range(0, width, LANES):
                store_all(target + FLOAT * j, load(source + FLOAT * j, count - j))
            source += FLOAT * grad_out.pixel
            target += FLOAT * width


@jit
def _pack_channels(x, grad_out, plan, first_row, last_row, ky, channel, count, target):
    """x where kernel row ky meets grad_out's rows first_row .. last_row - 1, as (rows, span, slot) numbers.

    channel, count: the slot's first number and how many it has; the numbers after them are of no meaning.
    """
    run = count // plan.runs
    for row in range(first_row, last_row):
        source = x.address + FLOAT * (
            row // grad_out.h * x.image + (row % grad_out.h * plan.stride + ky) * x.row + channel)
        for _ in range(plan.span):
            for r in range(plan.runs):
                for j in range(0, run, LANES):
                    store_all(target + FLOAT * (r * run + j), load(source + FLOAT * (r * x.row + j), run - j))
            source += FLOAT * plan.pack_step * x.pixel
            target += FLOAT * plan.slot


@jit
def _add_taps(plan, lines, width, a_start, b, b_row, c_start, f, channels, left, add, table):
    """C (+)= A B for one tap: up to a slot of `channels` channels, a strip of `lines` rows, a block of `left` filters.

    a_start, b, c_start, table: addresses of the first packed number of x, of the strip of B, of the gradient's first
    number, and of working memory. b_row, f: numbers per row of B and per channel of the gradient.
    """
    c_table, tile_table = table + TABLE, table + 2 * TABLE
    tile = table + 3 * TABLE
    aside = left < width
    for first in range(0, channels, TAPS):
        for i in range(TAPS):  # past the last channel the last is repeated
            channel = min(first + i, channels - 1)
            write_integer(table + 8 * i, a_start + FLOAT * channel)
            write_integer(c_table + 8 * i, c_start + FLOAT * channel * f)
            write_integer(tile_table + 8 * i, tile + FLOAT * i * width)
        target = tile_table if aside else c_table
        add_there = add and not aside
        a_step, a_row = plan.take * plan.slot, plan.span * plan.slot
        if width == WIDTH:
            multiply(TAPS, 2, lines, b_row // WIDTH, table, 0, a_step, a_row, b, WIDTH, b_row, target, 0, add_there, (), ())
        else:
            multiply(TAPS, 1, lines, b_row // LANES, table, 0, a_step, a_row, b, LANES, b_row, target, 0, add_there, (), ())
        if aside:
            copy_columns(tile, width, c_table, 0, min(TAPS, channels - first), left, add)


@parallel_once
def _accumulate(x, grad_out, weight, plan, memory):
    """All tasks of a weight gradient; see weight_gradient."""
    f = plan.groups * plan.filters
    size = plan.rows * plan.columns * plan.inputs * f
    filter_tasks, channel_tasks = -(-plan.filters // FILTERS), -(-plan.inputs // plan.channels)
    all_lines = grad_out.b * grad_out.h
    for task in prange(plan.parts * plan.groups * filter_tasks * channel_tasks):
        first_channel = task % channel_tasks * plan.channels
        first_filter = task // channel_tasks % filter_tasks * FILTERS
        group = task // channel_tasks // filter_tasks % plan.groups
        part = task // channel_tasks // filter_tasks // plan.groups
        last_channel = min(first_channel + plan.channels, plan.inputs)
        last_filter = min(first_filter + FILTERS, plan.filters)
        gradient = weight if plan.parts == 1 else memory.shared + FLOAT * part * size

        table = memory.address + memory.step * numba.get_thread_id()
        packed_x = table + 3 * TABLE + FLOAT * TAPS * WIDTH
        x_step = FLOAT * plan.chunk * plan.span * plan.slot  # bytes per kernel row
        packed_grad = packed_x + plan.rows * x_step + SLACK

        end = all_lines * (part + 1) // plan.parts
        for line in range(all_lines * part // plan.parts, end, plan.chunk):
            lines = min(plan.chunk, end - line)
            block_step = FLOAT * lines * grad_out.w  # bytes per filter of a packed block
            for block in range(first_filter, last_filter, WIDTH):
                left = last_filter - block
                _pack_filters(grad_out, line, line + lines, group * plan.filters + block, left,
                              WIDTH if left > LANES else LANES, packed_grad + block_step * (block - first_filter))
            for channel in range(first_channel, last_channel, plan.slot):
                count = min(plan.slot, last_channel - channel)
                for ky in range(plan.rows):
                    _pack_channels(x, grad_out, plan, line, line + lines, ky, group * plan.inputs + channel, count,
                                   packed_x + ky * x_step)
                for block in range(first_filter, last_filter, WIDTH):
                    left = last_filter - block
                    width = WIDTH if left > LANES else LANES
                    b_row = grad_out.w * width
                    for strip in range(0, lines, plan.strip):
                        b = packed_grad + block_step * (block - first_filter) + FLOAT * strip * b_row
                        add = plan.parts == 1 or line > all_lines * part // plan.parts or strip > 0
                        for ky in range(plan.rows):
                            for kx in range(plan.columns):
                                a = packed_x + ky * x_step + FLOAT * (strip * plan.span + kx) * plan.slot
                                c = gradient + FLOAT * (
                                    ((ky * plan.columns + kx) * plan.inputs + channel) * f
                                    + group * plan.filters + block)
                                _add_taps(plan, min(plan.strip, lines - strip), width, a, b, b_row, c, f, count, left,
                                          add, table)


def weight_gradient(x, grad_out, weight, k, inputs, stride, groups):
    """weight[ky, kx, i, f] += sum over n, oy, ox of x[n, iy, ix, i] * grad_out[n, oy, ox, f].

    with iy = oy * stride + ky, ix alike.
    x Picture, which begins at the first pixel of the first window; grad_out Picture; weight: address of (k, k, inputs,
    grad_out.c) float32, *accumulated*; inputs int: input channels per group; stride int in pixels; groups int.
    """
    filters, lines = grad_out.c // groups, grad_out.b * grad_out.h
    if groups == 1 and inputs < TAPS and x.pixel == inputs:  # a slot holds all taps
        rows = columns = 1
        inputs *= k * k
        slot = channels = inputs
        runs, pack_step, take, span = k, stride, 1, grad_out.w
    else:
        rows = columns = k
        slot, channels = SLOT, CHANNELS
        runs, pack_step, take, span = 1, 1, stride, (grad_out.w - 1) * stride + k
    tasks = groups * -(-filters // FILTERS) * -(-inputs // channels)
    parts = min(-(-TASKS // tasks), lines)
    chunk = even_share(-(-lines // parts), CHUNK // grad_out.w)
    strip = even_share(chunk, STRIP // grad_out.w)
    plan = Plan(rows, columns, inputs, filters, groups, stride, slot, runs, pack_step, take, span, channels, parts,
                chunk, strip)
    blocks = -(-min(filters, FILTERS) // WIDTH) * WIDTH
    own = 3 * TABLE + FLOAT * (TAPS * WIDTH + chunk * (rows * span * slot + grad_out.w * blocks)) + 2 * SLACK
    memory = scratch(own, FLOAT * parts * rows * columns * inputs * grad_out.c if parts > 1 else 0)
    _accumulate(x, grad_out, weight, plan, memory)
    if parts > 1:
        add_copies(memory.shared, parts, rows * columns * inputs * grad_out.c, weight)
