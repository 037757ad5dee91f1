"""[shortcut]: the previous layer's output plus an earlier one's (Darknet: src/shortcut_layer.c)."""
from dataclasses import dataclass

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS, activation_code
from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class ShortcutOptions(LayerOptions):
    """Keys of [shortcut] with Darknet's defaults."""

    from_: int = 0               # which layer is added; a negative number counts back from this section
    activation: str = "linear"   # applied to the sum
    alpha: float = 1.0           # multiplies the previous layer's output where the two meet
    beta: float = 1.0            # multiplies the added one

    REQUIRED = ("from",)
    LATER = {"weights_type": "none", "weights_normalization": "none"}
    CHOICES = {"activation": ACTIVATIONS}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS}


class Shortcut(Layer):
    """out = act(alpha * x + beta * source), x being the previous layer's out; see kernels/shortcut.py for sizes that differ.

    sources: [previous, from].
    """

    name = "shortcut"
    Options = ShortcutOptions

    def __init__(self, options, sources, ops, *args):
        super().__init__(options, sources, ops, *args)
        self.activation = activation_code(options.activation)
        self._factors = self.dtype.type(options.alpha), self.dtype.type(options.beta)

    @classmethod
    def source_indices(cls, options, index):
        found = options.from_ if options.from_ >= 0 else index + options.from_
        if not 0 <= found < index:
            raise Misfit(f"from={options.from_} leads to layer {found}, but only layers 0 to {index - 1} stand above this "
                         "section", "from")
        return [index - 1, found]

    def out_shape(self, *shapes):
        (h, w, c), (h2, w2, _) = shapes
        if (h // h2, h2 // h) != (w // w2, w2 // w):
            raise Misfit(f"adds layer {self.sources[1].index} of {w2} x {h2} pixels to {w} x {h}: width and height must "
                         "differ by the same factor", "from")
        return h, w, c

    def forward(self, run):
        self.ops.shortcut_forward(self.sources[0].out, self.sources[1].out, self.out, *self._factors)
        self.ops.activation_forward(self.out, self.activation)

    def backward(self, run):
        self.ops.activation_backward(self.out, self.grad, self.activation)
        (alpha, beta), other = self._factors, self.sources[1]
        for i, source, accumulate in self.source_grads():
            if i == 0:
                self.ops.shortcut_backward_x(self.grad, other.out, source.grad, alpha, run.strict, accumulate)
            else:
                self.ops.shortcut_backward_source(self.grad, source.grad, beta, accumulate)
