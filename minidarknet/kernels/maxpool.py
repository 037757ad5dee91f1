"""Max pooling: the largest value of each window, per channel.

Darknet pads by size - 1 in total, of which a window sees `offset` on the left and top: for size 2 that is 0, so the
padding lies to the right and below only. Cells outside the picture count as minus infinity, never as zero.
Darknet: src/maxpool_layer.c.
"""
import numpy as np

from minidarknet.kernels._jit import parallel, prange


@parallel
def maxpool_forward(x, out, winner, size, stride, offset):
    """The largest value of every window: out[oy, ox, c] = max of x[iy, ix, c], and where it stood.

    iy = oy * stride - offset + ky, ky = 0 .. size - 1, as far as inside the picture; ix alike. The first maximum in
    row-column order wins a tie; NaN never wins.
    x (b, h, w, c) float; out (b, oh, ow, c) float, *written*, -inf where nothing won; winner (b, oh, ow, c) int32,
    *written*, iy * w + ix of the largest value, -1 where nothing won; size, stride, offset ints in pixels.
    Darknet: src/maxpool_layer.c (which writes -FLT_MAX where nothing won).
    """
    b, h, w, c = x.shape
    oh, ow = out.shape[1:3]
    for row in prange(b * oh):
        image, oy = row // oh, row % oh
        for ox in range(ow):
            for channel in range(c):
                out[image, oy, ox, channel] = -np.inf
                winner[image, oy, ox, channel] = -1
            top, left = oy * stride - offset, ox * stride - offset
            for iy in range(max(top, 0), min(top + size, h)):
                for ix in range(max(left, 0), min(left + size, w)):
                    for channel in range(c):
                        if x[image, iy, ix, channel] > out[image, oy, ox, channel]:
                            out[image, oy, ox, channel] = x[image, iy, ix, channel]
                            winner[image, oy, ox, channel] = iy * w + ix


@parallel
def maxpool_backward(grad_out, winner, grad_x, size, stride, offset, accumulate):
    """Give each window's gradient to the cell that won it: grad_x[winner] += grad_out.

    Written from the receiving side: a cell asks every window that saw it whether it won there, so that threads owning
    different cells never write to the same place even when windows overlap.
    grad_out (b, oh, ow, c) float; winner (b, oh, ow, c) int32 as maxpool_forward left it; grad_x (b, h, w, c) float,
    *accumulated* if accumulate (bool) else *written*; size, stride, offset ints in pixels.
    Darknet: src/maxpool_layer.c.
    """
    b, h, w, c = grad_x.shape
    oh, ow = grad_out.shape[1:3]
    for row in prange(b * h):
        image, iy = row // h, row % h
        if not accumulate:
            grad_x[image, iy] = 0
        # the windows that saw iy: oy * stride - offset <= iy < oy * stride - offset + size
        top, bottom = max(0, (iy + offset - size) // stride + 1), min(oh, (iy + offset) // stride + 1)
        for ix in range(w):
            left, right = max(0, (ix + offset - size) // stride + 1), min(ow, (ix + offset) // stride + 1)
            for oy in range(top, bottom):
                for ox in range(left, right):
                    for channel in range(c):
                        # forward: out[image, oy, ox, channel] = x[image, iy, ix, channel]
                        if winner[image, oy, ox, channel] == iy * w + ix:
                            grad_x[image, iy, ix, channel] += grad_out[image, oy, ox, channel]
