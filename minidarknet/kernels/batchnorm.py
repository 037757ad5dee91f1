"""Batch normalisation: every channel gets mean 0 and variance 1 over the batch, then a learnt scale and bias.

    x_hat = (x - mean) * inverse,   out = scale * x_hat + bias,   inverse = 1 / sqrt(variance + epsilon)

mean and variance are taken over all pictures and pixels of the batch (M = b h w numbers per channel), so the gradient
flows through them too. The layer chooses epsilon and makes `inverse`. All sums run in float64 over fixed chunks.
Paper: Ioffe and Szegedy (arXiv 1502.03167), algorithm 1. Darknet: src/batchnorm_layer.c, src/blas.c.
"""
import numpy as np

from minidarknet.kernels._chunks import CHUNKS, add_chunks, chunk_rows
from minidarknet.kernels._jit import parallel, prange

DARKNET_EPSILON = .00001  # in the backward pass of Darknet's CPU build, whatever its forward pass used


@parallel
def batchnorm_statistics(x, mean, variance):
    """Mean and biased variance per channel: mean = sum x / M, variance = sum (x - mean)^2 / M.

    x (b, h, w, c) float; mean, variance (c,) float, *written*. Two passes, so that nothing cancels.
    Darknet: src/blas.c (which divides the variance by M - 1).
    """
    b, h, w, c = x.shape
    partial = np.zeros((CHUNKS, c))
    for chunk in prange(CHUNKS):
        first, last = chunk_rows(chunk, b * h)
        for row in range(first, last):
            image, y = row // h, row % h
            for column in range(w):
                for channel in range(c):
                    partial[chunk, channel] += x[image, y, column, channel]
    centre = add_chunks(partial) / (b * h * w)
    partial[:] = 0
    for chunk in prange(CHUNKS):
        first, last = chunk_rows(chunk, b * h)
        for row in range(first, last):
            image, y = row // h, row % h
            for column in range(w):
                for channel in range(c):
                    partial[chunk, channel] += (x[image, y, column, channel] - centre[channel]) ** 2
    spread = add_chunks(partial) / (b * h * w)
    for channel in range(c):
        mean[channel], variance[channel] = centre[channel], spread[channel]


@parallel
def batchnorm_forward(x, mean, inverse, scale, bias, out):
    """Normalise, scale and shift: out = scale * (x - mean) * inverse + bias.

    x (b, h, w, c) float; mean, inverse, scale, bias (c,) float; out (b, h, w, c) float, *written*, may be x itself.
    Paper: arXiv 1502.03167, algorithm 1. Darknet: src/batchnorm_layer.c.
    """
    b, h, w, c = x.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                x_hat = (x[image, y, column, channel] - mean[channel]) * inverse[channel]
                out[image, y, column, channel] = scale[channel] * x_hat + bias[channel]


@parallel
def _sum_gradients(x, mean, inverse, grad_out, sum_grad, sum_grad_x_hat):
    """sum_grad = sum of grad_out, sum_grad_x_hat = sum of grad_out * x_hat per channel: (c,) float64, *written*."""
    b, h, w, c = x.shape
    plain, weighted = np.zeros((CHUNKS, c)), np.zeros((CHUNKS, c))
    for chunk in prange(CHUNKS):
        first, last = chunk_rows(chunk, b * h)
        for row in range(first, last):
            image, y = row // h, row % h
            for column in range(w):
                for channel in range(c):
                    grad = grad_out[image, y, column, channel]
                    x_hat = (x[image, y, column, channel] - mean[channel]) * inverse[channel]
                    plain[chunk, channel] += grad
                    weighted[chunk, channel] += grad * x_hat
    sum_grad[:] = add_chunks(plain)
    sum_grad_x_hat[:] = add_chunks(weighted)


@parallel
def batchnorm_backward(x, mean, inverse, scale, grad_out, grad_scale, grad_bias, grad_x):
    """The exact gradient, through the batch's own mean and biased variance.

    grad_bias += sum g,  grad_scale += sum g x_hat,  grad_x = scale * inverse * (g - sum g / M - x_hat * sum g x_hat / M)
    with g = grad_out: what remains of g when its part along the constant and its part along x_hat, the two directions
    that normalisation removes, are taken away.

    x (b, h, w, c) float, mean, inverse, scale (c,) float: as in the forward pass; grad_out (b, h, w, c) float;
    grad_scale, grad_bias (c,) float, *accumulated*; grad_x (b, h, w, c) float, *written*, may be grad_out itself.
    Paper: arXiv 1502.03167, section 3. Darknet: src/batchnorm_layer.c (see batchnorm_backward_darknet).
    """
    b, h, w, c = x.shape
    sum_grad, sum_grad_x_hat = np.empty(c), np.empty(c)
    _sum_gradients(x, mean, inverse, grad_out, sum_grad, sum_grad_x_hat)
    for channel in range(c):
        grad_bias[channel] += sum_grad[channel]         # forward: out = scale * x_hat + bias
        grad_scale[channel] += sum_grad_x_hat[channel]
    m = b * h * w
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                # forward: x_hat = (x - mean) * inverse, where mean and inverse depend on x as well
                x_hat = (x[image, y, column, channel] - mean[channel]) * inverse[channel]
                grad_x[image, y, column, channel] = scale[channel] * inverse[channel] * (
                    grad_out[image, y, column, channel] - sum_grad[channel] / m - x_hat * sum_grad_x_hat[channel] / m)


@parallel
def batchnorm_backward_darknet(x, mean, variance, inverse, scale, grad_out, grad_scale, grad_bias, grad_x):
    """The gradient as Darknet's CPU build takes it: close to exact for a large M, wrong by about 1/M for a small one.

    With g = scale * grad_out, v = variance + 1e-5:  grad_mean = -sum g / sqrt(v),
    grad_variance = -1/2 v^(-3/2) sum g (x - mean),
    grad_x = g / sqrt(v) + grad_variance * 2 (x - mean) / M + grad_mean / M.

    x (b, h, w, c) float; mean, variance, inverse, scale (c,) float, variance being the unbiased one (divided by
    M - 1) and inverse whatever the forward pass multiplied by; grad_out (b, h, w, c) float; grad_scale, grad_bias (c,)
    float, *accumulated*; grad_x (b, h, w, c) float, *written*, may be grad_out itself.
    Darknet: src/batchnorm_layer.c, src/blas.c.
    """
    b, h, w, c = x.shape
    sum_grad, sum_grad_x_hat = np.empty(c), np.empty(c)
    _sum_gradients(x, mean, inverse, grad_out, sum_grad, sum_grad_x_hat)
    root, grad_mean, grad_variance = np.empty(c), np.empty(c), np.empty(c)
    for channel in range(c):
        grad_bias[channel] += sum_grad[channel]
        grad_scale[channel] += sum_grad_x_hat[channel]
        root[channel] = np.sqrt(variance[channel] + DARKNET_EPSILON)
        grad_mean[channel] = -scale[channel] * sum_grad[channel] / root[channel]
        sum_grad_centred = sum_grad_x_hat[channel] / inverse[channel]  # sum of grad_out * (x - mean)
        grad_variance[channel] = -.5 * root[channel] ** -3 * scale[channel] * sum_grad_centred
    m = b * h * w
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for channel in range(c):
                centred = x[image, y, column, channel] - mean[channel]
                grad_x[image, y, column, channel] = (
                    scale[channel] * grad_out[image, y, column, channel] / root[channel]
                    + grad_variance[channel] * 2 * centred / m + grad_mean[channel] / m)
