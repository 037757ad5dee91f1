"""Short trainings for experiments with a trick on and off: the same pictures, the same seed, the same number of updates."""
from dataclasses import replace

import numpy as np

from minidarknet.data.example import Dataset
from minidarknet.data.loader import Loader
from minidarknet.optimizer import SGD


def train_briefly(net, dataset, updates, seed=0, look=None, augmentation=None):
    """Train `net` on a Dataset for some updates: list of dicts, one per update, of loss and what the head measured.

    net: Network that finds boxes; its cfg's schedule holds. seed: of the pictures' order and augmentation: two networks
    with the same seed see the same pictures. look: function (net, update), called after every backward pass.
    augmentation: Augmentation, or None for its defaults.
    """
    rows, optimizer, size = [], SGD(net), net.input.shape[1::-1]
    with Loader(dataset, net.options.batch // net.options.subdivisions, seed, 0, lambda step: size,
                augmentation, subdivisions=net.options.subdivisions) as loader:
        for update in range(updates):
            losses = []
            for _ in range(net.options.subdivisions):
                batch = next(loader)
                losses.append(net.forward(batch.x, batch.truth, train=True))
                net.backward()
            if look:
                look(net, update)
            optimizer.step()
            rows.append({"loss": float(np.mean(losses)), **net.statistics})
    return rows


def column(rows, key, window=15):
    """One quantity of train_briefly's rows as a running mean over `window` updates: (n,) float64, NaN where unknown."""
    values = np.array([np.nan if row[key] is None else row[key] for row in rows], float)
    return np.array([np.nanmean(values[max(0, i - window + 1):i + 1]) for i in range(len(values))])


def one_class(dataset, name="object"):
    """The Dataset with every object in one class: where things are is learnt in a minute, what they are takes longer."""
    examples = [replace(example, classes=np.zeros_like(example.classes)) for example in dataset.examples]
    return Dataset(dataset.name, (name,), examples, dataset.problems)
