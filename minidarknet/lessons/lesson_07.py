"""Lesson 07, direct location prediction: from raw numbers to a box and back (notebooks/07_location_prediction.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise


def _sigma(z):
    return 1 / (1 + np.exp(-z))


def _decode(t, cell, anchor, grid):
    (tx, ty, tw, th), (row, column), (pw, ph) = t, cell, anchor
    return ((column + _sigma(tx)) / grid, (row + _sigma(ty)) / grid, pw * np.exp(tw) / grid, ph * np.exp(th) / grid)


CASES = [((0., 0., 0., 0.), (3, 5), (2., 1.), 13), ((1.5, -2., .4, -.7), (0, 12), (3.2, 4.1), 13),
         ((-.3, .8, -1., .2), (6, 2), (.5, .9), 7)]


@exercise(
    right=_decode,
    cases=CASES,
    slips=[(lambda t, c, a, g: _decode(t, c[::-1], a, g),
            "x and y are swapped: the cell is (row, column), and x grows along the columns"),
           (lambda t, c, a, g: tuple(np.array(_decode(t, c, a, g)) * g),
            "these are cells; the box is wanted in fractions of the picture: divide by the grid"),
           (lambda t, c, a, g: ((c[1] + t[0]) / g, (c[0] + t[1]) / g, *_decode(t, c, a, g)[2:]),
            "without the logistic function the centre can leave its cell; that is what this trick forbids"),
           (lambda t, c, a, g: ((c[1] + .5 + t[0] * a[0]) / g, (c[0] + .5 + t[1] * a[1]) / g, *_decode(t, c, a, g)[2:]),
            "this is the region proposal network's formula, the one that was given up"),
           (lambda t, c, a, g: (*_decode(t, c, a, g)[:2], a[0] * _sigma(t[2]) / g, a[1] * _sigma(t[3]) / g),
            "width and height are the anchor's times e^t: a box may also be larger than its anchor"),
           (lambda t, c, a, g: (*_decode(t, c, a, g)[:2], np.exp(t[2]) / g, np.exp(t[3]) / g),
            "the size is a multiple of the anchor's: p_w e^t_w")],
    moral="With all four raw numbers 0 the box is the anchor in the middle of its cell.")
def decode(t, cell, anchor, grid):
    """The box (x, y, w, h), in fractions of the picture, that four raw numbers mean.

    t: (tx, ty, tw, th). cell: (row, column). anchor: (width, height) in cells. grid: cells per side.
    """
    raise NotImplementedError


def _encode(box, anchor, grid):
    x, y, w, h = box
    return (x * grid - int(x * grid), y * grid - int(y * grid), np.log(w * grid / anchor[0]), np.log(h * grid / anchor[1]))


@exercise(
    right=_encode,
    cases=[((.5, .5, .2, .1), (2., 1.), 13), ((.91, .07, .8, .9), (3., 4.), 13), ((.3, .62, .05, .4), (.5, 3.), 7)],
    slips=[(lambda b, a, g: (b[0] * g, b[1] * g, *_encode(b, a, g)[2:]),
            "x and y are places within the cell, 0 to 1: subtract the whole cells"),
           (lambda b, a, g: (*_encode(b, a, g)[:2], np.log(b[2] / a[0]), np.log(b[3] / a[1])),
            "w and h are fractions of the picture, the anchor is in cells: bring both to the same unit"),
           (lambda b, a, g: (*_encode(b, a, g)[:2], b[2] * g / a[0], b[3] * g / a[1]),
            "the network's number stands in the exponent, so its target is the logarithm of the ratio"),
           (lambda b, a, g: (*(np.log(p / (1 - p)) for p in _encode(b, a, g)[:2]), *_encode(b, a, g)[2:]),
            "x and y are compared after the logistic function, not before it: a target of 0 or 1 would lie at infinity")],
    moral="Encode after decode gives back what one started from: the tests of the head use that, too.")
def encode(box, anchor, grid):
    """What the responsible anchor-cell is asked for: targets (x, y, w, h) of sigma(tx), sigma(ty), tw, th.

    box: the truth (x, y, w, h) in fractions of the picture. anchor: (width, height) in cells. grid: cells per side.
    """
    raise NotImplementedError


def _gradient(t, target):
    out = (_sigma(t[0]), _sigma(t[1]), t[2], t[3])
    slope = (out[0] * (1 - out[0]), out[1] * (1 - out[1]), 1, 1)
    return tuple((o - wanted) * s for o, wanted, s in zip(out, target, slope))


@exercise(
    right=_gradient,
    cases=[((0., 0., 0., 0.), (.2, .9, .5, -.5)), ((2., -1., .3, 1.), (.5, .5, 0., 0.)),
           ((-3., .1, -1., .2), (1., 0., .4, .2))],
    slips=[(lambda t, g: tuple(-v for v in _gradient(t, g)),
            "the sign is Darknet's (target - out); a gradient points uphill: out - target"),
           (lambda t, g: tuple(o - w for o, w in zip((_sigma(t[0]), _sigma(t[1]), *t[2:]), g)),
            "x and y pass the logistic function: by the chain rule its slope out (1 - out) belongs to the gradient"),
           (lambda t, g: tuple(o - w for o, w in zip(t, g)),
            "the loss compares sigma(tx) and sigma(ty), not the raw numbers"),
           (lambda t, g: tuple(2 * v for v in _gradient(t, g)), "the loss is half the square: the 2 cancels")],
    moral="Far out, the slope of the logistic function is nearly 0: a centre at the wrong edge of its cell learns slowly.")
def location_gradient(t, target):
    """The gradient of 1/2 sum (out - target)^2 with respect to the four raw numbers: (4,).

    t: (tx, ty, tw, th) raw. target: of (sigma(tx), sigma(ty), tw, th).
    """
    raise NotImplementedError
