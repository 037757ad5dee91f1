"""[reorg]: the paper's passthrough in Darknet's own order, not space-to-depth (Darknet: src/reorg_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.flat import flatten, unflatten


@dataclass(frozen=True, kw_only=True)
class ReorgOptions(LayerOptions):
    """Keys of [reorg] with Darknet's defaults."""

    stride: int = 1   # s: (h, w, c) becomes (h / s, w / s, c * s * s)
    reverse: int = 0  # 1: the other way round
    flatten: int = 0  # 1: instead, channels go from first to last, and with reverse from last to first
    extra: int = 0    # instead, append so many zeros

    CHOICES = {"reverse": (0, 1), "flatten": (0, 1)}
    MINIMUM = {"extra": 0}

    def problem(self):
        """(key, message) of keys of which Darknet heeds one for the numbers and another for their count."""
        if self.extra and (self.flatten or self.reverse or self.stride != 1):
            return "extra", f"extra={self.extra} appends zeros and does nothing else: drop stride, reverse and flatten"


class Reorg(Layer):
    """(b, h, w, c) -> (b, h/s, w/s, c*s*s): a fixed permutation of each picture's numbers; see kernels/reorg.py.

    With flatten=1 it is another one: Darknet's planes (c, h, w) are written as (h, w, c), and read as planes again.
    With extra=n the numbers of a picture, in Darknet's order, and then n zeros: (b, 1, 1, h*w*c + n).
    """

    name = "reorg"
    Options = ReorgOptions
    overwrites = True

    def window(self):
        return (1, 1) if self.options.reverse else (self.options.stride, self.options.stride)

    def out_shape(self, *shapes):
        (h, w, c), s = shapes[0], self.options.stride
        if self.options.extra:
            return 1, 1, h * w * c + self.options.extra
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
        o, x = self.options, self.sources[0].out
        if o.extra:
            self.out[:, 0, 0] = np.pad(flatten(x), ((0, 0), (0, o.extra)))
        elif o.flatten:
            turn = channels_first if o.reverse else channels_last
            self.out[...] = unflatten(turn(flatten(x), x.shape[1:]), self.shape)
        else:
            self.ops.reorg_forward(x, self.out, o.stride, bool(o.reverse))

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            o, shape = self.options, source.shape
            if not (o.extra or o.flatten):
                self.ops.reorg_backward(self.grad, source.grad, o.stride, bool(o.reverse), accumulate)
                continue
            rows = flatten(self.grad)
            if o.flatten:  # a permutation: its inverse
                rows = (channels_last if o.reverse else channels_first)(rows, shape)
            grad_x = unflatten(rows[:, :int(np.prod(shape))], shape)
            if accumulate:
                source.grad += grad_x
            else:
                source.grad[...] = grad_x


def channels_last(rows, shape):
    """Rows (b, n) of planes (c, h, w) -> the same numbers, pixel by pixel (h, w, c). shape: (h, w, c)."""
    return unflatten(rows, shape).reshape(len(rows), -1)


def channels_first(rows, shape):
    """The inverse of `channels_last`: rows (b, n) by pixel -> by plane. shape: (h, w, c)."""
    return flatten(rows.reshape(len(rows), *shape))
