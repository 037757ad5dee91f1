"""Lesson 10, the region loss, box by box: who is asked for what, and how strongly (notebooks/10_region_loss.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise

BOX, OBJECTNESS = slice(0, 4), 4


def _weights(ious, responsible, thresh, object_scale, noobject_scale):
    weights = np.where(ious > thresh, 0, noobject_scale)
    weights[responsible] = object_scale
    return weights


def _slip(change):
    """_weights, and then one thing otherwise."""
    def wrong(ious, responsible, thresh, object_scale, noobject_scale):
        weights = _weights(ious, responsible, thresh, object_scale, noobject_scale).astype(float)
        return change(weights, ious, responsible, thresh, object_scale, noobject_scale)
    return wrong


def _with(weights, where, value):
    """A copy of weights with a value where a mask or index says."""
    weights = weights.copy()
    weights[where] = value
    return weights


@exercise(
    right=_weights,
    cases=[(np.array([.1, .7, .65, .59, .9, 0.]), 2, .6, 5., 1.), (np.array([.1, .7, .3, .6, .2]), 2, .6, 5., .5),
           (np.array([.9, .8]), 1, .5, 1., 1.)],
    slips=[(_slip(lambda w, i, r, t, o, n: _with(_with(w, i > t, n), r, o)),
            "boxes above the threshold are ignored: weight 0. They lie on the object already, and would be told that there "
            "is none"),
           (_slip(lambda w, i, r, t, o, n: _with(w, (i > t), o)),
            "an overlap alone makes no box responsible: one box per object is, the others above the threshold are ignored"),
           (_slip(lambda w, i, r, t, o, n: _with(w, r, w[r] if i[r] <= t else 0)),
            "the responsible box keeps object_scale whatever its own overlap is: it is set last"),
           (_slip(lambda w, i, r, t, o, n: _with(w, (i == t) & (np.arange(len(i)) != r), 0)),
            "a box is ignored when its IoU is ABOVE the threshold; exactly at it, it is pushed down")],
    moral="Three kinds of boxes: one that answers, a few that are left in peace, and all the others, pushed down.")
def objectness_weights(ious, responsible, thresh, object_scale, noobject_scale):
    """How much the objectness of every box matters: (n,).

    ious: (n,) largest IoU of each box with any truth. responsible: index of the box that answers for the object.
    The responsible one: object_scale. Others: 0 where the IoU is above thresh, else noobject_scale.
    """
    raise NotImplementedError


def _gradient(out, target, weight):
    grad = weight * (out - target)
    for entry in (0, 1, OBJECTNESS):
        grad[entry] *= out[entry] * (1 - out[entry])
    return grad


def _everywhere(out, target, weight):
    return weight * (out - target) * out * (1 - out)


def _cell(x, y, w, h, objectness, *classes):
    return np.array([x, y, w, h, objectness, *classes])


CELLS = [(_cell(.3, .6, .2, -.4, .7, .2, .5, .3), _cell(.5, .5, .1, .3, .8, 0, 1, 0), _cell(1.7, 1.7, 1.7, 1.7, 5, 1, 1, 1)),
         (_cell(.9, .1, -1.3, .8, .05, .6, .4), _cell(.2, .7, .4, -.9, 0, 1, 0), _cell(1.2, 1.2, 1.2, 1.2, 5, 2, 2)),
         (_cell(.4, .2, .1, .1, .6, .5, .5), _cell(0, 0, 0, 0, 0, 0, 0), _cell(0, 0, 0, 0, 1, 0, 0))]


@exercise(
    right=_gradient,
    cases=CELLS,
    slips=[(lambda o, t, w: -_gradient(o, t, w), "the sign is Darknet's delta; the gradient points uphill: out - target"),
           (lambda o, t, w: w * (o - t), "x, y and objectness passed the logistic function, and their loss is a square: "
                                         "multiply by its slope out (1 - out)"),
           (_everywhere, "only x, y and objectness have the slope out (1 - out): w and h were never squashed, and for the "
                         "classes the cross-entropy cancels it"),
           (lambda o, t, w: np.concatenate([_everywhere(o, t, w)[:2], w[2:] * (o - t)[2:]]),
            "objectness has the slope as well: it is squashed and has a squared loss, like x and y"),
           (lambda o, t, w: np.concatenate([_gradient(o, t, w)[:5], _everywhere(o, t, w)[5:]]),
            "for the classes the derivative of the cross-entropy cancels the softmax's: weight (out - target) is all"),
           (lambda o, t, w: _gradient(o, t, w ** 2), "the weight counts once: it stands before the square, not inside it")],
    moral="One line, s (out - t), and a slope for three of the numbers: this is the whole backward pass of the head.")
def cell_gradient(out, target, weight):
    """dL/draw for all numbers of one anchor-cell, (5 + classes,): x, y, w, h, objectness, then the classes.

    out: activated: logistic x, y and objectness; w and h as they are; the classes' softmax. target, weight: as the head
    assigns them. x, y, w, h, objectness: weight/2 (out - target)^2. Classes: weight times the cross-entropy.
    """
    raise NotImplementedError


def _loss(out, target, weight):
    squares = (weight[:5] * (out[:5] - target[:5]) ** 2).sum() / 2
    return squares - (weight[5:] * target[5:] * np.log(out[5:])).sum()


@exercise(
    right=_loss,
    cases=CELLS,
    slips=[(lambda o, t, w: (w[:5] * (o[:5] - t[:5]) ** 2).sum() - (w[5:] * t[5:] * np.log(o[5:])).sum(),
            "the squares have a factor 1/2, so that their derivative is weight (out - target)"),
           (lambda o, t, w: (w * (o - t) ** 2).sum() / 2,
            "the classes do not have squares but the cross-entropy: - weight target log(out)"),
           (lambda o, t, w: ((w * (o - t)) ** 2).sum(),
            "this is what Darknet prints, the sum of squared deltas: a thermometer, not the function that is made small"),
           (lambda o, t, w: -_loss(o, t, w), "the sign is turned round: a loss is never below 0")],
    moral="Its derivative is your cell_gradient: check it, (L(z + e) - L(z - e)) / 2e.")
def cell_loss(out, target, weight):
    """The loss of one anchor-cell: a number.

    Half the weighted squares of x, y, w, h and objectness, plus the weighted cross-entropy of the classes.
    out, target, weight: (5 + classes,) as in cell_gradient.
    """
    raise NotImplementedError
