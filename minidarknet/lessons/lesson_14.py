"""Lesson 14, joint training: what a picture without boxes teaches, and which box (notebooks/14_joint_training.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise

#                  animal vehicle cat dog horse car bus
PARENT = np.array([-1, -1, 0, 0, 0, 1, 1])


def _path(parent, node):
    """The node and its ancestors: list of int."""
    path = []
    while node >= 0:
        path.append(node)
        node = parent[node]
    return path


def _believer(objectness, conditional, parent, node):
    return int((objectness * conditional[:, _path(parent, node)].prod(axis=1)).argmax())


def _beliefs(seed, boxes=6):
    """objectness (n,) and P(node | parent) (n, 7) of some boxes."""
    rng = np.random.default_rng(seed)
    conditional = rng.random((boxes, len(PARENT))) ** 2
    for group in (slice(0, 2), slice(2, 5), slice(5, 7)):
        conditional[:, group] /= conditional[:, group].sum(axis=1, keepdims=True)
    return rng.random(boxes) ** 2, conditional


@exercise(
    right=_believer,
    cases=[(*_beliefs(seed), PARENT, node) for seed, node in enumerate((2, 6, 3, 0, 5, 4, 2, 6))],
    slips=[(lambda o, c, p, n: int(o.argmax()),
            "the box that is surest of an object need not think that it is this one: multiply by the class's probability"),
           (lambda o, c, p, n: int(c[:, n].argmax()),
            "a box that sees nothing may still say which class it would be: multiply by its objectness"),
           (lambda o, c, p, n: int(c[:, _path(p, n)].prod(axis=1).argmax()),
            "the probability along the path is right; multiply by the objectness, for most boxes see nothing"),
           (lambda o, c, p, n: int((o * c[:, n]).argmax()),
            "P(cat | animal) says nothing where the box sees a vehicle: multiply along the whole path to the root")],
    moral="Nobody knows where the object is; the network's own best guess is taken for the place.")
def believer(objectness, conditional, parent, node):
    """Which box a picture of a `node` without a box teaches: int, the one with the largest objectness * P(node).

    objectness: (n,). conditional: (n, nodes), P(node | parent). parent: (nodes,) number of each node's parent, -1 for roots.
    P(node) is the product of the conditionals from the node up to its root.
    """
    raise NotImplementedError


def _taught(parent, node):
    return np.isin(parent, [parent[k] for k in _path(parent, node)])


TREES = [(PARENT, 3), (PARENT, 6), (PARENT, 1), (np.array([-1, -1, -1, 1, 1, 3, 3, 3]), 6)]


@exercise(
    right=_taught,
    cases=TREES,
    slips=[(lambda p, n: np.isin(np.arange(len(p)), _path(p, n)),
            "a softmax is taught as a whole: with the label its siblings, which are told that they are not it"),
           (lambda p, n: p == p[n], "the ancestors are learned as well: a picture of a dog is one of an animal"),
           (lambda p, n: np.ones(len(p), bool),
            "a picture of a dog says nothing about kinds of vehicles: groups off the path to the root are left alone"),
           (lambda p, n: _taught(p, n) | (p == n),
            "nothing is known below the label: 'dog' does not say which dog")],
    moral="At and above the label's level: so a vague label and an exact one can train the same tree.")
def taught(parent, node):
    """Which nodes get a loss from the label `node`: (nodes,) bool, those whose softmax lies on the path to the root.

    parent: (nodes,) number of each node's parent, -1 for the roots, which share a softmax as well.
    """
    raise NotImplementedError


def _asked(objectness, best, iou, object_scale, noobject_scale):
    target, weight = np.zeros(len(objectness)), np.full(len(objectness), float(noobject_scale))
    target[best], weight[best] = iou, object_scale if objectness[best] < iou else 0
    return np.stack([target, weight])


def _slip(change):
    """_asked, and then one thing otherwise."""
    def wrong(objectness, best, iou, object_scale, noobject_scale):
        asked = _asked(objectness, best, iou, object_scale, noobject_scale)
        change(asked, objectness, best, iou, object_scale, noobject_scale)
        return asked
    return wrong


def _always(asked, objectness, best, iou, object_scale, noobject_scale):
    asked[1, best] = object_scale


def _one(asked, objectness, best, iou, object_scale, noobject_scale):
    asked[0, best] = 1


def _darknet(asked, objectness, best, iou, object_scale, noobject_scale):
    asked[1, best] = 0


def _silent(asked, objectness, best, iou, object_scale, noobject_scale):
    asked[1, np.arange(len(objectness)) != best] = 0


@exercise(
    right=_asked,
    cases=[(np.array([.1, .2, .05]), 1, .3, 5., 1.), (np.array([.6, .02, .9, .3]), 2, .3, 5., .5),
           (np.array([.25, .1]), 0, .3, 5., 1.), (np.array([.45, .1]), 0, .5, 2., .3)],
    slips=[(_slip(_always), "the box is taken to overlap the object by AT LEAST so much: a surer one is not pulled down"),
           (_slip(_one), "nobody saw the box, so its IoU with the object is only assumed: the target is that, not 1"),
           (_slip(_darknet), "this is what Darknet does since July 2017, it leaves this objectness alone; the paper asks "
                             "for the assumed IoU"),
           (_slip(_silent), "all other boxes are told that nothing is there: target 0 with noobject_scale")],
    moral="A little courage: without it objects of classes known from pictures alone would never be announced.")
def asked_objectness(objectness, best, iou, object_scale, noobject_scale):
    """What a picture without boxes asks of the objectness of every box: (2, n), targets and weights.

    objectness: (n,), now. best: the box that is taught the class. Its objectness should be at least `iou` (then the weight
    is object_scale, and 0 where it is so already); all others should be 0, with the weight noobject_scale.
    The target of `best` is `iou` in any case.
    """
    raise NotImplementedError
