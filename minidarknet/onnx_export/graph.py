"""The graph of an ONNX model while it is being written: nodes, constants, and the names of the values between them.

Values are (b, c, h, w), as Darknet has them.
"""
import numpy as np

from minidarknet import __version__
from minidarknet.errors import UsageError

OPERATORS = 17  # the version of ONNX's operator set
FORMAT = 8      # of the file: programs of 2022 read it


def package():
    """The package onnx. Raises UsageError where it is missing."""
    try:
        import onnx
    except ImportError:
        raise UsageError('a model needs the package onnx: pip install "minidarknet[onnx]"') from None
    return onnx


class Graph:
    """Collects the nodes of a model. values: {layer: name of its output}, the input's being "x"."""

    def __init__(self, net, batch):
        """net: the Network. batch: a number of pictures, or a name. Raises UsageError where the package onnx is missing."""
        self.onnx, self.net, self.batch = package(), net, batch
        self.nodes, self.constants, self.outputs, self.values = [], [], [], {net.input: "x"}
        self.begin(net.input)

    def begin(self, layer):
        """Name what follows after this layer."""
        self.prefix = f"layer{layer.index}_{layer.name}" if layer.index >= 0 else "input"

    def node(self, operator, *inputs, outputs=1, **attributes):
        """Add a node -> the name of its output, or a list of names where there are several.

        operator: ONNX's name. inputs: names of values, numbers, or arrays.
        """
        stem = f"{self.prefix}_{len(self.nodes)}_{operator}"
        names = [stem] if outputs == 1 else [f"{stem}_{i}" for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(operator, [self._name(i) for i in inputs], names, stem, **attributes))
        return names[0] if outputs == 1 else names

    def reshape(self, value, *shape):
        """The value as (b, *shape)."""
        return self.node("Reshape", value, np.array([0, *shape], np.int64))

    def cut(self, value, axis, start, stop, step=1):
        """Every `step`-th of the value's entries start .. stop - 1 along `axis`."""
        return self.node("Slice", value, *(np.array([n], np.int64) for n in (start, stop, axis, step)))

    def pad(self, value, *after):
        """The value with so many zeros behind the last entry of each axis."""
        return self.node("Pad", value, np.array([0] * len(after) + list(after), np.int64), np.float32(0))

    def _name(self, value):
        """The name of an input; numbers become float32 constants."""
        if isinstance(value, str):
            return value
        name = f"{self.prefix}_constant{len(self.constants)}"
        array = np.asarray(value, np.float32) if isinstance(value, (int, float)) else np.ascontiguousarray(value)
        self.constants.append(self.onnx.numpy_helper.from_array(array.reshape(np.shape(value)), name))
        return name

    def output(self, name, value, *shape):
        """Put the value out as (b, *shape) under `name`."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name], f"output_{name}"))
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT,
                                                                    [self.batch, *shape]))

    def model(self):
        """The model's bytes."""
        helper, (h, w, c) = self.onnx.helper, self.net.input.shape
        x = helper.make_tensor_value_info("x", self.onnx.TensorProto.FLOAT, [self.batch, c, h, w])
        graph = helper.make_graph(self.nodes, "minidarknet", [x], self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPERATORS)], ir_version=FORMAT,
                                  producer_name="minidarknet", producer_version=__version__)
        if self.net.names:
            helper.set_model_props(model, {"names": "\n".join(self.net.names)})
        return model.SerializeToString()
