"""One step of gradient descent as a single pass over memory; the formula is in kernels/sgd.py."""
import numpy as np

from minidarknet.engine.memory import address_of
from minidarknet.engine.vector import FLOAT, LANES, ZERO, load, splat, store
from minidarknet.kernels._jit import parallel, prange

SHARE = 256 * LANES  # numbers that a thread takes at a time


@parallel
def _update(value, grad, velocity, size, rate, momentum, decay, share):
    """The step; value, grad, velocity: addresses of `size` float32 numbers; the factors float32; share = 1 / images."""
    for block in prange(-(-size // SHARE)):
        rates, momenta, decays, shares = splat(rate), splat(momentum), splat(decay), splat(share)
        for i in range(block * SHARE, min((block + 1) * SHARE, size), LANES):
            at, left = FLOAT * i, size - i
            weight = load(value + at, left)
            v = momenta * load(velocity + at, left) + shares * load(grad + at, left) + decays * weight
            store(velocity + at, v, left)
            store(value + at, weight - rates * v, left)
            store(grad + at, splat(ZERO), left)


def sgd_update(value, grad, velocity, rate, momentum, decay, images):
    """Roll downhill: v <- momentum v + grad / images + decay value;  value <- value - rate v;  grad <- 0.

    value (n,) float32, *written*: the weights; grad (n,) float32: dL/dvalue summed over the images since the last step,
    *written* to zero for the next; velocity (n,) float32, *written*; rate, momentum, decay floats; images int: how many
    pictures grad sums over. All contiguous.
    Darknet: src/convolutional_layer.c (which carries -images * v instead of v, and takes the same step).
    """
    factors = (np.float32(factor) for factor in (rate, momentum, decay, 1 / images))
    _update(address_of(value), address_of(grad), address_of(velocity), value.size, *factors)
