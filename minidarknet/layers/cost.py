"""[cost]: the distance from the truth, by one of several measures (Darknet: src/cost_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.layers.softmax import check_truth
from minidarknet.wordtree import MASK

SQUARED = ("sse", "seg", "masked")  # the types whose gradient is x - t
HALVED = (*SQUARED, "smooth")       # the types whose gradient is that of half the error


@dataclass(frozen=True, kw_only=True)
class CostOptions(LayerOptions):
    """Keys of [cost] with Darknet's defaults."""

    type: str = "sse"       # how distance is measured
    scale: float = 1.0      # factor of the gradient
    noobj: float = 1.0      # of type=seg: weight of the numbers whose truth is 0
    thresh: float = 0.0     # gradients below thresh / inputs are dropped

    IGNORED = ("ratio",)    # Darknet finds a threshold by it, and then takes 0 instead
    CHOICES = {"type": (*SQUARED, "smooth", "L1", "wgan")}
    MINIMUM = {"noobj": 0, "thresh": 0}


class Cost(Layer):
    """out = error(x, t), number by number, by kernels/cost.py; loss = scale * sum error, or half of it; see the types.

        sse       loss = scale / 2 * sum (x - t)^2, dL/dx = scale * (x - t)
        seg       the same, numbers whose truth is 0 counting `noobj` times
        masked    the same without the numbers whose truth is MASK, -1234 (wordtree.py)
        smooth    loss = scale / 2 * sum of (x - t)^2 within a distance of 1, else 2 |x - t| - 1
        L1        loss = scale * sum |x - t|
        wgan      loss = scale * sum -x where the truth is real (not 0), x where it is not

    x, out: (b, h, w, c). truth t: (b, h * w * c) in Darknet's order c, h, w. Without a truth out is 0. Gradients smaller
    than thresh / inputs are dropped, and the loss with them.
    With strict_darknet_cpu: noobj and thresh do nothing, wgan is sse, and the gradient of smooth has the wrong sign
    beyond 1, all as in Darknet's CPU build.
    Behind a [softmax] the gradient passes through that layer unchanged (Darknet), where p - t is the gradient of the
    cross-entropy: so the loss differentiated is then scale * cross-entropy, once more. What Darknet prints stays
    sum (t - x)^2, and of two costs it prints the mean.
    """

    name = "cost"
    Options = CostOptions
    trains_from_truth = True

    def out_shape(self, *shapes):
        if self.options.type != "masked" and getattr(self.sources[0].options, "tree", ""):
            raise Misfit(f"type={self.options.type} behind a [softmax] with a tree would teach it -1234 where the "
                         "label says nothing; expected type=masked", "type")
        return shapes[0]

    def forward(self, run):
        o, source, self.gradient = self.options, self.sources[0], None
        if run.truth is None:
            self.out[...] = 0
            return
        x = flatten(source.out)
        truth = check_truth(run.truth, *x.shape, self.name).astype(self.dtype, copy=False)
        error, gradient = self._measure(x, truth, run.strict)
        self.out[...] = unflatten(error, self.shape)
        run.darknet_cost += float(error.sum(dtype=np.float64))
        if not run.strict and o.thresh:
            dropped = np.abs(gradient) < o.thresh / x.shape[1]
            error[dropped] = gradient[dropped] = 0
        self.gradient = gradient * self.dtype.type(o.scale)
        run.loss += o.scale * self._loss(error)

    def _measure(self, x, truth, strict):
        """(error, gradient) of x from truth, all (b, n)."""
        o, (error, gradient) = self.options, np.empty((2, *x.shape), self.dtype)
        if o.type == "smooth":
            self.ops.cost_smooth(x, truth, error, gradient, -1 if strict else 1)
        elif o.type == "L1":
            self.ops.cost_l1(x, truth, error, gradient)
        elif o.type == "wgan" and not strict:
            self.ops.cost_wgan(x, truth, error, gradient)
        else:
            truth = np.where(truth == MASK, x, truth) if o.type == "masked" else truth
            self.ops.cost_sse(x, truth, error, gradient)
        if o.type == "seg" and not strict:
            for array in (error, gradient):
                array[truth == 0] *= self.dtype.type(o.noobj)
        return error, gradient

    def _loss(self, error):
        """The function that is differentiated, without `scale`. error (b, n)."""
        crossed = getattr(self.sources[0], "cross_entropy", None)
        if self.options.type in SQUARED and crossed is not None:
            return float(crossed.sum())
        return float(error.sum(dtype=np.float64)) * (.5 if self.options.type in HALVED else 1)

    def backward(self, run):
        if self.gradient is None:
            return
        for _, source, accumulate in self.source_grads():
            gradient = unflatten(self.gradient, source.shape)
            if accumulate:
                source.grad += gradient
            else:
                source.grad[...] = gradient
