"""The YOLOv1 head once more, from the specification alone: plain Python, Darknet's order and signs (see naive_region.py)."""
import math

import numpy as np
from naive_region import iou


def grid(truth, side, classes):
    """Darknet's truth: for every cell [is there an object, one-hot class, x, y in the cell, w, h].

    truth: list of (x, y, w, h, class), the first object of a cell holds. Returns (side^2, 5 + classes).
    """
    cells = np.zeros((side * side, 5 + classes))
    for x, y, w, h, kind in truth:
        col, row = min(int(x * side), side - 1), min(int(y * side), side - 1)
        cell = cells[row * side + col]
        if w < .005 or h < .005 or cell[0]:
            continue
        cell[0] = cell[1 + int(kind)] = 1
        cell[1 + classes:] = x * side - col, y * side - row, w, h
    return cells


def deltas(out, truth, side, num, classes, *, sqrt=0, rescore=0, coord=1, obj=1, noobj=1, kind=1, chosen=None):
    """Darknet's delta of one picture's `out` (side^2 * (classes + 5 num),), already activated. truth: as for `grid`.

    chosen: function of the object's (w, h) -> the responsible box, or None: the best.
    """
    delta, cells = np.zeros_like(out), side * side
    for cell, wanted in enumerate(grid(truth, side, classes)):
        first = cells * classes + cell * num
        delta[first:first + num] = noobj * (0 - out[first:first + num])
        if not wanted[0]:
            continue
        kinds = slice(cell * classes, (cell + 1) * classes)
        delta[kinds] = kind * (wanted[1:1 + classes] - out[kinds])
        x, y, w, h = wanted[1 + classes:]
        boxes = out[cells * (classes + num):].reshape(cells, num, 4)[cell]
        shapes = [(bx / side, by / side, *((bw ** 2, bh ** 2) if sqrt else (bw, bh))) for bx, by, bw, bh in boxes]
        overlaps = [iou(shape, (x / side, y / side, w, h)) for shape in shapes]
        if chosen:
            best = chosen(w, h)
        elif max(overlaps) > 0:
            best = overlaps.index(max(overlaps))
        else:
            distances = [math.dist(shape, (x / side, y / side, w, h)) for shape in shapes]
            best = distances.index(min(distances))
        delta[first + best] = obj * ((overlaps[best] if rescore else 1) - out[first + best])
        place = cells * (classes + num) + (cell * num + best) * 4
        ask = (x, y, math.sqrt(w), math.sqrt(h)) if sqrt else (x, y, w, h)
        delta[place:place + 4] = [coord * (t - o) for t, o in zip(ask, boxes[best], strict=True)]
    return delta
