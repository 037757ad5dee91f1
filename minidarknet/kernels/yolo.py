"""The YOLOv3 head: kernels/region.py once more, with anchors shared among several heads and independent classes.

A picture is a grid of (h, w) cells. The `num` anchors of the network are widths and heights in pixels of its input;
this head owns those that `mask` lists, n of them. Anchor-cell (oy, ox, a) owns the channels `a * (5 + classes) + entry`
with entry 0 x, 1 y, 2 w, 3 h, 4 objectness, then the classes.

    raw x --yolo_activate--> out --yolo_decode--> boxes --yolo_assign--> target, weight --yolo_loss--> gradient

Boxes are centre form (x, y, w, h) in fractions of the network's input. YOLOv4 and Scaled-YOLOv4 changed details, which are
keys of the section: YoloHead. Papers: YOLOv3 (arXiv 1804.02767), section 2; YOLOv4 (arXiv 2004.10934), 3.4.
Darknet: src/yolo_layer.c.
"""
from typing import NamedTuple

import numpy as np

from minidarknet.kernels._boxes import best_anchor, iou, log, logistic
from minidarknet.kernels._jit import jit, parallel, prange
from minidarknet.kernels._overlap import MSE, overlap


class YoloHead(NamedTuple):
    """What a [yolo] section says; the values that make it YOLOv3's are in brackets.

    anchors: (num, 2) float, width and height in pixels of the network's input. mask: (n,) int, which of them are this
    head's. size: (2,) int, width and height of the network's input in pixels. classes: how many.
    scale: x and y reach beyond their cell by this factor (1). squared: bool, Scaled-YOLOv4's new_coords: x comes out of a
    logistic already, and width and height are squares of it (False).
    ignore_thresh, truth_thresh, iou_thresh (1): see yolo_assign. iou_loss: what measures a box, a code of _overlap.py (MSE).
    iou_normalizer, obj_normalizer: weights of box and objectness in the loss (1). label_smooth_eps: classes are asked for
    that much less certainty (0). objectness_smooth: bool, see yolo_assign (False). max_delta: with an iou_loss other than
    MSE the largest gradient of x, y, w, h (infinite). strict: bool, that gradient as AlexeyAB's Darknet takes it (False).
    """

    anchors: np.ndarray
    mask: np.ndarray
    size: np.ndarray
    classes: int
    scale: float = 1.0
    squared: bool = False
    ignore_thresh: float = .5
    truth_thresh: float = 1.0
    iou_thresh: float = 1.0
    iou_loss: int = MSE
    iou_normalizer: float = 1.0
    obj_normalizer: float = 1.0
    label_smooth_eps: float = 0.0
    objectness_smooth: bool = False
    max_delta: float = np.inf
    strict: bool = False


@parallel
def yolo_activate(x, out, head):
    """Raw numbers to activated ones: the logistic of everything but w and h, which stay as they are.

        x, y: scale * logistic - (scale - 1) / 2, so that a centre on the edge of its cell is within reach

    x: (b, h, w, n * (5 + classes)) float, with head.squared logistic already. out: the same shape, *written*.
    head: YoloHead. Paper: YOLOv3, 2.2: "we do not use a softmax", an object may be a woman and a person; YOLOv4, 3.4:
    "eliminate grid sensitivity". Darknet: forward_yolo_layer.
    """
    b, h, w, channels = x.shape
    entries, shift = 5 + head.classes, (head.scale - 1) / 2
    for row in prange(b * h):
        image, oy = row // h, row % h
        for ox in range(w):
            for c in range(channels):
                z = x[image, oy, ox, c]
                entry = c % entries
                p = z if head.squared or entry == 2 or entry == 3 else logistic(z)
                out[image, oy, ox, c] = head.scale * p - shift if entry < 2 else p


