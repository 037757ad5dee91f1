"""out = a * x and out = a * x + b * y, a register at a time: copying, adding up, and sending gradients back."""
import numpy as np

from minidarknet.engine.memory import row_address
from minidarknet.engine.vector import FLOAT, LANES, load, splat, store
from minidarknet.kernels._jit import parallel, prange

ONE = np.float32(1)


@parallel
def scale(x, a, out):
    """out = a * x. x, out: Pictures of one size, out *written*; a float32."""
    for row in prange(x.b * x.h):
        source, target = row_address(x, row), row_address(out, row)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                store(target + FLOAT * j, splat(a) * load(source + FLOAT * j, x.c - j), x.c - j)
            source += FLOAT * x.pixel
            target += FLOAT * out.pixel


@parallel
def blend(x, a, y, b, out):
    """out = a * x + b * y. x, y, out: Pictures of one size, out *written*, may be x or y; a, b float32."""
    for row in prange(x.b * x.h):
        first, second, target = row_address(x, row), row_address(y, row), row_address(out, row)
        for _ in range(x.w):
            for j in range(0, x.c, LANES):
                left, at = x.c - j, FLOAT * j
                store(target + at, splat(a) * load(first + at, left) + splat(b) * load(second + at, left), left)
            first += FLOAT * x.pixel
            second += FLOAT * y.pixel
            target += FLOAT * out.pixel
