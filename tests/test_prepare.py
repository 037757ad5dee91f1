"""Weights in the order of a prediction: the same numbers, and the same bits come out of them."""
import numpy as np
import pytest
from conftest import framed
from test_engine import Case

from minidarknet import engine
from minidarknet.activations import activation_code
from minidarknet.engine.pack import BLOCK

SHAPES = [(3, 3, 7, 2 * BLOCK), (3, 3, 5, BLOCK + 1), (1, 1, 20, BLOCK - 1), (1, 1, 1, 1), (5, 5, 3, 3 * BLOCK + 7),
          (2, 2, 4, 9)]
# (b, h, w, c, f, k, stride, pad, groups), algorithm
CONVOLUTIONS = [((2, 9, 8, 20, BLOCK + 6, 3, 1, 1, 1), "direct"), ((2, 13, 13, 20, BLOCK + 6, 3, 1, 1, 1), "winograd"),
                ((1, 13, 13, 70, 2 * BLOCK, 3, 1, 1, 1), "winograd"), ((1, 6, 7, 130, 2 * BLOCK + 3, 1, 1, 0, 1), "direct"),
                ((1, 8, 7, 9, 40, 5, 1, 2, 1), "direct"), ((2, 11, 9, 12, BLOCK + 1, 3, 2, 1, 1), "direct"),
                ((1, 3, 2, 700, 40, 3, 1, 1, 1), "direct"), ((1, 9, 9, 16, BLOCK, 3, 1, 1, 1), "auto")]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_there_and_back(rng, shape):
    weight = rng.standard_normal(shape, np.float32)
    prepared = engine.prepare(weight)
    restored = engine.restore(prepared)
    assert prepared.shape == restored.shape == shape
    assert restored.tobytes() == weight.tobytes()
    assert restored.flags.c_contiguous and not np.shares_memory(restored, prepared.array)
    assert not np.shares_memory(prepared.array, weight)


def test_where_a_number_stands_and_what_fills_up(rng):
    k, c, f = 3, 4, BLOCK + 5
    weight = rng.standard_normal((k, k, c, f), np.float32)
    array = engine.prepare(weight).array
    assert array.shape == (2, c, k * k, BLOCK)
    for ky, kx, channel, filter_ in ((0, 0, 0, 0), (1, 2, 3, BLOCK - 1), (2, 1, 0, BLOCK), (2, 2, 3, f - 1)):
        assert array[filter_ // BLOCK, channel, ky * k + kx, filter_ % BLOCK] == weight[ky, kx, channel, filter_]
    assert not array[1, ..., 5:].any()
    assert array.ctypes.data % 64 == 0, "a register of weights lies in one cache line"


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("shape, algorithm", CONVOLUTIONS, ids=str)
def test_predictions_have_the_same_bits(rng, shape, algorithm, pool):
    case = Case(rng, shape)
    b, h, w, f = case.grad_out.shape
    factor, shift = rng.standard_normal((2, f), np.float32)

    def predict(weight):
        out = framed(np.ones((b, -(-h // 2), -(-w // 2), f) if pool else (b, h, w, f), np.float32))
        norm = factor, shift, None, None, 0
        engine.convolutional_prediction(case.x, weight, norm, activation_code("leaky"), pool, out, *case.how, algorithm)()
        return out

    plain, prepared = predict(case.weight), predict(engine.prepare(case.weight))
    assert np.ptp(plain) > 0
    assert prepared.tobytes() == plain.tobytes()
