"""Upsample: every pixel becomes a block of s x s equal pixels, or with reverse every block becomes its sum.

    | a b |   s = 2   | a a b b |
    | c d |  ------>  | a a b b |      the two directions are each other's transpose: the gradient of one is the other
                      | c c d d |
                      | c c d d |
Darknet: src/upsample_layer.c, src/blas.c. Used by YOLOv3 (arXiv 1804.02767) to bring coarse features to a finer grid.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def _spread(x, out, stride, scale, accumulate):
    """out[y, x, c] (+)= scale * x[y // s, x // s, c]; x (b, h, w, c), out (b, h s, w s, c)."""
    b, h, w, c = out.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        if not accumulate:
            out[image, y] = 0
        for column in range(w):
            for channel in range(c):
                out[image, y, column, channel] += scale * x[image, y // stride, column // stride, channel]


@parallel
def _gather(x, out, stride, scale, accumulate):
    """out[y, x, c] (+)= scale * the sum of the s x s pixels of x that lie in its block; x (b, h s, w s, c)."""
    b, h, w, c = out.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        if not accumulate:
            out[image, y] = 0
        for column in range(w):
            for ky in range(stride):
                for kx in range(stride):
                    for channel in range(c):
                        out[image, y, column, channel] += scale * x[image, y * stride + ky, column * stride + kx, channel]


def upsample_forward(x, out, stride, scale, reverse):
    """Repeat every pixel: out[y, x, c] = scale * x[y // s, x // s, c]; with reverse, sum every block of s x s pixels.

    x (b, h, w, c) float; out float, *written*: (b, h s, w s, c), or (b, h / s, w / s, c) with reverse (bool); stride
    int s; scale float of x's dtype. Darknet: src/blas.c (upsample_cpu).
    """
    (_gather if reverse else _spread)(x, out, stride, out.dtype.type(scale), False)


def upsample_backward(grad_out, grad_x, stride, scale, reverse, accumulate):
    """Give every pixel the gradients of its copies: the other direction of upsample_forward.

    grad_out float, of the shape of upsample_forward's out; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool)
    else *written*; stride, scale, reverse as in the forward pass. Darknet: src/upsample_layer.c.
    """
    # forward: out[y, x] = scale * x[y // s, x // s], or with reverse out[y, x] = scale * sum of x's block
    (_spread if reverse else _gather)(grad_out, grad_x, stride, grad_x.dtype.type(scale), bool(accumulate))
