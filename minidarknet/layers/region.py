"""[region]: the YOLOv2 head. kernels/region.py says what it computes (Darknet: src/region_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.errors import DataError
from minidarknet.layers.base import Layer, LayerOptions, Misfit

WARM_UP_IMAGES = 12800  # so many images long every anchor-cell is drawn to its anchor (Darknet: a constant)


@dataclass(frozen=True, kw_only=True)
class RegionOptions(LayerOptions):
    """Keys of [region] with Darknet's defaults."""

    classes: int = 20               # how many kinds of object
    coords: int = 4                 # numbers per box
    num: int = 1                    # anchors per cell
    anchors: tuple[float, ...] = () # width, height of each anchor in cells; none given: all .5
    softmax: int = 0                # 1: one class per object; 0: classes are independent
    background: int = 0             # 1: "no object" is a class of the softmax
    bias_match: int = 0             # 1: a truth goes to the anchor of like shape; 0: to the prediction of like shape
    rescore: int = 0                # 1: objectness learns the IoU of its box; 0: learns 1
    thresh: float = .5              # a box that overlaps some truth by more is not told "no object here"
    coord_scale: float = 1.0        # weight of x, y, w, h
    object_scale: float = 1.0       # weight of objectness where there is an object
    noobject_scale: float = 1.0     # weight of objectness where there is none
    class_scale: float = 1.0        # weight of the classes
    jitter: float = .2              # for the data loader: how much the picture's shape is varied
    random: int = 0                 # for the data loader: 1 changes the network's size every 10 batches

    # `max` would cap the objects of a picture; mask_scale belongs to coords > 4; Darknet never reads the others.
    IGNORED = ("max", "mask_scale", "classfix", "absolute", "log", "sqrt")
    LATER = ("tree", "map")
    CHOICES = {"softmax": (0, 1), "background": (0,), "bias_match": (0, 1), "rescore": (0, 1)}
    LATER_CHOICES = {"background": (1,)}
    MINIMUM = {"classes": 1, "num": 1, "coord_scale": 0, "object_scale": 0, "noobject_scale": 0, "class_scale": 0}

    def __post_init__(self):
        if not self.anchors:
            object.__setattr__(self, "anchors", (.5,) * (2 * self.num))


class Region(Layer):
    """out = activate(x); with a truth also the loss and its gradient. Boxes are made by `region_decode`.

    out: (b, h, w, num * (coords + 1 + classes)), channel = anchor * (coords + 1 + classes) + entry: logistic x, y;
    raw w, h; logistic objectness; class probabilities. truth: (b, t, 5) rows x y w h class, any number of them.
    """

    name = "region"
    Options = RegionOptions
    trains_from_truth = True

    def out_shape(self, *shapes):
        o, (h, w, c) = self.options, shapes[0]
        if o.coords != 4:
            raise Misfit(f"coords={o.coords} is not supported yet: only coords=4 is", "coords")
        if len(o.anchors) != 2 * o.num:
            raise Misfit(f"expects {2 * o.num} numbers in anchors = num {o.num} x (width, height), but finds "
                         f"{len(o.anchors)}: {self._anchor_remedy()}", "anchors")
        if not min(o.anchors) > 0:
            raise Misfit(f"anchors are widths and heights in cells: {min(o.anchors):g} must be above 0", "anchors")
        expected = o.num * (o.coords + 1 + o.classes)
        if c != expected:
            raise Misfit(f"expects {expected} channels = num {o.num} x (coords {o.coords} + 1 + classes {o.classes}), "
                         f"but {self._who()} gives {c}: {self._channel_remedy(expected)}")
        return h, w, c

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

    def allocate(self, batch, train):
        o = self.options
        self.anchors = np.reshape(np.array(o.anchors, self.dtype), (o.num, 2))

    def forward(self, run):
        o = self.options
        self.ops.region_activate(self.sources[0].out, self.out, o.num, o.classes, o.coords, o.softmax)
        if run.truth is not None:
            self._train(run, self._checked(run.truth))

    def _train(self, run, truth):
        o, b = self.options, len(truth)
        h, w, c = self.shape
        boxes = self.buffer("boxes", (b, h, w, o.num * 4)).reshape(b, h, w, o.num, 4)
        target, weight, self.gradient = (self.buffer(name, (b, h, w, c)) for name in ("target", "weight", "gradient"))
        self.match = np.empty((b, truth.shape[1], 4))
        loss, cost = np.empty(b), np.empty(b)
        scales = (o.coord_scale, o.object_scale, o.noobject_scale, o.class_scale)
        self.ops.region_decode(self.out, self.anchors, o.classes, o.coords, boxes)
        self.ops.region_assign(self.out, boxes, self.anchors, truth, o.classes, o.coords, o.softmax,
                               run.seen < WARM_UP_IMAGES, o.thresh, o.bias_match, o.rescore, scales,
                               target, weight, self.match)
        self.ops.region_loss(self.out, target, weight, o.classes, o.coords, o.softmax, self.gradient, loss, cost)
        run.loss += float(loss.sum())
        run.darknet_cost += float(cost.sum())
        run.statistics.update(self._statistics())

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
        o = self.options
        met = self.match[self.match[:, :, 0] >= 0]
        objectness = self.out[..., o.coords::o.coords + 1 + o.classes]
        result = {"avg_iou": None, "class_probability": None, "obj": None, "recall": None}
        if len(met):
            result = {"avg_iou": float(met[:, 1].mean()), "class_probability": float(met[:, 3].mean()),
                      "obj": float(met[:, 2].mean()), "recall": float((met[:, 1] > .5).mean())}
        return {**result, "no_obj": float(objectness.mean(dtype=np.float64)), "count": len(met)}

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            if accumulate:
                source.grad += self.gradient
            else:
                source.grad[...] = self.gradient
