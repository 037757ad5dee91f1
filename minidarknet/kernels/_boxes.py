"""What the heads share: the logistic function and its logarithm, the overlap of boxes, the anchor of the likest shape."""
import numpy as np

from minidarknet.kernels._jit import jit


@jit
def logistic(z):
    """1 / (1 + e^-z) of a number z."""
    return 1 / (1 + np.exp(-z))


@jit
def log(p):
    """log(p), finite where a probability p has run out of digits; not a number stays not a number."""
    return np.log(max(p, 1e-37))


@jit
def iou(ax, ay, aw, ah, bx, by, bw, bh):
    """Intersection over union of two centre-form boxes (ax, ay, aw, ah), (bx, by, bw, bh); 0 where they do not overlap."""
    width = min(ax + aw / 2, bx + bw / 2) - max(ax - aw / 2, bx - bw / 2)
    height = min(ay + ah / 2, by + bh / 2) - max(ay - ah / 2, by - bh / 2)
    if width < 0 or height < 0:
        return 0.0
    overlap = width * height
    return overlap / (aw * ah + bw * bh - overlap)


@jit
def best_anchor(truth_w, truth_h, shapes):
    """The anchor whose shape, moved onto the truth's centre, overlaps it most; the first of equals, 0 if none does.

    shapes (n, 2): width and height in the unit of truth_w and truth_h.
    """
    best, winner = 0.0, 0
    for a in range(shapes.shape[0]):
        overlap = iou(0.0, 0.0, shapes[a, 0], shapes[a, 1], 0.0, 0.0, truth_w, truth_h)
        if overlap > best:
            best, winner = overlap, a
    return winner
