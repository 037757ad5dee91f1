"""[connected]: every output sees every number of the picture (Darknet: src/connected_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS
from minidarknet.layers.base import LayerOptions, Misfit, Stored
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.layers.weighted import Weighted

WHOLE = 1, 0, 1  # stride, padding and groups of a convolution that is a plain matrix product


@dataclass(frozen=True, kw_only=True)
class ConnectedOptions(LayerOptions):
    """Keys of [connected] with Darknet's defaults."""

    output: int = 1               # numbers that come out
    activation: str = "logistic"  # applied last
    batch_normalize: int = 0      # 1: normalise before the activation

    MINIMUM = {"output": 1}
    CHOICES = {"activation": ACTIVATIONS, "batch_normalize": (0, 1)}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS}


class Connected(Weighted):
    """out[b, f] = act(norm(sum over n of x[b, n] * weight[n, f])), x being the picture's numbers in Darknet's order.

    That is a convolution of size 1 on a picture of one pixel with n channels, and the same functions compute it; weight
    is held as (1, 1, n, f). norm is batch normalisation over the batch or the addition of bias (f,). out: (b, 1, 1, f).
    """

    name = "connected"
    Options = ConnectedOptions

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self.weight = None

    def out_shape(self, *shapes):
        inputs = int(np.prod(shapes[0]))
        if self.weight is not None and self.weight.shape[2] != inputs:
            raise Misfit(f"has weights for {self.weight.shape[2]} numbers, but the picture now has {inputs}: a network with "
                         "[connected] cannot change its size once it is built; set width and height in [net]")
        return 1, 1, self.options.output

    def build(self):
        o = self.options
        self.weight = np.zeros((1, 1, int(np.prod(self.sources[0].shape)), o.output), self.dtype)
        self.grad_weight = np.zeros(self.weight.shape, self.dtype)  # zeros_like would fill it: memory before its time
        self.make_norm(o.output)

    def initialise(self, rng):
        """Darknet's: uniform within sqrt(2 / inputs) of 0; bias 0, scale 1."""
        self.weight[...] = np.sqrt(2 / self.weight.shape[2]) * rng.uniform(-1, 1, self.weight.shape)

    @property
    def stored(self):
        n, weight = self.norm, Stored("weight", self.weight, "connected")
        if n is None:
            return [Stored("bias", self.bias), weight]
        return [Stored("bias", n.bias), weight, Stored("scale", n.scale), Stored("rolling_mean", n.rolling_mean),
                Stored("rolling_variance", n.rolling_variance)]

    def operations(self):
        return 2 * self.weight.size

    def convolve(self, z):
        """Write the matrix product, without bias, to z (b, 1, 1, f)."""
        self.x = self.buffer("x", (len(z), 1, 1, self.weight.shape[2]))
        self.x[:, 0, 0] = flatten(self.sources[0].out)
        self.ops.convolutional_forward(self.x, self.weight, z, *WHOLE)

    def backward_convolution(self, grad):
        """From grad (b, 1, 1, f), dL/dz, to grad_weight and the source's grad."""
        self.ops.convolutional_backward_weight(self.x, grad, self.grad_weight, *WHOLE)
        for _, source, accumulate in self.source_grads():
            flat = self.buffer("grad_x", self.x.shape)
            self.ops.convolutional_backward_data(grad, self.weight, flat, *WHOLE, False)
            grad_x = unflatten(flat[:, 0, 0], source.shape)
            if accumulate:
                source.grad += grad_x
            else:
                source.grad[...] = grad_x
