"""Lesson 06, dimension clusters: k-means with 1 - IoU (notebooks/06_dimension_clusters.ipynb)."""
import numpy as np

from minidarknet import clusters
from minidarknet.lessons import exercise

_rng = np.random.default_rng(6)
SHAPES = np.exp(_rng.normal(0, .7, (40, 2)))
ANCHORS = np.array([(.5, .6), (1.5, 1), (3, 3.5)])


def _common(shapes, anchors):
    return np.minimum(shapes[:, None], anchors).prod(axis=2)


@exercise(
    right=clusters.iou_distance,
    cases=[(SHAPES, ANCHORS), (ANCHORS, ANCHORS), (SHAPES[:1], ANCHORS[:2])],
    slips=[(clusters.overlaps, "this is the IoU; a distance is 0 where two shapes are equal: 1 - IoU"),
           (lambda s, a: (1 - clusters.overlaps(s, a)).T, "shapes belong along the rows, anchors along the columns"),
           (lambda s, a: 1 - _common(s, a) / (s.prod(axis=1)[:, None] + a.prod(axis=1)),
            "the union counts the intersection once: areas together, minus the intersection"),
           (lambda s, a: np.sqrt(clusters.squared_distance(s, a)),
            "this is the Euclidean distance: a large box would count more than a small one")],
    moral="It does not change when both are scaled: a small object is worth as much as a large one.")
def iou_distance(shapes, anchors):
    """1 - IoU of every shape with every anchor, laid on the same centre: (n, k).

    shapes: (n, 2) widths and heights. anchors: (k, 2). Without a Python loop, if you can.
    """
    raise NotImplementedError


def _step(shapes, anchors):
    owner = clusters.iou_distance(shapes, anchors).argmin(axis=1)
    return np.array([shapes[owner == j].mean(axis=0) for j in range(len(anchors))])


def _by(distance, centre):
    def wrong(shapes, anchors):
        owner = distance(shapes, anchors).argmin(axis=1)
        return np.array([centre(shapes[owner == j], axis=0) for j in range(len(anchors))])
    return wrong


@exercise(
    right=_step,
    cases=[(SHAPES, ANCHORS), (SHAPES, SHAPES[:4].copy()), (SHAPES[:5], SHAPES[:2].copy())],
    slips=[(_by(clusters.squared_distance, np.mean), "the boxes went to the nearest anchor by Euclid; here nearest means "
                                                     "the largest IoU"),
           (_by(clusters.iou_distance, np.median), "the anchors moved to the medians; that works too, and often a little "
                                                   "better, but the task says mean"),
           (lambda s, a: _by(lambda p, q: -clusters.iou_distance(p, q), np.mean)(s, a)
            if len(set(clusters.iou_distance(s, a).argmax(axis=1))) == len(a) else np.nan,
            "every box went to the FARTHEST anchor: the smallest distance is the largest IoU")],
    moral="Assign, move, repeat: that is all of k-means.")
def lloyd_step(shapes, anchors):
    """One iteration of k-means: the new anchors (k, 2).

    Give every shape to its nearest anchor by 1 - IoU, then move every anchor to the mean of its shapes.

    shapes: (n, 2). anchors: (k, 2), of which each is nearest to at least one shape.
    """
    raise NotImplementedError


def _weights(shapes, chosen):
    nearest = clusters.iou_distance(shapes, chosen).min(axis=1)
    return nearest / nearest.sum()


def _normal(values):
    return values / values.sum()


@exercise(
    right=_weights,
    cases=[(SHAPES, SHAPES[:1].copy()), (SHAPES, SHAPES[3:6].copy()), (SHAPES[:6], SHAPES[:2].copy())],
    slips=[(lambda s, c: clusters.iou_distance(s, c).min(axis=1), "these do not sum to 1: divide by their sum"),
           (lambda s, c: _normal(clusters.iou_distance(s, c).max(axis=1)),
            "what counts is the distance from the NEAREST anchor taken so far; a box right at one is served already"),
           (lambda s, c: _normal(clusters.iou_distance(s, c).mean(axis=1)),
            "what counts is the distance from the nearest anchor, not from the average one"),
           (lambda s, c: _normal(clusters.iou_distance(s, c).min(axis=1) ** 2),
            "squared distances belong to the sum of squares; the sum that is made small here is that of 1 - IoU itself"),
           (lambda s, c: np.full(len(s), 1 / len(s)), "all boxes are equally likely here: that is the plain random start")],
    moral="So the start spreads over the data by itself, and few restarts are needed.")
def start_probabilities(shapes, chosen):
    """k-means++: the probability of each shape to become the next anchor: (n,), of sum 1.

    It is proportional to 1 - IoU with the nearest of the anchors `chosen` so far.

    shapes: (n, 2). chosen: (j, 2).
    """
    raise NotImplementedError
