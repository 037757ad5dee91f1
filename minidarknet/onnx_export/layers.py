"""What each section of the cfg is in ONNX's operators: a function (graph, layer, its sources' values) -> its value.

Values are (b, c, h, w); a layer's shapes are (h, w, c).
"""
import numpy as np

from minidarknet import fold
from minidarknet.layers import Run
from minidarknet.onnx_export.activations import activate


def convolutional(graph, layer, x):
    """Conv with batch norm folded in, and the activation."""
    weight, bias = fold.product(layer, graph.net.strict)
    o = layer.options
    x = graph.node("Conv", x, weight.transpose(3, 2, 0, 1), bias, kernel_shape=[o.size] * 2, strides=[o.stride] * 2,
                   pads=[layer.pad] * 4, group=o.groups)
    return activate(graph, o.activation, x)


def connected(graph, layer, x):
    """Gemm with batch norm folded in, and the activation. ONNX flattens in Darknet's order: c, h, w."""
    weight, bias = fold.product(layer, graph.net.strict)
    n, f = weight.shape[2:]
    x = graph.node("Gemm", graph.reshape(x, n), weight[0, 0], bias)
    return activate(graph, layer.options.activation, graph.reshape(x, f, 1, 1))


def batchnorm(graph, layer, x):
    """factor * x + shift."""
    factor, shift = layer.norm.fold(Run(strict=graph.net.strict))
    x = graph.node("Mul", x, factor[:, None, None].astype(np.float32))
    return graph.node("Add", x, shift[:, None, None].astype(np.float32))


def activation(graph, layer, x):
    """The function alone."""
    return activate(graph, layer.options.activation, x)


