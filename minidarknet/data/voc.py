"""Pascal VOC folders: Annotations/ID.xml, JPEGImages/ID.jpg, ImageSets/Main/SPLIT.txt.

A box in the XML counts pixels from 1 and includes the last one, so it spans (xmin - 1) .. xmax of the picture:
x = (xmin - 1 + xmax) / 2 / W, w = (xmax - xmin + 1) / W. Darknet's voc_label.py writes x = ((xmin + xmax) / 2 - 1) / W
and w = (xmax - xmin) / W instead: half a pixel to the left and one pixel smaller.
"""
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from minidarknet.data import pictures
from minidarknet.data.example import Dataset, Objects, Problem
from minidarknet.errors import DataError
from minidarknet.grammar import did_you_mean
from minidarknet.names import read_names
from minidarknet.paths import resolve

SIDES = ("xmin", "ymin", "xmax", "ymax")


class Annotation(NamedTuple):
    """One XML file as it stands. size: (w, h) as written or None; file_name: str; objects: list of dicts with name,
    difficult, xmin ... (text each) and line; error: Problem that ended the reading, or None."""

    size: tuple
    file_name: str
    objects: list
    error: Problem


def parse(path):
    """Read one XML file, only direct children: the boxes of an object's parts (head, hand, foot) are not objects.

    path: Path. Returns an Annotation; never raises for a damaged file: `error` then says where.
    """
    stack, texts, roots, objects, size, file_name = [], [], [], [], {}, []

    def start(tag, _):
        stack.append(tag)
        texts.clear()
        if len(stack) == 1:
            roots.append(tag)
        elif len(stack) == 2 and tag == "object":
            objects.append({"line": parser.CurrentLineNumber})

    def end(tag):
        text = "".join(texts).strip()
        texts.clear()
        above = stack[1:-1]
        if above in (["object"], ["object", "bndbox"]):
            objects[-1].setdefault(tag, text)
        elif above == ["size"]:
            size[tag] = text
        elif not above and tag == "filename":
            file_name.append(text)
        stack.pop()

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, texts.append
    error = None
    try:
        parser.Parse(Path(path).read_bytes(), True)
        if roots[0].lower() != "annotation":
            error = Problem(str(path), 1, f"<{roots[0]}> found where <annotation> is expected; the picture is left out")
    except expat.ExpatError as broken:
        why = expat.errors.messages[broken.code]
        error = Problem(str(path), broken.lineno, f"the XML cannot be read ({why}); mend or delete the file")
    except FileNotFoundError:
        error = Problem(str(path), 0, "there is no such annotation; the picture is left out")
    except (OSError, UnicodeError, LookupError, ValueError) as broken:
        error = Problem(str(path), 0, f"the XML cannot be read ({broken})")
    try:
        found = (int(float(size["width"])), int(float(size["height"]))) if size else None
    except (KeyError, ValueError, OverflowError):
        found = (0, 0)
    return Annotation(found, file_name[0] if file_name else "", objects, error)


def _class_names(annotations, problems):
    """Class names in the order of their ids: VOC's when all are among them, else sorted. annotations: path -> them."""
    first, count = {}, {}
    for path, annotation in annotations.items():
        for item in annotation.objects:
            name = item.get("name", "")
            if name:
                first.setdefault(name, (path, item["line"]))
                count[name] = count.get(name, 0) + 1
    darknets = read_names(resolve("voc.names"))
    foreign = sorted(set(count) - set(darknets))
    if count and not foreign:
        return darknets
    if len(foreign) < len(count) - len(foreign):  # a VOC set, but for a few names: surely worth a look
        for name in foreign:
            problems.append(Problem(str(first[name][0]), first[name][1], (
                f"class {name!r} ({count[name]} objects) is not one of VOC's 20, so the class ids follow the sorted "
                f"names now{did_you_mean(name.lower(), darknets)}")))
    return tuple(sorted(count))


def _scale(annotation, xml, path, problems):
    """Size of the picture and the factors from the XML's pixels to the picture's: ((w, h), fx, fy), or None: leave out.

    Two sizes that disagree are noted. Raises BrokenPicture when the file is no picture.
    """
    (width, height), orientation = pictures.header(path)
    size, told = (width, height), annotation.size
    if told is None or told == size:
        return size, 1.0, 1.0
    what = f"size {told[0]} x {told[1]}, but the picture has {width} x {height}"
    if min(told) > 0 and told == size[::-1] and orientation >= 5:
        problems.append(Problem(xml, 0, f"{what} after the rotation noted in its EXIF: the boxes were drawn on the "
                                        "unrotated picture; left out, rotate the file itself or label it again"))
        return None
    if min(told) > 0 and abs(told[0] * height - told[1] * width) <= max(*told, *size):
        problems.append(Problem(xml, 0, f"{what}: the boxes are scaled to it"))
        return size, width / told[0], height / told[1]
    problems.append(Problem(xml, 0, f"{what}: the boxes are taken as pixels of the picture; correct <size>"))
    return size, 1.0, 1.0


