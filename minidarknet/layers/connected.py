"""[connected]: every output sees every number of the picture (Darknet: src/connected_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS, activation_code
from minidarknet.layers.base import Layer, LayerOptions, Misfit, Param, Stored
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.layers.normalisation import CONVERGED, Normalisation

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


class Connected(Layer):
    """out[b, f] = act(norm(sum over n of x[b, n] * weight[n, f])), x being the picture's numbers in Darknet's order.

    That is a convolution of size 1 on a picture of one pixel with n channels, and the same functions compute it; weight
    is held as (1, 1, n, f). norm is batch normalisation over the batch or the addition of bias (f,). out: (b, 1, 1, f).
    """

    name = "connected"
    Options = ConnectedOptions

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self.activation = activation_code(options.activation)
        self.norm = self.weight = None
        self.z = None  # before normalisation, kept for the backward pass

    def out_shape(self, *shapes):
        inputs = int(np.prod(shapes[0]))
        if self.weight is not None and self.weight.shape[2] != inputs:
            raise Misfit(f"has weights for {self.weight.shape[2]} numbers, but the picture now has {inputs}: a network with "
                         "[connected] cannot change its size once it is built; set width and height in [net]")
        return 1, 1, self.options.output

    def build(self):
        o = self.options
        self.weight = np.zeros((1, 1, int(np.prod(self.sources[0].shape)), o.output), self.dtype)
        self.grad_weight = np.zeros_like(self.weight)
        if o.batch_normalize:
            self.norm = Normalisation(o.output, self.dtype)
        else:
            self.bias, self.grad_bias = np.zeros(o.output, self.dtype), np.zeros(o.output, self.dtype)

    def initialise(self, rng):
        """Darknet's: uniform within sqrt(2 / inputs) of 0; bias 0, scale 1."""
        self.weight[...] = np.sqrt(2 / self.weight.shape[2]) * rng.uniform(-1, 1, self.weight.shape)

    @property
    def params(self):
        rate = self.options.learning_rate
        others = self.norm.params(rate) if self.norm else [Param("bias", self.bias, self.grad_bias, False, rate)]
        return [*others, Param("weight", self.weight, self.grad_weight, True, rate)]

    @property
    def stored(self):
        n, weight = self.norm, Stored("weight", self.weight, "connected")
        if n is None:
            return [Stored("bias", self.bias), weight]
        return [Stored("bias", n.bias), weight, Stored("scale", n.scale), Stored("rolling_mean", n.rolling_mean),
                Stored("rolling_variance", n.rolling_variance)]

    def loaded(self):
        """Weights came from a file: their rolling statistics are to be trusted as they are."""
        if self.norm:
            self.norm.updates = CONVERGED

    def operations(self):
        return 2 * self.weight.size

    def allocate(self, batch, train):
        flat = (batch, 1, 1, self.weight.shape[2])
        self.x = self.buffer("x", flat)
        self.grad_x = self.buffer("grad_x", flat) if train else None
        self.z = self.buffer("z", (batch, *self.shape)) if train and self.norm else None

    def forward(self, run):
        z = self.z if run.train and self.norm else self.out
        self.x[:, 0, 0] = flatten(self.sources[0].out)
        self.ops.convolutional_forward(self.x, self.weight, z, *WHOLE)
        if self.norm:
            self.norm.forward(self.ops, z, self.out, run)
        else:
            self.ops.bias_forward(self.out, self.bias)
        self.ops.activation_forward(self.out, self.activation)

    def backward(self, run):
        grad = self.grad
        self.ops.activation_backward(self.out, grad, self.activation)
        if self.norm:
            self.norm.backward(self.ops, self.z, grad, run)
        else:
            self.ops.bias_backward(grad, self.grad_bias)
        self.ops.convolutional_backward_weight(self.x, grad, self.grad_weight, *WHOLE)
        for _, source, accumulate in self.source_grads():
            self.ops.convolutional_backward_data(grad, self.weight, self.grad_x, *WHOLE, False)
            grad_x = unflatten(self.grad_x[:, 0, 0], source.shape)
            if accumulate:
                source.grad += grad_x
            else:
                source.grad[...] = grad_x
