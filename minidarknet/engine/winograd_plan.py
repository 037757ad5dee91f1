"""How a Winograd convolution is cut into tasks, and how much memory they need.

                      tiles x channels                        a task: a chunk of tiles, a share of the blocks of filters
          slice  slice  slice                                 for every group of one or two of those blocks:
        +------+------+------+ chunk                              for every slice of channels, for every block:
        |  V   |      |      |                                        U of the slice and the block;  M += V U
        +------+------+------+ chunk                              for every block:
        |      |      |      |                                        results from M
        +------+------+------+

V of a chunk is made by the task itself, in its core's cache, while there are few channels; else by all threads, for a
wave of chunks at once, small enough for the cache that they share, and all tasks read it there.
"""
from functools import cache
from typing import NamedTuple

from minidarknet.engine.memory import even_share, odd_lines, second_level_cache
from minidarknet.engine.microkernel import NV, TALL
from minidarknet.engine.pack import BLOCK
from minidarknet.engine.vector import FLOAT, LANES
from minidarknet.engine.winograd import TAPS_SIDE, VALUES, WORKSPACE

WIDTH = BLOCK                      # filters of a block: NV registers
NARROW_NV = NV // 2                # where few filters are left: half the registers per row, twice the rows
NARROW = NARROW_NV * LANES
MOST_ROWS = 2 * TALL               # of a block of either kind
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
ENTRY = 8                          # bytes of an integer in a table
TABLE = ENTRY * MOST_ROWS          # of the offsets of a block's rows


class Position(NamedTuple):
    """Where the products of one of the 36 positions lie; ints, bytes where nothing else is said (winograd_products.py).

    v, m: from the beginning of the slice's V and of the block's M to the first row; tall, short: how many blocks of rows of
    either height; u: from the beginning of U or, where `tap` is not 0, of the weights, to the first channel's filters; step:
    numbers from there to the next channel's. What is fetched ahead: next_u: where U at the next position begins; share: of
    that, per row of a block and channel; weights: from the beginning of the weights that are transformed next to a cache
    line of them; weights_step: to the next channel's.
    """

    v: int
    m: int
    tall: int
    short: int
    u: int
    tap: int
    step: int
    next_u: int
    share: int
    weights: int
    weights_step: int


POSITION = ENTRY * len(Position._fields)  # bytes of a line of the table
POSITIONS = VALUES * POSITION             # of the table


class Plan(NamedTuple):
    """How a Winograd convolution is cut up; all ints, steps in bytes.

    tiles: in all; chunk: tiles of a task; depth: channels of a slice; slices; blocks: of filters; share: blocks of a task;
    shares: tasks of a chunk; group: blocks that a slice of V serves in a row; wave: chunks that are done at once. v_plane,
    v_slice, v_chunk, u_plane, m_plane: steps. Offsets in the thread's own memory, behind the tables of positions and rows:
    u, m, local_v, packed, work; own: bytes of it. shared: bytes of the V that all tasks read, 0 where each makes its own.
    """

    tiles: int
    chunk: int
    depth: int
    slices: int
    blocks: int
    share: int
    shares: int
    group: int
    wave: int
    v_plane: int
    v_slice: int
    v_chunk: int
    u_plane: int
    m_plane: int
    u: int
    m: int
    local_v: int
    packed: int
    work: int
    own: int
    shared: int


def plan_tiles(tiles, channels, filters):
    """(chunk, depth, slices, shared) for `tiles` tiles, `channels` read and `filters` written (ints); see Plan."""
    depth = min(DEPTH // 2 if tiles <= FEW_TILES else DEPTH, -(-channels // LANES) * LANES)
    slices = -(-channels // depth)
    width = WIDTH if filters > NARROW else NARROW
    most = (OWN_CACHE // (FLOAT * VALUES) - depth * width) // (slices * depth + width)
    shared = tiles < TASKS * min(most, WORTH_TILES) or most < LEAST_TILES
    return even_share(tiles, MOST_TILES if shared else min(most, -(-tiles // TASKS))), depth, slices, shared


def group_blocks(blocks, taken, more, threads):
    """How many blocks of filters a task takes: the slice of V that it has in its cache may serve for two.

    blocks: how many there are; taken, more: bytes that V and U take in the cache, and M of every block; threads (ints).
    """
    tasks = TASKS_PER_THREAD * threads
    return 2 if taken + 2 * more <= second_level_cache() // 2 and blocks // 2 >= tasks else 1


def chunks_of_wave(chunks, v_chunk, tasks, threads):
    """How many of `chunks` chunks have their V, of v_chunk bytes each, made at once; each makes `tasks` tasks (ints).

    As many as WAVE bytes hold, at least one, and enough to give each of `threads` threads several tasks.
    """
    enough = -(-TASKS_OF_WAVE * threads // tasks)
    return min(chunks, max(1, WAVE // v_chunk, enough))


@cache
def plan_convolution(tiles, channels, filters, packs, threads):
    """The Plan of a convolution of `tiles` tiles from `channels` to `filters`.

    packs: whether weights are packed before they are transformed (bool); threads: how many compute. Ints.
    """
    chunk, depth, slices, shared = plan_tiles(tiles, channels, filters)
    v_plane = odd_lines(FLOAT * (chunk + MOST_ROWS) * depth)
    u_plane, m_plane = odd_lines(FLOAT * depth * WIDTH), odd_lines(FLOAT * (chunk + MOST_ROWS) * WIDTH)
    v_slice, blocks = VALUES * v_plane, -(-filters // WIDTH)
    group = group_blocks(blocks, v_slice + VALUES * u_plane, VALUES * m_plane, threads) if shared else 1
    v_chunk = slices * v_slice
    u = odd_lines(POSITIONS + 2 * TABLE)
    m = u + VALUES * u_plane
    local_v = m + group * VALUES * m_plane
    packed = local_v + (0 if shared else v_chunk)
    work = packed + (FLOAT * TAPS_SIDE ** 2 * depth * WIDTH if packs else 0)
    chunks, share = -(-tiles // chunk), group if shared else blocks
    shares = -(-blocks // share)
    wave = chunks_of_wave(chunks, v_chunk, shares, threads) if shared else chunks
    return Plan(tiles, chunk, depth, slices, blocks, share, shares, group, wave, v_plane, v_slice, v_chunk, u_plane,
                m_plane, u, m, local_v, packed, work, work + WORKSPACE, wave * v_chunk if shared else 0)
