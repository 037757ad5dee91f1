"""Which of the bundled networks a .weights file belongs to. Only its length can tell: a file holds no cfg."""
from pathlib import Path
from typing import NamedTuple

from minidarknet import parser, weights
from minidarknet.network import Network
from minidarknet.paths import bundled
from minidarknet.weights_misfit import numbers, with_other_classes


class Fit(NamedTuple):
    """A bundled cfg that a file fits. cfg: its name. layers: how many of its layers the file fills, None: all.

    settings: {"section[i].key": value} to be overridden, as --set, for another number of classes.
    """

    cfg: str
    layers: int | None = None
    settings: dict = {}

    def __str__(self):
        if self.layers:
            return f"the first {self.layers} layers of {self.cfg}: load it as FILE:{self.layers}"
        changed = " ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"{self.cfg} --set {changed}" if changed else self.cfg


def fits(path):
    """[Fit]: the bundled cfgs that the file at `path` fits: whole, with other classes, or their first layers.

    What fits as it is comes first. Raises WeightsError where the file is no .weights file.
    """
    header, size = weights.read_header(path), Path(path).stat().st_size
    body = size - header.size
    found = [fit for name in bundled() if name.endswith(".cfg") and body > 0 and body % 4 == 0
             for fit in [_fit(f"cfg/{name}", body // 4)] if fit]
    return sorted(found, key=lambda fit: (fit.layers is not None, len(fit.settings)))


def _fit(name, count):
    """The Fit of the bundled cfg `name` to `count` numbers, or None."""
    network = Network(parser.read(name), arrays=False)
    if numbers(network.layers) == count:
        return Fit(name)
    other = with_other_classes(network, count)
    if other is not None:
        return Fit(name, settings=_settings(network.cfg, other.cfg))
    ends = [block.index + 1 for block in weights.describe(network.layers, 0) if block.end == 4 * count]
    return Fit(name, ends[0]) if ends else None


def _settings(old, new):
    """{"section[i].key": value} of the entries in which two Cfgs of the same sections differ."""
    return {f"{section.name}[{section.number}].{entry.key}": entry.value
            for before, section in zip(old.sections, new.sections)
            for entry in section.entries if entry is not before.entry(entry.key)}
