"""A prediction decides everything once, and yet takes notice of whatever changes."""
import threading
from dataclasses import replace

import numpy as np
import pytest
from small import small_network
from test_weight import convolutions, fresh

from minidarknet import SGD, engine
from minidarknet.engine.memory import scratch
from minidarknet.layers import weight as module
from minidarknet.layers.nonlinearity import Nonlinearity
from minidarknet.network import Network

pytestmark = pytest.mark.skipif(not engine.CHOOSES, reason="without the JIT layers are not fused")


@pytest.fixture(params=[1, 1 << 16], ids=["prepared", "as they are"])
def net(request, monkeypatch):
    monkeypatch.setattr(module, "WORTH", request.param)  # whether weights change their order after a prediction
    return small_network(activation="leaky")


@pytest.fixture
def x(rng):
    return rng.random((2, 16, 16, 3), np.float32)


def equal(net, x):
    """Whether the network says, three times in a row, what a new one with the same numbers says."""
    found = [net.predict(x).tobytes() for _ in range(3)]  # before `fresh`, which puts prepared weights back
    return found == [fresh(net, x).tobytes()] * 3


def vectors(net):
    """Of every convolution (owner, name) of the arrays that make factor and shift."""
    return [(layer.norm or layer, name) for layer in convolutions(net)
            for name in (("scale", "bias", "rolling_mean", "rolling_variance") if layer.norm else ("bias",))]


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


def predict_often(net, x):
    """So often that weights are prepared where they ever are, and everything is decided."""
    for _ in range(4):
        net.predict(x)


def test_numbers_that_change_in_place(net, x, rng):
    for owner, name in vectors(net):
        predict_often(net, x)
        getattr(owner, name)[...] += rng.random(getattr(owner, name).shape, np.float32)
        assert equal(net, x)
    for layer in convolutions(net):
        predict_often(net, x)
        layer.weight[...] += rng.standard_normal(layer.weight.shape, np.float32)
        assert equal(net, x)


def test_arrays_that_are_replaced(net, x, rng):
    for owner, name in vectors(net):
        predict_often(net, x)
        setattr(owner, name, rng.random(getattr(owner, name).shape, np.float32))
        assert equal(net, x)


def test_outputs_that_are_replaced(net, x):
    """The one that the head reads: it needs no margin."""
    expected, last = net.predict(x), convolutions(net)[-1]
    last.out = np.full_like(last.out, 7)
    assert net.predict(x).tobytes() == expected.tobytes()


def test_inputs_that_are_replaced(net, x):
    expected = net.predict(x)
    net.predict(1 - x)
    frame = np.zeros((2, 18, 18, 3), np.float32)
    net.input.out = frame[:, 1:-1, 1:-1]
    assert net.predict(x).tobytes() == expected.tobytes()
    assert (net.input.out == x).all()


def test_what_is_to_be_done_changes(net, x):
    first = net.predict(x)
    layer = net.layers[0]
    layer.nonlinearity = Nonlinearity("relu")
    bent = net.predict(x)
    assert np.abs(bent - first).max() > 1e-3
    layer.options = replace(layer.options, algorithm="winograd")  # auto takes direct for three channels
    other = net.predict(x)
    assert np.abs(other - bent).max() < 1e-4 and other.tobytes() != bent.tobytes()


@pytest.mark.parametrize("wrong, error", [(lambda a: a.astype(np.float64), TypeError), (lambda a: a[:1], ValueError),
                                          (lambda a: np.stack([a, a], 1)[:, 0], ValueError)])
@pytest.mark.parametrize("before", [0, 3])
def test_arrays_that_do_not_fit(net, x, wrong, error, before):
    """Refused every time, and never is anything computed with the arrays of the time before."""
    for _ in range(before):
        net.predict(x)
    for owner, name in vectors(net)[:5]:
        right = getattr(owner, name)
        setattr(owner, name, wrong(right))
        for _ in range(2):
            with pytest.raises(error):
                net.predict(x)
        setattr(owner, name, right)
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
    assert all(layer.planned.parts for layer in convolutions(net))
    net.forward(x, np.zeros((2, 1, 5), np.float32), train=True)
    assert not any(layer.planned.parts for layer in convolutions(net))


CFG = """[net]
height=16
width=16
channels=3
[convolutional]
filters=20
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=2
stride=1
[convolutional]
filters=28
size=1
stride=1
pad=1
activation=linear
[region]
anchors=1,2,3,4
num=2
classes=9
softmax=1
"""


def pooled(size=16):
    """A network with a pooling that is a step of its own, and a head."""
    net = Network.from_string(CFG)
    net.resize((size, size))
    return net


def test_poolings_and_heads_are_decided_once_too(rng):
    net = pooled()
    pool, region = net.layers[1], net.layers[3]
    outs = []
    for size, batch in ((16, 2), (16, 2), (32, 1), (16, 1), (16, 1)):
        net.resize((size, size))
        x = rng.random((batch, size, size, 3), np.float32)
        outs.append([net.predict(x).tobytes() for _ in range(3)])
        calls = pool.planned._call, region.planned._call
        assert outs[-1] == [pooled(size).predict(x).tobytes()] * 3
        net.predict(x)
        assert all(calls) and calls[0] is pool.planned._call and calls[1] is region.planned._call


def test_old_buffers_of_poolings_and_heads_are_let_go(rng):
    net, x = pooled(), rng.random((2, 16, 16, 3), np.float32)
    net.predict(x)
    assert all(net.layers[i].planned.parts for i in (1, 3))
    net.forward(x, np.zeros((2, 1, 5), np.float32), train=True)
    assert not net.layers[1].planned.parts  # training pools another way
    assert net.layers[3].planned.parts[0] is net.layers[2].out


def test_other_options_and_arrays_of_poolings_and_heads(rng):
    net, x = pooled(), rng.random((2, 16, 16, 3), np.float32)
    pool, region = net.layers[1], net.layers[3]
    first = net.predict(x)
    region.options = replace(region.options, softmax=0)
    other = net.predict(x)
    kernel = Network.from_string(CFG.replace("softmax=1", "softmax=0"), backend="kernels")
    assert np.abs(other - first).max() > 1e-3 and np.abs(other - kernel.predict(x)).max() < 1e-5
    region.out, pool.size = np.full_like(region.out, 7), 1
    alone = net.predict(x)
    kernel = Network.from_string(CFG.replace("softmax=1", "softmax=0").replace("size=2", "size=1"), backend="kernels")
    assert np.abs(alone - other).max() > 1e-4 and np.abs(alone - kernel.predict(x)).max() < 1e-5
