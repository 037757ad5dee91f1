"""[cost]: half the squared distance from the truth (Darknet: src/cost_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.layers.softmax import check_truth
from minidarknet.wordtree import MASK


@dataclass(frozen=True, kw_only=True)
class CostOptions(LayerOptions):
    """Keys of [cost] with Darknet's defaults."""

    type: str = "sse"       # how distance is measured
    scale: float = 1.0      # factor of the gradient

    IGNORED = ("ratio", "noobj", "thresh")  # they drop gradients, in Darknet's GPU build alone
    CHOICES = {"type": ("sse", "masked")}
    LATER_CHOICES = {"type": ("seg", "smooth", "L1", "wgan")}


class Cost(Layer):
    """out = (t - x)^2; loss = scale / 2 * sum (t - x)^2, dL/dx = scale * (x - t).

    x, out: (b, h, w, c). truth t: (b, h * w * c) in Darknet's order c, h, w. Without a truth out is 0.
    Behind a [softmax] the gradient passes through that layer unchanged (Darknet), where p - t is the gradient of the
    cross-entropy: so the loss differentiated is then scale * cross-entropy, once more. What Darknet prints stays
    sum (t - x)^2, and of two costs it prints the mean. type=masked: where t is MASK (wordtree.py) nothing is asked.
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
        source, self.gradient = self.sources[0], None
        if run.truth is None:
            self.out[...] = 0
            return
        x = flatten(source.out)
        truth = check_truth(run.truth, *x.shape, self.name).astype(self.dtype, copy=False)
        if self.options.type == "masked":
            truth = np.where(truth == MASK, x, truth)
        loss, gradient = np.empty(len(x)), np.empty(x.shape, self.dtype)
        self.ops.cost_sse(x, truth, loss, gradient)
        self.out[...] = unflatten(gradient * gradient, self.shape)
        self.gradient = gradient * self.dtype.type(self.options.scale)
        crossed = getattr(source, "cross_entropy", None)
        run.loss += self.options.scale * float((loss if crossed is None else crossed).sum())
        run.darknet_cost += 2 * float(loss.sum())

    def backward(self, run):
        if self.gradient is None:
            return
        for _, source, accumulate in self.source_grads():
            gradient = unflatten(self.gradient, source.shape)
            if accumulate:
                source.grad += gradient
            else:
                source.grad[...] = gradient
