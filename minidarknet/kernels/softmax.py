"""Softmax: scores become probabilities that sum to one; and the cross-entropy that trains them.

One row may hold several softmaxes, `borders` says where each begins: one for all classes [0, n], equal parts, or the
groups of siblings of a tree (wordtree.py): then probability i is P(node i | parent). Paper: YOLO9000, section 4.
Darknet: src/softmax_layer.c, src/blas.c.
"""
import numpy as np

from minidarknet.kernels._jit import parallel, prange

SMALLEST = 1e-37  # about the least float32 that is not 0 or denormal


@parallel
def softmax_forward(x, out, borders, temperature):
    """Probabilities of each group of scores: p_i = exp(x_i / T) / sum over the group of exp(x_j / T).

    The largest score of the group is subtracted first: the quotient stays and nothing overflows.
    x (b, n) float: scores; out (b, n) float, *written*, may be x itself; borders (groups + 1,) int: where each group
    begins, rising from 0, and n; temperature float T > 0: above 1 evens the probabilities out.
    Darknet: src/blas.c.
    """
    b, groups = x.shape[0], len(borders) - 1
    for task in prange(b * groups):
        image, first, last = task // groups, borders[task % groups], borders[task % groups + 1]
        largest = x[image, first]
        for i in range(first, last):
            largest = max(largest, x[image, i])
        total = 0.0
        for i in range(first, last):
            value = np.exp((np.float64(x[image, i]) - largest) / temperature)
            total += value
            out[image, i] = value
        for i in range(first, last):
            out[image, i] /= total


@parallel
def softmax_loss(probability, truth, borders, loss, grad):
    """Cross-entropy per picture, L = -sum t_i log p_i, and its gradient for the scores, p_i sum t - t_i.

    The gradient is that of a softmax at temperature 1: softmax and loss differentiated together, where the divisions
    cancel. `sum t` is that of the group: a one-hot group gives Darknet's p - t, a group without truth learns nothing.
    With a tree's truth, one on the whole path from the label to the root, L is -log of P(label) = product of the p.
    probability (b, n) float from softmax_forward; truth (b, n) float >= 0, whose zeros add no loss; borders
    (groups + 1,) int, as there; loss (b,) float, *written*; grad (b, n) float, *written*. A p that ran out of digits
    counts as 1e-37: the loss stays finite.
    Darknet: src/blas.c (which adds a full -log p wherever t is not 0; its delta is t - p).
    """
    for image in prange(probability.shape[0]):
        total = 0.0
        for group in range(len(borders) - 1):
            first, last = borders[group], borders[group + 1]
            weight = 0.0
            for i in range(first, last):
                t = np.float64(truth[image, i])
                weight += t
                if t != 0:
                    total -= t * np.log(max(np.float64(probability[image, i]), SMALLEST))
            for i in range(first, last):
                # forward: p = exp(x) / sum exp(x), so d(-t log p_i)/dx_j = t (p_j - [i = j])
                grad[image, i] = weight * probability[image, i] - truth[image, i]
        loss[image] = total
