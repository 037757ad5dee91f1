"""[yolo]: the head of YOLOv3 and YOLOv4. kernels/yolo.py says what it computes (Darknet: src/yolo_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.layers.anchored import Anchored
from minidarknet.layers.base import LayerOptions, Misfit

IOU_LOSSES = ("mse", "iou", "giou", "diou", "ciou")     # by the kernels' number; kernels/_overlap.py has the formulas
NMS_KINDS = ("default", "greedynms", "diounms")         # see detections.py


@dataclass(frozen=True, kw_only=True)
class YoloOptions(LayerOptions):
    """Keys of [yolo] with Darknet's defaults; from scale_x_y on AlexeyAB's."""

    classes: int = 20               # how many kinds of object; one box may be of several
    num: int = 1                    # anchors of the whole network
    mask: tuple[int, ...] = ()      # which of them are this head's, numbered from 0; none given: all
    anchors: tuple[float, ...] = () # width, height of each in pixels of the network's input; none given: all .5
    ignore_thresh: float = .5       # a box that overlaps some truth by more is not told "no object here"
    truth_thresh: float = 1.0       # a box that overlaps some truth by more is told that it is it; 1: never
    jitter: float = .2              # for the data loader: how much the picture's shape is varied
    random: float = 0               # for the data loader: not 0 changes the network's size every 10 batches
    scale_x_y: float = 1.0          # x and y reach beyond their cell by this factor
    new_coords: int = 0             # 1: the logistic is the layer before, and w and h are squares of it
    nms_kind: str = "default"       # what two boxes of an object have too much of; see detections.py
    beta_nms: float = .6            # for nms_kind=diounms
    iou_loss: str = "mse"           # what a box is taught by: its four numbers, or its overlap with the truth
    iou_normalizer: float = -1      # weight of that; default .75 (AlexeyAB's) with an overlap, 1 (the original's) with mse
    obj_normalizer: float = 1.0     # weight of objectness
    iou_thresh: float = 1.0         # below 1, all anchors whose shape has a larger IoU than that with an object's learn it
    label_smooth_eps: float = 0.0   # classes are taught 1 - eps / 2 and eps / 2 for 1 and 0
    objectness_smooth: int = 0      # 1: boxes above ignore_thresh are taught their IoU as objectness
    max_delta: float = 0            # the largest gradient of x, y, w, h, with an overlap as iou_loss; 0: no limit

    # `max` would cap the objects of a picture; cls_normalizer does nothing in AlexeyAB's either, without
    # counters_per_class; `resize` is a range for his data loader, ours has its own; show_details is about printing.
    IGNORED = ("max", "cls_normalizer", "resize", "show_details")
    # Other keys of AlexeyAB's, and the values with which they do nothing.
    LATER = {"map": None, "iou_thresh_kind": "iou", "delta_normalizer": "1", "uc_normalizer": "1", "focal_loss": None,
             "counters_per_class": None, "embedding_layer": None}
    MAXIMUM = {"num": 1024}
    MINIMUM = {"classes": 1, "num": 1, "mask": 0, "scale_x_y": 1, "obj_normalizer": 0, "label_smooth_eps": 0,
               "max_delta": 0, "beta_nms": 0, "iou_thresh": 0}
    CHOICES = {"iou_loss": IOU_LOSSES, "nms_kind": NMS_KINDS, "new_coords": (0, 1), "objectness_smooth": (0, 1)}
    LATER_CHOICES = {"nms_kind": ("cornersnms",)}

    def __post_init__(self):
        if not self.anchors:
            object.__setattr__(self, "anchors", (.5,) * (2 * self.num))
        if not self.mask:
            object.__setattr__(self, "mask", tuple(range(self.num)))
        if self.iou_normalizer == -1:
            object.__setattr__(self, "iou_normalizer", 1. if self.iou_loss == "mse" else .75)

    def problem(self):
        """(key, message) of a value out of range, or None."""
        if self.iou_normalizer < 0:
            return "iou_normalizer", f"iou_normalizer={self.iou_normalizer:g}: expected at least 0"
        if self.label_smooth_eps >= 1:
            return "label_smooth_eps", f"label_smooth_eps={self.label_smooth_eps:g}: expected 0 up to below 1"
        return None


class Yolo(Anchored):
    """out = activate(x); with a truth also the loss and its gradient. Boxes are made by `yolo_decode`.

    out: (b, h, w, len(mask) * (4 + 1 + classes)), channel = anchor * (5 + classes) + entry: x, y, the logistic drawn out
    by scale_x_y; raw w, h; logistic objectness and classes. truth: (b, t, 5) rows x y w h class, any number of them.
    """

    name = "yolo"
    Options = YoloOptions
    darknet_truths = 90
    unit = "pixels"

    def out_shape(self, *shapes):
        o = self.options
        self.check_anchors("pixels")
        if not 0 <= min(o.mask) <= max(o.mask) < o.num or len(set(o.mask)) < len(o.mask):
            raise Misfit(f"mask={','.join(map(str, o.mask))}: expected different numbers of anchors, 0 to {o.num - 1}, "
                         f"as num={o.num}", "mask")
        self.check_channels(shapes[0][2], f"anchors in mask {len(o.mask)}")
        return shapes[0]

    @property
    def per_cell(self):
        """How many anchors, and so boxes, a cell has."""
        return len(self.options.mask)

    @property
    def nms_penalty(self):
        """Exponent of the penalty for distance in non-maximum suppression; .6 is fixed in AlexeyAB's greedynms."""
        return {"default": 0.0, "greedynms": .6, "diounms": self.options.beta_nms}[self.options.nms_kind]

    @property
    def stretches(self):
        """Whether the section has what only AlexeyAB's Darknet knows, which stretches pictures unless told otherwise."""
        o = self.options
        return o.scale_x_y != 1 or bool(o.new_coords) or o.iou_loss != "mse"

    @property
    def own_anchors(self):
        """Which of the cfg's anchors are this head's (list of int)."""
        return list(self.options.mask)

    @property
    def extent(self):
        """(width, height) of the network's input in the unit of the anchors: how many pixels."""
        return self.network_shape[1::-1]

    def head(self, strict=False):
        """The section as the kernels want it: kernels.YoloHead. strict: gradients of an overlap as Darknet takes them."""
        o = self.options
        return self.ops.YoloHead(
            self.anchors, np.array(o.mask), np.array(self.extent), o.classes, o.scale_x_y, bool(o.new_coords),
            o.ignore_thresh, o.truth_thresh, o.iou_thresh, IOU_LOSSES.index(o.iou_loss), o.iou_normalizer, o.obj_normalizer,
            o.label_smooth_eps, bool(o.objectness_smooth), o.max_delta or np.inf, bool(strict))

    def activate(self, x, out):
        """x raw -> out, both (b, h, w, c)."""
        self.ops.yolo_activate(x, out, self.head())

    def decode(self, out, boxes):
        """out (b, h, w, c) activated -> boxes (b, h, w, per_cell, 4) centre form in fractions of the network's input."""
        self.ops.yolo_decode(out, self.head(), boxes)

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight, match: see kernels/yolo.py."""
        self.ops.yolo_assign(self.out, boxes, self.head(), truth, target, weight, match)

    def lose(self, run, boxes, target, weight, grad, loss, cost):
        """boxes, target and weight -> grad (b, h, w, c), loss and cost (b,)."""
        self.ops.yolo_loss(self.out, boxes, self.head(run.strict), target, weight, grad, loss, cost)
