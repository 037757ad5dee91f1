"""[shortcut]: the previous layer's output plus that of earlier ones (Darknet: src/shortcut_layer.c)."""
from dataclasses import dataclass

from minidarknet.activations import ACTIVATIONS, LATER_ACTIVATIONS
from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.nonlinearity import Nonlinearity


@dataclass(frozen=True, kw_only=True)
class ShortcutOptions(LayerOptions):
    """Keys of [shortcut] with Darknet's defaults."""

    from_: tuple[int, ...] = ()  # which layers are added (AlexeyAB: several); negative numbers count back from this section
    activation: str = "linear"   # applied to the sum
    alpha: float = 1.0           # multiplies the previous layer's output where the two meet
    beta: float = 1.0            # multiplies the added ones

    REQUIRED = ("from",)
    LATER = {"weights_type": "none", "weights_normalization": "none"}
    CHOICES = {"activation": ACTIVATIONS}
    LATER_CHOICES = {"activation": LATER_ACTIVATIONS}


class Shortcut(Layer):
    """out = act(alpha * x + beta * source), x being the previous layer's out; see kernels/shortcut.py for sizes that differ.

    Further sources of the same size are added after that, times beta. sources: [previous, *from].
    """

    name = "shortcut"
    Options = ShortcutOptions

    def __init__(self, options, sources, ops, *args):
        super().__init__(options, sources, ops, *args)
        self.nonlinearity = Nonlinearity(options.activation)
        self._factors = self.dtype.type(options.alpha), self.dtype.type(options.beta)

    @classmethod
    def source_indices(cls, options, index):
        indices = [n if n >= 0 else index + n for n in options.from_]
        for written, found in zip(options.from_, indices):
            if not 0 <= found < index:
                raise Misfit(f"from={written} leads to layer {found}, but only layers 0 to {index - 1} stand above this "
                             "section", "from")
        return [index - 1, *indices]

    def out_shape(self, *shapes):
        (h, w, c), (h2, w2, _), *others = shapes
        for source, other in zip(self.sources[2:], others):
            if other != (h, w, c) or (h2, w2) != (h, w):
                raise Misfit(f"adds several layers: layer {source.index} of {other[1]} x {other[0]} x {other[2]} and layer "
                             f"{self.sources[0].index} of {w} x {h} x {c} must have the same size", "from")
        if (h // h2, h2 // h) != (w // w2, w2 // w):
            raise Misfit(f"adds layer {self.sources[1].index} of {w2} x {h2} pixels to {w} x {h}: width and height must "
                         "differ by the same factor", "from")
        return h, w, c

    def allocate(self, batch, train):
        self.nonlinearity.allocate(self, batch, train)

    def forward(self, run):
        (alpha, beta), (x, *others) = self._factors, (source.out for source in self.sources)
        for other in others:
            self.ops.shortcut_forward(x, other, self.out, alpha, beta)
            x, alpha = self.out, self.dtype.type(1)
        self.nonlinearity.forward(self.ops, self.out)

    def backward(self, run):
        self.nonlinearity.backward(self.ops, self.out, self.grad)
        (alpha, beta), other = self._factors, self.sources[1]
        for i, source, accumulate in self.source_grads():
            if i == 0:
                self.ops.shortcut_backward_x(self.grad, other.out, source.grad, alpha, run.strict, accumulate)
            else:
                self.ops.shortcut_backward_source(self.grad, source.grad, beta, accumulate)
