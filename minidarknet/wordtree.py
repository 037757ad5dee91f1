"""WordTree: labels as a tree, in which every node is a more exact word for its parent.

        animal            vehicle       a network says P(cat | animal), P(dog | animal): one softmax for the
       /      \\          /      \\      children of each node, the siblings; and by the chain rule
     cat      dog      car       bus    P(cat) = P(cat | animal) * P(animal)

Paper: YOLO9000 (arXiv 1612.08242), section 4, "Hierarchical classification". Darknet: src/tree.c.

The file format is Darknet's .tree: a line `name parent` for each node, parent being the number of a line, counted from
0, or -1 for a root; parents stand before their children, and the children of a node stand together.
"""
import re
from functools import cached_property

import numpy as np

from minidarknet.errors import DataError
from minidarknet.textfiles import numbered_lines, read_text, write_lines

ROOT = -1     # "parent" of the roots
MASK = -1234  # in a classifier's truth: a class whose siblings are not asked for, as in Darknet (SECRET_NUM)
NODE = re.compile(r"(?P<name>\S.*?)\s+(?P<parent>-?[0-9]{1,9})")
UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]|^$")  # in a node's name: what the file format cannot hold


class WordTree:
    """A tree of labels; immutable.

    names: tuple of str, one for each node. parent: (n,) int64, the number of the node's parent, -1 for a root.
    first, last: (n,) int64, the node's siblings and itself are nodes first ... last - 1. borders: (groups + 1,) int64,
    where each group of siblings begins, and n. depth: (n,) int64, 1 for the roots. children: (n, 2) int64, first and
    last of the node's children, equal for a leaf. path: where it was read, for messages.
    """

    def __init__(self, names, parent, path="<tree>", lines=None):
        """names, parent: as above. lines: the number of each node's line in the file `path`, default 1, 2, 3 ...

        Raises DataError, naming the line, for what is no tree in Darknet's order.
        """
        self.names, self.path = tuple(names), str(path)
        self.parent = np.array(parent, np.int64).reshape(-1)
        self._check(range(1, len(self.names) + 1) if lines is None else lines)
        new = np.flatnonzero(np.diff(self.parent, prepend=ROOT - 1))
        self.borders = np.append(new, len(self))
        size = np.diff(self.borders)
        self.first, self.last = new.repeat(size), self.borders[1:].repeat(size)
        self.children, self.depth = np.zeros((len(self), 2), np.int64), np.ones(len(self), np.int64)
        for first, last in zip(self.borders[1:-1], self.borders[2:]):
            above = self.parent[first]
            self.children[above] = first, last
            self.depth[first:last] = self.depth[above] + 1

    @classmethod
    def flat(cls, count):
        """The tree of an ordinary softmax: `count` classes without parents, one group."""
        return cls(map(str, range(count)), np.full(count, ROOT))

    def __len__(self):
        return len(self.names)

    @property
    def groups(self):
        """How many softmaxes there are: one for the roots and one for the children of each inner node."""
        return len(self.borders) - 1

    @cached_property
    def is_leaf(self):
        """(n,) bool: whether a node has no children."""
        return self.children[:, 0] == self.children[:, 1]

    @cached_property
    def number(self):
        """Name -> number of the node (dict)."""
        return {name: i for i, name in enumerate(self.names)}

    def path_to_root(self, node):
        """The node's number, its parent's, ... up to a root's (list of int)."""
        path = []
        while node != ROOT:
            path.append(int(node))
            node = self.parent[node]
        return path

    def absolute(self, conditional):
        """P(node | parent) to P(node) = P(node | parent) * P(parent | its parent) * ... * P(root).

        conditional: (..., n). Returns a new array (..., n); P(anything), above the roots, is 1.
        Paper: "if we want to know the absolute probability for a particular node". Darknet: hierarchy_predictions.
        """
        probability = np.array(conditional)
        for first, last in zip(self.borders[1:-1], self.borders[2:]):  # parents come first: theirs is absolute by now
            probability[..., first:last] *= probability[..., self.parent[first], None]
        return probability

    def predict(self, absolute, threshold, double_count=False):
        """Walk down the tree, at every split along the most probable branch, while that is above the threshold.

        absolute: (..., n) from `absolute`. threshold: 0..1. Returns (...) int64, the node where each walk ends; where
        not even a root is probable enough, the best root.
        double_count: do as Darknet does, which goes on while the PRODUCT of the absolute probabilities on the way is
        above the threshold. Each of them holds those above it once more, so that its walks end earlier.
        Paper: "traverse the tree down, taking the highest confidence path at every split until we reach some
        threshold". Darknet: hierarchy_top_prediction.
        """
        absolute = np.asarray(absolute)
        rows = absolute.reshape(-1, len(self))
        place, carried = np.full(len(rows), ROOT), np.ones(len(rows))
        walking = np.arange(len(rows))
        while len(walking):
            going = []
            for above in np.unique(place[walking]):
                here = walking[place[walking] == above]
                first, last = self._below(above)
                if first == last:  # a leaf
                    continue
                best = first + rows[here, first:last].argmax(axis=1)
                product = rows[here, best] * (carried[here] if double_count else 1)
                further = product > threshold
                place[here[further]] = best[further]
                carried[here] = product
                if above == ROOT:
                    place[here[~further]] = best[~further]
                going.append(here[further])
            walking = np.concatenate(going) if going else walking[:0]
        return place.reshape(absolute.shape[:-1])

    def decide(self, absolute, threshold):
        """Probability 1 for the node where `predict` ends, 0 for all others.

        absolute (..., n), threshold: as there. Returns (..., n). So Darknet tells what it saw: the confidence of a
        detection is its objectness alone. Darknet: get_region_detections.
        """
        decided = np.zeros_like(absolute)
        np.put_along_axis(decided, self.predict(absolute, threshold)[..., None], 1, axis=-1)
        return decided

    def labelled(self, truth):
        """A classifier's truth with all that a label says: its ancestors, and which groups it says nothing of.

        "Norfolk terrier" is also a "dog" and a "mammal", but nothing is known of its breed of cat.
        truth: (b, n), above 0 for the labels of each picture. Returns (b, n), a new array: the label's value along the
        path to the root, 0 for their siblings, MASK in groups without a label.
        Paper: "we propagate ground truth labels up the tree". Darknet: fill_hierarchy.
        """
        truth = np.maximum(truth, 0)
        for first, last in zip(self.borders[-2:0:-1], self.borders[:0:-1]):  # children come last: from below
            above = self.parent[first]
            truth[:, above] = np.maximum(truth[:, above], truth[:, first:last].max(axis=1))
        told = np.maximum.reduceat(truth, self.borders[:-1], axis=1)[:, self._group] > 0
        return np.where(told, truth, truth.dtype.type(MASK))

    def write(self, path):
        """Write the file `path` (.tree) in one piece; spaces in names become _, because Darknet's names have none."""
        write_lines(path, (f"{joined(name)} {above}" for name, above in zip(self.names, self.parent)))

    @cached_property
    def _group(self):
        """(n,) int64: the number of each node's group."""
        return np.arange(self.groups).repeat(np.diff(self.borders))

    def _below(self, node):
        """(first, last) of the children of a node, of ROOT the roots."""
        return (0, self.borders[1]) if node == ROOT else self.children[node]

    def _check(self, lines):
        """Raise DataError unless this is a tree in Darknet's order. lines: number of each node's line."""
        if not self.names:
            raise DataError(f"{self.path}: has no nodes; expected lines `name parent`, the roots' parent being -1")
        finished, before = set(), ROOT
        for i, (name, above, line) in enumerate(zip(self.names, self.parent.tolist(), lines)):
            where = f"{self.path}:{line} {name!r}"
            if not ROOT <= above < len(self.names):
                raise DataError(f"{where} has the parent {above}; expected -1 for a root, or the number of an earlier node, "
                                f"counted from 0: there are {len(self.names)}")
            if above >= i:
                raise DataError(f"{where} has the parent {above}, {self._misplaced(i, lines)}")
            if above != before:
                finished.add(before)
                if above in finished:
                    brothers = "the other roots" if above == ROOT else f"the other children of {self.names[above]!r}"
                    raise DataError(f"{where} stands apart from {brothers}; expected the children of a node on lines one "
                                    "behind the other, which share a softmax")
            before = above
        check_names(self.names, self.path, lines)

    def _misplaced(self, node, lines):
        """What is wrong with a node (int) whose parent does not come before it."""
        way, above = [node], int(self.parent[node])
        while above not in way and ROOT < above < len(self.names):
            way.append(above)
            above = int(self.parent[above])
        if above in way:
            ring = [self.names[i] for i in (*way[way.index(above):], above)]
            shown = " -> ".join(ring if len(ring) < 8 else [*ring[:3], "...", *ring[-3:]])
            return f"and its ancestors go in a circle: {shown}"
        return (f"which is {self.names[self.parent[node]]!r} at line {lines[self.parent[node]]}; expected parents before "
                "their children")


