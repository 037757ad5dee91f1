"""What the heads [detection], [region] and [yolo] have in common: they find boxes, and learn them from a truth."""
import numpy as np

from minidarknet.errors import DataError
from minidarknet.layers.base import Layer
from minidarknet.parser import FEEDING


class Detector(Layer):
    """A head that finds boxes: `boxes` says which. Abstract: subclasses say where in `out` what stands, and what it means.

    A picture is a grid of cells with some boxes each. out: (b, *shape), activated. With a truth (b, t, 5), forward adds to
    run.loss and keeps dL/dx for backward.
    """

    trains_from_truth = True
    detects = True
    darknet_truths = None  # objects of a picture that Darknet has room for, whatever `max` says; strict mode heeds no more
    nms_penalty = 0.0   # see detections.nms
    stretches = False   # whether pictures are stretched to the network's size where the cfg does not say (letter_box)
    no_box = np.inf  # a row of the truth whose x and y are beyond it has a class but no box

    @property
    def per_cell(self):
        """How many boxes a cell has."""
        raise NotImplementedError

    def activate(self, x, out):
        """x raw, of the source's shape -> out (b, *shape)."""
        raise NotImplementedError

    def decode(self, out, boxes):
        """out (b, *shape) activated -> boxes (b, *grid, per_cell, 4) centre form in fractions of the network's input."""
        raise NotImplementedError

    def scores(self, out):
        """out (b, *shape) activated -> objectness (b, n), probability (b, n, classes) of the n boxes of a picture."""
        raise NotImplementedError

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight (b, *shape) and match (b, t, 4), all written."""
        raise NotImplementedError

    def lose(self, run, boxes, target, weight, grad, loss, cost):
        """boxes, target and weight -> grad (of the source's shape), loss and cost (b,), all written."""
        raise NotImplementedError

    def boxes(self, out):
        """What `out` (b, *shape), activated, says: (boxes, objectness, probability), by row, column and box of the cell.

        boxes: (b, n, 4) centre form in fractions of the network's input, n being all cells times per_cell. objectness:
        (b, n). probability: (b, n, classes). Raises ValueError for an `out` that is not this head's.
        """
        if out.shape[1:] != self.shape:
            raise ValueError(f"layer {self.index} [{self.name}] gives {self.shape} for a picture, not {out.shape[1:]}: "
                             "pass what predict gave")
        boxes = np.empty((len(out), *self.grid, self.per_cell, 4), out.dtype)
        self.decode(out, boxes)
        return boxes.reshape(len(out), -1, 4), *self.scores(out)

    def forward(self, run):
        self.activate(self.sources[0].out, self.out)
        if run.truth is not None:
            self._train(run, self._checked(run.truth[:, :self.darknet_truths] if run.strict else run.truth))

    def _train(self, run, truth):
        b, n = len(truth), self.per_cell
        boxes = self.buffer("boxes", (b, *self.grid, n * 4)).reshape(b, *self.grid, n, 4)
        # Kept until the next pass (gradient: until backward), for whoever wants to know why the loss is what it is.
        target, weight = self.target, self.weight = [self.buffer(name, (b, *self.shape)) for name in ("target", "weight")]
        self.gradient = self._gradient(run)
        self.match = np.empty((b, truth.shape[1], 4))
        loss, cost = np.empty(b), np.empty(b)
        self.decode(self.out, boxes)
        self.assign(run, boxes, truth, target, weight, self.match)
        self.lose(run, boxes, target, weight, self.gradient, loss, cost)
        run.loss += float(loss.sum())
        run.darknet_cost += float(cost.sum())
        run.statistics = pooled(run.statistics, self._statistics())

    def _gradient(self, run):
        """The array for dL/dx: the source's own grad, if nobody writes to it before; then there is nothing to copy."""
        source = self.sources[0]
        if run.train and source.wants_grad and not self.accumulate[0] and source.grad.flags.c_contiguous:
            return source.grad
        return self.buffer("gradient", source.out.shape)

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            if accumulate:
                source.grad += self.gradient
            elif self.gradient is not source.grad:
                source.grad[...] = self.gradient

    def class_only(self, truth):
        """Which rows of the truth (b, t, 5) have a class but no box: (b, t) bool."""
        return (truth[..., 0] > self.no_box) & (truth[..., 1] > self.no_box)

    def in_nodes(self, truth):
        """The truth (b, t, 5) with the classes that this head learns in place of the data's."""
        return truth

    def truth_classes(self, class_only):
        """class_only (b, t) bool -> (b, t) int: how many classes each row of the truth may choose from."""
        return np.full(class_only.shape, self.options.classes)

    def _who(self):
        index = self.sources[0].index
        return "the picture" if index is None or index < 0 else f"layer {index}"

    def _remedy(self, channels):
        """What to do so that the source gives so many channels."""
        source = self.sources[0]
        if source.name not in FEEDING or source.section is None:
            return f"put a [convolutional] with filters={channels} before it"
        key = FEEDING[source.name]
        entry = source.section.entry(key)
        if entry is not None and entry.overridden:
            return f"set {source.name}[{source.section.number}].{key}={channels} instead"
        return f"set {key}={channels} at line {entry.line if entry else source.section.line}"

    def _checked(self, truth):
        """The truth as an array that cannot lead a kernel astray. Raises DataError, naming picture and row."""
        truth = np.ascontiguousarray(truth, self.dtype)
        if truth.ndim != 3 or truth.shape[2] != 5 or len(truth) != len(self.out):
            raise DataError(f"truth must have the shape (b, t, 5) = ({len(self.out)}, t, 5), rows x y w h class, "
                            f"not {truth.shape}")
        x, y, w, h, kind = np.moveaxis(truth, 2, 0)
        used = ~((w <= 0) | (h <= 0))
        class_only = self.class_only(truth)
        boxed, classes = ~class_only, self.truth_classes(class_only)
        for wrong, what in (
                (~np.isfinite(truth).all(axis=2), "is not finite"),
                (boxed & ((x < 0) | (x > 1) | (y < 0) | (y > 1)),
                 "has its centre outside the picture: x, y are fractions, 0..1"),
                (boxed & ((w > 1.001) | (h > 1.001)), "is larger than the picture: w, h are fractions, 0..1"),
                ((kind < 0) | (kind >= classes) | (kind % 1 != 0),
                 "has no class of this network: classes={0}, so they are numbered 0..{1}")):
            found = np.argwhere(used & wrong)
            if len(found):
                image, row = found[0]
                count = classes[image, row]
                raise DataError(f"truth of picture {image}, row {row} (x y w h class = "
                                f"{' '.join(f'{v:g}' for v in truth[image, row])}) {what.format(count, count - 1)}")
        return truth

    def _statistics(self):
        """Means over the objects of the batch for the progress line; None where there is no object (Darknet: nan)."""
        met = self.match[self.match[:, :, 0] >= 0]
        objectness, _ = self.scores(self.out)
        result = dict.fromkeys(MEANS)
        if len(met):
            result = {"avg_iou": float(met[:, 1].mean()), "class_probability": float(met[:, 3].mean()),
                      "obj": float(met[:, 2].mean()), "recall": float((met[:, 1] > .5).mean())}
        return {**result, "no_obj": float(objectness.mean(dtype=np.float64)), "count": len(met),
                "boxes": objectness.size}


MEANS = ("avg_iou", "class_probability", "obj", "recall")  # over the objects


def pooled(one, other):
    """The statistics of two heads as if they were one: means weighted by objects, no_obj by boxes; `one` may be {}."""
    if not one:
        return other
    count, boxes = one["count"] + other["count"], one["boxes"] + other["boxes"]
    result = {key: sum(s[key] * s["count"] for s in (one, other) if s["count"]) / count if count else None
              for key in MEANS}
    return {**result, "no_obj": sum(s["no_obj"] * s["boxes"] for s in (one, other)) / boxes, "count": count,
            "boxes": boxes}
