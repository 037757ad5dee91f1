"""The products of Winograd's convolution: M (+)= V U at 36 positions, for a chunk of tiles, a slice of channels and a block
of filters.

    at every position      V: tiles x channels       U: channels x filters         M: tiles x filters
                              t0 .. t5                                                TALL rows
                              t6 .. t11         x          whole             =        TALL rows
                              t12 .. t15                                              SHORT rows, which come out even

Where all that lies is the same for every slice: it is reckoned once a block, and written into a table, a Position to a
line, which is read as it is needed. Reckoned anew at every position it took 1 to 3 % of the time of one picture.

Products leave memory idle, transforms wait for it. So while they multiply, they fetch what comes next, a cache line per
channel: the rows of M that are added to, the rows of V and a share of U at the next position, and a share of the weights
that are transformed next.
"""
from typing import NamedTuple

from numba import literally

from minidarknet.engine.memory import ALIGNMENT
from minidarknet.engine.microkernel import NV, TALL, multiply
from minidarknet.engine.tiling import tiles_at
from minidarknet.engine.vector import FLOAT, read_integer, write_integer
from minidarknet.engine.winograd import IN, TAPS_SIDE, VALUES
from minidarknet.engine.winograd_plan import ENTRY, MOST_ROWS, NARROW_NV, POSITION, POSITIONS, TABLE, WIDTH, Position
from minidarknet.kernels._jit import jit

