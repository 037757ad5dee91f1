"""A network of five layers for the tests of the .weights file, and what they ask of it."""
import numpy as np
import pytest

from minidarknet import parser, weights
from minidarknet.errors import WeightsError
from minidarknet.network import Network

CFG = """[net]
width=8
height=8
channels=2
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=6
size=1
activation=leaky
[convolutional]
filters=21
size=1
activation=linear
[region]
classes=2
num=3
anchors=1,1,2,2,3,3
"""
ENDS = (20 + 4 * 88, 20 + 4 * 118, 20 + 4 * 265)  # where layers 0, 2 and 3 end: 4*4 + 72, 6 + 24, 21 + 126 numbers


def network(text=CFG, seed=0, **values):
    cfg = parser.override(parser.parse(text, "my.cfg"), values)
    return Network(cfg, seed=seed)


def filled(seed=1):
    """A network whose every stored number is different."""
    net = network(seed=seed)
    count = 0
    for layer in net.layers:
        for stored in layer.stored:
            stored.array[...] = np.arange(count, count + stored.array.size).reshape(stored.array.shape) / 7 + 1
            count += stored.array.size
    net.seen = 3_000_000_000
    return net


def arrays(net):
    return [stored.array.copy() for layer in net.layers for stored in layer.stored]


def refusal(net, path, layers=None):
    before = arrays(net)
    with pytest.raises(WeightsError) as caught:
        weights.load(net, path, layers)
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays(net), strict=True)), "a refused file changed the net"
    return str(caught.value)
