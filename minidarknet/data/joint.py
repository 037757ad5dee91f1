"""Joint training: pictures with boxes teach where objects are, pictures with a class alone what they are called.

A picture of a classification set has one class and no box, and its truth is Darknet's mark of that (example.NO_BOX).
The two kinds take turns, so that every mini-batch holds both.
Paper: YOLO9000 (arXiv 1612.08242), section 4, "Joint classification and detection".
"""
from dataclasses import dataclass
from math import gcd

import numpy as np

from minidarknet.data.example import Dataset
from minidarknet.errors import DataError, UsageError
from minidarknet.grammar import did_you_mean
from minidarknet.names import plain

LARGEST_SHARE = 1000
SHOWN = 3  # names of which an error tells the nearest


@dataclass(frozen=True, eq=False)
class Joint(Dataset):
    """A detection set followed by a classification set, as one Dataset for the Loader.

    count: how many of the examples, the first, have boxes. ratio: (boxes, classes), how many pictures of each kind are
    shown in turn.
    """

    count: int = 0
    ratio: tuple = (1, 1)

    @property
    def pools(self):
        """As Dataset.pools: the pictures with boxes, and those with a class alone."""
        return (self.count, self.ratio[0]), (len(self.examples) - self.count, self.ratio[1])


def join(boxes, classes, names, ratio):
    """The Joint of two Datasets. The ids of the boxes' classes stay; those of the pictures without boxes are found by
    name.

    boxes: Dataset of a detector. classes: Dataset of a classifier. names: the names of the network's classes, with a tree
    of its nodes, in their order. ratio: (boxes, classes), ints above 0.
    Raises DataError for a class that the network does not have.
    """
    number = numbers_of(classes.names, names, f"the pictures of {classes.name}")
    unboxed = [example.without_boxes(number) for example in classes.examples]
    return Joint(boxes.name, boxes.names, [*boxes.examples, *unboxed], [*boxes.problems, *classes.problems],
                 boxes.categories, False, len(boxes.examples), ratio)


def numbers_of(wanted, names, who):
    """Which of the network's classes `names` each of the classes `wanted` is: (len(wanted),) int64.

    wanted, names: str each, compared as names.plain has them. who: whose classes the `wanted` are, for the DataError where
    one is not among the names.
    """
    number = {plain(name): i for i, name in enumerate(names)}
    strangers = [name for name in wanted if plain(name) not in number]
    if strangers:
        told = " ".join(f"{name!r}{did_you_mean(plain(name), list(number))}" for name in strangers[:SHOWN])
        more = f" And {len(strangers) - SHOWN} more." if len(strangers) > SHOWN else ""
        raise DataError(f"{who}: the network has no class {told}{more} It has {len(names)}: {', '.join(names[:12])}"
                        f"{', ...' if len(names) > 12 else ''}; rename the class, leave it out, or put it into the tree")
    return np.array([number[plain(name)] for name in wanted], np.int64)


def ratio(text):
    """The ratio in the str `text`, "1:4" -> (1, 4): pictures with boxes, pictures with a class alone. Raises UsageError."""
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= LARGEST_SHARE for part in parts):
        raise UsageError(f"--joint-ratio {text}: expected BOXES:CLASSES, two whole numbers from 1 to {LARGEST_SHARE}, such "
                         "as 1:4: four pictures with a class alone for each one with boxes")
    boxes, classes = map(int, parts)
    common = gcd(boxes, classes)
    return boxes // common, classes // common
