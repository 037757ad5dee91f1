"""Reorg: Darknet's order, which is not space-to-depth."""
import naive
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import reorg_backward, reorg_forward

# b, h, w, c, stride, reverse
SHAPES = [(1, 2, 2, 4, 2, 0), (3, 4, 6, 8, 2, 0), (1, 26, 26, 64, 2, 0), (1, 6, 3, 9, 3, 0), (3, 5, 7, 125, 1, 0),
          (1, 3, 5, 4, 2, 1), (3, 2, 3, 12, 2, 1), (1, 5, 2, 9, 3, 1)]


def out_shape(b, h, w, c, s, reverse):
    return (b, h * s, w * s, c // s ** 2) if reverse else (b, h // s, w // s, c * s ** 2)


def forward(x, stride, reverse):
    out = np.full(out_shape(*x.shape, stride, reverse), np.nan, x.dtype)
    reorg_forward(x, out, stride, reverse)
    return out


def backward(grad_out, x, stride, reverse):
    grad_x = np.full_like(x, np.nan)
    reorg_backward(grad_out, grad_x, stride, reverse, False)
    return grad_x


@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_naive_counterpart_and_its_own_inverse(rng, shape):
    *size, stride, reverse = shape
    x = rng.standard_normal(size)
    out = forward(x, stride, reverse)
    np.testing.assert_array_equal(out, naive.reorg(x, stride, reverse))
    np.testing.assert_array_equal(backward(out, x, stride, reverse), x)  # a permutation: its transpose undoes it
    filled = np.ones_like(x)
    reorg_backward(out, filled, stride, reverse, True)
    np.testing.assert_array_equal(filled, 1 + x)


@pytest.mark.plain
@pytest.mark.parametrize("shape", [(1, 4, 2, 4, 2, 0), (3, 1, 2, 4, 2, 1)])
def test_gradient_numerically(rng, shape):
    *size, stride, reverse = shape
    x, grad_out = rng.standard_normal(size), rng.standard_normal(out_shape(*shape))

    def loss():
        return np.sum(grad_out * forward(x, stride, reverse))

    grad_x = backward(grad_out, x, stride, reverse)
    check_gradient(loss, x, grad_x, "reorg_backward")
    check_rejected(loss, x, -grad_x, grad_x[..., ::-1], grad_x[:, ::-1] if size[1] > 1 else grad_x[:, :, ::-1])


@pytest.mark.plain
@pytest.mark.parametrize("width, golden", [
    (2, [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15]),
    (4, [0, 2, 4, 6, 16, 18, 20, 22, 1, 3, 5, 7, 17, 19, 21, 23, 8, 10, 12, 14, 24, 26, 28, 30, 9, 11, 13, 15, 25, 27,
         29, 31]),
])
def test_golden(width, golden):
    """Goldens G1 and G1b, computed by Darknet on 4 planes of 2 x width numbers counted up."""
    x = np.arange(8. * width).reshape(1, 4, 2, width).transpose(0, 2, 3, 1).copy()
    out = forward(x, 2, 0)
    assert out.transpose(0, 3, 1, 2).ravel().tolist() == golden


def test_is_not_space_to_depth(rng):
    x = rng.standard_normal((1, 4, 4, 4))
    folded = x.reshape(1, 2, 2, 2, 2, 4).transpose(0, 1, 3, 2, 4, 5).reshape(1, 2, 2, 16)
    out = forward(x, 2, 0)
    assert sorted(out.ravel()) == sorted(folded.ravel()) and (out != folded).any()


def test_float32_in_frames_and_threads(rng, same_bits):
    x = rng.standard_normal((3, 4, 6, 8)).astype(np.float32)
    out, grad_x = framed(forward(x, 2, 0)), framed(x)
    out[...] = 0
    reorg_forward(framed(x), out, 2, 0)
    assert (out == forward(x, 2, 0)).all() and margin_is_zero(out)
    reorg_backward(out, grad_x, 2, 0, False)
    assert (grad_x == x).all() and margin_is_zero(grad_x)
    same_bits(lambda: [forward(x, 2, 0), forward(x, 2, 1), backward(forward(x, 2, 0), x, 2, 0)])


LAYER = "[net]\nwidth=6\nheight=4\nchannels=8\n[convolutional]\nfilters=8\nactivation=linear\n[reorg]\n"


def planes(x):
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


@pytest.mark.parametrize("keys, shape, expected", [
    ("stride=2", (2, 3, 32), lambda x: planes(naive.reorg(x, 2, 0))),
    ("flatten=1", (4, 6, 8), lambda x: x.reshape(len(x), -1)),
    ("flatten=1\nstride=2", (2, 3, 32), lambda x: x.reshape(len(x), -1)),
    ("flatten=1\nreverse=1", (4, 6, 8), lambda x: planes(planes(x).reshape(x.shape))),
    ("flatten=1\nreverse=1\nstride=2", (8, 12, 2), lambda x: planes(planes(x).reshape(x.shape))),
    ("extra=5", (1, 1, 197), lambda x: np.hstack((planes(x), np.zeros((len(x), 5)))))])
@pytest.mark.parametrize("twice", [False, True])
def test_layer(rng, keys, shape, expected, twice):
    """Values on Darknet's planes, and the gradient as the transpose: <A x, y> = <x, A' y>, added up for two readers."""
    net = Network.from_string(LAYER + keys + ("\n[route]\nlayers=0\n[reorg]\n" + keys + "\n[route]\nlayers=1,3") * twice,
                              backend="kernels", dtype=np.float64)
    x = rng.standard_normal((3, 4, 6, 8))
    net.forward(x, train=True)
    conv, reorg = net.layers[:2]
    assert reorg.shape == shape
    np.testing.assert_array_equal(planes(reorg.out), expected(conv.out))
    grad = rng.standard_normal(net.layers[-1].out.shape)
    net.backward(grad)
    assert np.vdot(conv.grad, conv.out) == pytest.approx(np.vdot(grad, net.layers[-1].out), rel=1e-12)


def test_extra_stands_alone():
    with pytest.raises(CfgError, match="extra=3 appends zeros and does nothing else"):
        Network.from_string(LAYER + "extra=3\nflatten=1")
