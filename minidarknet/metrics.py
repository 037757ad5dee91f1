"""How good the detections are: matching, precision and recall, average precision, as Pascal VOC's devkit defines them.

Boxes here are VOC's, `box_px`: xmin ymin xmax ymax in pixels counted from 1, the last one included, so that a width is
xmax - xmin + 1. Detections become such boxes exactly as in Darknet's comp4 files: + 1, then cut off at 1 and w or h.
Source: Everingham et al., "The PASCAL VOC Challenge" (2010), section 4.2, and VOCevaldet.m of its devkit.
"""
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from minidarknet.detections import iou
from minidarknet.errors import DataError
from minidarknet.names import distinct

TRUE, FALSE, IGNORED = 1, 0, -1  # verdicts on a detection


class Boxes(NamedTuple):
    """Boxes of one class on many pictures. picture: (n,) int64, which one; box_px: (n, 4) float64; value: (n,).

    value is the confidence of a detection (float64), or whether a truth is difficult (bool).
    """

    picture: np.ndarray
    box_px: np.ndarray
    value: np.ndarray


def match(found, truth, threshold=.5, extra=1.0):
    """Decide about every detection of a class, in the order of falling confidence (equals keep their order).

    A detection belongs to the truth of its picture that it overlaps most. It is TRUE if that IoU is at least
    `threshold` (the devkit's >=; others, Darknet's `detector map` among them, ask for more than that) and no more
    confident detection has claimed that truth, FALSE if one has or if the IoU is less, and IGNORED if the truth is
    difficult.
    found: Boxes with confidences. truth: Boxes with difficult flags. extra: added to widths and heights in the IoU:
    1 for VOC's included pixels, 0 as in COCO.
    Returns (order (n,) int64: detections by falling confidence, verdict (n,) int8 in that order).
    """
    order = np.argsort(-found.value, kind="stable")
    picture, boxes = found.picture[order], found.box_px[order]
    best, owner = np.zeros(len(order)), np.full(len(order), -1)
    groups = np.argsort(picture, kind="stable")
    pictures = max(picture.max(initial=-1), truth.picture.max(initial=-1)) + 1
    borders = np.searchsorted(picture[groups], np.arange(pictures + 1))
    for p in np.unique(truth.picture):
        here, there = groups[borders[p]:borders[p + 1]], np.flatnonzero(truth.picture == p)
        overlap = iou(boxes[here], truth.box_px[there], extra)
        best[here], owner[here] = overlap.max(axis=1, initial=0), there[overlap.argmax(axis=1)]
    hit = (owner >= 0) & (best >= threshold)
    verdict = np.full(len(order), FALSE, np.int8)
    first = np.flatnonzero(hit)[np.unique(owner[hit], return_index=True)[1]]  # the first claim on each truth
    verdict[first] = TRUE
    verdict[np.flatnonzero(hit)[truth.value[owner[hit]]]] = IGNORED
    return order, verdict


def precision_recall(verdict, objects):
    """What has been found, and how much of it is right, at every confidence that could be the threshold.

        recall_i = (TRUE among the first i) / objects        precision_i = (TRUE among the first i) / i

    verdict: (n,) from `match`, best detection first; IGNORED ones are left out. objects: how many there are to find.
    Returns (recall, precision), float64, of equal length; a recall is NaN where there is nothing to find.
    """
    counted = verdict[verdict != IGNORED]
    true = np.cumsum(counted == TRUE)
    with np.errstate(invalid="ignore", divide="ignore"):
        return true / np.float64(objects), true / np.arange(1, len(counted) + 1)


def ap_voc07(recall, precision):
    """Average precision of VOC 2007: the mean, over recall 0, .1, ... 1, of the best precision at that recall or more.

    The steps are multiples of the double nearest .1, as in the devkit and its copies: 3 * .1 lies a hair above .3, so
    three of ten objects do not reach it. Exact steps would give up to .01 more for a class with few objects.
    recall, precision: (n,), from `precision_recall`. Returns a float.
    """
    return float(sum(precision[recall >= i * .1].max(initial=0) for i in range(11)) / 11)


def ap_voc10(recall, precision):
    """Average precision since VOC 2010: the area under the curve, every precision raised to the best one to its right.

        AP = sum over i of (recall_i - recall_(i-1)) * max(precision_j, j >= i)

    recall, precision: (n,), from `precision_recall`. Returns a float.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * envelope).sum())


@dataclass(frozen=True, eq=False)
class ClassResult:
    """The score of one class. truths: objects that count; difficult: those that do not. true, false: detections.

    recall, precision: (n,), confidence: (n,) falling, one entry per detection that counts. ap07, ap10: average
    precision, NaN where there is no truth.
    """

    name: str
    truths: int
    difficult: int
    true: int
    false: int
    ap07: float
    ap10: float
    recall: np.ndarray
    precision: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The score of a set of detections. per_class: tuple of ClassResult; images: how many pictures; threshold: IoU.

    map_voc07, map_voc10: means over the classes that have truth, NaN if none has.
    """

    per_class: tuple
    images: int
    threshold: float

    @property
    def map_voc07(self):
        """The mean of ap07 over the classes that have truth."""
        return self._mean("ap07")

    @property
    def map_voc10(self):
        """The mean of ap10 over the classes that have truth."""
        return self._mean("ap10")

    def over(self, names):
        """The Evaluation of some of the classes. names: of these; those without a class are passed over."""
        return replace(self, per_class=tuple(c for c in self.per_class if c.name in names))

    def _mean(self, name):
        values = [getattr(c, name) for c in self.per_class if c.truths]
        return float(np.mean(values)) if values else float("nan")

    @property
    def curves(self):
        """Name -> (recall, precision, area AP): what viz.precision_recall_plot draws."""
        return {c.name: (c.recall, c.precision, c.ap10) for c in self.per_class}

    def to_dict(self):
        """For JSON: map_voc07, map_voc10, images, iou, per_class (name -> ap07, ap10, truths, ...); None for NaN."""
        def number(value):
            return None if np.isnan(value) else float(value)

        return {"map_voc07": number(self.map_voc07), "map_voc10": number(self.map_voc10), "images": self.images,
                "iou": self.threshold,
                "per_class": {c.name: {"ap07": number(c.ap07), "ap10": number(c.ap10), "truths": c.truths,
                                       "difficult": c.difficult, "true_positives": c.true, "false_positives": c.false}
                              for c in self.per_class}}


