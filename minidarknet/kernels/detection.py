"""The YOLOv1 head: a row of plain numbers read as a grid of cells, and the loss, which is squared error throughout.

The picture is a grid of side * side cells. A cell has one set of class probabilities and n boxes. Per picture the row
holds, with cell = oy * side + ox,

    classes       numbers of cell 0, of cell 1, ...      at  cell * classes + class
    objectness    n of cell 0, n of cell 1, ...          at  side^2 * classes + cell * n + a
    x y w h       of box 0 of cell 0, of box 1, ...      at  side^2 * (classes + n) + (cell * n + a) * 4

    x --detection_activate--> out --detection_decode--> boxes --detection_assign--> target, weight
    out, target, weight --detection_loss--> gradient

Boxes are centre form (x, y, w, h) in fractions of the network's input. There are no anchors: of a cell's boxes the one
that happens to fit best is told to fit better, and so they specialise.
Paper: YOLO (arXiv 1506.02640), section 2. Darknet: src/detection_layer.c.
"""
import numpy as np

from minidarknet.kernels._boxes import iou, log
from minidarknet.kernels._jit import jit, parallel, prange

SMALLEST = .005  # of the picture's side: objects narrower or lower are left out (Darknet: fill_truth_region)


@parallel
def detection_activate(x, out, side, classes, softmax):
    """The numbers as they are; with softmax 1, the classes of each cell as probabilities e^x / sum e^x.

    x, out: (b, side^2 * (classes + 5 n)) float, out *written*. classes: how many. Darknet: forward_detection_layer.
    """
    for image in prange(x.shape[0]):
        out[image] = x[image]
        if softmax:
            for cell in range(side * side):
                p = out[image, cell * classes:(cell + 1) * classes]
                largest, total = p.max(), 0.0
                for k in range(classes):
                    p[k] = np.exp(p[k] - largest)  # the largest is 1: nothing overflows
                    total += p[k]
                for k in range(classes):
                    p[k] /= total


@parallel
def detection_decode(out, side, classes, sqrt, boxes):
    """x and y are places within the cell; w and h, or with sqrt 1 their roots, are fractions of the picture.

        x = (ox + out_x) / side    width = out_w^2 (sqrt 1) or out_w
        y = (oy + out_y) / side    height = out_h^2 or out_h

    out: (b, side^2 * (classes + 5 n)) activated. classes: how many. boxes: (b, side, side, n, 4) centre form in
    fractions of the network's input, *written*. Paper: YOLO, 2.2. Darknet: get_detection_detections.
    """
    b, n = out.shape[0], boxes.shape[3]
    first = side * side * (classes + n)
    for row in prange(b * side):
        image, oy = row // side, row % side
        for ox in range(side):
            for a in range(n):
                place = first + ((oy * side + ox) * n + a) * 4
                o = out[image, place:place + 4]
                boxes[image, oy, ox, a, 0] = (ox + o[0]) / side
                boxes[image, oy, ox, a, 1] = (oy + o[1]) / side
                boxes[image, oy, ox, a, 2] = o[2] * o[2] if sqrt else o[2]
                boxes[image, oy, ox, a, 3] = o[3] * o[3] if sqrt else o[3]


@jit
def _best_box(boxes, truth):
    """Which of a cell's boxes (n, 4) fits the truth (5,): the largest IoU; if none overlaps, the least distance."""
    best, nearest, winner = 0.0, np.inf, 0
    for a in range(boxes.shape[0]):
        overlap = iou(boxes[a, 0], boxes[a, 1], boxes[a, 2], boxes[a, 3], truth[0], truth[1], truth[2], truth[3])
        if best > 0 or overlap > 0:
            if overlap > best:
                best, winner = overlap, a
        else:
            distance = 0.0
            for entry in range(4):
                distance += (boxes[a, entry] - truth[entry]) ** 2
            if distance < nearest:
                nearest, winner = distance, a
    return winner


