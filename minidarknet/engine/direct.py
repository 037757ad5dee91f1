"""Convolution without im2col: the window of a pixel is k runs of k * c numbers that already lie in memory.

            x, in its frame of zeros                          k = 3, c = 2, stride 1
        ky=0  . . [a a a a a a] . . .      <- 3 pixels of 2 channels side by side: one run
        ky=1  . . [b b b b b b] . . .      out[pixel, f] = a . W[0][:, f] + b . W[1][:, f] + c . W[2][:, f]
        ky=2  . . [c c c c c c] . . .

So PIXELS windows times a block of filters is one call of the microkernel, with k rows of depth k * c. The pixels of a
block are numbered through all pictures of the batch; past the last one the last is repeated, which writes the same
bits to the same place. A task owns some pixels and one block of filters, packs its weights and sweeps over its pixels.
"""
import numba

from minidarknet.engine.memory import scratch
from minidarknet.engine.microkernel import PIXELS, multiply
from minidarknet.engine.pack import pack
from minidarknet.engine.vector import FLOAT, LANES, load, load_all, read_integer, store, write_integer
from minidarknet.kernels._jit import jit, parallel, prange

WIDTH = 2 * LANES              # filters of a block: two registers
TABLE = 8 * PIXELS             # bytes of a table of addresses
TILE = FLOAT * PIXELS * WIDTH  # bytes of a block of results
PACKED = 512 * 1024            # bytes of packed weights that may stay in a core's own cache beside the pixels
TASK_PIXELS = 100 * PIXELS     # pixels of a task: many enough to be worth packing the weights
TASKS_PER_THREAD = 4           # at least, where there are pixels enough, so that no thread waits long for another


@jit
def _address_pixels(first, last, x, out, stride, a_start, c_start, a_table, c_table):
    """Write the addresses of PIXELS windows of x and pixels of out, from pixel `first` on, repeating pixel last - 1.

    a_start, c_start: address of the first number to read or write of the batch's first pixel.
    """
    picture, rest = first // (out.h * out.w), first % (out.h * out.w)
    oy, ox = rest // out.w, rest % out.w
    a = a_start + FLOAT * (picture * x.image + oy * stride * x.row + ox * stride * x.pixel)
    c = c_start + FLOAT * (picture * out.image + oy * out.row + ox * out.pixel)
    for i in range(PIXELS):
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
                a = a_start + FLOAT * (picture * x.image + oy * stride * x.row)
                c = c_start + FLOAT * (picture * out.image + oy * out.row)


@jit
def copy_columns(tile, width, c_table, rows, left, accumulate):
    """out (+)= tile for `left` columns of `rows` rows: a block of filters that is not full is computed aside.

    tile: address of rows x width float32 numbers; c_table: address of the addresses of out's rows, *accumulated* if
    accumulate (bool) else *written*; width, rows, left ints.
    """
    for i in range(rows):
        source, target = tile + FLOAT * i * width, read_integer(c_table + 8 * i)
        for j in range(0, left, LANES):
            value = load_all(source + FLOAT * j)
            if accumulate:
                value = value + load(target + FLOAT * j, left - j)
            store(target + FLOAT * j, value, left - j)


@parallel
def _sweep(x, taps, out, stride, groups, accumulate, passes, rows, depth, a_row, chunk, memory):
    """All tasks of a convolution. The window is read in `passes` times `rows` runs of `depth` numbers, see convolve."""
    pixels = out.b * out.h * out.w
    chunks = -(-pixels // chunk)
    blocks = -(-taps.outputs // WIDTH)
    for task in prange(chunks * groups * blocks):
        first_filter = task % blocks * WIDTH
        group = task // blocks % groups
        first = task // blocks // groups * chunk
        last = min(first + chunk, pixels)
        left = taps.outputs - first_filter
        width = WIDTH if left > LANES else LANES
        aside = left < width  # a block that is not full is computed aside, and its existing columns are copied

        a_table = memory.address + memory.step * numba.get_thread_id()
        c_table = a_table + TABLE
        tile_table = c_table + TABLE
        tile = tile_table + TABLE
        packed = tile + TILE
        for i in range(PIXELS):
            write_integer(tile_table + 8 * i, tile + FLOAT * i * width)
        target = tile_table if aside else c_table

        a_start = x.address + FLOAT * group * taps.inputs
        c_start = out.address + FLOAT * (group * taps.outputs + first_filter)
        for k in range(passes):
            pack(taps, group, first_filter, width, k, taps.rows // passes, packed)
            add = accumulate or k > 0
            add_there = add and not aside
            for pixel in range(first, last, PIXELS):
                _address_pixels(pixel, last, x, out, stride, a_start, c_start, a_table, c_table)
                if width == WIDTH:
                    multiply(PIXELS, 2, rows, depth, a_table, 1, a_row, packed, WIDTH, depth * WIDTH, target, add_there)
                else:
                    multiply(PIXELS, 1, rows, depth, a_table, 1, a_row, packed, LANES, depth * LANES, target, add_there)
                if aside:
                    copy_columns(tile, width, c_table, min(PIXELS, last - pixel), left, add)
            a_start += FLOAT * x.row


def convolve(x, taps, out, stride, groups, accumulate):
    """out[n, oy, ox, j] (+)= sum over ky, kx, i of  x[n, oy * stride + ky, ox * stride + kx, i] * taps[ky, kx, i, j].

    x Picture, which begins at the first pixel of the first window; taps Taps, at least one; out Picture, *written* or,
    if accumulate (bool), *accumulated*; stride int in pixels; groups int: group g reads channels g * inputs onwards and
    writes channels g * outputs onwards.
    """
    pixels = out.b * out.h * out.w
    block = FLOAT * WIDTH * taps.columns * taps.inputs  # bytes of one kernel row's packed weights
    if groups > 1 or x.pixel != taps.inputs:  # a run ends with its pixel
        passes, rows, depth, a_row = taps.rows, taps.columns, taps.inputs, x.pixel
    else:  # the pixels of a window's row form one run
        passes = 1 if taps.rows * block <= PACKED else taps.rows
        rows, depth, a_row = taps.rows // passes, taps.columns * taps.inputs, x.row
    tasks = groups * -(-taps.outputs // WIDTH)
    chunks = max(-(-pixels // TASK_PIXELS), -(-TASKS_PER_THREAD * numba.get_num_threads() // tasks))
    chunk = -(-pixels // chunks // PIXELS) * PIXELS
    memory, _ = scratch(3 * TABLE + TILE + block * (taps.rows // passes))
    _sweep(x, taps, out, stride, groups, int(accumulate), passes, rows, depth, a_row, chunk, memory)
