"""Shortcut between pictures of one size, a register of channels at a time; others are added by kernels/shortcut.py."""
import numpy as np

from minidarknet import kernels
from minidarknet.engine.blend import ONE, blend, scale
from minidarknet.engine.memory import picture


def shortcut_forward(x, source, out, alpha, beta):
    """out = x, and alpha * x + beta * source where the two meet: everywhere, if they have one size.

    x, out (b, h, w, c) float32, out *written*, may be x; source (b, h2, w2, c2) float32, h / h2 being w / w2; alpha, beta
    floats. Darknet: src/blas.c (shortcut_cpu).
    """
    if x.shape == source.shape:
        blend(picture(x), np.float32(alpha), picture(source), np.float32(beta), picture(out))
    else:
        kernels.shortcut_forward(x, source, out, alpha, beta)


def shortcut_backward_x(grad_out, source, grad_x, alpha, everywhere, accumulate):
    """dL/dx: grad_out, times alpha where x meets the source.

    grad_out, grad_x (b, h, w, c) float32, grad_x *accumulated* if accumulate (bool) else *written*; source: of the forward
    pass, of which only the shape counts; alpha float; everywhere bool: alpha also where they do not meet.
    """
    if grad_x.shape == source.shape:
        _send(grad_out, grad_x, alpha, accumulate)
    else:
        kernels.shortcut_backward_x(grad_out, source, grad_x, alpha, everywhere, accumulate)


def shortcut_backward_source(grad_out, grad_source, beta, accumulate):
    """dL/dsource: beta * grad_out where the two meet, 0 elsewhere.

    grad_out (b, h, w, c) float32; grad_source (b, h2, w2, c2) float32, *accumulated* if accumulate (bool) else *written*;
    beta float. Darknet: src/shortcut_layer.c.
    """
    if grad_out.shape == grad_source.shape:
        _send(grad_out, grad_source, beta, accumulate)
    else:
        kernels.shortcut_backward_source(grad_out, grad_source, beta, accumulate)


def _send(grad_out, grad, factor, accumulate):
    """grad (+)= factor * grad_out."""
    g, target = picture(grad_out), picture(grad)
    if accumulate:
        blend(target, ONE, g, np.float32(factor), target)
    else:
        scale(g, np.float32(factor), target)
