"""Crop: a window of the picture, mirrored or not, its numbers stretched from 0..1 to -1..1.

Darknet: src/crop_layer.c. Used by the VGG and AlexNet cfgs of its early days.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def crop_forward(x, out, top, left, flip, adjust):
    """out[y, x, c] = 2 * x[top + y, left + x, c] - 1; with flip the columns run from right to left.

    x (b, h, w, c) float; out (b, oh, ow, c) float, *written*, oh <= h - top, ow <= w - left; top, left ints in pixels; flip
    bool; adjust bool: False leaves the numbers as they are. Darknet: src/crop_layer.c.
    """
    b, h, w, c = out.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            source = left + (w - 1 - column if flip else column)
            for channel in range(c):
                value = x[image, top + y, source, channel]
                out[image, y, column, channel] = 2 * value - 1 if adjust else value
