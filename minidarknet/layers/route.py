"""[route]: earlier outputs, one after the other along the channels (Darknet: src/route_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class RouteOptions(LayerOptions):
    """Keys of [route]."""

    layers: tuple[int, ...] = ()  # which layers, in this order; negative numbers count back from this section

    REQUIRED = ("layers",)
    LATER = {"groups": "1", "group_id": None}


class Route(Layer):
    """out = concatenation of the sources' out along c; all sources have the same h and w."""

    name = "route"
    Options = RouteOptions

    @classmethod
    def source_indices(cls, options, index):
        indices = [n if n >= 0 else index + n for n in options.layers]
        if not indices:
            raise Misfit("layers= is missing or empty: name the layers to join, e.g. layers=-1,8", "layers")
        for written, found in zip(options.layers, indices):
            if not 0 <= found < index:
                raise Misfit(f"layers={written} leads to layer {found}, but only layers 0 to {index - 1} "
                             "stand above this section", "layers")
        return indices

    def out_shape(self, *shapes):
        h, w, _ = shapes[0]
        for source, shape in zip(self.sources, shapes):
            if shape[:2] != (h, w):
                raise Misfit(f"joins layer {self.sources[0].index} of {w} x {h} and layer {source.index} of "
                             f"{shape[1]} x {shape[0]} pixels: they must have the same size", "layers")
        return h, w, sum(shape[2] for shape in shapes)

    def _starts(self):
        start = 0
        for source in self.sources:
            yield start
            start += source.shape[2]

    def forward(self, run):
        for source, start in zip(self.sources, self._starts()):
            self.ops.route_forward(source.out, self.out, start)

    def backward(self, run):
        starts = list(self._starts())
        for i, source, accumulate in self.source_grads():
            self.ops.route_backward(self.grad, source.grad, starts[i], accumulate)
