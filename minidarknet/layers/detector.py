"""What the heads [region] and [yolo] have in common: they find boxes, and learn them from a truth."""
import numpy as np

from minidarknet.errors import DataError
from minidarknet.layers.base import Layer, Misfit


class Detector(Layer):
    """A head that finds boxes: `boxes` says which. Abstract: subclasses are final and fill in what a box means.

    out: (b, h, w, per_cell * (4 + 1 + classes)), channel = anchor * (5 + classes) + entry: x, y, w, h, objectness, then
    the classes. With a truth (b, t, 5), forward adds to run.loss and keeps dL/dx for backward.
    """

    trains_from_truth = True
    detects = True
    unit = ""   # what the anchors of the cfg are measured in

    @property
    def per_cell(self):
        """How many anchors, and so boxes, a cell has."""
        raise NotImplementedError

    def activate(self, x, out):
        """x raw -> out, both (b, h, w, c)."""
        raise NotImplementedError

    def decode(self, out, boxes):
        """out (b, h, w, c) activated -> boxes (b, h, w, per_cell, 4) centre form in fractions of the network's input."""
        raise NotImplementedError

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight (b, h, w, c) and match (b, t, 4), all written."""
        raise NotImplementedError

    def lose(self, target, weight, grad, loss, cost):
        """target and weight -> grad (b, h, w, c), loss and cost (b,), all written."""
        raise NotImplementedError

    @property
    def anchors(self):
        """(num, 2) width and height of the cfg's anchors, in the cfg's unit."""
        return np.reshape(np.array(self.options.anchors, self.dtype), (-1, 2))

    @property
    def own_anchors(self):
        """Which of the cfg's anchors are this head's (list of int)."""
        return list(range(self.options.num))

    @property
    def ignore_thresh(self):
        """IoU with some truth above which a box that answers for none is not told "no object here"."""
        return self.options.ignore_thresh

    @property
    def extent(self):
        """(width, height) of the network's input in the unit of the anchors."""
        raise NotImplementedError

    def boxes(self, out):
        """What `out` (b, h, w, c), activated, says: (boxes, objectness, probability), by row, column and anchor.

        boxes: (b, h * w * per_cell, 4) centre form in fractions of the network's input. objectness: (b, h * w *
        per_cell). probability: (b, h * w * per_cell, classes).
        """
        b, h, w, _ = out.shape
        boxes = np.empty((b, h, w, self.per_cell, 4), out.dtype)
        self.decode(out, boxes)
        cells = out.reshape(b, h * w * self.per_cell, 5 + self.options.classes)
        return boxes.reshape(b, -1, 4), cells[..., 4], cells[..., 5:]

    def forward(self, run):
        self.activate(self.sources[0].out, self.out)
        if run.truth is not None:
            self._train(run, self._checked(run.truth))

    def _train(self, run, truth):
        b, (h, w, c), n = len(truth), self.shape, self.per_cell
        boxes = self.buffer("boxes", (b, h, w, n * 4)).reshape(b, h, w, n, 4)
        # Kept until the next pass, for whoever wants to know why the loss is what it is (explain.py).
        target, weight, self.gradient = (self.buffer(name, (b, h, w, c)) for name in ("target", "weight", "gradient"))
        self.target, self.weight, self.match = target, weight, np.empty((b, truth.shape[1], 4))
        loss, cost = np.empty(b), np.empty(b)
        self.decode(self.out, boxes)
        self.assign(run, boxes, truth, target, weight, self.match)
        self.lose(target, weight, self.gradient, loss, cost)
        run.loss += float(loss.sum())
        run.darknet_cost += float(cost.sum())
        run.statistics = pooled(run.statistics, self._statistics())

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            if accumulate:
                source.grad += self.gradient
            else:
                source.grad[...] = self.gradient

    def check_anchors(self, unit):
        """Raise Misfit unless there are `num` anchors of positive size; unit: what the message says they are in."""
        o = self.options
        if len(o.anchors) != 2 * o.num:
            raise Misfit(f"expects {2 * o.num} numbers in anchors = num {o.num} x (width, height), but finds "
                         f"{len(o.anchors)}: {self._anchor_remedy()}", "anchors")
        if not min(o.anchors) > 0:
            raise Misfit(f"anchors are widths and heights in {unit}: {min(o.anchors):g} must be above 0", "anchors")

    def check_channels(self, channels, per_cell):
        """Raise Misfit unless `channels` is what this head reads; per_cell: how the cfg says per_cell, "num 5"."""
        expected = self.per_cell * (5 + self.options.classes)
        if channels != expected:
            raise Misfit(f"expects {expected} channels = {per_cell} x (coords 4 + 1 + classes {self.options.classes}), "
                         f"but {self._who()} gives {channels}: {self._channel_remedy(expected)}")

    def _anchor_remedy(self):
        count = len(self.options.anchors)
        return f"set num={count // 2}" if count % 2 == 0 else "a number is missing or one too many"

    def _who(self):
        index = self.sources[0].index
        return "the picture" if index is None or index < 0 else f"layer {index}"

    def _channel_remedy(self, filters):
        source = self.sources[0]
        if source.name != "convolutional" or source.section is None:
            return f"put a [convolutional] with filters={filters} before it"
        entry = source.section.entry("filters")
        if entry is not None and entry.overridden:
            return f"set convolutional[{source.section.number}].filters={filters} instead"
        return f"set filters={filters} at line {entry.line if entry else source.section.line}"

    def _checked(self, truth):
        """The truth as an array that cannot lead a kernel astray. Raises DataError, naming picture and row."""
        truth = np.ascontiguousarray(truth, self.dtype)
        if truth.ndim != 3 or truth.shape[2] != 5 or len(truth) != len(self.out):
            raise DataError(f"truth must have the shape (b, t, 5) = ({len(self.out)}, t, 5), rows x y w h class, "
                            f"not {truth.shape}")
        classes = self.options.classes
        x, y, w, h, kind = np.moveaxis(truth, 2, 0)
        used = ~((w <= 0) | (h <= 0))
        for wrong, what in (
                (~np.isfinite(truth).all(axis=2), "is not finite"),
                ((x < 0) | (x > 1) | (y < 0) | (y > 1), "has its centre outside the picture: x, y are fractions, 0..1"),
                ((w > 1.001) | (h > 1.001), "is larger than the picture: w, h are fractions, 0..1"),
                ((kind < 0) | (kind >= classes) | (kind % 1 != 0),
                 f"has no class of this network: classes={classes}, so they are numbered 0..{classes - 1}")):
            found = np.argwhere(used & wrong)
            if len(found):
                image, row = found[0]
                raise DataError(f"truth of picture {image}, row {row} (x y w h class = "
                                f"{' '.join(f'{v:g}' for v in truth[image, row])}) {what}")
        return truth

    def _statistics(self):
        """Means over the objects of the batch for the progress line; None where there is no object (Darknet: nan)."""
        met = self.match[self.match[:, :, 0] >= 0]
        objectness = self.out[..., 4::5 + self.options.classes]
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
