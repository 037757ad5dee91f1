"""The YOLOv3 head: kernels/region.py once more, with anchors shared among several heads and independent classes.

A picture is a grid of (h, w) cells. The `num` anchors of the network are widths and heights in pixels of its input;
this head owns those that `mask` lists, n of them. Anchor-cell (oy, ox, a) owns the channels `a * (5 + classes) + entry`
with entry 0 x, 1 y, 2 w, 3 h, 4 objectness, then the classes.

    raw x --yolo_activate--> out --yolo_decode--> boxes --yolo_assign--> target, weight --yolo_loss--> gradient

Boxes are centre form (x, y, w, h) in fractions of the network's input. Paper: YOLOv3 (arXiv 1804.02767), section 2.
Darknet: src/yolo_layer.c.
"""
import numpy as np

from minidarknet.kernels._boxes import best_anchor, iou, log, logistic
from minidarknet.kernels._jit import jit, parallel, prange


@parallel
def yolo_activate(x, out, classes):
    """Raw numbers to activated ones: the logistic of everything but w and h, which stay as they are.

    x: (b, h, w, n * (5 + classes)) float. out: the same shape, *written*. classes: how many.
    Paper: YOLOv3, 2.2: "we do not use a softmax", an object may be a woman and a person. Darknet: forward_yolo_layer.
    """
    b, h, w, channels = x.shape
    entries = 5 + classes
    for row in prange(b * h):
        image, oy = row // h, row % h
        for ox in range(w):
            for c in range(channels):
                z = x[image, oy, ox, c]
                entry = c % entries
                out[image, oy, ox, c] = z if entry == 2 or entry == 3 else logistic(z)


@parallel
def yolo_decode(out, anchors, mask, size, classes, boxes):
    """The centre stays in its cell, the size is a multiple of the anchor's.

        x = (ox + out_x) / w    width = anchor_w * e^out_w / size_w
        y = (oy + out_y) / h    height = anchor_h * e^out_h / size_h

    out: (b, h, w, n * (5 + classes)) activated. anchors: (num, 2) width and height in pixels of the network's input.
    mask: (n,) int, which anchors are this head's. size: (width, height) of the network's input in pixels.
    boxes: (b, h, w, n, 4) centre form in fractions of the network's input, *written*. classes: how many.
    Paper: YOLOv3, 2.1. Darknet: get_yolo_box.
    """
    b, h, w = out.shape[:3]
    entries = 5 + classes
    for row in prange(b * h):
        image, oy = row // h, row % h
        for ox in range(w):
            for a in range(mask.shape[0]):
                o = out[image, oy, ox, a * entries:a * entries + 4]
                boxes[image, oy, ox, a, 0] = (ox + o[0]) / w
                boxes[image, oy, ox, a, 1] = (oy + o[1]) / h
                boxes[image, oy, ox, a, 2] = np.exp(o[2]) * anchors[mask[a], 0] / size[0]
                boxes[image, oy, ox, a, 3] = np.exp(o[3]) * anchors[mask[a], 1] / size[1]


@jit
def _best_truth(box, truth):
    """(IoU, row) of the truth (t, 5) that one box (4,) overlaps most; (0, -1) if none. Empty rows do not count."""
    best, winner = 0.0, -1
    for t in range(truth.shape[0]):
        if truth[t, 2] > 0 and truth[t, 3] > 0:
            overlap = iou(box[0], box[1], box[2], box[3], truth[t, 0], truth[t, 1], truth[t, 2], truth[t, 3])
            if overlap > best:  # a box that is not a number never wins
                best, winner = overlap, t
    return best, winner


@jit
def _ask(truth, ox, oy, h, w, anchor, size, t, s):
    """Ask one anchor-cell for one object: target t and weight s, (5 + classes,) each, are written."""
    t[0] = truth[0] * w - ox
    t[1] = truth[1] * h - oy
    t[2] = np.log(truth[2] * size[0] / anchor[0])
    t[3] = np.log(truth[3] * size[1] / anchor[1])
    s[:4] = 2 - truth[2] * truth[3]  # small boxes count up to twice as much
    t[4] = s[4] = 1
    if s[5] == 0:
        t[5:] = 0
    # else: an earlier object sits in the same anchor-cell, and both classes may be true
    s[5:] = 1
    t[5 + int(truth[4])] = 1


@jit
def _assign_all(boxes, anchors, mask, size, truth, classes, ignore_thresh, truth_thresh, target, weight):
    """What every anchor-cell of one picture is asked for before the objects are handed out."""
    h, w, n = boxes.shape[:3]
    entries = 5 + classes
    target[:] = 0
    weight[:] = 0
    for oy in range(h):
        for ox in range(w):
            for a in range(n):
                t = target[oy, ox, a * entries:(a + 1) * entries]
                s = weight[oy, ox, a * entries:(a + 1) * entries]
                overlap, row = _best_truth(boxes[oy, ox, a], truth)
                if overlap <= ignore_thresh:
                    s[4] = 1  # "no object here"; a good box that is not responsible is left alone
                if row >= 0 and overlap > truth_thresh:
                    _ask(truth[row], ox, oy, h, w, anchors[mask[a]], size, t, s)


