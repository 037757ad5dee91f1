"""The tree of labels behind a head's classes: what [region] and [softmax] read from the file of their option `tree`."""
from minidarknet.layers.base import Misfit
from minidarknet.wordtree import read_tree


def open_tree(classes, find):
    """The WordTree in the file of the option `tree`. find: see Layer.open_files. Raises Misfit, CfgError, DataError."""
    path = find("tree")
    tree = read_tree(path)
    if len(tree) != classes:
        raise Misfit(f"tree={path} has {len(tree)} nodes, but the head has {classes} classes; expected as many", "tree")
    return tree
