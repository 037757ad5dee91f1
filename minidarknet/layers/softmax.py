"""[softmax]: numbers to probabilities, with the cross-entropy loss of a classifier (Darknet: src/softmax_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.errors import DataError
from minidarknet.layers.base import Layer, LayerOptions, Misfit
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.layers.labels import open_tree
from minidarknet.wordtree import MASK

SMALLEST = 1e-37  # a probability that has run out of digits still has a finite logarithm


def check_truth(truth, batch, count, name):
    """Truth (b, count) of a classifier as a contiguous array of its own. Raises DataError for another shape."""
    if truth.shape != (batch, count):
        raise DataError(f"[{name}] expects a truth of shape (b, classes) = {(batch, count)}, not {truth.shape}")
    if not np.isfinite(truth).all():
        raise DataError(f"[{name}] finds numbers in the truth that are not finite")
    return np.ascontiguousarray(truth)


@dataclass(frozen=True, kw_only=True)
class SoftmaxOptions(LayerOptions):
    """Keys of [softmax] with Darknet's defaults."""

    groups: int = 1             # the inputs are cut into so many equal runs, each with a softmax of its own
    temperature: float = 1.0    # inputs are divided by it: above 1 evens the probabilities out
    spatial: int = 0            # 1: a softmax over the channels of every pixel
    noloss: int = 0             # 1: no loss of its own
    tree: str = ""              # file: the inputs are the nodes of this WordTree, siblings share a softmax

    CHOICES = {"spatial": (0,), "noloss": (0, 1)}
    LATER_CHOICES = {"spatial": (1,)}


class Softmax(Layer):
    """p_i = exp(x_i / T) / sum over the group of exp(x_j / T); loss = -T * sum_i t_i log p_i.

    x: (b, h, w, c), flattened in Darknet's order c, h, w. out: (b, 1, 1, h * w * c). truth t: (b, h * w * c).
    The gradient is p - t (for groups whose t sum to 1): Darknet leaves the 1 / T of the chain rule out, so the loss
    it differentiates has the factor T. A [cost] behind this layer sends its own gradient x - t, unchanged, through
    the softmax: a classifier with both learns twice as fast as its learning rate says (Darknet does the same).

    With a tree p is P(node | parent), and a label counts for its ancestors too, WordTree.labelled: the loss is
    -log P(label), summed along the path to the root. Paper: YOLO9000, section 4, "Hierarchical classification".
    """

    name = "softmax"
    Options = SoftmaxOptions
    trains_from_truth = True

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self.trains_from_truth = not options.noloss
        self.cross_entropy = self.gradient = None  # (b,) and (b, n) of the last pass that had a truth
        self.tree = None

    def open_files(self, find):
        if self.options.tree:
            self.tree = open_tree(self.shape[2], find)

    def out_shape(self, *shapes):
        o, (h, w, c) = self.options, shapes[0]
        if not o.temperature > 0:
            raise Misfit(f"temperature={o.temperature:g} must be above 0", "temperature")
        if o.groups < 1 or h * w * c % o.groups:
            raise Misfit(f"groups={o.groups} must divide the {h * w * c} inputs", "groups")
        return 1, 1, h * w * c

    @property
    def borders(self):
        """(groups + 1,) int64: where each softmax begins, and how many inputs there are."""
        count = self.shape[2]
        return self.tree.borders if self.options.tree else np.arange(0, count + 1, count // self.options.groups)

    def forward(self, run):
        o, (b, count) = self.options, (len(self.out), self.shape[2])
        probability = self.out[:, 0, 0]
        self.ops.softmax_forward(flatten(self.sources[0].out), probability, self.borders, o.temperature)
        self.gradient = self.cross_entropy = None
        if run.truth is None:
            return
        truth = check_truth(run.truth, b, count, self.name).astype(self.dtype, copy=False)
        if self.options.tree:
            run.truth = self.tree.labelled(truth)  # also for a [cost] behind
            truth = np.where(run.truth == MASK, 0, run.truth)
        loss, gradient = np.empty(b), np.empty((b, count), self.dtype)
        self.ops.softmax_loss(probability, truth, self.borders, loss, gradient)
        self.cross_entropy = o.temperature * loss
        if o.noloss:
            return
        self.gradient = gradient
        run.loss += float(self.cross_entropy.sum())
        # Darknet adds -log p of every class with a truth that is not 0, however small that truth.
        run.darknet_cost -= float(np.log(np.maximum(probability[truth != 0], SMALLEST)).sum(dtype=np.float64))

    def backward(self, run):
        gradient = np.zeros((len(self.out), self.shape[2]), self.dtype) if self.gradient is None else self.gradient
        if self.wants_grad:  # somebody behind this layer has a say too
            gradient = gradient + self.grad[:, 0, 0]
        for _, source, accumulate in self.source_grads():
            if accumulate:
                source.grad += unflatten(gradient, source.shape)
            else:
                source.grad[...] = unflatten(gradient, source.shape)
