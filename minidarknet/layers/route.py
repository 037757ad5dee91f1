"""[route]: earlier outputs, one after the other along the channels (Darknet: src/route_layer.c)."""
from dataclasses import dataclass

from minidarknet.layers.base import Layer, LayerOptions, Misfit


@dataclass(frozen=True, kw_only=True)
class RouteOptions(LayerOptions):
    """Keys of [route]."""

    layers: tuple[int, ...] = ()  # which layers, in this order; negative numbers count back from this section

    groups: int = 1               # AlexeyAB: the channels of each source are split into this many equal parts
    group_id: int = 0             # and this part of them, counted from 0, is taken

    REQUIRED = ("layers",)
    MINIMUM = {"groups": 1, "group_id": 0}

    def problem(self):
        """(key, message) when the part does not exist."""
        if self.group_id >= self.groups:
            return "group_id", f"group_id={self.group_id}: with groups={self.groups} expected 0 to {self.groups - 1}"


class Route(Layer):
    """out = concatenation of the sources' out along c, or of one of `groups` parts of each; all have the same h and w."""

    name = "route"
    Options = RouteOptions
    passes = False  # True: in predictions `out` is, of the only source's out, the channels that are taken (join.py)

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
            if shape[2] % self.options.groups:
                raise Misfit(f"groups={self.options.groups} must divide the {shape[2]} channels of layer {source.index}",
                             "groups")
        return h, w, sum(shape[2] for shape in shapes) // self.options.groups

    def parts(self):
        """For every source: (where its channels begin in out, the first one that is taken, how many are)."""
        start, parts = 0, []
        for source in self.sources:
            count = source.shape[2] // self.options.groups
            parts.append((start, self.options.group_id * count, count))
            start += count
        return parts

    def place(self, batch, train):
        """As every Layer's; with `passes` in a prediction a part of the only source's out."""
        if train or not self.passes:
            return super().place(batch, train)
        (_, first, count), = self.parts()
        return self.sources[0].out[..., first:first + count]

    def allocate(self, batch, train):
        """Note which sources must be copied: in a prediction not those that have written into `out` themselves."""
        self._copied = [(source, part) for source, part in zip(self.sources, self.parts())
                        if train or not (self.passes or source.home == (self, part[0]))]

    def forward(self, run):
        for source, part in self._copied:
            self.ops.route_forward(source.out, self.out, *part)

    def backward(self, run):
        parts = self.parts()
        for i, source, accumulate in self.source_grads():
            self.ops.route_backward(self.grad, source.grad, *parts[i], accumulate)