def _box(item, size, scale, xml, problems):
    """One object's box: (box_px, corners as fractions) or None, with a Problem, when there is none to be had."""
    line = item["line"]
    try:
        box = [float(item[side]) for side in SIDES]
    except KeyError as missing:
        problems.append(Problem(xml, line, f"object without <{missing.args[0]}> in <bndbox>; left out"))
        return None
    except ValueError as wrong:
        problems.append(Problem(xml, line, f"a box side is not a number ({wrong}); left out"))
        return None
    if scale != [1.0, 1.0]:  # the first pixel is 1: its left edge is scaled, not its number
        box = [(box[0] - 1) * scale[0] + 1, (box[1] - 1) * scale[1] + 1, box[2] * scale[0], box[3] * scale[1]]
    shown = " ".join(f"{edge:g}" for edge in box)
    if not (box[2] > box[0] and box[3] > box[1]):  # also for NaN
        swapped = box[2] < box[0] or box[3] < box[1]
        problems.append(Problem(xml, line, f"box {shown} {'has swapped corners' if swapped else 'has no extent'}; left "
                                           "out, xmin < xmax and ymin < ymax are expected"))
        return None
    width, height = size
    if box[0] > width or box[1] > height or box[2] < 1 or box[3] < 1 or max(box) == float("inf"):
        problems.append(Problem(xml, line, f"box {shown} lies outside the picture of {width} x {height}; left out"))
        return None
    # Files that count from 0 are common: reported once for all of them, not once for each box.
    slack = 1e-6  # pixels: rounding
    if min(box[:2]) < 0 or 0 < min(box[:2]) < 1 - slack or box[2] > width + slack or box[3] > height + slack:
        problems.append(Problem(xml, line, f"box {shown} sticks out of the picture of {width} x {height} (pixels count "
                                           "from 1); clipped"))
    return box, [(box[0] - 1) / width, (box[1] - 1) / height, box[2] / width, box[3] / height]


def example(id, path, xml, annotation, names, problems, zeros=None):
    """The Example of one picture, or None, with a Problem, when it cannot be used.

    id: str; path: of the picture; xml: of the annotation; annotation: what parse() gave; names: dict name -> class id;
    problems: list of Problem, appended; zeros: list, gets (xml, line) of every box that begins at pixel 0.
    """
    xml = str(xml)
    if annotation.error:
        problems.append(annotation.error)
        return None
    try:
        frame = _scale(annotation, xml, path, problems)
    except pictures.BrokenPicture as broken:
        problems.append(Problem(str(path), 0, f"{broken.reason}; left out"))
        return None
    if frame is None:
        return None
    size, *scale = frame
    objects = Objects()
    for item in annotation.objects:
        name = item.get("name", "")
        if name not in names:
            problems.append(Problem(xml, item["line"], f"unknown class {name!r}; left out, known are "
                                    f"{', '.join(names)}{did_you_mean(name, names)}"
                                    if name else "object without <name>; left out"))
            continue
        box = _box(item, size, scale, xml, problems)
        if box:
            objects.add(box[1], names[name], item.get("difficult", "0") == "1", box[0])
            if zeros is not None and min(box[0][:2]) == 0:
                zeros.append((xml, item["line"]))
    return objects.example(id, path, size)


def splits(folders):
    """Names of the lists in ImageSets/Main that all `folders` (list of Path) have, sorted: list of str."""
    return sorted(set.intersection(*({path.stem for path in (folder / "ImageSets" / "Main").glob("*.txt")}
                                     for folder in folders)))


def _ids(folder, split, problems):
    """The ids a split's list names, each once, with their lines: dict id -> line."""
    path = folder / "ImageSets" / "Main" / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(splits([folder])) or "no list at all: write one with an id per line"
        raise DataError(f"{path}: there is no split {split!r}; {path.parent} holds {there}")
    ids = {}
    for line, text in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        id = text.strip()
        if id and not (folder / "Annotations" / f"{id}.xml").exists():
            id = id.split()[0]  # lists of one class have a second column, -1, 0 or 1
        if id in ids:
            problems.append(Problem(str(path), line, f"{id!r} stands already in line {ids[id]}; taken once"))
        elif id:
            ids[id] = line
    if not ids:
        raise DataError(f"{path}: the list is empty")
    return ids


def load(folders, split, limit=None):
    """Read one split of one or several VOC folders as one Dataset; pictures are not decoded.

    folders: list of Path, each holding Annotations/; split: str; limit: only the first N ids, or None for all.
    Class names come from all annotations of all folders, whatever the split, so that ids do not depend on it.
    Raises DataError when a folder or the split is missing, or no object has a name.
    """
    problems, wanted, annotations = [], [], {}
    for folder in folders:
        if not (folder / "Annotations").is_dir():
            inside = sorted(str(child.parent) for child in folder.glob("*/Annotations")) if folder.is_dir() else []
            raise DataError(f"{folder}: no folder Annotations/ in it, so not a VOC year folder"
                            + (f"; {inside[0]} is one" if inside else ""))
        wanted += [(folder, id) for id in _ids(folder, split, problems)]
        annotations |= {path: parse(path) for path in sorted((folder / "Annotations").glob("*.xml"))}
    names = _class_names(annotations, problems)
    if not names:
        raise DataError(f"{folders[0] / 'Annotations'}: no object with a name in any of {len(annotations)} files")
    index, zeros, found, taken = {name: n for n, name in enumerate(names)}, [], [], set()
    files = {folder: {path.stem: path for path in sorted((folder / "JPEGImages").glob("*")) if
                      pictures.is_picture(path)} for folder in folders}
    for folder, id in wanted[:limit]:
        xml = folder / "Annotations" / f"{id}.xml"
        annotation = annotations.get(xml) or parse(xml)
        path = files[folder].get(id, folder / "JPEGImages" / (annotation.file_name or f"{id}.jpg"))
        unique = id if id not in taken else f"{folder.name}/{id}"
        taken.add(unique)
        found.append(example(unique, path, xml, annotation, index, problems, zeros))
    if zeros:
        problems.append(Problem(*zeros[0], f"{len(zeros)} boxes begin at pixel 0, this is the first: VOC counts from "
                                           "1; clipped, but if the file counts from 0 all its boxes are a pixel off"))
    return Dataset("+".join(folder.name for folder in folders), names, [one for one in found if one], problems)