def joined(name):
    """A node's name (str) as .tree files have it: with _ for spaces."""
    return "_".join(name.split())


def check_names(names, path, lines=None):
    """Raise DataError unless each of the names (str) can be written and no two of them are the same node's when written.

    lines: the number of each name's line in the file `path`, None where there are no lines.
    """
    first = {}
    for i, name in enumerate(names):
        where = f"{path}: the name {name!r}" if lines is None else f"{path}:{lines[i]} {name!r}"
        if UNWRITABLE.search(joined(name)):
            raise DataError(f"{where} is no name: expected at least one character, all of them printable")
        there = first.setdefault(joined(name), i)
        if there != i:
            other = "" if names[there] == name else f" as {names[there]!r}, which is the same in a .tree"
            when = "is used twice" if lines is None else f"was defined at line {lines[there]} already"
            raise DataError(f"{where} {when}{other}; expected every node once")


def read_tree(path):
    """The WordTree in the file `path` (.tree). Raises DataError with file and line.

    A last line without an end may be cut off within its number; it is one child among others then, or refused.
    """
    lines, names, parents = numbered_lines(path, "lines `name parent`"), [], []
    for number, line in lines:
        match = NODE.fullmatch(line)
        if not match:
            raise DataError(f"{path}:{number} {line[:60]!r}: expected `name parent`, such as `dog 3` or, for a root, "
                            "`animal -1`")
        names.append(match["name"])
        parents.append(int(match["parent"]))
    tree = WordTree(names, parents, path, [number for number, _ in lines])
    if tree.first[-1] == len(tree) - 1 > 0 and not read_text(path, "text").endswith("\n"):
        raise DataError(f"{path}:{lines[-1][0]} {names[-1]!r} has the parent {parents[-1]}, which no line before has, and "
                        "the line has no end: the file seems to be cut off here. Where it is whole, end the line")
    return tree


