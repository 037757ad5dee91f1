"""[upsample]: every pixel becomes a block of equal ones (Darknet: src/upsample_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class UpsampleOptions(LayerOptions):
    """Keys of [upsample] with Darknet's defaults."""

    stride: int = 2     # s: (h, w) becomes (h s, w s); a negative one sums blocks of |s| x |s| pixels instead
    scale: float = 1.0  # multiplies every number


class Upsample(Layer):
    """(b, h, w, c) -> (b, h s, w s, c), out[y, x] = scale * x[y // s, x // s]; see kernels/upsample.py."""

    name = "upsample"
    Options = UpsampleOptions

    def __init__(self, options, sources, ops, *args):
        super().__init__(options, sources, ops, *args)
        self._how = abs(options.stride), options.scale, options.stride < 0

    def out_shape(self, *shapes):
        (h, w, c), (s, _, reverse) = shapes[0], self._how
        if s == 0:
            raise Misfit("stride=0 makes no picture: 2 doubles its width and height", "stride")
        if not reverse:
            return h * s, w * s, c
        if h % s or w % s:
            raise Misfit(f"stride={-s} must divide the {w} x {h} pixels: choose another network size", "stride")
        return h // s, w // s, c

    def forward(self, run):
        self.ops.upsample_forward(self.sources[0].out, self.out, *self._how)

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            self.ops.upsample_backward(self.grad, source.grad, *self._how, accumulate)
