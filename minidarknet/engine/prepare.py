"""Weights laid out for prediction: in the very order in which a convolution reads them.

    as everyone sees them   (k, k, c, f)                  | block 0 | block 1 | ... |   of one tap and channel, then the
                                                          | block 0 | block 1 | ... |   same of the next channel ...
    prepared                (f / BLOCK, c, k * k, BLOCK)  | block 0 of all taps of channel 0 | of channel 1 | ...
                                                          | block 1 of all taps of channel 0 | of channel 1 | ...

A task of a convolution needs one block of BLOCK filters: in the field's order a short piece, then a long way to the next
one, prepared one straight line. With one picture and a small grid, reading the weights is what takes the time, and
memory is read twice as fast straight on as in pieces. Filters that do not exist are zeros. No number is changed.
"""
from typing import NamedTuple

import numpy as np

from minidarknet.engine.memory import aligned_zeros
from minidarknet.engine.pack import BLOCK


class Prepared(NamedTuple):
    """Weights in a prediction's order: array (ceil(f / BLOCK), c, k * k, BLOCK) float32 (aligned); shape: (k, k, c, f)."""

    array: np.ndarray
    shape: tuple


def prepare(weight):
    """The Prepared of weight (k, k, c, f) float32, a copy."""
    k, _, c, f = weight.shape
    blocks = -(-f // BLOCK)
    array = aligned_zeros((blocks, c, k * k, BLOCK))
    for block in range(blocks):
        filters = weight[..., block * BLOCK:(block + 1) * BLOCK].reshape(k * k, c, -1)
        array[block, :, :, :filters.shape[2]] = filters.transpose(1, 0, 2)
    return Prepared(array, weight.shape)


def restore(prepared):
    """The weights (k, k, c, f) float32 that `prepared` (Prepared) was made of, bit for bit, a copy."""
    k, _, c, f = prepared.shape
    weight = np.empty(prepared.shape, np.float32)
    for block, source in enumerate(prepared.array):
        filters = weight[..., block * BLOCK:(block + 1) * BLOCK]
        filters[...] = source.transpose(1, 0, 2)[..., :filters.shape[3]].reshape(k, k, c, -1)
    return weight
