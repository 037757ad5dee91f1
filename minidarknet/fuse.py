"""Fusion, a visible step over the built network: several layers of the cfg become one pass over memory.

    net.layers   convolutional   maxpool      convolutional   route   convolutional   region
                 conv|norm|leaky | 2x2/2      conv|norm|leaky         conv|bias|linear
    net.steps   [       Fused          ]     [     Fused     ] route  [   Fused      ] region

The first layers of a network make few multiplications and many numbers: their time is the time it takes to carry the
numbers to and from memory. One layer after the other carries each number some ten times forth and back; a Fused step
writes what the convolution gives once, reads it once, and writes the pooled quarter of it. In training it keeps z, the
convolution's result before batch norm, from which the backward pass makes everything else again; dL/dz is written over
z itself. For prediction batch norm becomes one factor and one number to add per channel.

What is fused: a [convolutional] whose activation is linear, leaky, relu, relie, mish or swish, and behind it, if nobody
else reads it,
  - a [maxpool] of size 2 and stride 2 that begins at the first pixel (`padding` 1 in total, the default), if the activation
    is one of the first four;
  - a [shortcut] with one of these activations that adds one other layer of the same size, with alpha and beta 1: in
    predictions (Residual).
What never is: a layer that a [route] reads too, or any other second reader, is not fused away; poolings of another
shape; other activations; networks in strict_darknet_cpu mode, whose backward pass is another one; networks on
backend="kernels". Frozen layers are fused too: they only have a way forward.
The layers stay in `net.layers` with their parameters and options; only a convolution whose pooling is fused has no
`out` and no `grad`, and one whose shortcut is fused no `out` in predictions. To look at those, build the network with
fused=False: its results differ by rounding alone.
"""
import os

import numpy as np

from minidarknet.activations import activation_code
from minidarknet.join import join
from minidarknet.layers import Convolutional, Maxpool, Shortcut

STRAIGHT = {activation_code(name) for name in ("linear", "leaky", "relu", "relie")}
CURVED = {activation_code(name) for name in ("mish", "swish")}


def possible(backend, strict):
    """Whether a network can be fused: only the engine has the passes, and only where Numba compiles (bool).

    backend: "engine" or "kernels". strict: whether Darknet's CPU build is to be reproduced.
    """
    return backend == "engine" and not strict and os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def fuse(net):
    """The steps that forward and backward run, in order: each a layer of `net`, or a Fused or Residual that stands for some.

    It also has the layers joined (join.py), and widens margins where a Residual needs it.
    """
    readers = {layer: [] for layer in (net.input, *net.layers)}
    for layer in net.layers:
        for source in layer.sources:
            readers[source].append(layer)
    join(net, readers)
    steps, inside = [], set()
    for layer in net.layers:
        if isinstance(layer, Convolutional) and layer.nonlinearity.code in STRAIGHT | CURVED:
            step = _step(layer, readers[layer])
            inside.update(step.layers)
            steps.append(step)
        elif layer not in inside:
            steps.append(layer)
    _even_margins([step for step in steps if isinstance(step, Residual)])
    return steps


def _even_margins(residuals):
    """Let what is added be laid out as the sum is, which the next shortcut adds again: all get the widest margin."""
    uneven = True
    while uneven:
        uneven = [step for step in residuals if step.source.out_margin != step.last.out_margin]
        for step in uneven:
            step.source.out_margin = step.last.out_margin = max(step.source.out_margin, step.last.out_margin)


def _step(conv, readers):
    """The Fused or Residual that begins with `conv`, which the layers `readers` read."""
    if len(readers) == 1:
        if _halves(readers[0]) and conv.nonlinearity.code in STRAIGHT:
            return Fused(conv, readers[0])
        if _adds(readers[0], conv):
            return Residual(conv, readers[0])
    return Fused(conv)


def _halves(layer):
    """Whether `layer` is the pooling that can be fused: windows of 2 x 2 side by side, from the first pixel on."""
    return isinstance(layer, Maxpool) and (layer.size, layer.options.stride, layer.padding) == (2, 2, 1)


def _adds(layer, conv):
    """Whether `layer` is the shortcut that can be fused: the sum of what `conv` gives and one other, as they are."""
    if not isinstance(layer, Shortcut) or layer.nonlinearity.code not in STRAIGHT | CURVED or len(layer.sources) != 2:
        return False
    (first, other), o = layer.sources, layer.options
    return (first is conv is not other and other.shape == conv.shape and o.alpha == o.beta == 1
            and conv.frozen == layer.frozen)


