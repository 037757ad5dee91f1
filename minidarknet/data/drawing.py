"""Pictures for the sample set: twelve kinds of shape on textured ground, every one from its own random stream.

The twelve leaf classes hang in a two-level label tree, `TREE`:

    polygon -> triangle square pentagon angle          (straight sides)
    round   -> circle ring crescent semicircle         (curved outlines)
    sign    -> star cross arrow heart                  (with notches)

No class differs from another by its aspect alone, as square and bar would: augmentation changes the aspect.
A shape is one or two closed outlines in unit coordinates, filled by the even-odd rule. Where it lies is decided first
(`lay_out`), with arithmetic of our own, so that the annotations do not depend on the version of any picture library;
only then is the picture painted. Paint order is depth: a later object hides an earlier one.
"""
import colorsys
import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

TREE = {
    "polygon": ("triangle", "square", "pentagon", "angle"),
    "round": ("circle", "ring", "crescent", "semicircle"),
    "sign": ("star", "cross", "arrow", "heart"),
}
NAMES = tuple(sorted(name for leaves in TREE.values() for name in leaves))

# How hard the set is. Change a number, change the version in sample.py: folders already written are not redrawn.
PICTURE_SIDE = 240, 320     # pixels, both sides drawn independently
OBJECTS = 1, 6              # per picture
OBJECT_SIDE = 0.08, 0.60    # of the picture's side, for the width and the height of every box
SIZE_POWER = 0.60           # < 1: more large objects, > 1: more small ones (between the two ends, logarithmically)
OVERLAP_SHARE = 0.24        # share of the objects after the first that must overlap an earlier one
OVERLAP_IOU = 0.03, 0.45    # of the two boxes, where an overlap is wanted
LEAST_VISIBLE = 0.80        # of an object's area, after borders and later objects
CONTRAST = 0.32             # least colour distance (0..1) of an object from nearly all that lies around and under it
TEXTURE = 0.05, 0.30        # colour distance between the two colours of the ground
SHADE = 0.0, 0.20           # brightness range of an object's own pattern, of its colour
NOISE = 0.0, 0.035          # standard deviation of the sensor noise, of the full range
MARKS = 2, 9                # distracting marks per picture
OVERSAMPLE = 4              # sub-pixels per pixel and direction when an outline is filled
SOLID = 0.25                # covered share from which a pixel belongs to the object (its box is the box of these)


class Placed(NamedTuple):
    """An object laid out in a picture.

    name: leaf class. box_px: VOC pixels (xmin, ymin, xmax, ymax), 1-based, inclusive, inside the picture.
    truncated: part of it lies outside. cover: (bh, bw) float32, covered share 0..1 of the pixels inside that box.
    """

    name: str
    box_px: tuple
    truncated: bool
    cover: np.ndarray

    @property
    def where(self):
        """The box as (rows, columns) slices of the picture."""
        x0, y0, x1, y1 = self.box_px
        return slice(y0 - 1, y1), slice(x0 - 1, x1)


def _between(rng, bounds):
    """A float drawn evenly from bounds = (low, high)."""
    return bounds[0] + (bounds[1] - bounds[0]) * rng.random()


def _whole(rng, bounds):
    """An int drawn evenly from bounds = (low, high), both included."""
    return bounds[0] + int((bounds[1] - bounds[0] + 1) * rng.random())


def _arc(start, stop, radius=1.0, x=0.0, points=64):
    """(points, 2) float64 points of the circle around (x, 0) from angle start to stop (radians)."""
    angle = np.linspace(start, stop, points)
    return np.stack([x + radius * np.cos(angle), radius * np.sin(angle)], 1)


def _corners(n, inner=None):
    """(n, 2) corners of a regular polygon, or (2n, 2) of a star whose notches lie at radius `inner`."""
    count = n if inner is None else 2 * n
    points = _arc(0, 2 * math.pi * (count - 1) / count, points=count)
    if inner is not None:
        points[1::2] *= inner
    return points


