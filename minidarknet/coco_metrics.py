"""COCO's average precision: ten overlaps instead of one, 101 points of recall, small, medium and large objects apart.

Boxes here are corners, 0-based and continuous, cut off at the picture's edges: a width is xmax - xmin.
Source: Lin et al., "Microsoft COCO" (2014); https://cocodataset.org/#detection-eval, whose rules these are.
"""
from dataclasses import dataclass

import numpy as np

from minidarknet.errors import DataError
from minidarknet.results import clipped

IOU = np.linspace(.5, .95, 10)
RECALL = np.linspace(0, 1, 101)
AREAS = {"all": (0, 1e5 ** 2), "small": (0, 32 ** 2), "medium": (32 ** 2, 96 ** 2), "large": (96 ** 2, 1e5 ** 2)}
MOST = (1, 10, 100)     # detections of a class on a picture that count, best first
_LOW, _HIGH = np.array(list(AREAS.values())).T[:, :, None]


@dataclass(frozen=True, eq=False)
class CocoEvaluation:
    """The score of a set of detections. names: the classes.

    precision: (10 overlaps, 101 recalls, classes, 4 areas, 3 limits) float64, NaN where a class has no object.
    recall: (10, classes, 4, 3), the largest one reached.
    """

    names: tuple
    precision: np.ndarray
    recall: np.ndarray

    def ap(self, iou=None, area="all", most=100, name=None):
        """Mean precision over recalls, classes (or the one called `name`) and overlaps (or the one `iou`): float or NaN.

        area: a key of AREAS; most: one of MOST.
        """
        return self._mean(self.precision, iou, area, most, name)

    def ar(self, area="all", most=100):
        """Mean, over overlaps and classes, of the largest recall: float or NaN. area, most: as `ap`."""
        return self._mean(self.recall, None, area, most, None)

    def _mean(self, values, iou, area, most, name):
        values = values[..., list(AREAS).index(area), MOST.index(most)]
        if iou is not None:
            values = values[np.flatnonzero(np.isclose(IOU, iou))]
        if name is not None:
            values = values[..., self.names.index(name)]
        there = values[~np.isnan(values)]
        return float(there.mean()) if len(there) else float("nan")

    def to_dict(self):
        """COCO's twelve numbers by their names, AP, AP50 ... AR100 ... ARl; NaN where there is no such object."""
        return {"AP": self.ap(), "AP50": self.ap(.5), "AP75": self.ap(.75), "APs": self.ap(area="small"),
                "APm": self.ap(area="medium"), "APl": self.ap(area="large"), "AR1": self.ar(most=1),
                "AR10": self.ar(most=10), "AR100": self.ar(), "ARs": self.ar("small"), "ARm": self.ar("medium"),
                "ARl": self.ar("large")}


def overlaps(found, truth, crowd):
    """How far detections overlap objects; with a crowd only the detection's own area counts, it may hold part of it.

        |A and B| / |A or B|,  for a crowd B: |A and B| / |A|

    found: (d, 4), truth: (g, 4) xmin ymin xmax ymax. crowd: (g,) bool. Returns (d, g) float64.
    """
    width = np.minimum(found[:, None, 2], truth[:, 2]) - np.maximum(found[:, None, 0], truth[:, 0])
    height = np.minimum(found[:, None, 3], truth[:, 3]) - np.maximum(found[:, None, 1], truth[:, 1])
    both = np.maximum(width, 0) * np.maximum(height, 0)
    own, other = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (found, truth))
    union = np.where(crowd, own[:, None], own[:, None] + other - both)
    return np.divide(both, union, out=np.zeros_like(both), where=both > 0)


