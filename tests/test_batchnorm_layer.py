"""[batchnorm] as a section: what batch_normalize=1 does, taken out of its convolution.

The original Darknet's CPU build crashes on it, so it is held to the convolution's, which is held to Darknet (test_golden*).
"""
import numpy as np
import pytest
import small
from gradcheck import check_network

from minidarknet import Network, weights
from minidarknet.optimizer import SGD

INSIDE = "[convolutional]\nbatch_normalize=1\nfilters=5\nsize=3\npad=1\nactivation=leaky\n"
APART = "[convolutional]\nfilters=5\nsize=3\npad=1\nactivation=linear\n[batchnorm]\n[activation]\nactivation=leaky\n"
REST = "[convolutional]\nfilters=2\nsize=3\npad=1\nactivation=linear\n[cost]\n"


def pair(**kwargs):
    """(a network with batch norm inside its convolution, the same with [batchnorm]), with the same numbers."""
    nets = [Network.from_string(f"{small.HEAD}learning_rate=.005\nmomentum=.9\ndecay=.01\n{body}{REST}", **kwargs)
            for body in (INSIDE, APART)]
    inside, apart = nets
    rng = np.random.default_rng(4)
    for norm in (inside.layers[0].norm, apart.layers[1].norm):
        norm.scale[...], norm.bias[...] = np.linspace(.5, 1.5, 5), np.linspace(-.5, .5, 5)
    apart.layers[0].weight = inside.layers[0].weight = rng.normal(0, .3, inside.layers[0].weight.shape)
    apart.layers[3].weight = inside.layers[1].weight = rng.normal(0, .3, inside.layers[1].weight.shape)
    return inside, apart


@pytest.mark.parametrize("backend, dtype, tolerance", [("kernels", np.float64, 1e-9), ("engine", np.float32, 1e-4)])
@pytest.mark.parametrize("strict", [False, True])
def test_as_inside_a_convolution(backend, dtype, tolerance, strict, rng):
    """Three updates, then prediction; the convolution's own bias makes no difference in training, and stays 0."""
    inside, apart = pair(backend=backend, dtype=dtype, strict_darknet_cpu=strict)
    optimizers = SGD(inside), SGD(apart)
    for _ in range(3):
        x, truth = rng.random((2, 8, 8, 3)), rng.random((2, 128))
        for net, sgd in zip((inside, apart), optimizers):
            net.forward(x, truth, train=True)
            net.backward()
            sgd.step()
        assert apart.loss == pytest.approx(inside.loss, rel=tolerance)
    assert np.abs(apart.layers[0].bias).max() < tolerance
    for name in ("scale", "bias", "rolling_mean", "rolling_variance"):
        np.testing.assert_allclose(getattr(apart.layers[1].norm, name), getattr(inside.layers[0].norm, name), atol=tolerance)
    np.testing.assert_allclose(apart.layers[0].weight, inside.layers[0].weight, atol=tolerance)
    np.testing.assert_allclose(apart.predict(x), inside.predict(x), atol=10 * tolerance)


def test_gradients(rng):
    body = (APART + REST).replace("leaky", "tanh").replace("[cost]", "")
    net = Network.from_string(small.HEAD + body, backend="kernels", dtype=np.float64)
    check_network(net, rng.random((2, 8, 8, 3)), rng.standard_normal((2, 8, 8, 2)), ("weight", "scale"))


def test_its_place_in_the_file(tmp_path):
    """Biases, scales, means, variances, as later Darknets file them; [convolutional] has its biases and weights before."""
    _, apart = pair()
    weights.save(apart, tmp_path / "x.weights")
    numbers = np.fromfile(tmp_path / "x.weights", "<f4", offset=20)[5 + 5 * 27:][:20].reshape(4, 5)
    norm = apart.layers[1].norm
    np.testing.assert_array_equal(numbers, [norm.bias, norm.scale, norm.rolling_mean, norm.rolling_variance])
