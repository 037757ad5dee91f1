"""Others who compute what a network gives, for the same cfg, weights and picture: Darknet itself, OpenCV, or a file.

Every oracle tells it as a dict of float32 arrays, "layer_0" for layer 0 and so on, each (c, h, w) or flat in that order:
Darknet's. The keys of such a dict, and of the .npz files it is kept in:

    x           (c, h, w), the network's input, in 0..1
    layer_N     what layer N gives, of a head its activated numbers (with raw tw, th)
    boxes_N     (boxes, 5) x y w h objectness of a head that finds boxes, by row, column and anchor: centre form in
                fractions of the network's input
    y           what the network gives: layer_N of the last layer that is not [cost]

A file needs x and one of the others, and may hold more. `compare` takes from an oracle what it has.
"""
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidarknet import libdarknet, parser, weights
from minidarknet.errors import DataError, MinidarknetError, UsageError
from minidarknet.files import replacing

KEY = re.compile(r"x|y|(layer|boxes)_\d+")
# OpenCV makes several steps of one section: one with a name of its own, then such as begin with these words.
FOLLOWING = {"bn", "adjust", "yolo", "detection", "leaky", "relu", "relu6", "logistic", "tanh", "elu", "swish", "mish"}


class Difference(NamedTuple):
    """Two outputs of one layer. largest: absolute number of the oracle's. mean, most: of the absolute differences."""

    largest: float
    mean: float
    most: float

    @property
    def relative(self):
        """The largest difference as a share of the largest number (float)."""
        return self.most / self.largest if self.largest else self.most


def outputs(net, x):
    """What `net` itself gives for x (c, h, w): a dict as above. net: built with fused=False, or some are missing."""
    net.predict(np.ascontiguousarray(x.transpose(1, 2, 0))[None])
    found = {"x": x}
    for layer in _telling(net):
        if layer.out is not None:
            found[f"layer_{layer.index}"] = np.ascontiguousarray(layer.out[0].transpose(2, 0, 1))
        if layer.detects:
            boxes, objectness, _ = layer.boxes(layer.out)
            found[f"boxes_{layer.index}"] = np.concatenate((boxes[0], objectness[0][:, None]), axis=1)
    found["y"] = found[f"layer_{net.head.index}"].ravel()
    return found


def compare(ours, theirs):
    """Two dicts as above -> Difference of what both have, by key, the network's input apart.

    A number that is infinite or none at all equals its like. Raises DataError where theirs has what ours has not, or has
    it in another size.
    """
    found, strange = {}, [key for key in theirs if key not in ours]
    if strange:
        layers = sum(key.startswith("layer_") for key in ours)
        raise DataError(f"the oracle tells of {', '.join(strange)}; expected y, or layer_0 to layer_{layers - 1}, of this "
                        "network")
    for key in (key for key in ours if key != "x" and key in theirs):
        mine, other = (array[key].astype(np.float64).ravel() for array in (ours, theirs))
        if mine.size != other.size:
            raise DataError(f"{key}: we give {mine.size:,} numbers, the oracle {other.size:,}: it was another network, or "
                            "another size of its input")
        with np.errstate(invalid="ignore"):
            away = np.where((mine == other) | (np.isnan(mine) & np.isnan(other)), 0, np.abs(mine - other))
        away[np.isnan(away)] = np.inf
        largest = np.abs(other[np.isfinite(other)]).max(initial=0)
        found[key] = Difference(float(largest), float(away.mean()), float(away.max()))
    return found


