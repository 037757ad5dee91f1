"""Short NumPy counterparts of the kernels, written from the formula and not from the kernel.

They are slow, take float64, return new arrays, and know nothing of buffers or threads. Gradients are +dL/d.
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def _pad(x, before, after, value=0.0):
    return np.pad(x, ((0, 0), before, after, (0, 0)), constant_values=value)


def convolution(x, weight, stride, pad, groups):
    """(b, h, w, c), (k, k, c/groups, f) -> (b, oh, ow, f): windows times weights, one einsum per group."""
    k = weight.shape[0]
    windows = sliding_window_view(_pad(x, (pad, pad), (pad, pad)), (k, k), axis=(1, 2))[:, ::stride, ::stride]
    parts = zip(np.split(windows, groups, axis=3), np.split(weight, groups, axis=3), strict=True)
    return np.concatenate([np.einsum("bhwckl,klcf->bhwf", part, kernel) for part, kernel in parts], axis=3)


def convolution_grad_weight(x, grad_out, k, stride, pad, groups):
    """dL/dweight: every window times the gradient of the output it made."""
    windows = sliding_window_view(_pad(x, (pad, pad), (pad, pad)), (k, k), axis=(1, 2))[:, ::stride, ::stride]
    parts = zip(np.split(windows, groups, axis=3), np.split(grad_out, groups, axis=3), strict=True)
    return np.concatenate([np.einsum("bhwckl,bhwf->klcf", part, grad) for part, grad in parts], axis=3)


def convolution_grad_x(grad_out, weight, shape, stride, pad, groups):
    """dL/dx of x's `shape`: spread the gradient `stride` apart and convolve it with the weights turned by 180 degrees."""
    b, h, w, _ = shape
    k = weight.shape[0]
    _, oh, ow, f = grad_out.shape
    spread = np.zeros((b, h + 2 * pad + k - 1, w + 2 * pad + k - 1, f))
    spread[:, k - 1:k - 1 + oh * stride:stride, k - 1:k - 1 + ow * stride:stride] = grad_out
    parts = zip(np.split(spread, groups, axis=3), np.split(weight, groups, axis=3), strict=True)
    padded = [convolution(part, kernel[::-1, ::-1].transpose(0, 1, 3, 2), 1, 0, 1) for part, kernel in parts]
    return np.concatenate(padded, axis=3)[:, pad:pad + h, pad:pad + w]


def batchnorm(x, scale, bias, epsilon):
    """Normalised by the batch's mean and biased variance: (out, mean, inverse)."""
    mean, inverse = x.mean((0, 1, 2)), 1 / np.sqrt(x.var((0, 1, 2)) + epsilon)
    return scale * (x - mean) * inverse + bias, mean, inverse


def batchnorm_grad_x(x, scale, grad_out, epsilon):
    """dL/dx by the chain rule of the paper: through x_hat, then the variance, then the mean."""
    axes, m = (0, 1, 2), x[..., 0].size
    variance = x.var(axes) + epsilon
    centred = x - x.mean(axes)
    grad_x_hat = grad_out * scale
    grad_variance = (grad_x_hat * centred).sum(axes) * -.5 * variance ** -1.5
    grad_mean = -grad_x_hat.sum(axes) / np.sqrt(variance) + grad_variance * (-2 * centred).sum(axes) / m
    return grad_x_hat / np.sqrt(variance) + grad_variance * 2 * centred / m + grad_mean / m


def maxpool(x, oh, ow, size, stride, offset):
    """(values, positions iy * w + ix) of each window's first maximum, -inf outside."""
    _, h, w, _ = x.shape
    below, right = (oh - 1) * stride + size - offset - h, (ow - 1) * stride + size - offset - w
    padded = _pad(x, (offset, max(below, 0)), (offset, max(right, 0)), -np.inf)
    windows = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride][:, :oh, :ow]
    best = windows.reshape(*windows.shape[:4], size * size).argmax(-1)
    iy = np.arange(oh)[:, None, None] * stride - offset + best // size
    ix = np.arange(ow)[:, None] * stride - offset + best % size
    return windows.max((-2, -1)), iy * w + ix


def maxpool_grad_x(grad_out, winner, shape):
    """dL/dx of x's `shape`: every output's gradient goes to its winner."""
    b, h, w, c = shape
    grad_x = np.zeros((b, h * w, c))
    images, _, _, channels = np.indices(winner.shape)
    np.add.at(grad_x, (images, winner, channels), grad_out)
    return grad_x.reshape(shape)


def reorg(x, stride, reverse):
    """Darknet's reorg, written as reshapes of its (b, c, h, w) tensor."""
    b, h, w, c = x.shape
    s, large = stride, c // stride ** 2
    tensor = x.transpose(0, 3, 1, 2)
    if reverse:
        tensor = tensor.reshape(b, s, s, large, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(b, large, h * s, w * s)
    else:
        tensor = tensor.reshape(b, large, h, s, w, s).transpose(0, 3, 5, 1, 2, 4).reshape(b, c * s * s, h // s, w // s)
    return tensor.transpose(0, 2, 3, 1)


def softmax(x, groups, temperature):
    """(b, n) scores -> probabilities that sum to one in each of `groups` parts of a row."""
    parts = np.exp(x.reshape(x.shape[0], groups, -1) / temperature)
    return (parts / parts.sum(-1, keepdims=True)).reshape(x.shape)


def upsample(x, stride, scale):
    """Every pixel repeated stride times along both axes, times scale."""
    return scale * x.repeat(stride, axis=1).repeat(stride, axis=2)


def shortcut(x, source, alpha, beta):
    """x plus the earlier source: every step-th pixel of the larger picture meets the smaller one's, in common channels."""
    out, c = x.copy(), min(x.shape[3], source.shape[3])
    step, sample = max(1, source.shape[2] // x.shape[2]), max(1, x.shape[2] // source.shape[2])
    mine, theirs = out[:, ::sample, ::sample, :c], source[:, ::step, ::step, :c]
    h, w = (min(mine.shape[i], theirs.shape[i]) for i in (1, 2))
    mine[:, :h, :w] = alpha * mine[:, :h, :w] + beta * theirs[:, :h, :w]
    return out


def local(x, weight, bias, stride, pad):
    """(b, h, w, c), (oh, ow, k, k, c, f) -> (b, oh, ow, f): every window times the weights of its place."""
    oh, ow, k = weight.shape[:3]
    windows = sliding_window_view(_pad(x, (pad, pad), (pad, pad)), (k, k), axis=(1, 2))[:, ::stride, ::stride][:, :oh, :ow]
    return np.einsum("bhwckl,hwklcf->bhwf", windows, weight) + bias


def normalization(x, alpha, beta, kappa, size):
    """Darknet's running sum along the channels, step by step."""
    squares = x ** 2
    c, norm = x.shape[3], np.empty_like(x)
    norm[..., 0] = kappa + alpha * squares[..., :size // 2].sum(-1)
    for k in range(1, c):
        norm[..., k] = norm[..., k - 1]
        if k - (size - 1) // 2 - 1 >= 0:
            norm[..., k] -= alpha * squares[..., k - (size - 1) // 2 - 1]
        if k + size // 2 < c:
            norm[..., k] += alpha * squares[..., k + size // 2]
    return x * norm ** -beta
