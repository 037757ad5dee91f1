"""The size of the network's input as training goes on: a new one every 10 updates.

Paper: YOLO9000, section 2, "Multi-Scale Training": every 10 batches one of 320, 352, ..., 608.
"""
from minidarknet.data.draws import SIZE, stream

EVERY = 10                    # updates
SMALLEST, LARGEST = 10, 19    # multiples of 32: 320 .. 608; as ratios to 416: 10/13 .. 19/13


def size_at(seed, step, base, stride=32):
    """The input size (w, h) for the update `step`, the same for each group of ten updates.

    A square base within 320..608 with stride 32: k 32 for a k drawn from 10..19, as Darknet does. Any other base:
    base k/13 for the same k, each side rounded to a multiple of the stride (so that the mean is a little above base).
    seed: int. step: int, updates made before this one. base: (w, h) of the cfg. stride: int, pixels per cell.

    Darknet: examples/detector.c, train_detector; it also ends with 200 batches at the largest size, which is left out.
    """
    k = int(stream(seed, SIZE, step // EVERY).integers(SMALLEST, LARGEST + 1))
    width, height = base
    if width == height and stride == 32 and SMALLEST * 32 <= width <= LARGEST * 32:
        return k * 32, k * 32
    return tuple(max(round(side * k / 13 / stride), 1) * stride for side in (width, height))
