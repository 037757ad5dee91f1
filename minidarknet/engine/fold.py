"""Batch norm or bias as two numbers per filter: what prediction does with a convolution's results.

    scale * (y - mean) / sqrt(variance + epsilon) + bias  =  factor * y + shift

      factor = scale / sqrt(variance + epsilon)      shift = bias - mean * factor           without batch norm: 1 and bias

They are made anew for every prediction, so that nothing goes stale when a weight changes. Darknet: src/blas.c.
"""
import numpy as np

from minidarknet.engine.vector import FLOAT, LANES, load, splat, square_root, store
from minidarknet.kernels._jit import jit

ONE = np.float32(1)


@jit
def fold(finish):
    """Make factor and shift, *written* where finish (Finish) says: addresses of (filters,) float32.

    finish.scale may be 0: without it factor begins as 1; so may variance, and mean with it: then nothing is normalised.
    """
    for i in range(0, finish.filters, LANES):
        left, at = finish.filters - i, FLOAT * i
        a = load(finish.scale + at, left) if finish.scale else splat(ONE)
        b = load(finish.bias + at, left)
        if finish.variance:
            a = a * (splat(ONE) / square_root(load(finish.variance + at, left) + splat(finish.epsilon)))
            b = b - load(finish.mean + at, left) * a
        store(finish.factor + at, a, left)
        store(finish.shift + at, b, left)
