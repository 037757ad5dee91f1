"""Lesson 13, stronger: labels as a tree, one softmax for the children of each node (notebooks/13_wordtree.ipynb)."""
import numpy as np

from minidarknet.kernels import softmax
from minidarknet.lessons import exercise
from minidarknet.wordtree import ROOT, WordTree

_rng = np.random.default_rng(13)
#                    0 animal  1 vehicle  2 dog  3 cat  4 car  5 bus  6 husky  7 terrier
PARENT = np.array([-1, -1, 0, 0, 1, 1, 2, 2])
DEEP = np.array([-1, 0, 0, 1, 1, 3, 3, 3, 5, 5])


def _tree(parent):
    return WordTree(map(str, range(len(parent))), parent)


def _conditional(parent, rng=_rng):
    return np.concatenate([rng.dirichlet(np.ones(n)) for n in np.diff(_tree(parent).borders)])


def _one_step(parent, conditional):
    return np.where(parent == ROOT, conditional, conditional * conditional[parent])


@exercise(
    right=lambda parent, conditional: _tree(parent).absolute(conditional),
    cases=[(PARENT, _conditional(PARENT)), (DEEP, _conditional(DEEP)), (np.array([-1, -1, -1]), np.array([.5, .2, .3]))],
    slips=[(_one_step, "one step up is not enough: the parent's own number is conditional, too, and needs its parent's"),
           (lambda parent, conditional: conditional, "these are P(node | parent), as they came: nothing was multiplied"),
           (lambda parent, conditional: _tree(parent).absolute(conditional) / _tree(parent).absolute(conditional).sum(),
            "no need to normalise: the children of a node sum to their parent, and the roots to 1")],
    moral="Parents stand before their children, so one pass from the front is enough.")
def absolute_probability(parent, conditional):
    """P(node) of every node: P(node | parent) * P(parent | its parent) * ... * P(root), (n,).

    parent: (n,) the number of each node's parent, -1 for a root; parents come before their children. conditional: (n,)
    P(node | parent).
    """
    raise NotImplementedError


def _learnt(z, parent, label, cut=0, everywhere=False):
    """The library's gradient. cut: so many nodes of the path, from the root down, are left out of the truth."""
    tree = _tree(parent)
    truth = np.zeros((1, len(parent)))
    truth[0, label] = 1
    truth = np.maximum(tree.labelled(truth), 0)
    path = tree.path_to_root(label)
    truth[0, path[len(path) - cut:]] = 0
    p, loss, grad = np.empty_like(truth), np.empty(1), np.empty_like(truth)
    softmax.softmax_forward(z[None], p, tree.borders, 1.)
    softmax.softmax_loss(p, truth, tree.borders, loss, grad)
    return (p - truth)[0] if everywhere else grad[0]


def _flat(z, parent, label):
    p = np.exp(z - z.max())
    return p / p.sum() - np.eye(len(z))[label]


_SCORES = [(_rng.normal(0, 2, len(parent)), parent, label) for parent, label in
           ((PARENT, 7), (PARENT, 4), (DEEP, 9), (DEEP, 2), (PARENT, 2))]


@exercise(
    right=_learnt, cases=_SCORES,
    slips=[(_flat, "this is one softmax over all nodes, where `dog` and `husky` compete; siblings alone do"),
           (lambda z, parent, label: _learnt(z, parent, label, everywhere=True),
            "groups off the path must learn nothing: of a terrier's picture nobody knows which cat it would be"),
           (lambda z, parent, label: _learnt(z, parent, label, cut=len(_tree(parent).path_to_root(label)) - 1),
            "only the label's own group learns; the path goes on to the root: a terrier is a dog and an animal"),
           (lambda z, parent, label: -_learnt(z, parent, label),
            "this is t - p, Darknet's delta; the gradient of the loss has the opposite sign")],
    moral="A label high up, `dog`, says nothing of the groups below it: they learn nothing, and no harm is done.")
def tree_gradient(z, parent, label):
    """dL/dz of L = -log P(label), (n,): p - t in the groups on the path from the label to its root, 0 in all others.

    z: (n,) scores. parent: (n,) as above; nodes with the same parent share a softmax and stand together. label: a node's
    number; t is 1 for it and its ancestors.
    """
    raise NotImplementedError


def _walk(parent, absolute, threshold):
    return int(_tree(parent).predict(absolute, threshold))


def _best_anywhere(parent, absolute, threshold):
    sure = np.flatnonzero(absolute > threshold)
    deepest = _tree(parent).depth[sure].max() if len(sure) else 1
    return sure[_tree(parent).depth[sure] == deepest][0] if len(sure) else int(absolute.argmax())


def _best_leaf(parent, absolute, threshold):
    tree = _tree(parent)
    return int(np.where(tree.is_leaf, absolute, 0).argmax())


def _stops_before_roots(parent, absolute, threshold):
    return ROOT if absolute[parent == ROOT].max() <= threshold else _walk(parent, absolute, threshold)


def _double(parent, absolute, threshold):
    return int(_tree(parent).predict(absolute, threshold, True))


_SURE = np.array([.9, .1, .7, .2, .06, .04, .65, .05])
_TORN = np.array([.45, .55, .45, 0, .3, .25, .44, .01])


@exercise(
    right=_walk,
    cases=[(PARENT, _SURE, .5), (PARENT, _SURE, .6), (PARENT, _SURE, .68), (PARENT, _SURE, .8), (PARENT, _SURE, .95),
           (PARENT, _TORN, .4), (PARENT, _TORN, .2), (PARENT, _TORN, .9)],
    slips=[(_best_leaf, "this names the best leaf, however unsure it is: stop where no next step is above the threshold"),
           (_best_anywhere, "this takes the deepest node above the threshold; the walk decides at every split, from the "
                            "roots down, and never turns back"),
           (_stops_before_roots, "where no root is above the threshold, the best root is still an answer"),
           (_double, "the numbers are absolute, they hold those above them already: multiplied again the walk ends too soon "
                     "(Darknet does this)")],
    moral="Move the threshold and the label climbs: that is the slider of this notebook's page.")
def walk(parent, absolute, threshold):
    """Where the way down the tree ends, a node's number: at every split the best child, while it is above the threshold.

    The way begins at the best root, which is the answer even where it is not above the threshold. parent: (n,) as above.
    absolute: (n,) P(node). threshold: a number.
    """
    raise NotImplementedError
