"""Global average pooling: one number per picture and channel, whatever the picture's size.

Darknet: src/avgpool_layer.c.
"""
import numpy as np

from minidarknet.kernels._jit import parallel, prange


@parallel
def avgpool_forward(x, out):
    """The mean of every channel: out[0, 0, c] = sum over y, x of x[y, x, c] / (h w), summed in float64.

    x (b, h, w, c) float; out (b, 1, 1, c) float, *written*. Darknet: src/avgpool_layer.c.
    """
    b, h, w, c = x.shape
    for image in prange(b):
        total = np.zeros(c)
        for y in range(h):
            for column in range(w):
                for channel in range(c):
                    total[channel] += x[image, y, column, channel]
        for channel in range(c):
            out[image, 0, 0, channel] = total[channel] / (h * w)


@parallel
def avgpool_backward(grad_out, grad_x, accumulate):
    """Share the gradient evenly: grad_x[y, x, c] = grad_out[0, 0, c] / (h w).

    grad_out (b, 1, 1, c) float; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool) else *written*.
    Darknet: src/avgpool_layer.c.
    """
    b, h, w, c = grad_x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        if not accumulate:
            grad_x[image, y] = 0
        for column in range(w):
            for channel in range(c):
                # forward: out[image, 0, 0, channel] = sum of x[image, y, column, channel] / (h * w)
                grad_x[image, y, column, channel] += grad_out[image, 0, 0, channel] / (h * w)
