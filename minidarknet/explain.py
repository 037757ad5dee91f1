"""Why one object got its loss: read from what the head itself left behind after a forward pass with a truth.

Nothing is computed a second time in another way. Targets, weights, gradient and the responsible anchor-cell are the
head's own arrays of that pass (`target`, `weight`, `gradient`, `match`; see kernels/region.py and kernels/yolo.py), a
share of the loss is what the head's own loss function says when all other weights are 0, and an IoU shown beside them
comes from the function with which the head compared.
"""
from typing import NamedTuple

import numpy as np

COORDINATES = ("x", "y", "w", "h")
ENTRIES = (*COORDINATES, "objectness")


class Anchor(NamedTuple):
    """An anchor, or with bias_match=0 a predicted shape, that an object could have gone to.

    number: among the cfg's. shape: (w, h) in the unit of the anchors. iou: with the object, laid on the same centre.
    here: whether this head owns it. responsible: whether the object went to it.
    """

    number: int
    shape: tuple
    iou: float
    here: bool
    responsible: bool


class Ask(NamedTuple):
    """What one number of the responsible anchor-cell was asked for.

        delta = weight (target - out), Darknet's      gradient = -delta slope = dLoss/draw

    slope: dout/draw where it is part of the gradient (1 where the loss cancels it), None where delta is 0.
    """

    entry: str
    raw: float
    out: float
    target: float
    weight: float
    delta: float
    slope: float
    gradient: float


class Box(NamedTuple):
    """A predicted box that overlaps the object and is not responsible for it.

    cell: (row, column, anchor). box: (x, y, w, h) in fractions of the network's input. iou: with the object.
    gradient: dLoss/draw of its objectness, 0 where it is ignored.
    """

    cell: tuple
    box: tuple
    iou: float
    objectness: float
    gradient: float


class Explanation(NamedTuple):
    """Everything about one object. layer: index of the head that answers for it. name, grid: the head's; unit: what
    its anchors are measured in; extent: (w, h) of the network's input in that unit.

    truth: x y w h class in fractions of the network's input. cell: (row, column, anchor), anchor counted within the
    cell. anchors: [Anchor]. box: the responsible box, as in Box; iou: its IoU with the object. asks: [Ask].
    ignored: [Box] above the threshold `thresh`, not told "no object here". pushed: [Box] that overlap the object and
    are told so all the same. warm_up: whether anchor-cells are drawn to their priors. replaced_by: the row of a later
    object that took the same anchor-cell, or None. shares: name -> loss, of this object and of the rest of the picture,
    whose sum is the loss of the picture.
    """

    layer: int
    name: str
    grid: tuple
    unit: str
    extent: tuple
    truth: tuple
    cell: tuple
    anchors: list
    box: tuple
    iou: float
    asks: list
    ignored: list
    pushed: list
    thresh: float
    seen: int
    warm_up: bool
    replaced_by: int
    shares: dict


