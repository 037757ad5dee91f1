"""What a route reads is written where it is read: no number changes, and no pass copies what it need not."""
import numpy as np
import pytest

from minidarknet import engine, fuse
from minidarknet.layers import Route
from minidarknet.network import Network

pytestmark = pytest.mark.skipif(not fuse.possible("engine", False), reason="without the JIT nothing is joined")

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"


def conv(filters, size=1, activation="leaky"):
    return (f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\npad=1\nactivation={activation}\n"
            + "algorithm=winograd\n" * (size == 3))


def route(layers, more=""):
    return f"[route]\nlayers={layers}\n{more}\n"


POOL, SAME, UP, REORG = ("[maxpool]\nsize=2\nstride=2\n", "[maxpool]\nsize=5\nstride=1\n", "[upsample]\nstride=2\n",
                         "[reorg]\nstride=2\n")
END = conv(9, 3, activation="linear")
CASES = {
    "passthrough": conv(8, 3) + conv(12, 3) + POOL + conv(16, 3) + route("-3") + conv(4) + REORG + route("-1,-4") + END,
    "half": conv(32, 3) + route("-1", "groups=2\ngroup_id=1") + conv(16, 3) + conv(16, 3) + route("-1,-2") + conv(32)
    + route("-6,-1") + POOL + END,
    "spp": conv(16) + SAME + route("-2") + SAME + route("-4") + SAME + route("-1,-3,-5,-6") + END,
    "up": conv(20, 3) + POOL + conv(7) + UP + route("-1,-4") + END,
    "route of a route": conv(8, 3) + conv(9, 3) + route("-1,-2") + conv(10, 3) + route("-1,-2") + END,
    "read by two routes": conv(8, 3) + conv(9, 3) + route("-1,-2") + conv(4) + route("-1,-3") + END,
    "twice the same": conv(8, 3) + route("-1,-1") + END,
    "groups of two": conv(8, 3) + conv(12, 3) + route("-1,-2", "groups=4\ngroup_id=2") + END,
    "shortcut": conv(8, 3) + conv(8, 3) + "[shortcut]\nfrom=-2\nactivation=leaky\n" + conv(6) + route("-1,-2") + END,
    "passed on twice": conv(16, 3) + route("-1", "groups=2\ngroup_id=1") + route("-1", "groups=2\ngroup_id=0") + END,
    "at the end": conv(8, 3) + conv(9, 3) + route("-1,-2"),
    "pooled": conv(8, 3) + POOL + conv(9, 3) + route("-1,-2") + END,
}
COPIES = {"read by two routes": 1, "twice the same": 1, "groups of two": 2}  # how many pieces are still copied


def networks(name, monkeypatch, algorithm="winograd"):
    """(a network that joins, the same without)."""
    text = (NET + CASES[name]).replace("algorithm=winograd", f"algorithm={algorithm}")
    joined = Network.from_string(text)
    monkeypatch.setattr(fuse, "join", lambda net, readers: None)
    return joined, Network.from_string(text)


@pytest.mark.parametrize("algorithm", ["winograd", "direct", "auto"])
@pytest.mark.parametrize("name", CASES)
def test_no_number_changes(rng, monkeypatch, name, algorithm):
    joined, apart = networks(name, monkeypatch, algorithm)
    for size, batch in (((32, 32), 2), ((48, 16), 1), ((32, 32), 3)):
        x = rng.random((batch, size[1], size[0], 3), np.float32)
        for net in (joined, apart):
            net.resize(size)
        for _ in range(3):  # weights are prepared on the way
            assert joined.predict(x).tobytes() == apart.predict(x).tobytes()
        for mine, theirs in zip(joined.layers, apart.layers, strict=True):
            if mine.out is not None and theirs.out is not None:  # neither has one where it is fused away (fuse.py)
                np.testing.assert_array_equal(mine.out, theirs.out)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_copied_that_need_not_be(rng, monkeypatch, name):
    net, copies = Network.from_string(NET + CASES[name], batch=2), []
    copy = engine.route_forward
    monkeypatch.setattr(engine, "route_forward", lambda *args: (copies.append(args), copy(*args)))
    net.predict(rng.random((2, 32, 32, 3), np.float32))
    assert len(copies) == COPIES.get(name, 0)
    for layer in net.layers:
        if isinstance(layer, Route) and name not in COPIES:
            assert all(np.shares_memory(layer.out, source.out) for source in layer.sources)
    copies.clear()
    net.forward(rng.random((2, 32, 32, 3), np.float32), train=True)
    assert len(copies) == sum(len(layer.sources) for layer in net.layers if isinstance(layer, Route))


