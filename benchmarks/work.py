"""What is compared: a network, its size, inference or training, and a batch; with random weights and pictures."""
from typing import NamedTuple

import numpy as np

from minidarknet import Network

RATE = 1e-6  # of the training steps: small enough to stay sane, large enough to see that everybody makes the same update


class Work(NamedTuple):
    """cfg: path or bundled name. size: side of the picture in pixels. kind: "inference" or "training". batch: pictures."""

    cfg: str
    size: int
    kind: str
    batch: int

    def __str__(self):
        name = self.cfg.split("/")[-1].removesuffix(".cfg")
        return f"{name} {self.size}, {self.kind}{' step' * (self.kind == 'training')}, batch {self.batch}"


WORKS = [
    Work("cfg/yolov2-tiny-voc.cfg", 416, "inference", 1),
    Work("cfg/yolov2-voc.cfg", 416, "inference", 1),
    Work("cfg/darknet19.cfg", 256, "inference", 1),
    Work("cfg/yolov2-tiny-voc.cfg", 416, "inference", 8),
    Work("cfg/yolov2-voc.cfg", 416, "inference", 8),
    Work("cfg/darknet19.cfg", 256, "inference", 8),
    Work("cfg/yolov2-tiny-voc.cfg", 416, "training", 8),
    Work("cfg/yolov2-voc.cfg", 416, "training", 2),
    Work("cfg/yolov2-voc.cfg", 416, "training", 4),
]


def network(work, seed):
    """A Network for the Work with random weights, and statistics such as training leaves behind."""
    overrides = {"net.width": work.size, "net.height": work.size, "net.batch": work.batch, "net.subdivisions": 1,
                 "net.policy": "constant", "net.burn_in": 0, "net.learning_rate": RATE}
    net, rng = Network.from_cfg(work.cfg, overrides=overrides, seed=seed), np.random.default_rng(seed)
    ranges = {"scale": (.5, 1.5), "rolling_variance": (.5, 1.5), "bias": (-.2, .2), "rolling_mean": (-.2, .2)}
    for layer in net.layers:
        for stored in layer.stored:
            if stored.name in ranges:
                stored.array[...] = rng.uniform(*ranges[stored.name], stored.array.shape)
        if hasattr(layer, "loaded"):
            layer.loaded()
    return net


def pictures(work, channels, seed):
    """The Work's pictures (b, h, w, c) float32."""
    return np.random.default_rng(seed + 1).random((work.batch, work.size, work.size, channels), np.float32)


def truths(net, batch):
    """A truth for every picture: three objects in three places (b, 3, 5), or one class (b, classes)."""
    numbers = np.arange(batch)[:, None]
    if net.detects:
        places = np.array([[.15, .2, .1, .2], [.5, .55, .3, .4], [.8, .85, .2, .1]], np.float32)
        kinds = (numbers + [[0, 1, 2]]) % net.classes
        return np.concatenate([np.tile(places, (batch, 1, 1)), kinds[:, :, None]], axis=2).astype(np.float32)
    return (numbers % net.classes == np.arange(net.classes)).astype(np.float32)


def gflop(net, work):
    """Multiplications and additions of the direct convolutions in 10^9: what an effective rate is counted in.

    Training: forward, weight gradient, and the data gradient of all but those that read the picture.
    """
    convolutions = [layer for layer in net.layers if layer.name == "convolutional"]
    passes = [1 if work.kind == "inference" else 2 + (layer.sources[0] is not net.input) for layer in convolutions]
    return work.batch * sum(n * layer.operations() for n, layer in zip(passes, convolutions)) / 1e9
