"""Weights rearranged for prediction: the same numbers, the same results, and never stale."""
import numpy as np
import pytest
import small
from conftest import framed

from minidarknet import engine, weights
from minidarknet.engine.pack import BLOCK
from minidarknet.layers import weight as holder
from minidarknet.optimizer import SGD

SHAPES = [(3, 5, 2 * BLOCK + 3, 1), (3, 40, BLOCK, 1), (1, 30, 125, 1), (5, 3, 7, 1), (3, 6, 20, 2), (1, 9, BLOCK, 1)]


@pytest.mark.parametrize("k, c, f, stride", SHAPES)
@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_same_bits_as_from_the_weights_themselves(rng, k, c, f, stride, algorithm):
    x = framed(rng.standard_normal((2, 13, 11, c), np.float32), k // 2)
    weight, (factor, shift) = rng.standard_normal((k, k, c, f), np.float32), rng.standard_normal((2, f), np.float32)
    for pool in (False, True):
        side = [-(-n // stride) for n in (13, 11)]
        outs = []
        for form in (weight, engine.prepare(weight)):
            out = np.zeros((2, *(-(-n // (1 + pool)) for n in side), f), np.float32)
            engine.convolutional_predict(x, form, factor, shift, 1, pool, out, stride, k // 2, 1, algorithm)
            outs.append(out.tobytes())
        assert outs[0] == outs[1]


@pytest.mark.parametrize("k, c, f, stride", SHAPES)
def test_there_and_back(rng, k, c, f, stride):
    weight = rng.standard_normal((k, k, c, f), np.float32)
    prepared = engine.prepare(weight)
    assert prepared.array.shape == (-(-f // BLOCK), c, k * k, BLOCK)
    assert engine.restore(prepared).tobytes() == weight.tobytes()


@pytest.fixture
def net(monkeypatch):
    """A network whose convolutions rearrange their weights however small, and two predictions behind it."""
    monkeypatch.setattr(holder, "WORTH", 1)
    net = small.small_network()
    net.x = np.random.default_rng(0).random((2, *net.input.shape), np.float32)
    net.predict(net.x)
    net.predict(net.x)
    return net


def first(net):
    return next(layer for layer in net.layers if layer.name == "convolutional")


def changed(net, before):
    return net.predict(net.x).tobytes() != before.tobytes()


def test_rearranged_from_the_second_prediction_on(net):
    held = first(net)._weight
    assert held._array is None
    net.layers[0].weight  # noqa: B018 (asking is what counts)
    assert held._prepared is None
    net.predict(net.x)
    assert held._prepared is None
    net.predict(net.x)
    assert held._prepared is not None


def test_written_weights_count(net):
    before = net.predict(net.x)
    first(net).weight[...] *= 2
    assert changed(net, before)
    first(net).weight[...] /= 2
    assert not changed(net, before)
    first(net).weight = 0
    assert changed(net, before)


@pytest.mark.parametrize("part", [lambda w: w, lambda w: w[0], lambda w: w.reshape(-1)])
def test_a_view_that_somebody_holds_is_never_cut_off(net, part):
    view = part(first(net).weight)
    before = [net.predict(net.x) for _ in range(3)][-1]
    view *= 3
    assert changed(net, before)


def test_training_and_files_see_the_weights(net, tmp_path):
    before = net.predict(net.x)
    file = tmp_path / "a.weights"
    weights.save(net, file)
    value = first(net).weight.copy()
    net.predict(net.x)
    net.predict(net.x)
    sgd = SGD(net)
    net.forward(net.x, np.tile(np.array([.5, .5, .4, .4, 0], np.float32), (2, 1, 1)), train=True)
    net.backward()
    sgd.step()
    assert not np.array_equal(first(net).weight, value)
    assert changed(net, before)
    net.predict(net.x)
    weights.load(net, file)
    assert np.array_equal(first(net).weight, value)


def test_numbers_are_held_once(net):
    held = first(net)._weight
    assert (held._array is None) != (held._prepared is None)
