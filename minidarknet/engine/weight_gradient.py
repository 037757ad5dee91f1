"""The weight gradient: for every tap, a matrix product over all pixels of x (shifted by the tap) and grad_out.

    grad_weight[ky, kx, i, f] += sum over pixels of  x[pixel shifted by (ky, kx), i] * grad_out[pixel, f]

                             a chunk of pixels -->
    TAPS channels of x   | packed side by side, one kernel row's shift at a time; kx shifts by one pixel more     (A)
    <= 4 blocks of f     | packed side by side, zeros where there is no filter                                    (B)

    C = TAPS channels x one block of filters of grad_weight at tap (ky, kx):  C += A B, depth = the chunk's pixels

A task owns some channels and some filters and walks over the pixels in chunks. Where a layer has too few weights to
make TASKS tasks, the pixels are split as well, into parts that do not depend on the number of threads; each part has
its own copy of the gradient, and the copies are added up in their order.
"""
import numba

from minidarknet.engine.direct import copy_columns
from minidarknet.engine.memory import row_address, scratch
from minidarknet.engine.microkernel import TAPS, multiply
from minidarknet.engine.vector import FLOAT, LANES, load, store, store_all, write_integer
from minidarknet.kernels._jit import jit, parallel, prange

WIDTH = 2 * LANES           # filters of a block: two registers
FILTERS = 4 * WIDTH         # filters of a task: x is packed once for all of them
CHANNELS = 8 * TAPS         # input channels of a task
CHUNK = 512                 # pixels packed at a time: grad_out's part (256 KiB) stays in a core's own cache
TASKS = 16                  # at least, as far as there are rows of pixels
TABLE = 8 * TAPS            # bytes of a table of addresses
SLACK = FLOAT * LANES       # bytes that a whole register may be written past the end of packed numbers


@jit
def _pack_filters(grad_out, first_row, last_row, channel, count, width, target):
    """grad_out's rows first_row .. last_row - 1, channels `channel` .. + count - 1, as pixels x width; 0 beyond count."""
    for row in range(first_row, last_row):
        source = row_address(grad_out, row) + FLOAT * channel
        for _ in range(grad_out.w):
            for j in range(0, width, LANES):
                store_all(target + FLOAT * j, load(source + FLOAT * j, count - j))
            source += FLOAT * grad_out.pixel
            target += FLOAT * width


