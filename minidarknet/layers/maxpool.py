"""[maxpool]: the largest value of each window, per channel (Darknet: src/maxpool_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.planned import Planned


@dataclass(frozen=True, kw_only=True)
class MaxpoolOptions(LayerOptions):
    """Keys of [maxpool] with Darknet's defaults; -1 stands for the default that depends on another key."""

    stride: int = 1    # step of the window
    size: int = -1     # the window is size x size; default: stride
    padding: int = -1  # pixels added to each axis in TOTAL, not per side; default: size - 1

    LATER = ("maxpool_depth", "out_channels", "antialiasing", "stride_x", "stride_y")


class Maxpool(Layer):
    """out[b,oy,ox,c] = max of x over the window that starts at oy*stride - padding//2; outside counts as -infinity.

    out size = (in + padding - size) // stride + 1, so the default 2/2 halves and rounds up, and 2/1 keeps the size,
    looking one pixel to the right and below.
    """

    name = "maxpool"
    Options = MaxpoolOptions

    def __init__(self, options, sources, ops, *args):
        super().__init__(options, sources, ops, *args)
        self.size = options.stride if options.size == -1 else options.size
        self.padding = self.size - 1 if options.padding == -1 else options.padding
        self.planned = Planned()

    def window(self):
        return self.size, self.options.stride

    def out_shape(self, *shapes):
        h, w, c = shapes[0]
        stride = self.options.stride
        for key, found, least in (("stride", stride, 1), ("size", self.size, 1), ("padding", self.padding, 0)):
            if found < least:
                raise Misfit(f"{key}={found} must be at least {least}", key)
        if self.padding // 2 >= self.size:
            raise Misfit(f"padding={self.padding} leaves windows of size {self.size} wholly outside: "
                         f"use at most {2 * self.size - 1}", "padding")
        oh, ow = ((n + self.padding - self.size) // stride + 1 for n in (h, w))
        if oh < 1 or ow < 1:
            raise Misfit(f"size={self.size} does not fit into {w} x {h} pixels", "size")
        for n, on in ((h, oh), (w, ow)):
            if (on - 1) * stride - self.padding // 2 >= n:
                raise Misfit(f"padding={self.padding} makes the last window lie wholly outside the picture", "padding")
        return oh, ow, c

    def allocate(self, batch, train):
        self.planned.forget()
        self.winner = self.buffer("winner", (batch, *self.shape), dtype="int32")

    def forward(self, run):
        x, out, how = self.sources[0].out, self.out, (self.size, self.options.stride, self.padding // 2)
        if run.train or not self.plans:
            self.ops.maxpool_forward(x, out, self.winner, *how)
        else:
            self.planned.run(lambda: self.ops.maxpool_prediction(x, out, *how), x, out, *how)

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            self.ops.maxpool_backward(self.grad, self.winner, source.grad,
                                      self.size, self.options.stride, self.padding // 2, accumulate)
