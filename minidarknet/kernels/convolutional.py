"""Convolution (cross-correlation, as everywhere in deep learning) and the bias.

    out[oy, ox, f] = sum over ky, kx, c of  x[iy, ix, c] * weight[ky, kx, c, f]      for every picture
    with  iy = oy * stride + ky - pad,  ix = ox * stride + kx - pad,  and x = 0 outside the picture.

The sums are the same in any order, and the order decides the speed. Each loop nest below ends in a run along channels,
which lie side by side in memory, of `row += number * row`: the shape that the compiler turns into vector instructions.
With groups, group g connects the g-th part of the input channels with the g-th part of the outputs only.
Darknet: src/convolutional_layer.c (whose 1x1 case ignores stride and padding; this one does not).
"""
import numpy as np

from minidarknet.kernels._chunks import CHUNKS, add_chunks, chunk_rows
from minidarknet.kernels._jit import parallel, prange

BLOCK = 16  # input channels of the weight gradient that share one pass over grad_out


@parallel
def convolutional_forward(x, weight, out, stride, pad, groups):
    """Convolve: out[oy, ox, f] = sum of x[iy, ix, c] * weight[ky, kx, c, f], no bias.

    x (b, h, w, c) float; weight (k, k, c/groups, f) float; out (b, oh, ow, f) float, *written*, with
    oh = (h + 2 pad - k) // stride + 1 and ow alike; stride, pad ints in pixels; groups int dividing c and f.
    Darknet: src/convolutional_layer.c, src/im2col.c.
    """
    h, w = x.shape[1:3]
    k, _, cg, f = weight.shape
    b, oh, ow, _ = out.shape
    fg = f // groups
    for row in prange(b * oh):  # a thread owns rows of the output
        image, oy = row // oh, row % oh
        out[image, oy] = 0
        for g in range(groups):
            for ky in range(k):
                iy = oy * stride + ky - pad
                if iy < 0 or iy >= h:
                    continue
                for kx in range(k):
                    for ci in range(cg):
                        for ox in range(ow):
                            ix = ox * stride + kx - pad
                            if ix < 0 or ix >= w:
                                continue
                            value = x[image, iy, ix, g * cg + ci]
                            for fi in range(fg):
                                out[image, oy, ox, g * fg + fi] += value * weight[ky, kx, ci, g * fg + fi]


@parallel
def convolutional_backward_data(grad_out, weight, grad_x, stride, pad, groups, accumulate):
    """Send the gradient back to the input: grad_x[iy, ix, c] = sum of grad_out[oy, ox, f] * weight[ky, kx, c, f].

    The sum runs over all (oy, ox, ky, kx, f) whose window touched (iy, ix): the forward loops with x and out changing
    places. grad_out (b, oh, ow, f) float; weight (k, k, c/groups, f) float; grad_x (b, h, w, c) float, *accumulated*
    if accumulate (bool) else *written*; stride, pad ints in pixels; groups int.
    Darknet: src/convolutional_layer.c, src/col2im.c.
    """
    b, h, w, _ = grad_x.shape
    k, _, cg, f = weight.shape
    oh, ow = grad_out.shape[1:3]
    fg = f // groups
    turned = weight.transpose(0, 1, 3, 2).copy()  # (k, k, f, c/groups): the inner loop runs over c here
    for row in prange(b * h):  # a thread owns rows of the input's gradient
        image, iy = row // h, row % h
        if not accumulate:
            grad_x[image, iy] = 0
        for g in range(groups):
            for ky in range(k):
                oy = (iy + pad - ky) // stride
                if oy < 0 or oy >= oh or oy * stride + ky - pad != iy:
                    continue
                for kx in range(k):
                    for fi in range(g * fg, g * fg + fg):
                        for ox in range(ow):
                            ix = ox * stride + kx - pad
                            if ix < 0 or ix >= w:
                                continue
                            # forward: out[image, oy, ox, fi] += x[image, iy, ix, ci] * weight[ky, kx, ci, fi]
                            value = grad_out[image, oy, ox, fi]
                            for ci in range(cg):
                                grad_x[image, iy, ix, g * cg + ci] += value * turned[ky, kx, fi, ci]


@parallel
def convolutional_backward_weight(x, grad_out, grad_weight, stride, pad, groups):
    """Gradient of the weights: grad_weight[ky, kx, c, f] += sum of x[iy, ix, c] * grad_out[oy, ox, f].

    The sum runs over all pictures and output pixels (oy, ox). x (b, h, w, c) float; grad_out (b, oh, ow, f) float;
    grad_weight (k, k, c/groups, f) float, *accumulated*; stride, pad ints in pixels; groups int. One row of pixels is
    summed in the arrays' own type, the rows in float64.
    Darknet: src/convolutional_layer.c.
    """
    h, w = x.shape[1:3]
    k, _, cg, f = grad_weight.shape
    b, oh, ow, _ = grad_out.shape
    fg = f // groups
    blocks = (cg + BLOCK - 1) // BLOCK
    for task in prange(k * k * blocks):  # a thread owns a position in the window and a block of its input channels
        ky, kx, first = task // blocks // k, task // blocks % k, task % blocks * BLOCK
        last = min(first + BLOCK, cg)
        total = np.zeros((last - first, f))
        row = np.empty(fg, grad_weight.dtype)
        for image in range(b):
            for oy in range(oh):
                iy = oy * stride + ky - pad
                if iy < 0 or iy >= h:
                    continue
                for g in range(groups):
                    for ci in range(first, last):
                        row[:] = 0
                        for ox in range(ow):
                            ix = ox * stride + kx - pad
                            if ix < 0 or ix >= w:
                                continue
                            # forward: out[image, oy, ox, g * fg + fi] += value * weight[ky, kx, ci, g * fg + fi]
                            value = x[image, iy, ix, g * cg + ci]
                            for fi in range(fg):
                                row[fi] += value * grad_out[image, oy, ox, g * fg + fi]
                        for fi in range(fg):
                            total[ci - first, g * fg + fi] += row[fi]
        for ci in range(first, last):
            for fi in range(f):
                grad_weight[ky, kx, ci, fi] += total[ci - first, fi]


@parallel
def bias_forward(out, bias):
    """Add a number per channel: out <- out + bias.

    out (b, h, w, c) float, *written* in place; bias (c,) float. Darknet: src/convolutional_layer.c.
    """
    b, h, w, c = out.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                out[image, y, column, channel] += bias[channel]


@parallel
def bias_backward(grad_out, grad_bias):
    """Gradient of the bias: grad_bias[c] += sum over pictures and pixels of grad_out[..., c], in float64.

    grad_out (b, h, w, c) float; grad_bias (c,) float, *accumulated*. Darknet: src/convolutional_layer.c.
    """
    b, h, w, c = grad_out.shape
    partial = np.zeros((CHUNKS, c))
    for chunk in prange(CHUNKS):
        first, last = chunk_rows(chunk, b * h)
        for row in range(first, last):
            image, y = row // h, row % h
            for column in range(w):
                for channel in range(c):
                    # forward: out[image, y, column, channel] += bias[channel]
                    partial[chunk, channel] += grad_out[image, y, column, channel]
    total = add_chunks(partial)
    for channel in range(c):
        grad_bias[channel] += total[channel]
