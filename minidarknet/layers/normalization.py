"""[normalization]: numbers in proportion to their neighbours along the channels (Darknet: src/normalization_layer.c).

Not the normalisation of a batch: that is statistics.py, for [batchnorm] and batch_normalize=1.
"""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class NormalizationOptions(LayerOptions):
    """Keys of [normalization] with Darknet's defaults."""

    alpha: float = .0001  # weight of the neighbours' squares
    beta: float = .75     # exponent
    kappa: float = 1.0    # what the sum begins with
    size: int = 5         # channels in a window

    MINIMUM = {"size": 1}


class Normalization(Layer):
    """out[k] = x[k] * (kappa + alpha * (sum of squares in the window of k - x[size // 2]^2))^-beta; see the kernels.

    x, out: (b, h, w, c). With strict_darknet_cpu the gradient is Darknet's, in which the sums are constants.
    """

    name = "normalization"
    Options = NormalizationOptions
    overwrites = True

    def out_shape(self, *shapes):
        o, c = self.options, shapes[0][2]
        if o.size // 2 > c:
            raise Misfit(f"size={o.size} needs {o.size // 2} channels at least, but there are {c}", "size")
        return shapes[0]

    def allocate(self, batch, train):
        self.norm = self.buffer("norm", (batch, *self.shape))

    def forward(self, run):
        o = self.options
        self.ops.normalization_forward(self.sources[0].out, self.norm, self.out, o.alpha, o.beta, o.kappa, o.size)

    def backward(self, run):
        o = self.options
        for _, source, accumulate in self.source_grads():
            if run.strict:
                self.ops.normalization_backward_darknet(self.norm, self.grad, source.grad, o.beta, accumulate)
            else:
                self.ops.normalization_backward(source.out, self.norm, self.grad, source.grad, o.alpha, o.beta, o.size,
                                                accumulate)
