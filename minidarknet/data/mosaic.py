"""Mosaic: one training picture out of four, so that objects are learnt in many surroundings and cut off at many places.

    |  a  | b |      each of the four has been varied and fills the canvas; its part of the mosaic shows what stands
    |-----+---|      there in it. Boxes are clipped to the part.
    |  c  | d |

Paper: YOLOv4 (arXiv 2004.10934), section 3.3. AlexeyAB's Darknet: src/data.c.
"""
import numpy as np

from minidarknet.data.augment import SMALLEST

NEAREST = .2  # share of the canvas's side between the cross and its edges, at least


def cross(size, rng):
    """Where the four parts meet: (x, y) in pixels of the canvas, two ints.

    size: (w, h) of the canvas. rng: numpy Generator, two draws.
    """
    return tuple(int(side * rng.uniform(NEAREST, 1 - NEAREST)) for side in size)


def mosaic(pictures, truths, where):
    """The mosaic of four pictures and its objects.

    pictures: four (h, w, 3) float32 of one size, in the order upper left, upper right, lower left, lower right.
    truths: four (t, 5) float32, rows x y w h class, fractions of the canvas. where: (x, y) from `cross`.
    Returns x (h, w, 3) float32 and truth (t, 5) float32; boxes of which less than .001 of a side is left are dropped.
    """
    h, w = pictures[0].shape[:2]
    canvas, rows = np.empty_like(pictures[0]), []
    for i, (picture, truth) in enumerate(zip(pictures, truths, strict=True)):
        left, right = (0, where[0]) if i % 2 == 0 else (where[0], w)
        top, bottom = (0, where[1]) if i < 2 else (where[1], h)
        canvas[top:bottom, left:right] = picture[top:bottom, left:right]
        rows.append(_clipped(truth, np.array([left / w, top / h]), np.array([right / w, bottom / h])))
    return canvas, np.concatenate(rows)


def _clipped(truth, low, high):
    """The part of every box between the corners `low` and `high` (2,), in fractions; without the tiny."""
    first = np.clip(truth[:, :2] - truth[:, 2:4] / 2, low, high)
    last = np.clip(truth[:, :2] + truth[:, 2:4] / 2, low, high)
    rows = np.concatenate([(first + last) / 2, last - first, truth[:, 4:]], axis=1).astype(np.float32)
    return rows[(rows[:, 2:4] >= SMALLEST).all(axis=1)]
