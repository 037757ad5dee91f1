"""COCO's annotations: instances_NAME.json and the pictures, which lie in a folder NAME.

Categories are numbered with gaps (80 of them from 1 to 90); class ids follow their order without gaps, and Dataset keeps
the numbers as `categories`. A crowd (iscrowd) is an area with many objects: difficult here. A box [x, y, w, h] begins
at 0 and is continuous: x .. x + w of the picture.
"""
import json
import math
from collections import Counter
from pathlib import Path

from minidarknet.data import pictures
from minidarknet.data.example import Dataset, Objects, Problem
from minidarknet.errors import DataError

PREFIX = "instances_"
BEYOND = 1e-3  # fraction of a side that a box may stick out without a word: files are rounded


def _lists(folder):
    """The files of a COCO folder (Path): dict NAME of instances_NAME.json -> Path."""
    return {path.stem[len(PREFIX):]: path for place in (folder / "annotations", folder)
            for path in sorted(place.glob(f"{PREFIX}*.json"), reverse=True)}


def is_one(path):
    """Whether `path` (Path) is a COCO file or a folder with such files: bool."""
    return path.suffix == ".json" if path.is_file() else bool(_lists(path))


def splits(path):
    """The splits there are, as load() takes them: list of str. path: of a folder or a file.

    "train" and "val" stand for what begins so, the last by name: train2017. A file alone is any split.
    """
    if path.is_file():
        return ["val"]
    names = sorted(_lists(path))
    return names + [short for short in ("train", "val") if short not in names and any(n.startswith(short) for n in names)]


def _file(path, split):
    """The JSON file of a split. Raises DataError."""
    if path.is_file():
        return path
    lists = _lists(path)
    name = split if split in lists else max((n for n in lists if n.startswith(split)), default=None)
    if name is None:
        raise DataError(f"{path}: there is no {PREFIX}{split}.json; there are {', '.join(sorted(lists))}")
    return lists[name]


def _read(file):
    """The parsed JSON, its three lists checked for being lists of objects. Raises DataError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: the JSON cannot be read ({error}); was the download cut short?") from error
    for key in ("images", "annotations", "categories"):
        rows = found.get(key) if isinstance(found, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{file}: no list {key!r}; COCO's instances files have images, annotations, categories")
    return found


def _categories(file, rows):
    """(names, numbers), in the order of the numbers. Raises DataError."""
    wrong = next((row for row in rows if type(row.get("id")) is not int or not isinstance(row.get("name"), str)), None)
    if wrong is not None:
        raise DataError(f"{file}: a category without a whole number as id and a name: {json.dumps(wrong)[:80]}")
    pairs = sorted((row["id"], row["name"].strip()) for row in rows)
    numbers, names = zip(*pairs) if pairs else ((), ())
    if not names or len(set(names)) < len(names) or len(set(numbers)) < len(numbers):
        raise DataError(f"{file}: {len(names)} categories; at least one is expected, all ids and names different")
    return names, numbers


def _folders(file):
    """Where the pictures of a JSON file may be, best first: list of Path."""
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    name = file.stem.removeprefix(PREFIX)
    return [root / name, root / "images" / name, root / "images", root, file.parent]


def _box(row, size):
    """An annotation's (corners as fractions, box_px, area, complaint or None). Raises ValueError with what is wrong."""
    (width, height), box = size, row.get("bbox")
    try:
        x, y, w, h = map(float, box)
    except (TypeError, ValueError):
        raise ValueError(f"bbox {box!r}: four numbers x y w h are expected") from None
    if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
        raise ValueError(f"bbox {box} has no extent")
    corners = [x / width, y / height, (x + w) / width, (y + h) / height]
    if corners[0] >= 1 or corners[1] >= 1 or corners[2] <= 0 or corners[3] <= 0:
        raise ValueError(f"bbox {box} lies outside the picture of {width} x {height}")
    out = min(corners[:2]) < -BEYOND or max(corners[2:]) > 1 + BEYOND
    area = row.get("area", w * h)
    if isinstance(area, bool) or not isinstance(area, (int, float)) or not math.isfinite(area):
        raise ValueError(f"area {area!r}: a number is expected")
    return (corners, [x + 1, y + 1, x + w, y + h], float(area),
            f"bbox {box} sticks out of the picture of {width} x {height}; clipped" if out else None)


def _example(file, id, image, rows, classes, folders, problems):
    """The Example `id` of one entry of `images` with its annotations `rows`, or None with a Problem."""
    name = str(image.get("file_name", ""))
    path = next((there for there in (folder / name for folder in folders) if there.is_file()), folders[0] / name)
    try:
        size = pictures.size(path)
    except pictures.BrokenPicture as broken:
        problems.append(Problem(str(path), 0, f"{broken.reason}; left out"))
        return None
    told = (image.get("width", size[0]), image.get("height", size[1]))
    if told != size:
        problems.append(Problem(str(file), 0, f"image {image['id']} ({name}): size {told[0]} x {told[1]}, but the picture "
                                              f"has {size[0]} x {size[1]}: the boxes are taken as its pixels"))
    objects = Objects()
    for row in rows:
        where = f"annotation {row.get('id')} of image {image['id']} ({name}): "
        try:
            corners, box_px, area, complaint = _box(row, size)
            class_id = classes[row["category_id"]]
        except (KeyError, TypeError):
            problems.append(Problem(str(file), 0, f"{where}there is no category {row.get('category_id')!r}; left out"))
            continue
        except ValueError as wrong:
            problems.append(Problem(str(file), 0, f"{where}{wrong}; left out"))
            continue
        if complaint:
            problems.append(Problem(str(file), 0, where + complaint))
        objects.add(corners, class_id, bool(row.get("iscrowd")), box_px, area)
    return objects.example(id, path, size, image["id"])


def load(path, split, limit=None):
    """Read one split of a COCO folder, or a JSON file, as a Dataset; pictures are not decoded.

    path: Path of a folder with annotations/instances_NAME.json, or of such a file; split: NAME or how it begins; limit:
    only the first N pictures, or None. Pictures are in the order of their numbers.
    Raises DataError for a file that is not of that form.
    """
    file, problems = _file(path, split), []
    found = _read(file)
    names, numbers = _categories(file, found["categories"])
    images = {image["id"]: image for image in found["images"] if type(image.get("id")) is int}
    if len(images) < len(found["images"]):
        problems.append(Problem(str(file), 0, f"{len(found['images']) - len(images)} images have no whole number as id, or "
                                              "one that another has, too; left out"))
    rows = {number: [] for number in images}
    lost = 0
    for row in found["annotations"]:
        number = row.get("image_id")
        if type(number) is int and number in rows:
            rows[number].append(row)
        else:
            lost += 1
    if lost:
        problems.append(Problem(str(file), 0, f"{lost} annotations belong to no image; left out"))
    classes, folders = {number: k for k, number in enumerate(numbers)}, _folders(file)
    stems = {number: Path(str(image.get("file_name", ""))).stem for number, image in images.items()}
    often = Counter(stems.values())
    examples = [_example(file, stems[number] if often[stems[number]] == 1 else f"{stems[number]}#{number}", images[number],
                         rows[number], classes, folders, problems) for number in sorted(images)[:limit]]
    return Dataset(file.stem, names, [one for one in examples if one], problems, numbers)