def from_file(path):
    """The dict in the .npz file `path`. Raises DataError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in file.files if KEY.fullmatch(key)}
    except OSError as problem:
        raise DataError(f"{path}: {problem.strerror or problem}; expected an .npz file (or the word darknet or opencv)"
                        ) from None
    except Exception as problem:  # NumPy and zipfile have many words for a broken file
        raise DataError(f"{path}: is no .npz file of numbers ({problem})") from None
    strange = [key for key, array in found.items() if array.dtype.kind not in "fiu"]
    if strange:
        raise DataError(f"{path}: {strange[0]} holds no numbers but {found[strange[0]].dtype}")
    if "x" not in found or found["x"].ndim != 3 or len(found) < 2:
        keys = ", ".join(f"{key} {array.shape}" for key, array in found.items()) or "nothing"
        raise DataError(f"{path}: expected x (c, h, w) and y or layer_0, layer_1, ...; found {keys}")
    return found


def save(path, found):
    """Write a dict as above to the .npz file `path`. Raises MinidarknetError where it cannot be written."""
    try:
        with replacing(path) as file:
            np.savez_compressed(file, **{key: np.asarray(array, np.float32) for key, array in found.items()})
    except OSError as problem:
        raise MinidarknetError(f"{path}: cannot be written: {problem.strerror}") from None


def darknet(net, x, file=None, library=None):
    """What the original Darknet gives for x (c, h, w), layer by layer.

    net: Network, whose cfg it reads. file: the .weights file it reads; default: one that holds the net's own numbers.
    library: path of libdarknet.so. Raises UsageError where it is not there, MinidarknetError where it breaks off.

    Darknet keeps no picture of layers such as [softmax]; where one is not the last, it runs the layers up to it once more.
    """
    with _files(net, file) as (cfg, file):
        found = libdarknet.in_child(cfg, file, x, len(net.layers), library)
        found[f"layer_{net.head.index}"] = found["y"]
        for layer in _telling(net):
            if f"layer_{layer.index}" not in found:
                cfg.write_text(_cut(net.cfg, layer.index + 1))
                found[f"layer_{layer.index}"] = libdarknet.in_child(cfg, file, x, 0, library)["y"]
    return found


def opencv(net, x, file=None):
    """What OpenCV 4's own importer makes of cfg and weights, for x (c, h, w), layer by layer; of heads their boxes.

    net, file: as `darknet`. Raises UsageError where OpenCV 4 is missing, MinidarknetError where it refuses the network.
    """
    try:
        import cv2
    except ImportError:
        cv2 = None
    if not hasattr(getattr(cv2, "dnn", None), "readNetFromDarknet"):
        there = "is not installed" if cv2 is None else f"{cv2.__version__} no longer reads Darknet's files"
        raise UsageError(f"OpenCV {there}: the extra `bench` brings version 4 (pip install 'minidarknet[bench]', or "
                         "pip install 'opencv-python-headless<5')")
    try:
        with _files(net, file) as (cfg, file):
            other = cv2.dnn.readNetFromDarknet(str(cfg), str(file))
        other.enableFusion(False)  # or the outputs in between are not kept
        names = _last_steps(other.getLayerNames(), net)
        other.setInput(np.ascontiguousarray(x, np.float32)[None])
        outs = other.forward(names)
    except cv2.error as problem:
        raise MinidarknetError(f"OpenCV {cv2.__version__} refuses this network: {problem.err}") from None
    return {f"boxes_{layer.index}" if layer.detects else f"layer_{layer.index}":
            outs[layer.index][:, :5] if layer.detects else outs[layer.index] for layer in _telling(net)}


def _telling(net):
    """The layers whose outputs mean something in prediction: all but [cost], which knows how far away a truth is."""
    return [layer for layer in net.layers if layer.name != "cost"]


def _last_steps(names, net):
    """Of OpenCV's steps, whose `names` look like leaky_3, the last of each layer of `net`."""
    last = []
    for name in names:
        if name.split("_")[0] not in FOLLOWING:
            last.append(name)
        elif last:
            last[-1] = name
    if len(last) != len(net.layers):
        raise MinidarknetError(f"OpenCV makes {len(last)} layers of these {len(net.layers)}: they cannot be compared one by "
                               "one")
    return last


@contextmanager
def _files(net, file):
    """Within the block: (path of the net's cfg, path of its weights, `file` if there is one), for somebody else to read."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = Path(folder) / "net.cfg"
        cfg.write_text(parser.render(net.cfg))
        if file is None:
            file = Path(folder) / "net.weights"
            weights.save(net, file)
        yield cfg, file


def _cut(cfg, layers):
    """The text of `cfg` with its first `layers` layers alone."""
    lines = parser.render(cfg).split("\n")
    starts = [number for number, line in enumerate(lines) if line.strip().startswith("[")]
    return "\n".join(lines[:starts[layers + 1]] if layers + 1 < len(starts) else lines)
