"""A local layer: a convolution that does not share, every output pixel has weights and biases of its own.

    out[oy, ox, f] = bias[oy, ox, f] + sum over ky, kx, c of  x[iy, ix, c] * weight[oy, ox, ky, kx, c, f]
    with  iy = oy * stride + ky - pad,  ix = ox * stride + kx - pad,  and x = 0 outside the picture.

There are many weights, and each is used once per picture: time is what it takes to fetch them. So the pictures are the
loop inside: a run of weights that was fetched serves all of them.
Paper: YOLO (arXiv 1506.02640), whose cfg of 2016 has one. Darknet: src/local_layer.c.
"""
import numpy as np

from minidarknet.kernels._jit import parallel, prange


@parallel
def local_forward(x, weight, bias, out, stride, pad):
    """Every output pixel by weights of its own: out[oy, ox, f] = bias + sum of x[iy, ix, c] * weight[oy, ox, ky, kx, c, f].

    x (b, h, w, c) float; weight (oh, ow, k, k, c, f) float; bias (oh, ow, f) float; out (b, oh, ow, f) float, *written*;
    stride, pad ints in pixels. Darknet: src/local_layer.c.
    """
    b, h, w, c = x.shape
    oh, ow, k, _, _, f = weight.shape
    for pixel in prange(oh * ow):  # a thread owns output pixels, of all pictures
        oy, ox = pixel // ow, pixel % ow
        for image in range(b):
            out[image, oy, ox] = bias[oy, ox]
        for ky in range(k):
            iy = oy * stride + ky - pad
            if iy < 0 or iy >= h:
                continue
            for kx in range(k):
                ix = ox * stride + kx - pad
                if ix < 0 or ix >= w:
                    continue
                for ci in range(c):
                    for image in range(b):
                        value = x[image, iy, ix, ci]
                        for fi in range(f):
                            out[image, oy, ox, fi] += value * weight[oy, ox, ky, kx, ci, fi]


@parallel
def local_backward_data(grad_out, weight, grad_x, stride, pad, accumulate):
    """Send the gradient back: grad_x[iy, ix, c] = sum of grad_out[oy, ox, f] * weight[oy, ox, ky, kx, c, f], in float64.

    The sum runs over all (oy, ox, ky, kx, f) whose window touched (iy, ix). grad_out (b, oh, ow, f) float; weight
    (oh, ow, k, k, c, f) float; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool) else *written*; stride,
    pad ints in pixels. Darknet: src/local_layer.c, src/col2im.c.
    """
    b, h, w, c = grad_x.shape
    oh, ow, k, _, _, f = weight.shape
    for pixel in prange(h * w):  # a thread owns pixels of the input's gradient, of all pictures
        iy, ix = pixel // w, pixel % w
        total = np.zeros((b, c))
        for ky in range(k):
            oy = (iy + pad - ky) // stride
            if oy < 0 or oy >= oh or oy * stride + ky - pad != iy:
                continue
            for kx in range(k):
                ox = (ix + pad - kx) // stride
                if ox < 0 or ox >= ow or ox * stride + kx - pad != ix:
                    continue
                for ci in range(c):
                    for image in range(b):
                        for fi in range(f):
                            # forward: out[image, oy, ox, fi] += x[image, iy, ix, ci] * weight[oy, ox, ky, kx, ci, fi]
                            total[image, ci] += grad_out[image, oy, ox, fi] * weight[oy, ox, ky, kx, ci, fi]
        for image in range(b):
            for ci in range(c):
                grad_x[image, iy, ix, ci] = total[image, ci] + (grad_x[image, iy, ix, ci] if accumulate else 0)


@parallel
def local_backward_weight(x, grad_out, grad_weight, grad_bias, stride, pad):
    """Gradients of what is learnt: grad_weight[oy, ox, ky, kx, c, f] += sum of x[iy, ix, c] * grad_out[oy, ox, f].

    And grad_bias[oy, ox, f] += sum of grad_out[oy, ox, f], both over the pictures only.
    x (b, h, w, c) float; grad_out (b, oh, ow, f) float; grad_weight (oh, ow, k, k, c, f) and grad_bias (oh, ow, f)
    float, *accumulated*; stride, pad ints in pixels. Darknet: src/local_layer.c.
    """
    b, h, w, c = x.shape
    oh, ow, k, _, _, f = grad_weight.shape
    for pixel in prange(oh * ow):
        oy, ox = pixel // ow, pixel % ow
        for image in range(b):
            for fi in range(f):
                grad_bias[oy, ox, fi] += grad_out[image, oy, ox, fi]
        for ky in range(k):
            iy = oy * stride + ky - pad
            if iy < 0 or iy >= h:
                continue
            for kx in range(k):
                ix = ox * stride + kx - pad
                if ix < 0 or ix >= w:
                    continue
                for ci in range(c):
                    for image in range(b):
                        # forward: out[image, oy, ox, fi] += value * weight[oy, ox, ky, kx, ci, fi]
                        value = x[image, iy, ix, ci]
                        for fi in range(f):
                            grad_weight[oy, ox, ky, kx, ci, fi] += value * grad_out[image, oy, ox, fi]