def _crescent(rng):
    """The unit disc without a disc of radius `bite` around (shift, 0)."""
    bite, shift = _between(rng, (0.80, 0.90)), _between(rng, (0.50, 0.60))
    x = (1 + shift * shift - bite * bite) / (2 * shift)  # where the two circles meet
    outer, inner = math.acos(x), math.acos((x - shift) / bite)
    return [np.concatenate([_arc(outer, 2 * math.pi - outer), _arc(2 * math.pi - inner, inner, bite, shift)])]


def _cross(rng):
    """Two crossed bars: one arm, turned four times."""
    half = _between(rng, (0.20, 0.28))
    arms = [np.array([[half, half], [1, half], [1, -half]])]
    for _ in range(3):
        arms.append(arms[-1] @ [[0, -1], [1, 0]])
    return [np.concatenate(arms)]


def _arrow(rng):
    """A shaft and a head, pointing along x."""
    half, neck = _between(rng, (0.16, 0.22)), _between(rng, (0.0, 0.15))
    return [np.array([[-1, -half], [neck, -half], [neck, -0.6], [1, 0], [neck, 0.6], [neck, half], [-1, half]])]


def _heart(rng):
    """Two lobes and a tip."""
    t = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [np.stack([16 * np.sin(t) ** 3, -y - 2.5], 1) / 16]


def _angle(rng):
    """Two arms at a right angle, like the letter L."""
    inner = _between(rng, (0.56, 0.76)) - 1
    return [np.array([[-1, -1], [1, -1], [1, inner], [inner, inner], [inner, 1], [-1, 1]])]


_OUTLINES = {  # name -> rng -> list of (n, 2) closed outlines around the origin, any scale
    "triangle": lambda rng: [_corners(3) * [_between(rng, (0.85, 1.25)), 1]],
    "square": lambda rng: [_corners(4)],
    "pentagon": lambda rng: [_corners(5)],
    "angle": _angle,
    "circle": lambda rng: [_arc(0, 2 * math.pi)],
    "semicircle": lambda rng: [_arc(-math.pi / 2, math.pi / 2)],
    "ring": lambda rng: [_arc(0, 2 * math.pi), _arc(0, 2 * math.pi, _between(rng, (0.52, 0.66)))],
    "crescent": _crescent,
    "star": lambda rng: [_corners(5, inner=_between(rng, (0.40, 0.48)))],
    "cross": _cross,
    "arrow": _arrow,
    "heart": _heart,
}


def rasterise(outlines):
    """Fill closed outlines by the even-odd rule: a sub-pixel is inside when an odd number of edges lies to its left.

    outlines: list of (n, 2) float64 points x y in pixels, x and y >= 0.
    Returns (h, w) float32: the covered share 0..1 of every pixel from the origin to the farthest point.
    """
    w, h = np.ceil(np.concatenate(outlines).max(0)).astype(int)
    y = (np.arange(h * OVERSAMPLE) + 0.5) / OVERSAMPLE
    flips = np.zeros((h * OVERSAMPLE, w * OVERSAMPLE + 1), np.uint8)
    for start in outlines:
        end = np.roll(start, -1, 0)
        row, edge = np.nonzero((start[:, 1] <= y[:, None]) != (end[:, 1] <= y[:, None]))
        (x0, y0), (x1, y1) = start[edge].T, end[edge].T
        x = x0 + (y[row] - y0) * (x1 - x0) / (y1 - y0)
        column = np.ceil(x * OVERSAMPLE - 0.5).astype(int)  # the first sub-pixel whose centre is right of the edge
        np.bitwise_xor.at(flips, (row, column), 1)
    inside = np.bitwise_xor.accumulate(flips, 1)[:, :-1]
    columns = inside.reshape(h, OVERSAMPLE, w * OVERSAMPLE).sum(1, dtype=np.float32)
    return sum(columns[:, i::OVERSAMPLE] for i in range(OVERSAMPLE)) / np.float32(OVERSAMPLE ** 2)


