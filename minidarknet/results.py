"""Detections as files that other programs read: VOC's comp4, COCO's JSON, and YOLO's label files.

Darknet: `detector valid` in examples/detector.c writes the first two.
"""
import json
import re
from pathlib import Path

import numpy as np

from minidarknet.errors import DataError
from minidarknet.files import replacing
from minidarknet.metrics import Boxes, gather
from minidarknet.names import distinct

COMP4 = "comp4_det_test_"
# The numbers of COCO's 80 categories: 1..90 without those that never were used.
COCO = tuple(number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))


def clipped(xyxy, size):
    """Corners (n, 4) cut off at the edges of a picture of `size` = (w, h), as Darknet does for COCO: (n, 4) float64.

    xyxy: xmin ymin xmax ymax, pixels, 0-based and continuous.
    """
    return np.clip(np.asarray(xyxy, np.float64).reshape(-1, 4), 0, np.tile(size, 2))


def categories_of(dataset):
    """COCO's number of every class of a Dataset: its own, COCO's where there are 80 classes, else 1, 2, ... (tuple).

    None stands for a class that the data set's own numbers leave out.
    """
    return dataset.categories or (COCO if len(dataset.names) == len(COCO) else tuple(range(1, len(dataset.names) + 1)))


def picture_numbers(examples):
    """COCO's number of every Example: its own, else that after the last _ in its file's name, as Darknet has it.

    examples: list of Example. Returns dict Example.id -> int. Raises DataError where there is none, or one that another
    has as well.
    """
    numbers, owners = {}, {}
    for example in examples:
        digits = re.match(r"\d+", example.path.stem.rpartition("_")[2])
        if example.number is None and not digits:
            raise DataError(f"{example.path}: COCO's results name pictures by numbers; expected a data set in COCO's form, "
                            "or names that end in _NUMBER, such as COCO_val2014_000000000042.jpg")
        number = int(digits[0]) if example.number is None else example.number
        if number in owners:
            raise DataError(f"{example.path} and {owners[number].path} would both be number {number} in COCO's results: "
                            "rename one, the number behind its last _ counts")
        numbers[example.id], owners[number] = number, example
    return numbers


def write_coco(path, detections_by_id, examples, categories):
    """Write COCO's results file: a list of {"image_id", "category_id", "bbox": [x, y, w, h], "score"}, boxes `clipped`.

    detections_by_id: dict Example.id -> Detections. examples: list of Example. categories: COCO's number of every class
    id, as `categories_of`. Raises DataError as `picture_numbers`.
    """
    rows, numbers = [], picture_numbers(examples)
    for example in examples:
        found = detections_by_id.get(example.id)
        if found is None:
            continue
        number = numbers[example.id]
        for (x, y, right, bottom), score, k in zip(clipped(found.xyxy, example.size).tolist(), found.confidence.tolist(),
                                                   found.class_id.tolist()):
            if categories[k] is not None:
                rows.append({"image_id": number, "category_id": categories[k], "bbox": [x, y, right - x, bottom - y],
                             "score": score})
    with replacing(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("[" + ",\n".join(map(json.dumps, rows)) + "]\n")


def write_yolo(folder, detections_by_id, examples):
    """Write a file ID.txt for every picture into `folder` (made if need be), lines `class x y w h confidence`.

    x y w h: centre and size, fractions of the picture. detections_by_id: dict Example.id -> Detections. examples: list
    of Example.
    """
    for example in examples:
        found = detections_by_id.get(example.id)
        rows = [] if found is None else [f"{row} {one.confidence[0]:.6f}\n" for one in found
                                         for row in one.to_yolo(example.size)]
        with replacing(Path(folder) / f"{example.id.replace('/', '_')}.txt", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(rows)


def _comp4_files(folder, names, prefix=COMP4):
    """Paths of the classes' result files, each its own; a slash in a name must not lead into another folder."""
    return [Path(folder) / f"{prefix}{name}.txt" for name in distinct([name.replace("/", "_") for name in names])]


def write_comp4(folder, detections_by_id, examples, names, prefix=COMP4):
    """Write Darknet's and VOC's result files, comp4_det_test_NAME.txt, into `folder` (made if need be).

    A line is `id confidence xmin ymin xmax ymax`, boxes as metrics.box_px. A class without detections has an empty file.
    detections_by_id, examples, names: as metrics.evaluate_detections. prefix: how the files' names begin (Darknet's -out).
    Returns the paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = _comp4_files(folder, names, prefix)
    for path, found in zip(paths, gather(detections_by_id, examples, names), strict=True):
        lines = [f"{examples[i].id} {score:f} {box[0]:f} {box[1]:f} {box[2]:f} {box[3]:f}\n"
                 for i, box, score in zip(*found)]
        path.write_text("".join(lines), encoding="utf-8")
    return paths


def read_comp4(folder, examples, names):
    """Read comp4_det_test_NAME.txt of every class of `names` from `folder`: one Boxes per class, for metrics.evaluate_boxes.

    examples: list of Example, whose ids the lines name. A missing file is a class without detections.
    Raises DataError, naming file and line, for a line that is not `id confidence xmin ymin xmax ymax` or a picture
    that is not among the examples; and where no file exists at all.
    """
    number = {example.id: i for i, example in enumerate(examples)}
    files = _comp4_files(folder, names)
    if not any(file.exists() for file in files):
        raise DataError(f"{folder}: expected files such as {files[0].name if files else 'comp4_det_test_NAME.txt'}")
    found = []
    for file in files:
        rows = []
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        for count, line in enumerate(lines, 1):
            try:
                name, *values = line.rsplit(maxsplit=5)  # a name may hold spaces
                confidence, xmin, ymin, xmax, ymax = map(float, values)
            except ValueError:
                raise DataError(f"{file}:{count}: expected 'id confidence xmin ymin xmax ymax', "
                                f"found {line!r}") from None
            if name not in number:
                raise DataError(f"{file}:{count}: there is no annotation of picture {name!r}")
            rows.append((number[name], confidence, xmin, ymin, xmax, ymax))
        table = np.array(rows, np.float64).reshape(-1, 6)
        found.append(Boxes(table[:, 0].astype(np.int64), table[:, 2:], table[:, 1]))
    return found