def _class_result(name, found, truth, threshold, extra):
    objects = int((~truth.value).sum())
    order, verdict = match(found, truth, threshold, extra)
    recall, precision = precision_recall(verdict, objects)
    ap07, ap10 = (ap_voc07(recall, precision), ap_voc10(recall, precision)) if objects else (float("nan"),) * 2
    return ClassResult(name, objects, int(truth.value.sum()), int((verdict == TRUE).sum()),
                       int((verdict == FALSE).sum()), ap07, ap10, recall, precision,
                       found.value[order][verdict != IGNORED])


def box_px(xyxy, size):
    """Corners in 0-based, continuous pixels -> VOC's: + 1, cut off at 1 and at `size` = (w, h), as Darknet does.

    xyxy: (n, 4). Returns (n, 4) float64. Darknet: print_detector_detections in examples/detector.c (only the left and
    upper edges are kept from falling below 1, only the right and lower ones from leaving the picture).
    """
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4) + 1
    return np.concatenate([np.maximum(boxes[:, :2], 1), np.minimum(boxes[:, 2:], size)], axis=1)


def gather(detections_by_id, examples, names):
    """Detections of all pictures -> a list of one Boxes per class; arguments and errors as `evaluate_detections`.

    detections_by_id, examples, names: as there.
    """
    unknown = set(detections_by_id) - {example.id for example in examples}
    if unknown:
        raise DataError(f"there are detections on pictures without annotation, such as {min(map(str, unknown))!r}")
    parts = [(i, box_px(found.xyxy, example.size), found.confidence, found.class_id)
             for i, example in enumerate(examples) if (found := detections_by_id.get(example.id)) is not None]
    picture = np.concatenate([np.full(len(confidence), i) for i, _, confidence, _ in parts] or [np.zeros(0, np.int64)])
    boxes = np.concatenate([b for _, b, _, _ in parts] or [np.zeros((0, 4))])
    confidence = np.concatenate([c for _, _, c, _ in parts] or [np.zeros(0)]).astype(np.float64)
    class_id = np.concatenate([k for _, _, _, k in parts] or [np.zeros(0, np.int64)])
    if len(class_id) and class_id.max() >= len(names):
        raise DataError(f"there are detections of class {class_id.max()}, but only {len(names)} names")
    return [Boxes(picture[class_id == k], boxes[class_id == k], confidence[class_id == k]) for k in range(len(names))]


def _truths(examples, names):
    """Annotations of all pictures -> one Boxes per class."""
    picture = np.concatenate([np.full(len(e.classes), i) for i, e in enumerate(examples)] or [np.zeros(0, np.int64)])
    boxes = np.concatenate([e.box_px for e in examples] or [np.zeros((0, 4))])
    difficult = np.concatenate([e.difficult for e in examples] or [np.zeros(0)]).astype(bool)
    kind = np.concatenate([e.classes for e in examples] or [np.zeros(0, np.int64)])
    if len(kind) and kind.max() >= len(names):
        raise DataError(f"there are objects of class {kind.max()}, but only {len(names)} names")
    return [Boxes(picture[kind == k], boxes[kind == k], difficult[kind == k]) for k in range(len(names))]


def evaluate_boxes(found, examples, names, threshold=.5, extra=1.0):
    """Score detections given as Boxes.

    found: one Boxes per class, in the order of `names` (the class names), its `picture` an index of `examples` (list
    of Example). threshold, extra: as `match`. Returns Evaluation, in which classes of one name have distinct ones. Raises
    DataError for a class without a name.
    """
    truths, told = _truths(examples, names), distinct(names)
    return Evaluation(tuple(_class_result(name, f, t, threshold, extra) for name, f, t in zip(told, found, truths)),
                      len(examples), threshold)


def evaluate_detections(detections_by_id, examples, names, threshold=.5, extra=1.0):
    """Score Detections.

    detections_by_id: dict Example.id -> Detections; a picture without an entry is one on which nothing was found.
    examples: list of Example. names: class names; class ids of both sides count them. threshold, extra: as `match`.
    Returns Evaluation. Raises DataError for a picture that is not among the examples and for a class without a name.
    """
    return evaluate_boxes(gather(detections_by_id, examples, names), examples, names, threshold, extra)
