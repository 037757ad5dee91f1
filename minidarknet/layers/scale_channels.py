"""[scale_channels]: an earlier layer's channels, each times a factor of its own (AlexeyAB: src/scale_channels_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.gated import Gated, GatedOptions


@dataclass(frozen=True, kw_only=True)
class ScaleChannelsOptions(GatedOptions):
    """Keys of [scale_channels] with Darknet's defaults."""

    scale_wh: int = 0   # 1: a factor for each pixel instead of each channel

    CHOICES = {"scale_wh": (0, 1)}


class ScaleChannels(Gated):
    """out[y, x, c] = act(picture[y, x, c] * gate[c]), or gate[y, x] with scale_wh=1; gate: the previous layer's output."""

    name = "scale_channels"
    Options = ScaleChannelsOptions

    def gate_shape(self, h, w, c):
        """See Gated."""
        if self.options.scale_wh:
            return (h, w, 1), f"one number for each pixel, {w} x {h} x 1"
        return (1, 1, c), f"one number for each channel, 1 x 1 x {c} (scale_wh=1: for each pixel)"
