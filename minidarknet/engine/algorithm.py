"""Which way a convolution is computed: directly, or by Winograd where that is possible and pays.

The rule counts, in multiply-adds of one register, what each way does; the figures of the transforms were measured on a
processor with AVX-512. `algorithm=direct` or `winograd` in a [convolutional] section overrules it, as does
`--set convolutional.algorithm=direct` for all of them.
"""
from functools import cache

from minidarknet.engine.tiling import count_products, count_tiles
from minidarknet.engine.vector import LANES
from minidarknet.engine.winograd import TAPS_SIDE

ALGORITHMS = ("auto", "direct", "winograd")
PIXELS_COST = 200   # of one transformed tile of pixels, LANES channels
RESULTS_COST = 200  # of one tile of results, LANES filters
TAPS_COST = 160     # of the weights of one channel and LANES filters, transformed for every chunk of 100 tiles
LEAST_CHANNELS = 16  # with fewer the transforms cost more than they save


def winograd_possible(k, stride, pad, groups):
    """Whether Winograd's formula fits (bool): k x k = 3 x 3 taps, stride 1, pad 1, groups 1. All ints."""
    return k == TAPS_SIDE and stride == 1 and pad == 1 and groups == 1


@cache
def use_winograd(algorithm, k, stride, pad, groups, b, h, w, channels, filters):
    """Whether a convolution of b pictures of h x w pixels from `channels` to `filters` goes by Winograd (bool).

    algorithm: one of ALGORITHMS; "winograd" means: wherever it is possible. k, stride, pad, groups: of the layer. Ints.
    """
    if algorithm == "direct" or not winograd_possible(k, stride, pad, groups):
        return False
    if algorithm == "winograd":
        return True
    if min(channels, filters) < LEAST_CHANNELS:
        return False
    tiles = count_tiles(b, h, w)
    registers = -(-filters // LANES)
    direct = TAPS_SIDE ** 2 * b * h * w * channels * registers
    products = count_products(b, h, w) * channels * registers
    transforms = (PIXELS_COST * tiles * -(-channels // LANES) + RESULTS_COST * tiles * registers
                  + TAPS_COST * -(-tiles // 100) * channels * registers)
    return products + transforms < direct
