"""Dropout: switch off a random part of the values in training and enlarge the others, so that the mean stays.

Darknet: src/dropout_layer.c.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def dropout_forward(x, keep, scale, out):
    """Keep or drop: out = scale * x where keep, else 0.

    x (b, h, w, c) float; keep (b, h, w, c) uint8, 1 where the value is kept, 0 where dropped; scale float,
    1 / (1 - probability of dropping); out (b, h, w, c) float, *written*, may be x itself. Darknet: src/dropout_layer.c.
    """
    b, h, w, c = x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                kept = keep[image, y, column, channel] != 0
                out[image, y, column, channel] = scale * x[image, y, column, channel] if kept else 0.0


@parallel
def dropout_backward(grad_out, keep, scale, grad_x, accumulate):
    """Let the gradient pass where the value did: grad_x = scale * grad_out where keep, else 0.

    grad_out (b, h, w, c) float; keep (b, h, w, c) uint8 and scale float as in the forward pass; grad_x (b, h, w, c)
    float, *accumulated* if accumulate (bool) else *written*, then also as grad_out itself. Darknet: src/dropout_layer.c.
    """
    b, h, w, c = grad_x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                # forward: out = scale * x if kept else 0
                kept = keep[image, y, column, channel] != 0
                grad = scale * grad_out[image, y, column, channel] if kept else 0.0
                if accumulate:
                    grad += grad_x[image, y, column, channel]
                grad_x[image, y, column, channel] = grad
