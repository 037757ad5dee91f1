"""Training pictures, each time a little different: placed or cropped, mirrored, in other colours; boxes follow.

Where a picture lands on the canvas is four whole numbers (width, height, left, top), used for pixels and boxes alike.
"""
from dataclasses import dataclass

import numpy as np

from minidarknet.data import pictures
from minidarknet.data.example import NO_BOX
from minidarknet.errors import UsageError

SMALLEST = 1e-3  # boxes narrower or lower than this fraction of the canvas are dropped, as in Darknet
MODES = ("place", "crop", "none")


@dataclass(frozen=True)
class Augmentation:
    """How pictures are varied; the defaults are those of the YOLOv2 cfgs.

    mode: "place": the whole picture with a jittered aspect, as large as fits, anywhere on grey (Darknet since 2017).
    "crop": each edge moved by up to `jitter` of the side, inwards or outwards (grey there), the rest filling the
    canvas (YOLO9000's time). "none": the picture fitted as for detection, neither mirrored nor recoloured.
    resize: "letterbox" keeps the picture's aspect, "stretch" gives it the canvas's (before jitter; crop always does).
    mosaic: the loader puts four such pictures together (data/mosaic.py).
    A picture of which only the class is known may be a crop, its object larger than a detector ever sees one: it is shown
    on a part of the canvas, anywhere, of a size between `smallest` of the canvas's and all of it (1: always all of it).
    """

    jitter: float = 0.2        # of the sides, 0..1
    hue: float = 0.1           # shift up to this fraction of the circle, either way
    saturation: float = 1.5    # factor between 1/this and this
    exposure: float = 1.5      # the same for the brightness
    flip: bool = True          # mirror every second picture
    mode: str = "place"
    resize: str = "letterbox"
    mosaic: bool = False
    smallest: float = 1.0

    def __post_init__(self):
        if self.mode not in MODES or self.resize not in ("letterbox", "stretch"):
            raise UsageError(f"augmentation {self.mode!r}, resize {self.resize!r}: expected one of {', '.join(MODES)}, "
                             "and letterbox or stretch")
        if not 0 < self.smallest <= 1:
            raise UsageError(f"smallest={self.smallest:g}: a share of the canvas's sides, 0 < smallest <= 1, is expected")
        if not 0 <= self.jitter < 1:
            raise UsageError(f"jitter={self.jitter:g}: a fraction of the picture's side, 0 <= jitter < 1, is expected")

    def vary(self, picture, example, size, rng):
        """One varied picture and its truth (t, 5), as `augment`; difficult objects are not in the truth.

        The truth ends with a row NO_BOX NO_BOX NO_BOX NO_BOX class for each class without a box.
        """
        easy, share = ~example.difficult, 1.0
        if len(example.unboxed) and self.smallest < 1:
            share = self.smallest ** float(rng.random())  # as many halved as halved once more
        x, truth = augment(picture, example.boxes[easy], example.classes[easy], size, self, rng, share)
        marks = [[*(NO_BOX,) * 4, kind] for kind in example.unboxed]
        return x, np.concatenate([truth, np.array(marks, np.float32).reshape(-1, 5)])

    @staticmethod
    def batch_truth(truths):
        """The truths (t, 5) of a batch's pictures, zero rows after the last object of each: (b, t, 5) float32."""
        truth = np.zeros((len(truths), max(1, *map(len, truths)), 5), np.float32)
        for row, own in zip(truth, truths):
            row[:len(own)] = own
        return truth


def _placed(width, height, size, options, rng):
    """Where "place" puts a picture: (new width, new height, left, top), canvas pixels."""
    w, h = size
    if options.resize == "stretch":
        width, height = w, h
    across, along, right, down = rng.uniform(-1, 1, 2).tolist() + rng.uniform(0, 1, 2).tolist()
    aspect = (width * (1 + options.jitter * across)) / (height * (1 + options.jitter * along))
    # Darknet compares with 1, which is the same for its square canvas.
    new_width, new_height = (h * aspect, h) if aspect < w / h else (w, w / aspect)
    new_width, new_height = max(int(new_width), 1), max(int(new_height), 1)
    return new_width, new_height, int(right * (w - new_width)), int(down * (h - new_height))


