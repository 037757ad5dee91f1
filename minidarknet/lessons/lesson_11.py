"""Lesson 11, from YOLO to YOLOv2: the first one's grid, loss and limits (notebooks/11_from_yolo_to_yolov2.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise


def _outputs(side, boxes, classes):
    return side * side * (boxes * 5 + classes)


@exercise(
    right=_outputs,
    cases=[(7, 2, 20), (7, 3, 20), (11, 2, 4), (1, 1, 1)],
    slips=[(lambda s, b, c: s * s * b * (5 + c), "YOLOv2 counts like this: a class for every box. In YOLO the classes "
                                                 "belong to the cell"),
           (lambda s, b, c: s * s * (b * 4 + c), "a box has a fifth number: how sure it is"),
           (lambda s, b, c: s * (b * 5 + c), "a grid has side x side cells; only one row of them was counted")],
    moral="7 x 7 x (2 x 5 + 20) = 1470, all of them made by one fully connected layer.")
def outputs(side, boxes, classes):
    """How many numbers YOLO's last layer gives for a picture: an int.

    side: cells per side. boxes: per cell. classes: how many.
    """
    raise NotImplementedError


BOX, TRUTH = np.array([.4, .6, .25, .09]), np.array([.5, .5, .36, .16])


def _loss(box, truth, scale):
    apart = np.concatenate([box[:2] - truth[:2], np.sqrt(box[2:]) - np.sqrt(truth[2:])])
    return scale * float((apart ** 2).sum())


@exercise(
    right=_loss,
    cases=[(BOX, TRUTH, 5.), (TRUTH, TRUTH, 5.), (BOX, TRUTH, 1.), (np.array([.1, .2, .01, .04]), TRUTH, 5.)],
    slips=[(lambda b, t, s: s * float(((b - t) ** 2).sum()), "width and height without their roots: then an error of a "
                                                             "hundredth costs a small box no more than a large one"),
           (lambda b, t, s: _loss(b, t, 1), "the scale (5 in the paper) is missing"),
           (lambda b, t, s: s * float(((np.sqrt(b) - np.sqrt(t)) ** 2).sum()), "only width and height have roots; x and "
                                                                               "y are compared as they are"),
           (lambda b, t, s: np.sqrt(_loss(b, t, s)), "the sum of the squared errors is asked for, not its root")],
    moral="A root is steeper where its argument is small: small boxes are told of small errors.")
def box_loss(box, truth, scale):
    """The part of YOLO's loss (its equation 3, the first two lines) that is about one responsible box: a float.

    box, truth: (4,) float64, x y w h. scale: lambda_coord.
    """
    raise NotImplementedError


CENTRES = [np.array([(.1, .1), (.12, .13), (.5, .5), (.9, .9)]), np.array([(.5, .5)]), np.zeros((0, 2)),
           np.array([(.30, .30), (.31, .30), (.32, .31), (.60, .61), (.62, .60)])]


def _lost(centres, side):
    cells = [tuple(cell) for cell in np.minimum((centres * side).astype(int), side - 1)]
    return len(cells) - len(set(cells))


def _crowded(centres, side):
    cells = [tuple(cell) for cell in (centres * side).astype(int)]
    return sum(cells.count(cell) > 1 for cell in cells)


@exercise(
    right=_lost,
    cases=[(centres, side) for centres in CENTRES for side in (7, 13)],
    slips=[(_crowded, "all objects of a crowded cell were counted; the first of them is learnt, the others are lost"),
           (lambda c, s: len({tuple(cell) for cell in (c * s).astype(int)}), "these are the objects that are kept"),
           (lambda c, s: _lost(c, 7), "the cells are 1 / side wide: 7 is only YOLO's number")],
    moral="A finer grid loses fewer; and with anchors two objects of different shapes can share a cell.")
def lost(centres, side):
    """How many objects of a picture YOLO cannot learn because an earlier one has their cell already: an int.

    centres: (n, 2) float64, x y in fractions of the picture. side: cells per side.
    """
    raise NotImplementedError
