"""Annotated pictures from wherever they are: a VOC folder, several of them, a Darknet .data file, or the sample set.

load() is the one door; the two formats live in voc.py and yolo_txt.py.
"""
from pathlib import Path

import numpy as np

from minidarknet.data import voc, yolo_txt
from minidarknet.data.example import Dataset, Example, Problem  # noqa: F401  (their home for everybody else)
from minidarknet.errors import CfgError, DataError
from minidarknet.grammar import did_you_mean
from minidarknet.paths import resolve


def _source(data):
    """What `data` means: ("voc", folders) or ("data", path)."""
    if str(data) == "sample":
        from minidarknet.data.sample import ensure_sample

        return "voc", [Path(ensure_sample())]
    path = Path(data)
    if path.is_dir():
        return "voc", [path]
    if path.is_file():
        return "data", path
    several = [Path(part.strip()) for part in str(data).split(",") if part.strip()]
    if len(several) > 1 and all(part.is_dir() for part in several):
        return "voc", several
    if path.suffix == ".data":
        try:
            return "data", resolve(data)
        except CfgError:
            pass
    missing = next((part for part in several if not part.exists()), path)
    raise DataError(f"{missing}: no such data: give a Darknet .data file, a VOC year folder (the one that holds "
                    "Annotations/, several joined by commas), or 'sample'")


def splits(data):
    """The splits there are: list of str. data: as load(). Raises DataError when there is no such data."""
    kind, where = _source(data)
    if kind == "data":
        return yolo_txt.splits(where)
    return sorted(set.intersection(*(set(voc.splits(folder)) for folder in where)))


def _subset(dataset, classes):
    """Only these classes, in this order, and only pictures that hold at least one of them."""
    classes = [name.strip() for name in classes.split(",")] if isinstance(classes, str) else list(classes)
    for name in classes:
        if name not in dataset.names:
            raise DataError(f"there is no class {name!r} in {dataset.name}{did_you_mean(name, dataset.names)} "
                            f"There are {', '.join(dataset.names)}")
        if classes.count(name) > 1:
            raise DataError(f"class {name!r} is asked for twice")
    new = np.full(len(dataset.names), -1)
    new[[dataset.names.index(name) for name in classes]] = np.arange(len(classes))
    examples = [example.only(new[example.classes] >= 0, new[example.classes]) for example in dataset.examples]
    return Dataset(dataset.name, tuple(classes), [one for one in examples if len(one.classes)], dataset.problems)


def load(data, split, classes=None, limit=None):
    """Read the annotations of one split; pictures are looked at (size, rotation) but not decoded.

    data: path of a VOC year folder, several joined by commas, path of a .data file, or "sample". split: "train", "val"
    or any list the data has. classes: names to keep, in the order that gives their new ids (list, or str with commas),
    or None; then only pictures with at least one such object remain, for training as for scoring. limit: keep
    the first N pictures (of that subset), or None. Returns a Dataset; what was wrong is in its `problems`.
    Raises DataError when nothing can be read: no such folder, file or split, an unknown class, no picture at all.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit {limit}: at least one picture is needed")
    kind, where = _source(data)
    reader = voc.load if kind == "voc" else yolo_txt.load
    dataset = reader(where, split, None if classes else limit)
    if classes:
        dataset = _subset(dataset, classes)
        dataset.examples[limit or len(dataset.examples):] = []
    if not dataset.examples:
        why = f"; {dataset.problems[0]}" if dataset.problems else ""
        raise DataError(f"{data}: split {split!r} holds no usable picture"
                        + (f" with {', '.join(dataset.names)}" if classes else "") + why)
    return dataset
