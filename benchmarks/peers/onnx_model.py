"""A minidarknet network as an ONNX model, built from its layers; ONNX Runtime and OpenVINO read it."""
import numpy as np
import onnx
from onnx import helper, numpy_helper

from peers import Absent

OPERATORS = 17  # the version of ONNX's operator set


def model_of(net, batch):
    """The model's bytes. Input x (batch, c, h, w) -> a detector's raw output, a classifier's probabilities."""
    builder = Builder(net, batch)
    for layer in net.layers:
        if layer.name not in ("region", "cost"):
            builder.add(layer)
    return builder.model().SerializeToString()


class Builder:
    """Collects the nodes; values[i] is the name of layer i's output."""

    def __init__(self, net, batch):
        self.batch, self.input = batch, net.input.shape
        self.nodes, self.constants, self.values = [], [], {net.input.index: "x"}

    def node(self, operator, *inputs, **attributes):
        """Add a node; inputs: names of values, or arrays. Returns the name of its output."""
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self._name(i) for i in inputs], [name], **attributes))
        return name

    def _name(self, value):
        if isinstance(value, str):
            return value
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, layer):
        """Add the nodes of a layer."""
        build = getattr(self, layer.name, None)
        if build is None or layer.name not in ("convolutional", "maxpool", "avgpool", "route", "reorg", "softmax"):
            raise Absent(f"[{layer.name}] is not built")
        self.last = self.values[layer.index] = build(layer, *(self.values[source.index] for source in layer.sources))

    def convolutional(self, layer, x):
        """Conv, BatchNormalization (folded by whoever reads the model), LeakyRelu."""
        o, norm, weight = layer.options, layer.norm, layer.weight.transpose(3, 2, 0, 1).copy()
        bias = [] if norm else [layer.bias]
        x = self.node("Conv", x, weight, *bias, kernel_shape=[o.size] * 2, strides=[o.stride] * 2, pads=[layer.pad] * 4,
                      group=o.groups)
        if norm:
            x = self.node("BatchNormalization", x, norm.scale, norm.bias, norm.rolling_mean, norm.rolling_variance,
                          epsilon=1e-5)
        if o.activation == "linear":
            return x
        if o.activation not in ("leaky", "relu"):
            raise Absent(f"activation={o.activation} is not built")
        return self.node("LeakyRelu", x, alpha=.1) if o.activation == "leaky" else self.node("Relu", x)

    def maxpool(self, layer, x):
        """MaxPool, padded only as far as the last window reaches."""
        size, stride, before = layer.size, layer.options.stride, layer.padding // 2
        after = [max((out - 1) * stride + size - before - n, 0)
                 for out, n in zip(layer.shape[:2], layer.sources[0].shape[:2])]
        return self.node("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[before, before, *after])

    def avgpool(self, layer, x):
        """GlobalAveragePool."""
        return self.node("GlobalAveragePool", x)

    def route(self, layer, *values):
        """Concat, or nothing where there is only one."""
        return self.node("Concat", *values, axis=1) if len(values) > 1 else values[0]

    def reorg(self, layer, x):
        """Darknet's order: the planes are read as if they were c / s^2 planes of (h s, w s) pixels."""
        (h, w, c), s = layer.sources[0].shape, layer.options.stride
        if layer.options.reverse:
            raise Absent("reorg with reverse=1 is not built")
        x = self._reshape(x, c // s ** 2, h, s, w, s)
        x = self.node("Transpose", x, perm=[0, 3, 5, 1, 2, 4])
        return self._reshape(x, c * s ** 2, h // s, w // s)

    def softmax(self, layer, x):
        """Flatten and Softmax."""
        if (layer.options.groups, layer.options.temperature) != (1, 1):
            raise Absent("softmax with groups or a temperature is not built")
        return self.node("Softmax", self.node("Flatten", x), axis=1)

    def _reshape(self, x, *shape):
        return self.node("Reshape", x, np.array([self.batch, *shape], np.int64))

    def model(self):
        """The onnx.ModelProto."""
        h, w, c = self.input
        x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [self.batch, c, h, w])
        out = helper.make_tensor_value_info(self.last, onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "minidarknet", [x], [out], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPERATORS)], ir_version=9)
