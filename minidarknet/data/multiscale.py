"""The size of the network's input as training goes on: a new one every 10 updates, for classifiers every 40.

Paper: YOLO9000, section 2, "Multi-Scale Training": every 10 batches one of 320, 352, ..., 608.
"""
from typing import NamedTuple

from minidarknet.data.draws import SIZE, stream


class Scales(NamedTuple):
    """every: updates at one size. smallest, largest: multiples of 32. middle: what stands for the cfg's own size."""

    every: int
    smallest: int
    largest: int
    middle: int


DETECTOR = Scales(10, 10, 19, 13)    # 320 .. 608; as ratios to 416: 10/13 .. 19/13
CLASSIFIER = Scales(40, 4, 14, 8)    # 128 .. 448; as ratios to 256: 4/8 .. 14/8


def size_at(seed, step, base, stride=32, scales=DETECTOR):
    """The input size (w, h) for the update `step`, the same for each group of scales.every updates.

    A square base within 320..608 (of a classifier 128..448) with stride 32: k 32 for a k drawn from smallest..largest,
    as Darknet does. Any other base: base k/middle for the same k, each side rounded to a multiple of the stride (so that
    the mean is a little above base).
    seed: int. step: int, updates made before this one. base: (w, h) of the cfg. stride: int, pixels per cell. scales:
    DETECTOR or CLASSIFIER.

    Darknet: examples/detector.c, train_detector; it also ends with 200 batches at the largest size, which is left out;
    examples/classifier.c, train_classifier.
    """
    k = int(stream(seed, SIZE, step // scales.every).integers(scales.smallest, scales.largest + 1))
    width, height = base
    if width == height and stride == 32 and scales.smallest * 32 <= width <= scales.largest * 32:
        return k * 32, k * 32
    return tuple(max(round(side * k / scales.middle / stride), 1) * stride for side in (width, height))
