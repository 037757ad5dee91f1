"""The losses of a [cost] section: how far a number x is from its truth t, number by number.

    sse      error (x - t)^2                            gradient x - t
    smooth   (x - t)^2 within 1, else 2 |x - t| - 1     x - t within 1, else the sign of x - t
    L1       |x - t|                                    the sign of x - t
    wgan     -x where t is not 0, else x                -1 where t > 0, else 1

`error` is what Darknet prints the sum of. The gradient of the first two is that of error / 2.
Darknet: src/cost_layer.c, src/blas.c, src/blas_kernels.cu (its delta is the negative gradient).
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def cost_sse(x, truth, error, grad):
    """The squared distance to the truth, error = (x - t)^2, and the gradient of its half, x - t.

    x, truth (b, n) float; error, grad (b, n) float, both *written*. Darknet: src/blas.c.
    """
    b, n = x.shape
    for image in prange(b):
        for i in range(n):
            difference = x[image, i] - truth[image, i]
            error[image, i] = difference * difference
            grad[image, i] = difference


@parallel
def cost_smooth(x, truth, error, grad, far):
    """Squared within a distance of 1 and straight beyond: large errors pull no harder than 1.

    error = d^2 where |d| < 1, else 2 |d| - 1, with d = x - t; grad = d, else far * sign(d).
    x, truth (b, n) float; error, grad (b, n) float, both *written*. far: 1, then grad is the gradient of error / 2;
    -1 is Darknet's CPU build, which has this sign wrong. Paper: Fast R-CNN (arXiv 1504.08083), equation 3.
    Darknet: src/blas.c, src/blas_kernels.cu.
    """
    b, n = x.shape
    for image in prange(b):
        for i in range(n):
            difference = x[image, i] - truth[image, i]
            distance = abs(difference)
            if distance < 1:
                error[image, i] = difference * difference
                grad[image, i] = difference
            else:
                error[image, i] = 2 * distance - 1
                grad[image, i] = far if difference > 0 else -far


@parallel
def cost_l1(x, truth, error, grad):
    """The distance to the truth, error = |x - t|, and its gradient: 1 where x >= t, else -1.

    x, truth (b, n) float; error, grad (b, n) float, both *written*. Darknet: src/blas.c.
    """
    b, n = x.shape
    for image in prange(b):
        for i in range(n):
            difference = x[image, i] - truth[image, i]
            error[image, i] = abs(difference)
            grad[image, i] = 1 if difference >= 0 else -1


@parallel
def cost_wgan(x, truth, error, grad):
    """A critic's score: to be high where the truth says real, else low; no distance, and no end.

    error = -x where t is not 0, else x; grad = -1 where t > 0, else 1.
    x, truth (b, n) float; error, grad (b, n) float, both *written*. Paper: Wasserstein GAN (arXiv 1701.07875),
    algorithm 1. Darknet: src/blas_kernels.cu (its CPU build takes cost_sse instead).
    """
    b, n = x.shape
    for image in prange(b):
        for i in range(n):
            error[image, i] = -x[image, i] if truth[image, i] != 0 else x[image, i]
            grad[image, i] = -1 if truth[image, i] > 0 else 1
