"""Batch norm or bias as two numbers per filter: what prediction does with a convolution's results.

    scale * (y - mean) / sqrt(variance + epsilon) + bias  =  factor * y + shift

      factor = scale / sqrt(variance + epsilon)      shift = bias - mean * factor           without batch norm: 1 and bias

They are made anew for every prediction, so that nothing goes stale when a weight changes, by each task for its filters.
Darknet: src/blas.c.
"""
import numpy as np

from minidarknet.engine.vector import FLOAT, LANES, load, splat, square_root, store
from minidarknet.kernels._jit import jit

ONE = np.float32(1)


@jit
def fold(finish, first, count):
    """Make factor and shift of filters first .. first + count - 1, *written* where finish (Finish) says.

    finish.scale may be 0: without it factor begins as 1; so may variance, and mean with it: then nothing is normalised.
    Tasks that have the same filters write the same bits.
    """
    for i in range(first, first + count, LANES):
        left, at = first + count - i, FLOAT * i
        a = load(finish.scale + at, left) if finish.scale else splat(ONE)
        b = load(finish.bias + at, left)
        if finish.variance:
            a = a * (splat(ONE) / square_root(load(finish.variance + at, left) + splat(finish.epsilon)))
            b = b - load(finish.mean + at, left) * a
        store(finish.factor + at, a, left)
        store(finish.shift + at, b, left)
