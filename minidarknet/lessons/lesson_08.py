"""Lesson 08, fine-grained features: folding pixels into channels (notebooks/08_reorg_passthrough.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise

SMALL = np.arange(16.).reshape(2, 2, 4)
PICTURES = [(SMALL, 2), (np.arange(4 * 6 * 8.).reshape(4, 6, 8), 2), (np.arange(6 * 3 * 9.).reshape(6, 3, 9), 3)]


def _folded(order):
    """Space-to-depth whose new channels are in another order; order: axes of (h, py, w, px, c) after (h, w)."""
    def fold(x, stride):
        h, w, c = x.shape
        blocks = x.reshape(h // stride, stride, w // stride, stride, c)
        return blocks.transpose(0, 2, *order).reshape(h // stride, w // stride, c * stride * stride)
    return fold


_space_to_depth = _folded((1, 3, 4))


def _darknet(x, stride):
    """The library's kernel, on one picture."""
    from minidarknet.kernels.reorg import reorg_forward
    h, w, c = x.shape
    out = np.empty((1, h // stride, w // stride, c * stride * stride))
    reorg_forward(np.ascontiguousarray(x[None], float), out, stride, False)
    return out[0]


@exercise(
    right=_space_to_depth,
    cases=PICTURES,
    slips=[(lambda x, s: x.reshape(x.shape[0] // s, x.shape[1] // s, -1),
            "a reshape alone keeps neighbours in memory together, and those are not the s x s blocks of the picture: split "
            "rows and columns in two, (h/s, s, w/s, s, c), then move the two s behind"),
           (_folded((4, 1, 3)), "all values are in the right cells, but a channel's s x s copies lie together; the place "
                                "in the block comes first here, then the channel"),
           (_folded((3, 1, 4)), "the block was read column by column; row by row is meant"),
           (_darknet, "this is Darknet's reorg, not space-to-depth: some of its values end up in other cells; that is "
                      "another exercise")],
    moral="No value is lost: a quarter of the places, four times the channels, and every value stays in its own cell.")
def space_to_depth(x, stride):
    """Fold every s x s block of pixels into channels: (h, w, c) -> (h/s, w/s, s s c).

    out[y, x, (py s + px) c + channel] = x[y s + py, x s + px, channel]. x: array. stride: s, divides h and w.
    """
    raise NotImplementedError


def _inverse(x, stride):
    """The inverse permutation, squeezed into the same shape: Darknet's reverse=1 order."""
    h, w, c = x.shape
    small = c // stride ** 2
    planes = x.transpose(2, 0, 1).reshape(stride, stride, small, h, w).transpose(2, 3, 0, 4, 1)
    return planes.reshape(c * stride ** 2, h // stride, w // stride).transpose(1, 2, 0)


def _rows_first(x, stride):
    """Darknet's walk on our own memory order (h, w, c) instead of planes."""
    h, w, c = x.shape
    planes = x.reshape(c // stride ** 2, h, stride, w, stride).transpose(2, 4, 0, 1, 3)
    return planes.reshape(h // stride, w // stride, c * stride ** 2)


@exercise(
    right=_darknet,
    cases=PICTURES,
    slips=[(_space_to_depth, "this is space-to-depth, which Darknet meant but did not write: first read the planes as if "
                             "they were c/s^2 larger ones"),
           (_folded((4, 1, 3)),
            "this is space-to-depth in another order of channels; Darknet's values even leave their cells"),
           (_rows_first,
            "the walk is right, but Darknet walks over planes: transpose to (c, h, w) first, and back at the end"),
           (_inverse,
            "the walk goes the wrong way: this is the inverse permutation, what reverse=1 and the backward pass do")],
    moral="Channels and columns are space-to-depth's, the rows are not; weights trained with Darknet expect exactly this.")
def darknet_reorg(x, stride):
    """Darknet's reorg: (h, w, c) -> (h/s, w/s, s s c), with its own walk over memory.

    1. Lay the planes one behind the other: (c, h, w). 2. Read that memory as (c/s^2, h, s, w, s), that is c/s^2 pictures
    of (h s, w s) pixels. 3. Bring the two s to the front: (s, s, c/s^2, h, w). 4. Read that memory as planes
    (s s c, h/s, w/s), and put the channels last again. x: array. stride: s, divides h and w, its square divides c.
    """
    raise NotImplementedError


def _gradient(grad_out, stride):
    from minidarknet.kernels.reorg import reorg_backward
    h, w, c = grad_out.shape
    grad = np.empty((1, h * stride, w * stride, c // stride ** 2))
    reorg_backward(np.ascontiguousarray(grad_out[None], float), grad, stride, False, False)
    return grad[0]


def _unfold(grad_out, stride):
    h, w, c = grad_out.shape
    blocks = grad_out.reshape(h, w, stride, stride, c // stride ** 2).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(h * stride, w * stride, c // stride ** 2)


@exercise(
    right=_gradient,
    cases=[(np.sqrt(np.arange(x.size)).reshape(x.shape[0] // s, x.shape[1] // s, -1), s) for x, s in PICTURES],
    slips=[(_unfold, "this undoes space-to-depth; Darknet's own permutation has to be undone, step by step backwards"),
           (lambda g, s: g.reshape(g.shape[0] * s, g.shape[1] * s, -1),
            "the shape is right, but every gradient has to go back to where its value came from")],
    moral="A permutation changes no value, so its gradient is the inverse permutation, and <A x, y> = <x, A' y>.")
def reorg_gradient(grad_out, stride):
    """The gradient of darknet_reorg's input: (h/s, w/s, s s c) -> (h, w, c).

    grad_out: dL/dout. stride: s. Every value went to exactly one place: send its gradient back.
    """
    raise NotImplementedError
