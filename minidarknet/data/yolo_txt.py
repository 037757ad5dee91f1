"""Darknet's own form: a .data file names list files of pictures; beside them stand labels `class x y w h`.

The .data file has lines key=value: classes, names (a file with a name per line), train and valid (files with a picture
path per line). x y w h are the centre and the size of a box, fractions of the picture.
"""
import math
import os
from pathlib import Path

from minidarknet.data import pictures, voc
from minidarknet.data.example import Dataset, Objects, Problem
from minidarknet.errors import CfgError, DataError
from minidarknet.grammar import did_you_mean
from minidarknet.paths import resolve

KEYS = {"train": "train", "val": "valid", "valid": "valid"}  # split -> key of the .data file
FOLDERS = ("images", "JPEGImages")                           # replaced by "labels" in a picture's path
ROUNDING = 1e-3                                              # a box may stick out so far without a word


def _lines(path):
    """The lines of a text file without line ends, byte order mark and hidden spaces at the ends: list of str."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return [line.strip(" \t\r\n\v\f\0\xa0\u200b\ufeff") for line in text.split("\n")]


def read_data(path):
    """Read the .data file `path`: dict key -> (value, line). Of equal keys the first counts; # and ; begin a comment.

    Raises DataError naming the line that is not key=value.

    Darknet: src/option_list.c, read_data_cfg (which deletes every space; here paths may hold spaces).
    """
    options = {}
    for number, line in enumerate(_lines(path), 1):
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise DataError(f"{path}:{number}: expected key=value, found {line[:60]!r}; a .data file holds "
                            "classes=, names=, train=, valid=")
        options.setdefault(key.strip(), (value.strip(), number))
    return options


def _find(value, folders):
    """The file that `value` means, looked for in each of the folders in turn: Path or None."""
    return next((path for path in (Path(folder, value) for folder in folders) if path.is_file()), None)


def _names(path, options):
    """Class names as names= and classes= of the .data file say: tuple of str."""
    told = None
    if "classes" in options:
        value, line = options["classes"]
        if not value.isdigit() or not int(value):
            raise DataError(f"{path}:{line}: classes={value}: a number from 1 is expected")
        told = int(value)
    if "names" not in options:
        if told is None:
            raise DataError(f"{path}: neither names= nor classes=: give names=FILE with one class name per line")
        return tuple(str(number) for number in range(told))
    value, line = options["names"]
    file = _find(value, (path.parent, Path()))
    if file is None:
        try:
            file = resolve(Path(value).name)  # bundled: Darknet's data/voc.names
        except CfgError:
            raise DataError(f"{path}:{line}: names={value}: no such file, neither in {path.parent} nor in "
                            f"{Path().absolute()}") from None
    names = _lines(file)
    while names and not names[-1]:
        names.pop()
    if not names or "" in names:
        raise DataError(f"{file}:{names.index('') + 1 if names else 1}: a class name is expected, the line is empty")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DataError(f"{file}: {twice!r} stands there twice; class names must differ")
    if told not in (None, len(names)):
        raise DataError(f"{path}:{options['classes'][1]}: classes={told}, but {file} holds {len(names)} names; "
                        f"set classes={len(names)} or correct the names")
    return tuple(names)


def labels_of(picture):
    """Where the labels of a picture may stand, best first: list of two Paths.

    The last folder named images or JPEGImages becomes labels; else beside the picture. picture: Path.

    Darknet: src/data.c, fill_truth_detection; it replaces the first "images", "JPEGImages" and "raw" anywhere in the
    path, even inside a name.
    """
    beside = picture.with_suffix(".txt")
    parts = list(beside.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] in FOLDERS:
            parts[place] = "labels"
            return [Path(*parts), beside]
    return [beside]


def _object(fields, names):
    """One label line as (class id, [x, y, w, h], complaint or None). Raises ValueError with what is wrong with it."""
    if len(fields) != 5:
        shape = "; this looks like a polygon, boxes are needed" if len(fields) > 6 and len(fields) % 2 else ""
        raise ValueError(f"{len(fields)} columns, but class x y w h are 5{shape}")
    try:
        number, *box = map(float, fields)
    except ValueError:
        raise ValueError("not five numbers: class x y w h are expected, the class as its number") from None
    count = len(names)
    if number != number // 1 or not 0 <= number < count:
        off = f"; do yours run from 1 to {count}? They must begin at 0" if number == count else ""
        raise ValueError(f"class {number:g} is not among 0..{count - 1} ({count} names){off}")
    x, y, w, h = box
    if not all(map(math.isfinite, box)):
        raise ValueError("a number that is not finite")
    if max(map(abs, box)) > 2:
        raise ValueError(f"{x:g} {y:g} {w:g} {h:g} look like pixels; fractions of the picture are expected")
    if w <= 0 or h <= 0:
        raise ValueError(f"a box of {w:g} x {h:g} has no extent")
    left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    corners = " (this looks like the corners xmin ymin xmax ymax)" if 0 <= x < w <= 1 and 0 <= y < h <= 1 else ""
    if left >= 1 or top >= 1 or right <= 0 or bottom <= 0:
        raise ValueError(f"the box {x:g} {y:g} {w:g} {h:g} lies outside the picture; centre and size, fractions "
                         f"within 0..1, are expected{corners}")
    complaint = None
    if min(left, top) < -ROUNDING or max(right, bottom) > 1 + ROUNDING:
        complaint = f"the box {x:g} {y:g} {w:g} {h:g} sticks out of the picture; clipped{corners}"
    return int(number), (left, top, right, bottom), complaint


def example(id, picture, label, names, problems):
    """The Example of one picture with its YOLO labels, or None, with a Problem, when it cannot be used.

    id: str; picture: its path; label: Path of the label file, or None: background; names: class names by id; problems:
    list of Problem, appended.
    """
    try:
        width, height = pictures.size(picture)
    except pictures.BrokenPicture as broken:
        problems.append(Problem(str(picture), 0, f"{broken.reason}; left out"))
        return None
    objects = Objects()
    try:
        lines = _lines(label) if label else ()
    except DataError as unreadable:
        problems.append(Problem(str(label), 0, f"the labels cannot be read ({unreadable}); the picture is left out"))
        return None
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        try:
            class_id, edges, complaint = _object(line.split(), names)
        except ValueError as wrong:
            problems.append(Problem(str(label), number, f"{wrong}; left out"))
            continue
        if complaint:
            problems.append(Problem(str(label), number, complaint))
        left, top, right, bottom = edges
        objects.add(edges, class_id, False, [left * width + 1, top * height + 1, right * width, bottom * height])
    return objects.example(id, picture, (width, height))


def _pictures(list_file, folders, problems):
    """The picture paths of a list file, as they are found: list of (id, Path). Missing ones become problems.

    id: the name without extension; where two pictures share it, the path without extension.
    """
    found = []
    for number, line in enumerate(_lines(list_file), 1):
        if not line:
            continue
        path = _find(line, folders) or _find(line.replace("\\", "/"), folders)
        if path is None:
            problems.append(Problem(str(list_file), number, f"{line!r}: there is no such picture (looked for in "
                                                            f"{', '.join(str(folder) for folder in folders)})"))
        else:
            found.append(path)
    paths = {}
    for path in found:
        paths.setdefault(path.stem, set()).add(path)
    return [(path.stem if len(paths[path.stem]) == 1 else path.with_suffix("").as_posix(), path) for path in found]


def splits(path):
    """The splits that the .data file `path` names, as load() takes them: list of str."""
    options = read_data(path)
    return [split for split in ("train", "val") if options.get(KEYS[split], ("", 0))[0]]


def load(path, split, limit=None):
    """Read one split of a .data file as a Dataset; pictures are not decoded.

    path: of the .data file; split: train, val, or another key of the file; limit: only the first N pictures, or None.
    Paths are looked for beside the list file, beside the .data file and in the current folder. A picture whose label
    file is missing or empty is background. Where a picture has no label file but an Annotations/ID.xml beside its
    folder, that is read. Raises DataError for what makes the whole set useless.
    """
    path = Path(path)
    options, problems = read_data(path), []
    key = KEYS.get(split, split)
    if not options.get(key, ("", 0))[0]:
        raise DataError(f"{path}: no {key}= for the split {split!r}{did_you_mean(key, options)} "
                        f"The file has {', '.join(options) or 'no key'}")
    names = _names(path, options)
    value, line = options[key]
    list_file = _find(value, (path.parent, Path()))
    if list_file is None:
        raise DataError(f"{path}:{line}: {key}={value}: no such file, neither in {path.parent} nor in "
                        f"{Path().absolute()}; it should list one picture path per line")
    folders = list(dict.fromkeys((list_file.parent, path.parent, Path())))
    listed = _pictures(list_file, folders, problems)[:limit]
    if not listed:
        raise DataError(str(problems[0]) if problems else f"{list_file}: the list names no picture")
    index, found, labelled = {name: number for number, name in enumerate(names)}, [], 0
    for id, picture in listed:
        label = next((file for file in labels_of(picture) if file.is_file()), None)
        xml = picture.parent.parent / "Annotations" / f"{picture.stem}.xml"
        if label is None and picture.parent.name in FOLDERS and xml.is_file():
            one = voc.example(id, picture, xml, voc.parse(xml), index, problems)
        else:
            one = example(id, picture, label, names, problems)
            xml = None
        labelled += bool(label or xml)
        if one:
            found.append(one)
    if not labelled:
        where = " or ".join(os.fspath(file) for file in labels_of(listed[0][1]))
        problems.append(Problem(str(list_file), 0, f"none of its {len(listed)} pictures has a label file, so all are "
                                                   f"background; looked for e.g. {where}"))
    return Dataset(path.stem, names, found, problems)
