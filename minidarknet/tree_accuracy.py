"""How good a classifier over a tree of labels is, beside an ordinary one: exactly right, nearly right, right but vague.

Paper: YOLO9000 (arXiv 1612.08242), section 4: Darknet-19 with 1369 nodes reaches 71.9 % top-1 and 90.4 % top-5, with
1000 classes 72.9 % and 91.2 %; "performance degrades gracefully on new or unknown object categories".
"""
from dataclasses import dataclass

import numpy as np

from minidarknet.accuracy import Accuracy
from minidarknet.wordtree import WordTree


def leaves_only(tree, probability):
    """The probabilities of the leaves, which are what a tree and an ordinary softmax have in common; others 0.

    probability: (b, n) from a [softmax], with `tree` P(node | parent). Returns (b, n) absolute. tree: WordTree, or None of
    an ordinary classifier, all of whose classes compete. Darknet: hierarchy_predictions, only_leaves.
    """
    return probability if tree is None else np.where(tree.is_leaf, tree.absolute(probability), 0)


@dataclass(frozen=True, eq=False)
class TreeAccuracy(Accuracy):
    """The score of a classifier over a tree. names: of the nodes. best: (n, k) int64, leaves. truth: (n,) int64, nodes.

    tree: WordTree. walks: (n,) int64, where WordTree.predict ends. top1 and topk are those of the leaves, to be compared
    with an ordinary classifier's.
    """

    tree: WordTree
    walks: np.ndarray

    @property
    def levels(self):
        """For each level, 1 for the roots, the share of the pictures whose best leaf has the right ancestor there.

        Tuple of float; of those pictures whose label is as deep.
        """
        guess, label = self._ways(self.best[:, 0]), self._ways(self.truth)
        deep = label >= 0
        return tuple(float((guess[asked, at] == label[asked, at]).mean()) for at, asked in enumerate(deep.T) if asked.any())

    @property
    def walk(self):
        """Share of walks that end in the label or one of its ancestors, never wrong, at most vague: float, NaN if none."""
        return _mean((self._ways(self.truth) == self.walks[:, None]).any(axis=1))

    @property
    def exact(self):
        """Share of walks that end in the label: float, NaN if none."""
        return _mean(self.walks == self.truth)

    @property
    def depth(self):
        """How deep walks end on average, 1 for the roots: float, NaN if none."""
        return _mean(self.tree.depth[self.walks])

    @property
    def label_depth(self):
        """How deep the labels are on average: float, NaN if none."""
        return _mean(self.tree.depth[self.truth])

    def to_dict(self):
        """For JSON: what Accuracy gives, and hierarchy: levels, walk, exact, depth, label_depth; None for NaN."""
        values = {key: getattr(self, key) for key in ("walk", "exact", "depth", "label_depth")}
        return {**super().to_dict(), "hierarchy": {
            "levels": list(self.levels), **{key: None if np.isnan(value) else value for key, value in values.items()}}}

    def _ways(self, nodes):
        """(n, levels) int64: the way from the root to each of `nodes` (n,), -1 below it."""
        ways = np.full((len(nodes), int(self.tree.depth.max())), -1)
        nodes = np.array(nodes)
        while (nodes >= 0).any():
            inside = np.flatnonzero(nodes >= 0)
            ways[inside, self.tree.depth[nodes[inside]] - 1] = nodes[inside]
            nodes[inside] = self.tree.parent[nodes[inside]]
        return ways


def _mean(values):
    return float(values.mean()) if len(values) else float("nan")