def maxpool(graph, layer, x):
    """MaxPool, padded on the right and below only as far as the last window reaches; outside is -infinity in both."""
    size, stride, before = layer.size, layer.options.stride, layer.padding // 2
    after = [max((out - 1) * stride + size - before - n, 0)
             for out, n in zip(layer.shape[:2], layer.sources[0].shape[:2])]
    return graph.node("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[before, before, *after])


def avgpool(graph, layer, x):
    """GlobalAveragePool."""
    return graph.node("GlobalAveragePool", x)


def softmax(graph, layer, x):
    """Softmax over each group of the numbers in the order c, h, w."""
    o, count = layer.options, layer.shape[2]
    x = graph.node("Div", graph.reshape(x, o.groups, count // o.groups), o.temperature)
    return graph.reshape(graph.node("Softmax", x, axis=-1), count, 1, 1)


def dropout(graph, layer, x):
    """Nothing: it drops in training only."""
    return x


def crop(graph, layer, x):
    """The middle of the picture, stretched to -1..1 unless noadjust."""
    for axis, whole, part in zip((2, 3), layer.sources[0].shape, layer.shape):
        start = (whole - part) // 2
        x = graph.cut(x, axis, start, start + part)
    return x if layer.options.noadjust else graph.node("Sub", graph.node("Mul", x, 2.0), 1.0)


def route(graph, layer, *values):
    """Concat, of one part of each source where there are groups."""
    o, parts = layer.options, []
    for value, source in zip(values, layer.sources):
        count = source.shape[2] // o.groups
        parts.append(value if o.groups == 1 else graph.cut(value, 1, o.group_id * count, (o.group_id + 1) * count))
    return graph.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def reorg(graph, layer, x):
    """Darknet's order: the planes are read as if they were c / s^2 planes of (h s, w s) pixels, see kernels/reorg.py."""
    (h, w, c), s = layer.sources[0].shape, layer.options.stride
    if layer.options.reverse:
        x = graph.node("Transpose", graph.reshape(x, s, s, c // s ** 2, h, w), perm=[0, 3, 4, 1, 5, 2])
    else:
        x = graph.node("Transpose", graph.reshape(x, c // s ** 2, h, s, w, s), perm=[0, 3, 5, 1, 2, 4])
    h, w, c = layer.shape
    return graph.reshape(x, c, h, w)


def upsample(graph, layer, x):
    """Every pixel s x s times; with a negative stride the sums of blocks of s x s pixels."""
    s, scale = abs(layer.options.stride), layer.options.scale
    if layer.options.stride < 0:
        x, scale = graph.node("AveragePool", x, kernel_shape=[s, s], strides=[s, s]), scale * s * s
    else:
        x = graph.node("Resize", x, "", np.array([1, 1, s, s], np.float32), mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")
    return x if scale == 1 else graph.node("Mul", x, scale)


def shortcut(graph, layer, x, source, *others):
    """Add, of what the first two have in common, see kernels/shortcut.py, and the activation."""
    (h, w, c), (h2, w2, c2), o = *(s.shape for s in layer.sources[:2]), layer.options
    step, sample = max(1, w2 // w), max(1, w // w2)
    rows, columns, channels = min(h, h2), min(w, w2), min(c, c2)    # how many meet
    if channels < c2:
        source = graph.cut(source, 1, 0, channels)
    if step > 1:
        source = graph.cut(graph.cut(source, 2, 0, h2, step), 3, 0, w2, step)
    if (h2, w2) != (h, w):
        source = graph.cut(graph.cut(source, 2, 0, rows), 3, 0, columns)
    if sample > 1:  # zeros between the pixels
        source = graph.pad(graph.reshape(source, channels, rows, 1, columns, 1), 0, 0, 0, sample - 1, 0, sample - 1)
        rows, columns = rows * sample, columns * sample
        source = graph.reshape(source, channels, rows, columns)
    if (rows, columns, channels) != (h, w, c):
        source = graph.pad(source, 0, c - channels, h - rows, w - columns)
    if o.beta != 1:
        source = graph.node("Mul", source, o.beta)
    if o.alpha != 1:
        factor = np.ones((c, h, w), np.float32)
        factor[:channels, :min(h, h2) * sample:sample, :min(w, w2) * sample:sample] = o.alpha
        x = graph.node("Mul", x, factor)
    x = graph.node("Add", x, source)
    for other in others:
        x = graph.node("Add", x, graph.node("Mul", other, o.beta))
    return activate(graph, o.activation, x)


def gated(graph, layer, gate, picture):
    """Mul; a gate of one number for each channel or each pixel is stretched by ONNX's own rules."""
    return activate(graph, layer.options.activation, graph.node("Mul", picture, gate))


def local(graph, layer, x):
    """For each place in the window, the pixels that it meets times their own weights: an Einsum."""
    (oh, ow, _), o = layer.shape, layer.options
    weight = layer.weight.transpose(2, 3, 5, 4, 0, 1)   # (k, k, f, c, oh, ow)
    if o.pad:
        x = graph.node("Pad", x, np.array([0, 0, o.pad, o.pad] * 2, np.int64))
    total = np.ascontiguousarray(layer.bias.transpose(2, 0, 1))
    for ky in range(o.size):
        for kx in range(o.size):
            seen = graph.cut(x, 2, ky, ky + (oh - 1) * o.stride + 1, o.stride)
            seen = graph.cut(seen, 3, kx, kx + (ow - 1) * o.stride + 1, o.stride)
            part = graph.node("Einsum", seen, np.ascontiguousarray(weight[ky, kx]), equation="bchw,fchw->bfhw")
            total = graph.node("Add", part, total)
    return activate(graph, o.activation, total)


def normalization(graph, layer, x):
    """The sums of squares as a 1x1 Conv with weights of alpha and 0, see kernels/normalization.py."""
    o, c = layer.options, layer.shape[2]
    k, j = np.indices((c, c))
    weight = ((j >= k - (o.size - 1) // 2) & (j <= k + o.size // 2)).astype(np.float32) - (j == o.size // 2)
    norm = graph.node("Conv", graph.node("Mul", x, x), (o.alpha * weight).astype(np.float32)[:, :, None, None],
                      np.full(c, o.kappa, np.float32), kernel_shape=[1, 1])
    return graph.node("Mul", x, graph.node("Pow", norm, -o.beta))


WRITERS = {write.__name__: write for write in (activation, avgpool, batchnorm, connected, convolutional, crop, dropout,
                                               local, maxpool, normalization, reorg, route, shortcut, softmax, upsample)}
WRITERS |= {"scale_channels": gated, "sam": gated}
