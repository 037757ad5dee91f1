"""Local response normalisation: every number is divided by a power of its neighbours' squares, along the channels.

    norm[k] = kappa + alpha * (sum of x[j]^2 over the window of k  -  x[m]^2),   m = size // 2
    out[k] = x[k] * norm[k]^-beta

The window of channel k is k - (size - 1) // 2 to k + m, as far as there are channels. The term -x[m]^2, the same channel
m for every k, is Darknet's: its running sum begins without that channel and yet takes it away when the window has
passed it. Weights were trained so, and so it is here. Where it makes norm negative, out is not a number.
Paper: AlexNet (Krizhevsky et al., 2012), section 3.3. Darknet: src/normalization_layer.c.
"""
import numpy as np

from minidarknet.kernels._jit import jit, parallel, prange


@jit
def _window(k, size, c):
    """First and past-the-last channel of the window of channel k among c."""
    return max(k - (size - 1) // 2, 0), min(k + size // 2 + 1, c)


@parallel
def normalization_forward(x, norm, out, alpha, beta, kappa, size):
    """out[k] = x[k] * norm[k]^-beta, norm[k] = kappa + alpha * (sum of squares in the window of k - x[size // 2]^2).

    x (b, h, w, c) float; norm, out (b, h, w, c) float, both *written*; alpha, beta, kappa floats; size int, the window's
    channels, size // 2 <= c. Sums are made in float64. Darknet: forward_normalization_layer.
    """
    b, h, w, c = x.shape
    missed = size // 2
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for k in range(c):
                total = 0.0
                first, last = _window(k, size, c)
                for j in range(first, last):
                    total += np.float64(x[image, y, column, j]) ** 2
                if missed < c:
                    total -= np.float64(x[image, y, column, missed]) ** 2
                n = kappa + alpha * total
                norm[image, y, column, k] = n
                out[image, y, column, k] = x[image, y, column, k] * n ** -beta


@parallel
def normalization_backward(x, norm, grad_out, grad_x, alpha, beta, size, accumulate):
    """The exact gradient: a number acts on its own output and, by the norms, on those of all windows it is in.

    grad_x[j] = g[j] * norm[j]^-beta - 2 alpha beta x[j] * (sum of g[k] x[k] norm[k]^(-beta - 1) over the k whose window
    holds j), with g = grad_out; for j = size // 2 the same sum over all k is added again.
    x, norm (b, h, w, c) float: as in the forward pass; grad_out (b, h, w, c) float; grad_x (b, h, w, c) float,
    *accumulated* if accumulate (bool) else *written*; alpha, beta floats; size int.
    Paper: AlexNet, section 3.3. Darknet: see normalization_backward_darknet.
    """
    b, h, w, c = x.shape
    missed = size // 2
    for row in prange(b * h):
        image, y = row // h, row % h
        pull, spread = np.empty(c), np.empty(c)
        for column in range(w):
            spread[:] = 0
            everywhere = 0.0
            for k in range(c):
                # forward: norm[k] += alpha * x[j]^2,  out[k] = x[k] * norm[k]^-beta
                n = np.float64(norm[image, y, column, k])
                pull[k] = 2 * alpha * beta * grad_out[image, y, column, k] * x[image, y, column, k] * n ** (-beta - 1)
                everywhere += pull[k]
                first, last = _window(k, size, c)
                for j in range(first, last):
                    spread[j] += pull[k]
            if missed < c:
                spread[missed] -= everywhere  # forward: norm[k] -= alpha * x[missed]^2, for every k
            for j in range(c):
                n = np.float64(norm[image, y, column, j])
                grad = grad_out[image, y, column, j] * n ** -beta - x[image, y, column, j] * spread[j]
                grad_x[image, y, column, j] = grad + (grad_x[image, y, column, j] if accumulate else 0)


@parallel
def normalization_backward_darknet(norm, grad_out, grad_x, beta, accumulate):
    """The gradient as Darknet takes it, as if the norms were constants: grad_x = grad_out * norm^-beta.

    norm, grad_out (b, h, w, c) float; grad_x (b, h, w, c) float, *accumulated* if accumulate (bool) else *written*;
    beta float. Darknet: backward_normalization_layer (which always overwrites).
    """
    b, h, w, c = norm.shape
    for row in prange(b * h):
        image, y = row // h, row % h
        for column in range(w):
            for k in range(c):
                grad = grad_out[image, y, column, k] * np.float64(norm[image, y, column, k]) ** -beta
                grad_x[image, y, column, k] = grad + (grad_x[image, y, column, k] if accumulate else 0)
