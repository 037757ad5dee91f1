"""The YOLOv3 head once more, from the formulas alone: plain Python, Darknet's order and signs (see naive_region.py)."""
import math

import numpy as np
from naive_region import iou, sigma


def activate(x):
    """Raw (b, n, entries, h, w) -> activated, a new array: everything but w and h is squashed."""
    out = x.copy()
    for place in np.ndindex(x.shape):
        if place[2] not in (2, 3):
            out[place] = sigma(x[place])
    return out


def box(out, anchors, mask, size, image, a, oy, ox):
    """The box of one anchor-cell, in fractions. anchors in pixels, size (w, h) of the network's input."""
    h, w = out.shape[3:]
    tx, ty, tw, th = out[image, a, :4, oy, ox]
    aw, ah = anchors[mask[a]]
    return (ox + tx) / w, (oy + ty) / h, math.exp(tw) * aw / size[0], math.exp(th) * ah / size[1]


def deltas(out, anchors, mask, size, truth, ignore_thresh, truth_thresh=1.0):
    """Darknet's delta of activated `out`. truth: per image a list of (x, y, w, h, class), without empty rows."""
    delta, answered = np.zeros_like(out), set()
    b, n, _, h, w = out.shape

    def ask(image, a, oy, ox, t):
        o, d, s = out[image, a, :, oy, ox], delta[image, a, :, oy, ox], 2 - t[2] * t[3]
        aw, ah = anchors[mask[a]]
        d[:4] = [s * (wanted - found) for wanted, found in zip(
            (t[0] * w - ox, t[1] * h - oy, math.log(t[2] * size[0] / aw), math.log(t[3] * size[1] / ah)), o[:4])]
        d[4] = 1 - o[4]
        for k in range(len(o) - 5):
            if k == t[4]:
                d[5 + k] = 1 - o[5 + k]
            elif (image, a, oy, ox) not in answered:
                d[5 + k] = -o[5 + k]
        answered.add((image, a, oy, ox))

    for image, a, oy, ox in np.ndindex(b, n, h, w):
        overlaps = [iou(box(out, anchors, mask, size, image, a, oy, ox), t) for t in truth[image]]
        best = max(overlaps, default=0)
        delta[image, a, 4, oy, ox] = 0 if best > ignore_thresh else -out[image, a, 4, oy, ox]
        if best > truth_thresh:
            ask(image, a, oy, ox, truth[image][overlaps.index(best)])
    for image, objects in enumerate(truth):
        for t in objects:
            shapes = [iou((0, 0, aw / size[0], ah / size[1]), (0, 0, t[2], t[3])) for aw, ah in anchors]
            best = shapes.index(max(shapes))
            if best in mask:
                ask(image, list(mask).index(best), min(int(t[1] * h), h - 1), min(int(t[0] * w), w - 1), t)
    return delta
