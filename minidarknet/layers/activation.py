"""[activation]: a function of every number (Darknet: src/activation_layer.c)."""
from dataclasses import dataclass

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS
from minidarknet.layers.base import Layer, LayerOptions
from minidarknet.layers.nonlinearity import Nonlinearity


@dataclass(frozen=True, kw_only=True)
class ActivationOptions(LayerOptions):
    """Keys of [activation] with Darknet's defaults."""

    activation: str = "linear"  # which function

    CHOICES = {"activation": ACTIVATIONS}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS}


class Activation(Layer):
    """out = f(x) of every number; the functions are in kernels/activations.py."""

    name = "activation"
    Options = ActivationOptions
    overwrites = True

    def __init__(self, options, sources, ops, *args):
        super().__init__(options, sources, ops, *args)
        self.nonlinearity = Nonlinearity(options.activation)

    def allocate(self, batch, train):
        self.nonlinearity.allocate(self, batch, train)

    def forward(self, run):
        self.out[...] = self.sources[0].out
        self.nonlinearity.forward(self.ops, self.out)

    def backward(self, run):
        self.nonlinearity.backward(self.ops, self.out, self.grad)
        for _, source, accumulate in self.source_grads():
            if accumulate:
                source.grad += self.grad
            else:
                source.grad[...] = self.grad