class Fused:
    """A convolution, its batch norm or bias, its activation, and maybe the max pooling behind it, as one step.

        z = conv(x)       u = factor * z + shift       out = act(u), or the largest act(u) of each 2 x 2

    with batch norm factor = scale / sqrt(variance + 1e-5), shift = bias - mean * factor; else factor = 1, shift = bias.
    Both are made anew in every pass, so nothing goes stale when weights change: here in training, in the engine (its
    fold.py) for prediction.

    layers: the Layers it stands for, one or two; outputs: those that have an `out`. frozen, active: as a layer's, for the
    backward pass.
    """

    def __init__(self, conv, pool=None):
        """conv: Convolutional. pool: Maxpool, its only reader, or None."""
        self.layers = (conv,) if pool is None else (conv, pool)
        self.conv, self.pools, self.last = conv, pool is not None, self.layers[-1]
        self.outputs = (self.last,)
        self.kind = conv.nonlinearity.code
        self.frozen, self.active = conv.frozen, self.last.active
        self.factor = self.shift = None

    def resize(self, batch, train):
        """Make the buffers for `batch` pictures of the present shape: out, grad (of the last layer) and z."""
        conv = self.conv
        conv.planned.forget()
        apart = train and (self.pools or conv.norm or self.kind in CURVED)  # z must outlive act(u)
        conv.z = conv.buffer("z", (batch, *conv.shape), conv.grad_margin) if apart else None
        self.last.make_output(batch, train, 0 if apart else conv.grad_margin)

    def forward(self, run):
        """The convolution's source -> out of the last layer."""
        conv = self.conv
        if not run.train:
            conv.predict(self.last.out, self.pools)
            return
        z = self.last.out if conv.z is None else conv.z
        if conv.norm:
            conv.convolve_measuring(z)
            conv.norm.follow(z[..., 0].size, run)
        else:
            conv.convolve(z)
        self.factor, self.shift = conv.norm.fold(run) if conv.norm else (np.ones_like(conv.bias), conv.bias)
        conv.ops.fused_forward(z, self.factor, self.shift, self.kind, self.pools, self.last.out)

    def backward(self, run):
        """grad of the last layer -> the source's grad (written or accumulated) and the params' grads (accumulated)."""
        conv, norm, z = self.conv, self.conv.norm, self.conv.z
        how = self.kind, self.pools, self.last.grad
        if norm:
            conv.ops.fused_backward(z, norm.mean, norm.inverse, self.factor, self.shift, *how, norm.grad_scale,
                                    norm.grad_bias, z)
        elif z is not None:
            conv.ops.fused_bias_backward(z, conv.bias, *how, conv.grad_bias, z)
        else:
            z = self.last.grad
            conv.ops.activation_backward(self.last.out, z, self.kind)
            conv.ops.bias_backward(z, conv.grad_bias)
        conv.backward_convolution(z)


class Residual:
    """A convolution and the [shortcut] behind it, as one step in predictions; in training they are two.

        out = act2(act(u) + source)

    layers: the two; outputs: those that have an `out` in training. frozen, active: as a layer's. source: the Layer whose
    out is added. The two are two in predictions as well where the source is not laid out as the shortcut's out is, one of
    them being a part of a route's, and right after training with as many pictures, whose arrays are used then.
    """

    def __init__(self, conv, shortcut):
        """conv: Convolutional. shortcut: Shortcut, its only reader."""
        self.layers = self.outputs = (conv, shortcut)
        self.conv, self.last, self.source = conv, shortcut, shortcut.sources[1]
        self.frozen, self.active = conv.frozen, shortcut.active
        self.first, self.at_once = Fused(conv), False

    def resize(self, batch, train):
        """Make the buffers for `batch` pictures of the present shape; the convolution has none where the two are one."""
        self.last.resize(batch, train)
        self.at_once = not train and self.source.out.strides == self.last.out.strides
        if self.at_once:
            self.conv.planned.forget()
            self.conv.out = self.conv.z = None
        else:
            self.first.resize(batch, train)

    def forward(self, run):
        """The sources -> out of the shortcut."""
        if self.at_once:
            self.conv.predict(self.last.out, added=self.source.out, sum_kind=self.last.nonlinearity.code)
        else:
            self.first.forward(run)
            self.last.forward(run)

    def backward(self, run):
        """grad of the shortcut -> both sources' grads and the params' grads (accumulated)."""
        self.last.backward(run)
        self.first.backward(run)
