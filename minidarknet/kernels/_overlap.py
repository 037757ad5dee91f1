"""Intersection over union and its kin, with their slopes: what a [yolo] head can be taught by (iou_loss).

    IoU  = I / U                                  I: area that box and truth share, U: area of either
    GIoU = IoU - (C - U) / C                      C: area of the hull, the least box around both
    DIoU = IoU - d^2 / c^2                        d: distance of the centres, c: diagonal of the hull
    CIoU = DIoU - a v                             v = 4 / pi^2 (atan(w_t / h_t) - atan(w / h))^2, a = v / (1 - IoU + v)

All are 1 where box and truth are the same; the last three tell a box which does not touch the truth where to go.
Papers: GIoU: arXiv 1902.09630; DIoU and CIoU: arXiv 1911.08287. AlexeyAB's Darknet: src/box.c, where DIoU has another
exponent than its own gradient.
"""
import numpy as np

from minidarknet.kernels._jit import jit

MSE, IOU, GIOU, DIOU, CIOU = range(5)  # layers/yolo.py names them in this order; MSE is no overlap
TINY = 1e-6  # keeps a of CIoU finite where box and truth are the same (AlexeyAB's)


@jit
def _along(centre, side, other, other_side):
    """Along one axis: what two intervals share and the span of both, each followed by its slopes in centre and side."""
    low, high = centre - side / 2, centre + side / 2
    other_low, other_high = other - other_side / 2, other + other_side / 2
    shared, span = min(high, other_high) - max(low, other_low), max(high, other_high) - min(low, other_low)
    inner_low, inner_high = 1.0 * (low > other_low), 1.0 * (high < other_high)  # which ends of ours bound what is shared
    outer_low, outer_high = 1.0 * (low < other_low), 1.0 * (high > other_high)
    touch = 1.0 * (shared > 0)
    return (shared * touch, (inner_high - inner_low) * touch, (inner_high + inner_low) / 2 * touch,
            span, outer_high - outer_low, (outer_high + outer_low) / 2)


@jit
def overlap(kind, box, truth, slope):
    """IoU, GIoU, DIoU or CIoU of two boxes, as float64, and its derivatives in x, y, w, h of `box`, through every term.

    kind: one of the codes above, int. box, truth: (4,) float, centre form in the same unit. slope: (4,) float64, *written*.
    """
    x, y, w, h = np.float64(box[0]), np.float64(box[1]), np.float64(box[2]), np.float64(box[3])
    tx, ty, tw, th = np.float64(truth[0]), np.float64(truth[1]), np.float64(truth[2]), np.float64(truth[3])
    shared_x, in_x, in_w, span_x, out_x, out_w = _along(x, w, tx, tw)
    shared_y, in_y, in_h, span_y, out_y, out_h = _along(y, h, ty, th)
    shared = shared_x * shared_y
    union = w * h + tw * th - shared
    iou = shared / union
    d_shared = (in_x * shared_y, in_y * shared_x, in_w * shared_y, in_h * shared_x)
    d_union = (-d_shared[0], -d_shared[1], h - d_shared[2], w - d_shared[3])
    for i in range(4):
        slope[i] = (d_shared[i] - iou * d_union[i]) / union
    if kind == GIOU:
        hull = span_x * span_y
        d_hull = (out_x * span_y, out_y * span_x, out_w * span_y, out_h * span_x)
        for i in range(4):
            slope[i] += (d_union[i] - union / hull * d_hull[i]) / hull
        return iou - (hull - union) / hull
    value = iou
    if kind == CIOU:
        angle = np.arctan(tw / th) - np.arctan(w / h)
        v = 4 / np.pi ** 2 * angle ** 2
        turn = 8 / np.pi ** 2 * angle / (w * w + h * h)
        d_v = (0.0, 0.0, -turn * h, turn * w)
        rest = 1 - iou + v + TINY
        value -= v * v / rest
        for i in range(4):  # before slope, still the IoU's, is changed: rest depends on both
            slope[i] -= (2 * v * d_v[i] - v * v / rest * (d_v[i] - slope[i])) / rest
    if kind == DIOU or kind == CIOU:
        distance, diagonal = (x - tx) ** 2 + (y - ty) ** 2, span_x ** 2 + span_y ** 2
        d_distance = (2 * (x - tx), 2 * (y - ty), 0.0, 0.0)
        d_diagonal = (2 * span_x * out_x, 2 * span_y * out_y, 2 * span_x * out_w, 2 * span_y * out_h)
        for i in range(4):
            slope[i] -= (d_distance[i] - distance / diagonal * d_diagonal[i]) / diagonal
        value -= distance / diagonal
    return value
