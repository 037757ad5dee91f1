"""Darknet's own form: a .data file names list files of pictures; beside them stand labels `class x y w h`.

x y w h are the centre and the size of a box, fractions of the picture; the class is its number. With x = y = 0 the class is
on the picture, nobody knows where: Darknet's hidden way to train YOLO9000. It numbers such classes as the network does, not
through region.map (src/data.c, correct_boxes; src/region_layer.c), so that the data's names do not say which there are.
"""
import math
import os
from pathlib import Path

from minidarknet.data import pictures, voc
from minidarknet.data.data_file import DataFile, lines
from minidarknet.data.example import Dataset, Objects, Problem
from minidarknet.errors import DataError
from minidarknet.names import numbers_of

FOLDERS = ("images", "JPEGImages")  # "labels" takes their place in a picture's path
SUBSTITUTIONS = (("images", "labels"), ("JPEGImages", "labels"), ("raw", "labels"), (".jpg", ".txt"), (".png", ".txt"),
                 (".JPG", ".txt"), (".JPEG", ".txt"))  # Darknet's, in its order
ROUNDING = 1e-3                     # a box may stick out so far without a word
LARGEST_CLASS = 2 ** 24             # of classes without a box: truths are float32, which counts exactly up to here


def _darknets(path):
    """The label file as Darknet finds it from the text `path` of a picture's, or None where it finds none."""
    for old, new in SUBSTITUTIONS:
        path = path.replace(old, new, 1)
    return Path(path) if path.endswith(".txt") else None


def labels_of(picture):
    """Where the labels of a picture may stand, best first: list of different Paths.

    1. Where Darknet looks: the first "images", then "JPEGImages", then "raw" anywhere in the path, even inside a name,
    becomes "labels", the first .jpg, .png, .JPG, .JPEG becomes .txt. 2. In the last folder named images or JPEGImages,
    renamed to labels. 3. Beside the picture, as AlexeyAB's Darknet has it. picture: Path.

    Darknet: src/data.c, fill_truth_detection.
    """
    beside = picture.with_suffix(".txt")
    parts = list(beside.parts)
    place = next((place for place in range(len(parts) - 2, -1, -1) if parts[place] in FOLDERS), None)
    renamed = None if place is None else Path(*parts[:place], "labels", *parts[place + 1:])
    return [path for path in dict.fromkeys((_darknets(picture.as_posix()), renamed, beside)) if path]


def _object(fields, names):
    """One label line as (class id, corners, complaint or None), a class without a box with None in place of corners.

    Raises ValueError with what is wrong with it.
    """
    if len(fields) != 5:
        shape = "; this looks like a polygon, boxes are needed" if len(fields) > 6 and len(fields) % 2 else ""
        raise ValueError(f"{len(fields)} columns, but class x y w h are 5{shape}")
    try:
        number, *box = map(float, fields)
    except ValueError:
        raise ValueError("not five numbers: class x y w h are expected, the class as its number") from None
    count = len(names)
    if box[:2] == [0, 0] and number == number // 1 and 0 <= number < LARGEST_CLASS:
        return int(number), None, None
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
        rows = lines(label) if label else ()
    except DataError as unreadable:
        problems.append(Problem(str(label), 0, f"the labels cannot be read ({unreadable}); the picture is left out"))
        return None
    for number, line in enumerate(rows, 1):
        if not line or line.startswith("#"):
            continue
        try:
            class_id, edges, complaint = _object(line.split(), names)
        except ValueError as wrong:
            problems.append(Problem(str(label), number, f"{wrong}; left out"))
            continue
        if complaint:
            problems.append(Problem(str(label), number, complaint))
        if edges is None:
            objects.add_unboxed(class_id)
            continue
        left, top, right, bottom = edges
        objects.add(edges, class_id, False, [left * width + 1, top * height + 1, right * width, bottom * height])
    return objects.example(id, picture, (width, height))


def load(path, split, limit=None):
    """Read one split of a .data file as a Dataset; pictures are not decoded.

    path: of the .data file; split: train, val, or another key of the file; limit: only the first N pictures, or None.
    Paths are looked for as data_file.DataFile.pictures says. A picture whose label file is missing or empty is
    background. Where a picture has no label file but an Annotations/ID.xml beside its folder, that is read.
    Raises DataError for what makes the whole set useless.
    """
    data = DataFile(path)
    problems = data.problems
    names = data.names()
    listed = data.pictures(split, problems)[:limit]
    index, found, labelled = numbers_of(names), [], 0
    for id, picture, _ in listed:
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
        problems.append(Problem(str(data.path), 0, f"{split}: none of its {len(listed)} pictures has a label file, so all "
                                                   f"are background; looked for e.g. {where}"))
    return Dataset(data.path.stem, names, found, problems)
