"""Pictures as rows of numbers: where the order of the numbers matters it is Darknet's, channels, then rows, then columns."""
import numpy as np


def flatten(x):
    """Pictures (b, h, w, c) -> rows (b, c * h * w) in Darknet's order of channels, a copy unless h = w = 1."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)).reshape(len(x), -1)


def unflatten(rows, shape):
    """The inverse of `flatten`: rows (b, c * h * w) -> pictures (b, *shape), shape (h, w, c)."""
    h, w, c = shape
    return rows.reshape(len(rows), c, h, w).transpose(0, 2, 3, 1)
