"""Annotated pictures from wherever they are; load() is the one door, and whatever the form, Examples come out.

One file for each form: VOC folders (voc.py), Darknet's .data files with labels beside the pictures (yolo_txt.py) or with
classes in the paths (class_lists.py), folders of classes (class_folders.py), COCO's JSON (coco.py), the sample set.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from minidarknet.data import class_folders, class_lists, coco, voc, yolo_txt
from minidarknet.data.data_file import DataFile
from minidarknet.data.example import Dataset, Example, Problem  # noqa: F401  (their home for everybody else)
from minidarknet.errors import CfgError, DataError
from minidarknet.grammar import did_you_mean
from minidarknet.paths import resolve

EXPECTED = ("give a Darknet .data file, a VOC year folder (the one that holds Annotations/, several joined by commas), a "
            "folder of classes (CLASS/*.jpg or train/CLASS/*.jpg), COCO's instances_NAME.json or the folder that holds "
            "annotations/, or 'sample'")


def _source(data, classifies):
    """Who reads `data`, and what: (load, splits, where). classifies: as load()."""
    if str(data) == "sample":
        from minidarknet.data.sample import ensure_sample

        if classifies:
            from minidarknet.data.crops import ensure_crops
            return class_folders.load, class_folders.splits, Path(ensure_crops())
        return voc.load, voc.splits, [Path(ensure_sample())]
    path = Path(data)
    if path.is_dir():
        for module in (coco, class_folders):
            if not (path / "Annotations").is_dir() and module.is_one(path):
                return module.load, module.splits, path
        _require_annotations([path], classifies)
        return voc.load, voc.splits, [path]
    if path.is_file():
        return _of_file(path, classifies)
    several = [Path(part.strip()) for part in str(data).split(",") if part.strip()]
    if len(several) > 1 and all(part.is_dir() for part in several):
        _require_annotations(several, classifies)
        return voc.load, voc.splits, several
    if path.suffix == ".data":
        try:
            return _of_file(resolve(data), classifies)
        except CfgError:
            pass
    missing = next((part for part in several if not part.exists()), path)
    raise DataError(f"{missing}: no such data: {EXPECTED}")


def _require_annotations(folders, classifies):
    """Raise DataError where classes are asked for and the folders (Paths), being none of classes, are none of VOC either."""
    wrong = next((folder for folder in folders if not (folder / "Annotations").is_dir()), None) if classifies else None
    if wrong is not None:
        several = " and one folder at a time" if len(folders) > 1 else ""
        raise DataError(f"{wrong}: no folders of pictures in it, one for each class; expected {wrong}/CLASS/*.jpg or "
                        f"{wrong}/train/CLASS/*.jpg{several}, or a .data file with labels=")


def _of_file(path, classifies):
    if coco.is_one(path):
        return coco.load, coco.splits, path
    data = DataFile(path)
    if classifies is None:
        classifies = bool(data.value("labels"))
    return (class_lists if classifies else yolo_txt).load, lambda path: data.splits(), path


def splits(data):
    """The splits there are: list of str. data: as load(). Raises DataError when there is no such data."""
    _, splits_of, where = _source(data, None)
    return splits_of(where)


def _subset(dataset, classes):
    """Only these classes, in this order, and only pictures that hold at least one of them."""
    classes = [name.strip() for name in classes.split(",")] if isinstance(classes, str) else list(classes)
    for name in classes:
        if name not in dataset.names:
            raise DataError(f"there is no class {name!r} in {dataset.name}{did_you_mean(name, dataset.names)} "
                            f"There are {', '.join(dataset.names)}")
        if classes.count(name) > 1:
            raise DataError(f"class {name!r} is asked for twice")
        if dataset.names.count(name) > 1:
            raise DataError(f"{dataset.names.count(name)} classes of {dataset.name} are called {name!r}: they cannot be "
                            "chosen by name")
    old = [dataset.names.index(name) for name in classes]
    new = np.full(len(dataset.names), -1)
    new[old] = np.arange(len(classes))
    examples = [example.only(new[example.classes] >= 0, new[example.classes]) for example in dataset.examples]
    return replace(dataset, names=tuple(classes), examples=[one for one in examples if len(one.classes)],
                   categories=dataset.categories and tuple(dataset.categories[k] for k in old))


def load(data, split, classes=None, limit=None, classifies=None):
    """Read the annotations of one split; pictures are looked at (size, rotation) but not decoded.

    data: path of a VOC year folder, several joined by commas, of a .data file, a folder of classes, a COCO folder or its
    JSON file, or "sample". split: "train", "val" or any list the data has. classes: names to keep, in the order that
    gives their new ids (list, or str with commas), or None; then only pictures with at least one such object remain,
    for training as for scoring. limit: keep the first N pictures (of that subset), or None. classifies: True for
    pictures with one class each, False for boxes, None for what the data looks like (a .data file: classes if it has
    labels=). Returns a Dataset; what was wrong is in its `problems`.
    Raises DataError when nothing can be read: no such folder, file or split, an unknown class, no picture at all, and
    where the data holds boxes but classes are asked for, or the reverse.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit {limit}: at least one picture is needed")
    read, _, where = _source(data, classifies)
    dataset = read(where, split, None if classes else limit)
    if classifies is not None and dataset.classifies != classifies:
        raise DataError(f"{data} holds classes of whole pictures; a detector needs boxes" if dataset.classifies else
                        f"{data} holds boxes; a classifier needs pictures with one class each: minidarknet crops --data "
                        f"{data} --out FOLDER cuts the objects out")
    if classes:
        dataset = _subset(dataset, classes)
        dataset.examples[limit or len(dataset.examples):] = []
    if not dataset.examples:
        why = f"; {dataset.problems[0]}" if dataset.problems else ""
        raise DataError(f"{data}: split {split!r} holds no usable picture"
                        + (f" with {', '.join(dataset.names)}" if classes else "") + why)
    return dataset
