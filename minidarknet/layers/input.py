"""The picture as a layer, so that the first layer of the cfg has a source like any other. It is not in `net.layers`."""
from minidarknet.layers.base import Layer


class Input(Layer):
    """Holds x (b, h, w, c) float32 in 0..1; its gradient is never computed."""

    name = "net"

    def __init__(self, options, ops, dtype):
        super().__init__(options, [], ops, dtype)
        self.wants_grad = False
        self.index = -1
        self.shape = (options.height, options.width, options.channels)
