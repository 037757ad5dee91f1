"""Gradients of whole networks, numerically; and two updates against the original Darknet."""
import numpy as np
import pytest
from small import small_network

from minidarknet import Network
from minidarknet.optimizer import SGD


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
    net = small_network(backend="kernels", dtype=np.float64)
    net.seen = 100_000  # behind the warm-up, whose targets are constants as well
    numeric, analytic = directional(net, *batch, np.random.default_rng(0), 1e-6)
    assert abs(numeric - analytic) <= 1e-6 * max(abs(numeric), abs(analytic))


@pytest.mark.parametrize("index", [0, 2, 3, 5, 11])
def test_gradient_check_of_the_network_notices_a_wrong_gradient(batch, index):
    """Negative control: scaling one layer's gradient by 1.01 must show."""
    net = small_network(backend="kernels", dtype=np.float64)
    net.seen = 100_000
    layer, true_backward = net.layers[index], net.layers[index].backward

    def wrong(run):
        layer.grad *= 1.01
        true_backward(run)
    layer.backward = wrong
    numeric, analytic = directional(net, *batch, np.random.default_rng(0), 1e-6)
    assert abs(numeric - analytic) > 1e-5 * max(abs(numeric), abs(analytic))


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
