"""What the heads [region] and [yolo] have in common beside detector.py: a cell's boxes are its anchors, reshaped."""
import numpy as np

from minidarknet.layers.base import Misfit
from minidarknet.layers.detector import Detector

LARGEST_ANCHOR = 1e6    # cells or pixels


class Anchored(Detector):
    """A head on a picture of cells. Abstract: subclasses are final and fill in what the numbers of a box mean.

    out: (b, h, w, per_cell * (4 + 1 + classes)), channel = anchor * (5 + classes) + entry: x, y, w, h, objectness, then
    the classes.
    """

    unit = ""   # what the anchors of the cfg are measured in

    @property
    def own_anchors(self):
        """Which of the cfg's anchors are this head's (list of int)."""
        return list(range(self.options.num))

    @property
    def ignore_thresh(self):
        """IoU with some truth above which a box that answers for none is not told "no object here"."""
        return self.options.ignore_thresh

    @property
    def extent(self):
        """(width, height) of the network's input in the unit of the anchors."""
        raise NotImplementedError

    @property
    def multiscale(self):
        """Whether training is to change the network's size now and then."""
        return bool(self.options.random)

    @property
    def anchors(self):
        """(num, 2) width and height of the cfg's anchors, in the cfg's unit."""
        return np.reshape(np.array(self.options.anchors, self.dtype), (-1, 2))

    def scores(self, out):
        """out (b, h, w, c) activated -> objectness (b, n), probability (b, n, classes), views, n = h * w * per_cell."""
        cells = out.reshape(len(out), -1, 5 + self.options.classes)
        return cells[..., 4], cells[..., 5:]

    def check_anchors(self, unit):
        """Raise Misfit unless there are `num` anchors of positive size; unit: what the message says they are in."""
        o = self.options
        if len(o.anchors) != 2 * o.num:
            raise Misfit(f"expects {2 * o.num} numbers in anchors = num {o.num} x (width, height), but finds "
                         f"{len(o.anchors)}: {self._anchor_remedy()}", "anchors")
        if not min(o.anchors) > 0:
            raise Misfit(f"anchors are widths and heights in {unit}: {min(o.anchors):g} must be above 0", "anchors")
        if max(o.anchors) > LARGEST_ANCHOR:
            raise Misfit(f"anchors are widths and heights in {unit}: {max(o.anchors):g} is larger than any picture",
                         "anchors")

    def check_channels(self, channels, per_cell):
        """Raise Misfit unless `channels` is what this head reads; per_cell: how the cfg says per_cell, "num 5"."""
        expected = self.per_cell * (5 + self.options.classes)
        if channels != expected:
            raise Misfit(f"expects {expected} channels = {per_cell} x (coords 4 + 1 + classes {self.options.classes}), "
                         f"but {self._who()} gives {channels}: {self._remedy(expected)}")

    def _anchor_remedy(self):
        count = len(self.options.anchors)
        return f"set num={count // 2}" if count % 2 == 0 else "a number is missing or one too many"
