"""What the data room hands around: an annotated picture, a set of them, and what was wrong with the files."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np


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
    scores. box_px: (n, 4) float64, xmin ymin xmax ymax in VOC's pixels (counted from 1, the last one included), as
    the file has them. size: (w, h) in pixels.
    """

    id: str
    path: Path
    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray
    box_px: np.ndarray
    size: tuple

    def only(self, keep, classes):
        """The same picture with the objects where `keep` (n,) bool is set and new class ids `classes` (n,) int64."""
        return Example(self.id, self.path, self.boxes[keep], classes[keep], self.difficult[keep], self.box_px[keep],
                       self.size)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Annotated pictures. name: str; names: the class names in the order of their ids; examples: list of Example;
    problems: list of Problem, everything that was left out, clipped or doubtful when the files were read."""

    name: str
    names: tuple
    examples: list
    problems: list = field(default_factory=list)

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
        return sum(not len(e.classes) for e in self.examples)


class Objects:
    """Collects the objects of one picture, box by box, and makes the Example of them."""

    def __init__(self):
        self._corners, self._classes, self._difficult, self._box_px = [], [], [], []

    def add(self, corners, class_id, difficult, box_px):
        """One object. corners: left top right bottom, fractions of the picture; clipped to it. box_px: see Example."""
        self._corners.append([min(max(edge, 0.0), 1.0) for edge in corners])
        self._classes.append(class_id)
        self._difficult.append(difficult)
        self._box_px.append(box_px)

    def example(self, id, path, size):
        """The Example with the objects so far. id: str; path: Path; size: (w, h)."""
        corners = np.array(self._corners, np.float64).reshape(-1, 4)
        boxes = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        return Example(id, Path(path), boxes.astype(np.float32), np.array(self._classes, np.int64),
                       np.array(self._difficult, bool), np.array(self._box_px, np.float64).reshape(-1, 4), size)
