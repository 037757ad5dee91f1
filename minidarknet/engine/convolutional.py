"""Convolution and its two gradients in the engine; the plain loops are kernels/convolutional.py.

    forward            out    = x convolved with the weights                              direct.py
    data gradient      grad_x = grad_out convolved with the weights turned round          direct.py
    weight gradient    every tap: sum over pixels of x (shifted) times grad_out           weight_gradient.py

x needs `pad` pixels of zero margin around it in memory, grad_out `k - 1 - pad` (a layer's `margin`, `grad_margin`).
"""
from minidarknet.engine.direct import convolve
from minidarknet.engine.memory import address_of, picture
from minidarknet.engine.pack import Taps
from minidarknet.engine.vector import FLOAT
from minidarknet.engine.weight_gradient import weight_gradient


def convolutional_forward(x, weight, out, stride, pad, groups):
    """out[n, oy, ox, f] = sum over ky, kx, c of x[n, iy, ix, c] * weight[ky, kx, c, f].

    with iy = oy * stride + ky - pad, ix alike.
    x (b, h, w, c) float32 in a margin of `pad` zero pixels; weight (k, k, c / groups, f) float32, C-contiguous; out
    (b, oh, ow, f) float32, *written*; stride, pad ints in pixels; groups int.
    Darknet: src/convolutional_layer.c.
    """
    k, _, cg, f = weight.shape
    taps = Taps(address_of(weight), k, k, cg, f // groups, row=k * cg * f, column=cg * f, input=f, output=1,
                group=f // groups)
    convolve(picture(x).moved(-pad, -pad), taps, picture(out), stride, groups, False)


def convolutional_backward_weight(x, grad_out, grad_weight, stride, pad, groups):
    """grad_weight[ky, kx, c, f] += sum over n, oy, ox of x[n, iy, ix, c] * grad_out[n, oy, ox, f].

    with iy = oy * stride + ky - pad, ix alike: for every weight, what it was multiplied by.
    x (b, h, w, c) float32 in a margin of `pad` zero pixels; grad_out (b, oh, ow, f) float32; grad_weight
    (k, k, c / groups, f) float32, C-contiguous, *accumulated*; stride, pad ints in pixels; groups int.
    Darknet: src/convolutional_layer.c.
    """
    k, _, cg, _ = grad_weight.shape
    weight_gradient(picture(x).moved(-pad, -pad), picture(grad_out), address_of(grad_weight), k, cg, stride, groups)


def convolutional_backward_data(grad_out, weight, grad_x, stride, pad, groups, accumulate):
    """grad_x[n, iy, ix, c] (+)= sum over ky, kx, f of grad_out[n, oy, ox, f] * weight[ky, kx, c, f].

    with iy = oy * stride + ky - pad, ix alike. For stride s the pixels of grad_x fall into s x s phases, each reached
    by every s-th tap only: one small convolution with stride 1 per phase.
    grad_out (b, oh, ow, f) float32 in a margin of k - 1 - pad zero pixels; weight (k, k, c / groups, f) float32; grad_x
    (b, h, w, c) float32, *accumulated* if accumulate (bool) else *written*; stride, pad ints in pixels; groups int.
    Darknet: src/convolutional_layer.c.
    """
    k, _, cg, f = weight.shape
    whole, source = picture(grad_x), picture(grad_out)
    for y in range(min(stride, whole.h)):
        for x in range(min(stride, whole.w)):
            # Pixel y of grad_x meets the taps (y + pad) % stride, + stride, + 2 stride ...; the last comes first.
            first_y, first_x = (y + pad) % stride, (x + pad) % stride
            rows, columns = (len(range(first, k, stride)) for first in (first_y, first_x))
            if rows == 0 or columns == 0:
                if not accumulate:
                    grad_x[:, y::stride, x::stride] = 0
                continue
            last_y, last_x = first_y + (rows - 1) * stride, first_x + (columns - 1) * stride
            taps = Taps(address_of(weight) + FLOAT * (last_y * k + last_x) * cg * f, rows, columns, f // groups, cg,
                        row=-stride * k * cg * f, column=-stride * cg * f, input=1, output=f, group=f // groups)
            phase = whole.moved(y, x)._replace(h=-(-(whole.h - y) // stride), w=-(-(whole.w - x) // stride),
                                               row=whole.row * stride, pixel=whole.pixel * stride)
            # forward: iy = oy * stride + ky - pad
            convolve(source.moved((y + pad - last_y) // stride, (x + pad - last_x) // stride), taps, phase, 1, groups,
                     accumulate)
