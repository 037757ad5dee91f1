"""Convolution and its two gradients in the engine; the plain loops are kernels/convolutional.py.

    forward            out    = x convolved with the weights                       direct.py  or  winograd_convolve.py
    data gradient      grad_x = grad_out convolved with the weights turned round   direct.py  or  winograd_convolve.py
    weight gradient    every tap: sum over pixels of x (shifted) times grad_out
                                                            weight_gradient.py  or  winograd_weight_gradient.py

algorithm.py chooses. x needs `pad` pixels of zero margin around it in memory, grad_out `k - 1 - pad` (a layer's
`margin` and `grad_margin`).
"""
import numpy as np

from minidarknet.engine.activations import SHAPES
from minidarknet.engine.algorithm import use_winograd
from minidarknet.engine.direct import direct_call
from minidarknet.engine.finish import ACCUMULATE, ACTIVATE, MEASURE, WRITE, Finish
from minidarknet.engine.memory import address_of, picture
from minidarknet.engine.pack import BLOCK, Taps
from minidarknet.engine.prepare import Prepared
from minidarknet.engine.vector import FLOAT
from minidarknet.engine.weight_gradient import weight_gradient
from minidarknet.engine.winograd_convolve import winograd_call
from minidarknet.engine.winograd_weight_gradient import winograd_weight_gradient
from minidarknet.kernels.activations import LINEAR


def convolutional_forward(x, weight, out, stride, pad, groups, algorithm="auto"):
    """out[n, oy, ox, f] = sum over ky, kx, c of x[n, iy, ix, c] * weight[ky, kx, c, f].

    with iy = oy * stride + ky - pad, ix alike.
    x (b, h, w, c) float32 in a margin of `pad` zero pixels; weight (k, k, c / groups, f) float32, C-contiguous; out
    (b, oh, ow, f) float32, *written*; stride, pad ints in pixels; groups int; algorithm: one of algorithm.ALGORITHMS.
    Darknet: src/convolutional_layer.c.
    """
    _forward_call(x, weight, picture(out), stride, pad, groups, algorithm, Finish(WRITE))()


def convolutional_measure(x, weight, out, stride, pad, groups, mean, variance, algorithm="auto"):
    """convolutional_forward, and the batch's statistics of the results on the way: mean = sum out / M, biased variance.

    x, weight, out, stride, pad, groups, algorithm: as convolutional_forward; mean, variance (f,) float32, *written*;
    M = b oh ow.
    """
    finish = Finish(MEASURE, filters=len(mean), mean=address_of(mean), variance=address_of(variance))
    _forward_call(x, weight, picture(out), stride, pad, groups, algorithm, finish)()


