"""Fusion changes speed, never results beyond rounding: fused and unfused networks side by side."""
import numpy as np
import pytest

from minidarknet import SGD, Network, detect, fuse, train, weights
from minidarknet.fuse import Fused
from minidarknet.trainer import diagnosis

NET = """[net]
batch=3
width=35
height=27
channels=3
learning_rate=.002
momentum=.9
decay=.001
"""
CONV, NORM, HALF = "[convolutional]\nsize=3\npad=1\n", "batch_normalize=1\n", "[maxpool]\nstride=2\n"
SECTIONS = [
    CONV + NORM + "filters=5\nactivation=leaky\n",      # 0  fused with its pooling: odd width and height
    HALF,                                               # 1
    CONV + NORM + "filters=20\nactivation=relu\n",      # 2  read by a route as well: fused without its pooling
    HALF,                                               # 3
    CONV + NORM + "filters=6\nactivation=relie\n",      # 4  pooled with another stride
    "[maxpool]\nsize=2\nstride=1\n",                    # 5
    CONV + NORM + "filters=4\nactivation=logistic\n",   # 6  not fused: its slope is no constant
    CONV + "filters=7\nactivation=leaky\n",             # 7  a bias, fused with its pooling
    HALF,                                               # 8
    "[route]\nlayers=2\n",                              # 9
    "[reorg]\nstride=2\n",                              # 10
    HALF,                                               # 11 no convolution before it
    "[route]\nlayers=-1,8\n",                           # 12
    CONV + NORM + "filters=9\nactivation=linear\n",     # 13
    HALF + "padding=2\n",                               # 14 begins beside the picture
    "[convolutional]\nfilters=16\nactivation=linear\n",  # 15 the head
]
REGION = "[region]\nanchors=1,1.5,2,.7\nclasses=3\nnum=2\nsoftmax=1\nbias_match=1\nrescore=1\nthresh=.6\n"
STEPS = [(0, 1), (2,), 3, (4,), 5, 6, (7, 8), 9, 10, 11, 12, (13,), 14, (15,), 16]


def network(fused=None, sections=None, **kwargs):
    return Network.from_string(NET + "".join([*SECTIONS, REGION] if sections is None else sections), fused=fused, **kwargs)


def pair(**kwargs):
    return network(True, **kwargs), network(False, **kwargs)


def pictures(batch=3, size=(35, 27), seed=3):
    rng = np.random.default_rng(seed)
    truth = np.array([[.3, .4, .3, .2, 1], [.7, .7, .25, .5, 2]], np.float32)
    return rng.random((batch, size[1], size[0], 3), np.float32), np.tile(truth, (batch, 1, 1))


def close(found, expected, tolerance, name=""):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1e-6), err_msg=name)


def compare(one, other, tolerance=1e-4, grads=True):
    """Outputs that both have, statistics, gradients and weights of two networks."""
    for a, b in zip(one.layers, other.layers, strict=True):
        if a.out is not None:
            close(a.out, b.out, tolerance, f"output of layer {a.index}")
        for mine, theirs in zip(a.stored, b.stored, strict=True):
            close(mine.array, theirs.array, tolerance, f"{mine.name} of layer {a.index}")
    if grads:
        for a, b in zip(one.params, other.params, strict=True):
            close(a.grad, b.grad, 2 * tolerance, f"gradient of {a.name} {a.value.shape}")


def test_what_is_fused():
    net = network()
    assert STEPS == [tuple(layer.index for layer in step.layers) if isinstance(step, Fused) else step.index
                     for step in net.steps]
    assert [layer.index for layer in net.layers] == list(range(17))


