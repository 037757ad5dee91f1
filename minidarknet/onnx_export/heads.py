"""Boxes in ONNX's operators: what the heads' `boxes` computes, see kernels/detection.py, region.py and yolo.py."""
import numpy as np


def decoded(graph, heads):
    """(boxes, objectness, probability), names of values as Network.boxes gives them, of all the heads (layers).

    boxes (b, n, 4), objectness (b, n), probability (b, n, classes), by row, column and box of the cell.
    """
    parts = []
    for head in heads:
        graph.begin(head)
        parts.append(DECODERS[head.name](graph, head, graph.values[head.sources[0]]))
    return [graph.node("Concat", *values, axis=1) if len(values) > 1 else values[0] for values in zip(*parts)]


def _cells(graph, head, x):
    """(xy, wh, objectness, classes), each (b, h, w, n, ...), the raw numbers of a head with anchors."""
    (h, w, _), n, classes = head.shape, head.per_cell, head.options.classes
    cells = graph.node("Transpose", graph.reshape(x, n, 5 + classes, h, w), perm=[0, 3, 4, 1, 2])
    return graph.node("Split", cells, np.array([2, 2, 1, classes], np.int64), outputs=4, axis=4)


def _placed(graph, head, xy):
    """Places within the cells, (b, h, w, n, 2), as fractions of the network's input."""
    h, w = head.grid
    corners = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).reshape(h, w, 1, 2)
    return graph.node("Div", graph.node("Add", xy, corners.astype(np.float32)), np.array([w, h], np.float32))


def _flat(graph, head, xy, wh, objectness, kinds):
    """The four as (boxes, objectness, probability) of all boxes in a row."""
    boxes = head.grid[0] * head.grid[1] * head.per_cell
    return (graph.reshape(graph.node("Concat", xy, wh, axis=4), boxes, 4), graph.reshape(objectness, boxes),
            graph.reshape(kinds, boxes, head.options.classes))


def _region(graph, head, x):
    xy, wh, objectness, kinds = _cells(graph, head, x)
    anchors = head.anchors / (head.shape[1], head.shape[0])
    wh = graph.node("Mul", graph.node("Exp", wh), anchors.astype(np.float32))
    kinds = graph.node("Softmax", kinds, axis=-1) if head.options.softmax else graph.node("Sigmoid", kinds)
    if head.options.direct_location:
        xy = graph.node("Sigmoid", xy)
    else:
        xy = graph.node("Add", graph.node("Mul", xy, head.anchors.astype(np.float32)), np.float32(.5))
    return _flat(graph, head, _placed(graph, head, xy), wh, graph.node("Sigmoid", objectness), kinds)


def _yolo(graph, head, x):
    o, (xy, wh, objectness, kinds) = head.options, _cells(graph, head, x)
    anchors = head.anchors[list(o.mask)] / (head.network_shape[1], head.network_shape[0])
    if o.new_coords:
        wh = graph.node("Mul", graph.node("Mul", wh, wh), (4 * anchors).astype(np.float32))
    else:
        wh = graph.node("Mul", graph.node("Exp", wh), anchors.astype(np.float32))
        xy, objectness, kinds = (graph.node("Sigmoid", value) for value in (xy, objectness, kinds))
    if o.scale_x_y != 1:
        xy = graph.node("Sub", graph.node("Mul", xy, o.scale_x_y), (o.scale_x_y - 1) / 2)
    return _flat(graph, head, _placed(graph, head, xy), wh, objectness, kinds)


def _detection(graph, head, x):
    (h, w), n, classes = head.grid, head.per_cell, head.options.classes
    sizes = np.array([h * w * classes, h * w * n, h * w * n * 4], np.int64)
    kinds, objectness, boxes = graph.node("Split", graph.reshape(x, int(sizes.sum())), sizes, outputs=3, axis=1)
    xy, wh = graph.node("Split", graph.reshape(boxes, h, w, n, 4), np.array([2, 2], np.int64), outputs=2, axis=4)
    kinds = graph.reshape(kinds, h * w, 1, classes)
    kinds = graph.node("Softmax", kinds, axis=-1) if head.options.softmax else kinds
    kinds = graph.node("Concat", *[kinds] * n, axis=2)     # all boxes of a cell have its classes
    wh = graph.node("Mul", wh, wh) if head.options.sqrt else wh
    return _flat(graph, head, _placed(graph, head, xy), wh, objectness, kinds)


# head's section -> function (graph, head, value of its raw numbers) -> the three values of `decoded` for this head
DECODERS = {"detection": _detection, "region": _region, "yolo": _yolo}
