"""Dimension clusters: anchors from the boxes of a data set, by k-means with the distance 1 - IoU.

    d(box, anchor) = 1 - IoU of the two, laid on the same centre

Plain k-means with the Euclidean distance would care for large boxes and sacrifice the small ones; the IoU does not
depend on the scale. Paper: YOLO9000 (arXiv 1612.08242), section 2, "Dimension Clusters", figure 2 and table 1.
"""
import itertools

import numpy as np

from minidarknet.data.augment import SMALLEST
from minidarknet.data.pictures import placement
from minidarknet.errors import DataError

ITERATIONS = 300
MOST = 10_000  # boxes that are clustered; of more, so many are drawn

# Table 1 of the paper, on VOC 2007: (k, how the priors were found) -> average IoU of the closest prior.
PAPER = {(5, "iou"): .610, (9, "iou"): .672, (5, "euclid"): .587, (9, "hand-picked"): .609}

# Faster R-CNN's nine, the table's "anchor boxes": squares of 128, 256 and 512 pixels and their 1:2 and 2:1 sisters of
# the same area, in a picture of 600 x 800. (Ren et al., arXiv 1506.01497, section 3.1.2 and 3.3.)
HAND_PICKED = np.array([(side / np.sqrt(ratio), side * np.sqrt(ratio))
                        for side, ratio in itertools.product((128, 256, 512), (.5, 1, 2))]) / 800


def shapes(examples, size, mode="letterbox"):
    """Widths and heights of all boxes as the network sees them: (n, 2) float64, fractions of its input.

    The pictures are fitted as for detection; `difficult` objects and tiny ones are left out, as in training.
    examples: list of Example. size: (w, h) of the network's input. mode: "letterbox" or "stretch".
    """
    found = [placement(e.size, size[::-1], mode).apply(e.boxes[~e.difficult])[:, 2:] for e in examples]
    found = np.concatenate([np.empty((0, 2)), *found])
    return found[(found >= SMALLEST).all(axis=1)]


def overlaps(shapes, anchors):
    """IoU of every box with every anchor, laid on the same centre: (n, k).

        IoU = min(w, aw) min(h, ah) / (w h + aw ah - min(w, aw) min(h, ah))

    shapes: (n, 2), anchors: (k, 2) widths and heights in the same unit.
    """
    common = np.minimum(shapes[:, None], anchors).prod(axis=2)
    return common / (shapes.prod(axis=1)[:, None] + anchors.prod(axis=1) - common)


def iou_distance(shapes, anchors):
    """1 - IoU of every box with every anchor: (n, k). shapes: (n, 2). anchors: (k, 2)."""
    return 1 - overlaps(shapes, anchors)


def squared_distance(shapes, anchors):
    """(w - aw)^2 + (h - ah)^2 of every box and every anchor: (n, k). shapes: (n, 2). anchors: (k, 2)."""
    return ((shapes[:, None] - anchors) ** 2).sum(axis=2)


def average_iou(shapes, anchors):
    """Mean over the boxes of the IoU with the anchor that overlaps them most: float, the paper's figure 2.

    shapes: (n, 2). anchors: (k, 2).
    """
    return float(overlaps(shapes, anchors).max(axis=1).mean())


def best_possible_recall(shapes, anchors, threshold=.5):
    """Share of the boxes that some anchor overlaps by more than `threshold` before anything is learnt: float.

    shapes: (n, 2). anchors: (k, 2). threshold: IoU.
    """
    return float((overlaps(shapes, anchors).max(axis=1) > threshold).mean())


def kmeans(shapes, k, distance=iou_distance, centre=np.mean, restarts=10, seed=0):
    """The k anchors to which the boxes have the least distance in sum, as far as `restarts` attempts find them: (k, 2).

    1. Start: a box drawn at random, then others, each with a probability proportional to its distance from the nearest
       one taken so far (k-means++, Arthur and Vassilvitskii 2007). 2. Give every box to its nearest anchor.
    3. Move every anchor to the `centre` of its boxes. 4. Again, until nothing changes.
    For 1 - IoU the mean is not the exact minimum of step 3, so the best anchors of all iterations are kept.

    shapes: (n, 2) widths and heights, of which MOST at most are used. k: int. distance: function (n, 2), (k, 2) ->
    (n, k). centre: np.mean or np.median. seed: int, of all draws. Returns the anchors from the smallest to the largest.
    Raises DataError where there are fewer than k different boxes.
    """
    different = len(np.unique(shapes.round(9), axis=0))
    if different < k:
        raise DataError(f"k={k} anchors need {k} boxes of different shapes, but there are {different} "
                        f"({len(shapes)} boxes): give more data" + (f", or k up to {different}" if different else ""))
    rng = np.random.default_rng(seed)
    if len(shapes) > MOST:
        shapes = rng.choice(shapes, MOST, replace=False)
    attempts = [_lloyd(shapes, _start(shapes, k, distance, rng), distance, centre) for _ in range(restarts)]
    anchors, _ = min(attempts, key=lambda attempt: attempt[1])
    return anchors[np.argsort(anchors.prod(axis=1))]


def _start(shapes, k, distance, rng):
    """k boxes to begin with, far from each other: k-means++."""
    chosen = shapes[[rng.integers(len(shapes))]]
    while len(chosen) < k:
        nearest = distance(shapes, chosen).min(axis=1)
        chosen = np.append(chosen, shapes[[rng.choice(len(shapes), p=nearest / nearest.sum())]], axis=0)
    return chosen


def _lloyd(shapes, anchors, distance, centre):
    """Lloyd's iterations from `anchors`: (the best anchors met, the sum of their distances)."""
    best, least, before = anchors, np.inf, None
    for _ in range(ITERATIONS):
        distances = distance(shapes, anchors)
        owner, nearest = distances.argmin(axis=1), distances.min(axis=1)
        if nearest.sum() < least:
            best, least = anchors, nearest.sum()
        if np.array_equal(owner, before):
            break
        farthest = iter(np.argsort(-nearest))  # an anchor that lost all its boxes begins anew at the worst served one
        anchors = np.array([centre(shapes[owner == j], axis=0) if (owner == j).any() else shapes[next(farthest)]
                            for j in range(len(anchors))])
        before = owner
    return best, least
