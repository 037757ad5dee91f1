"""How good a classifier over a tree of labels is, beside an ordinary one: exactly right, nearly right, right but vague.

Paper: YOLO9000 (arXiv 1612.08242), section 4: Darknet-19 with 1369 nodes reaches 71.9 % top-1 and 90.4 % top-5, with
1000 classes 72.9 % and 91.2 %; "performance degrades gracefully on new or unknown object categories".
"""
from dataclasses import dataclass

import numpy as np


def leaves_only(tree, conditional):
    """The probabilities of the leaves, which are what a tree and an ordinary softmax have in common; others 0.

    conditional: (b, n) from a [softmax] with `tree`. Returns (b, n) absolute. Darknet: hierarchy_predictions, only_leaves.
    """
    return np.where(tree.is_leaf, tree.absolute(conditional), 0)


def top_k_accuracy(probability, labels, k):
    """Share of pictures whose label is among the k most probable classes (float, NaN without pictures).

    probability: (b, n), of a tree `leaves_only`. labels: (b,) int. Of equals the first counts as more probable.
    """
    best = np.argsort(-np.asarray(probability), axis=1, kind="stable")[:, :k]
    right = (best == np.asarray(labels).reshape(-1, 1)).any(axis=1)
    return float(right.mean()) if len(right) else float("nan")


@dataclass(frozen=True)
class TreeAccuracy:
    """The score of a classifier over a tree. images: how many pictures.

    top1, top5: of the leaves, to be compared with an ordinary classifier's. levels: for each level, 1 for the roots, the
    share of the pictures whose most probable leaf has the right ancestor there (of those whose label is as deep).
    walk: share of predictions (WordTree.predict) that are the label or one of its ancestors: never wrong, at most vague.
    depth: how deep those end on average, 1 for the roots; label_depth: how deep the labels are.
    """

    images: int
    top1: float
    top5: float
    levels: tuple
    walk: float
    depth: float
    label_depth: float


def tree_accuracy(tree, conditional, labels, threshold=.5):
    """The TreeAccuracy of a classifier's output.

    tree: WordTree. conditional: (b, n) from its [softmax]. labels: (b,) int, numbers of nodes. threshold: of the walk.
    """
    labels = np.asarray(labels, np.int64)
    ways = [tree.path_to_root(node)[::-1] for node in range(len(tree))]  # from the root down
    leaves = leaves_only(tree, conditional)
    walks = tree.predict(tree.absolute(conditional), threshold)
    pairs = [(ways[guess], ways[label]) for guess, label in zip(leaves.argmax(axis=1), labels)]
    levels = tuple(float(np.mean([guess[at:at + 1] == way[at:at + 1] for guess, way in pairs if len(way) > at]))
                   for at in range(max((len(way) for _, way in pairs), default=0)))
    nan = float("nan")
    return TreeAccuracy(
        len(labels), top_k_accuracy(leaves, labels, 1), top_k_accuracy(leaves, labels, 5), levels,
        float(np.mean([walk in ways[label] for walk, label in zip(walks, labels)])) if len(labels) else nan,
        float(tree.depth[walks].mean()) if len(labels) else nan,
        float(tree.depth[labels].mean()) if len(labels) else nan)
