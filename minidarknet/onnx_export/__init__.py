"""A network as an ONNX model, which other programs run: ONNX Runtime, OpenVINO, OpenCV ...

    x (batch, c, h, w) in 0..1 --> a detector: "out", or "out0", "out1" ... of several heads: (batch, channels, gh, gw),
                                   what stands before the head, raw
                                   with decode: "boxes" (batch, n, 4) centre form (x, y, w, h) in fractions of the input,
                                   "objectness" (batch, n), "probability" (batch, n, classes), as Network.boxes
                                   a classifier: "out" (batch, classes), as Network.predict
The batch is free, width and height are the network's. Batch norm is folded into the weights; [dropout] and [cost] vanish.
"""
from minidarknet.errors import MinidarknetError, UsageError
from minidarknet.files import replacing
from minidarknet.onnx_export.graph import Graph, package
from minidarknet.onnx_export.heads import decoded
from minidarknet.onnx_export.layers import WRITERS

__all__ = ["described", "model", "package", "save"]

MOST = 2 ** 31 - 1      # bytes of a model in one file


def model(net, decode=False, batch="batch"):
    """The Network `net` as bytes of an ONNX model.

    decode: whether a detector's outputs are boxes. batch: a number of pictures, or a name where any number may come.
    Raises UsageError where the package onnx is missing, where a layer has no counterpart, and for boxes of a classifier.
    """
    if decode and not net.detects:
        raise UsageError(f"the network ends in [{net.head.name}], it classifies and finds no boxes: leave out --decode")
    graph = Graph(net, batch)
    for layer in net.layers:
        if getattr(layer.options, "tree", ""):
            raise UsageError(f"layer {layer.index} [{layer.name}] has a label tree, which cannot be written as ONNX")
        if layer.detects or layer.name == "cost":
            continue
        if layer.name not in WRITERS or any(source not in graph.values for source in layer.sources):
            raise UsageError(f"layer {layer.index} [{layer.name}] cannot be written as ONNX; what can: "
                             f"{', '.join(sorted(WRITERS))}, and heads at the end")
        graph.begin(layer)
        graph.values[layer] = WRITERS[layer.name](graph, layer, *(graph.values[source] for source in layer.sources))
    _put_out(graph, net, decode)
    data = graph.model()
    if len(data) > MOST:
        raise MinidarknetError(f"the model has {len(data):,} bytes; ONNX holds at most {MOST:,} in one file")
    return data


def _put_out(graph, net, decode):
    """Add the model's outputs to the graph."""
    if decode:
        for name, value, width in zip(("boxes", "objectness", "probability"), decoded(graph, net.heads),
                                      ((4,), (), (net.classes,))):
            graph.output(name, value, "boxes", *width)
        return
    for number, head in enumerate(net.heads):
        name = f"out{number}" if len(net.heads) > 1 else "out"
        value, (h, w, c) = graph.values[head.sources[0] if head.detects else head], head.shape
        if not head.detects and (h, w) == (1, 1):
            graph.output(name, graph.reshape(value, c), c)
        else:
            graph.output(name, value, c, h, w)


def save(net, path, decode=False):
    """Write the Network `net` as the ONNX model `path`, in one piece; decode: see `model`. Raises MinidarknetError."""
    data = model(net, decode)
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as problem:
        raise MinidarknetError(f"{path}: cannot be written: {problem.strerror}") from None


def described(net, decode=False):
    """The inputs and outputs of the model, as a line for the user."""
    h, w, c = net.input.shape
    if decode:
        out = "boxes (batch, n, 4), objectness (batch, n), probability (batch, n, classes)"
    elif net.detects:
        out = ", ".join(f"({', '.join(map(str, ('batch', head.shape[2], *head.shape[:2])))})" for head in net.heads)
        out = f"raw {out}, before the head"
    else:
        out = f"(batch, {net.head.shape[2]})"
    return f"ONNX, x (batch, {c}, {h}, {w}) in 0..1 -> {out}"
