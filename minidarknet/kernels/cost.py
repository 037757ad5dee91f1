"""The squared-error loss of a [cost] section.

Darknet: src/cost_layer.c, src/blas.c.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def cost_sse(x, truth, loss, grad):
    """Half the squared distance to the truth, L = sum (x - t)^2 / 2 per picture, and its gradient x - t.

    x (b, n) float; truth (b, n) float; loss (b,) float, *written*, summed in float64; grad (b, n) float, *written*.
    Darknet: src/blas.c (its printed cost is (t - x)^2 without the half, its delta t - x).
    """
    b, n = x.shape
    for image in prange(b):
        total = 0.0
        for i in range(n):
            difference = x[image, i] - truth[image, i]
            total += difference * difference
            grad[image, i] = difference
        loss[image] = total / 2
