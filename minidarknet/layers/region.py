"""[region]: the YOLOv2 head. kernels/region.py says what it computes (Darknet: src/region_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import LayerOptions, Misfit
from minidarknet.layers.detector import Detector

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


class Region(Detector):
    """out = activate(x); with a truth also the loss and its gradient. Boxes are made by `region_decode`.

    out: (b, h, w, num * (coords + 1 + classes)), channel = anchor * (coords + 1 + classes) + entry: logistic x, y;
    raw w, h; logistic objectness; class probabilities. truth: (b, t, 5) rows x y w h class, any number of them.
    """

    name = "region"
    Options = RegionOptions
    unit = "cells"

    def out_shape(self, *shapes):
        o = self.options
        if o.coords != 4:
            raise Misfit(f"coords={o.coords} is not supported yet: only coords=4 is", "coords")
        self.check_anchors("cells")
        self.check_channels(shapes[0][2], f"num {o.num}")
        return shapes[0]

    @property
    def per_cell(self):
        """How many anchors, and so boxes, a cell has."""
        return self.options.num

    @property
    def ignore_thresh(self):
        """IoU with some truth above which a box that answers for none is not told "no object here"."""
        return self.options.thresh

    @property
    def extent(self):
        """(width, height) of the network's input in the unit of the anchors: how many cells."""
        return self.shape[1::-1]

    def activate(self, x, out):
        """x raw -> out, both (b, h, w, c)."""
        o = self.options
        self.ops.region_activate(x, out, o.num, o.classes, o.coords, o.softmax)

    def decode(self, out, boxes):
        """out (b, h, w, c) activated -> boxes (b, h, w, num, 4) centre form in fractions of the network's input."""
        self.ops.region_decode(out, self.anchors, self.options.classes, self.options.coords, boxes)

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight, match: see kernels/region.py."""
        o = self.options
        scales = (o.coord_scale, o.object_scale, o.noobject_scale, o.class_scale)
        self.ops.region_assign(self.out, boxes, self.anchors, truth, o.classes, o.coords, o.softmax,
                               run.seen < WARM_UP_IMAGES, o.thresh, o.bias_match, o.rescore, scales,
                               target, weight, match)

    def lose(self, target, weight, grad, loss, cost):
        """target and weight -> grad (b, h, w, c), loss and cost (b,)."""
        o = self.options
        self.ops.region_loss(self.out, target, weight, o.classes, o.coords, o.softmax, grad, loss, cost)
