"""The YOLOv2 head: what the last convolution's numbers mean, which of them answer for which object, and the loss.

A picture is a grid of (h, w) cells with n anchors each; anchor-cell (oy, ox, a) owns the channels
`a * (coords + 1 + classes) + entry` with entry 0 x, 1 y, 2 w, 3 h, `coords` objectness, then the classes.

    raw x --region_activate--> out --region_decode--> boxes --region_assign--> target, weight --region_loss--> gradient

Boxes are centre form (x, y, w, h) in fractions of the network's input. Paper: YOLO9000 (arXiv 1612.08242), section 2.
Classes may form a tree, wordtree.py: then there is a softmax for each group of siblings, whose probabilities are
P(node | parent), and a label is learned along its path to the root (section 4). Without one all classes are siblings.
Darknet: src/region_layer.c. The gradient is that of Darknet's GPU build; its CPU build has none.
"""
import numpy as np

from minidarknet.kernels._boxes import best_anchor, iou, log, logistic
from minidarknet.kernels._jit import jit, parallel, prange
from minidarknet.kernels._rows import any_of, sum_rows

NO_BOX = 100000  # x and y beyond it mark a truth that has a class but no box (Darknet writes 999999)


@jit
def _best_overlap(box, truth):
    """The largest IoU of one box (4,) with the rows of truth (t, 5); rows without width or height do not count."""
    best = 0.0
    for t in range(truth.shape[0]):
        if truth[t, 2] > 0 and truth[t, 3] > 0:
            overlap = iou(box[0], box[1], box[2], box[3], truth[t, 0], truth[t, 1], truth[t, 2], truth[t, 3])
            best = max(best, overlap)  # in this order a box that is not a number never wins
    return best


@parallel
def region_activate(x, out, anchors, coords, direct, softmax, borders):
    """Raw numbers to activated ones: x, y in the cell, w and h as they are, sigma(objectness), class probabilities.

        direct 1    x = sigma(z)                     never leaves the cell (YOLOv2)
        direct 0    x = 1/2 + z anchor_w, y alike    an offset in sizes of the anchor (region proposal networks)

    Class probabilities are softmax(z) over each group of siblings of an anchor-cell (softmax 1), or sigma(z) for each
    class (softmax 0).
    x: (b, h, w, n * (coords + 1 + classes)) float. out: the same shape, *written*. anchors: (n, 2) in cells.
    borders: (groups + 1,) int, the first class of each group, and `classes`.
    Paper: YOLO9000, "Direct location prediction", "Hierarchical classification". Darknet: forward_region_layer.
    """
    b, h, w = x.shape[:3]
    entries = coords + 1 + borders[-1]
    for row in prange(b * h):
        image, oy = row // h, row % h
        for ox in range(w):
            for a in range(anchors.shape[0]):
                z = x[image, oy, ox, a * entries:(a + 1) * entries]
                o = out[image, oy, ox, a * entries:(a + 1) * entries]
                for entry in range(2):
                    o[entry] = logistic(z[entry]) if direct else 0.5 + z[entry] * anchors[a, entry]
                for entry in range(2, coords):
                    o[entry] = z[entry]
                o[coords] = logistic(z[coords])
                if softmax:
                    for group in range(len(borders) - 1):
                        first, last = coords + 1 + borders[group], coords + 1 + borders[group + 1]
                        largest = z[first]
                        for k in range(first + 1, last):
                            largest = max(largest, z[k])
                        total = 0.0
                        for k in range(first, last):
                            o[k] = np.exp(z[k] - largest)  # the largest is 1: nothing overflows
                            total += o[k]
                        for k in range(first, last):
                            o[k] /= total
                else:
                    for k in range(coords + 1, entries):
                        o[k] = logistic(z[k])