def match(overlap, crowd, ignored):
    """Give each detection of a class on a picture, best first, an object: for all areas and overlaps at once.

    It gets the object it overlaps most among those that are free (a crowd always is) and overlapped enough, one that
    counts rather than one that is ignored; of equals the last one. overlap: (d, g), detections by falling confidence.
    crowd: (g,) bool. ignored: (a, g) bool, for every area. Returns (hit, lost), (a, 10, d) bool: has an object; has one
    that is ignored.
    """
    areas, (count, objects) = len(ignored), overlap.shape
    hit, lost = np.zeros((2, areas, len(IOU), count), bool)
    taken, counts = np.zeros((areas, len(IOU), objects), bool), ~ignored[:, None]
    for i in range(count):
        enough = overlap[i] >= IOU[:, None]
        if not enough.any():
            continue
        value = np.where(enough & (crowd | ~taken), overlap[i], -1)
        first, second = np.where(counts, value, -1), np.where(counts, -1, value)
        best = np.where(first.max(axis=2) >= 0, _last_best(first), _last_best(second))
        a, t = np.nonzero(value.max(axis=2) >= 0)
        taken[a, t, best[a, t]] = True
        hit[a, t, i], lost[a, t, i] = True, ignored[a, best[a, t]]
    return hit, lost


def _last_best(values):
    """Along the last axis, the index of the largest value, of equals the last."""
    return values.shape[-1] - 1 - np.argmax(values[..., ::-1], axis=-1)


def _of_class(found, examples, k):
    """All pictures' matches of class k: lists of (scores (d,), hit (a, t, d), counted out (a, t, d)), and objects (a,)."""
    parts, objects = [], np.zeros(len(AREAS), np.int64)
    for example, (boxes, scores, class_id) in zip(examples, found):
        mine, theirs = class_id == k, example.classes == k
        if not (mine.any() or theirs.any()):
            continue
        best = np.argsort(-scores[mine], kind="stable")[:MOST[-1]]
        boxes, scores = boxes[mine][best], scores[mine][best]
        truth, crowd = example.box_px[theirs] - (1, 1, 0, 0), example.difficult[theirs]
        area = (truth[:, 2:] - truth[:, :2]).prod(axis=1) if example.area is None else example.area[theirs]
        ignored = crowd | (area < _LOW) | (area > _HIGH)
        objects += (~ignored).sum(axis=1)
        hit, lost = match(overlaps(boxes, truth, crowd), crowd, ignored)
        own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        outside = (own < _LOW) | (own > _HIGH)
        parts.append((scores, hit, lost | (~hit & outside[:, None])))
    return parts, objects


def _curve(true, objects):
    """Precision (101,) at RECALL, and the largest recall, from what each counted detection is, best first."""
    right = np.cumsum(true)
    recall = right / objects
    precision = right / (np.arange(1, len(true) + 1) + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, RECALL, side="left")
    return np.append(envelope, 0)[reached], recall[-1] if len(recall) else 0


def evaluate_coco(detections_by_id, examples, names):
    """Score Detections as COCO does.

    detections_by_id: dict Example.id -> Detections; a picture without an entry is one on which nothing was found.
    examples: list of Example; what is `difficult` is a crowd. names: class names. Of a class the 100 best detections of
    a picture count. Returns CocoEvaluation. Raises DataError for a picture that is not among the examples.
    """
    unknown = set(detections_by_id) - {example.id for example in examples}
    if unknown:
        raise DataError(f"there are detections on pictures without annotation, such as {min(map(str, unknown))!r}")
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    found = []
    for example in examples:
        d = detections_by_id.get(example.id)
        found.append(nothing if d is None else (clipped(d.xyxy, example.size), d.confidence.astype(np.float64), d.class_id))
    shape = len(names), len(AREAS), len(MOST)
    precision, recall = np.full((len(IOU), len(RECALL), *shape), np.nan), np.full((len(IOU), *shape), np.nan)
    for k in range(len(names)):
        parts, objects = _of_class(found, examples, k)
        for m, most in enumerate(MOST):
            scores = np.concatenate([s[:most] for s, _, _ in parts] or [np.zeros(0)])
            order = np.argsort(-scores, kind="stable")
            if not parts:
                continue
            hit, out = (np.concatenate([part[n][..., :most] for part in parts], axis=2)[..., order] for n in (1, 2))
            for a in np.flatnonzero(objects):
                for t in range(len(IOU)):
                    precision[t, :, k, a, m], recall[t, k, a, m] = _curve(hit[a, t][~out[a, t]], objects[a])
    return CocoEvaluation(tuple(names), precision, recall)