def read_map(path, count):
    """The .map file `path`: for each class of a data set a node's number, 0 to `count` - 1 -> (classes,) int64.

    Raises DataError with file and line.
    """
    nodes = []
    for number, line in numbered_lines(path, "a node's number on each line"):
        if number > len(nodes) + 1:
            raise DataError(f"{path}:{len(nodes) + 1} is empty; expected the number of a node, 0 to {count - 1}, on the "
                            "line of each class")
        if not re.fullmatch(r"[0-9]{1,9}", line) or int(line) >= count:
            raise DataError(f"{path}:{number} {line[:60]!r}: expected the number of a node, 0 to {count - 1}")
        nodes.append(int(line))
    if not nodes:
        raise DataError(f"{path}: has no lines; expected a node's number for each class")
    return np.array(nodes)


def write_map(path, nodes):
    """Write numbers of nodes as the .map file `path`, in one piece."""
    write_lines(path, map(int, nodes))


def grow(nested, path="<tree>"):
    """A WordTree from nested dicts and lists: {"animal": {"dog": ["husky"], "cat": {}}, "person": None}.

    Keys are nodes, values what is below; groups follow one another from the top down. path: for messages.
    Raises DataError for other things, and for names that are empty or used twice.
    """
    names, parents, level = [], [], [(ROOT, nested)]
    while level:
        deeper = []
        for above, inside in level:
            for name, below in _items(inside, path):
                deeper.append((len(names), below))
                names.append(name)
                parents.append(above)
        level = deeper
    if not names:
        raise DataError(f"{path}: has no nodes; expected at least one name")
    check_names(names, path)
    return WordTree(names, parents, path)


def _items(inside, path):
    """[(name, what is below)] of one level of `grow`'s nested dicts and lists."""
    if inside in (None, {}, []):
        return []
    if isinstance(inside, str):
        return [(" ".join(inside.split()), None)]
    if isinstance(inside, list):
        return [pair for item in inside for pair in (_items(item, path))]
    if not isinstance(inside, dict):
        raise DataError(f"{path}: found {inside!r}; expected names, lists of names, and {{name: what is below}}")
    return [(" ".join(str(name).split()), below) for name, below in inside.items()]
