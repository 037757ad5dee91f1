"""Batch norm folded into the weights, for programs that predict only.

    scale * (z - mean) / sqrt(variance + 1e-5) + bias  =  factor * z + shift      z = the sum of products with weight
    so a layer with the weights factor * weight and the bias shift, and without batch norm, computes the same.

Darknet: denormalize in examples/darknet.c.
"""
import numpy as np

from minidarknet import parser
from minidarknet.layers import Run


def product(layer, strict):
    """(weight, bias) of a [convolutional] or [connected] layer with its batch norm folded in, as new float32 arrays.

    weight (k, k, c, f), bias (f,). strict: with the epsilon of Darknet's CPU build, sqrt(variance) + 1e-6, else
    sqrt(variance + 1e-5).
    """
    if layer.norm is None:
        return np.array(layer.weight, np.float32), np.array(layer.bias, np.float32)
    factor, shift = layer.norm.fold(Run(strict=strict))
    return np.array(layer.weight * factor, np.float32), np.array(shift, np.float32)


def folded(net):
    """A Network like `net` that predicts the same with batch_normalize=0 in its [convolutional] and [connected] sections.

    Sections [batchnorm] stay. The epsilon is that of `net`: strict_darknet_cpu or not.
    """
    normalised = [layer for layer in net.layers if getattr(layer.options, "batch_normalize", 0)]
    cfg = parser.override(net.cfg, {f"{layer.name}[{layer.section.number}].batch_normalize": 0 for layer in normalised})
    other = type(net)(cfg, backend=net.backend, strict_darknet_cpu=net.strict, dtype=net.dtype, initialise=False)
    for old, new in zip(net.layers, other.layers):
        if old in normalised:
            weight, bias = product(old, net.strict)
            new.weight[...], new.bias[...] = weight, bias
        else:
            for mine, theirs in zip(new.stored, old.stored):
                mine.array[...] = theirs.array
        if hasattr(new, "loaded"):
            new.loaded()
    other.seen, other.names = net.seen, net.names
    return other
