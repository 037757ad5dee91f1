"""Gates: every number of a picture times a factor that another layer gives, for each channel, each pixel or each number.

    out[y, x, c] = picture[y, x, c] * gate[y or 0, x or 0, c or 0]

    gate (1, 1, c)   how much each channel counts: squeeze and excitation       [scale_channels]
    gate (h, w, 1)   how much each pixel counts                                 [scale_channels] scale_wh=1
    gate (h, w, c)   both at once: spatial attention                            [sam]

Papers: J. Hu et al., arXiv 1709.01507, section 3; S. Woo et al., arXiv 1807.06521. AlexeyAB's Darknet:
src/scale_channels_layer.c, src/sam_layer.c.
"""
import numpy as np

from minidarknet.kernels._jit import parallel, prange


@parallel
def scale_channels_forward(x, gate, out):
    """out = x * gate, the gate's axes of length 1 being repeated.

    x, out (b, h, w, c) float, out *written*; gate (b, h or 1, w or 1, c or 1) float. See the head of this file.
    """
    b, h, w, c = x.shape
    _, gh, gw, gc = gate.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                factor = gate[image, min(y, gh - 1), min(column, gw - 1), min(channel, gc - 1)]
                out[image, y, column, channel] = x[image, y, column, channel] * factor


@parallel
def scale_channels_backward_gate(grad_out, x, grad_gate, accumulate):
    """dL/dgate: the sum of grad_out * x over all numbers that the factor multiplied, in float64.

    grad_out, x (b, h, w, c) float; grad_gate (b, h or 1, w or 1, c or 1) float, *accumulated* if accumulate (bool) else
    *written*.
    """
    b, h, w, c = x.shape
    _, gh, gw, gc = grad_gate.shape
    for image in prange(b):
        total = np.zeros((gh, gw, gc))
        for y in range(h):
            for column in range(w):
                for channel in range(c):
                    # forward: out = x * gate
                    total[min(y, gh - 1), min(column, gw - 1), min(channel, gc - 1)] += (
                        grad_out[image, y, column, channel] * x[image, y, column, channel])
        for y in range(gh):
            for column in range(gw):
                for channel in range(gc):
                    before = grad_gate[image, y, column, channel] if accumulate else 0.0
                    grad_gate[image, y, column, channel] = before + total[y, column, channel]


@parallel
def scale_channels_backward_x(grad_out, gate, grad_x, accumulate):
    """dL/dx = grad_out * gate.

    grad_out (b, h, w, c) float; gate (b, h or 1, w or 1, c or 1) float; grad_x (b, h, w, c) float, *accumulated* if
    accumulate (bool) else *written*.
    """
    b, h, w, c = grad_x.shape
    _, gh, gw, gc = gate.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                # forward: out = x * gate
                g = grad_out[image, y, column, channel] * gate[image, min(y, gh - 1), min(column, gw - 1),
                                                               min(channel, gc - 1)]
                if accumulate:
                    g = g + grad_x[image, y, column, channel]
                grad_x[image, y, column, channel] = g
