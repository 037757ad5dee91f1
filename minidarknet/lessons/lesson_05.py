"""Lesson 05, anchor boxes: which of the priors answers for an object (notebooks/05_anchor_boxes.ipynb)."""
import numpy as np

from minidarknet.clusters import overlaps
from minidarknet.lessons import exercise

ANCHORS = np.array([(1., 1), (2, 4), (4, 2), (5, 5)])


def _iou(w, h, aw, ah):
    return float(overlaps(np.array([(w, h)], float), np.array([(aw, ah)], float))[0, 0])


def _common(w, h, aw, ah):
    return min(w, aw) * min(h, ah)


@exercise(
    right=_iou,
    cases=[(2., 2., 2., 2.), (1., 1., 2., 2.), (2., 4., 4., 2.), (.3, .7, .5, .1), (3., 1., 1., 5.)],
    slips=[(_common, "this is the intersection; divide it by the union"),
           (lambda w, h, aw, ah: _common(w, h, aw, ah) / (w * h + aw * ah),
            "the two areas together count the intersection twice: subtract it once, then identical shapes give 1"),
           (lambda w, h, aw, ah: _common(w, h, aw, ah) / max(w * h, aw * ah),
            "the larger area is the union only where one shape lies inside the other"),
           (lambda w, h, aw, ah: min(w * h, aw * ah) / max(w * h, aw * ah),
            "a ratio of areas cannot tell a tall box from a wide one: take the smaller width and the smaller height")],
    moral="Laid on the same centre, only the shapes count: this number decides which anchor answers.")
def shape_iou(w, h, aw, ah):
    """IoU of two shapes, w x h and aw x ah, laid on the same centre: a number from 0 to 1."""
    raise NotImplementedError


def _responsible(truth, anchors, grid):
    x, y, w, h = truth
    shape = np.array([(w, h)]) * grid
    return int(y * grid), int(x * grid), int(overlaps(shape, anchors).argmax())


def _slip(change):
    """_responsible with one thing done otherwise."""
    def wrong(truth, anchors, grid):
        row, column, anchor = _responsible(truth, anchors, grid)
        return change(truth, anchors, grid, row, column, anchor)
    return wrong


@exercise(
    right=_responsible,
    cases=[((.1, .7, .3, .3), ANCHORS, 13), ((.62, .31, .15, .3), ANCHORS, 13), ((.55, .2, .3, .15), ANCHORS, 7),
           ((.999, .5, .9, .9), ANCHORS, 5), ((.4, .3, .23, .31), ANCHORS, 7)],
    slips=[(_slip(lambda t, a, g, row, column, k: (column, row, k)),
            "row and column are swapped: y, which grows downwards, picks the row"),
           (_slip(lambda t, a, g, row, column, k: (row, column, int(overlaps(np.array([t[2:]]), a).argmax()))),
            "w and h are fractions of the picture, but the anchors are in cells: multiply by the grid first"),
           (_slip(lambda t, a, g, row, column, k: (round(t[1] * g), round(t[0] * g), k)),
            "a centre at 8.7 cells lies in cell 8: cut the decimals off, do not round"),
           (_slip(lambda t, a, g, row, column, k: (
               row, column, int(((np.array(t[2:]) * g - a) ** 2).sum(axis=1).argmin()))),
            "the Euclidean distance of the shapes picked the anchor; YOLOv2 takes the largest IoU")],
    moral="One anchor in one cell: the other boxes of the picture are not asked for this object.")
def responsible(truth, anchors, grid):
    """(row, column, anchor) of the one box that answers for an object.

    truth: (x, y, w, h), centre and size in fractions of the picture. anchors: (n, 2) widths and heights in cells.
    grid: cells per side. The cell holds the object's centre; the anchor has the largest IoU with its shape.
    """
    raise NotImplementedError


def _homeless(truths, anchors, grid):
    slots = [_responsible(tuple(truth), anchors, grid) for truth in truths]
    return len(slots) - len(set(slots))


CROWD = np.array([(.1, .1, .08, .08), (.12, .11, .09, .07), (.11, .1, .3, .3), (.5, .5, .2, .4), (.52, .52, .4, .2),
                  (.9, .9, .1, .1), (.91, .9, .1, .1), (.92, .91, .08, .1)])


@exercise(
    right=_homeless,
    cases=[(CROWD, ANCHORS, 7), (CROWD, ANCHORS[:1], 7), (CROWD, ANCHORS, 20), (CROWD[:1], ANCHORS, 7)],
    slips=[(lambda t, a, g: len(t) - len({_responsible(tuple(one), a, g)[:2] for one in t}),
            "objects were counted as rivals when they share a cell; with anchors they are rivals only if they also share "
            "the anchor"),
           (lambda t, a, g: len({_responsible(tuple(one), a, g) for one in t}),
            "this is how many objects find a place; asked for are those that do not"),
           (lambda t, a, g: sum(n for n in _counts(t, a, g) if n > 1),
            "of the objects that share a box one keeps it: three in one place leave two without"),
           (lambda t, a, g: sum(n > 1 for n in _counts(t, a, g)),
            "these are the boxes that are fought for; count the objects that lose: three in one place leave two without")],
    moral="This is the price of one box per anchor and cell; a finer grid and more anchors make it small.")
def homeless(truths, anchors, grid):
    """How many objects of a picture find no box of their own, because a later one takes the same cell and anchor.

    truths: (t, 4) rows x, y, w, h in fractions. anchors: (n, 2) in cells. grid: cells per side.
    You may use your `responsible`.
    """
    raise NotImplementedError


def _counts(truths, anchors, grid):
    """How many objects go to each of the boxes that are taken: list of int."""
    slots = [_responsible(tuple(truth), anchors, grid) for truth in truths]
    return [slots.count(slot) for slot in set(slots)]
