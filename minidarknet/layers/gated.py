"""What [scale_channels] and [sam] share: the picture of an earlier layer times a gate, the previous layer's output."""
from dataclasses import dataclass

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS
from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.nonlinearity import Nonlinearity


@dataclass(frozen=True, kw_only=True)
class GatedOptions(LayerOptions):
    """Keys that the sections share, with Darknet's defaults."""

    from_: int = 0               # the layer whose output is multiplied; a negative number counts back from this section
    activation: str = "linear"   # applied to the product

    REQUIRED = ("from",)
    CHOICES = {"activation": ACTIVATIONS}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS}


class Gated(Layer):
    """out = act(picture * gate); see kernels/scale_channels.py. sources: [gate, picture], out having the picture's shape.

    Abstract: subclasses are final and say which shape of the gate they expect.
    """

    def __init__(self, options, sources, ops, *args):
        super().__init__(options, sources, ops, *args)
        self.nonlinearity = Nonlinearity(options.activation)

    def gate_shape(self, h, w, c):
        """(shape that the gate must have for a picture of h x w x c, how an error message calls it)."""
        raise NotImplementedError

    @classmethod
    def source_indices(cls, options, index):
        found = options.from_ if options.from_ >= 0 else index + options.from_
        if not 0 <= found < index:
            raise Misfit(f"from={options.from_} leads to layer {found}, but only layers 0 to {index - 1} stand above this "
                         "section", "from")
        return [index - 1, found]

    def out_shape(self, *shapes):
        gate, (h, w, c) = shapes
        expected, what = self.gate_shape(h, w, c)
        if gate != expected:
            raise Misfit(f"multiplies layer {self.sources[1].index} of {w} x {h} x {c} by layer {self.sources[0].index} of "
                         f"{gate[1]} x {gate[0]} x {gate[2]}: expected {what}", "from")
        return h, w, c

    def allocate(self, batch, train):
        self.nonlinearity.allocate(self, batch, train)

    def forward(self, run):
        gate, picture = (source.out for source in self.sources)
        self.ops.scale_channels_forward(picture, gate, self.out)
        self.nonlinearity.forward(self.ops, self.out)

    def backward(self, run):
        self.nonlinearity.backward(self.ops, self.out, self.grad)
        gate, picture = (source.out for source in self.sources)
        for i, source, accumulate in self.source_grads():
            if i == 0:
                self.ops.scale_channels_backward_gate(self.grad, picture, source.grad, accumulate)
            else:
                self.ops.scale_channels_backward_x(self.grad, gate, source.grad, accumulate)
