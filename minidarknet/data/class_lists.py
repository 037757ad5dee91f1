"""Darknet's classification lists: a .data file names lists of pictures, and the class is read off the picture's path.

A class has a text, a line of the file labels= (or names=, where there is none). The picture belongs to the class whose
text occurs in its path as the list has it, anywhere: "n02084071" in "imagenet/train/n02084071_12.jpg". Exactly one must;
Darknet trains on none or several just the same and prints a line, here the picture is left out.

The lists may be longer than classes= says: Darknet's imagenet1k.data has 1000 classes and lists of 21842, of which the first
count.

Darknet: src/data.c, fill_truth.
"""
from minidarknet.data.data_file import KEYS, DataFile
from minidarknet.data.example import Dataset, Problem, one_class
from minidarknet.errors import DataError


def class_of(path, labels):
    """Which of `labels` (texts) occur in the text `path`: list of their numbers."""
    return [number for number, label in enumerate(labels) if label in path]


def _names(data, labels):
    """What the classes are called: names= where it has as many lines as there are labels, else the labels."""
    names = data.names(first=True) if data.value("names") else labels
    if len(names) != len(labels):
        raise DataError(f"{data.place('names')}: {len(names)} names, but labels= has {len(labels)}; give as many")
    return names


def load(path, split, limit=None):
    """Read one split of a classifier's .data file as a Dataset; pictures are not decoded.

    path: of the .data file; split: train, val, or another key of the file; limit: only the first N pictures, or None.
    Paths are looked for as data_file.DataFile.pictures says. Raises DataError for what makes the whole set useless.
    """
    data = DataFile(path)
    problems = data.problems
    key = "labels" if data.value("labels") else "names"
    if not data.value(key):
        raise DataError(f"{data.path}: no labels=: give labels=FILE with one text per line; the one that occurs in the "
                        "path of a picture is its class")
    labels = data.texts(key, "label", first=True)
    names, found = _names(data, labels), []
    list_file = data.value(KEYS.get(split, split), split)
    for id, picture, line in data.pictures(split, problems)[:limit]:
        classes = class_of(line.replace("\\", "/"), labels)
        if len(classes) == 1:
            one = one_class(id, picture, classes[0], problems)
            found += [one] if one else []
            continue
        which = f"{len(classes)} labels occur in the path, {', '.join(labels[k] for k in classes[:3])}" if classes \
            else f"none of the {len(labels)} labels occurs in the path"
        problems.append(Problem(list_file, 0, f"{line!r}: {which}; exactly one must, left out"))
    return Dataset(data.path.stem, names, found, problems, classifies=True)
