"""Connected: a matrix product with the picture's numbers in Darknet's order, its gradients, its place in the file."""
import struct

import numpy as np
import pytest
import small
from gradcheck import check_network, check_rejected

from minidarknet import Network, weights
from minidarknet.errors import CfgError
from minidarknet.ops import BACKENDS

PLAIN = """
[convolutional]
filters=4
size=3
stride=2
pad=1
activation=tanh
[connected]
output=7
activation=tanh
[connected]
output=5
activation=linear
"""
NORMALISED = PLAIN.replace("output=7\n", "output=7\nbatch_normalize=1\n")


@pytest.mark.parametrize("backend", BACKENDS)
def test_is_a_matrix_product_in_the_order_of_darknet(rng, backend):
    net = Network.from_string(small.HEAD + PLAIN, backend=backend)
    first, second = net.layers[1:]
    second.bias[:] = rng.standard_normal(5)
    out = net.predict(rng.random((3, *net.input.shape), np.float32))
    flat = net.layers[0].out.transpose(0, 3, 1, 2).reshape(3, -1)
    np.testing.assert_allclose(out, np.tanh(flat @ first.weight[0, 0]) @ second.weight[0, 0] + second.bias, rtol=1e-4,
                               atol=1e-5)


@pytest.mark.parametrize("body", [PLAIN, NORMALISED], ids=["plain", "normalised"])
def test_gradients_numerically(rng, body):
    net = Network.from_string(small.HEAD + body, backend="kernels", dtype=np.float64)
    x, grad = rng.random((3, *net.input.shape)), rng.standard_normal((3, 1, 1, 5))
    loss = check_network(net, x, grad, ("weight", "bias", "scale"))
    weight = net.layers[1].params[-1]
    check_rejected(loss, weight.value, -weight.grad, weight.grad[..., ::-1], weight.grad[:, :, ::-1])


def test_two_readers_add_up(rng):
    """The picture's numbers go to a connected layer and, past it, to another one: both gradients arrive."""
    body = PLAIN.replace("[connected]\noutput=5", "[route]\nlayers=0\n[connected]\noutput=5")
    net = Network.from_string(small.HEAD + body + "[route]\nlayers=-1,1\n", backend="kernels", dtype=np.float64)
    check_network(net, rng.random((2, *net.input.shape)), rng.standard_normal((2, 1, 1, 12)))


@pytest.mark.parametrize("body", [PLAIN, NORMALISED], ids=["plain", "normalised"])
def test_file_there_and_back_and_transposed(rng, tmp_path, body):
    net = Network.from_string(small.HEAD + body)
    weights.save(net, tmp_path / "a.weights")
    again = Network.from_string(small.HEAD + body, seed=1)
    weights.load(again, tmp_path / "a.weights")
    x = rng.random((1, *net.input.shape), np.float32)
    assert np.array_equal(net.predict(x), again.predict(x))
    parts = [np.concatenate([(s.array if s.order != "kkcf" else s.array.transpose(3, 2, 0, 1)).ravel()
                             for s in layer.stored]) for layer in net.layers]  # [connected] as it is held: (n, f)
    old = tmp_path / "old.weights"
    old.write_bytes(struct.pack("<iiiI", 1000, 1, 0, 7) + np.concatenate(parts).astype("<f4").tobytes())
    turned = Network.from_string(small.HEAD + body, seed=2)
    assert not weights.read_header(old).transposed  # 1000 itself is a version
    old.write_bytes(struct.pack("<iiiI", 1001, 1, 0, 7) + old.read_bytes()[16:])
    assert weights.load(turned, old).header.transposed
    assert np.array_equal(turned.layers[1].weight, net.layers[1].weight)


def test_its_size_is_fixed(rng):
    net = Network.from_string(small.HEAD + PLAIN)
    with pytest.raises(CfgError, match="cannot change its size once it is built"):
        net.resize((16, 16))


def test_learns(rng):
    """Three classes by their mean colour: the loss falls."""
    from minidarknet.optimizer import SGD
    head = small.HEAD + "learning_rate=.02\nmomentum=.9\n"
    net = Network.from_string(head + NORMALISED.replace("output=5", "output=3") + "[softmax]\n")
    sgd, losses = SGD(net), []
    for _ in range(40):
        kinds = rng.integers(0, 3, 6)
        x = np.eye(3, dtype=np.float32)[kinds][:, None, None] * rng.random((6, 8, 8, 1), np.float32)
        losses.append(net.forward(x, np.eye(3, dtype=np.float32)[kinds], train=True))
        net.backward()
        sgd.step()
    assert np.mean(losses[-5:]) < .5 * np.mean(losses[:5])
