"""Lesson 01, from boxes to mAP: IoU, suppression, average precision (notebooks/01_boxes_to_map.ipynb)."""
import numpy as np

from minidarknet import detections, metrics
from minidarknet.lessons import exercise


def _iou(a, b):
    return float(detections.iou([a], [b])[0, 0])


def _overlap(a, b, least=0.):
    return max(min(a[2], b[2]) - max(a[0], b[0]), least) * max(min(a[3], b[3]) - max(a[1], b[1]), least)


def _area(a):
    return (a[2] - a[0]) * (a[3] - a[1])


def _ratio(common, a, b):
    return common / (_area(a) + _area(b) - common)


@exercise(
    right=_iou,
    cases=[((0., 0., 4., 4.), (0., 0., 4., 4.)), ((1., 1., 5., 4.), (3., 2., 7., 5.)), ((0., 0., 2., 2.), (5., 5., 6., 6.)),
           ((0., 0., 2., 2.), (5., 0., 6., 2.)), ((0., 0., 10., 10.), (4., 4., 5., 5.))],
    slips=[(lambda a, b: _overlap(a, b) / (_area(a) + _area(b)),
            "the two areas together count the overlap twice: subtract it once"),
           (lambda a, b: _ratio(_overlap(a, b, -np.inf), a, b),
            "boxes that do not touch have a negative width or height between them, and two negatives make an overlap: "
            "nothing below 0"),
           (lambda a, b: _overlap(a, b) / min(_area(a), _area(b)),
            "divided by the smaller box: a small box inside a large one would be perfect"),
           (_overlap, "this is the overlap's area; divide it by the area of both together")],
    moral="It has no unit: pixels, cells or fractions give the same number.")
def box_iou(a, b):
    """Intersection over union of two boxes: a number from 0 to 1.

    a, b: corners (xmin, ymin, xmax, ymax). Boxes that do not touch have 0.
    """
    raise NotImplementedError


def _nms(boxes, scores, threshold):
    return detections.nms(boxes, scores[:, None], threshold)[:, 0]


def _greedy(boxes, scores, threshold, order=None, judges="kept"):
    """Suppression box by box. order: of the boxes. judges: "kept" or "all" earlier ones."""
    order = np.argsort(-scores, kind="stable") if order is None else order
    iou = detections.iou(boxes, boxes)
    kept = np.zeros(len(boxes), bool)
    for place, i in enumerate(order):
        rivals = [j for j in order[:place] if kept[j] or judges == "all"]
        kept[i] = not any(iou[i, j] > threshold for j in rivals)
    return kept


CHAIN = np.array([(0., 0., 4., 4.), (1.5, 0., 5.5, 4.), (3., 0., 7., 4.), (10., 0., 14., 4.), (10.2, 0., 14.2, 4.)])


@exercise(
    right=_nms,
    cases=[(CHAIN, np.array([.9, .8, .7, .3, .6]), .4), (CHAIN, np.array([.5, .8, .7, .3, .6]), .4),
           (CHAIN[[1, 0, 2]], np.array([.8, .9, .7]), .4), (CHAIN, np.array([.5, .8, .7, .3, .6]), .99),
           (CHAIN[:1], np.array([.2]), .5)],
    slips=[(lambda b, s, t: _greedy(b, s, t, np.arange(len(b))),
            "the boxes were taken in their own order; the most confident one chooses first"),
           (lambda b, s, t: _greedy(b, s, t, np.argsort(s)),
            "the least confident one was taken first: turn the order round"),
           (lambda b, s, t: _greedy(b, s, t, judges="all"),
            "a box that was dropped still dropped others; only boxes that stay do that"),
           (lambda b, s, t: ~_nms(b, s, t), "these are the boxes that go; asked for are those that stay")],
    moral="It knows nothing of objects: two real ones that overlap more than the threshold become one.")
def suppress(boxes, scores, threshold):
    """Which boxes non-maximum suppression keeps: (n,) bool.

    Go through the boxes from the most confident to the least. Keep a box unless its IoU with a kept one is above the
    threshold. boxes: (n, 4) corners, all of one class. scores: (n,), all different and above 0. threshold: 0 to 1.
    """
    raise NotImplementedError


def _ap(verdict, objects):
    return float(metrics.ap_voc10(*metrics.precision_recall(verdict, objects)))


def _curve(verdict, objects):
    true = np.cumsum(verdict)
    return true / objects, true / np.arange(1, len(verdict) + 1)


def _raw_area(verdict, objects):
    recall, precision = _curve(verdict, objects)
    return (np.diff(recall, prepend=0) * precision).sum()


@exercise(
    right=_ap,
    cases=[(np.array(v), n) for v, n in (([1, 1, 0, 1, 0, 0, 0, 1, 0, 0], 5), ([0, 0, 1], 2), ([0, 1, 1, 1], 3), ([1], 4))],
    slips=[(_raw_area, "raise every precision to the best one at the same recall or more, before the area is taken"),
           (lambda v, n: float(metrics.ap_voc07(*metrics.precision_recall(v, n))),
            "this is the 11-point AP of VOC 2007; asked for is the area"),
           (lambda v, n: _ap(v, max(v.sum(), 1)),
            "objects that were never found count as well: divide by all objects, not by those found"),
           (lambda v, n: v.mean(), "this is the precision at the end of the line; the order of the verdicts matters, too")],
    moral="A false detection only hurts the true ones behind it: a detector must know when it does not know.")
def average_precision(verdict, objects):
    """The area under the precision-recall curve: a number from 0 to 1.

    After the first i detections: recall = true ones / objects, precision = true ones / i. Raise each precision to the
    largest at the same recall or more; sum (growth of recall) * (raised precision). verdict: (n,) of 1 (true) and 0
    (false), most confident first. objects: how many there are to be found.
    """
    raise NotImplementedError
