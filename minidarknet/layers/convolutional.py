"""[convolutional]: cross-correlation, batch norm or bias, activation (Darknet: src/convolutional_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS, activation_code
from minidarknet.layers.base import LayerOptions, Misfit, Stored
from minidarknet.layers.planned import Planned
from minidarknet.layers.weight import Weight
from minidarknet.layers.weighted import Weighted


@dataclass(frozen=True, kw_only=True)
class ConvolutionalOptions(LayerOptions):
    """Keys of [convolutional] with Darknet's defaults."""

    filters: int = 1                # output channels
    size: int = 1                   # kernel is size x size
    stride: int = 1                 # step of the kernel in pixels
    pad: int = 0                    # 1: pad by size // 2 on every side, whatever `padding` says
    padding: int = 0                # zero pixels on every side
    groups: int = 1                 # channels and filters are split into this many independent parts
    activation: str = "logistic"    # applied last
    batch_normalize: int = 0        # 1: normalise before the activation
    binary: int = 0                 # binary weights
    xnor: int = 0                   # binary weights and input
    flipped: int = 0                # weights of old files, transposed
    dilation: int = 1               # AlexeyAB: distance between the kernel's taps
    dot: int = 0                    # never used
    algorithm: str = "auto"         # minidarknet's own: how the engine convolves (see engine/algorithm.py)

    IGNORED = ("dot",)
    MINIMUM = {"padding": 0}
    LATER = ("stride_x", "stride_y", "antialiasing", "share_index")
    CHOICES = {"activation": ACTIVATIONS, "batch_normalize": (0, 1), "binary": (0,), "xnor": (0,), "flipped": (0,),
               "dilation": (1,), "algorithm": ("auto", "direct", "winograd")}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS, "batch_normalize": (2,), "binary": (1,), "xnor": (1,),
                     "flipped": (1,), "dilation": tuple(range(2, 64))}


