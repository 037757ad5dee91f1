"""Shortcut: add an earlier layer's output to the previous one's, without weights, whatever their sizes are.

    out = x                            where the two do not meet
    out = alpha * x + beta * source    where they do: at every `sample`-th pixel of x and every `step`-th of the source,
                                       in the channels that both have

    source 4 x 4 (step 2)            x 2 x 2
    | s . s . |                      | x x |     Channels that only x has stay as they are; those that only the source
    | . . . . |  every other pixel-> | x x |     has are ignored. So residual networks of Darknet change their sizes
    | s . s . |                                  without projections.
    | . . . . |
Paper: K. He et al., arXiv 1512.03385, "option A". Darknet: src/shortcut_layer.c, src/blas.c.
"""
from minidarknet.kernels._jit import jit, parallel, prange


@jit
def _meeting(x, source):
    """(step, sample, h, w, c): x's pixel (i * sample, j * sample) meets the source's (i * step, j * step), i < h, j < w."""
    step = max(1, source.shape[2] // x.shape[2])
    sample = max(1, x.shape[2] // source.shape[2])
    return (step, sample, min(x.shape[1], source.shape[1]), min(x.shape[2], source.shape[2]),
            min(x.shape[3], source.shape[3]))


@parallel
def shortcut_forward(x, source, out, alpha, beta):
    """out = x, and alpha * x + beta * source where the two meet, see the head of this file.

    x, out (b, h, w, c) float, out *written*; source (b, h2, w2, c2) float, h / h2 being w / w2; alpha, beta floats.
    Darknet: src/blas.c (shortcut_cpu).
    """
    step, sample, h, w, c = _meeting(x, source)
    for image in prange(x.shape[0]):
        out[image] = x[image]
        for i in range(h):
            for j in range(w):
                for channel in range(c):
                    out[image, i * sample, j * sample, channel] = (
                        alpha * x[image, i * sample, j * sample, channel]
                        + beta * source[image, i * step, j * step, channel])


@parallel
def shortcut_backward_x(grad_out, source, grad_x, alpha, everywhere, accumulate):
    """dL/dx: grad_out, times alpha where x meets the source.

    grad_out, grad_x (b, h, w, c) float, grad_x *accumulated* if accumulate (bool) else *written*; source: of the forward
    pass, of which only the shape counts; alpha float; everywhere bool: alpha also where they do not meet, as Darknet does
    (src/shortcut_layer.c), which is the derivative only for alpha = 1.
    """
    _, sample, h, w, c = _meeting(grad_x, source)
    for image in prange(grad_x.shape[0]):
        for y in range(grad_x.shape[1]):
            for column in range(grad_x.shape[2]):
                met = y % sample == 0 and y // sample < h and column % sample == 0 and column // sample < w
                for channel in range(grad_x.shape[3]):
                    # forward: out = alpha * x + beta * source where they meet, else x
                    g = grad_out[image, y, column, channel]
                    if everywhere or (met and channel < c):
                        g = alpha * g
                    if accumulate:
                        g = g + grad_x[image, y, column, channel]
                    grad_x[image, y, column, channel] = g


@parallel
def shortcut_backward_source(grad_out, grad_source, beta, accumulate):
    """dL/dsource: beta * grad_out where the two meet, 0 elsewhere.

    grad_out (b, h, w, c) float; grad_source (b, h2, w2, c2) float, *accumulated* if accumulate (bool) else *written*; beta
    float. Darknet: src/shortcut_layer.c.
    """
    step, sample, h, w, c = _meeting(grad_out, grad_source)
    for image in prange(grad_source.shape[0]):
        if not accumulate:
            grad_source[image] = 0
        for i in range(h):
            for j in range(w):
                for channel in range(c):
                    # forward: out[i * sample, j * sample] = alpha * x + beta * source[i * step, j * step]
                    grad_source[image, i * step, j * step, channel] += (
                        beta * grad_out[image, i * sample, j * sample, channel])