SHORT = 4                        # rows of a lower block: TALL and SHORT ones make up every even number of tiles
NARROW_TALL, NARROW_SHORT = MOST_ROWS, 2 * SHORT
LINE = ALIGNMENT // FLOAT        # numbers of a cache line
LINES = max(1, WIDTH // LINE)    # cache lines of a block's filters
# Where each number of a Position stands in its line of the table.
(AT_V, AT_M, AT_TALL, AT_SHORT, AT_U, AT_TAP, AT_STEP, AT_NEXT_U, AT_SHARE, AT_WEIGHTS,
 AT_WEIGHTS_STEP) = range(0, POSITION, ENTRY)


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
def _blocks_of_rows(rows, width):
    """(tall, short): how many blocks of either height hold `rows` rows, `width` filters wide. Ints.

    What one or two short blocks hold as well as a tall one, they take.
    """
    tall, short = (TALL, SHORT) if width == WIDTH else (NARROW_TALL, NARROW_SHORT)
    rest = rows % tall
    short_ones = 0 if rest == 0 or rest > short else 1 if rest > 2 * short - tall or rows < tall else 2
    return -(-max(0, rows - short * short_ones) // tall), short_ones


@jit
def _plane(value, weights, width, plan):
    """(u, tap, step) of the Position `value` (0 .. 35).

    A corner of G g G^T is a corner of g: its plane of U is the tap itself, read from where it lies if all filters of the
    block are there.
    """
    y, x, last = value // IN, value % IN, IN - 1
    if 0 < y < last or 0 < x < last or weights.left < width:
        return value * plan.u_plane, 0, width
    tap = y // last * (TAPS_SIDE - 1) * weights.row + x // last * (TAPS_SIDE - 1) * weights.column
    return FLOAT * tap, 1, weights.step


@jit
def _share_of_weights(value, taps):
    """(weights, weights_step) of the Position `value` (0 .. 35): one of a tap's cache lines, of every channel."""
    tap, line = value // LINES, value % LINES
    if tap >= TAPS_SIDE ** 2:  # all is shared out: the first line again and again
        return 0, 0
    return FLOAT * (tap // TAPS_SIDE * taps.row + tap % TAPS_SIDE * taps.column + LINE * line), FLOAT * taps.input


@jit
def write_positions(table, tiles, plan, taps, weights, width, first_tile, count):
    """Write the Positions of a block of filters to the address `table`, and the offsets of a block's rows behind them.

    tiles: Tiling; plan: Plan; taps: Taps; weights: Slice, only its strides matter and whether all filters are there; width:
    the block's filters; first_tile, count: the chunk. Ints.
    """
    for value in range(VALUES):
        first, last = tiles_at(tiles, value)
        first = max(first - first_tile, 0)
        tall, short = _blocks_of_rows(max(0, min(last - first_tile, count) - first), width)
        u, tap, step = _plane(value, weights, width, plan)
        next_u, elsewhere, _ = _plane(value + 1, weights, width, plan)
        share = FLOAT * width // count
        if elsewhere or plan.shared == 0:
            next_u, share = 0, 0
        line = Position(value * plan.v_plane + FLOAT * first * plan.depth, value * plan.m_plane + FLOAT * first * width,
                        tall, short, u, tap, step, next_u, share, *_share_of_weights(value, taps))
        for i in range(len(line)):
            write_integer(table + POSITION * value + ENTRY * i, line[i])
    for i in range(MOST_ROWS):
        write_integer(table + POSITIONS + ENTRY * i, FLOAT * i * plan.depth)
        write_integer(table + POSITIONS + TABLE + ENTRY * i, FLOAT * i * width)


class Steps(NamedTuple):
    """What is the same at every position; ints.

    depth: channels; a_row, c_row: bytes from row to row of V and M; v_plane: from position to position of V; of_m, of_v:
    bytes of M, and of V at the next position, that are fetched per row of a block and channel; add: 1 if M is added to.
    """

    depth: int
    a_row: int
    c_row: int
    v_plane: int
    of_m: int
    of_v: int
    add: int


@jit
def _multiply_rows(MR, registers, count, steps, rows, a, b, step, c, next_u, share, line, line_step):
    """`count` blocks of MR rows and `registers` registers, one below the other.

    rows: address of the tables of a block's rows; a, b, c: addresses in V, U and M; step: from channel to channel of U.
    next_u, share: as in Position; line, line_step: of weights, as there. Returns (a, c, next_u, line_step) for what follows.
    """
    for _ in range(count):
        near = ((c, MR * steps.of_m), (a + steps.v_plane, MR * steps.of_v), (next_u, min(MR * share, ALIGNMENT)))
        multiply(literally(MR), literally(registers), 1, steps.depth, rows, a, 1, 0, b, step, 0, rows + TABLE, c, steps.add,
                 near, ((line, line_step),))
        a, c, next_u, line_step = a + MR * steps.a_row, c + MR * steps.c_row, next_u + MR * share * steps.depth, 0
    return a, c, next_u, line_step


@jit
def multiply_slice(table, plan, v, u, weights, m, width, depth, add, following, more):
    """M (+)= V U of a slice of channels, at all positions.

    table: address of what write_positions wrote; plan: Plan; v, u, m: addresses of the slice's V and U and of the block's M,
    which is *accumulated* if add (bool) else *written*; weights: the Slice that U was made of; width, depth: its filters and
    channels; following: address of the weights that are transformed next; more: 0 where there are none, else 1. Ints.
    """
    of_m, of_v = (FLOAT * width // depth, FLOAT) if plan.shared else (0, 0)  # V that is the task's own is near, as is all
    steps = Steps(depth, FLOAT * plan.depth, FLOAT * width, plan.v_plane, of_m, of_v, int(add))
    rows = table + POSITIONS
    for value in range(VALUES):
        at = table + POSITION * value
        a, c, next_u = v + read_integer(at + AT_V), m + read_integer(at + AT_M), u + read_integer(at + AT_NEXT_U)
        b = read_integer(at + AT_U) + (weights.address if read_integer(at + AT_TAP) else u)
        step, share = read_integer(at + AT_STEP), read_integer(at + AT_SHARE)
        line, line_step = following + more * read_integer(at + AT_WEIGHTS), more * read_integer(at + AT_WEIGHTS_STEP)
        tall, short = read_integer(at + AT_TALL), read_integer(at + AT_SHORT)
        if width == WIDTH:
            a, c, next_u, line_step = _multiply_rows(TALL, NV, tall, steps, rows, a, b, step, c, next_u, share, line,
                                                     line_step)
            _multiply_rows(SHORT, NV, short, steps, rows, a, b, step, c, next_u, share, line, line_step)
        else:
            a, c, next_u, line_step = _multiply_rows(NARROW_TALL, NARROW_NV, tall, steps, rows, a, b, step, c, next_u, share,
                                                    line, line_step)
            _multiply_rows(NARROW_SHORT, NARROW_NV, short, steps, rows, a, b, step, c, next_u, share, line, line_step)
