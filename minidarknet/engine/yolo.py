"""The yolo head's activation, a register of channels at a time; the rest of the head: kernels/yolo.py.

    a cell's channels, two anchors   x y w h o c0 c1 ... | x y w h o c0 c1 ...
    sigma of all, by registers       [ . . . . . . . . ][ . . . . . . . . ]...
    then, box by box                 x, y drawn out; w, h put back as they were
"""
import numpy as np

from minidarknet.engine.curves import logistic
from minidarknet.engine.memory import picture, row_address
from minidarknet.engine.vector import FLOAT, LANES, load, read_number, store, write_number
from minidarknet.kernels._jit import parallel_once, prange


@parallel_once
def _activate(x, out, entries, scale, shift, squared):
    """See yolo_activate. x, out: Pictures; entries int: channels of a box; scale, shift float32; squared: int, 0 or 1."""
    for row in prange(x.b * x.h):
        source, target = row_address(x, row), row_address(out, row)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                z = load(source + FLOAT * j, x.c - j)
                store(target + FLOAT * j, z if squared else logistic(z), x.c - j)
            for box in range(0, FLOAT * x.c, FLOAT * entries):
                for at in range(box, box + 2 * FLOAT, FLOAT):
                    write_number(target + at, scale * read_number(target + at) - shift)
                    write_number(target + at + 2 * FLOAT, read_number(source + at + 2 * FLOAT))
            source += FLOAT * x.pixel
            target += FLOAT * out.pixel


def yolo_activate(x, out, head):
    """Raw numbers to activated ones: the logistic of everything but w and h, which stay as they are.

        x, y: scale * logistic - (scale - 1) / 2, so that a centre on the edge of its cell is within reach

    x: (b, h, w, n * (5 + classes)) float32, with head.squared logistic already. out: the same shape, another array,
    *written*. head: kernels.YoloHead. Darknet: forward_yolo_layer.
    """
    _activate(picture(x), picture(out), 5 + head.classes, np.float32(head.scale), np.float32((head.scale - 1) / 2),
              int(head.squared))
