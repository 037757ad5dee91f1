"""[avgpool]: the mean of each channel over the whole picture (Darknet: src/avgpool_layer.c)."""
from minidarknet.layers.base import Layer


class Avgpool(Layer):
    """out[b,0,0,c] = mean over y, x of x[b,y,x,c]."""

    name = "avgpool"

    def out_shape(self, *shapes):
        return 1, 1, shapes[0][2]

    def window(self):
        h, w, _ = self.sources[0].shape
        return max(h, w), max(h, w)

    def forward(self, run):
        self.ops.avgpool_forward(self.sources[0].out, self.out)

    def backward(self, run):
        for _, source, accumulate in self.source_grads():
            self.ops.avgpool_backward(self.grad, source.grad, accumulate)
