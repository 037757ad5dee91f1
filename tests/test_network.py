"""The network as a whole: gradients through every kind of graph, backends against each other, Darknet's goldens."""
import numpy as np
import pytest

from minidarknet import Network
from minidarknet.errors import CfgError, UsageError
from minidarknet.optimizer import SGD

BODY = """
[net]
batch=4
subdivisions=2
width=16
height=16
channels=3
learning_rate=.01
momentum=.9
decay=.01

[convolutional]
batch_normalize=1
filters=6
size=3
stride=1
pad=1
activation={activation}

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation={activation}

[convolutional]
filters=4
size=1
stride=1
pad=1
activation=linear

[route]
layers=-2

[convolutional]
filters=4
size=1
activation=linear

[reorg]
stride=2

[route]
layers=3

[maxpool]
size=2
stride=2

[route]
layers=-1,-3

[maxpool]
size=2
stride=1

[convolutional]
filters=16
size=1
activation=linear
"""
REGION = """
[region]
anchors=1,1.5,2,.7
classes=3
num=2
softmax=1
bias_match=1
rescore={rescore}
object_scale=5
thresh=.6
"""


def make(rescore=0, activation="linear", **kwargs):
    """A small network with every layer of YOLOv2: passthrough, shared sources, stride-1 pooling, region head."""
    return Network.from_string(BODY.format(activation=activation) + REGION.format(rescore=rescore), **kwargs)


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    x = rng.random((2, 16, 16, 3))
    truth = np.array([[[.3, .4, .3, .2, 1], [.7, .7, .25, .5, 2]], [[.5, .2, .4, .3, 0], [0, 0, 0, 0, 0]]])
    return x, truth


def directional(net, x, truth, rng, epsilon):
    """(numeric, analytic) derivative of the loss per image along a random direction of all parameters."""
    for param in net.params:
        param.grad[...] = 0
    net.forward(x, truth, train=True)
    net.backward()
    analytic, direction = 0.0, []
    for param in net.params:
        d = rng.standard_normal(param.value.shape).astype(param.value.dtype)
        direction.append(d)
        analytic += float((param.grad * d).sum(dtype=np.float64)) / len(x)
    losses = []
    for sign in (1, -1):
        for param, d in zip(net.params, direction):
            param.value[...] += sign * epsilon * d
        losses.append(net.forward(x, truth, train=True))
        for param, d in zip(net.params, direction):
            param.value[...] -= sign * epsilon * d
    return (losses[0] - losses[1]) / (2 * epsilon), analytic


def test_gradient_of_the_whole_network_is_numerically_right(batch):
    net = make(backend="kernels", dtype=np.float64)
    net.seen = 100_000  # behind the warm-up, whose targets are constants as well
    numeric, analytic = directional(net, *batch, np.random.default_rng(0), 1e-6)
    assert abs(numeric - analytic) <= 1e-6 * max(abs(numeric), abs(analytic))


@pytest.mark.parametrize("index", [0, 2, 3, 5, 11])
def test_gradient_check_of_the_network_notices_a_wrong_gradient(batch, index):
    """Negative control: scaling one layer's gradient by 1.01 must show."""
    net = make(backend="kernels", dtype=np.float64)
    net.seen = 100_000
    layer, true_backward = net.layers[index], net.layers[index].backward

    def wrong(run):
        layer.grad *= 1.01
        true_backward(run)
    layer.backward = wrong
    numeric, analytic = directional(net, *batch, np.random.default_rng(0), 1e-6)
    assert abs(numeric - analytic) > 1e-5 * max(abs(numeric), abs(analytic))


def test_gradients_of_a_source_with_several_readers_add_up(batch):
    """Layer 2 is read by 3 and 4: without 3's branch its gradient is another one."""
    net = make(backend="kernels", dtype=np.float64)
    net.forward(*batch, train=True)
    net.backward()
    both = net.layers[2].grad_weight = net.layers[2].grad_weight.copy()
    net.layers[2].grad_weight[...] = 0
    net.layers[3].weight[...] = 0
    net.forward(*batch, train=True)
    net.backward()
    assert not np.allclose(both, 0)