def convolutional_prediction(x, weight, norm, kind, pool, out, stride, pad, groups, algorithm="auto", added=None,
                             sum_kind=LINEAR):
    """The Call of a prediction: out = act(norm(x convolved with weight)), or the largest of that in every 2 x 2 window.

    With `added`: out = act2(act(norm(x convolved with weight)) + added), the shortcut behind the convolution.

    norm adds bias, with batch norm it gives scale * (z - mean) / sqrt(variance + epsilon) + bias.
    x, stride, pad, groups, algorithm: as convolutional_forward; weight: as there, or Prepared where groups is 1; norm:
    (scale, bias, mean, variance, epsilon), arrays (f,) float32 and a float, scale, mean and variance None without batch
    norm; kind int: an activation of activations.SHAPES, with pool of SLOPES; pool bool: windows of 2 x 2 with stride 2,
    smaller at an odd edge; out (b, oh, ow, f) float32 or with pool (b, ceil(oh / 2), ceil(ow / 2), f), *written* by every
    call; added: None, or without pool an array of out's shape and strides that shares no memory with it; sum_kind int: the
    activation act2, of activations.SHAPES. The Call (call.py) reads the numbers anew every time; keep the arrays as long as
    it. Raises TypeError, ValueError for arrays in norm that are not float32, of the shape (f,) and contiguous, and for an
    `added` that cannot be.
    """
    target = picture(out)
    if pool:  # the pictures that are pooled; the strides are those of what is written
        target = target._replace(h=(x.shape[1] + 2 * pad - weight.shape[0]) // stride + 1,
                                 w=(x.shape[2] + 2 * pad - weight.shape[0]) // stride + 1)
    *arrays, epsilon = norm
    filters = weight.shape[3]
    addresses = [0 if array is None else _address_of_row(array, filters) for array in arrays]
    finish = Finish(ACTIVATE, int(pool), filters, *addresses, np.float32(epsilon), *SHAPES[kind],
                    0 if added is None else _distance(out, added, pool), *SHAPES[sum_kind])
    return _forward_call(x, weight, target, stride, pad, groups, algorithm, finish)


def _distance(out, added, pool):
    """Bytes from `out` to `added`. Raises ValueError where they are not laid out alike, or with pool (bool)."""
    if pool or (added.shape, added.strides, added.dtype) != (out.shape, out.strides, out.dtype):
        raise ValueError(f"what is added, {added.shape} with steps of {added.strides} bytes, must be laid out as out, "
                         f"{out.shape} with steps of {out.strides} bytes, and is not pooled")
    return address_of(added) - address_of(out)


def _address_of_row(array, length):
    """Address of a contiguous array (length,) float32. Raises TypeError, ValueError for others."""
    if array.shape != (length,) or not array.flags.c_contiguous:
        raise ValueError(f"scale, bias, mean and variance must be contiguous arrays of the shape ({length},), one number "
                         f"for each filter, not {array.shape} with steps of {array.strides} bytes: np.ascontiguousarray?")
    return address_of(array)


def _forward_call(x, weight, out, stride, pad, groups, algorithm, finish):
    """The Call that convolves and finishes; out: Picture, see finish.py."""
    k, _, cg, f = weight.shape
    if isinstance(weight, Prepared):
        taps = Taps(address_of(weight.array), k, k, cg, f, row=k * BLOCK, column=BLOCK, input=k * k * BLOCK, output=1,
                    block=k * k * cg * BLOCK, group=0)
    else:
        taps = Taps(address_of(weight), k, k, cg, f // groups, row=k * cg * f, column=cg * f, input=f, output=1,
                    block=BLOCK, group=f // groups)
    source = picture(x).moved(-pad, -pad)
    if use_winograd(algorithm, k, stride, pad, groups, *x.shape, f):
        return winograd_call(source, taps, out, finish)
    return direct_call(source, taps, out, stride, groups, finish)


def convolutional_backward_weight(x, grad_out, grad_weight, stride, pad, groups, algorithm="auto"):
    """grad_weight[ky, kx, c, f] += sum over n, oy, ox of x[n, iy, ix, c] * grad_out[n, oy, ox, f].

    with iy = oy * stride + ky - pad, ix alike: for every weight, what it was multiplied by.
    x (b, h, w, c) float32 in a margin of `pad` zero pixels; grad_out (b, oh, ow, f) float32; grad_weight
    (k, k, c / groups, f) float32, C-contiguous, *accumulated*; stride, pad ints in pixels; groups int; algorithm: one
    of algorithm.ALGORITHMS. Darknet: src/convolutional_layer.c.
    """
    k, _, cg, f = grad_weight.shape
    source, address = picture(x).moved(-pad, -pad), address_of(grad_weight)
    if use_winograd(algorithm, k, stride, pad, groups, *x.shape, f):
        winograd_weight_gradient(source, picture(grad_out), address)
    else:
        weight_gradient(source, picture(grad_out), address, k, cg, stride, groups)


def convolutional_backward_data(grad_out, weight, grad_x, stride, pad, groups, accumulate, algorithm="auto"):
    """grad_x[n, iy, ix, c] (+)= sum over ky, kx, f of grad_out[n, oy, ox, f] * weight[ky, kx, c, f].

    with iy = oy * stride + ky - pad, ix alike. For stride s the pixels of grad_x fall into s x s phases, each reached
    by every s-th tap only: one small convolution with stride 1 per phase.
    grad_out (b, oh, ow, f) float32 in a margin of k - 1 - pad zero pixels; weight (k, k, c / groups, f) float32; grad_x
    (b, h, w, c) float32, *accumulated* if accumulate (bool) else *written*; stride, pad ints in pixels; groups int;
    algorithm: one of algorithm.ALGORITHMS. Darknet: src/convolutional_layer.c.
    """
    k, _, cg, f = weight.shape
    whole, source, finish = picture(grad_x), picture(grad_out), Finish(ACCUMULATE if accumulate else WRITE)
    winograd = use_winograd(algorithm, k, stride, pad, groups, *grad_out.shape, cg)
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
                        row=-stride * k * cg * f, column=-stride * cg * f, input=1, output=f,
                        block=BLOCK * f, group=f // groups)
            phase = whole.moved(y, x)._replace(h=-(-(whole.h - y) // stride), w=-(-(whole.w - x) // stride),
                                               row=whole.row * stride, pixel=whole.pixel * stride)
            # forward: iy = oy * stride + ky - pad
            window = source.moved((y + pad - last_y) // stride, (x + pad - last_x) // stride)
            if winograd:
                winograd_call(window, taps, phase, finish)()
            else:
                direct_call(window, taps, phase, 1, groups, finish)()
