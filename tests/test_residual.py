"""A convolution and the shortcut behind it are one step in predictions: no number changes; and training is as it was."""
import numpy as np
import pytest

from minidarknet import SGD, Network, fuse, limits
from minidarknet.fuse import Fused, Residual

pytestmark = pytest.mark.skipif(not fuse.possible("engine", False), reason="without the JIT nothing is fused")

NET = "[net]\nwidth=24\nheight=20\nchannels=3\nlearning_rate=.01\n"


def conv(filters, size=1, activation="leaky", more=""):
    return (f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\npad=1\nactivation={activation}\n{more}\n")


def shortcut(layers, activation="linear", more=""):
    return f"[shortcut]\nfrom={layers}\nactivation={activation}\n{more}\n"


HALF = "stride=2"
START = conv(8, 3)
CASES = {  # sections, and the indices of the convolutions that are one with their shortcut
    "darknet53": (START + conv(4) + conv(8, 3) + shortcut(-3) + conv(4) + conv(8, 3) + shortcut(-3) + conv(16, 3, more=HALF)
                  + conv(8) + conv(16, 3) + shortcut(-3) + conv(9), [2, 5, 9]),
    "resnet": (START + conv(4) + conv(8, 3, "linear") + shortcut(-3, "leaky") + conv(4) + conv(4, 3) + conv(8, 1, "linear")
               + shortcut(-4, "leaky") + conv(7, 3), [2, 6]),
    "curves": (START + conv(8, 3, "mish") + shortcut(-2, "swish") + conv(5), [1]),
    "winograd": (START + conv(8, 3, more="algorithm=winograd") + shortcut(-2) + conv(5, 3), [1]),
    "groups": (START + conv(8, 3, more="groups=4") + shortcut(-2) + conv(5, 3), [1]),
    "a wide margin at the start": (START + conv(8, 3) + shortcut(-2) + conv(4) + conv(8, 3) + shortcut(-3) + conv(9),
                                   [1, 4]),
    "a wide margin at the end": (conv(8) + conv(8) + shortcut(-2) + conv(8) + shortcut(-2) + conv(9, 3), [1, 3]),
    "at the end": (START + conv(8, 3) + shortcut(-2), [1]),
    "joined by a route": (START + conv(8, 3) + shortcut(-2) + conv(8) + shortcut(-2) + "[route]\nlayers=-1,-3\n" + conv(5),
                          [1, 3]),
    "read twice": (START + conv(8, 3) + shortcut(-2) + "[route]\nlayers=-2\n" + conv(5), []),
    "two are added": (START + conv(8, 3) + conv(8) + shortcut("-2,-3") + conv(5), []),
    "itself": (START + conv(8, 3) + shortcut(-1) + conv(5), []),
    "weighted": (START + conv(8, 3) + shortcut(-2, more="alpha=.5") + conv(5), []),
    "another size": (START + conv(12, 3) + shortcut(-2) + conv(5), []),
    "another activation": (START + conv(8, 3) + shortcut(-2, "logistic") + conv(5), []),
    "frozen up to the convolution": (START + conv(8, 3, more="stopbackward=1") + shortcut(-2) + conv(5), []),
    "frozen": (START + conv(8, 3) + shortcut(-2, more="stopbackward=1") + conv(5), [1]),
}
TWO_STEPS = {"joined by a route": [1]}  # what it adds is laid out in another way than its sum, a part of the route's out


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def network(name, **how):
    return Network.from_string(NET + CASES[name][0], **how)


def plain(name, monkeypatch):
    """The same without residual steps."""
    with monkeypatch.context() as patch:
        patch.setattr(fuse, "_adds", lambda layer, conv: False)
        return network(name)


def at_once(net):
    return [step.conv.index for step in net.steps if isinstance(step, Residual) and step.at_once]


def test_what_is_fused(rng, name):
    net = network(name)
    assert [step.conv.index for step in net.steps if isinstance(step, Residual)] == CASES[name][1]
    assert [layer for step in net.steps for layer in getattr(step, "layers", (step,))] == net.layers
    net.predict(rng.random((2, 20, 24, 3), np.float32))
    assert at_once(net) == [index for index in CASES[name][1] if index not in TWO_STEPS.get(name, [])]
    assert [layer.index for layer in net.layers if layer.out is None] == at_once(net)


def test_no_number_changes(rng, name, monkeypatch):
    nets = network(name), plain(name, monkeypatch)
    for size, batch in (((24, 20), 2), ((32, 16), 1), ((24, 20), 3)):
        x = rng.random((batch, size[1], size[0], 3), np.float32)
        for net in nets:
            net.resize(size)
        for _ in range(3):
            assert len({net.predict(x).tobytes() for net in nets}) == 1
        for mine, theirs in zip(*(net.layers for net in nets), strict=True):
            assert mine.out is None or np.array_equal(mine.out, theirs.out)


def test_agrees_with_the_kernels(rng, name):
    x = rng.random((2, 20, 24, 3), np.float32)
    exact = network(name, backend="kernels", dtype=np.float64).predict(x)
    np.testing.assert_allclose(network(name).predict(x), exact, rtol=2e-5, atol=1e-6 * np.abs(exact).max())


def test_training_and_predicting_in_turns(rng, name, monkeypatch):
    nets, x = (network(name), plain(name, monkeypatch)), rng.random((2, 20, 24, 3), np.float32)
    updates = [SGD(net) for net in nets]
    for _ in range(3):
        for net, sgd in zip(nets, updates, strict=True):
            net.forward(x, train=True)
            net.backward(net.head.out.copy())
            assert at_once(net) == []
            sgd.step()
        assert len({net.predict(x).tobytes() for net in nets}) == 1
        assert len({net.predict(x[:1]).tobytes() for net in nets}) == 1
    for mine, theirs in zip(*(net.params for net in nets), strict=True):
        assert mine.value.tobytes() == theirs.value.tobytes()


def test_sizes_that_part_when_the_network_is_resized(rng):
    """Half of 14 pixels are 7 to a pooling with padding and to a convolution without; half of 13 are 7 and 6."""
    text = (NET + conv(8, 3) + "[maxpool]\nsize=2\nstride=2\n"
            + "[route]\nlayers=-2\n[convolutional]\nfilters=8\nsize=2\nstride=2\nactivation=linear\n"
            + shortcut(-3) + conv(5))
    net = Network.from_string(text)
    for width in (24, 25, 24):
        net.resize((width, width - 4))
        x = rng.random((1, width - 4, width, 3), np.float32)
        found = net.predict(x)
        assert at_once(net) == ([3] if width == 24 else [])
        fresh = Network.from_string(text, backend="kernels")
        fresh.resize((width, width - 4))
        np.testing.assert_allclose(found, fresh.predict(x), rtol=2e-4, atol=1e-5)


def test_memory_is_checked_for_both(monkeypatch):
    """In training the convolution has an out and a grad beside the shortcut's: as many as where nothing is fused."""
    text, asked = NET + conv(8) + conv(8) + shortcut(-2), []  # without margins, which are wider where a sum is fused
    nets = [Network.from_string(text, fused=fused) for fused in (True, False)]
    monkeypatch.setattr(limits, "_check", lambda net, needed, what: asked.append(needed))
    for net in nets:
        limits.check_batch(net, 2, True)
    assert asked[0] == asked[1] > 0


def test_a_changed_activation_is_heeded(rng):
    """The sum's function is one of the things a Call was made of."""
    net, x = network("at the end"), rng.standard_normal((1, 20, 24, 3)).astype(np.float32)
    before = net.predict(x)
    net.layers[-1].nonlinearity.code = Network.from_string(NET + conv(3, 1, "relu")).layers[0].nonlinearity.code
    assert before.min() < 0
    np.testing.assert_array_equal(net.predict(x), np.maximum(before, 0))


@pytest.mark.parametrize("how", [{"fused": False}, {"backend": "kernels"}, {"strict_darknet_cpu": True}], ids=str)
def test_left_out_where_nothing_is_fused(how):
    assert not any(isinstance(step, (Residual, Fused)) for step in network("resnet", **how).steps)
