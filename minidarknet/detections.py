"""From the head's output to boxes on the picture: threshold, non-maximum suppression, undo the resize.

Boxes here are corners (xmin, ymin, xmax, ymax), `xyxy`, in pixels of the original picture, 0-based and continuous:
the whole picture is 0 0 width height. They are not clipped before they are drawn or written.
"""
import io
from dataclasses import dataclass

import numpy as np


def iou(boxes_a, boxes_b, extra=0.0):
    """Intersection over union of every box of one list with every box of another.

        IoU = |A and B| / |A or B|,  0 where the union is empty

    boxes_a (n, 4), boxes_b (m, 4): xmin ymin xmax ymax in any unit. extra: added to widths and heights, 1 for boxes
    whose last pixel is included, as the VOC devkit has them. Returns (n, m) float.
    Darknet: src/box.c.
    """
    a, b = (np.asarray(boxes).reshape(-1, 4) for boxes in (boxes_a, boxes_b))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # boxes of an untrained network may be infinite
        width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0]) + extra
        height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1]) + extra
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        area_a, area_b = ((boxes[:, 2:] - boxes[:, :2] + extra).prod(axis=1) for boxes in (a, b))
        union = area_a[:, None] + area_b - overlap
        return np.where((union > 0) & (overlap > 0), overlap / union, 0)


def distance_penalty(boxes_a, boxes_b):
    """How far apart the boxes of each pair are: d^2 / c^2, d: distance of centres, c: diagonal of the least box around both.

    boxes_a, boxes_b (n, 4): xmin ymin xmax ymax in any unit. Returns (n,) float in 0..1.
    Paper: arXiv 1911.08287, section 3.2.
    """
    a, b = (np.asarray(boxes).reshape(-1, 4) for boxes in (boxes_a, boxes_b))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(axis=1) / 4
        hull = np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2])
        return apart / np.maximum((hull ** 2).sum(axis=1), np.finfo(np.float32).tiny)


