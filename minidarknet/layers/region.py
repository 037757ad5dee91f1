"""[region]: the YOLOv2 head. kernels/region.py says what it computes (Darknet: src/region_layer.c)."""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minidarknet.layers.anchored import Anchored
from minidarknet.layers.base import LayerOptions, Misfit
from minidarknet.layers.labels import open_tree
from minidarknet.layers.planned import Planned
from minidarknet.wordtree import WordTree, read_map

WARM_UP_IMAGES = 12800  # so many images long every anchor-cell is drawn to its anchor (Darknet: a constant)


@dataclass(frozen=True, kw_only=True)
class RegionOptions(LayerOptions):
    """Keys of [region] with Darknet's defaults."""

    classes: int = 20               # how many kinds of object
    coords: int = 4                 # numbers per box
    num: int = 1                    # anchors per cell
    anchors: tuple[float, ...] = () # width, height of each anchor in cells; none given: all .5
    softmax: int = 0                # 1: one class per object; 0: classes are independent (with a tree always 1)
    tree: str = ""                  # file: the classes are the nodes of this WordTree
    map: str = ""                   # file: which node each class of the data set's boxes is
    background: int = 0             # 1: "no object" is a class of the softmax
    bias_match: int = 0             # 1: a truth goes to the anchor of like shape; 0: to the prediction of like shape
    rescore: int = 0                # 1: objectness learns the IoU of its box; 0: learns 1
    direct_location: int = 1        # 0: x, y are offsets in sizes of the anchor, unbounded, as before YOLOv2 (not Darknet's)
    thresh: float = .5              # a box that overlaps some truth by more is not told "no object here"
    coord_scale: float = 1.0        # weight of x, y, w, h
    object_scale: float = 1.0       # weight of objectness where there is an object
    noobject_scale: float = 1.0     # weight of objectness where there is none
    class_scale: float = 1.0        # weight of the classes
    # A picture with a class but no box: the box that believes in it most is taken to overlap the object by so much, and
    # its objectness learns at least that (paper: .3). 0: that objectness is left alone, as Darknet does since 2017.
    class_only_iou: float = .3
    jitter: float = .2              # for the data loader: how much the picture's shape is varied
    random: int = 0                 # for the data loader: 1 changes the network's size every 10 batches

    # `max` would cap the objects of a picture; mask_scale belongs to coords > 4; Darknet never reads the others.
    IGNORED = ("max", "mask_scale", "classfix", "absolute", "log", "sqrt")
    CHOICES = {"softmax": (0, 1), "background": (0,), "bias_match": (0, 1), "rescore": (0, 1),
               "direct_location": (0, 1)}
    LATER_CHOICES = {"background": (1,)}
    MAXIMUM = {"num": 1024, "class_only_iou": 1}
    MINIMUM = {"classes": 1, "num": 1, "coord_scale": 0, "object_scale": 0, "noobject_scale": 0, "class_scale": 0,
               "class_only_iou": 0}

    def __post_init__(self):
        if not self.anchors:
            object.__setattr__(self, "anchors", (.5,) * (2 * self.num))


class Region(Anchored):
    """out = activate(x); with a truth also the loss and its gradient. Boxes are made by `region_decode`.

    out: (b, h, w, num * (coords + 1 + classes)), channel = anchor * (coords + 1 + classes) + entry: x, y in
    the cell; raw w, h; logistic objectness; class probabilities, with a tree P(node | parent). truth: (b, t, 5) rows
    x y w h class, any number of them; x = y = w = h = 999999 marks a class without a box.
    """

    name = "region"
    Options = RegionOptions
    darknet_truths = 30
    unit = "cells"
    no_box = 100000  # kernels/region.py

    def __init__(self, options, sources, ops, dtype=np.float32):
        super().__init__(options, sources, ops, dtype)
        self._find = None
        self.planned = Planned()

    def open_files(self, find):
        self._find = find
        if self.options.tree:
            self.tree = open_tree(self.options.classes, find)

    @cached_property
    def tree(self):
        """The WordTree of the classes: of one without a file they are all siblings; None until its file is opened."""
        return None if self.options.tree else WordTree.flat(self.options.classes)

    @cached_property
    def map(self):
        """(classes of the data set,) int64: the node of each class, or None. Read when it is needed: in training and for
        scores. Raises CfgError, DataError."""
        return read_map(self._find("map"), self.options.classes) if self.options.map else None

    @property
    def one_of(self):
        """Whether classes exclude each other: all of them, or with a tree the siblings."""
        return int(bool(self.options.softmax or self.options.tree))

    def out_shape(self, *shapes):
        o = self.options
        if o.coords != 4:
            raise Misfit(f"coords={o.coords} is not supported yet: only coords=4 is", "coords")
        self.check_anchors("cells")
        self.check_channels(shapes[0][2], f"num {o.num}")
        return shapes[0]

    def allocate(self, batch, train):
        self.planned.forget()

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
        o, tree = self.options, self.tree

        def how():
            return x, out, self.anchors, o.coords, o.direct_location, self.one_of, tree.borders

        if self.plans:
            self.planned.run(lambda: self.ops.region_prediction(*how()), x, out, o, tree)
        else:
            self.ops.region_activate(*how())

    def decode(self, out, boxes):
        """out (b, h, w, c) activated -> boxes (b, h, w, num, 4) centre form in fractions of the network's input."""
        self.ops.region_decode(out, self.anchors, self.options.classes, self.options.coords, boxes)

    def boxes(self, out):
        """As every Detector's; probability (b, h * w * num, classes) is P(node), of a tree the product along its path."""
        boxes, objectness, conditional = super().boxes(out)
        if self.tree.groups == 1:  # all are roots
            return boxes, objectness, conditional.copy()
        probability = np.empty_like(conditional)
        self.ops.region_absolute(conditional, self.tree.parent, probability)
        return boxes, objectness, probability

    def truth_classes(self, class_only):
        """class_only (b, t) bool -> (b, t) int: how many classes each row of the truth may choose from."""
        of_boxes = self.options.classes if self.map is None else len(self.map)
        return np.where(class_only, self.options.classes, of_boxes)

    def assign(self, run, boxes, truth, target, weight, match):
        """boxes and truth -> target, weight, match: see kernels/region.py."""
        o = self.options
        scales = (o.coord_scale, o.object_scale, o.noobject_scale, o.class_scale)
        tree = self.tree.parent, self.tree.first, self.tree.last
        class_only_iou = 0. if run.strict else o.class_only_iou
        self.ops.region_assign(self.out, boxes, self.anchors, self.in_nodes(truth), o.coords, self.one_of, tree,
                               run.seen < WARM_UP_IMAGES, o.thresh, o.bias_match, o.rescore, class_only_iou, scales,
                               target, weight, match)

    def lose(self, run, boxes, target, weight, grad, loss, cost):
        """target and weight -> grad (b, h, w, c), loss and cost (b,)."""
        o = self.options
        self.ops.region_loss(self.out, target, weight, self.anchors, o.classes, o.coords, o.direct_location, self.one_of,
                             grad, loss, cost)

    def in_nodes(self, truth):
        """As Detector.in_nodes: through the map; a class without a box is a node already (Darknet)."""
        if self.map is None:
            return truth
        truth, boxed = truth.copy(), ~self.class_only(truth)
        truth[boxed, 4] = self.map[truth[boxed, 4].astype(int)]
        return truth
