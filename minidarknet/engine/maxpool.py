"""Max pooling a register of channels at a time; the meaning of size, stride and offset is in kernels/maxpool.py.

    window of size 2       v0  v1      best = v0;  best = v1 where v1 > best; ...   and beside it the best's position,
                           v2  v3      32 bits of an integer in each lane, chosen by the same comparison

Whatever the size and stride, a thread owns rows of what it writes: rows of out forward, rows of grad_x backward, where
every pixel asks the windows that saw it whether it won.
"""
import numpy as np

from minidarknet.engine.call import Call
from minidarknet.engine.memory import address_of, picture
from minidarknet.engine.vector import (
    FLOAT,
    LANES,
    ZERO,
    load,
    splat,
    splat_bits,
    store,
    where_greater,
    where_same_bits,
)
from minidarknet.kernels._jit import jit, parallel, parallel_once, prange

LOWEST = np.float32(-np.inf)


@jit
def larger(a, b):
    """The larger of the vectors a and b, lane by lane; b where they are equal, or where one of them is NaN.

    So with b the best up to now, a NaN in a never wins, while a NaN that is the best already stays: passes that must not
    let any through begin with LOWEST.
    """
    return where_greater(a, b, a, b)


@parallel_once
def _largest(x, out, winner, size, stride, offset, memory):
    """out and winner; see maxpool_forward. x, out Pictures; winner: address of a contiguous (b, oh, ow, c) int32, 0 where
    nobody asks; memory: a Scratch, as every Call gives one, of nothing."""
    for row in prange(out.b * out.h):
        image, oy = row // out.h, row % out.h
        top, bottom = max(0, oy * stride - offset), min(x.h, oy * stride - offset + size)
        source = x.address + FLOAT * image * x.image
        target = out.address + FLOAT * (image * out.image + oy * out.row)
        place = winner + FLOAT * row * out.w * x.c
        for ox in range(out.w):
            left, right = max(0, ox * stride - offset), min(x.w, ox * stride - offset + size)
            for j in range(0, x.c, LANES):
                best, where = splat(LOWEST), splat_bits(np.int32(-1))
                for iy in range(top, bottom):
                    for ix in range(left, right):
                        value = load(source + FLOAT * (iy * x.row + ix * x.pixel + j), x.c - j)
                        where = where_greater(value, best, splat_bits(np.int32(iy * x.w + ix)), where)
                        best = larger(value, best)
                store(target + FLOAT * j, best, x.c - j)
                if winner:
                    store(place + FLOAT * j, where, x.c - j)
            target += FLOAT * out.pixel
            place += FLOAT * x.c


@parallel
def _to_winners(grad_out, winner, grad_x, size, stride, offset, accumulate):
    """grad_x; see maxpool_backward. grad_out, grad_x Pictures; winner: address of a contiguous (b, oh, ow, c) int32."""
    for row in prange(grad_x.b * grad_x.h):
        image, iy = row // grad_x.h, row % grad_x.h
        # the windows that saw iy: oy * stride - offset <= iy < oy * stride - offset + size
        top, bottom = max(0, (iy + offset - size) // stride + 1), min(grad_out.h, (iy + offset) // stride + 1)
        source = grad_out.address + FLOAT * image * grad_out.image
        places = winner + FLOAT * image * grad_out.h * grad_out.w * grad_x.c
        target = grad_x.address + FLOAT * (image * grad_x.image + iy * grad_x.row)
        for ix in range(grad_x.w):
            left, right = max(0, (ix + offset - size) // stride + 1), min(grad_out.w, (ix + offset) // stride + 1)
            own = splat_bits(np.int32(iy * grad_x.w + ix))
            for j in range(0, grad_x.c, LANES):
                zero = splat(ZERO)
                total = load(target + FLOAT * j, grad_x.c - j) if accumulate else zero
                for oy in range(top, bottom):
                    for ox in range(left, right):
                        # forward: out[image, oy, ox] = x[image, iy, ix] where it won
                        where = load(places + FLOAT * ((oy * grad_out.w + ox) * grad_x.c + j), grad_x.c - j)
                        g = load(source + FLOAT * (oy * grad_out.row + ox * grad_out.pixel + j), grad_x.c - j)
                        total = total + where_same_bits(where, own, g, zero)
                store(target + FLOAT * j, total, grad_x.c - j)
            target += FLOAT * grad_x.pixel


def _call(x, out, winner, size, stride, offset):
    """The Call of _largest. x, out: arrays; winner: address, or 0."""
    return Call(_largest, (picture(x), picture(out), winner, size, stride, offset))


def maxpool_prediction(x, out, size, stride, offset):
    """The Call that makes maxpool_forward's out, without the winner, which only the way back needs.

    x, out, size, stride, offset: as there; the numbers are read anew and out is *written* every time.
    """
    return _call(x, out, 0, size, stride, offset)


def maxpool_forward(x, out, winner, size, stride, offset):
    """The largest value of every window: out[oy, ox, c] = max of x[iy, ix, c], and where it stood.

    iy = oy * stride - offset + ky, ky = 0 .. size - 1, as far as inside the picture; ix alike. The first maximum in
    row-column order wins a tie; NaN never wins.
    x (b, h, w, c) float32; out (b, oh, ow, c) float32, *written*, -inf where nothing won; winner (b, oh, ow, c) int32,
    contiguous, *written*, iy * w + ix of the largest value, -1 where nothing won; size, stride, offset ints in pixels.
    Darknet: src/maxpool_layer.c (which writes -FLT_MAX where nothing won).
    """
    _call(x, out, _address(winner), size, stride, offset)()


def maxpool_backward(grad_out, winner, grad_x, size, stride, offset, accumulate):
    """Give each window's gradient to the cell that won it: grad_x[winner] += grad_out.

    grad_out (b, oh, ow, c) float32; winner (b, oh, ow, c) int32 as maxpool_forward left it; grad_x (b, h, w, c)
    float32, *accumulated* if accumulate (bool) else *written*; size, stride, offset ints in pixels.
    Darknet: src/maxpool_layer.c.
    """
    _to_winners(picture(grad_out), _address(winner), picture(grad_x), size, stride, offset, bool(accumulate))


def _address(winner):
    """Address of the contiguous int32 array `winner`."""
    return address_of(winner.view(np.float32))
