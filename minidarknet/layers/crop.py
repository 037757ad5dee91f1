"""[crop]: a window of the picture, at random in training, the middle one else (Darknet: src/crop_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class CropOptions(LayerOptions):
    """Keys of [crop] with Darknet's defaults."""

    crop_height: int = 1  # of the window, in pixels
    crop_width: int = 1
    flip: int = 0         # 1: mirror every second batch, by chance, in training
    noadjust: int = 0     # 1: leave the numbers in 0..1

    MINIMUM = {"crop_height": 1, "crop_width": 1}
    CHOICES = {"flip": (0, 1), "noadjust": (0, 1)}
    # Only Darknet's GPU build turns and recolours pictures here, in training.
    LATER = {"angle": "0", "saturation": "1", "exposure": "1", "shift": "0"}


class Crop(Layer):
    """out = 2 * x - 1 of a window of crop_height x crop_width pixels, one for the whole batch; see kernels/crop.py.

    Nothing is differentiated: it is the first layer.
    """

    name = "crop"
    Options = CropOptions

    def out_shape(self, *shapes):
        (h, w, c), o = shapes[0], self.options
        if self.sources[0].index >= 0:
            raise Misfit("has no gradient and must be the first section behind [net]")
        for key, found, most in (("crop_height", o.crop_height, h), ("crop_width", o.crop_width, w)):
            if found > most:
                raise Misfit(f"{key}={found} is more than the picture's {most} pixels", key)
        return o.crop_height, o.crop_width, c

    def forward(self, run):
        o, (h, w, _) = self.options, self.sources[0].shape
        down, right, flip = h - o.crop_height, w - o.crop_width, False
        if run.train:
            top, left = (int(run.rng.integers(0, spare, endpoint=True)) for spare in (down, right))
            flip = bool(o.flip and run.rng.integers(0, 2))
        else:
            top, left = down // 2, right // 2
        self.ops.crop_forward(self.sources[0].out, self.out, top, left, flip, not o.noadjust)

    def backward(self, run):
        """Nothing: the picture wants no gradient."""