def test_engine_and_kernels_agree(batch):
    """Same weights, same batch: outputs, losses and gradients within float32 rounding (slope 1: no switch points)."""
    nets = [make(backend=backend) for backend in ("engine", "kernels")]
    losses = []
    for net in nets:
        losses.append(net.forward(*batch, train=True))
        net.backward()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for a, b in zip(nets[0].layers, nets[1].layers):
        np.testing.assert_allclose(a.out, b.out, rtol=1e-4, atol=1e-5, err_msg=f"layer {a.index} [{a.name}]")
    for a, b in zip(nets[0].params, nets[1].params):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-3, atol=2e-4 * np.abs(b.grad).max(), err_msg=a.name)
    np.testing.assert_allclose(nets[0].predict(batch[0]), nets[1].predict(batch[0]), rtol=1e-4, atol=1e-5)


def test_margins_stay_zero(batch):
    """Whatever layers write, the frame around a picture stays zero: padded convolutions read it."""
    net = make(activation="leaky")
    for _ in range(2):
        net.forward(*batch, train=True)
        net.backward()
    checked = 0
    for layer in (net.input, *net.layers):
        for buffer in layer._buffers.values():
            margin = (buffer.frame.shape[1] - layer.shape[0]) // 2
            if margin:
                inside = buffer.frame[:, margin:-margin, margin:-margin]
                assert np.count_nonzero(buffer.frame) == np.count_nonzero(inside), layer.name
                checked += 1
    assert checked >= 3


def test_permuting_the_batch_permutes_the_output(batch):
    x, _ = batch
    net = make(activation="leaky")
    np.testing.assert_array_equal(net.predict(x)[::-1], net.predict(x[::-1]))


def test_resizing_there_and_back_gives_equal_bits(batch):
    x, _ = batch
    net = make(activation="leaky")
    before = net.predict(x)
    net.resize((32, 24))
    assert net.predict(np.zeros((1, 24, 32, 3), np.float32)).shape == (1, 6, 8, 16)
    net.resize((16, 16))
    np.testing.assert_array_equal(net.predict(x), before)


def test_batch_size_may_change_between_calls(batch):
    x, truth = batch
    net = make(activation="leaky")
    both = net.predict(x)
    np.testing.assert_allclose(net.predict(x[:1]), both[:1], rtol=1e-5, atol=1e-6)
    net.forward(x, truth, train=True)
    np.testing.assert_allclose(net.predict(x), make_like(net).predict(x), rtol=1e-5, atol=1e-6)


def make_like(net):
    """A second network with the same weights and rolling statistics."""
    other = make(activation="leaky")
    for a, b in zip(net.layers, other.layers):
        for mine, theirs in zip(a.stored, b.stored):
            theirs.array[...] = mine.array
    return other


G5 = """
[net]
batch=2
subdivisions=1
width=2
height=1
channels=1
learning_rate=.1
momentum=.9
decay=.01
policy=constant

[convolutional]
batch_normalize=1
filters=1
size=1
activation=leaky

[cost]
type=sse
"""


@pytest.mark.parametrize("backend", ["engine", "kernels"])
def test_two_updates_equal_darknets(backend):
    """Golden G5: the original Darknet's CPU build, batch norm with its own epsilons and inexact backward."""
    net = Network.from_string(G5, backend=backend, strict_darknet_cpu=True)
    conv, norm, sgd = net.layers[0], net.layers[0].norm, SGD(net)
    conv.weight[...], norm.scale[...], norm.bias[...] = 1.5, 2, .5
    x = np.array([1, 2, 3, 6], np.float32).reshape(2, 1, 2, 1)
    truth = np.array([[0, 1], [0, 1]], np.float32)
    expected = [
        dict(out=[-.135164, -.04258198, .5, 3.277459], mean=4.5, variance=10.5, rolling_mean=.045,
             rolling_variance=.105, cost=6.542068, weight=1.444774, bias=.3670157, scale=1.838822),
        dict(out=[-.1335402, -.04841933, .3670157, 2.920643], mean=4.334322, variance=9.741069,
             rolling_mean=.08789322, rolling_variance=.2013607, cost=4.940587, weight=1.350223, bias=.1388568,
             scale=1.557355)]
    for e in expected:
        net.forward(x, truth, train=True)
        np.testing.assert_allclose(conv.out.ravel(), e["out"], rtol=2e-5, atol=1e-6)
        for name in ("mean", "variance", "rolling_mean", "rolling_variance"):
            np.testing.assert_allclose(getattr(norm, name), e[name], rtol=1e-5, err_msg=name)
        assert 2 * net.darknet_cost == pytest.approx(e["cost"], rel=1e-5)
        net.backward()
        sgd.step()
        np.testing.assert_allclose([conv.weight.item(), norm.bias.item(), norm.scale.item()],
                                   [e["weight"], e["bias"], e["scale"]], rtol=1e-5)
    np.testing.assert_allclose(net.predict(x).ravel(), [4.519845, 9.205873, 13.8919, 27.94998], rtol=1e-5)


