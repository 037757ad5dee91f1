"""What [convolutional] and [connected] share: a product with weights, then batch norm or bias, then an activation."""
import numpy as np

from minidarknet.layers.base import Layer, Param
from minidarknet.layers.nonlinearity import Nonlinearity
from minidarknet.layers.statistics import CONVERGED, Normalisation


class Weighted(Layer):
    """out = act(norm(z)), z = the sources' numbers times weights; norm normalises the batch or adds bias.

    Abstract: subclasses are final, say how z is made (`convolve`, `backward_convolution`), and hold `weight` and
    `grad_weight`, arrays of one shape. Their options have activation and batch_normalize.
    """

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self.nonlinearity = Nonlinearity(options.activation)
        self.norm = None
        self.z = None  # before normalisation, kept for the backward pass

    def convolve(self, z):
        """Write the sources' numbers times weights, without bias, to z (b, oh, ow, f)."""
        raise NotImplementedError

    def backward_convolution(self, grad):
        """From grad (b, oh, ow, f), dL/dz, to grad_weight (accumulated) and the source's grad."""
        raise NotImplementedError

    def make_norm(self, filters):
        """Make the arrays behind the product: a Normalisation of `filters` (int) numbers, or their bias."""
        if self.options.batch_normalize:
            self.norm = Normalisation(filters, self.dtype)
        else:
            self.bias, self.grad_bias = np.zeros(filters, self.dtype), np.zeros(filters, self.dtype)

    @property
    def params(self):
        rate = self.options.learning_rate
        others = self.norm.params(rate) if self.norm else [Param("bias", self.bias, self.grad_bias, False, rate)]
        return [*others, Param("weight", self.weight, self.grad_weight, True, rate)]

    def loaded(self):
        """Weights came from a file: their rolling statistics are to be trusted as they are."""
        if self.norm:
            self.norm.updates = CONVERGED

    def allocate(self, batch, train):
        self.z = self.buffer("z", (batch, *self.shape)) if train and self.norm else None
        self.nonlinearity.allocate(self, batch, train)

    def forward(self, run):
        z = self.z if run.train and self.norm else self.out
        self.convolve(z)
        if self.norm:
            self.norm.forward(self.ops, z, self.out, run)
        else:
            self.ops.bias_forward(self.out, self.bias)
        self.nonlinearity.forward(self.ops, self.out)

    def backward(self, run):
        grad = self.grad
        self.nonlinearity.backward(self.ops, self.out, grad)
        if self.norm:
            self.norm.backward(self.ops, self.z, grad, run)
        else:
            self.ops.bias_backward(grad, self.grad_bias)
        self.backward_convolution(grad)
