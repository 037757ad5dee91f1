"""[activation] as a layer of its own; the functions themselves are tested in test_activations.py."""
import numpy as np
import pytest
import small
from gradcheck import check_network, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError

BODY = """
[convolutional]
filters=4
activation=linear
[activation]
activation={}
[route]
layers=0
[activation]
activation=logistic
[route]
layers=-1,1
"""


@pytest.mark.parametrize("name, function", [("relu", lambda x: np.maximum(x, 0)), ("linear", lambda x: x),
                                            ("logistic", lambda x: 1 / (1 + np.exp(-x))), ("tanh", np.tanh),
                                            ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x))))])
def test_applies_the_function_and_leaves_its_source_alone(rng, name, function):
    net = Network.from_string(small.HEAD + BODY.format(name))
    net.predict(rng.random((2, *net.input.shape), np.float32))
    source, layer = net.layers[:2]
    assert source.out.min() < 0
    np.testing.assert_allclose(layer.out, function(source.out), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "mish"])
def test_gradient_numerically_also_of_a_shared_source(rng, name):
    net = Network.from_string(small.HEAD + BODY.format(name), backend="kernels", dtype=np.float64)
    x, grad = rng.random((2, *net.input.shape)), rng.standard_normal((2, 8, 8, 8))
    loss = check_network(net, x, grad)
    weight = net.layers[0].params[-1]
    check_rejected(loss, weight.value, -weight.grad, weight.grad / 2)


def test_unknown_function():
    with pytest.raises(CfgError, match="expected one of"):
        Network.from_string(small.HEAD + BODY.format("rulu"))
