"""`minidarknet warmup [CFG ...]`: compile ahead what networks need, by running them once as the other commands do."""
import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from minidarknet import cli, paths
from minidarknet.errors import UsageError

BATCHES = (1, 2)  # one picture and several: Numba sees other kinds of arrays


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("warmup", "Compile ahead what networks need, so that later commands start at once.")
    p.add_argument("cfg", metavar="CFG", nargs="*", help="cfg files, or names of bundled ones (default: all bundled "
                                                         "detectors)")
    p.add_argument("--train", action=argparse.BooleanOptionalAction, default=True,
                   help="compile what training needs, too (default: yes)")
    p.add_argument("--clear", action="store_true", help="remove all compiled code that was kept, and stop")
    cli.add_set(p)
    cli.add_modes(p)
    cli.add_threads(p)
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    from numba import config

    from minidarknet.kernels import _cache
    if config.DISABLE_JIT:
        raise UsageError("NUMBA_DISABLE_JIT=1 switches compiling off: there is nothing to do ahead")
    if args.clear:
        if args.cfg:
            raise UsageError("--clear stops when the folder is empty: leave the cfg files out")
        print(f"removed all compiled kernels from {_cache.clear()}")
        return 0
    began = time.monotonic()
    cli.use_threads(args.threads)
    from minidarknet.compiling import Progress
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        data = pictures_in(folder)
        for cfg in args.cfg or detectors():
            warm(cfg, data, args.train, overrides=cli.overrides(args), **cli.modes(args))
    seconds = time.monotonic() - began
    found = "nothing was left to compile" if not progress.functions else \
        f"{progress.functions} function{'s' * (progress.functions != 1)} compiled in {progress.seconds:.0f} s"
    print(f"{found}, {seconds:.0f} s in all: {_cache.folder()}")
    return int(_cache.KernelCache.refused)  # what cannot be kept was compiled in vain; a warning said why


def detectors():
    """The bundled detectors' cfgs (list of str); of those with the same row of layers only the smallest.

    Those with a label tree run the same kernels as the others, and the tree may not be there: they are left out.
    """
    from minidarknet import parser
    cheapest = {}
    for name in paths.bundled():
        if name.endswith(".cfg"):
            cfg = parser.read(f"cfg/{name}")
            row = tuple(section.name for section in cfg.layers)
            if cfg.layers[-1].get("tree"):
                continue
            cheapest.setdefault(row, []).append((int(cfg.net.get("width")), f"cfg/{name}"))
    return [min(same)[1] for row, same in cheapest.items() if row[-1] in parser.DETECTORS]


def pictures_in(folder):
    """A data set (Dataset) of BATCHES[-1] grey pictures, saved in `folder`, each with one object of class 0.

    One is wide and one is high: in the network's input they leave margins above and below, or left and right.
    """
    from PIL import Image

    from minidarknet.data.example import Dataset, Objects
    examples = []
    for name, size in (("wide", (64, 48)), ("high", (48, 64))):
        path = Path(folder) / f"{name}.png"
        Image.new("RGB", size, (128, 128, 128)).save(path)
        objects = Objects()
        objects.add((.3, .3, .7, .7), 0, False, (1, 1, *size))
        examples.append(objects.example(name, path, size))
    return Dataset("warmup", (), examples)


def warm(cfg, data, train=True, **options):
    """Run the network of the file `cfg` on the Dataset `data`, at its own size and with weights of zero.

    train: also update it. options: as for Network.from_cfg.
    """
    from minidarknet.network import Network
    net = Network.from_cfg(cfg, initialise=False, **options)
    (detect if net.detects else classify)(net, data)
    if train and any(layer.trains_from_truth for layer in net.layers):
        update(net, data)


def detect(net, data):
    """What `detect` and `evaluate` do with a detector `net`: one picture, then several; both ways of fitting them."""
    from minidarknet import evaluate
    net.names = tuple(str(number) for number in range(net.classes))
    for net.resize_mode in ("stretch", "letterbox"):
        for example in data:
            net.detect(example.path)
        evaluate.detections(net, replace(data, names=net.names), quiet=True)


def classify(net, data):
    """What `detect` and `evaluate` do with a classifier `net`; all ways of fitting pictures."""
    from minidarknet import evaluate
    from minidarknet.data import pictures
    from minidarknet.detect import top
    for net.resize_mode in pictures.FITS:
        for example in data:
            top(net, pictures.read(example.path), 1)
        evaluate.accuracy(net, data, quiet=True)


def update(net, data):
    """What `train` does: batches from the loader in all its ways, forward, backward, an update of the weights."""
    from minidarknet.data.loader import Loader
    from minidarknet.optimizer import SGD
    from minidarknet.tasks import task_of
    task = task_of(net.cfg)
    for augmentation in task.augmentations(net).values():
        with Loader(data, BATCHES[-1], 0, 0, lambda step: net.input.shape[1::-1], augmentation) as loader:
            truth = next(loader).truth
    sgd = SGD(net)
    for size, batches in sizes(net, task):
        net.resize(size)
        for batch in batches:
            net.forward(np.zeros((batch, *net.input.shape), np.float32), truth[:batch], train=True)
            net.backward()
            sgd.step()


def sizes(net, task):
    """What training is to be tried at: [((w, h), batches)], the ends of multi-scale training and the own size."""
    from minidarknet.data.multiscale import size_at
    own, multiscale = net.input.shape[1::-1], task.multiscale(net)
    if not multiscale:
        return [(own, BATCHES)]
    drawn = {size_at(0, step, own, *multiscale) for step in range(0, 4000, 40)}
    return [(min(drawn), BATCHES[-1:]), (max(drawn), BATCHES[-1:]), (own, BATCHES)]


if __name__ == "__main__":
    sys.exit(cli.run(main))
