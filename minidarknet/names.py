"""Class names: text files with one name a line, usually beside the cfg or the weights."""
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from minidarknet.errors import DataError
from minidarknet.grammar import nearest
from minidarknet.textfiles import read_text

TOLD = 5  # classes that a message names


def read_names(path):
    """The class names in the text file `path` -> tuple of str; empty lines at the end do not count. Raises DataError."""
    lines = read_text(path, "a name on each line").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(line.strip() for line in lines)


def distinct(names):
    """The names (tuple of str) as files and tables can tell them apart: those that repeat with their number behind."""
    several, told = Counter(names), []
    taken = {name for name, count in several.items() if count == 1}
    for number, name in enumerate(names):
        if several[name] > 1:
            name = f"{name}_{number}"
            while name in taken:
                name += "_"
            taken.add(name)
        told.append(name)
    return tuple(told)


def numbers_of(names):
    """Name -> number (dict), without names of several classes: by such a name none of them can be meant."""
    several = Counter(names)
    return {name: number for number, name in enumerate(names) if several[name] == 1}


def names_beside(classes, *files, fitting=True):
    """The names that belong to `files` (paths or None): STEM.names, else the folder's only list of `classes` names.

    For RUN/weights/X.weights of a training: RUN/model.names. fitting: whether a list may be called otherwise than a file;
    not for the nodes of a tree, which has names of its own.
    Returns a tuple of str, () where there is none or the choice is not clear.
    """
    for file in files:
        if file is None:
            continue
        beside = Path(file).parent
        for own in (Path(file).with_suffix(".names"), beside.parent / "model.names"):
            if own.is_file() and (own.parent == beside or beside.name == "weights"):
                return read_names(own)
        lists = [names for path in (sorted(beside.glob("*.names")) if fitting else ())
                 if len(names := read_names(path)) == classes]
        if len(lists) == 1:
            return lists[0]
    return ()


def names_of(tree):
    """The names of a WordTree's nodes: those in STEM.names beside its file, else those in it; () for None.

    Where each name in STEM.names is that of a node already, in whatever order, they are the classes of a data set, and say
    nothing new. Raises DataError for other lists that are not one name for each node: one of the files may be cut.
    """
    if tree is None:
        return ()
    beside = Path(tree.path).with_suffix(".names")
    names = read_names(beside) if beside.is_file() else tree.names
    number = {plain(name): node for node, name in enumerate(tree.names)}
    nodes = [number.get(plain(name)) for name in names]
    if None not in nodes and nodes != list(range(len(tree))):
        return tree.names
    if len(names) != len(tree):
        raise DataError(f"{tree.path} has {len(tree)} nodes, but {beside} has {len(names)} names; expected a name for each "
                        "node, or names of nodes only. Is one of the files cut, or of another tree?")
    for node, (name, other) in enumerate(zip(names, nodes)):
        if other not in (None, node):
            raise DataError(f"{beside}:{node + 1} gives the name {name!r} to the node {tree.names[node]!r} of {tree.path}, "
                            "which has another node of that name; expected the names in the order of the nodes")
    return names


def nodes_called(tree, shown, classes):
    """The nodes that have the name of each class of a data set: list of lists of their numbers, [] for a stranger.

    As nodes_named, without its judgement. Classes that are `shown` itself are the nodes in order, whatever names repeat.
    """
    if tuple(classes) == tuple(shown):
        return [[node] for node in range(len(shown))]
    tables = [_by_name(names) for names in (() if tree is None else tree.names, shown)]
    return [next((table[plain(name)] for table in tables if plain(name) in table), []) for name in classes]


def nodes_named(tree, shown, classes, data):
    """Which node of a WordTree each class of a data set is, by name: (classes,) int64.

    tree: None for a network without one, whose classes are meant instead of nodes. shown: the nodes' names as `names_of`
    gives them; a class may also have the name in the tree itself, which only one node has. Capitals do not matter, and _ is
    as good as a space. classes: the data's names. data: what it is called.
    As many classes as nodes, none of which has a node's name, are the nodes in the tree's order, as in Darknet; stderr says
    so.
    Raises DataError, which names the classes that are no node, with near names, and those that are several.
    """
    found = nodes_called(tree, shown, classes)
    if tree is not None and not any(found) and len(classes) == len(tree):
        print(f"note: none of the {len(classes)} classes of {data} ({', '.join(classes[:TOLD])}, ...) has the name of a "
              f"node of {tree.path}, but they are as many: taken in its order, {classes[0]!r} for {tree.names[0]!r}, "
              f"{classes[-1]!r} for {tree.names[-1]!r}", file=sys.stderr)
        return np.arange(len(tree))
    where, node, plural, own = ("the network", "class", "classes", range(len(shown))) if tree is None else \
        (tree.path, "node", "nodes", tree.names)
    strange = [name for name, nodes in zip(classes, found) if not nodes]
    double = [(name, nodes) for name, nodes in zip(classes, found) if len(nodes) > 1]
    wrong = []
    if strange:
        told = ", ".join(f"{name!r}{_near(name, shown)}" for name in strange[:TOLD])
        wrong.append(f"{told}{', ...' * (len(strange) > TOLD)} ({len(strange)} of {len(classes)}) are no {node}")
    if double:
        told = ", ".join(f"{name!r} ({', '.join(str(own[k]) for k in nodes)})" for name, nodes in double[:TOLD])
        wrong.append(f"{told}{', ...' * (len(double) > TOLD)} are several {plural}")
    if wrong:
        remedy = "" if tree is None else "; the nodes of classes that have boxes can be told a [region] with map=FILE"
        raise DataError(f"{where}: of the classes of {data} {'; '.join(wrong)}. Expected the name of one {node} for each: "
                        f"rename the classes, or leave them out{remedy}")
    return np.array([nodes[0] for nodes in found], np.int64)


def _by_name(names):
    """dict name as `plain` -> list of the numbers that have it."""
    table = {}
    for number, name in enumerate(names):
        table.setdefault(plain(name), []).append(number)
    return table


def plain(name):
    """A name (str) as names are compared: capitals do not matter, nor whether words are joined by spaces or _.

    (Trees and folders cannot have all names.)
    """
    return "_".join(name.lower().replace("_", " ").split())


def _near(name, names):
    near = nearest(name, names)
    return f" (near: {near})" if near else ""
