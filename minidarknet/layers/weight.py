"""Where a convolution keeps its weights: in the order of the field, or in the one that prediction reads fastest."""
import sys

import numpy as np

WORTH = 1 << 16  # numbers: smaller weights stay in the processor's caches in any order


class Weight:
    """The weights (k, k, c, f) of one convolution, held once, in one of two orders.

        array, the field's order   --second prediction in a row-->   the backend's own order (`prepare`)
                                   <----- `array` is asked for ---

    Whoever asks for `array` (params, stored, a user) gets the weights in the order of the field, and they stay there as
    long as anybody else holds the array or a view of it, since he might write to it: so nothing can go stale. Training
    asks before every step and never changes the order. While the order is changed both exist, then only one does.
    """

    def __init__(self, shape, dtype):
        """shape: (k, k, c, f). The weights begin as zeros of `dtype`."""
        self.shape = shape
        self._array, self._prepared, self._ops = np.zeros(shape, dtype), None, None
        self._predictions = 0  # since the array was last asked for
        self.moves = 0         # how often the weights have changed their place in memory

    @property
    def array(self):
        """(k, k, c, f), to be read and written."""
        if self._array is None:
            self._array, self._prepared = self._ops.restore(self._prepared), None
            self.moves += 1
        self._predictions = 0
        return self._array

    def for_prediction(self, ops):
        """What `ops.convolutional_prediction` takes as the weights: the array, or what `ops.prepare` made of it.

        ops: the package of the operations, the engine. Prepared from the second prediction in a row on, see the class.
        """
        if self._array is None:
            return self._prepared
        self._predictions += 1
        if self._predictions > 1 and self._array.size >= WORTH and self._is_ours():
            self._ops, self._prepared = ops, ops.prepare(self._array)
            self._array = None
            self.moves += 1
            return self._prepared
        return self._array

    def _is_ours(self):
        """Whether no one else holds the array or a view of it; where Python cannot tell, somebody might."""
        count = getattr(sys, "getrefcount", None)
        return count is not None and count(self._array) <= 2  # two know it: this object, and getrefcount's argument
