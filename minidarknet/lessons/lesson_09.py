"""Lesson 09, multi-scale training: one set of weights, many sizes (notebooks/09_multi_scale.ipynb)."""
import numpy as np

from minidarknet.clusters import overlaps
from minidarknet.data import multiscale
from minidarknet.lessons import exercise

DRAWS = [3, 7, 1, 9]


def _size(step, draws):
    return (multiscale.DETECTOR.smallest + draws[step // multiscale.DETECTOR.every]) * 32


@exercise(
    right=_size,
    cases=[(0, DRAWS), (9, DRAWS), (10, DRAWS), (25, DRAWS), (39, DRAWS)],
    slips=[(lambda step, d: (10 + d[step % len(d)]) * 32, "a new size for every update; the paper keeps one for ten"),
           (lambda step, d: (10 + d[step % 10 % len(d)]) * 32, "the remainder of step / 10 was taken; the ten updates of a "
                                                               "group share the quotient"),
           (lambda step, d: d[step // 10] * 32, "the draw counts from the smallest size, 320: add it"),
           (lambda step, d: 320 + d[step // 10], "a draw stands for a whole cell of 32 pixels, not for one pixel")],
    moral="Every size is a whole number of cells, and the network sees 320 as often as 608.")
def size_for(step, draws):
    """The side, in pixels, of the network's input for an update of multi-scale training: an int.

    A new size for every ten updates: 320 plus draws[i] cells of 32 pixels for the i-th ten. step: updates made before
    this one. draws: list of ints from 0 (320 pixels) to 9 (608 pixels).
    """
    raise NotImplementedError


def _cost(gflop, base, side):
    return gflop * (side / base) ** 2


@exercise(
    right=_cost,
    cases=[(29.5, 416, 416), (29.5, 416, 288), (29.5, 416, 544), (7., 416, 832)],
    slips=[(lambda g, b, s: g * s / b, "twice the side is four times the pixels: the cost grows with the area"),
           (lambda g, b, s: g * (b / s) ** 2, "upside down: a larger picture costs more"),
           (lambda g, b, s: g, "the weights stay the same, but they are used at more places")],
    moral="544 costs 3.6 times as much as 288: that is the whole trade that one file of weights offers.")
def cost_at(gflop, base, side):
    """Operations of a fully convolutional network at another size of its input: a number, in GFLOP.

    gflop: at base x base pixels. base, side: in pixels, multiples of the stride.
    """
    raise NotImplementedError


ANCHORS = np.array([(1.3, 1.7), (3.2, 4.), (5.1, 8.1), (9.5, 4.8), (11.2, 10.)])


def _anchor(w, h, anchors, side):
    return int(overlaps(np.array([(w, h)]) * side / 32, anchors).argmax())


@exercise(
    right=_anchor,
    cases=[(.5, .55, ANCHORS, side) for side in (288, 416, 608)] + [(.15, .2, ANCHORS, 288), (.15, .2, ANCHORS, 608)],
    slips=[(lambda w, h, a, side: _anchor(w, h, a, 416),
            "the grid is not always 13 wide: it has side / 32 cells, and the anchors are counted in cells"),
           (lambda w, h, a, side: _anchor(w * 32, h * 32, a, side),
            "the object was measured in pixels; anchors are counted in cells of 32 pixels"),
           (lambda w, h, a, side: _anchor(w, h, a, 32), "the object is a fraction of the picture, the anchors are in cells: "
                                                        "multiply by the number of cells first")],
    moral="The same object goes to a larger anchor in a larger picture: so all anchors learn all objects.")
def anchor_at(w, h, anchors, side):
    """Which anchor answers for an object when the network's input is side x side pixels: its index.

    The one with the largest IoU, both laid on the same centre. w, h: in fractions of the picture.
    anchors: (k, 2) in cells of 32 pixels, the same at every size. side: in pixels.
    """
    raise NotImplementedError
