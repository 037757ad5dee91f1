"""[detection]: the YOLOv1 head. kernels/detection.py says what it computes (Darknet: src/detection_layer.c)."""
from dataclasses import dataclass

import numpy as np

from minidarknet.layers.base import LayerOptions, Misfit
from minidarknet.layers.detector import Detector
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.parser import FEEDING

RANDOM_IMAGES = 64000  # so many images long random=1 draws lots (Darknet: a constant)
SMALL = .1             # share of the picture: smaller objects are box 1's with forced=1 (Darknet: a constant)


@dataclass(frozen=True, kw_only=True)
class DetectionOptions(LayerOptions):
    """Keys of [detection] with Darknet's defaults."""

    classes: int = 1                # how many kinds of object
    coords: int = 1                 # numbers per box; 4 it must be
    num: int = 1                    # boxes per cell
    side: int = 7                   # the picture is side x side cells
    softmax: int = 0                # 1: class probabilities by softmax; 0: the numbers as they are
    sqrt: int = 0                   # 1: the head gives the roots of width and height
    rescore: int = 0                # 1: objectness learns the IoU of its box; 0: learns 1
    forced: int = 0                 # 1: large objects are the first box's, small ones the second's
    coord_scale: float = 1.0        # weight of x, y, w, h
    object_scale: float = 1.0       # weight of objectness where there is an object
    noobject_scale: float = 1.0     # weight of objectness where there is none
    class_scale: float = 1.0        # weight of the classes
    jitter: float = .2              # for the data loader: how much the picture's shape is varied
    random: int = 0                 # 1: at first lots decide which box of a cell answers for an object

    IGNORED = ("max", "reorg", "absolute")  # `max` would cap the objects of a picture; Darknet never uses the others
    CHOICES = {"softmax": (0, 1), "sqrt": (0, 1), "rescore": (0, 1), "forced": (0, 1), "random": (0, 1)}
    MINIMUM = {"classes": 1, "num": 1, "side": 1, "coord_scale": 0, "object_scale": 0, "noobject_scale": 0,
               "class_scale": 0}


class Detection(Detector):
    """out = activate(x); with a truth also the loss and its gradient. Boxes are made by `detection_decode`.

    x: any picture of side^2 * (classes + num * (1 + 4)) numbers, read in Darknet's order c, h, w. out: (b, 1, 1, so many)
    as kernels/detection.py says. truth: (b, t, 5) rows x y w h class, any number of them; a cell learns the first of its
    objects, those narrower or lower than .005 being left out. Darknet stretches pictures for this head.
    """

    name = "detection"
    Options = DetectionOptions
    stretches = True

    def out_shape(self, *shapes):
        o, (h, w, c) = self.options, shapes[0]
        if o.coords != 4:
            raise Misfit(f"coords={o.coords}: a box has 4 numbers, x y w h; set coords=4", "coords")
        if o.forced and o.num < 2:
            raise Misfit(f"forced=1 gives small objects to the second box of a cell, but num={o.num}", "forced")
        numbers = o.side ** 2 * (o.classes + o.num * 5)
        if h * w * c != numbers:
            channels, rest = divmod(numbers, h * w)
            possible = self.sources[0].name in FEEDING and not rest
            remedy = self._remedy(channels) if possible else f"put a [connected] with output={numbers} before it"
            raise Misfit(f"expects {numbers} numbers = side {o.side} x {o.side} x (classes {o.classes} + num {o.num} x "
                         f"(1 + coords 4)), but {self._who()} gives {h * w * c}: {remedy}")
        return 1, 1, numbers

    @property
    def grid(self):
        """(rows, columns) of the cells that the picture is divided into."""
        return self.options.side, self.options.side

    @property
    def per_cell(self):
        """How many boxes a cell has."""
        return self.options.num

    def activate(self, x, out):
        """x raw, of the source's shape -> out (b, 1, 1, n)."""
        o = self.options
        self.ops.detection_activate(flatten(x), out[:, 0, 0], o.side, o.classes, o.softmax)

    def decode(self, out, boxes):
        """out (b, 1, 1, n) activated -> boxes (b, side, side, num, 4) centre form in fractions of the network's input."""
        o = self.options
        self.ops.detection_decode(out[:, 0, 0], o.side, o.classes, o.sqrt, boxes)

    def scores(self, out):
        """out (b, 1, 1, n) activated -> objectness (b, boxes), probability (b, boxes, classes), those of its cell."""
        o, cells = self.options, self.options.side ** 2
        kinds, objectness = np.split(out[:, 0, 0, :cells * (o.classes + o.num)], [cells * o.classes], axis=1)
        return objectness, kinds.reshape(len(out), cells, o.classes).repeat(o.num, axis=1)

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight, match: see kernels/detection.py."""
        o = self.options
        scales = (o.coord_scale, o.object_scale, o.noobject_scale, o.class_scale)
        self.ops.detection_assign(self.out[:, 0, 0], boxes, truth, self._chosen(run, truth), o.side, o.classes, o.sqrt,
                                  o.rescore, scales, target[:, 0, 0], weight[:, 0, 0], match)

    def _chosen(self, run, truth):
        """(b, t) int: which box of its cell is to answer for each truth; -1: the one that fits best."""
        o, chosen = self.options, np.full(truth.shape[:2], -1)
        if o.forced:
            chosen[...] = truth[..., 2] * truth[..., 3] < SMALL
        if o.random and run.train and run.seen < RANDOM_IMAGES:
            chosen[...] = run.rng.integers(o.num, size=chosen.shape)
        return chosen

    def lose(self, run, boxes, target, weight, grad, loss, cost):
        """target and weight -> grad (of the source's shape), loss and cost (b,)."""
        o, flat = self.options, np.empty_like(target[:, 0, 0])
        probabilities = o.side ** 2 * o.classes if o.softmax else 0
        self.ops.detection_loss(self.out[:, 0, 0], target[:, 0, 0], weight[:, 0, 0], probabilities, flat, loss, cost)
        grad[...] = unflatten(flat, grad.shape[1:])
