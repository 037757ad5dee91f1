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


def siblings(parent, node):
    """All children of the node's parent, itself among them. parent: that of every node, -1 for the roots."""
    return [k for k in range(len(parent)) if parent[k] == parent[node]]


def activate(x, softmax, parent=None):
    """Raw (b, n, entries, h, w) with coords 4 -> activated, a new array. parent: as in siblings, None without a tree."""
    out = x.copy()
    b, n, _, h, w = x.shape
    for image, a, oy, ox in np.ndindex(b, n, h, w):
        for entry in (0, 1, 4):
            out[image, a, entry, oy, ox] = sigma(x[image, a, entry, oy, ox])
        scores = x[image, a, 5:, oy, ox]
        if softmax:
            powers = [math.exp(z) for z in scores]
            for k in range(len(powers)):
                group = siblings(parent, k) if parent else range(len(powers))
                out[image, a, 5 + k, oy, ox] = powers[k] / sum(powers[j] for j in group)
        else:
            out[image, a, 5:, oy, ox] = [sigma(z) for z in scores]
    return out


def box(out, anchors, image, a, oy, ox):
    """The box of one anchor-cell, in fractions."""
    h, w = out.shape[3:]
    tx, ty, tw, th = out[image, a, :4, oy, ox]
    return ((ox + tx) / w, (oy + ty) / h, anchors[a][0] * math.exp(tw) / w, anchors[a][1] * math.exp(th) / h)


def path(parent, node):
    """The node and its ancestors."""
    return [node, *path(parent, parent[node])] if node != -1 else []


def ask_class(o, d, c, scale, parent):
    """Delta of the class entries (from 5 on) of one anchor-cell for class c; returns P(c)."""
    probability = 1
    for node in path(parent, c):
        probability *= o[5 + node]
        for k in siblings(parent, node):
            d[5 + k] = scale * ((k == node) - o[5 + k])
    return probability


def class_only_delta(out, delta, image, c, parent, scales, class_only_iou):
    """Delta of a picture that has a class but no box."""
    n, _, h, w = out.shape[1:]

    def belief(place):
        a, oy, ox = place
        o = out[image, a, :, oy, ox]
        return o[4] * math.prod(o[5 + node] for node in path(parent, c))
    a, oy, ox = max(np.ndindex(n, h, w), key=belief)
    o, d = out[image, a, :, oy, ox], delta[image, a, :, oy, ox]
    delta[image, :, 4] = scales[2] * (0 - out[image, :, 4])
    d[4] = scales[1] * (class_only_iou - o[4]) if o[4] < class_only_iou else 0
    ask_class(o, d, c, scales[3], parent)


def deltas(out, anchors, truth, softmax, warm_up, thresh, bias_match, rescore, scales, parent=None, class_only_iou=.3,
           direct=1):
    """Darknet's delta (before the factor sigma') and what it prints.

    out: activated (b, n, entries, h, w). truth: per image a list of (x, y, w, h, class), without empty rows.
    scales: (coord, object, noobject, class). parent: of every class, None: no tree. Returns (delta, statistics).
    """
    coord_scale, object_scale, noobject_scale, class_scale = scales
    delta = np.zeros_like(out)
    b, n, entries, h, w = out.shape
    parent = parent or [-1] * (entries - 5)
    ious, objectness, class_probability = [], [], []
    for image in range(b):
        without_box = [t for t in truth[image] if t[0] > 1e5 and t[1] > 1e5]
        if without_box:
            class_only_delta(out, delta, image, int(without_box[0][4]), parent, scales, class_only_iou)
            continue
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
                class_probability.append(o[5 + c])
            else:
                class_probability.append(ask_class(o, d, c, class_scale, parent))
            ious.append(here)
            objectness.append(o[4])
    if not direct:
        in_anchors(delta, anchors)
    count = len(ious)
    mean = (lambda values: sum(values) / count) if count else (lambda values: None)
    return delta, {"avg_iou": mean(ious), "class_probability": mean(class_probability), "obj": mean(objectness),
                   "recall": mean([overlap > .5 for overlap in ious]), "count": count,
                   "no_obj": out[:, :, 4].mean()}


def offset(out, x, anchors):
    """x and y as offsets in sizes of the anchor, as region proposal networks have them: changes out. x raw."""
    for a, shape in enumerate(anchors):
        for entry in (0, 1):
            out[:, a, entry] = .5 + x[:, a, entry] * shape[entry]


def in_anchors(delta, anchors):
    """Delta of x and y in cells -> in sizes of the anchor: changes delta."""
    for a, shape in enumerate(anchors):
        for entry in (0, 1):
            delta[:, a, entry] /= shape[entry]


def gradient(out, delta, direct=1):
    """+dL/dz of the raw numbers: Darknet's GPU build multiplies x, y and objectness by sigma', nothing else."""
    result = -delta
    for entry in (0, 1, 4) if direct else (4,):
        o = out[:, :, entry]
        result[:, :, entry] *= o * (1 - o)
    return result