@jit
def _assign_truth(out, boxes, anchors, mask, size, truth, classes, target, weight, match):
    """One object to the one anchor-cell that is responsible for it, if its anchor is this head's."""
    h, w = boxes.shape[:2]
    entries = 5 + classes
    best = best_anchor(truth[2] * size[0], truth[3] * size[1], anchors)
    for a in range(mask.shape[0]):
        if mask[a] == best:
            ox = min(max(int(truth[0] * w), 0), w - 1)  # x = 1 is the right edge of the last cell, not the next row
            oy = min(max(int(truth[1] * h), 0), h - 1)
            o = out[oy, ox, a * entries:(a + 1) * entries]
            box = boxes[oy, ox, a]
            _ask(truth, ox, oy, h, w, anchors[best], size, target[oy, ox, a * entries:(a + 1) * entries],
                 weight[oy, ox, a * entries:(a + 1) * entries])
            match[0] = (oy * w + ox) * mask.shape[0] + a
            match[1] = iou(box[0], box[1], box[2], box[3], truth[0], truth[1], truth[2], truth[3])
            match[2] = o[4]
            match[3] = o[5 + int(truth[4])]
            return


@parallel
def yolo_assign(out, boxes, anchors, mask, size, truth, classes, ignore_thresh, truth_thresh, target, weight, match):
    """Ask every output for something: `target` is what it should be, `weight` how much that matters (0: not at all).

    1. Every anchor-cell: objectness 0, unless its box overlaps some truth by more than `ignore_thresh`; if by more than
       `truth_thresh`, it is asked for the truth it overlaps most, as in 2.
    2. Every truth: of ALL anchors the one of the most similar shape is responsible, in the cell that holds the truth's
       centre. If it is this head's (`mask`), it is asked for x, y, w, h (weight 2 - w * h), objectness 1 and the class
       (weight 1); if not, another head answers. A later truth replaces the box of an earlier one in the same
       anchor-cell, but its class is added to the earlier one's.
    The results are constants to the gradient, although they were made by looking at the predictions.

    out: (b, h, w, n * (5 + classes)) activated. boxes: (b, h, w, n, 4) from yolo_decode.
    anchors: (num, 2) in pixels of the network's input. mask: (n,) int. size: (width, height) of the input in pixels.
    truth: (b, t, 5) rows x y w h class, centre form in fractions of the network's input; rows with w <= 0 or h <= 0 are
    empty, wherever they stand; x, y in 0..1, class in 0..classes - 1.
    target, weight: the shape of out, *written*. match: (b, t, 4) float64, *written*: number of the responsible
    anchor-cell (oy * w + ox) * n + a, or -1 for an empty row or another head's truth, then IoU, objectness and class
    probability found there.
    Paper: YOLOv3, 2.1 and 2.2. Darknet: forward_yolo_layer.
    """
    for image in prange(out.shape[0]):
        _assign_all(boxes[image], anchors, mask, size, truth[image], classes, ignore_thresh, truth_thresh,
                    target[image], weight[image])
        for t in range(truth.shape[1]):
            match[image, t] = 0
            match[image, t, 0] = -1
            if truth[image, t, 2] > 0 and truth[image, t, 3] > 0:
                _assign_truth(out[image], boxes[image], anchors, mask, size, truth[image, t], classes, target[image],
                              weight[image], match[image, t])


@parallel
def yolo_loss(out, target, weight, classes, grad, loss, cost):
    """The loss and its gradient with respect to the RAW numbers z, of which out is the activation.

        x, y, objectness, classes    -s (t log(p) + (1 - t) log(1 - p)), p = sigma(z)    dL/dz = s (p - t)
        w, h                         s/2 (z - t)^2                                       dL/dz = s (z - t)

    The slope of the logistic cancels in the cross-entropy; for x and y, whose targets lie between 0 and 1, it is least
    at p = t, but not 0 there.
    out, target, weight: (b, h, w, n * (5 + classes)), t and s above. grad: the same shape, *written*. classes: how many.
    loss: (b,) float64, *written*, the function differentiated. cost: (b,) float64, *written*, what Darknet prints
    in its place: the sum of squared deltas s (t - out).
    Darknet: delta_yolo_box, delta_yolo_class, backward_yolo_layer.
    """
    b, h, w, channels = out.shape
    entries = 5 + classes
    for image in prange(b):
        total, squares = 0.0, 0.0
        for oy in range(h):
            for ox in range(w):
                for c in range(channels):
                    s = weight[image, oy, ox, c]
                    if s == 0:
                        grad[image, oy, ox, c] = 0
                        continue
                    p, t = out[image, oy, ox, c], target[image, oy, ox, c]
                    entry = c % entries
                    gradient = s * (p - t)
                    squares += np.float64(gradient) * gradient
                    if entry == 2 or entry == 3:
                        total += 0.5 * gradient * (p - t)
                    else:
                        total -= s * (t * log(p) + (1 - t) * log(1 - p))
                    grad[image, oy, ox, c] = gradient
        loss[image] = total
        cost[image] = squares