@parallel
def yolo_decode(out, head, boxes):
    """The centre stays in its cell or close to it, the size is a multiple of the anchor's.

        x = (ox + out_x) / w    width = anchor_w * e^out_w / size_w        squared: anchor_w * (2 out_w)^2 / size_w
        y = (oy + out_y) / h    height = anchor_h * e^out_h / size_h                anchor_h * (2 out_h)^2 / size_h

    out: (b, h, w, n * (5 + classes)) activated. head: YoloHead. boxes: (b, h, w, n, 4) centre form in fractions of the
    network's input, *written*. Paper: YOLOv3, 2.1. Darknet: get_yolo_box.
    """
    b, h, w = out.shape[:3]
    entries = 5 + head.classes
    for row in prange(b * h):
        image, oy = row // h, row % h
        for ox in range(w):
            for a in range(head.mask.shape[0]):
                o = out[image, oy, ox, a * entries:a * entries + 4]
                boxes[image, oy, ox, a, 0] = (ox + o[0]) / w
                boxes[image, oy, ox, a, 1] = (oy + o[1]) / h
                for side in range(2):
                    factor = 4 * o[2 + side] * o[2 + side] if head.squared else np.exp(o[2 + side])
                    boxes[image, oy, ox, a, 2 + side] = factor * head.anchors[head.mask[a], side] / head.size[side]


@jit
def _best_truth(box, truth):
    """(IoU, row) of the truth (t, 5) that one box (4,) overlaps most; (0, -1) if none. Empty rows do not count."""
    best, winner = 0.0, -1
    for t in range(truth.shape[0]):
        if truth[t, 2] > 0 and truth[t, 3] > 0:
            found = iou(box[0], box[1], box[2], box[3], truth[t, 0], truth[t, 1], truth[t, 2], truth[t, 3])
            if found > best:  # a box that is not a number never wins
                best, winner = found, t
    return best, winner


@jit
def _ask(truth, ox, oy, h, w, anchor, head, t, s):
    """Ask one anchor-cell for one object: target t and weight s, (5 + classes,) each, are written."""
    if head.iou_loss == MSE:
        t[0] = truth[0] * w - ox
        t[1] = truth[1] * h - oy
        for side in range(2):
            factor = truth[2 + side] * head.size[side] / anchor[side]
            t[2 + side] = np.sqrt(factor / 4) if head.squared else np.log(factor)
        s[:4] = (2 - truth[2] * truth[3]) * head.iou_normalizer  # small boxes count up to twice as much
    else:
        t[:4] = truth[:4]
        s[:4] = head.iou_normalizer
    t[4] = 1
    s[4] = head.obj_normalizer
    if s[5] == 0:
        t[5:] = head.label_smooth_eps / 2
    # else: an earlier object sits in the same anchor-cell, and both classes may be true
    s[5:] = 1
    t[5 + int(truth[4])] = 1 - head.label_smooth_eps / 2


@jit
def _assign_all(boxes, head, truth, target, weight):
    """What every anchor-cell of one picture is asked for before the objects are handed out."""
    h, w, n = boxes.shape[:3]
    entries = 5 + head.classes
    target[:] = 0
    weight[:] = 0
    for oy in range(h):
        for ox in range(w):
            for a in range(n):
                t = target[oy, ox, a * entries:(a + 1) * entries]
                s = weight[oy, ox, a * entries:(a + 1) * entries]
                found, row = _best_truth(boxes[oy, ox, a], truth)
                if found <= head.ignore_thresh:
                    s[4] = head.obj_normalizer  # "no object here"; a good box that is not responsible is left alone
                elif head.objectness_smooth:
                    t[4], s[4] = found, head.obj_normalizer
                if row >= 0 and found > head.truth_thresh:
                    _ask(truth[row], ox, oy, h, w, head.anchors[head.mask[a]], head, t, s)