class Convolutional(Weighted):
    """out[b,oy,ox,f] = act(norm(sum over ky,kx,c of x[b, oy*s+ky-p, ox*s+kx-p, c] * weight[ky,kx,c,f])).

    weight: (k, k, c / groups, f). norm is batch normalisation or the addition of bias (f,).
    """

    name = "convolutional"
    Options = ConvolutionalOptions

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self.pad = options.size // 2 if options.pad else options.padding
        self.planned = Planned()

    @property
    def takes_parts(self):
        """Whether it computes the same bits where its source's pixels lie apart in memory: with one tap, or by Winograd.

        A direct convolution adds up its window row by row where a row is one run of numbers, else pixel by pixel. Winograd
        takes over at 16 channels (engine/algorithm.py); not always on grids below 7 x 7, where a last digit may differ.
        """
        o = self.options
        many = min(self.sources[0].shape[2], o.filters) >= 16 or o.algorithm == "winograd"
        by_winograd = (o.size, o.stride, self.pad, o.groups) == (3, 1, 1, 1) and many and o.algorithm != "direct"
        return o.size == 1 or by_winograd

    @property
    def margin(self):
        return self.pad

    @property
    def overwrites(self):
        """Darknet multiplies matrices of size 1 straight into the gradient; larger ones take a detour that adds to it."""
        return self.options.size == 1

    @property
    def grad_margin(self):
        return max(self.options.size - 1 - self.pad, 0)

    def window(self):
        return self.options.size, self.options.stride

    def out_shape(self, *shapes):
        (h, w, c), o = shapes[0], self.options
        for key, found in (("filters", o.filters), ("size", o.size), ("stride", o.stride), ("groups", o.groups)):
            if found < 1:
                raise Misfit(f"{key}={found} must be at least 1", key)
        if c % o.groups or o.filters % o.groups:
            raise Misfit(f"groups={o.groups} must divide both the {c} input channels and filters={o.filters}", "groups")
        oh, ow = ((n + 2 * self.pad - o.size) // o.stride + 1 for n in (h, w))
        if oh < 1 or ow < 1:
            raise Misfit(f"size={o.size} does not fit into {w} x {h} pixels with padding {self.pad}: "
                         "enlarge the network's width and height or lower the size", "size")
        return oh, ow, o.filters

    def build(self):
        o = self.options
        shape = (o.size, o.size, self.sources[0].shape[2] // o.groups, o.filters)
        self._weight = Weight(shape, self.dtype)
        self.grad_weight = np.zeros(shape, self.dtype)
        self.make_norm(o.filters)

    def initialise(self, rng):
        """He's: normal with variance 2 / fan-in; bias 0, scale 1 (as the original Darknet; AlexeyAB's is uniform)."""
        weight = self.weight
        weight[...] = rng.standard_normal(weight.shape, np.float32) * np.sqrt(2 / weight[..., 0].size)

    @property
    def weight(self):
        """(k, k, c / groups, f), to be read and written."""
        return self._weight.array

    @weight.setter
    def weight(self, values):
        """Copy values (k, k, c / groups, f) into the weights."""
        self._weight.array[...] = values

    @property
    def stored(self):
        weight = Stored("weight", self.weight, "kkcf")
        if self.norm is None:
            return [Stored("bias", self.bias), weight]
        n = self.norm
        return [Stored("bias", n.bias), Stored("scale", n.scale), Stored("rolling_mean", n.rolling_mean),
                Stored("rolling_variance", n.rolling_variance), weight]

    def operations(self):
        oh, ow, f = self.shape
        return 2 * f * self.options.size ** 2 * self.sources[0].shape[2] // self.options.groups * oh * ow

    def convolve(self, z):
        """Write the convolution of the source's out, without bias, to z (b, oh, ow, f)."""
        self.ops.convolutional_forward(self.sources[0].out, self.weight, z, *self._how, **self._choice)

    def convolve_measuring(self, z):
        """The same, and the batch's mean and variance of z into `norm`, on the way. Only with the engine."""
        self.ops.convolutional_measure(self.sources[0].out, self.weight, z, *self._how, self.norm.mean,
                                       self.norm.variance, **self._choice)

    def predict(self, out, pool=False, added=None, sum_kind=activation_code("linear")):
        """act(norm(convolution)) with the rolling statistics, or the largest of each 2 x 2 of it, or a sum with it, to out.

        out (b, oh, ow, f), or (b, ceil(oh / 2), ceil(ow / 2), f) with pool; pool bool; added, sum_kind: an array laid out as
        out, and the number of the function of the sum: out = act2(act(norm(convolution)) + added). Only with the engine.
        """
        x, norm = self.sources[0].out, self.norm.rolling if self.norm else (None, self.bias, None, None, 0.0)
        weight = self._weight.for_prediction(self.ops) if self.options.groups == 1 else self.weight
        kind = self.nonlinearity.code

        def decide():
            return self.ops.convolutional_prediction(x, weight, norm, kind, pool, out, *self._how, **self._choice,
                                                     added=added, sum_kind=sum_kind)

        self.planned.run(decide, x, out, added, *norm, self.options, kind, pool, sum_kind, self._weight.moves)

    def backward_convolution(self, grad):
        """From grad (b, oh, ow, f), dL/dz inside grad_margin zeros, to grad_weight and the source's grad."""
        self.ops.convolutional_backward_weight(self.sources[0].out, grad, self.grad_weight, *self._how, **self._choice)
        for _, source, accumulate in self.source_grads():
            self.ops.convolutional_backward_data(grad, self.weight, source.grad, *self._how, accumulate, **self._choice)

    @property
    def _how(self):
        """(stride, pad, groups), as every convolution takes them."""
        return self.options.stride, self.pad, self.options.groups

    @property
    def _choice(self):
        """The engine's convolutions can be told the algorithm; there is only one in the kernels."""
        return {"algorithm": self.options.algorithm} if getattr(self.ops, "CHOOSES", False) else {}
