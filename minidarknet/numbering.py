"""Which of a network's classes each class of a data set is: the data set in the network's numbers.

Names decide (names.nodes_named), or the region.map of a head over a tree, where it is the map of that very data.
"""
import sys
from dataclasses import replace

import numpy as np

from minidarknet import cli
from minidarknet.errors import DataError
from minidarknet.names import TOLD, nodes_called, nodes_named


def mapped(net, data):
    """Whether the network's region.map tells a node for each class of the Dataset `data`. Raises CfgError, DataError."""
    nodes = getattr(net.head, "map", None)
    return nodes is not None and len(nodes) == len(data.names)


def forget_foreign_map(net, data):
    """Let the names decide where the region.map of `net` is that of other data than the Dataset `data`, with a warning.

    It is where it has not a line for each class, and where it contradicts more of the classes that have a node's name than
    it agrees with. A word above or below the named node, such as animal for cat, is no contradiction; that of a few is
    meant: YOLO9000's own map takes COCO's kite for the toy, where the tree has a bird of that name. It is told all the same,
    and so is a map that no name confirms. Raises CfgError, DataError.
    """
    nodes = getattr(net.head, "map", None)
    if nodes is None:
        return
    file, count = net.head.options.map, len(data.names)
    if len(nodes) != count:
        net.head.map = None
        cli.warn([f"{file} tells the nodes of {len(nodes)} classes, but {data.name} has {count}: it is not used, the names "
                  "of the classes decide"])
        return
    called = nodes_called(net.tree, net.names, data.names)
    known = sum(map(bool, called))
    against = [k for k, (node, own) in enumerate(zip(nodes, called))
               if own and not any(_same_way(net.head.tree, node, other) for other in own)]
    told = ", ".join(f"{data.names[k]!r} for {_shown(net, nodes[k])!r}" for k in against[:TOLD])
    told += ", ..." * (len(against) > TOLD)
    if 2 * len(against) > known:
        net.head.map = None
        cli.warn([f"{file} takes {told}, against the names of {len(against)} of the {known} classes of {data.name} that are "
                  "nodes: it is the map of other data or of another order. It is not used, the names of the classes decide"])
    elif against:
        cli.warn([f"{file} takes {told}, though nodes have these names; it agrees with most, so it is used as it is"])
    elif not known:
        cli.warn([f"none of the {count} classes of {data.name} has the name of a node: {file} alone, line by line, tells "
                  f"which they are, {data.names[0]!r} for {_shown(net, nodes[0])!r}"])


def in_classes_of(net, data):
    """The Dataset with class ids and names as the network numbers its classes: `renumbered` by `numbering`.

    A region.map that is not of this data is forgotten before. Raises CfgError, DataError as these do.
    """
    forget_foreign_map(net, data)
    return renumbered(data, *numbering(net, data))


def numbering(net, data):
    """(ids, names): what the network calls each class of the Dataset `data`, (classes,) int64, and the names of all ids.

    Names decide where the network has any, else the order. Classes that the network does not know stay, behind its
    own: nothing will be found of them. With a label tree every class must be a node (names.nodes_named); a region.map of as
    many entries as the data has classes comes before the names, and the data keeps its own numbers.
    Raises DataError where the two have nothing in common.
    """
    own = np.arange(len(data.names))
    if mapped(net, data):
        return own, data.names
    if net.tree is not None:
        return nodes_named(net.tree, net.names, data.names, data.name), net.names
    if not net.names:
        if len(data.names) != net.classes:
            raise DataError(f"the network tells {net.classes} classes apart, {data.name} has {len(data.names)}: "
                            "give --names, so that they can be matched by name")
        net.names = data.names
    called = nodes_called(None, net.names, data.names)
    strangers = [name for name, found in zip(data.names, called) if not found]
    if len(strangers) == len(data.names):
        raise DataError(f"none of the classes of {data.name} ({', '.join(data.names[:5])}, ...) is among the network's "
                        f"({', '.join(net.names[:5])}, ...): give the right --names")
    if strangers:
        score = "accuracy" if data.classifies else "AP"
        print(f"warning: the network does not know {', '.join(strangers)}: their {score} is 0 and counts", file=sys.stderr)
    behind = iter(range(len(net.names), len(net.names) + len(strangers)))
    return np.array([found[0] if found else next(behind) for found in called], np.int64), (*net.names, *strangers)


def renumbered(data, ids, names):
    """The Dataset with the class ids `ids` (classes,) int64, which are those of `names`; itself where that is no change."""
    if names == data.names and np.array_equal(ids, np.arange(len(names))):
        return data
    known = dict(zip(ids.tolist(), data.categories or ()))
    return replace(data, names=names, examples=[replace(e, classes=ids[e.classes]) for e in data.examples],
                   categories=data.categories and tuple(known.get(k) for k in range(len(names))))


def _same_way(tree, one, other):
    """Whether two nodes of a WordTree lie on one way up to its root: they are the same, or one is a kind of the other."""
    return one in tree.path_to_root(other) or other in tree.path_to_root(one)


def _shown(net, node):
    return net.names[node] if net.names else str(node)