@jit
def _assign_truth(out, boxes, head, truth, target, weight, match):
    """One object to the anchor-cells that are responsible for it, as far as they are this head's."""
    h, w, n = boxes.shape[:3]
    entries = 5 + head.classes
    tw, th = truth[2] * head.size[0], truth[3] * head.size[1]
    best = best_anchor(tw, th, head.anchors)
    ox = min(max(int(truth[0] * w), 0), w - 1)  # x = 1 is the right edge of the last cell, not the next row
    oy = min(max(int(truth[1] * h), 0), h - 1)
    for a in range(n):
        anchor = head.anchors[head.mask[a]]
        likeness = iou(0.0, 0.0, anchor[0], anchor[1], 0.0, 0.0, tw, th)
        if head.mask[a] == best or (head.iou_thresh < 1 and likeness > head.iou_thresh):
            _ask(truth, ox, oy, h, w, anchor, head, target[oy, ox, a * entries:(a + 1) * entries],
                 weight[oy, ox, a * entries:(a + 1) * entries])
        if head.mask[a] == best:
            o, box = out[oy, ox, a * entries:(a + 1) * entries], boxes[oy, ox, a]
            match[0] = (oy * w + ox) * n + a
            match[1] = iou(box[0], box[1], box[2], box[3], truth[0], truth[1], truth[2], truth[3])
            match[2] = o[4]
            match[3] = o[5 + int(truth[4])]


@parallel
def yolo_assign(out, boxes, head, truth, target, weight, match):
    """Ask every output for something: `target` is what it should be, `weight` how much that matters (0: not at all).

    1. Every anchor-cell: objectness 0, unless its box overlaps some truth by more than `ignore_thresh` (then nothing, but
       with `objectness_smooth` that IoU); if by more than `truth_thresh`, it is asked for the truth it overlaps most, as
       in 2.
    2. Every truth: of ALL anchors the one of the most similar shape is responsible, in the cell that holds the truth's
       centre, and with `iou_thresh` below 1 every one whose shape has a larger IoU than that. Those that are this head's
       (`mask`) are asked for the box, objectness 1 and the class; for others another head answers. A later truth replaces
       the box of an earlier one in the same anchor-cell, but its class is added to the earlier one's.
    What is asked of a box: with iou_loss MSE its x, y, w, h as `out` has them (weight 2 - w * h), else the truth itself.
    The results are constants to the gradient, although they were made by looking at the predictions.

    out: (b, h, w, n * (5 + classes)) activated. boxes: (b, h, w, n, 4) from yolo_decode. head: YoloHead.
    truth: (b, t, 5) rows x y w h class, centre form in fractions of the network's input; rows with w <= 0 or h <= 0 are
    empty, wherever they stand; x, y in 0..1, class in 0..classes - 1.
    target, weight: the shape of out, *written*. match: (b, t, 4) float64, *written*: number of the responsible
    anchor-cell (oy * w + ox) * n + a, or -1 for an empty row or another head's truth, then IoU, objectness and class
    probability found there.
    Paper: YOLOv3, 2.1 and 2.2. Darknet: forward_yolo_layer (AlexeyAB's takes the mean of several truths in one
    anchor-cell, and ignores a box only if one of its classes is above .25).
    """
    for image in prange(out.shape[0]):
        _assign_all(boxes[image], head, truth[image], target[image], weight[image])
        for t in range(truth.shape[1]):
            match[image, t] = 0
            match[image, t, 0] = -1
            if truth[image, t, 2] > 0 and truth[image, t, 3] > 0:
                _assign_truth(out[image], boxes[image], head, truth[image, t], target[image], weight[image],
                              match[image, t])


@jit
def _lose_number(o, t, s, head, entry):
    """(loss, gradient in the raw number) of one entry of `out`: o, where t was asked for with weight s."""
    distance = o - t
    if head.squared or entry == 2 or entry == 3:
        slope = head.scale if entry < 2 and not head.strict else 1.0  # o = scale * z - shift, or z
        return .5 * s * distance * distance, s * distance * slope
    scale = head.scale if entry < 2 else 1.0
    p, q = (o + (scale - 1) / 2) / scale, (t + (scale - 1) / 2) / scale  # the logistic itself, and what it should be
    return -s * scale * (q * log(p) + (1 - q) * log(1 - p)), s * distance