def test_curves():
    """mish and swish are fused, with batch norm or a bias, but not with a pooling."""
    nets = pair(sections=[CONV + NORM + "filters=5\nactivation=mish\n", HALF, CONV + "filters=18\nactivation=mish\n",
                          CONV + NORM + "filters=9\nactivation=swish\n", "[shortcut]\nfrom=-2\nactivation=swish\n",
                          CONV + "filters=16\nactivation=hard_mish\n", REGION])
    assert [type(step) is Fused and len(step.layers) for step in nets[0].steps] == [1, False, 1, 1, False, False, False]
    x, truth = pictures()
    for net in nets:
        net.forward(x, truth, train=True)
        net.backward()
    compare(*nets)
    close(*(net.predict(x) for net in nets), 1e-5)


def test_what_is_not(monkeypatch):
    for net in (network(False), network(backend="kernels"), network(strict_darknet_cpu=True)):
        assert net.steps is net.layers
    for how in ({"backend": "kernels"}, {"strict_darknet_cpu": True}):
        with pytest.raises(ValueError, match="engine"):
            network(True, **how)
    assert fuse.possible("engine", False)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not fuse.possible("engine", False)


def test_no_fuse(tmp_path):
    files = tmp_path / "net.cfg", tmp_path / "net.weights"
    files[0].write_text(NET + "".join(SECTIONS) + REGION)
    weights.save(network(), files[1])
    for option, expected in (([], False), (["--no-fuse"], True)):
        net = detect.load_network(detect.arguments().parse_args([*map(str, files), "a.jpg", *option]))
        assert (net.steps is net.layers) == expected
        assert train.arguments().parse_args(["net.cfg", *option]).no_fuse == expected


def test_what_does_not_exist_in_a_fused_step():
    net, plain = pair()
    for each in (net, plain):
        each.forward(*pictures(), train=True)
    assert [layer.index for layer in net.layers if layer.out is None] == [0, 7]
    assert net.layers[0].grad is net.layers[7].grad is None
    assert all("winner" not in net.layers[i]._buffers for i in (1, 8))
    used, before = (sum(b._bytes.size for layer in each.layers for b in layer._buffers.values())
                    for each in (net, plain))
    assert before - used > 2 * (net.layers[0].z.nbytes + net.layers[7].z.nbytes)  # outputs and gradients, and winners


@pytest.mark.parametrize("batch", [1, 3])
def test_training(batch):
    """Loss, outputs, gradients and statistics of one pass; then weights after four updates."""
    nets = pair()
    for a, b in zip(nets[0].params, nets[1].params, strict=True):
        assert a.value.tobytes() == b.value.tobytes()
        a.grad[...] = b.grad[...] = .01 * np.random.default_rng(1).standard_normal(a.grad.shape)  # they accumulate
    updates = [SGD(net) for net in nets]
    for step in range(4):
        x, truth = pictures(batch, seed=step)
        losses = [net.forward(x, truth, train=True) for net in nets]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert nets[0].darknet_cost == pytest.approx(nets[1].darknet_cost, rel=1e-4)
        for net in nets:
            net.backward()
        compare(*nets, tolerance=1e-4 * (1 + step))
        for sgd in updates:
            sgd.step()
    close(*(net.predict(pictures(2, seed=9)[0]) for net in nets), 1e-3)


def spoil(*nets):
    """Give both networks the same weights and rolling statistics, of every size and sign."""
    for layers in zip(*(net.layers for net in nets), strict=True):
        rng = np.random.default_rng(layers[0].index)
        for both in zip(*(layer.stored for layer in layers), strict=True):
            shape = both[0].array.shape
            drawn = rng.uniform(.2, 2, shape) if both[0].name == "rolling_variance" else rng.standard_normal(shape) / 2
            for stored in both:
                stored.array[...] = drawn


def test_prediction():
    """Also when weights change between two predictions: nothing is folded for good."""
    nets = pair()
    for batch in (3, 1):
        x, _ = pictures(batch)
        close(*(net.predict(x) for net in nets), 1e-5)
        spoil(*nets)
        close(*(net.predict(x) for net in nets), 1e-5)
        compare(*nets, tolerance=1e-5, grads=False)
    assert nets[0].layers[0].out is None