def nms(boxes, scores, threshold, penalty=0.0):
    """Non-maximum suppression: of boxes of the same class that overlap, only the one with the best score stays.

    1. Take the best box that is left. 2. Keep it. 3. Drop every box whose IoU with it is above `threshold`.
    4. Again, until none is left. Each class by itself; of equal scores the first counts as the better one.
    With a penalty, boxes of two objects one behind the other stay, because the distance of their centres counts in 3:
    IoU - (d^2 / c^2)^penalty instead of IoU (distance_penalty).

    boxes (n, 4) xmin ymin xmax ymax. scores (n,) of one class or (n, classes); a score of 0 is not a candidate.
    threshold: IoU. penalty: exponent, 0: no penalty. Returns bool of the shape of scores: what stays.
    Darknet: do_nms_sort in src/box.c; the penalty: AlexeyAB's diounms_sort.
    """
    scores = np.asarray(scores)
    columns = scores if scores.ndim == 2 else scores[:, None]
    keep = np.zeros(columns.shape, bool)
    used = np.flatnonzero((columns > 0).any(axis=1))
    boxes = np.asarray(boxes).reshape(-1, 4)[used]
    overlaps = np.concatenate([_suppresses(rows, boxes, threshold, penalty)
                               for rows in np.array_split(boxes, len(boxes) // 256 + 1)])
    for k in np.flatnonzero((columns > 0).any(axis=0)):
        score = columns[used, k]
        dropped = ~(score > 0)
        for i in np.argsort(-score, kind="stable"):
            if not dropped[i]:
                keep[used[i], k] = True
                dropped |= overlaps[i]
    return keep.reshape(scores.shape)


def _suppresses(boxes_a, boxes_b, threshold, penalty):
    """Whether IoU, less the penalty for the distance, is above `threshold`: (n, m) bool."""
    overlap = iou(boxes_a, boxes_b)
    above = overlap > threshold
    if penalty:  # it can only take away
        a, b = np.nonzero(above)
        above[a, b] = overlap[a, b] - distance_penalty(boxes_a[a], boxes_b[b]) ** penalty > threshold
    return above


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found on one picture; immutable. One entry per box and class.

    xyxy: (n, 4) float32, xmin ymin xmax ymax in pixels of the picture, 0-based, continuous, may reach outside.
    confidence: (n,) float32, objectness * class probability. class_id: (n,) int64. names: class names by id.
    picture: (h, w, 3) uint8 RGB or None. best_score: the best confidence of the picture, also if below the threshold.
    """

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    names: tuple = ()
    picture: np.ndarray | None = None
    best_score: float = 0.0

    def __post_init__(self):
        count = len(self.confidence)
        for name, dtype, shape in (("xyxy", np.float32, (count, 4)), ("confidence", np.float32, (count,)),
                                   ("class_id", np.int64, (count,))):
            array = np.array(getattr(self, name), dtype).reshape(shape)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "names", tuple(self.names))

    def __len__(self):
        return len(self.confidence)

    def __iter__(self):
        """Each detection as Detections of length one."""
        return (self[i:i + 1] for i in range(len(self)))

    def __getitem__(self, index):
        """Some of them: index is an int, a slice, a bool array (n,) or an array of ints."""
        if isinstance(index, (int, np.integer)):
            index = [range(len(self))[index]]  # raises IndexError
        return Detections(self.xyxy[index], self.confidence[index], self.class_id[index], self.names, self.picture,
                          self.best_score)

    def __repr__(self):
        found = ", ".join(f"{self._name(k)} {score:.2f}" for k, score in zip(self.class_id[:8], self.confidence[:8]))
        return f"Detections({len(self)}: {found}{', ...' if len(self) > 8 else ''})"

    def _name(self, class_id):
        return self.names[class_id] if class_id < len(self.names) else str(class_id)

    def _clipped(self, size):
        """xyxy (n, 4) float64 inside a picture of `size` = (w, h), which defaults to that of the own picture."""
        if size is None and self.picture is not None:
            size = self.picture.shape[1::-1]
        xyxy = self.xyxy.astype(np.float64)
        return xyxy if size is None else np.clip(xyxy, 0, np.tile(size, 2))

    def draw(self, picture=None):
        """The picture with boxes and labels: PIL.Image. picture: (h, w, 3) uint8 RGB instead of the own one."""
        from minidarknet.viz import draw_boxes

        picture = self.picture if picture is None else picture
        if picture is None:
            raise ValueError("these detections carry no picture: use draw(picture)")
        return draw_boxes(picture, self.xyxy, self.class_id, self.confidence, self.names)

    def _repr_png_(self):
        """What a notebook shows."""
        if self.picture is None:
            return None
        file = io.BytesIO()
        self.draw().save(file, "PNG")
        return file.getvalue()

    def to_records(self, size=None):
        """A list of dicts for JSON: class, class_id, confidence, xyxy (pixels, clipped to the picture).

        size: (w, h) of the picture, where the detections do not carry it.
        """
        return [{"class": self._name(k), "class_id": int(k), "confidence": float(score), "xyxy": box.tolist()}
                for k, score, box in zip(self.class_id, self.confidence, self._clipped(size))]

    def to_yolo(self, size=None):
        """Lines "class x y w h" of a YOLO label file: centre form, fractions of the picture of `size` = (w, h).

        Boxes that lie outside the picture are left out.
        """
        if size is None and self.picture is None:
            raise ValueError("fractions of what? use to_yolo((width, height))")
        xyxy = self._clipped(size) / np.tile(self.picture.shape[1::-1] if size is None else size, 2)
        centre, sides = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
        return [f"{k} {x:.6f} {y:.6f} {w:.6f} {h:.6f}"
                for k, (x, y), (w, h) in zip(self.class_id, centre, sides) if w > 0 and h > 0]


def select(boxes, objectness, probability, threshold, nms_threshold, geometry, names=(), picture=None, penalty=0.0):
    """The boxes of one picture that count, best first.

    A box counts for class k if objectness > threshold and objectness * p_k > threshold; then NMS within each class.
    boxes: (n, 4) centre form in fractions of the network's input, objectness: (n,), probability: (n, classes), of all
    heads, as Network.boxes gives them. threshold: least confidence. nms_threshold: IoU above which the lesser box goes.
    geometry: its undo(boxes (n, 4) centre form, fractions of the network's input) gives (n, 4) corners in pixels of
    the picture. names: class names by id. picture: (h, w, 3) uint8 RGB, to be drawn on. penalty: as in nms. Returns
    Detections.
    Darknet: get_region_detections, get_yolo_detections; its order among equals is arbitrary.
    """
    best = float((objectness * probability.max(axis=1)).max())
    found = objectness > threshold
    xyxy = geometry.undo(boxes[found])
    score = objectness[found, None] * probability[found]
    score[score <= threshold] = 0
    box, class_id = np.nonzero(nms(xyxy, score, nms_threshold, penalty))
    order = np.argsort(-score[box, class_id], kind="stable")
    box, class_id = box[order], class_id[order]
    return Detections(xyxy[box], score[box, class_id], class_id, names, picture, best)
