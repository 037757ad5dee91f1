"""Where a convolution keeps its weights: in the order of the field, or in the one that prediction reads fastest."""
import sys

import numpy as np

WORTH = 1 << 16  # numbers: smaller weights stay in the processor's caches in any order


class Weight:
    """The weights (k, k, c, f) of one convolution, held once, in one of two orders.

    `array` is the order of the field. Predictions that follow each other change it for the backend's own (`prepare`);
    whoever asks for `array` again gets it back in the order of the field. That happens only while nobody but this object
    holds the array: as long as somebody might write to it, it stays where it is, and nothing can go stale.
    """

    def __init__(self, shape, dtype):
        """shape: (k, k, c, f). The weights begin as zeros of `dtype`."""
        self.shape = shape
        self._array, self._prepared, self._ops = np.zeros(shape, dtype), None, None
        self._predictions = 0  # since the array was last asked for

    @property
    def array(self):
        """(k, k, c, f), to be read and written."""
        if self._array is None:
            self._array, self._prepared = self._ops.restore(self._prepared), None
        self._predictions = 0
        return self._array

    def for_prediction(self, ops):
        """What `ops.convolutional_predict` takes as the weights; from the second prediction in a row on, prepared."""
        if self._array is None:
            return self._prepared
        self._predictions += 1
        if self._predictions > 1 and self._array.size >= WORTH and self._is_ours():
            self._ops, self._prepared = ops, ops.prepare(self._array)
            self._array = None
            return self._prepared
        return self._array

    def _is_ours(self):
        """Whether no one else holds the array or a view of it; where Python cannot tell, somebody might."""
        count = getattr(sys, "getrefcount", None)
        return count is not None and count(self._array) <= 2  # this object's reference, and the question's