@jit
def _pack_channels(x, grad_out, first_row, last_row, stride, ky, columns, channel, count, target):
    """x where kernel row ky meets grad_out's rows first_row .. last_row - 1, as rows x columns x TAPS numbers.

    channel, count: the channels `channel` .. + count - 1; what follows them up to TAPS is of no meaning.
    """
    for row in range(first_row, last_row):
        source = x.address + FLOAT * (
            row // grad_out.h * x.image + (row % grad_out.h * stride + ky) * x.row + channel)
        for _ in range(columns):
            for j in range(0, TAPS, LANES):
                store_all(target + FLOAT * j, load(source + FLOAT * j, count - j))
            source += FLOAT * x.pixel
            target += FLOAT * TAPS


@parallel
def _accumulate(x, grad_out, weight, filters, inputs, rows, columns, stride, groups, parts, chunk, memory, copies):
    """All tasks of a weight gradient, then the sum of the parts' copies; see weight_gradient."""
    f = groups * filters
    size = rows * columns * inputs * f
    filter_tasks, channel_tasks = -(-filters // FILTERS), -(-inputs // CHANNELS)
    lines = grad_out.b * grad_out.h
    span = (grad_out.w - 1) * stride + columns  # pixels of x that a row of grad_out meets
    for task in prange(parts * groups * filter_tasks * channel_tasks):
        first_channel = task % channel_tasks * CHANNELS
        first_filter = task // channel_tasks % filter_tasks * FILTERS
        group = task // channel_tasks // filter_tasks % groups
        part = task // channel_tasks // filter_tasks // groups
        last_channel = min(first_channel + CHANNELS, inputs)
        last_filter = min(first_filter + FILTERS, filters)

        a_table = memory.address + memory.step * numba.get_thread_id()
        c_table = a_table + TABLE
        tile_table = c_table + TABLE
        tile = tile_table + TABLE
        packed_x = tile + FLOAT * TAPS * WIDTH
        packed_grad = packed_x + FLOAT * chunk * span * TAPS + SLACK
        target = weight if parts == 1 else copies + FLOAT * part * size

        first_line, last_line = lines * part // parts, lines * (part + 1) // parts
        for line in range(first_line, last_line, chunk):
            end = min(line + chunk, last_line)
            add = parts == 1 or line > first_line
            step = FLOAT * (end - line) * grad_out.w  # bytes per filter of a packed block
            for block in range(first_filter, last_filter, WIDTH):
                left = last_filter - block
                _pack_filters(grad_out, line, end, group * filters + block, left, WIDTH if left > LANES else LANES,
                              packed_grad + step * (block - first_filter))
            for channel in range(first_channel, last_channel, TAPS):
                count = min(TAPS, last_channel - channel)
                for ky in range(rows):
                    _pack_channels(x, grad_out, line, end, stride, ky, span, group * inputs + channel, count, packed_x)
                    for kx in range(columns):
                        for i in range(TAPS):  # past the last channel the last is repeated
                            write_integer(a_table + 8 * i, packed_x + FLOAT * (kx * TAPS + min(i, count - 1)))
                        for block in range(first_filter, last_filter, WIDTH):
                            left = last_filter - block
                            width = WIDTH if left > LANES else LANES
                            start = target + FLOAT * (
                                ((ky * columns + kx) * inputs + channel) * f + group * filters + block)
                            for i in range(TAPS):
                                write_integer(c_table + 8 * i, start + FLOAT * min(i, count - 1) * f)
                                write_integer(tile_table + 8 * i, tile + FLOAT * i * width)
                            aside = left < width
                            c, c_add = (tile_table, False) if aside else (c_table, add)
                            b = packed_grad + step * (block - first_filter)
                            if width == WIDTH:
                                multiply(TAPS, 2, end - line, grad_out.w, a_table, stride * TAPS, span * TAPS,
                                         b, WIDTH, grad_out.w * WIDTH, c, c_add)
                            else:
                                multiply(TAPS, 1, end - line, grad_out.w, a_table, stride * TAPS, span * TAPS,
                                         b, LANES, grad_out.w * LANES, c, c_add)
                            if aside:
                                copy_columns(tile, width, c_table, count, left, add)
    if parts > 1:
        for block in prange(-(-size // LANES)):
            i = block * LANES
            total = load(copies + FLOAT * i, size - i)
            for part in range(1, parts):
                total = total + load(copies + FLOAT * (part * size + i), size - i)
            store(weight + FLOAT * i, load(weight + FLOAT * i, size - i) + total, size - i)


def weight_gradient(x, grad_out, weight, rows, columns, inputs, stride, groups):
    """weight[ky, kx, i, f] += sum over n, oy, ox of x[n, oy * stride + ky, ox * stride + kx, i] * grad_out[n, oy, ox, f].

    x Picture, which begins at the first pixel of the first window; grad_out Picture; weight: address of (rows, columns,
    inputs, grad_out.c) float32, *accumulated*; inputs int: input channels per group; stride int in pixels; groups int.
    """
    filters = grad_out.c // groups
    lines = grad_out.b * grad_out.h
    tasks = groups * -(-filters // FILTERS) * -(-inputs // CHANNELS)
    parts = min(-(-TASKS // tasks), lines)
    chunk = max(1, CHUNK // grad_out.w)
    span = (grad_out.w - 1) * stride + columns
    blocks = -(-min(filters, FILTERS) // WIDTH) * WIDTH
    own = 3 * TABLE + FLOAT * (TAPS * WIDTH + chunk * (span * TAPS + grad_out.w * blocks)) + 2 * SLACK
    copies = FLOAT * parts * rows * columns * inputs * grad_out.c if parts > 1 else 0
    memory, shared = scratch(own, copies)
    _accumulate(x, grad_out, weight, filters, inputs, rows, columns, stride, groups, parts, chunk, memory, shared)
