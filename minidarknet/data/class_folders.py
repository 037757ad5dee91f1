"""Folders of classes: FOLDER/SPLIT/CLASS/*.jpg, or FOLDER/CLASS/*.jpg for a set that nobody has divided yet.

The names of the classes are those of their folders, sorted. Of an undivided set every fifth picture of a class, in the
order of the names, is for validation ("val"), the others are for training ("train").
"""
import os
from pathlib import Path

from minidarknet.data import pictures
from minidarknet.data.example import Dataset, one_class
from minidarknet.errors import DataError

SPLITS = ("train", "val", "valid", "test")
EVERY = 5


def _folders(folder):
    """The folders in `folder` (Path), sorted, hidden ones left out: list of Path."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as inside:
        return sorted(Path(entry.path) for entry in inside if entry.is_dir() and entry.name[0] != ".")


def _pictures(folder):
    """The pictures in a class's folder and the folders below it, sorted: list of Path."""
    return sorted(path for path in folder.rglob("*") if pictures.is_picture(path.name))


def _holds_pictures(folder):
    with os.scandir(folder) as inside:
        return any(pictures.is_picture(entry.name) for entry in inside)


def _divided(folder):
    """The split folders that hold classes: dict name -> Path; empty for an undivided set."""
    there = {name: folder / name for name in SPLITS}
    return {name: path for name, path in there.items() if any(map(_holds_pictures, _folders(path)))}


def is_one(folder):
    """Whether `folder` (Path) looks like a folder of classes: bool."""
    return bool(_divided(folder)) or any(map(_holds_pictures, _folders(folder)))


def splits(folder):
    """The splits there are, as load() takes them: list of str. folder: Path."""
    return list(_divided(folder)) or ["train", "val"]


def load(folder, split, limit=None):
    """Read one split of a folder of classes as a Dataset; pictures are not decoded.

    folder: Path; split: str ("val" and "valid" are the same); limit: only N pictures, the classes in turn, or None.
    Raises DataError for an unknown split.
    """
    divided = _divided(folder)
    classes = sorted({path.name for part in divided.values() or [folder] for path in _folders(part)})
    split = {"val": "valid", "valid": "val"}.get(split, split) if divided and split not in divided else split
    if split not in (divided or ("train", "val")):
        raise DataError(f"{folder}: there is no split {split!r}; there are {', '.join(splits(folder))}")
    rows = []
    for number, name in enumerate(classes):
        files = _pictures(divided.get(split, folder) / name)
        if not divided:
            files = [file for place, file in enumerate(files) if (place % EVERY == EVERY - 1) == (split == "val")]
        rows += [(place, number, file) for place, file in enumerate(files)]
    if limit is not None:  # the first of every class, then the second: a limit must not cut classes off
        rows = sorted(rows)[:limit]
    problems = []
    found = [one_class(f"{classes[number]}/{file.stem}", file, number, problems) for _, number, file in rows]
    return Dataset(folder.name, tuple(classes), [one for one in found if one], problems, classifies=True)
