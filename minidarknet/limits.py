"""How large a network may be: what Darknet can count, and what this machine can hold.

An absurd number in a cfg, such as filters=999999999, is no reason to fill the machine's memory: shapes are known before
the first array is made.
"""
import math
import os

import numpy as np

from minidarknet import cores
from minidarknet.errors import MinidarknetError
from minidarknet.grammar import error

MOST = 2 ** 31 - 1      # numbers in one array: Darknet counts them in C's int
SHAPES_ONLY = np.dtype("V0")  # numbers of no bytes: arrays of this type have a shape and take no memory
UNKNOWN = 1 << 36       # bytes of memory of a machine that does not say


def memory(controllers=cores.CONTROLLERS, membership=cores.MEMBERSHIP):
    """Bytes of memory (int) this process may use: the machine's, or fewer where a container allows fewer.

    controllers, membership: where Linux shows the limits of containers, see cores.py.
    """
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        machine = UNKNOWN
    return int(min([machine, *(_limit(folder) for folder in cores.groups("memory", controllers, membership))]))


def _limit(folder):
    """Bytes that the control group of `folder` (Path) allows (int or inf); version 2 of the groups, then version 1."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else math.inf
    return math.inf


def check_weights(net):
    """Build the network's layers with arrays that take no memory, and raise where real ones would not fit.

    net: Network whose shapes are known. A picture's outputs may take a quarter of the machine's memory, as training
    takes some four times as much. Raises CfgError for too many weights, MinidarknetError for too large outputs.
    """
    size, most, numbers = net.dtype.itemsize, memory(), 0
    _check(net, 4 * size * sum(math.prod(layer.shape) for layer in net.layers), "one picture in training")
    for layer in net.layers:
        layer.dtype = SHAPES_ONLY
        layer.build()
        layer.dtype = net.dtype
        numbers += sum(math.prod(stored.array.shape) for stored in layer.stored)  # NumPy's own size would overflow
        if 2 * size * numbers > most:
            raise error(net.cfg, layer.section, f"brings the network to {numbers:,} weights, which take "
                        f"{_gigabytes(2 * size * numbers)} with their gradients, but this machine has {_gigabytes(most)} "
                        "of memory")


def check_batch(net, batch, train):
    """Raise MinidarknetError where the outputs for `batch` pictures, with their margins, would not fit into memory.

    train: whether their gradients are wanted, too.
    """
    layers = [net.input, *(layer for step in net.steps for layer in getattr(step, "outputs", (step,)))]
    numbers = sum((1 + (train and layer.wants_grad)) * layer.shape[2]
                  * math.prod(n + 2 * layer.out_margin for n in layer.shape[:2]) for layer in layers)
    _check(net, batch * numbers * net.dtype.itemsize, f"a mini-batch of {batch}")


def _check(net, needed, what):
    """Raise MinidarknetError if `needed` bytes, for `what`, are more than the machine has."""
    if needed > memory():
        raise MinidarknetError(f"{net.cfg.path}: {what} takes {_gigabytes(needed)}, but this machine has "
                               f"{_gigabytes(memory())} of memory: choose a smaller net.width, net.height or net.batch")


def _gigabytes(count):
    """A number of bytes as messages show it, "1.5 GB"."""
    return f"{count / 1e9:,.1f} GB"