def test_training_and_prediction_in_turns_and_other_sizes():
    """Buffers are reused: a larger and a smaller picture, batch and kind of pass in between leave no trace."""
    nets = pair()
    for size, batch, training in [((35, 27), 3, True), ((47, 35), 2, True), ((35, 27), 3, False), ((35, 27), 3, True),
                               ((28, 20), 1, False), ((28, 20), 1, True), ((47, 35), 2, False), ((35, 27), 3, True)]:
        x, truth = pictures(batch, size)
        for net in nets:
            net.resize(size)
            net.forward(x, truth, train=training)
            if training:
                for param in net.params:
                    param.grad[...] = 0
                net.backward()
        compare(*nets)
    places = [b._bytes.ctypes.data for layer in nets[0].layers for b in layer._buffers.values()]
    for size in ((28, 20), (47, 35)):
        nets[0].resize(size)
        nets[0].forward(*pictures(2, size), train=True)
    assert places == [b._bytes.ctypes.data for layer in nets[0].layers for b in layer._buffers.values()]


@pytest.mark.parametrize("last", [0, 1, 4, 7, 8, 13], ids="convolution with norm, pooled, norm, bias, bias pooled, "
                                                          "behind a route".split(", "))
def test_a_gradient_from_outside(last):
    nets = pair(sections=SECTIONS[:last + 1])
    for net in nets:
        net.forward(pictures()[0], train=True)
        net.backward(np.random.default_rng(0).standard_normal(net.layers[-1].out.shape))
    compare(*nets)


@pytest.mark.parametrize("frozen", [0, 1, 2, 7, 8, 13])
def test_frozen_layers(frozen):
    """stopbackward in a convolution, and in a pooling that is fused with one."""
    sections = [*SECTIONS, REGION]
    sections[frozen] += "stopbackward=1\n"
    nets = pair(sections=sections)
    for net in nets:
        net.forward(*pictures(), train=True)
        net.backward()
    compare(*nets)
    assert not any(param.grad.any() for layer in nets[0].layers[:frozen + 1] for param in layer.params)
    assert nets[0].layers[13 if frozen < 13 else 15].grad_weight.any()


def test_a_layer_that_nobody_needs():
    """A fused step beside the way to the loss has no gradient, and its buffers ask for none."""
    sections = [*SECTIONS[:2], "[convolutional]\nfilters=16\nactivation=leaky\n", HALF, "[route]\nlayers=1\n",
                "[convolutional]\nfilters=16\nactivation=linear\n", REGION]
    nets = pair(sections=sections)
    for net in nets:
        net.forward(*pictures(), train=True)
        net.backward()
    compare(*nets)
    assert not nets[0].layers[2].grad_weight.any()


def test_same_bits_on_one_and_two_threads(same_bits):
    def run():
        net = network()
        net.forward(*pictures(), train=True)
        net.backward()
        return [param.grad for param in net.params] + [net.predict(pictures()[0])]

    same_bits(run)


def test_the_comparison_notices_a_wrong_pass(monkeypatch):
    """Negative control: a pooling whose gradient goes to the wrong pixel."""
    from minidarknet import engine
    nets, true = pair(), engine.fused_backward

    def wrong(*arguments):
        true(*arguments)
        arguments[-1][...] = np.roll(arguments[-1], 1, axis=2)

    monkeypatch.setattr(engine, "fused_backward", wrong)
    for net in nets:
        net.forward(*pictures(), train=True)
        net.backward()
    with pytest.raises(AssertionError, match="gradient of"):
        compare(*nets)


def test_diagnosis_looks_into_fused_steps():
    net = network()
    x, truth = pictures()
    x[0, 3, 4] = np.nan
    net.forward(x, train=True)
    assert "output of layer 0 [convolutional]" in diagnosis(net, 1, .1)
