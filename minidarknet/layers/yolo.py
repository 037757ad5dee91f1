"""[yolo]: the YOLOv3 head. kernels/yolo.py says what it computes (Darknet: src/yolo_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.layers.base import LayerOptions, Misfit
from minidarknet.layers.detector import Detector


@dataclass(frozen=True, kw_only=True)
class YoloOptions(LayerOptions):
    """Keys of [yolo] with Darknet's defaults."""

    classes: int = 20               # how many kinds of object; one box may be of several
    num: int = 1                    # anchors of the whole network
    mask: tuple[int, ...] = ()      # which of them are this head's, numbered from 0; none given: all
    anchors: tuple[float, ...] = () # width, height of each in pixels of the network's input; none given: all .5
    ignore_thresh: float = .5       # a box that overlaps some truth by more is not told "no object here"
    truth_thresh: float = 1.0       # a box that overlaps some truth by more is told that it is it; 1: never
    jitter: float = .2              # for the data loader: how much the picture's shape is varied
    random: int = 0                 # for the data loader: 1 changes the network's size every 10 batches

    # `max` would cap the objects of a picture. The others tune what is switched off below: beta_nms a nms_kind,
    # max_delta and iou_thresh_kind an iou_loss and iou_thresh; show_details is about printing.
    IGNORED = ("max", "beta_nms", "max_delta", "iou_thresh_kind", "show_details")
    # Keys of later Darknets (AlexeyAB's), and the values with which they do nothing.
    LATER = {"map": None, "scale_x_y": "1", "new_coords": None, "iou_loss": "mse", "iou_thresh": "1",
             "iou_normalizer": "1", "obj_normalizer": "1", "cls_normalizer": "1", "delta_normalizer": "1",
             "uc_normalizer": "1", "nms_kind": "default", "label_smooth_eps": None, "objectness_smooth": None,
             "focal_loss": None, "resize": "1", "counters_per_class": None, "embedding_layer": None}
    MINIMUM = {"classes": 1, "num": 1, "mask": 0}

    def __post_init__(self):
        if not self.anchors:
            object.__setattr__(self, "anchors", (.5,) * (2 * self.num))
        if not self.mask:
            object.__setattr__(self, "mask", tuple(range(self.num)))


class Yolo(Detector):
    """out = activate(x); with a truth also the loss and its gradient. Boxes are made by `yolo_decode`.

    out: (b, h, w, len(mask) * (4 + 1 + classes)), channel = anchor * (5 + classes) + entry: logistic x, y; raw w, h;
    logistic objectness and classes. truth: (b, t, 5) rows x y w h class, any number of them.
    """

    name = "yolo"
    Options = YoloOptions
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
    def own_anchors(self):
        """Which of the cfg's anchors are this head's (list of int)."""
        return list(self.options.mask)

    @property
    def extent(self):
        """(width, height) of the network's input in the unit of the anchors: how many pixels."""
        return self.network_shape[1::-1]

    @property
    def _where(self):
        """What the kernels want to know of the anchors: all of them, the mask, the network's (width, height)."""
        return self.anchors, np.array(self.options.mask), self.extent

    def activate(self, x, out):
        """x raw -> out, both (b, h, w, c)."""
        self.ops.yolo_activate(x, out, self.options.classes)

    def decode(self, out, boxes):
        """out (b, h, w, c) activated -> boxes (b, h, w, per_cell, 4) centre form in fractions of the network's input."""
        self.ops.yolo_decode(out, *self._where, self.options.classes, boxes)

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight, match: see kernels/yolo.py."""
        o = self.options
        self.ops.yolo_assign(self.out, boxes, *self._where, truth, o.classes, o.ignore_thresh, o.truth_thresh, target,
                             weight, match)

    def lose(self, target, weight, grad, loss, cost):
        """target and weight -> grad (b, h, w, c), loss and cost (b,)."""
        self.ops.yolo_loss(self.out, target, weight, self.options.classes, grad, loss, cost)
