"""The region head once more, from the formulas alone: plain Python, one number at a time, Darknet's order and signs.

Written against the specification and not against kernels/region.py, so that the kernels are not their own judge.
Arrays here are Darknet's (b, n, entry, h, w); delta is target minus output, the opposite of a gradient.
"""
import math

import numpy as np


def darknet_order(x, n):
    """(b, h, w, n * entries) -> (b, n, entries, h, w), a copy."""
    b, h, w, c = x.shape
    return x.reshape(b, h, w, n, c // n).transpose(0, 3, 4, 1, 2).copy()


def our_order(x):
    """(b, n, entries, h, w) -> (b, h, w, n * entries), a copy."""
    b, n, entries, h, w = x.shape
    return x.transpose(0, 3, 4, 1, 2).reshape(b, h, w, n * entries).copy()


def sigma(z):
    return 1 / (1 + math.exp(-z))


def iou(a, b):
    """Two boxes (x, y, w, h)."""
    sides = []
    for axis in (0, 1):
        low = max(a[axis] - a[axis + 2] / 2, b[axis] - b[axis + 2] / 2)
        high = min(a[axis] + a[axis + 2] / 2, b[axis] + b[axis + 2] / 2)
        sides.append(max(0, high - low))
    overlap = sides[0] * sides[1]
    return overlap / (a[2] * a[3] + b[2] * b[3] - overlap)


def activate(x, softmax):
    """Raw (b, n, entries, h, w) with coords 4 -> activated, a new array."""
    out = x.copy()
    b, n, _, h, w = x.shape
    for image, a, oy, ox in np.ndindex(b, n, h, w):
        for entry in (0, 1, 4):
            out[image, a, entry, oy, ox] = sigma(x[image, a, entry, oy, ox])
        scores = x[image, a, 5:, oy, ox]
        if softmax:
            powers = [math.exp(z) for z in scores]
            out[image, a, 5:, oy, ox] = [p / sum(powers) for p in powers]
        else:
            out[image, a, 5:, oy, ox] = [sigma(z) for z in scores]
    return out


def box(out, anchors, image, a, oy, ox):
    """The box of one anchor-cell, in fractions."""
    h, w = out.shape[3:]
    tx, ty, tw, th = out[image, a, :4, oy, ox]
    return ((ox + tx) / w, (oy + ty) / h, anchors[a][0] * math.exp(tw) / w, anchors[a][1] * math.exp(th) / h)


def deltas(out, anchors, truth, softmax, warm_up, thresh, bias_match, rescore, scales):
    """Darknet's delta (before the factor sigma') and what it prints.

    out: activated (b, n, entries, h, w). truth: per image a list of (x, y, w, h, class), without empty rows.
    scales: (coord, object, noobject, class). Returns (delta, statistics).
    """
    coord_scale, object_scale, noobject_scale, class_scale = scales
    delta = np.zeros_like(out)
    b, n, entries, h, w = out.shape
    ious, objectness, class_probability = [], [], []
    for image in range(b):
        for oy in range(h):
            for ox in range(w):
                for a in range(n):
                    o, d = out[image, a, :, oy, ox], delta[image, a, :, oy, ox]
                    here = box(out, anchors, image, a, oy, ox)
                    best = max([iou(here, t) for t in truth[image]], default=0)
                    d[4] = 0 if best > thresh else noobject_scale * (0 - o[4])
                    if warm_up:
                        d[:4] = [.01 * (.5 - o[0]), .01 * (.5 - o[1]), -.01 * o[2], -.01 * o[3]]
        for t in truth[image]:
            ox, oy = min(int(t[0] * w), w - 1), min(int(t[1] * h), h - 1)
            shapes = anchors if bias_match else [[side * cells for side, cells in zip(
                box(out, anchors, image, a, oy, ox)[2:], (w, h))] for a in range(n)]
            overlaps = [iou((0, 0, *shape), (0, 0, t[2] * w, t[3] * h)) for shape in shapes]
            a = overlaps.index(max(overlaps))
            o, d = out[image, a, :, oy, ox], delta[image, a, :, oy, ox]
            here = iou(box(out, anchors, image, a, oy, ox), t)
            s = coord_scale * (2 - t[2] * t[3])
            d[0] = s * (t[0] * w - ox - o[0])
            d[1] = s * (t[1] * h - oy - o[1])
            d[2] = s * (math.log(t[2] * w / anchors[a][0]) - o[2])
            d[3] = s * (math.log(t[3] * h / anchors[a][1]) - o[3])
            d[4] = object_scale * ((here if rescore else 1) - o[4])
            c = int(t[4])
            if not softmax and d[5] != 0:
                d[5 + c] = class_scale * (1 - o[5 + c])
            else:
                for k in range(entries - 5):
                    d[5 + k] = class_scale * ((k == c) - o[5 + k])
            ious.append(here)
            objectness.append(o[4])
            class_probability.append(o[5 + c])
    count = len(ious)
    mean = (lambda values: sum(values) / count) if count else (lambda values: None)
    return delta, {"avg_iou": mean(ious), "class_probability": mean(class_probability), "obj": mean(objectness),
                   "recall": mean([overlap > .5 for overlap in ious]), "count": count,
                   "no_obj": out[:, :, 4].mean()}


def gradient(out, delta):
    """+dL/dz of the raw numbers: Darknet's GPU build multiplies x, y and objectness by sigma', nothing else."""
    result = -delta
    for entry in (0, 1, 4):
        o = out[:, :, entry]
        result[:, :, entry] *= o * (1 - o)
    return result