def test_short_history_of_rolling_statistics_is_corrected(batch):
    """After one batch the rolling statistics are that batch's own, not a hundredth of them."""
    net = make(activation="leaky")
    net.forward(*batch, train=True)
    norm = net.layers[0].norm
    count = 2 * 16 * 16
    np.testing.assert_allclose(norm.rolling_mean, norm.mean, rtol=1e-6)
    np.testing.assert_allclose(norm.rolling_variance, norm.variance * count / (count - 1), rtol=1e-6)
    means = [norm.mean.copy()]
    for shift in (.1, .2):
        net.forward(batch[0] + shift, batch[1], train=True)
        means.append(norm.mean.copy())
    weights = .99 ** np.arange(2, -1, -1)
    np.testing.assert_allclose(norm.rolling_mean, np.average(means, axis=0, weights=weights), rtol=1e-5)


def test_stopbackward_freezes_what_lies_below(batch):
    text = BODY.format(activation="leaky").replace("[convolutional]\nfilters=4\nsize=1\nstride=1",
                                                   "[convolutional]\nstopbackward=1\nfilters=4\nsize=1\nstride=1")
    net = Network.from_string(text + REGION.format(rescore=0))
    before = [s.array.copy() for s in net.layers[0].stored if s.name in ("weight", "bias", "scale")]
    sgd = SGD(net)
    net.forward(*batch, train=True)
    net.backward()
    sgd.step()
    after = [s.array for s in net.layers[0].stored if s.name in ("weight", "bias", "scale")]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)
    assert not any(layer.grad is not None for layer in net.layers[:3])


def test_a_loss_of_ones_own(batch):
    """backward(grad) takes dL/dout of a net without a head: here L = sum of the outputs."""
    net = Network.from_string(BODY.format(activation="linear"), backend="kernels", dtype=np.float64)
    net.forward(batch[0], train=True)
    net.backward(np.ones(net.layers[-1].out.shape))
    np.testing.assert_allclose(net.layers[-1].grad_bias, np.full(16, 2 * 4 * 4))


@pytest.mark.parametrize("x, words", [
    (np.zeros((1, 8, 16, 3), np.float32), "net.resize"),
    (np.zeros((16, 16, 3), np.float32), r"\(b, 16, 16, 3\)"),
    (np.zeros((1, 16, 16, 3), np.uint8), "divide by 255"),
])
def test_wrong_input_is_refused(x, words):
    with pytest.raises(ValueError, match=words):
        make().predict(x)


def test_backward_wants_a_training_pass_with_truth(batch):
    net = make()
    net.predict(batch[0])
    with pytest.raises(ValueError, match="train=True"):
        net.backward()
    net.forward(batch[0], train=True)
    with pytest.raises(ValueError, match="truth"):
        net.backward()
    with pytest.raises(ValueError, match="brings its own loss"):
        net.backward(np.ones(1))


def test_float64_needs_the_kernels():
    with pytest.raises(ValueError, match="kernels"):
        make(dtype=np.float64)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="engine, kernels"):
        make(backend="cuda")


def test_wrong_filters_name_the_right_number_and_line():
    with pytest.raises(CfgError, match=r"expects 16 channels = num 2 x \(coords 4 \+ 1 \+ classes 3\), "
                                       r"but layer 11 gives 15: set filters=16 at line \d+"):
        Network.from_string(BODY.format(activation="leaky").replace("filters=16", "filters=15")
                            + REGION.format(rescore=0))


def test_a_route_to_nowhere_is_refused():
    with pytest.raises(CfgError, match=r":\d+ \[route\] .*layers=-9"):
        Network.from_string(BODY.format(activation="leaky").replace("layers=-2", "layers=-9")
                            + REGION.format(rescore=0))


def test_classifiers_do_not_detect():
    net = Network.from_string(G5.replace("[cost]\ntype=sse", "[avgpool]\n[softmax]"))
    with pytest.raises(UsageError, match="classifies"):
        net.detect(np.zeros((4, 4, 3), np.uint8))
