"""Route: lay the channels of several layers side by side, one call per source.

Paper: the passthrough of YOLO9000 (arXiv 1612.08242), section 2. Darknet: src/route_layer.c.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def route_forward(x, out, start):
    """Copy one source into its channels of the output: out[y, x, start + c] = x[y, x, c].

    x (b, h, w, c) float; out (b, h, w, channels) float, channels start .. start + c - 1 *written*, the others left;
    start int. Darknet: src/route_layer.c.
    """
    b, h, w, c = x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                out[image, y, column, start + channel] = x[image, y, column, channel]


@parallel
def route_backward(grad_out, grad_x, start, accumulate):
    """Hand one source its channels of the gradient: grad_x[y, x, c] = grad_out[y, x, start + c].

    grad_out (b, h, w, channels) float; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool) else *written*;
    start int. Darknet: src/route_layer.c.
    """
    b, h, w, c = grad_x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        if not accumulate:
            grad_x[image, y] = 0
        for column in range(w):
            for channel in range(c):
                # forward: out[image, y, column, start + channel] = x[image, y, column, channel]
                grad_x[image, y, column, channel] += grad_out[image, y, column, start + channel]