def _shape(rng, name, size):
    """A freely turned shape of a random size, as its cover: (bh, bw) float32, cropped to its solid pixels.

    size: the picture's (w, h); both sides of the shape stay within OBJECT_SIDE of it.
    """
    angle = 2 * math.pi * rng.random()
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    outlines = [outline @ turn for outline in _OUTLINES[name](rng)]
    points = np.concatenate(outlines)
    shares = np.ptp(points, 0) / size
    # Two pixels more at the lower end: the solid pixels of a tip end a little before its outline does.
    smallest = (OBJECT_SIDE[0] + 2 / min(size)) / shares.min()
    largest = (OBJECT_SIDE[1] - 1 / min(size)) / shares.max()
    scale = smallest * (largest / smallest) ** (rng.random() ** SIZE_POWER)
    shift = rng.random(2) - points.min(0) * scale
    cover = rasterise([outline * scale + shift for outline in outlines])
    solid = cover >= SOLID
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    return cover[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def _drop(rng, name, cover, size):
    """Put a cover somewhere on a picture of size (w, h), perhaps a little over its border: a Placed, or None.

    None when too little of the object would be inside.
    """
    (bh, bw), (w, h) = cover.shape, size
    x, y = (_whole(rng, (-int(0.15 * side), room - side + int(0.15 * side))) for side, room in ((bw, w), (bh, h)))
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + bw, w), min(y + bh, h)
    inside = cover[y0 - y:y1 - y, x0 - x:x1 - x]
    solid = inside >= SOLID
    if solid.sum() < 0.5 * (1 + LEAST_VISIBLE) * (cover >= SOLID).sum():
        return None
    # What is left inside may not reach every side of the clipped box: the box is that of the remaining solid pixels.
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    inside = inside[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    if min(inside.shape[1] / w, inside.shape[0] / h) < OBJECT_SIDE[0]:
        return None
    x0, y0 = x0 + int(columns[0]), y0 + int(rows[0])
    box = x0 + 1, y0 + 1, x0 + inside.shape[1], y0 + inside.shape[0]
    return Placed(name, box, solid.shape != (bh, bw), inside)


def _iou(a, b):
    """Intersection over union of two VOC pixel boxes (1-based, inclusive)."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    if w <= 0 or h <= 0:
        return 0.0
    area = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return w * h / (sum(area) - w * h)


def lay_out(rng):
    """Decide a picture's size and its objects, back to front, by numpy Generator `rng`: (w, h), [Placed]."""
    size = _whole(rng, PICTURE_SIDE), _whole(rng, PICTURE_SIDE)
    top = np.zeros(size[::-1], np.int8)  # which object is seen at each pixel, counted from 1
    placed, areas = [], []
    for _ in range(_whole(rng, OBJECTS)):
        name = NAMES[_whole(rng, (0, len(NAMES) - 1))]
        overlap = bool(placed) and rng.random() < OVERLAP_SHARE
        for attempt in range(60):
            if attempt % 20 == 0:
                cover = _shape(rng, name, size)
            new = _drop(rng, name, cover, size)
            if new is None:
                continue
            closest = max((_iou(new.box_px, old.box_px) for old in placed), default=0.0)
            if not (OVERLAP_IOU[0] <= closest <= OVERLAP_IOU[1] if overlap else closest == 0):
                continue
            seen = top.copy()
            seen[new.where][new.cover >= SOLID] = len(placed) + 1
            if all((seen == i + 1).sum() >= LEAST_VISIBLE * area for i, area in enumerate(areas)):
                top, placed, areas = seen, placed + [new], areas + [(cover >= SOLID).sum()]
                break
    return size, placed


def _pattern(rng, w, h):
    """A texture, (h, w) float32 in 0..1: a slope, stripes, a checkerboard, soft blobs or coarse grain."""
    kind, angle, period = _whole(rng, (0, 4)), math.pi * rng.random(), _between(rng, (9, 60))
    y, x = np.ogrid[:h, :w]
    u = np.float32(math.cos(angle)) * x + np.float32(math.sin(angle)) * y
    v = np.float32(math.cos(angle)) * y - np.float32(math.sin(angle)) * x
    if kind == 0:
        return ((u - u.min()) / np.ptp(u)).astype(np.float32)
    if kind == 1:
        return (0.5 + 0.5 * np.sin(u * np.float32(2 * math.pi / period))).astype(np.float32)
    if kind == 2:
        return ((np.floor(u / period) + np.floor(v / period)) % 2).astype(np.float32)
    cell = period if kind == 3 else 4
    coarse = rng.random((2 + int(h / cell), 2 + int(w / cell))).astype(np.float32)
    return np.clip(np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC)), 0, 1)


