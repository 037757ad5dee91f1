"""Weights laid out for prediction: in the very order in which a convolution reads them.

    as everyone sees them    (k, k, c, f)               a block of BLOCK filters of one tap and channel, then a long way
    prepared                 (f / BLOCK, c, k * k, BLOCK)             to the next; prepared, the way is one straight line

With one picture and a small grid, reading the weights is what takes the time, and memory is read twice as fast straight
on as in pieces. Filters that do not exist are zeros.
"""
from typing import NamedTuple

import numpy as np

from minidarknet.engine.pack import BLOCK


class Prepared(NamedTuple):
    """array (f / BLOCK, c, k * k, BLOCK) float32; shape: (k, k, c, f) of the weights."""

    array: np.ndarray
    shape: tuple


def prepare(weight):
    """weight (k, k, c, f) float32 -> Prepared, a copy."""
    k, _, c, f = weight.shape
    blocks = -(-f // BLOCK)
    array = np.zeros((blocks, c, k * k, BLOCK), np.float32)
    for block in range(blocks):
        filters = weight[..., block * BLOCK:(block + 1) * BLOCK].reshape(k * k, c, -1)
        array[block, :, :, :filters.shape[2]] = filters.transpose(1, 0, 2)
    return Prepared(array, weight.shape)


def restore(prepared):
    """prepared: Prepared -> weight (k, k, c, f) float32, a copy."""
    k, _, c, f = prepared.shape
    weight = np.empty(prepared.shape, np.float32)
    for block, source in enumerate(prepared.array):
        filters = weight[..., block * BLOCK:(block + 1) * BLOCK]
        filters[...] = source.transpose(1, 0, 2)[..., :filters.shape[3]].reshape(k, k, c, -1)
    return weight
