"""The YOLOv3 head once more, from the formulas alone: plain Python, Darknet's order and signs (see naive_region.py)."""
import math

import numpy as np
from naive_region import iou, sigma

NOTHING = {}  # the keys of YOLOv3; others are named as in kernels.YoloHead


def activate(x, keys=NOTHING):
    """Raw (b, n, entries, h, w) -> activated, a new array: everything but w and h is squashed, x and y drawn out."""
    out, scale = x.copy(), keys.get("scale", 1)
    for place in np.ndindex(x.shape):
        if place[2] not in (2, 3) and not keys.get("squared"):
            out[place] = sigma(x[place])
        if place[2] < 2:
            out[place] = .5 + scale * (out[place] - .5)
    return out


def measure(kind, a, b):
    """1 IoU, 2 GIoU, 3 DIoU, 4 CIoU of two boxes (x, y, w, h)."""
    value = iou(a, b)
    low = [min(p[i] - p[i + 2] / 2 for p in (a, b)) for i in (0, 1)]
    high = [max(p[i] + p[i + 2] / 2 for p in (a, b)) for i in (0, 1)]
    hull = (high[0] - low[0]) * (high[1] - low[1])
    union = (a[2] * a[3] + b[2] * b[3]) / (1 + value)
    if kind == 2:
        return value - (hull - union) / hull
    if kind >= 3:
        v = (math.atan2(b[2], b[3]) - math.atan2(a[2], a[3])) ** 2 * 4 / math.pi ** 2 if kind == 4 else 0
        d = math.hypot(a[0] - b[0], a[1] - b[1]) / math.hypot(high[0] - low[0], high[1] - low[1])
        return value - d ** 2 - v ** 2 / (1 - value + v + 1e-6)
    return value


def uphill(kind, a, b, step=1e-6):
    """Derivatives of `measure` in the four numbers of the first box, by differences."""
    slopes = []
    for i in range(4):
        ahead, behind = ([*a[:i], a[i] + s, *a[i + 1:]] for s in (step, -step))
        slopes.append((measure(kind, ahead, b) - measure(kind, behind, b)) / (2 * step))
    return slopes


def box(out, anchors, mask, size, image, a, oy, ox, squared=False):
    """The box of one anchor-cell, in fractions. anchors in pixels, size (w, h) of the network's input."""
    h, w = out.shape[3:]
    tx, ty, tw, th = out[image, a, :4, oy, ox]
    aw, ah = anchors[mask[a]]
    grow = (lambda t: (2 * t) ** 2) if squared else math.exp
    return (ox + tx) / w, (oy + ty) / h, grow(tw) * aw / size[0], grow(th) * ah / size[1]


def deltas(out, anchors, mask, size, truth, ignore_thresh, truth_thresh=1.0, keys=NOTHING):
    """Darknet's delta of activated `out`. truth: per image a list of (x, y, w, h, class), without empty rows."""
    delta, answered = np.zeros_like(out), set()
    b, n, _, h, w = out.shape
    squared, kind, smooth = keys.get("squared", False), keys.get("iou_loss", 0), keys.get("label_smooth_eps", 0) / 2
    strength = {name: keys.get(f"{name}_normalizer", 1) for name in ("iou", "obj")}

    def ask(image, a, oy, ox, t):
        o, d, s = out[image, a, :, oy, ox], delta[image, a, :, oy, ox], strength["iou"] * (2 - t[2] * t[3])
        aw, ah = anchors[mask[a]]
        shrink = (lambda ratio: math.sqrt(ratio) / 2) if squared else math.log
        d[:4] = [s * (wanted - found) for wanted, found in zip(
            (t[0] * w - ox, t[1] * h - oy, shrink(t[2] * size[0] / aw), shrink(t[3] * size[1] / ah)), o[:4])]
        if kind:
            slopes = uphill(kind, box(out, anchors, mask, size, image, a, oy, ox, squared), t)
            d[:4] = [strength["iou"] * slope * (1 if squared or i < 2 else math.exp(o[i])) for i, slope in enumerate(slopes)]
        d[4] = strength["obj"] * (1 - o[4])
        for k in range(len(o) - 5):
            if k == t[4]:
                d[5 + k] = 1 - smooth - o[5 + k]
            elif (image, a, oy, ox) not in answered:
                d[5 + k] = smooth - o[5 + k]
        answered.add((image, a, oy, ox))

    for image, a, oy, ox in np.ndindex(b, n, h, w):
        overlaps = [iou(box(out, anchors, mask, size, image, a, oy, ox, squared), t) for t in truth[image]]
        best = max(overlaps, default=0)
        ignored = best - out[image, a, 4, oy, ox] if keys.get("objectness_smooth") else 0
        delta[image, a, 4, oy, ox] = strength["obj"] * (ignored if best > ignore_thresh else -out[image, a, 4, oy, ox])
        if best > truth_thresh:
            ask(image, a, oy, ox, truth[image][overlaps.index(best)])
    for image, objects in enumerate(truth):
        for t in objects:
            shapes = [iou((0, 0, aw / size[0], ah / size[1]), (0, 0, t[2], t[3])) for aw, ah in anchors]
            best = shapes.index(max(shapes))
            for a, number in enumerate(mask):
                if number == best or shapes[number] > keys.get("iou_thresh", 1):
                    ask(image, a, min(int(t[1] * h), h - 1), min(int(t[0] * w), w - 1), t)
    return delta
