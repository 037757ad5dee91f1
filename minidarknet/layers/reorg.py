"""[reorg]: the paper's passthrough in Darknet's own order, not space-to-depth (Darknet: src/reorg_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class ReorgOptions(LayerOptions):
    """Keys of [reorg] with Darknet's defaults."""

    stride: int = 1   # s: (h, w, c) becomes (h / s, w / s, c * s * s)
    reverse: int = 0  # 1: the other way round
    flatten: int = 0  # 1: channel-first to channel-last
    extra: int = 0    # zeros to append

    CHOICES = {"reverse": (0, 1), "flatten": (0,), "extra": (0,)}
    LATER_CHOICES = {"flatten": (1,)}


class Reorg(Layer):
    """(b, h, w, c) -> (b, h/s, w/s, c*s*s): a fixed permutation of each picture's numbers; see kernels/reorg.py."""

    name = "reorg"
    Options = ReorgOptions
    overwrites = True

    def window(self):
        return (1, 1) if self.options.reverse else (self.options.stride, self.options.stride)

    def out_shape(self, *shapes):
        (h, w, c), s = shapes[0], self.options.stride
        if s < 1:
            raise Misfit(f"stride={s} must be at least 1", "stride")
        if c % (s * s):
            raise Misfit(f"stride={s} needs a multiple of {s * s} channels, but there are {c}", "stride")
        if self.options.reverse:
            return h * s, w * s, c // (s * s)
        if h % s or w % s:
            raise Misfit(f"stride={s} must divide the {w} x {h} pixels: choose another network size", "stride")
        return h // s, w // s, c * s * s

    def forward(self, run):
        self.ops.reorg_forward(self.sources[0].out, self.out, self.options.stride, bool(self.options.reverse))

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            self.ops.reorg_backward(self.grad, source.grad, self.options.stride, bool(self.options.reverse), accumulate)
