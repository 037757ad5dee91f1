"""Shortcut: adding an earlier layer, also where the sizes differ."""
import naive
import numpy as np
import pytest
import small
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_network, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import shortcut_backward_source, shortcut_backward_x, shortcut_forward

# x, source: same size; source larger, with fewer and more channels; source smaller; odd sizes
SHAPES = [((2, 3, 5, 4), (2, 3, 5, 4)), ((1, 4, 4, 7), (1, 8, 8, 3)), ((2, 2, 3, 3), (2, 4, 6, 5)),
          ((1, 8, 4, 3), (1, 4, 2, 9)), ((1, 7, 7, 2), (1, 13, 13, 2)), ((1, 13, 13, 125), (1, 6, 6, 1))]


@pytest.mark.plain
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matches_the_naive_counterpart_and_its_adjoint(rng, shapes):
    x, source = (rng.standard_normal(shape) for shape in shapes)
    out = np.full_like(x, np.nan)
    shortcut_forward(x, source, out, .5, -1.5)
    np.testing.assert_allclose(out, naive.shortcut(x, source, .5, -1.5), rtol=1e-12)
    grad_out, grad_x, grad_source = rng.standard_normal(x.shape), np.full_like(x, np.nan), np.full_like(source, np.nan)
    shortcut_backward_x(grad_out, source, grad_x, .5, False, False)
    shortcut_backward_source(grad_out, grad_source, -1.5, False)
    assert np.sum(out * grad_out) == pytest.approx(np.sum(x * grad_x) + np.sum(source * grad_source), rel=1e-9)
    more, more_source = np.ones_like(x), np.ones_like(source)
    shortcut_backward_x(grad_out, source, more, .5, False, True)
    shortcut_backward_source(grad_out, more_source, -1.5, True)
    np.testing.assert_allclose(more, 1 + grad_x, atol=1e-12)
    np.testing.assert_allclose(more_source, 1 + grad_source, atol=1e-12)


@pytest.mark.plain
@pytest.mark.parametrize("shapes", [SHAPES[1], SHAPES[3]], ids=str)
def test_gradient_numerically(rng, shapes):
    x, source = (rng.standard_normal(shape) for shape in shapes)
    grad_out = rng.standard_normal(x.shape)

    def loss():
        out = np.empty_like(x)
        shortcut_forward(x, source, out, .5, 2.)
        return np.sum(grad_out * out)

    grad_x, darknet, grad_source = np.empty_like(x), np.empty_like(x), np.empty_like(source)
    shortcut_backward_x(grad_out, source, grad_x, .5, False, False)
    shortcut_backward_x(grad_out, source, darknet, .5, True, False)
    shortcut_backward_source(grad_out, grad_source, 2., False)
    check_gradient(loss, x, grad_x, "shortcut_backward_x")
    check_rejected(loss, x, -grad_x, grad_out, darknet)
    check_gradient(loss, source, grad_source, "shortcut_backward_source")
    check_rejected(loss, source, -grad_source, grad_source / 2, grad_source[:, ::-1])


def test_float32_in_frames_and_threads(rng, same_bits):
    x, source = (rng.standard_normal(shape).astype(np.float32) for shape in SHAPES[2])
    one = np.float32(1)
    out, grad_source = framed(np.zeros_like(x)), framed(source)
    shortcut_forward(framed(x), framed(source), out, one, one)
    np.testing.assert_allclose(out, naive.shortcut(x, source, 1, 1), rtol=1e-6)
    shortcut_backward_source(out, grad_source, one, False)
    assert margin_is_zero(out) and np.count_nonzero(grad_source) == x.size

    def run():
        there, back, back_source = np.zeros_like(x), np.ones_like(x), np.ones_like(source)
        shortcut_forward(x, source, there, one, one)
        shortcut_backward_x(there, source, back, one, False, True)
        shortcut_backward_source(there, back_source, one, True)
        return there, back, back_source

    same_bits(run)


RESIDUAL = f"""{small.HEAD}
[convolutional]
filters=4
size=3
pad=1
activation=leaky
[convolutional]
filters=6
size=3
stride=2
pad=1
activation=linear
[shortcut]
from=-2
activation=leaky
alpha=.5
beta=2
[shortcut]
from=-1
[convolutional]
filters=2
activation=linear
"""


def test_whole_network_numerically(rng):
    """Also a shortcut from the layer before itself: both of its sources are one, and its gradients add up."""
    net = Network.from_string(RESIDUAL, backend="kernels", dtype=np.float64)
    check_network(net, rng.random((2, *net.input.shape)), rng.standard_normal((2, 4, 4, 2)))


SEVERAL = f"""{small.HEAD}
[convolutional]
filters=4
activation=leaky
[convolutional]
filters=4
activation=linear
[convolutional]
filters=4
activation=linear
[shortcut]
from=-2,0
activation=mish
"""


def test_several_layers_are_added(rng):
    net = Network.from_string(SEVERAL, backend="kernels", dtype=np.float64)
    x = rng.random((2, *net.input.shape))
    a, b, c, out = (layer.out for layer in net.layers) if net.predict(x) is not None else ()
    total = a + b + c
    np.testing.assert_allclose(out, total * np.tanh(np.log1p(np.exp(total))), rtol=1e-12)
    check_network(net, x, rng.standard_normal((2, 8, 8, 4)))
    with pytest.raises(CfgError, match="adds several layers: layer 0 of 8 x 8 x 4 and layer 2 of 8 x 8 x 5 must have the"):
        Network.from_string(SEVERAL.replace("filters=4\nactivation=linear\n[shortcut]",
                                            "filters=5\nactivation=linear\n[shortcut]"))


@pytest.mark.parametrize("text", [RESIDUAL, SEVERAL], ids=["one", "several"])
def test_engine_agrees_with_kernels(rng, text):
    x = rng.random((2, 8, 8, 3), np.float32)
    outs = [Network.from_string(text, backend=backend).predict(x) for backend in ("engine", "kernels")]
    np.testing.assert_allclose(*outs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lines, message", [
    ("from=-5", "from=-5 leads to layer -3"), ("from=2", "from=2 leads to layer 2"), ("activation=leaky", "has no from="),
    ("from=0,-4", "from=-4 leads to layer -2"), ("from=0\nactivation=gelu", "is not supported yet"),
    ("from=0\nweights_type=per_channel", "is not supported yet")])
def test_sections_that_cannot_stand(lines, message):
    body = "\n[convolutional]\nfilters=2\n[convolutional]\nfilters=2\n[shortcut]\n"
    with pytest.raises(CfgError, match=message):
        Network.from_string(small.HEAD + body + lines + "\n")


def test_sizes_that_do_not_meet():
    body = "\n[convolutional]\nfilters=2\n[maxpool]\nsize=5\nstride=1\npadding=0\n[shortcut]\nfrom=0\n"
    tall = small.HEAD.replace("height=8", "height=5")
    with pytest.raises(CfgError, match="must differ by the same factor"):
        Network.from_string(tall + body)
