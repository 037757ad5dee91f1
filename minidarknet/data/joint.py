"""Joint training: pictures with boxes teach where objects are, pictures with a class alone what they are called.

A picture of a classification set has one class and no box, and its truth is Darknet's mark of that (example.NO_BOX).
The two kinds take turns: with the ratio a : b any a + b pictures one after the other are a of the one kind and b of the
other. So a mini-batch of at least as many holds both; a smaller one may hold one kind alone, and the update of several
mini-batches makes up for it.
Paper: YOLO9000 (arXiv 1612.08242), section 4, "Joint classification and detection".
"""
from dataclasses import dataclass
from math import gcd

from minidarknet.data.example import Dataset
from minidarknet.errors import UsageError

LARGEST_SHARE = 1000


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


def join(boxes, classes, number, ratio):
    """The Joint of two Datasets. The ids of the boxes' classes stay, as do their names.

    boxes: Dataset of a detector. classes: Dataset of a classifier. number: (classes,) int64, which of the network's classes,
    with a tree its nodes, each of the latter's is (names.nodes_named). ratio: (boxes, classes), ints above 0.
    """
    unboxed = [example.without_boxes(number) for example in classes.examples]
    return Joint(boxes.name, boxes.names, [*boxes.examples, *unboxed], [*boxes.problems, *classes.problems],
                 boxes.categories, False, len(boxes.examples), ratio)


def ratio(text):
    """The ratio in the str `text`, "1:4" -> (1, 4): pictures with boxes, pictures with a class alone. Raises UsageError."""
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= LARGEST_SHARE for part in parts):
        raise UsageError(f"--joint-ratio {text}: expected BOXES:CLASSES, two whole numbers from 1 to {LARGEST_SHARE}, such "
                         "as 1:4: four pictures with a class alone for each one with boxes")
    boxes, classes = map(int, parts)
    common = gcd(boxes, classes)
    return boxes // common, classes // common
