"""Local response normalisation: Darknet's window, the exact gradient, Darknet's own."""
import naive
import numpy as np
import pytest
import small
from conftest import framed, margin_is_zero, planes
from gradcheck import check_gradient, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import normalization_backward, normalization_backward_darknet, normalization_forward

CASES = [((1, 2, 3, 3), 3), ((3, 1, 2, 9), 5), ((1, 3, 1, 125), 5), ((2, 2, 2, 8), 4), ((1, 1, 1, 2), 5), ((1, 2, 2, 4), 1)]
HOW = .02, .75, 2.  # alpha, beta, kappa


def forward(x, size, how=HOW):
    norm, out = np.full_like(x, np.nan), np.full_like(x, np.nan)
    normalization_forward(x, norm, out, *how, size)
    return out, norm


@pytest.mark.plain
@pytest.mark.parametrize("shape, size", CASES)
def test_matches_the_naive_counterpart(rng, shape, size):
    x = rng.standard_normal(shape)
    np.testing.assert_allclose(forward(x, size)[0], naive.normalization(x, *HOW, size), rtol=1e-12)


def test_golden_window():
    """G15: of 1 2 3 4 the square of the second is missing everywhere."""
    out, norm = forward(np.array([1., 2, 3, 4]).reshape(1, 1, 1, 4), 3, (.5, .75, 1.))
    np.testing.assert_allclose(norm.ravel(), [1.5, 6, 13.5, 11.5])
    np.testing.assert_allclose(out.ravel(), [.737788, .5216948, .4259621, .6405258], rtol=1e-6)


@pytest.mark.plain
@pytest.mark.parametrize("shape, size", CASES)
@pytest.mark.parametrize("accumulate", [False, True])
def test_gradient(rng, shape, size, accumulate):
    x, upstream, before = rng.standard_normal((3, *shape))
    _, norm = forward(x, size)
    grad = before.copy()
    normalization_backward(x, norm, upstream, grad, HOW[0], HOW[1], size, accumulate)
    grad -= before if accumulate else 0

    def loss():
        return (forward(x, size)[0] * upstream).sum()
    check_gradient(loss, x, grad, "normalization")
    constant = upstream * norm ** -HOW[1]
    if not np.allclose(norm, HOW[2]):
        check_rejected(loss, x, constant, -grad)
    darknet = before.copy()
    normalization_backward_darknet(norm, upstream, darknet, HOW[1], accumulate)
    np.testing.assert_allclose(darknet, constant + (before if accumulate else 0))


def test_float32_frames_planes_and_threads(rng, same_bits):
    x, upstream = rng.standard_normal((2, 3, 5, 4, 10)).astype(np.float32)
    want, _ = forward(x.astype(np.float64), 5)
    for array in (framed(x), planes(x)):
        np.testing.assert_allclose(forward(array, 5)[0], want, rtol=1e-5)
    out, norm = framed(np.zeros_like(x)), np.zeros_like(x)
    normalization_forward(x, norm, out, *HOW, 5)
    assert margin_is_zero(out)

    def run():
        out, norm = forward(x, 5)
        grad = np.zeros_like(x)
        normalization_backward(x, norm, upstream, grad, HOW[0], HOW[1], 5, False)
        return out, norm, grad

    same_bits(run)


BODY = """
[convolutional]
filters=6
size=3
pad=1
activation=linear
[lrn]
alpha=.1
size=3
[convolutional]
filters=2
activation=linear
"""


def test_in_a_network_exact_or_darknets(rng):
    x = rng.random((2, *Network.from_string(small.HEAD + BODY).input.shape))
    grads = {}
    for strict in (False, True):
        net = Network.from_string(small.HEAD + BODY, backend="kernels", dtype=np.float64, strict_darknet_cpu=strict, seed=1)
        net.forward(x, train=True)
        net.backward(np.ones_like(net.layers[-1].out))
        grads[strict] = net.layers[0].grad.copy()
        last = net.layers[1]
        constant = last.grad * last.norm ** -.75
        assert np.allclose(grads[strict], constant) == strict
    assert np.abs(grads[True] - grads[False]).max() > 1e-3


def test_a_window_wider_than_the_picture_is_deep():
    with pytest.raises(CfgError, match="size=9 needs 4 channels at least, but there are 3"):
        Network.from_string(f"{small.HEAD}\n[normalization]\nsize=9\n")
