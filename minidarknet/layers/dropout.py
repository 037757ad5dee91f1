"""[dropout]: in training, zero a random share of the numbers and scale up the rest (Darknet: src/dropout_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class DropoutOptions(LayerOptions):
    """Keys of [dropout] with Darknet's defaults."""

    probability: float = 0.5  # share of the numbers that become zero

    LATER = ("dropblock", "dropblock_size_rel", "dropblock_size_abs")


class Dropout(Layer):
    """out = x * keep / (1 - probability) in training, keep being 0 or 1 at random; out = x in prediction.

    Darknet drops in place, so that a route to the layer before sees dropped values; ours leaves its source alone.
    """

    name = "dropout"
    Options = DropoutOptions

    def out_shape(self, *shapes):
        if not 0 <= self.options.probability < 1:
            raise Misfit(f"probability={self.options.probability} must lie in [0, 1)", "probability")
        return shapes[0]

    def allocate(self, batch, train):
        self.keep = self.buffer("keep", (batch, *self.shape), dtype="uint8")

    def forward(self, run):
        p = self.options.probability if run.train else 0.0
        self.scale = 1 / (1 - p)
        self.keep[...] = 1 if p == 0 else run.rng.random(self.keep.shape, dtype="float32") >= p
        self.ops.dropout_forward(self.sources[0].out, self.keep, self.scale, self.out)

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            self.ops.dropout_backward(self.grad, self.keep, self.scale, source.grad, accumulate)
