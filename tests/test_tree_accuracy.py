"""Flat and hierarchical accuracy of classifiers, against values worked out by hand."""
import numpy as np
import pytest

from minidarknet.tree_accuracy import leaves_only, top_k_accuracy, tree_accuracy
from minidarknet.wordtree import WordTree, grow

TREE = grow({"animal": ["cat", "dog"], "vehicle": ["car", "bus"]})  # nodes 0 animal 1 vehicle 2 cat 3 dog 4 car 5 bus
P = np.array([[.9, .1, .8, .2, .5, .5],    # surely a cat
              [.9, .1, .5, .5, .5, .5],    # an animal
              [.45, .55, .9, .1, .5, .5],  # perhaps a vehicle; but cat is the likeliest leaf
              [.2, .8, .5, .5, .4, .6]])   # a bus, not surely


def test_leaves():
    np.testing.assert_allclose(leaves_only(TREE, P)[0], [0, 0, .72, .18, .05, .05])


def test_flat():
    p = np.array([[.5, .3, .2], [.1, .45, .45], [.2, .3, .5]])
    assert top_k_accuracy(p, [0, 2, 1], 1) == pytest.approx(1 / 3)   # of equals the first
    assert top_k_accuracy(p, [0, 2, 1], 2) == 1
    assert np.isnan(top_k_accuracy(np.zeros((0, 3)), [], 1))


def test_hierarchical():
    score = tree_accuracy(TREE, P, [2, 3, 4, 5])
    assert (score.images, score.top1, score.top5) == (4, .5, 1)  # the second is taken for a cat, the third too
    assert score.levels == (.75, .5)                             # the second at least for an animal
    assert score.walk == 1      # cat, animal, vehicle, vehicle (.8 * .6 = .48): never wrong, but vague
    assert score.depth == 1.25 and score.label_depth == 2
    assert tree_accuracy(TREE, P, [2, 3, 4, 5], 0).walk == pytest.approx(.75)  # at threshold 0 every walk ends in a leaf


def test_labels_that_are_no_leaves():
    score = tree_accuracy(TREE, P[:2], [0, 1])
    assert score.levels == (.5,) and score.walk == 0 and score.top1 == 0 and score.label_depth == 1


def test_a_flat_tree_is_scored_as_an_ordinary_classifier(rng):
    p = rng.dirichlet(np.ones(7), 50)
    labels = rng.integers(0, 7, 50)
    score = tree_accuracy(WordTree.flat(7), p, labels, 0)
    assert score.top1 == score.walk == score.levels[0] == top_k_accuracy(p, labels, 1)
    assert score.top5 == top_k_accuracy(p, labels, 5)


def test_without_pictures():
    score = tree_accuracy(TREE, np.zeros((0, 6)), [])
    assert score.images == 0 and np.isnan(score.top1) and np.isnan(score.walk) and score.levels == ()
