"""Weights change their order in memory for predictions that follow each other, and nobody can tell but by the time."""
import sys
import weakref

import numpy as np
import pytest
from small import small_network

from minidarknet import SGD, engine, weights
from minidarknet.layers import weight as module
from minidarknet.layers.weight import Weight

COUNTED = hasattr(sys, "getrefcount")  # where Python does not count, the order never changes
pytestmark = pytest.mark.skipif(not engine.CHOOSES, reason="without the JIT nothing is prepared")


@pytest.fixture(autouse=True)
def every_weight_is_worth_it(monkeypatch):
    monkeypatch.setattr(module, "WORTH", 1)


@pytest.fixture
def net():
    return small_network(activation="leaky")


@pytest.fixture
def x(rng):
    return rng.random((2, 16, 16, 3), np.float32)


def convolutions(net):
    return [layer for layer in net.layers if layer.name == "convolutional"]


def prepared(net):
    """Whether the weights are in the order of a prediction: of all convolutions, or of none."""
    states = {layer._weight._array is None for layer in convolutions(net)}
    assert len(states) == 1
    return states.pop()


def predict_twice(net, x):
    """Two predictions in a row, after which the weights are prepared."""
    first = net.predict(x)
    assert not prepared(net)
    assert net.predict(x).tobytes() == first.tobytes()
    assert prepared(net) == COUNTED
    return first


def fresh(net, x):
    """What a network that never predicted says with the same weights."""
    other = small_network(activation="leaky")
    for mine, theirs in zip(net.layers, other.layers, strict=True):
        for a, b in zip(mine.stored, theirs.stored, strict=True):
            b.array[...] = a.array
    return other.predict(x)


def test_from_the_second_prediction_on(net, x):
    first = predict_twice(net, x)
    assert net.predict(x).tobytes() == first.tobytes()
    kept = [layer._weight._prepared for layer in convolutions(net)]
    net.predict(x)
    assert all(layer._weight._prepared is before for layer, before in zip(convolutions(net), kept, strict=True))


def test_predictions_are_counted_anew_once_the_array_was_asked_for(net, x):
    predict_twice(net, x)
    before = [layer.weight.copy() for layer in convolutions(net)]
    assert not prepared(net)
    predict_twice(net, x)
    for layer, values in zip(convolutions(net), before, strict=True):
        assert layer.weight.tobytes() == values.tobytes()


def test_small_weights_stay(net, x, monkeypatch):
    monkeypatch.setattr(module, "WORTH", 1 << 16)
    for _ in range(3):
        net.predict(x)
        assert not prepared(net)


def test_the_arithmetic_of_kernels_prepares_nothing(x):
    net = small_network(backend="kernels")
    for _ in range(3):
        net.predict(x)
        assert not prepared(net)


@pytest.mark.parametrize("hold", [lambda w: w, lambda w: w[0], lambda w: w[..., :1].T, lambda w: w.reshape(-1), memoryview,
                                  lambda w: np.asarray(memoryview(w[0]))],
                         ids=["array", "row", "turned view", "flat", "memoryview", "array of a memoryview"])
def test_while_somebody_holds_the_array_it_stays(net, x, hold):
    layer = convolutions(net)[0]
    held = hold(layer.weight)
    for _ in range(3):
        net.predict(x)
        assert layer._weight._array is not None
    assert all((other._weight._array is None) == COUNTED for other in convolutions(net)[1:])
    del held
    net.predict(x)
    assert (layer._weight._array is None) == COUNTED


def test_writing_to_a_view_held_through_predictions_is_seen(net, x):
    held = convolutions(net)[0].weight[0]
    first = [net.predict(x) for _ in range(3)][0]
    held[...] = -held
    changed = net.predict(x)
    assert not np.array_equal(changed, first)
    assert changed.tobytes() == fresh(net, x).tobytes()


@pytest.mark.parametrize("write", [
    lambda layer: layer.weight.__imul__(2), lambda layer: layer.weight.fill(.1),
    lambda layer: setattr(layer, "weight", layer.weight[::-1] + 1), lambda layer: layer.weight.__setitem__((0, 0, 0, 0), 9),
    lambda layer: layer.params[-1].value.__imul__(2), lambda layer: layer.stored[-1].array.__imul__(2)],
    ids=["in place", "fill", "assigned", "one number", "params", "stored"])
def test_writing_after_predictions_is_seen_by_the_next(net, x, write):
    first = predict_twice(net, x)
    for layer in convolutions(net):
        write(layer)
    changed = net.predict(x)
    assert not np.array_equal(changed, first)
    assert changed.tobytes() == fresh(net, x).tobytes()
    for _ in range(2):
        assert net.predict(x).tobytes() == changed.tobytes()


def test_an_array_asked_for_before_and_after_is_the_real_one(net, x):
    predict_twice(net, x)
    layer = convolutions(net)[1]
    one, other = layer.weight, layer.params[-1].value
    assert one is other is layer.stored[-1].array
    one[...] = 0
    net.predict(x)
    assert not layer.weight.any() and layer.weight is one


def test_training_between_predictions(net, x):
    """The same updates as in a network that never predicts, and the next prediction knows of them."""
    other, truth = small_network(activation="leaky"), np.tile(np.array([.3, .4, .3, .2, 1], np.float32), (2, 1, 1))
    optimizers = [SGD(each) for each in (net, other)]
    for _ in range(3):
        predict_twice(net, x)
        for each, optimizer in zip((net, other), optimizers, strict=True):
            each.forward(x, truth, train=True)
            each.backward()
            optimizer.step()
    for mine, theirs in zip(net.params, other.params, strict=True):
        assert mine.value.tobytes() == theirs.value.tobytes(), mine.name
    assert net.predict(x).tobytes() == other.predict(x).tobytes()


def test_files(net, x, tmp_path):
    """save writes what the weights are, load changes them, whatever their order."""
    before, after = tmp_path / "before.weights", tmp_path / "after.weights"
    weights.save(net, before)
    first = predict_twice(net, x)
    weights.save(net, after)
    assert after.read_bytes() == before.read_bytes()
    other = small_network(activation="leaky", seed=7)
    weights.save(other, after)
    predict_twice(net, x)
    weights.load(net, after)
    expected = fresh(net, x)
    assert net.predict(x).tobytes() == expected.tobytes()
    assert not np.array_equal(expected, first)


@pytest.mark.skipif(not COUNTED, reason="this Python does not count who holds an array")
def test_weights_are_in_memory_once():
    kept = Weight((3, 3, 40, 2 * 64), np.float32)
    kept.array[...] = np.arange(kept.array.size, dtype=np.float32).reshape(kept.shape)
    gone, size = weakref.ref(kept.array), kept.array.nbytes
    kept.for_prediction(engine)
    order = kept.for_prediction(engine)
    assert order.array.nbytes == size
    assert gone() is None
    gone = weakref.ref(order.array)
    del order
    assert kept.array.ravel()[-1] == kept.array.size - 1
    assert gone() is None