@jit
def _assign_truth(out, boxes, truth, chosen, side, classes, sqrt, rescore, scales, target, weight, match):
    """One object to the one box of its cell that is responsible for it, unless the cell has an object already."""
    n = boxes.shape[2]
    coord_scale, object_scale, _, class_scale = scales
    ox = min(max(int(truth[0] * side), 0), side - 1)  # x = 1 is the right edge of the last cell, not the next row
    oy = min(max(int(truth[1] * side), 0), side - 1)
    cell = oy * side + ox
    kinds = cell * classes
    if target[kinds:kinds + classes].max() > 0:
        return  # the first come, first served: a cell has one object
    a = chosen if chosen >= 0 else _best_box(boxes[oy, ox], truth)
    box = boxes[oy, ox, a]
    overlap = iou(box[0], box[1], box[2], box[3], truth[0], truth[1], truth[2], truth[3])
    confidence = side * side * classes + cell * n + a
    place = side * side * (classes + n) + (cell * n + a) * 4

    target[kinds + int(truth[4])] = 1
    weight[kinds:kinds + classes] = class_scale
    target[confidence] = overlap if rescore else 1.0
    weight[confidence] = object_scale
    target[place] = truth[0] * side - ox
    target[place + 1] = truth[1] * side - oy
    target[place + 2] = np.sqrt(truth[2]) if sqrt else truth[2]  # an error of a hundredth matters more to a small box
    target[place + 3] = np.sqrt(truth[3]) if sqrt else truth[3]
    weight[place:place + 4] = coord_scale

    match[0] = cell * n + a
    match[1] = overlap
    match[2] = out[confidence]
    match[3] = out[kinds + int(truth[4])]


@parallel
def detection_assign(out, boxes, truth, chosen, side, classes, sqrt, rescore, scales, target, weight, match):
    """Ask every output for something: `target` is what it should be, `weight` how much that matters (0: not at all).

    1. Every box: objectness 0 (noobject_scale).
    2. Every truth goes to the cell that holds its centre, if no earlier one did, and there to the box that overlaps it
       most (if none does, to the nearest in the numbers x y w h): x, y, w, h (coord_scale), objectness (object_scale)
       and the cell's classes (class_scale).
    The results are constants to the gradient, although they were made by looking at the predictions.

    out: (b, side^2 * (classes + 5 n)) activated. boxes: (b, side, side, n, 4) from detection_decode.
    truth: (b, t, 5) rows x y w h class, centre form in fractions of the network's input; rows with w or h below .005
    are empty, wherever they stand; x, y in 0..1, class in 0..classes - 1. chosen: (b, t) int, which box of its cell is
    responsible for a truth; -1: the one that overlaps it most.
    sqrt: 1 asks for the roots of w and h. rescore: 1 makes the predicted box's IoU the target of its objectness, 0
    makes it 1. scales: (coord_scale, object_scale, noobject_scale, class_scale).
    target, weight: the shape of out, *written*. match: (b, t, 4) float64, *written*: number of the responsible box
    (oy * side + ox) * n + a or -1 where there is none, then IoU, objectness and class probability found there.
    Paper: YOLO, section 2.2. Darknet: forward_detection_layer, fill_truth_region (src/data.c).
    """
    n = boxes.shape[3]
    confidences = side * side * classes
    for image in prange(out.shape[0]):
        target[image] = 0
        weight[image] = 0
        weight[image, confidences:confidences + side * side * n] = scales[2]
        for t in range(truth.shape[1]):
            match[image, t] = 0
            match[image, t, 0] = -1
            if truth[image, t, 2] >= SMALLEST and truth[image, t, 3] >= SMALLEST:
                _assign_truth(out[image], boxes[image], truth[image, t], chosen[image, t], side, classes, sqrt, rescore,
                              scales, target[image], weight[image], match[image, t])


@parallel
def detection_loss(out, target, weight, probabilities, grad, loss, cost):
    """The loss and its gradient with respect to the RAW numbers z, of which out is the activation.

        everything    s/2 (out - t)^2     dL/dz = s (out - t)     out = z
        classes that came from a softmax: s * cross-entropy, dL/dz = s (out - t)

    out, target, weight: (b, side^2 * (classes + 5 n)), t and s above. probabilities: how many of a row's first numbers
    came from a softmax (side^2 * classes, or 0). grad: the same shape, *written*. loss: (b,) float64, *written*, the
    function differentiated. cost: (b,) float64, *written*, what Darknet prints: the sum of squared deltas s (t - out).
    Paper: YOLO, equation 3. Darknet: forward_detection_layer, backward_detection_layer.
    """
    for image in prange(out.shape[0]):
        total, squares = 0.0, 0.0
        for i in range(out.shape[1]):
            s = weight[image, i]
            if s == 0:
                grad[image, i] = 0
                continue
            p, t = out[image, i], target[image, i]
            gradient = s * (p - t)
            squares += np.float64(gradient) * gradient
            if i >= probabilities:
                total += 0.5 * gradient * (p - t)
            elif t != 0:
                total -= s * t * log(p)
            grad[image, i] = gradient
        loss[image] = total
        cost[image] = squares
