"""[batchnorm]: batch normalisation as a layer of its own (Darknet: src/batchnorm_layer.c).

The original Darknet neither trains such a section nor files its biases; we do both, in AlexeyAB's order.
"""
from minidarknet.layers.base import Layer, Stored
from minidarknet.layers.statistics import CONVERGED, Normalisation


class Batchnorm(Layer):
    """out = scale * (x - mean) / sqrt(variance + 1e-5) + bias, per channel of x (b, h, w, c)."""

    name = "batchnorm"
    overwrites = True

    def build(self):
        self.norm = Normalisation(self.shape[2], self.dtype)

    @property
    def params(self):
        return self.norm.params(self.options.learning_rate)

    @property
    def stored(self):
        n = self.norm
        return [Stored("bias", n.bias), Stored("scale", n.scale), Stored("rolling_mean", n.rolling_mean),
                Stored("rolling_variance", n.rolling_variance)]

    def loaded(self):
        """Weights came from a file: their rolling statistics are to be trusted as they are."""
        self.norm.updates = CONVERGED

    def forward(self, run):
        self.norm.forward(self.ops, self.sources[0].out, self.out, run)

    def backward(self, run):
        x = self.sources[0].out
        self.norm.backward(self.ops, x, self.grad, run)
        for _, source, accumulate in self.source_grads():
            if accumulate:
                source.grad += self.grad
            else:
                source.grad[...] = self.grad