@jit
def _lose_box(o, box, t, s, head, anchor, h, w, slope, g):
    """Loss of one box by its overlap with the truth t; the gradient in the raw x, y, w, h is written to g.

    slope: (4,) float64, working memory.
    """
    value = overlap(head.iou_loss, box, t, slope)
    for i in range(4):
        # forward: o = scale * p - shift, box = (cell + o) / cells; or box = anchor * e^o / size, anchor * 4 o^2 / size
        if i < 2:
            p = (o[i] + (head.scale - 1) / 2) / head.scale
            chain = head.scale / (w if i == 0 else h) * (1.0 if head.squared else p * (1 - p))
        else:
            chain = 8 * o[i] * anchor[i - 2] / head.size[i - 2] if head.squared else np.float64(box[i])
        if head.strict:
            chain = 1.0 if i < 2 or head.squared else np.exp(np.float64(o[i]))
        g[i] = min(max(-s * slope[i] * chain, -head.max_delta), head.max_delta)
    return s * (1 - value)


@parallel
def yolo_loss(out, boxes, head, target, weight, grad, loss, cost):
    """The loss and its gradient with respect to the RAW numbers z, of which out is the activation.

        x, y, objectness, classes    -s (t log(p) + (1 - t) log(1 - p)), p = sigma(z)    dL/dz = s (p - t)
        w, h                         s/2 (z - t)^2                                       dL/dz = s (z - t)
        or x, y, w, h together       s (1 - IoU or its kin)                              through all the box is made of

    The slope of the logistic cancels in the cross-entropy; for x and y, whose targets lie between 0 and 1, it is least
    at p = t, but not 0 there. With head.scale above 1 p and t of x and y are drawn apart and the cross-entropy of the
    logistic inside is taken, times scale: dL/dz = s (out - t) once more. With head.squared the logistic belongs to another
    layer, and everything is s/2 (out - t)^2.
    AlexeyAB's Darknet (head.strict) takes the slopes of an overlap in x and y for dL/dz as they are, and those in w and h
    times e^z: that is no loss's gradient, but up to hundreds of times larger, which his iou_normalizer is made for. With
    head.squared it forgets the factor scale.

    out, target, weight: (b, h, w, n * (5 + classes)), t and s above. boxes: (b, h, w, n, 4) from yolo_decode.
    head: YoloHead. grad: the shape of out, *written*.
    loss: (b,) float64, *written*, the function differentiated. cost: (b,) float64, *written*, what Darknet prints
    in its place: the sum of squared deltas s (t - out).
    Darknet: delta_yolo_box, delta_yolo_class, backward_yolo_layer.
    """
    b, h, w = out.shape[:3]
    entries = 5 + head.classes
    for image in prange(b):
        total, squares, slope = 0.0, 0.0, np.empty(4)
        for oy in range(h):
            for ox in range(w):
                for a in range(head.mask.shape[0]):
                    first = a * entries
                    o, t = out[image, oy, ox, first:first + entries], target[image, oy, ox, first:first + entries]
                    s, g = weight[image, oy, ox, first:first + entries], grad[image, oy, ox, first:first + entries]
                    g[:] = 0
                    by_overlap = head.iou_loss != MSE and s[0] != 0
                    if by_overlap:
                        total += _lose_box(o, boxes[image, oy, ox, a], t, np.float64(s[0]), head,
                                           head.anchors[head.mask[a]], h, w, slope, g)
                    for entry in range(4 if by_overlap else 0, entries):
                        if s[entry] != 0:
                            lost, gradient = _lose_number(o[entry], t[entry], s[entry], head, entry)
                            total += lost
                            g[entry] = gradient
                    for entry in range(entries):
                        squares += np.float64(g[entry]) * g[entry]
        loss[image] = total
        cost[image] = squares
