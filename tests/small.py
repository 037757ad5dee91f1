"""What the tests of whole commands share: a tiny drawn data set, a tiny cfg, and how to run a command."""
import csv
import os
import subprocess
import sys

from minidarknet import Network

COMMENTED = """[net]
batch = 4
width=8

# the only layer
[convolutional]
filters = 15   # three classes
activation=leaky
[region]
classes=3
num = 5
"""

TINY = """[net]
batch=8
subdivisions=2
width=64
height=64
channels=3
momentum=.9
decay=.0005
learning_rate=.001
burn_in=5
max_batches=500
policy=steps
steps=400
scales=.1
hue=.1
saturation=1.5
exposure=1.5

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=4
stride=4

[convolutional]
batch_normalize=1
filters=16
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=4
stride=4

[convolutional]
filters=51
size=1
stride=1
pad=1
activation=linear

[region]
anchors=1,1,1.5,2,2,1.2
classes=12
num=3
softmax=1
bias_match=1
rescore=1
object_scale=5
thresh=.6
jitter=.2
random=1
"""


TREE = TINY.replace("filters=51", "filters=60").replace("classes=12", "classes=15\ntree=sample.tree\nmap=sample.map")

CLASSIFIER = TINY.split("[region]")[0].replace("filters=51", "filters=12") + "[avgpool]\n\n[softmax]\n"

HEAD = """[net]
batch=2
width=8
height=8
channels=3
"""


def sure_weights(path, cfg, kind):
    """Write weights for the net TINY in the file `cfg` that see an object of class `kind` in every cell -> path.

    Whatever the picture shows: one box of one cell's size in the middle of each of the 4 x 4 cells, confidence nearly 1.
    """
    from minidarknet import weights
    from minidarknet.network import Network
    net = Network.from_cfg(cfg)
    for stored in net.layers[-2].stored:
        stored.array[...] = 0
    bias = net.layers[-2].bias.reshape(3, 17)  # anchors x (x y w h objectness, 12 classes); the first is 1 x 1 cell
    bias[:, 4] = 20, -20, -20
    bias[:, 5 + kind] = 20
    weights.save(net, path)
    return path


def run(*arguments, cwd=None, env=None, timeout=300):
    """`python -m minidarknet ARGUMENTS` as a user runs it: subprocess.CompletedProcess with text output."""
    return subprocess.run([sys.executable, "-m", "minidarknet", *map(str, arguments)], capture_output=True, text=True,
                          cwd=cwd, env={**os.environ, **(env or {})}, timeout=timeout)


BODY = """
[net]
batch=4
subdivisions=2
width=16
height=16
channels=3
learning_rate=.01
momentum=.9
decay=.01

[convolutional]
batch_normalize=1
filters=6
size=3
stride=1
pad=1
activation={activation}

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation={activation}

[convolutional]
filters=4
size=1
stride=1
pad=1
activation=linear

[route]
layers=-2

[convolutional]
filters=4
size=1
activation=linear

[reorg]
stride=2

[route]
layers=3

[maxpool]
size=2
stride=2

[route]
layers=-1,-3

[maxpool]
size=2
stride=1

[convolutional]
filters=16
size=1
activation=linear
"""
REGION = """
[region]
anchors=1,1.5,2,.7
classes=3
num=2
softmax=1
bias_match=1
rescore={rescore}
object_scale=5
thresh=.6
"""


def small_network(rescore=0, activation="linear", **kwargs):
    """A small network with every layer of YOLOv2: passthrough, shared sources, stride-1 pooling, region head."""
    return Network.from_string(BODY.format(activation=activation) + REGION.format(rescore=rescore), **kwargs)


def train(cfg, data, out, *more, **kwargs):
    """`minidarknet train` of `cfg` on `data` into the folder `out`."""
    return run("train", cfg, "--data", data, "--out", out, *more, **kwargs)


def rows(out):
    """The lines of metrics.csv in the folder `out`: [dict]."""
    with open(out / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))
