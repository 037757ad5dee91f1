"""Softmax: scores become probabilities that sum to one; and the cross-entropy that trains them.

Darknet: src/softmax_layer.c, src/blas.c.
"""
import numpy as np

from minidarknet.kernels._jit import parallel, prange

SMALLEST = 1e-37  # about the least float32 that is not 0 or denormal


@parallel
def softmax_forward(x, out, groups, temperature):
    """Probabilities of each group of scores: p_i = exp(x_i / T) / sum over the group of exp(x_j / T).

    The largest score of the group is subtracted first: the quotient stays and nothing overflows.
    x (b, n) float: scores; out (b, n) float, *written*, may be x itself; groups int dividing n: how many softmaxes of
    n / groups neighbours each row holds; temperature float T > 0: above 1 evens the probabilities out.
    Darknet: src/blas.c.
    """
    b, n = x.shape
    size = n // groups
    for task in prange(b * groups):
        image, first = task // groups, task % groups * size
        largest = x[image, first]
        for i in range(first, first + size):
            largest = max(largest, x[image, i])
        total = 0.0
        for i in range(first, first + size):
            value = np.exp((np.float64(x[image, i]) - largest) / temperature)
            total += value
            out[image, i] = value
        for i in range(first, first + size):
            out[image, i] /= total


@parallel
def softmax_loss(probability, truth, loss, grad):
    """Cross-entropy per picture, L = -sum t_i log p_i, and its gradient for the scores, p_i sum t - t_i.

    The gradient is that of one softmax over the row at temperature 1: softmax and loss differentiated together, where
    the divisions cancel. A one-hot truth gives Darknet's p - t.
    probability (b, n) float from softmax_forward; truth (b, n) float >= 0, whose zeros add no loss; loss (b,) float,
    *written*; grad (b, n) float, *written*. A p that ran out of digits counts as 1e-37: the loss stays finite.
    Darknet: src/blas.c (which adds a full -log p wherever t is not 0; its delta is t - p).
    """
    b, n = probability.shape
    for image in prange(b):
        total, weight = 0.0, 0.0
        for i in range(n):
            t = np.float64(truth[image, i])
            weight += t
            if t != 0:
                total -= t * np.log(max(np.float64(probability[image, i]), SMALLEST))
        loss[image] = total
        for i in range(n):
            # forward: p = exp(x) / sum exp(x), so d(-t log p_i)/dx_j = t (p_j - [i = j])
            grad[image, i] = weight * probability[image, i] - truth[image, i]