def _colour(rng):
    """A colour, (3,) float32 RGB in 0..1, evenly over hue, saturation and brightness."""
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.random() ** 0.7, _between(rng, (0.12, 1.0))), np.float32)


def _distance(a, b):
    """How different two colours (..., 3) look, 0..1: the channels weighted as the eye weights them."""
    return np.sqrt(((a - b) ** 2) @ np.array([0.30, 0.50, 0.20], np.float32))


def _marks(rng, picture):
    """Draw lines, dots, scribbles and parts of circles, none of them an object; picture: uint8 PIL image, in place."""
    draw, (w, h) = ImageDraw.Draw(picture), picture.size
    for _ in range(_whole(rng, MARKS)):
        colour = tuple(int(255 * value) for value in _colour(rng))
        x, y, kind, thick = w * rng.random(), h * rng.random(), _whole(rng, (0, 3)), _whole(rng, (1, 3))
        if kind == 0:
            draw.line([x, y, w * rng.random(), h * rng.random()], colour, thick)
        elif kind == 1:
            for _ in range(_whole(rng, (2, 8))):
                dx, dy, r = *(30 * rng.random(2)), _between(rng, (1, 3))
                draw.ellipse([x + dx - r, y + dy - r, x + dx + r, y + dy + r], colour)
        elif kind == 2:  # strokes one after the other, like letters
            for stroke in range(_whole(rng, (2, 5))):
                points = rng.random((_whole(rng, (3, 4)), 2)) * [9, 14] + [x + 12 * stroke, y]
                draw.line([tuple(point) for point in points], colour, thick)
        else:
            r, start = _between(rng, (8, 45)), 360 * rng.random()
            draw.arc([x - r, y - r, x + r, y + r], start, start + _between(rng, (40, 150)), colour, thick)


def _paint(rng, canvas, item):
    """Paint one Placed in a colour that stands out from what is under and around it; canvas: (h, w, 3), in place."""
    (x0, y0, x1, y1), (h, w) = item.box_px, canvas.shape[:2]
    near = canvas[max(y0 - 7, 0):min(y1 + 6, h):3, max(x0 - 7, 0):min(x1 + 6, w):3].reshape(-1, 3)
    colours = np.stack([_colour(rng) for _ in range(16)])
    apart = np.quantile(_distance(colours[:, None], near), 0.05, axis=1)
    # The first that is far enough from nearly every pixel; if none is, the farthest.
    colour = colours[np.argmax(apart >= CONTRAST) if (apart >= CONTRAST).any() else np.argmax(apart)]
    bh, bw = item.cover.shape
    shade = 1 + _between(rng, SHADE) * (_pattern(rng, bw, bh) - 0.5)
    under = canvas[item.where]
    under += item.cover[..., None] * (colour * shade[..., None] - under)


def draw_picture(number, seed=0):
    """Draw picture `number` of the set `seed`: (PIL.Image RGB, list of Placed, back to front).

    Each picture has its own Philox stream, so that order and number of workers do not matter.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, number]))
    (w, h), items = lay_out(rng)
    base = _colour(rng)
    other = np.clip(base + (rng.random(3) - 0.5), 0, 1).astype(np.float32)
    other = base + (other - base) * np.float32(_between(rng, TEXTURE) / max(_distance(base, other), 0.05))
    mix = np.float32(0.65) * _pattern(rng, w, h) + np.float32(0.35) * _pattern(rng, w, h)
    ground = base + mix[..., None] * (other - base)
    marked = Image.fromarray((np.clip(ground, 0, 1, out=ground) * 255).astype(np.uint8))
    _marks(rng, marked)
    canvas = np.asarray(marked, np.float32) / 255
    for item in items:
        _paint(rng, canvas, item)
    canvas += np.float32(_between(rng, NOISE)) * rng.standard_normal((h, w, 1), np.float32)
    return Image.fromarray((np.clip(canvas, 0, 1, out=canvas) * 255).astype(np.uint8)), items
