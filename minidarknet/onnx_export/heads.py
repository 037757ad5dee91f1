"""Boxes in ONNX's operators: what the heads' `boxes` computes, see kernels/region.py and kernels/yolo.py."""
import numpy as np


def decoded(graph, heads):
    """(boxes, objectness, probability), names of values as Network.boxes gives them, of all the heads (layers).

    boxes (b, n, 4), objectness (b, n), probability (b, n, classes), by row, column and anchor.
    """
    parts = [_decode(graph, head) for head in heads]
    return [graph.node("Concat", *values, axis=1) if len(values) > 1 else values[0] for values in zip(*parts)]


def _decode(graph, head):
    """The three values of one head, from the raw numbers of its source."""
    graph.begin(head)
    (h, w, _), n, classes = head.shape, head.per_cell, head.options.classes
    cells = graph.reshape(graph.values[head.sources[0]], n, 5 + classes, h, w)
    cells = graph.node("Transpose", cells, perm=[0, 3, 4, 1, 2])    # (b, h, w, n, 5 + classes)
    xy, wh, objectness, kinds = graph.node("Split", cells, np.array([2, 2, 1, classes], np.int64), outputs=4, axis=4)
    grid = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).reshape(h, w, 1, 2)
    xy = graph.node("Add", graph.node("Sigmoid", xy), grid.astype(np.float32))
    xy = graph.node("Div", xy, np.array([w, h], np.float32))
    wh = graph.node("Mul", graph.node("Exp", wh), ANCHORS[head.name](head).astype(np.float32))
    exclusive = head.name == "region" and head.options.softmax
    kinds = graph.node("Softmax", kinds, axis=-1) if exclusive else graph.node("Sigmoid", kinds)
    return (graph.reshape(graph.node("Concat", xy, wh, axis=4), h * w * n, 4),
            graph.reshape(graph.node("Sigmoid", objectness), h * w * n), graph.reshape(kinds, h * w * n, classes))


def _region(head):
    return head.anchors / (head.shape[1], head.shape[0])


def _yolo(head):
    return head.anchors[list(head.options.mask)] / (head.network_shape[1], head.network_shape[0])


ANCHORS = {"region": _region, "yolo": _yolo}    # (n, 2) width and height in fractions of the network's input