def _cropped(width, height, size, options, rng):
    """Where "crop" puts a picture: (new width, new height, left, top); it may stick out of the canvas, or be inside."""
    w, h = size
    left, right = (width * options.jitter * rng.uniform(-1, 1, 2)).tolist()
    top, bottom = (height * options.jitter * rng.uniform(-1, 1, 2)).tolist()
    scale_x, scale_y = w / max(width - left - right, 1), h / max(height - top - bottom, 1)
    return (max(round(width * scale_x), 1), max(round(height * scale_y), 1), round(-left * scale_x),
            round(-top * scale_y))


def factor(limit, rng):
    """A factor (float) between 1 and `limit`, or its inverse. limit: > 0, below or above 1; 0 means 1, as in Darknet.

    rng: numpy Generator, drawn from twice.
    """
    limit = limit or 1.0
    drawn, way = rng.uniform(min(1.0, limit), max(1.0, limit)), rng.integers(2)
    return float(drawn if way else 1 / drawn)


def _truth(boxes, classes, size, where, flip):
    """Boxes of the picture as boxes of the canvas, clipped, the tiny dropped: (t, 5) float32, x y w h class."""
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    canvas, placed, offset = np.tile(size, 2), np.tile(where[:2], 2), np.tile(where[2:], 2)
    corners = (corners * placed + offset) / canvas
    if flip:
        corners[:, [0, 2]] = 1 - corners[:, [2, 0]]
    corners = corners.clip(0, 1)
    sides = corners[:, 2:] - corners[:, :2]
    keep = (sides >= SMALLEST).all(axis=1)
    rows = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, sides, classes[:, None]], axis=1)
    return rows[keep].astype(np.float32)


def _on_part(where, size, share, rng):
    """The place `where` on a canvas with `share` of the sides of `size`, moved with it to anywhere on the whole canvas."""
    right, down = (int(rng.random() * (side - inner)) for side, inner in zip(size, _part(size, share)))
    return (*where[:2], where[2] + right, where[3] + down)


def _part(size, share):
    """(w, h) of a canvas with `share` of the sides of the canvas `size`."""
    return tuple(max(int(side * share), 1) for side in size)


def augment(picture, boxes, classes, size, options, rng, share=1.0):
    """One varied picture for the network and its boxes.

    picture: (h, w, 3) uint8 RGB. boxes: (n, 4), centre form, fractions of the picture. classes: (n,) int.
    size: (w, h) of the network's input. options: Augmentation. rng: numpy Generator; draws in this order: where (4),
    hue, saturation (2), exposure (2), flip. share: of the canvas's sides that the picture is given; below 1 the part lies
    anywhere (2 draws more, before the hue). Returns x (h, w, 3) float32 in 0..1, and truth (t, 5) float32, rows
    x y w h class, fractions of x, clipped to it; boxes below .001 of a side are dropped.

    Darknet: src/data.c, load_data_detection (place; its boxes use the places before rounding, ours the pixels' own)
    and load_data_region (crop; it repeats the border where we fill with grey).
    """
    # Imported here: `train --help` must not need Numba.
    from minidarknet.kernels.image import distort, place

    boxes, classes = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(classes, np.float64)
    if options.mode == "none":
        x, geometry = pictures.fit(picture, size[::-1], options.resize)
        return x, _truth(boxes, classes, size, (*geometry.placed, *geometry.offset), False)
    height, width = picture.shape[:2]
    where = (_placed if options.mode == "place" else _cropped)(width, height, _part(size, share), options, rng)
    if share < 1:
        where = _on_part(where, size, share, rng)
    hue = float(rng.uniform(-options.hue, options.hue))
    saturation, exposure = factor(options.saturation, rng), factor(options.exposure, rng)
    flip = bool(rng.integers(2)) and options.flip
    x = np.empty((size[1], size[0], 3), np.float32)
    place(picture, x, *where, pictures.FILL, flip, 255.0, False)
    if (hue, saturation, exposure) != (0.0, 1.0, 1.0):
        distort(x, hue, saturation, exposure)
    return x, _truth(boxes, classes, size, where, flip)
