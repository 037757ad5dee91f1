"""What a batch-normalised layer remembers: scale, bias, batch and rolling statistics (paper: Better, batch normalization).

Used by [convolutional] with batch_normalize=1 and by [batchnorm].
"""
import numpy as np

from minidarknet.layers.base import Param

EPSILON = 1e-5            # inside the root, as Darknet's GPU build
DARKNET_CPU_EPSILON = 1e-6  # outside the root, as Darknet's CPU build
ROLLING_RATE = 0.01       # share of the newest batch in the rolling averages
CONVERGED = 1 << 30       # number of updates after which the bias correction is exactly 1


class Normalisation:
    """out = scale * (x - mean) / sqrt(variance + 1e-5) + bias, per channel.

    Training uses the batch's mean and biased variance, prediction the rolling averages. Those average the batch's mean
    and unbiased variance with weights .99^age, corrected for the short history of a young net: after t batches the
    newest one weighs .01 / (1 - .99^t), which equals Adam's division of the raw average by 1 - .99^t. Darknet
    leaves the correction out and starts at 0, so its nets need hundreds of batches before they can predict.

    channels: c. All arrays are (c,) of `dtype`. updates: t; CONVERGED after loading from a file.
    """

    def __init__(self, channels, dtype):
        self.scale = np.ones(channels, dtype)
        self.bias = np.zeros(channels, dtype)
        self.rolling_mean = np.zeros(channels, dtype)
        self.rolling_variance = np.ones(channels, dtype)
        self.updates = 0
        self.grad_scale = np.zeros(channels, dtype)
        self.grad_bias = np.zeros(channels, dtype)
        self.mean = np.zeros(channels, dtype)
        self.variance = np.zeros(channels, dtype)
        self.inverse = np.zeros(channels, dtype)

    def params(self, rate):
        """[Param] scale and bias; neither decays. rate: the layer's learning-rate factor."""
        return [Param("bias", self.bias, self.grad_bias, False, rate),
                Param("scale", self.scale, self.grad_scale, False, rate)]

    def forward(self, ops, x, out, run):
        """x (b, h, w, c) -> out, written (may be x itself when not training). Updates the rolling averages in training."""
        if run.train:
            ops.batchnorm_statistics(x, self.mean, self.variance)
            self.follow(x[..., 0].size, run)
        ops.batchnorm_forward(x, self._choose(run), self.inverse, self.scale, self.bias, out)

    @property
    def rolling(self):
        """(scale, bias, rolling mean, rolling variance, epsilon): what prediction normalises with."""
        return self.scale, self.bias, self.rolling_mean, self.rolling_variance, EPSILON

    def fold(self, run):
        """(factor, shift), new (c,) arrays, of the same function: out = factor * x + shift; for training and exports.

        In training the batch's `mean` and `variance` must have been measured and followed before.
        """
        mean = self._choose(run)
        factor = self.scale * self.inverse
        return factor, self.bias - mean * factor

    def backward(self, ops, x, grad, run):
        """grad (b, h, w, c) dL/dout -> dL/dx in place; grad_scale and grad_bias are accumulated."""
        if run.strict:
            ops.batchnorm_backward_darknet(x, self.mean, self.variance, self.inverse, self.scale,
                                           grad, self.grad_scale, self.grad_bias, grad)
        else:
            ops.batchnorm_backward(x, self.mean, self.inverse, self.scale, grad, self.grad_scale, self.grad_bias, grad)

    def follow(self, count, run):
        """Let the rolling averages follow the batch, whose `mean` and biased `variance` of `count` numbers are known."""
        unbiased = self.variance * (count / max(count - 1, 1))
        if run.strict:
            if self.updates == 0:
                self.rolling_variance[:] = 0  # Darknet's starting value
            rate = ROLLING_RATE
            self.variance[:] = unbiased
        else:
            rate = ROLLING_RATE / (1 - (1 - ROLLING_RATE) ** min(self.updates + 1, CONVERGED))
        self.rolling_mean += self.dtype_of(rate) * (self.mean - self.rolling_mean)
        self.rolling_variance += self.dtype_of(rate) * (unbiased - self.rolling_variance)
        self.updates = min(self.updates + 1, CONVERGED)

    def dtype_of(self, number):
        """`number` in the precision of the statistics."""
        return self.rolling_mean.dtype.type(number)

    def _choose(self, run):
        """The mean to normalise with, the batch's or the rolling one; its variance goes into `inverse`."""
        mean, variance = (self.mean, self.variance) if run.train else (self.rolling_mean, self.rolling_variance)
        if run.strict:
            self.inverse[:] = 1 / (np.sqrt(variance) + self.dtype_of(DARKNET_CPU_EPSILON))
        else:
            self.inverse[:] = 1 / np.sqrt(variance + self.dtype_of(EPSILON))
        return mean
