"""Route: lay the channels of several layers side by side, one call per source.

Paper: the passthrough of YOLO9000 (arXiv 1612.08242), section 2. Darknet: src/route_layer.c.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def route_forward(x, out, start, first, count):
    """Copy some channels of one source into the output: out[y, x, start + c] = x[y, x, first + c], c = 0 .. count - 1.

    x (b, h, w, c) float; out (b, h, w, channels) float, channels start .. start + count - 1 *written*, the others left;
    start, first, count ints. Darknet: src/route_layer.c; first and count: AlexeyAB's groups.
    """
    b, h, w, _ = x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(count):
                out[image, y, column, start + channel] = x[image, y, column, first + channel]


@parallel
def route_backward(grad_out, grad_x, start, first, count, accumulate):
    """Hand one source its channels of the gradient: grad_x[y, x, first + c] = grad_out[y, x, start + c], 0 elsewhere.

    grad_out (b, h, w, channels) float; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool) else *written*;
    start, first, count ints as in the forward pass. Darknet: src/route_layer.c.
    """
    b, h, w, _ = grad_x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        if not accumulate:
            grad_x[image, y] = 0
        for column in range(w):
            for channel in range(count):
                # forward: out[image, y, column, start + channel] = x[image, y, column, first + channel]
                grad_x[image, y, column, first + channel] += grad_out[image, y, column, start + channel]
