"""A prediction decides everything once, and yet takes notice of whatever changes."""
import threading

import numpy as np
import pytest
from small import small_network
from test_weight import convolutions, fresh

from minidarknet import SGD, engine
from minidarknet.engine.memory import scratch
from minidarknet.layers import weight as module

pytestmark = pytest.mark.skipif(not engine.CHOOSES, reason="without the JIT layers are not fused")


@pytest.fixture(params=[1, 1 << 16], ids=["prepared", "as they are"])
def net(request, monkeypatch):
    monkeypatch.setattr(module, "WORTH", request.param)  # whether weights change their order after a prediction
    return small_network(activation="leaky")


@pytest.fixture
def x(rng):
    return rng.random((2, 16, 16, 3), np.float32)


def equal(net, x):
    """Whether the network says what a new one with the same numbers says, three times in a row."""
    expected = fresh(net, x)
    return [net.predict(x).tobytes() == expected.tobytes() for _ in range(3)] == [True] * 3


def plans(net, monkeypatch):
    """The list to which every decision of a convolution will be added."""
    made, ops = [], net.layers[0].ops
    plan = ops.convolutional_prediction
    monkeypatch.setattr(ops, "convolutional_prediction", lambda *args, **how: made.append(args) or plan(*args, **how),
                        raising=False)
    return made


def test_decided_once(net, x, monkeypatch):
    made = plans(net, monkeypatch)
    for _ in range(3):
        net.predict(x)
    before = len(made)
    assert before in (len(convolutions(net)), 2 * len(convolutions(net)))
    for _ in range(4):
        net.predict(x)
    assert len(made) == before


def test_numbers_that_change_in_place(net, x, rng):
    net.predict(x)
    for layer in convolutions(net):
        for stored in layer.stored:
            net.predict(x)
            stored.array[...] += rng.random(stored.array.shape, np.float32)
            del stored
            assert equal(net, x)


def test_arrays_that_are_replaced(net, x, rng):
    net.predict(x)
    for layer in convolutions(net):
        owner = layer.norm or layer
        for name in ("scale", "bias", "rolling_mean", "rolling_variance") if layer.norm else ("bias",):
            setattr(owner, name, rng.random(getattr(owner, name).shape, np.float32))
            assert equal(net, x)


def test_other_sizes_and_batches(net, rng):
    for size, batch in ((16, 1), (32, 3), (16, 2), (48, 1), (16, 1), (16, 1)):
        net.resize((size, size))
        x = rng.random((batch, size, size, 3), np.float32)
        out = net.predict(x)
        other = small_network(activation="leaky")
        other.resize((size, size))
        assert net.predict(x).tobytes() == out.tobytes() == other.predict(x).tobytes()


def test_training_between(net, x):
    sgd, truth = SGD(net), np.array([[[.5, .5, .4, .3, 1]]] * 2, np.float32)
    for _ in range(2):
        net.predict(x)
        net.predict(x)
        net.forward(x, truth, train=True)
        net.backward()
        sgd.step()
        assert equal(net, x)


def test_working_memory_that_moves(net, x):
    """Whoever needs more gets other memory; a Call asks for it every time."""
    before = net.predict(x)
    address = scratch(0).address
    size = 1 << 20
    while scratch(size).address == address:
        size *= 2
    assert net.predict(x).tobytes() == before.tobytes()


def test_from_another_thread(net, x):
    """Every Python thread has working memory of its own."""
    found = [net.predict(x)]
    thread = threading.Thread(target=lambda: found.append(net.predict(x)))
    thread.start()
    thread.join()
    assert found[1].tobytes() == found[0].tobytes()


def test_old_buffers_are_let_go(net, x):
    net.predict(x)
    assert all(layer._arrays for layer in convolutions(net))
    net.forward(x, np.zeros((2, 1, 5), np.float32), train=True)
    assert not any(layer._arrays for layer in convolutions(net))
