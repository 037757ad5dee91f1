"""Local layers: against NumPy and a convolution, gradients, the order of the file, and what cannot be."""
import struct

import naive
import numpy as np
import pytest
import small
from conftest import framed, planes
from gradcheck import check_gradient, check_network, check_rejected

from minidarknet import Network, weights
from minidarknet.errors import CfgError
from minidarknet.kernels import convolutional_forward, local_backward_data, local_backward_weight, local_forward

CASES = [  # shape of x, filters, size, stride, pad
    ((1, 3, 5, 3), 4, 3, 1, 1), ((3, 6, 5, 2), 3, 3, 2, 1), ((2, 5, 7, 1), 1, 2, 1, 0), ((1, 4, 4, 5), 7, 1, 1, 0),
    ((2, 7, 6, 3), 2, 4, 3, 0), ((1, 3, 3, 2), 2, 5, 1, 2)]


def make(rng, shape, f, k, stride, pad):
    """x, weight, bias, an upstream gradient."""
    b, h, w, c = shape
    oh, ow = ((n + 2 * pad - k) // stride + 1 for n in (h, w))
    return (rng.standard_normal(shape), rng.standard_normal((oh, ow, k, k, c, f)), rng.standard_normal((oh, ow, f)),
            rng.standard_normal((b, oh, ow, f)))


def forward(x, weight, bias, stride, pad):
    out = np.full((len(x), *bias.shape), np.nan, x.dtype)
    local_forward(x, weight, bias, out, stride, pad)
    return out


@pytest.mark.plain
@pytest.mark.parametrize("case", CASES)
def test_matches_the_naive_counterpart(rng, case):
    x, weight, bias, _ = make(rng, *case)
    np.testing.assert_allclose(forward(x, weight, bias, *case[3:]), naive.local(x, weight, bias, *case[3:]), atol=1e-12)


def test_with_equal_weights_it_is_a_convolution(rng):
    x, weight, bias, _ = make(rng, *CASES[1])
    weight[...], bias[...] = weight[0, 0], 0
    out = np.empty((3, *bias.shape))
    convolutional_forward(x, weight[0, 0], out, 2, 1, 1)
    np.testing.assert_allclose(forward(x, weight, bias, 2, 1), out, atol=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("case", CASES)
def test_gradients(rng, case):
    x, weight, bias, upstream = make(rng, *case)
    how = case[3:]
    earlier = rng.standard_normal(x.shape), rng.standard_normal(weight.shape), rng.standard_normal(bias.shape)
    added, grad_weight, grad_bias = (array.copy() for array in earlier)
    local_backward_data(upstream, weight, added, *how, True)
    grad_x = np.full_like(x, np.nan)
    local_backward_data(upstream, weight, grad_x, *how, False)
    np.testing.assert_allclose(added, earlier[0] + grad_x)
    local_backward_weight(x, upstream, grad_weight, grad_bias, *how)

    def loss():
        return (forward(x, weight, bias, *how) * upstream).sum()
    for array, grad, name in ((x, grad_x, "x"), (weight, grad_weight - earlier[1], "weight"),
                              (bias, grad_bias - earlier[2], "bias")):
        check_gradient(loss, array, grad, name, tolerance=2e-6 if name == "weight" else 1e-6)
        check_rejected(loss, array, -grad, 2 * grad)
    if weight.shape[2] > 1:
        turned = np.empty_like(x)
        local_backward_data(upstream, weight.swapaxes(2, 3).copy(), turned, *how, False)
        check_rejected(loss, x, turned)


def test_float32_frames_planes_and_threads(rng, same_bits):
    x, weight, bias, upstream = (array.astype(np.float32) for array in make(rng, (3, 6, 5, 9), 11, 3, 1, 1))
    want = naive.local(*(array.astype(np.float64) for array in (x, weight, bias)), 1, 1)
    for array in (framed(x), planes(x)):
        np.testing.assert_allclose(forward(array, weight, bias, 1, 1), want, rtol=1e-4, atol=1e-4)

    def run():
        grad_x, grad_weight, grad_bias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
        local_backward_data(upstream, weight, grad_x, 1, 1, False)
        local_backward_weight(x, upstream, grad_weight, grad_bias, 1, 1)
        return forward(x, weight, bias, 1, 1), grad_x, grad_weight, grad_bias

    same_bits(run)


# ---- the layer

BODY = """
[convolutional]
filters=3
size=3
pad=1
activation=tanh
[local]
filters=4
size=3
stride=2
pad=1
activation=tanh
[local]
filters=2
size=2
activation=linear
"""


@pytest.fixture
def net():
    return Network.from_string(small.HEAD + BODY, backend="kernels", dtype=np.float64, seed=2)


def test_gradients_through_the_network(net, rng):
    x = rng.random((2, *net.input.shape))
    check_network(net, x, rng.standard_normal((2, *net.layers[-1].shape)), ("weight", "bias"))


def test_every_pixel_is_initialised(net):
    weight = net.layers[1].weight
    limit = np.sqrt(2 / 27)
    assert (weight.std(axis=(2, 3, 4, 5)) > .2 * limit).all() and np.abs(weight).max() <= limit
    assert not net.layers[1].bias.any()


def test_order_of_the_file(net, tmp_path):
    """Biases (f, oh, ow), then for every output pixel weights (f, c, k, k)."""
    local, path = net.layers[1], tmp_path / "x.weights"
    local.weight[...] = np.random.default_rng(0).random(local.weight.shape, np.float32)
    local.bias[...] = np.random.default_rng(1).random(local.bias.shape, np.float32)
    weights.save(net, path)
    numbers = np.frombuffer(path.read_bytes()[20:], "<f4")[3 * 28:]
    oh, ow, f = local.shape
    assert numbers[(2 * oh + 1) * ow + 3] == local.bias[1, 3, 2]
    place = oh * ow * f + (((1 * ow + 3) * f + 2) * 3 + 1) * 9 + 2 * 3 + 0
    assert numbers[place] == local.weight[1, 3, 2, 0, 1, 2]
    again = Network.from_string(small.HEAD + BODY, backend="kernels", dtype=np.float64, initialise=False)
    weights.load(again, path)
    assert np.array_equal(again.layers[1].weight, local.weight) and np.array_equal(again.layers[1].bias, local.bias)
    assert struct.unpack("<3i", path.read_bytes()[:12]) == (0, 2, 0)


@pytest.mark.parametrize("lines, message", [
    ("size=5\npad=1", r"pad=1 is a number of pixels here.*set pad=2, or 0"), ("size=2\npad=1", "only pad=0 is possible"),
    ("size=9", "size=9 does not fit into 8 x 8 pixels"), ("size=0", "expected at least 1"),
    ("activation=gelu", "is not supported yet")])
def test_what_cannot_be(lines, message):
    with pytest.raises(CfgError, match=message):
        Network.from_string(f"{small.HEAD}\n[local]\n{lines}\n")


def test_its_size_is_fixed(net):
    with pytest.raises(CfgError, match="cannot change its size once it is built"):
        net.resize((16, 16))
