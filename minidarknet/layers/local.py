"""[local]: a convolution whose every output pixel has weights of its own (Darknet: src/local_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS
from minidarknet.layers.base import Layer, LayerOptions, Misfit, Param, Stored
from minidarknet.layers.nonlinearity import Nonlinearity


@dataclass(frozen=True, kw_only=True)
class LocalOptions(LayerOptions):
    """Keys of [local] with Darknet's defaults."""

    filters: int = 1                # output channels
    size: int = 1                   # window is size x size
    stride: int = 1                 # step of the window in pixels
    pad: int = 0                    # zero pixels on every side: 0, or half the window
    activation: str = "logistic"    # applied last

    CHOICES = {"activation": ACTIVATIONS}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS}
    MINIMUM = {"filters": 1, "size": 1, "stride": 1, "pad": 0}


class Local(Layer):
    """out[b,oy,ox,f] = act(bias[oy,ox,f] + sum over ky,kx,c of x[b, oy*s+ky-p, ox*s+kx-p, c] * weight[oy,ox,ky,kx,c,f]).

    weight: (oh, ow, k, k, c, f). bias: (oh, ow, f).
    """

    name = "local"
    Options = LocalOptions

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self.nonlinearity = Nonlinearity(options.activation)
        self.weight = None

    def window(self):
        return self.options.size, self.options.stride

    def out_shape(self, *shapes):
        (h, w, _), o = shapes[0], self.options
        if o.pad and o.size != 2 * o.pad + 1:
            possible = f"set pad={o.size // 2}, or 0" if o.size % 2 and o.size > 1 else "only pad=0 is possible"
            raise Misfit(f"pad={o.pad} is a number of pixels here and must be half the window: for size={o.size} {possible}",
                         "pad")
        oh, ow = ((n + 2 * o.pad - o.size) // o.stride + 1 for n in (h, w))
        if oh < 1 or ow < 1:
            raise Misfit(f"size={o.size} does not fit into {w} x {h} pixels with padding {o.pad}: "
                         "enlarge the network's width and height or lower the size", "size")
        if self.weight is not None and self.weight.shape[:2] != (oh, ow):
            raise Misfit(f"has weights for {self.weight.shape[1]} x {self.weight.shape[0]} pixels, but there are now "
                         f"{ow} x {oh}: a network with [local] cannot change its size once it is built; set width and "
                         "height in [net]")
        return oh, ow, o.filters

    def build(self):
        oh, ow, f = self.shape
        k = self.options.size
        self.weight = np.zeros((oh, ow, k, k, self.sources[0].shape[2], f), self.dtype)
        self.bias = np.zeros(self.shape, self.dtype)
        self.grad_weight, self.grad_bias = np.zeros(self.weight.shape, self.dtype), np.zeros(self.shape, self.dtype)

    def initialise(self, rng):
        """Uniform within sqrt(2 / fan-in) of 0; bias 0 (Darknet draws the first pixel's only and leaves 0 in the others)."""
        limit = np.sqrt(2 / self.weight[0, 0, ..., 0].size)
        for row in self.weight:
            row[...] = limit * (2 * rng.random(row.shape, np.float32) - 1)

    @property
    def params(self):
        rate = self.options.learning_rate
        return [Param("bias", self.bias, self.grad_bias, False, rate),
                Param("weight", self.weight, self.grad_weight, True, rate)]

    @property
    def stored(self):
        return [Stored("bias", self.bias, "hwc"), Stored("weight", self.weight, "local")]

    def operations(self):
        return 2 * self.weight.size

    def allocate(self, batch, train):
        self.nonlinearity.allocate(self, batch, train)

    def forward(self, run):
        o = self.options
        self.ops.local_forward(self.sources[0].out, self.weight, self.bias, self.out, o.stride, o.pad)
        self.nonlinearity.forward(self.ops, self.out)

    def backward(self, run):
        o, grad = self.options, self.grad
        self.nonlinearity.backward(self.ops, self.out, grad)
        self.ops.local_backward_weight(self.sources[0].out, grad, self.grad_weight, self.grad_bias, o.stride, o.pad)
        for _, source, accumulate in self.source_grads():
            self.ops.local_backward_data(grad, self.weight, source.grad, o.stride, o.pad, accumulate)
