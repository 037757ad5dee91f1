"""Every random number of the data room: a stream of its own for each purpose and each place in the training.

A stream is found from (seed, purpose, place) alone and not from what was drawn before, so any worker can make any
picture of any batch, and a resumed run draws what an uninterrupted one would have.
"""
import numpy as np

SIZE, ORDER, PICTURE, REPLACEMENT, MOSAIC, JOINT_ORDER = range(1, 7)  # purposes
_WORD = 2 ** 64 - 1


def stream(seed, purpose, place):
    """The numpy Generator (Philox) of one purpose at one place. seed, place: int; purpose: one of the constants."""
    key = np.array([seed & _WORD, purpose], np.uint64)
    counter = np.array([0, 0, place & _WORD, 0], np.uint64)  # the low words count the numbers drawn
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
