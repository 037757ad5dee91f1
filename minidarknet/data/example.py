"""What the data room hands around: an annotated picture, a set of them, and what was wrong with the files."""
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidarknet.data import pictures

NO_BOX = 999999.0  # x, y, w and h of an object of which only the class is known: Darknet's mark


class Problem(NamedTuple):
    """Something wrong in a file. file: str; line: int, 0 where there is none; message: what, and what to do."""

    file: str
    line: int
    message: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass(frozen=True, eq=False)
class Example:
    """A picture and what is on it.

    id: str, the name without folder and extension. path: Path of the picture. boxes: (n, 4) float32, centre form
    x y w h, fractions of the picture. classes: (n,) int64. difficult: (n,) bool, not trained on and not counted in
    scores (VOC's difficult, COCO's crowd). box_px: (n, 4) float64, xmin ymin xmax ymax in VOC's pixels (counted from 1,
    the last one included), as the file has them. size: (w, h) in pixels. area: (n,) float64, square pixels of the
    objects themselves where that is known (COCO), else None. number: COCO's number of the picture, else None.

    unboxed: (n,) int64, classes that are on the picture while nobody knows where, as the network numbers them (with a tree
    the nodes, whatever the map says).

    A picture of a classifier holds one object: its class, as large as the picture.
    """

    id: str
    path: Path
    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray
    box_px: np.ndarray
    size: tuple
    area: np.ndarray | None = None
    number: int | None = None
    unboxed: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def without_boxes(self, number):
        """The same picture with its objects unboxed. number: (classes,) int64, what the network calls each class."""
        known = self.only(np.zeros(len(self.classes), bool), self.classes)
        return replace(known, unboxed=np.concatenate([self.unboxed, number[self.classes]]))

    def only(self, keep, classes):
        """The same picture with other objects: `keep`, (n,) bool or their numbers, and new class ids `classes` int64."""
        return replace(self, boxes=self.boxes[keep], classes=classes[keep], difficult=self.difficult[keep],
                       box_px=self.box_px[keep], area=None if self.area is None else self.area[keep])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Annotated pictures. name: str; names: the class names in the order of their ids; examples: list of Example;
    problems: list of Problem, everything that was left out, clipped or doubtful when the files were read. categories:
    COCO's number of every class, where the data has such, else None. classifies: each picture has one class, no boxes.
    """

    name: str
    names: tuple
    examples: list
    problems: list = field(default_factory=list)
    categories: tuple | None = None
    classifies: bool = False

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return self.examples[index]

    @property
    def counts(self):
        """Objects per class: (classes,) int64."""
        ids = np.concatenate([e.classes for e in self.examples]) if self.examples else np.empty(0, np.int64)
        return np.bincount(ids, minlength=len(self.names))

    @property
    def backgrounds(self):
        """Pictures without any object: int."""
        return sum(not len(e.classes) and not len(e.unboxed) for e in self.examples)

    @property
    def unboxed(self):
        """Pictures that have a class without a box: int."""
        return sum(bool(len(e.unboxed)) for e in self.examples)

    @property
    def pools(self):
        """((how many examples, in which share), ...): the examples, from the first on, in pools that take turns."""
        return ((len(self.examples), 1),)


class Objects:
    """Collects the objects of one picture, box by box, and makes the Example of them."""

    def __init__(self):
        self._corners, self._classes, self._difficult, self._box_px, self._area = [], [], [], [], []
        self._unboxed = []

    def add(self, corners, class_id, difficult, box_px, area=None):
        """One object. corners: left top right bottom, fractions of the picture; clipped to it. box_px, area: see Example.

        area: of all objects of a picture or of none.
        """
        self._corners.append([min(max(edge, 0.0), 1.0) for edge in corners])
        self._classes.append(class_id)
        self._difficult.append(difficult)
        self._box_px.append(box_px)
        self._area.append(area)

    def add_unboxed(self, class_id):
        """A class that is somewhere on the picture; see Example.unboxed."""
        self._unboxed.append(class_id)

    def example(self, id, path, size, number=None):
        """The Example with the objects so far. id: str; path: Path; size: (w, h); number: see Example."""
        corners = np.array(self._corners, np.float64).reshape(-1, 4)
        boxes = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        return Example(id, Path(path), boxes.astype(np.float32), np.array(self._classes, np.int64),
                       np.array(self._difficult, bool), np.array(self._box_px, np.float64).reshape(-1, 4), size,
                       None if None in self._area else np.array(self._area, np.float64), number,
                       np.array(self._unboxed, np.int64))


def one_class(id, path, class_id, problems):
    """The Example of a picture that has one class as a whole, or None, with a Problem, when it is no picture.

    id: str; path: Path; class_id: int; problems: list of Problem, appended.
    """
    try:
        width, height = pictures.size(path)
    except pictures.BrokenPicture as broken:
        problems.append(Problem(str(path), 0, f"{broken.reason}; left out"))
        return None
    objects = Objects()
    objects.add((0, 0, 1, 1), class_id, False, (1, 1, width, height))
    return objects.example(id, path, (width, height))