def explain(net, row, image=0):
    """Why the object `row` of picture `image` got its loss in the last forward pass of `net` with a truth: Explanation.

    net: Network that finds boxes, after net.forward(x, truth). row: int, index in truth[image].
    Raises ValueError where no truth was passed, for a row that no head answers for, an empty one, and after a net.backward
    that has written over the gradient.
    """
    if net.run.truth is None:
        raise ValueError("there is no loss to explain: call net.forward(x, truth) first")
    head = next((head for head in net.heads if head.match[image, row, 0] >= 0), None)
    if head is None:
        raise ValueError(f"row {row} of the truth of picture {image} is empty: it asks for nothing")
    if _overwritten(net, head):
        raise ValueError("backward has written over the gradient that is explained here: call net.forward(x, truth) again")
    h, w, _ = head.shape
    n, truth = head.per_cell, net.run.truth[image].astype(float)
    number = int(head.match[image, row, 0])
    cell = (number // n // w, number // n % w, number % n)
    boxes, objectness, _ = (part[image] for part in head.boxes(head.out))
    responsible = _responsible(head, image)
    ignored, pushed = _bystanders(head, image, row, truth, boxes, objectness, responsible)
    same = np.flatnonzero(head.match[image, :, 0] == number)
    weight = _cells(head, head.weight)[image]
    return Explanation(
        head.index, head.name, (h, w), head.unit, tuple(head.extent), tuple(truth[row].tolist()), cell,
        _anchors(head, truth[row], boxes, cell),
        tuple(boxes[number].tolist()), float(head.match[image, row, 1]), _asks(head, image, number), ignored, pushed,
        head.ignore_thresh, net.run.seen, bool((weight[~responsible, 0] > 0).any()),
        int(same[-1]) if same[-1] > row else None, shares(net, number, head, image))


def _overwritten(net, head):
    """Whether the gradient of `head` is gone: its source, in whose grad it lies, has worked its own slope into it."""
    source = head.sources[0]
    if not net.spent or head.gradient is not source.grad:
        return False
    return source.options.activation != "linear" or getattr(source, "norm", None) is not None


def _cells(head, array):
    """An array of the head (b, h, w, c) by anchor-cells: (b, h * w * n, 5 + classes)."""
    return array.reshape(len(array), -1, 5 + head.options.classes)


def _responsible(head, image):
    """Which anchor-cells of a picture were asked for an object: (h * w * n,) bool; those with a target for a class."""
    asked = (_cells(head, head.target)[image, :, 5:] > 0).any(axis=1)
    asked[head.match[image, head.match[image, :, 0] >= 0, 0].astype(int)] = True
    return asked


def _anchors(head, truth, boxes, cell):
    """[Anchor] that the truth was compared with."""
    from minidarknet.kernels._boxes import iou
    oy, ox, a = cell
    n, extent = head.per_cell, np.array(head.extent, float)
    shapes, mine = head.anchors.astype(float), head.own_anchors
    if getattr(head.options, "bias_match", 1) == 0:
        first = (oy * head.shape[1] + ox) * n
        shapes = boxes[first:first + n, 2:4] * extent
    w, h = truth[2:4] * extent
    return [Anchor(number, tuple(shape.tolist()), float(iou(0., 0., float(shape[0]), float(shape[1]), 0., 0., w, h)),
                   number in mine, number == mine[a]) for number, shape in enumerate(shapes)]


def _asks(head, image, number):
    """[Ask] for each number of an anchor-cell, classes included."""
    raw, out, target, weight, gradient = (
        _cells(head, array)[image, number].astype(float)
        for array in (head.sources[0].out, head.out, head.target, head.weight, head.gradient))
    delta = weight * (target - out)
    names = (*ENTRIES, *(f"class {k}" for k in range(head.options.classes)))
    slope = [-g / d if d else None for g, d in zip(gradient.tolist(), delta.tolist())]
    columns = (raw, out, target, weight, delta)
    return [Ask(*one) for one in zip(names, *(column.tolist() for column in columns), slope, gradient.tolist())]


def _bystanders(head, image, row, truth, boxes, objectness, responsible):
    """The boxes that overlap the object most of all objects but answer for none: ([Box] ignored, [Box] pushed down)."""
    from minidarknet.kernels._boxes import iou
    used = np.flatnonzero((truth[:, 2] > 0) & (truth[:, 3] > 0)).tolist()
    overlap = np.array([[iou(*box, *truth[t, :4].tolist()) for t in used] for box in boxes.astype(float).tolist()])
    mine = (overlap.argmax(axis=1) == used.index(row)) & (overlap.max(axis=1) > 0) & ~responsible
    told, gradient = _cells(head, head.weight)[image, :, 4] > 0, _cells(head, head.gradient)[image, :, 4]
    w, n = head.shape[1], head.per_cell
    found = [[Box((int(i) // n // w, int(i) // n % w, int(i) % n), tuple(boxes[i].tolist()),
                  float(overlap[i, used.index(row)]), float(objectness[i]), float(gradient[i]))
              for i in np.flatnonzero(mine & which)] for which in (~told, told)]
    return sorted(found[0], key=lambda box: -box.iou), sorted(found[1], key=lambda box: -abs(box.gradient))


def shares(net, number, head, image=0):
    """How the loss of a picture is made up: dict name -> loss, in the order in which one would tell it.

    net: Network after a forward pass with a truth. number: the anchor-cell that answers for the object, of `head`.
    """
    parts = dict.fromkeys(("box", "objectness", "class", "other objects", "no object here", "drawn to the priors"), 0.0)
    for one in net.heads:
        asked = _responsible(one, image)
        mine = (np.arange(len(asked)) == number) & (one is head)
        columns = np.zeros((3, 5 + one.options.classes), bool)
        columns[0, :4] = columns[1, 4] = columns[2, 5:] = True
        for name, column in zip(("box", "objectness", "class"), columns):
            parts[name] += _loss(net.run, one, image, mine[:, None] & column)
        parts["other objects"] += _loss(net.run, one, image, (asked & ~mine)[:, None] & columns.any(axis=0))
        parts["no object here"] += _loss(net.run, one, image, ~asked[:, None] & columns[1])
        parts["drawn to the priors"] += _loss(net.run, one, image, ~asked[:, None] & columns[0])
    return parts


def _loss(run, head, image, mask):
    """The head's own loss of one picture when only the numbers in `mask` (h * w * n, 5 + classes) had a weight."""
    weight = np.zeros_like(head.weight)
    weight[image] = head.weight[image] * mask.reshape(head.shape)
    loss, cost = np.empty(len(weight)), np.empty(len(weight))
    boxes = np.empty((len(weight), *head.grid, head.per_cell, 4), head.out.dtype)
    head.decode(head.out, boxes)
    head.lose(run, boxes, head.target, weight, np.empty_like(weight), loss, cost)
    return float(loss[image])
