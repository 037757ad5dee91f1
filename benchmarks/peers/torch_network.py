"""A minidarknet network as a PyTorch module with the same weights."""
import torch
from torch import nn
from torch.nn import functional

from peers import Absent

ACTIVATIONS = {"linear": nn.Identity, "leaky": lambda: nn.LeakyReLU(.1, inplace=True),
               "relu": lambda: nn.ReLU(inplace=True), "mish": nn.Mish, "swish": nn.SiLU, "relu6": nn.ReLU6}


class Convolutional(nn.Sequential):
    """[convolutional]: convolution, batch norm or bias, activation."""

    def __init__(self, layer):
        o, weight = layer.options, layer.weight
        conv = nn.Conv2d(weight.shape[2] * o.groups, o.filters, o.size, o.stride, layer.pad, groups=o.groups,
                         bias=layer.norm is None)
        conv.weight.data = torch.from_numpy(weight.transpose(3, 2, 0, 1).copy())
        if o.activation not in ACTIVATIONS:
            raise Absent(f"activation={o.activation} is not built")
        parts = [conv]
        if layer.norm is None:
            conv.bias.data = torch.from_numpy(layer.bias.copy())
        else:
            norm = nn.BatchNorm2d(o.filters, eps=1e-5, momentum=.01)
            for mine, theirs in (("scale", "weight"), ("bias", "bias"), ("rolling_mean", "running_mean"),
                                 ("rolling_variance", "running_var")):
                getattr(norm, theirs).data = torch.from_numpy(getattr(layer.norm, mine).copy())
            parts.append(norm)
        super().__init__(*parts, ACTIVATIONS[o.activation]())


class Maxpool(nn.Module):
    """[maxpool], padded on the right and below only as far as the last window reaches."""

    def __init__(self, layer):
        super().__init__()
        h, w, _ = layer.sources[0].shape
        self.size, self.stride, before = layer.size, layer.options.stride, layer.padding // 2
        below, right = (max((out - 1) * self.stride + self.size - before - n, 0)
                        for out, n in zip(layer.shape, (h, w)))
        self.pad = (before, right, before, below)

    def forward(self, x):
        if any(self.pad):
            x = functional.pad(x, self.pad, value=float("-inf"))
        return functional.max_pool2d(x, self.size, self.stride)


class Reorg(nn.Module):
    """[reorg] in Darknet's order: the planes are read as if they were c / s^2 planes of (h s, w s) pixels."""

    def __init__(self, layer, layout):
        super().__init__()
        self.stride, self.layout = layer.options.stride, layout
        if layer.options.reverse:
            raise Absent("reorg with reverse=1 is not built")

    def forward(self, x):
        (b, c, h, w), s = x.shape, self.stride
        large = x.reshape(b, c // s ** 2, h, s, w, s)
        small = large.permute(0, 3, 5, 1, 2, 4).reshape(b, c * s ** 2, h // s, w // s)
        return small.contiguous(memory_format=self.layout)


class Avgpool(nn.Module):
    """[avgpool]."""

    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


class TorchNetwork(nn.Module):
    """All layers up to the head: a detector's raw output (b, c, h, w), a classifier's numbers before the softmax.

    layout: torch.contiguous_format (NCHW) or torch.channels_last.
    """

    def __init__(self, net, layout):
        super().__init__()
        layers = [layer for layer in net.layers if layer.name not in ("region", "softmax", "cost")]
        self.sources = [[source.index for source in layer.sources] for layer in layers]
        self.kept = {index for layer, sources in zip(layers, self.sources) if layer.name == "route" for index in sources}
        self.parts = nn.ModuleList(self._part(layer, layout) for layer in layers)
        self.to(memory_format=layout)

    @staticmethod
    def _part(layer, layout):
        if layer.name == "reorg":
            return Reorg(layer, layout)
        parts = {"convolutional": lambda: Convolutional(layer), "maxpool": lambda: Maxpool(layer), "avgpool": Avgpool,
                 "route": nn.Identity}
        if layer.name not in parts:
            raise Absent(f"[{layer.name}] is not built")
        return parts[layer.name]()

    def forward(self, x):
        kept = {}
        for index, (part, sources) in enumerate(zip(self.parts, self.sources)):
            if isinstance(part, nn.Identity):  # route
                x = torch.cat([kept[i] for i in sources], 1) if len(sources) > 1 else kept[sources[0]]
            else:
                x = part(x)
            if index in self.kept:
                kept[index] = x
        return x