@pytest.mark.parametrize("name", CASES)
def test_training_and_predicting_in_turns(rng, monkeypatch, name):
    joined, apart = networks(name, monkeypatch)
    x, found = rng.random((2, 32, 32, 3), np.float32), []
    for net in (joined, apart):
        steps = [net.predict(x[:1])]
        for _ in range(2):
            net.forward(x, train=True)
            net.backward(net.head.out ** 2)
            steps += [net.predict(x), *(param.grad.copy() for param in net.params)]
        found.append(steps)
    for mine, theirs in zip(*found, strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert all(param.grad.any() for param in joined.params)


@pytest.mark.parametrize("how", [{"fused": False}, {"backend": "kernels"}, {"strict_darknet_cpu": True}], ids=str)
def test_left_out_where_nothing_is_fused(rng, how):
    net = Network.from_string(NET + CASES["passthrough"], **how)
    net.predict(rng.random((1, 32, 32, 3), np.float32))
    assert not any(layer.home or getattr(layer, "passes", False) for layer in net.layers)
    assert not any(np.shares_memory(layer.out, layer.sources[0].out) for layer in net.layers if isinstance(layer, Route))


@pytest.mark.parametrize("size", [8, 13, 26, 52, 61])
@pytest.mark.parametrize("channels, filters", [(16, 16), (16, 300), (700, 16), (1024, 1024)])
def test_who_takes_parts_convolves_by_winograd(channels, filters, size):
    """Convolutional.takes_parts knows without the engine, which would bring Numba along, what the engine will choose."""
    from minidarknet.engine.algorithm import LEAST_CHANNELS, use_winograd
    assert LEAST_CHANNELS == 16
    assert all(use_winograd("auto", 3, 1, 1, 1, b, size, size, channels, filters) for b in (1, 2, 8, 16))


@pytest.mark.parametrize("more, taken", [
    ("size=1", True), ("size=3\npad=1", True), ("size=3\npad=1\nalgorithm=direct", False), ("size=3\npad=0", False),
    ("size=3\npad=1\nstride=2", False), ("size=3\npad=1\ngroups=2", False), ("size=5\npad=1", False),
    ("size=3\npad=1\nfilters=15", False), ("size=3\npad=1\nfilters=15\nalgorithm=winograd", True)])
def test_who_takes_parts(more, taken):
    filters = "" if "filters" in more else "filters=16\n"
    net = Network.from_string(NET + conv(16, 3) + conv(16) + route("-1,-2") + f"[convolutional]\n{filters}{more}\n"
                              + route("-3") + f"[convolutional]\n{filters}{more}\n")
    assert net.layers[-1].takes_parts == net.layers[4].passes == taken


def test_an_interrupted_change_is_made_good(rng, monkeypatch):
    """Ctrl-C while the arrays for training are made: the next prediction makes its own again."""
    net = Network.from_string(NET + CASES["up"])
    x = rng.random((1, 32, 32, 3), np.float32)
    before, others = net.predict(x), rng.random((1, 32, 32, 3), np.float32)

    def interrupted(*_):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(next(layer for layer in net.layers if isinstance(layer, Route)), "resize", interrupted)
        with pytest.raises(KeyboardInterrupt):
            net.forward(x, train=True)
    net.predict(others)
    assert net.predict(x).tobytes() == before.tobytes()


def test_a_reader_that_wants_its_pixels_side_by_side_is_copied_for(rng, monkeypatch):
    """Global average pooling is no reader of parts: its source has no home, and its own route passes nothing on."""
    text = conv(8, 3) + route("-1") + "[avgpool]\n" + route("-3") + conv(4) + route("-1,-2") + END
    net = Network.from_string(NET + text)
    assert [layer.passes for layer in net.layers if isinstance(layer, Route)] == [False, True, False]
    monkeypatch.setattr(fuse, "join", lambda net, readers: None)
    x = rng.random((1, 32, 32, 3), np.float32)
    assert net.predict(x).tobytes() == Network.from_string(NET + text).predict(x).tobytes()
