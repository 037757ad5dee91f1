"""Training pictures of a classifier, each time a little different: a turned, stretched window of another size and colour.

The picture is scaled so that its shorter side is min_crop .. max_crop pixels, turned about its middle, and a window of the
network's size is cut out, anywhere; outside the picture it is black.
"""
import math
from dataclasses import dataclass

import numpy as np

from minidarknet.data import pictures
from minidarknet.data.augment import factor
from minidarknet.errors import UsageError

MODES = ("crop", "center", "none")


@dataclass(frozen=True)
class ClassAugmentation:
    """How a classifier's pictures are varied; the names are those of the cfg's [net] section.

    mode: "crop": as above. "center": the middle square, mirrored and recoloured (Darknet's center=1). "none": the
    picture fitted as for validation, unchanged. min_ratio, max_ratio: the shorter side after scaling, as shares of the
    network's width. resize: how "none" fits pictures. classes: how many there are.
    """

    classes: int
    min_ratio: float = 1.0
    max_ratio: float = 2.0
    angle: float = 0.0         # turned by up to so many degrees, either way
    aspect: float = 1.0        # width : height changed by up to this factor
    hue: float = 0.0           # shift up to this fraction of the circle, either way
    saturation: float = 1.0    # factor between 1/this and this
    exposure: float = 1.0      # the same for the brightness
    flip: bool = True          # mirror every second picture
    mode: str = "crop"
    resize: str = "crop"
    mosaic = False             # not a field: a mosaic of classes would be of none

    def __post_init__(self):
        if self.mode not in MODES or self.resize not in pictures.FITS:
            raise UsageError(f"augmentation {self.mode!r}, resize {self.resize!r}: expected one of {', '.join(MODES)}, and "
                             f"one of {', '.join(pictures.FITS)}")
        if not 0 < self.min_ratio <= self.max_ratio:
            raise UsageError(f"pictures would be scaled to {self.min_ratio:g} .. {self.max_ratio:g} of the network's width: "
                             "expected 0 < min_crop <= max_crop")

    def vary(self, picture, example, size, rng):
        """One varied picture and its truth; see `window`. picture: (h, w, 3) uint8. example: Example with one class.

        size: (w, h) of the network's input. rng: numpy Generator; draws in this order: aspect (2), side, turn, where (2),
        flip, hue, saturation (2), exposure (2). Returns x (h, w, 3) float32 in 0..1, truth (classes,) float32: 1 for the
        class, else 0.
        """
        # Imported here: `train --help` must not need Numba.
        from minidarknet.kernels.image import distort, window

        truth = np.zeros(self.classes, np.float32)
        truth[example.classes[0]] = 1
        x = np.empty((size[1], size[0], 3), np.float32)
        if self.mode == "crop":
            place = self._place(picture, size, rng)
        flip = bool(rng.integers(2)) and self.flip and self.mode != "none"
        if self.mode == "crop":
            window(picture, x, *place, flip, 255.0)
        else:
            x = pictures.fit(picture, size[::-1], "crop" if self.mode == "center" else self.resize)[0]
            x = np.ascontiguousarray(x[:, ::-1]) if flip else x
        if self.mode == "none":
            return x, truth
        hue = float(rng.uniform(-self.hue, self.hue))
        colours = hue, factor(self.saturation, rng), factor(self.exposure, rng)
        if colours != (0.0, 1.0, 1.0):
            distort(x, *colours)
        return x, truth

    def _place(self, picture, size, rng):
        """Where the window lies: (turn, scale, right, down, aspect), as kernels.image.window takes them.

        Darknet: src/image.c, random_augment_args; for the height it takes the window's width, which is the same there.
        """
        (height, width), (w, h) = picture.shape[:2], size
        aspect = factor(self.aspect, rng)
        side = int(rng.integers(int(self.min_ratio * w), int(self.max_ratio * w), endpoint=True))
        scale = max(side, 1) / max(int(min(height, width * aspect)), 1)
        turn = math.radians(self.angle) * float(rng.uniform(-1, 1))
        right = float(rng.uniform(-1, 1)) * (width * scale / aspect - w) / 2
        down = float(rng.uniform(-1, 1)) * (height * scale - h) / 2
        return turn, scale, right, down, aspect

    @staticmethod
    def batch_truth(truths):
        """The truths of a batch's pictures, one above the other: (b, classes) float32. truths: list of (classes,)."""
        return np.stack(truths)
