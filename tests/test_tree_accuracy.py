"""Flat and hierarchical accuracy of classifiers, against values worked out by hand."""
import numpy as np
import pytest

from minidarknet.accuracy import Accuracy, top_k
from minidarknet.tree_accuracy import TreeAccuracy, leaves_only
from minidarknet.wordtree import WordTree, grow

TREE = grow({"animal": ["cat", "dog"], "vehicle": ["car", "bus"]})  # nodes 0 animal 1 vehicle 2 cat 3 dog 4 car 5 bus
P = np.array([[.9, .1, .8, .2, .5, .5],    # surely a cat
              [.9, .1, .5, .5, .5, .5],    # an animal
              [.45, .55, .9, .1, .5, .5],  # perhaps a vehicle; but cat is the likeliest leaf
              [.2, .8, .5, .5, .4, .6]])   # a bus, not surely


def scored(tree, conditional, labels, threshold=.5, k=5):
    """The TreeAccuracy of an output, put together as evaluate.accuracy does."""
    best = top_k(leaves_only(tree, conditional), min(k, int(tree.is_leaf.sum())))
    return TreeAccuracy(tree.names, best, np.array(labels, np.int64), tree,
                        tree.predict(tree.absolute(conditional), threshold))


def test_leaves():
    np.testing.assert_allclose(leaves_only(TREE, P)[0], [0, 0, .72, .18, .05, .05])
    assert leaves_only(None, P) is P


def test_hierarchical():
    score = scored(TREE, P, [2, 3, 4, 5])
    assert (len(score.truth), score.top1, score.topk) == (4, .5, 1)  # the second is taken for a cat, the third too
    assert score.levels == (.75, .5)                                 # the second at least for an animal
    assert score.walk == 1      # cat, animal, vehicle, vehicle (.8 * .6 = .48): never wrong, but vague
    assert score.exact == .25 and score.depth == 1.25 and score.label_depth == 2
    assert scored(TREE, P, [2, 3, 4, 5], 0).walk == pytest.approx(.75)  # at threshold 0 every walk ends in a leaf


def test_labels_that_are_no_leaves():
    score = scored(TREE, P[:2], [0, 1])
    assert score.levels == (.5,) and score.walk == 0 and score.top1 == 0 and score.label_depth == 1


def test_a_flat_tree_is_scored_as_an_ordinary_classifier(rng):
    p, labels = rng.dirichlet(np.ones(7), 50), rng.integers(0, 7, 50)
    score, flat = scored(WordTree.flat(7), p, labels, 0), Accuracy(range(7), top_k(p, 5), labels)
    assert score.top1 == score.walk == score.exact == score.levels[0] == flat.top1
    assert score.topk == flat.topk


def test_against_a_walk_up_each_path(rng):
    """A tree of uneven depth, scored picture by picture."""
    tree = grow({"a": {"b": {"c": ["d", "e"], "f": None}, "g": None}, "h": ["i", "j", "k"]})
    conditional = np.concatenate([rng.dirichlet(np.ones(n), 40) for n in np.diff(tree.borders)], axis=1)
    labels = rng.integers(0, len(tree), 40)
    score = scored(tree, conditional, labels)
    ways = [tree.path_to_root(node)[::-1] for node in range(len(tree))]
    pairs = [(ways[guess], ways[label]) for guess, label in zip(score.best[:, 0], labels)]
    for at, share in enumerate(score.levels):
        assert share == np.mean([guess[at:at + 1] == way[at:at + 1] for guess, way in pairs if len(way) > at])
    assert score.walk == np.mean([walk in ways[label] for walk, label in zip(score.walks, labels)])
    assert 0 < score.exact < score.walk < 1


def test_for_json():
    found = scored(TREE, P, [2, 3, 4, 5]).to_dict()
    assert found["top1"] == .5 and found["per_class"]["bus"] == {"top1": 1, "topk": 1, "images": 1}
    assert found["hierarchy"] == {"levels": [.75, .5], "walk": 1, "exact": .25, "depth": 1.25, "label_depth": 2}


def test_without_pictures():
    score = scored(TREE, np.zeros((0, 6)), [])
    assert len(score.truth) == 0 and np.isnan(score.top1) and np.isnan(score.walk) and score.levels == ()
    assert score.to_dict()["hierarchy"]["walk"] is None