@parallel
def region_decode(out, anchors, classes, coords, boxes):
    """Direct location prediction: the centre stays in its cell, the size is a multiple of the anchor's.

        x = (ox + out_x) / w    width = anchor_w * e^out_w / w
        y = (oy + out_y) / h    height = anchor_h * e^out_h / h

    out: (b, h, w, n * (coords + 1 + classes)) activated. anchors: (n, 2) width and height in cells.
    boxes: (b, h, w, n, 4) centre form in fractions of the network's input, *written*.
    Paper: YOLO9000, figure 3. Darknet: get_region_box.
    """
    b, h, w = out.shape[:3]
    entries = coords + 1 + classes
    for row in prange(b * h):
        image, oy = row // h, row % h
        for ox in range(w):
            for a in range(anchors.shape[0]):
                o = out[image, oy, ox, a * entries:a * entries + 4]
                boxes[image, oy, ox, a, 0] = (ox + o[0]) / w
                boxes[image, oy, ox, a, 1] = (oy + o[1]) / h
                boxes[image, oy, ox, a, 2] = np.exp(o[2]) * anchors[a, 0] / w
                boxes[image, oy, ox, a, 3] = np.exp(o[3]) * anchors[a, 1] / h


@parallel
def region_absolute(conditional, parent, absolute):
    """P(node) = P(node | parent) * P(parent | its parent) * ... * P(root), for every box.

    conditional: (b, n, classes) P(node | parent). parent: (classes,) int64 of a WordTree, -1 for roots; parents come first.
    absolute: (b, n, classes), *written*. Paper: YOLO9000, "Hierarchical classification". Darknet: hierarchy_predictions.
    """
    b, n, classes = conditional.shape
    for box in prange(b * n):
        p, out = conditional[box // n, box % n], absolute[box // n, box % n]
        for node in range(classes):
            above = parent[node]
            out[node] = p[node] * out[above] if above >= 0 else p[node]


@jit
def _assign_all(boxes, truth, entries, coords, warm_up, thresh, noobject_scale, target, weight):
    """What every anchor-cell of one picture is asked for before the objects are handed out."""
    h, w, n = boxes.shape[:3]
    for oy in range(h):
        for ox in range(w):
            for a in range(n):
                t = target[oy, ox, a * entries:(a + 1) * entries]
                s = weight[oy, ox, a * entries:(a + 1) * entries]
                if warm_up:  # stay on the prior: the centre of the cell, the size of the anchor (t_w = t_h = 0)
                    t[0] = t[1] = 0.5
                    s[:4] = 0.01
                if _best_overlap(boxes[oy, ox, a], truth) <= thresh:
                    s[coords] = noobject_scale  # "no object here"; a good box that is not responsible is left alone


@jit
def _assign_class(o, t, s, kind, softmax, tree, class_scale):
    """Class `kind` and all its ancestors to one anchor-cell; returns P(kind) there, the product along that path.

    o, t, s: (classes,) probabilities, targets and weights of the anchor-cell. Groups off the path are left alone.
    Paper: "we backpropagate loss at or above the corresponding level of the label". Darknet: delta_region_class.
    """
    parent, first, last = tree
    probability = 1.0
    while kind >= 0:
        if softmax or s[first[kind]] == 0:
            t[first[kind]:last[kind]] = 0
        # else: an earlier object sits in the same anchor-cell, and independent classes may both be true
        s[first[kind]:last[kind]] = class_scale
        t[kind] = 1
        probability *= o[kind]
        kind = parent[kind]
    return probability


@jit
def _assign_truth(out, boxes, anchors, truth, coords, softmax, tree, bias_match, rescore, scales, target, weight, match):
    """One object to the one anchor-cell of the picture that is responsible for it."""
    h, w, n = boxes.shape[:3]
    entries = coords + 1 + len(tree[0])
    coord_scale, object_scale, _, class_scale = scales
    truth_x, truth_y, truth_w, truth_h = truth[0], truth[1], truth[2], truth[3]
    ox = min(max(int(truth_x * w), 0), w - 1)  # x = 1 is the right edge of the last cell, not the next row
    oy = min(max(int(truth_y * h), 0), h - 1)
    if bias_match:
        a = best_anchor(truth_w * w, truth_h * h, anchors)
    else:
        a = best_anchor(truth_w, truth_h, boxes[oy, ox, :, 2:4])
    first, last = a * entries, (a + 1) * entries
    o, t, s, box = out[oy, ox, first:last], target[oy, ox, first:last], weight[oy, ox, first:last], boxes[oy, ox, a]
    overlap = iou(box[0], box[1], box[2], box[3], truth_x, truth_y, truth_w, truth_h)

    t[0] = truth_x * w - ox
    t[1] = truth_y * h - oy
    t[2] = np.log(truth_w * w / anchors[a, 0])
    t[3] = np.log(truth_h * h / anchors[a, 1])
    s[:4] = coord_scale * (2 - truth_w * truth_h)  # small boxes count up to twice as much
    t[coords] = overlap if rescore else 1.0
    s[coords] = object_scale
    c = coords + 1

    match[0] = (oy * w + ox) * n + a
    match[1] = overlap
    match[2] = o[coords]
    match[3] = _assign_class(o[c:], t[c:], s[c:], int(truth[4]), softmax, tree, class_scale)


@jit
def _is_class_only(truth):
    """Whether a row of the truth (5,) has a class but, by Darknet's mark, no box."""
    return truth[0] > NO_BOX and truth[1] > NO_BOX


@jit
def _assign_class_only(out, n, truth, coords, softmax, tree, class_only_iou, scales, target, weight):
    """A label without a box to the one anchor-cell of the picture that believes in it most: objectness * P(label).

    Its objectness is pulled up to class_only_iou, the overlap that its box is taken to have with the object.
    """
    h, w = out.shape[:2]
    entries = coords + 1 + len(tree[0])
    best, best_y, best_x, best_a = 0.0, 0, 0, 0
    for a in range(n):
        for oy in range(h):
            for ox in range(w):
                o = out[oy, ox, a * entries:(a + 1) * entries]
                belief, kind = np.float64(o[coords]), int(truth[4])
                while kind >= 0:
                    belief *= o[coords + 1 + kind]
                    kind = tree[0][kind]
                if belief > best:
                    best, best_y, best_x, best_a = belief, oy, ox, a
    first, last, c = best_a * entries, (best_a + 1) * entries, coords + 1
    o, t, s = out[best_y, best_x, first:last], target[best_y, best_x, first:last], weight[best_y, best_x, first:last]
    _assign_class(o[c:], t[c:], s[c:], int(truth[4]), softmax, tree, scales[3])
    t[coords] = class_only_iou
    s[coords] = scales[1] if o[coords] < class_only_iou else 0.0


@parallel
def region_assign(out, boxes, anchors, truth, coords, softmax, tree, warm_up, thresh, bias_match, rescore, class_only_iou,
                  scales, target, weight, match):
    """Ask every output for something: `target` is what it should be, `weight` how much that matters (0: not at all).

    1. Every anchor-cell: objectness 0 (noobject_scale), unless its box overlaps some truth by more than `thresh`.
       With warm_up: also x = y = 1/2, w = h = 0, which is the anchor in the middle of its cell (weight .01).
    2. Every truth goes to the cell that holds its centre and there to the anchor of the most similar shape:
       x, y, w, h (coord_scale * (2 - w * h)), objectness (object_scale), class and its ancestors (class_scale).
       A later truth replaces an earlier one in the same anchor-cell.
    A picture for classification has a class but no box (Darknet marks it by x, y > 100000). Its class goes to the
    anchor-cell with the largest objectness * P(class); objectness there should be at least class_only_iou, everywhere
    else 0, and nothing is asked of x, y, w, h. Boxes in the same picture do not count.
    The results are constants to the gradient, although they were made by looking at the predictions.

    out: (b, h, w, n * (coords + 1 + classes)) activated. boxes: (b, h, w, n, 4) from region_decode.
    anchors: (n, 2) in cells. truth: (b, t, 5) rows x y w h class, centre form in fractions of the network's input;
    rows with w <= 0 or h <= 0 are empty, wherever they stand; x, y in 0..1, class in 0..classes - 1.
    softmax: 1 one class per object, 0 independent classes. tree: (parent, first, last) of WordTree, (classes,) int64
    each. bias_match: 1 compares a truth with the anchors, 0 with the predicted shapes. rescore: 1 makes the predicted
    box's IoU the target of its objectness, 0 makes it 1.
    scales: (coord_scale, object_scale, noobject_scale, class_scale).
    target, weight: the shape of out, *written*. match: (b, t, 4) float64, *written*: number of the responsible
    anchor-cell (oy * w + ox) * n + a or -1 for a row without a box, then IoU, objectness and P(class) found there.
    Paper: YOLO (arXiv 1506.02640) section 2.2, YOLO9000 sections 2 and 4, "Joint classification and detection".
    Darknet: forward_region_layer; since July 2017 it leaves the objectness of a class without a box alone.
    """
    entries = coords + 1 + len(tree[0])
    for image in prange(out.shape[0]):  # a loop of its own, which the compiler turns into the fastest way to write zeros
        target[image] = 0
        weight[image] = 0
    for image in prange(out.shape[0]):
        match[image] = 0
        match[image, :, 0] = -1
        class_only = False
        for t in range(truth.shape[1]):
            class_only |= _is_class_only(truth[image, t])
        if class_only:
            weight[image, :, :, coords::entries] = scales[2]
        else:
            _assign_all(boxes[image], truth[image], entries, coords, warm_up, thresh, scales[2], target[image],
                        weight[image])
        for t in range(truth.shape[1]):
            if class_only:
                if _is_class_only(truth[image, t]):
                    _assign_class_only(out[image], anchors.shape[0], truth[image, t], coords, softmax, tree,
                                       class_only_iou, scales, target[image], weight[image])
            elif truth[image, t, 2] > 0 and truth[image, t, 3] > 0:
                _assign_truth(out[image], boxes[image], anchors, truth[image, t], coords, softmax, tree, bias_match,
                              rescore, scales, target[image], weight[image], match[image, t])


@parallel
def region_loss(out, target, weight, anchors, classes, coords, direct, softmax, grad, loss, cost):
    """The loss and its gradient with respect to the RAW numbers z, of which out is the activation.

        x, y, objectness   s/2 (sigma(z) - t)^2     dL/dz = s (out - t) out (1 - out)
        w, h               s/2 (z - t)^2            dL/dz = s (out - t)
        classes            s * cross-entropy        dL/dz = s (out - t), of the softmax as of the logistic
        x, y, not direct   s/2 (z - t_z)^2          dL/dz = s (out - t) / a,  z = (out - 1/2) / a, t_z alike, a the anchor's

    out, target, weight: (b, h, w, n * (coords + 1 + classes)), t and s above. grad: the same shape, *written*.
    anchors: (n, 2) in cells. direct: as region_activate.
    loss: (b,) float64, *written*, the function differentiated. cost: (b,) float64, *written*, what Darknet prints
    in its place: the sum of squared deltas s (t - out), before the factor out (1 - out).
    Darknet: delta_region_box, delta_region_class, backward_region_layer_gpu.
    """
    b, h, w = out.shape[:3]
    n, entries = anchors.shape[0], coords + 1 + classes
    totals, squares = np.empty((b, h)), np.empty((b, h))
    for image in prange(b):  # see region_assign
        grad[image] = 0
    for row in prange(b * h):
        image, oy, total, square = row // h, row % h, 0.0, 0.0
        for place in range(w * n):
            ox, a = place // n, place % n
            asked = any_of(weight[image, oy, ox, a * entries + coords + 1:(a + 1) * entries])  # of few: most have no object
            for entry in range(entries if asked else coords + 1):
                c = a * entries + entry
                s, p, t = weight[image, oy, ox, c], out[image, oy, ox, c], target[image, oy, ox, c]
                if s == 0:
                    continue
                error = p - t
                if entry < 2 and not direct:
                    error /= anchors[a, entry]
                gradient = s * error
                square += np.float64(gradient) * gradient
                if entry <= coords:
                    total += 0.5 * gradient * error
                    if entry == coords or entry < 2 and direct:
                        gradient *= p * (1 - p)  # sigma'(z)
                elif not softmax:
                    total -= s * (t * log(p) + (1 - t) * log(1 - p))
                elif t != 0:
                    total -= s * t * log(p)
                grad[image, oy, ox, c] = gradient
        totals[image, oy], squares[image, oy] = total, square
    sum_rows(totals, loss)
    sum_rows(squares, cost)
