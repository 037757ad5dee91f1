"""What stands behind a convolution in one pass over memory: batch norm or bias, activation, 2x2 max pooling.

    z, before batch norm    u = factor * z + shift     y = f(u)                  out
        z0 z1                     u0 u1                      y0 y1              the largest y of the window,
        z2 z3                     u2 u3                      y2 y3              without pooling every y

Only z is kept for the way back (fused_gradient.py), where u and y are made once more: that costs next to nothing
while the processor waits for memory, and neither the activation before pooling nor the winners need a place in it.
A window at an odd edge has no right or no lower pixels. There its left or upper ones stand in for them.
"""
from minidarknet.engine.activations import SHAPES, activate, bent
from minidarknet.engine.maxpool import LOWEST, larger
from minidarknet.engine.memory import address_of, picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, load, splat, store
from minidarknet.kernels._jit import jit, parallel, prange


@jit
def window_row(p, oy):
    """Address of the upper row of the windows of row `oy`, and the step in bytes to the lower one: two ints.

    p: Picture that the windows lie in; oy int, numbered through all pictures of the batch.
    """
    windows = (p.h + 1) // 2
    y = oy % windows * 2
    return p.address + FLOAT * (oy // windows * p.image + y * p.row), FLOAT * p.row if y + 1 < p.h else 0


@jit
def window_right(p, ox):
    """Step in bytes from the left to the right of window `ox` (int) of the Picture p."""
    return FLOAT * p.pixel if 2 * ox + 1 < p.w else 0


@jit
def _pooled_row(start, down, z, factor, shift, slope, target, out):
    """Write the largest y of each window. start, down: see window_row; target: address of the row of out."""
    lowest = splat(LOWEST)
    for ox in range(out.w):
        right = window_right(z, ox)
        for j in range(0, z.c, LANES):
            left, at = z.c - j, FLOAT * j
            a, b, source = load(factor + at, left), load(shift + at, left), start + at
            best = larger(activate(load(source, left), a, b, slope), lowest)
            best = larger(activate(load(source + right, left), a, b, slope), best)
            best = larger(activate(load(source + down, left), a, b, slope), best)
            best = larger(activate(load(source + down + right, left), a, b, slope), best)
            store(target + at, best, left)
        start += 2 * FLOAT * z.pixel
        target += FLOAT * out.pixel


@jit
def _plain_row(start, z, factor, shift, curved, slope, target, out):
    """Write y of each pixel. start, target: addresses of the row in z and in out."""
    for _ in range(out.w):
        for j in range(0, z.c, LANES):
            left, at = z.c - j, FLOAT * j
            u = load(factor + at, left) * load(start + at, left) + load(shift + at, left)
            store(target + at, bent(u, curved, slope), left)
        start += FLOAT * z.pixel
        target += FLOAT * out.pixel


@parallel
def _forward(z, factor, shift, curved, slope, pool, out):
    """See fused_forward. z, out Pictures; factor, shift addresses of (c,) float32; curved, slope: SHAPES; pool bool."""
    for row in prange(out.b * out.h):
        below, target = splat(slope), row_address(out, row)
        if pool:
            start, down = window_row(z, row)
            _pooled_row(start, down, z, factor, shift, below, target, out)
        else:
            _plain_row(row_address(z, row), z, factor, shift, curved, below, target, out)


def fused_forward(z, factor, shift, kind, pool, out):
    """out = act(u), u = factor * z + shift; with pooling, the largest act(u) of every window of 2 x 2 pixels.

    z (b, h, w, c) float32; factor, shift (c,) float32; kind int, the code of one of activations.SHAPES, with pooling of
    SLOPES; pool bool: stride 2, no offset, windows at an odd edge being smaller; out float32, *written*: (b, h, w, c),
    which may be z itself, or with pool (b, ceil(h / 2), ceil(w / 2), c). NaN never wins a window.
    """
    _forward(picture(z), address_of(factor), address_of(shift), *SHAPES[kind], bool(pool), picture(out))
