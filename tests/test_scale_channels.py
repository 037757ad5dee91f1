"""Gates: [scale_channels] for channels and for pixels, and [sam] for every number."""
import numpy as np
import pytest
import small
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_network, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import scale_channels_backward_gate, scale_channels_backward_x, scale_channels_forward
from minidarknet.ops import BACKENDS

# picture, gate: per channel, per pixel, per number; odd sizes, one channel, one pixel
SHAPES = [((2, 3, 5, 4), (2, 1, 1, 4)), ((2, 5, 3, 7), (2, 5, 3, 1)), ((3, 4, 2, 5), (3, 4, 2, 5)),
          ((1, 1, 1, 1), (1, 1, 1, 1)), ((1, 13, 13, 125), (1, 1, 1, 125))]


@pytest.fixture(params=SHAPES, ids=str)
def case(request, rng):
    return [rng.standard_normal(shape) for shape in request.param]


@pytest.mark.plain
def test_matches_numpy_and_its_adjoint(rng, case):
    x, gate = case
    out = np.full_like(x, np.nan)
    scale_channels_forward(x, gate, out)
    np.testing.assert_array_equal(out, x * gate)
    grad_out, grad_x, grad_gate = rng.standard_normal(x.shape), np.full_like(x, np.nan), np.full_like(gate, np.nan)
    scale_channels_backward_x(grad_out, gate, grad_x, False)
    scale_channels_backward_gate(grad_out, x, grad_gate, False)
    assert np.sum(grad_out * out) == pytest.approx(np.sum(grad_x * x), rel=1e-9) == pytest.approx(np.sum(grad_gate * gate))
    more, more_gate = np.ones_like(x), np.ones_like(gate)
    scale_channels_backward_x(grad_out, gate, more, True)
    scale_channels_backward_gate(grad_out, x, more_gate, True)
    np.testing.assert_allclose(more, 1 + grad_x, atol=1e-12)
    np.testing.assert_allclose(more_gate, 1 + grad_gate, atol=1e-12)


@pytest.mark.plain
def test_gradient_numerically(rng, case):
    x, gate = case
    grad_out = rng.standard_normal(x.shape)

    def loss():
        out = np.empty_like(x)
        scale_channels_forward(x, gate, out)
        return np.sum(grad_out * out)

    grad_x, grad_gate = np.empty_like(x), np.empty_like(gate)
    scale_channels_backward_x(grad_out, gate, grad_x, False)
    scale_channels_backward_gate(grad_out, x, grad_gate, False)
    check_gradient(loss, x, grad_x, "scale_channels_backward_x")
    check_gradient(loss, gate, grad_gate, "scale_channels_backward_gate")
    check_rejected(loss, x, -grad_x, grad_out)
    check_rejected(loss, gate, -grad_gate, grad_gate / 2)


def test_float32_in_frames_and_threads(rng, same_bits):
    x, gate = (rng.standard_normal(shape).astype(np.float32) for shape in SHAPES[0])
    out, grad_x = framed(np.ones_like(x)), framed(np.ones_like(x))
    scale_channels_forward(framed(x), framed(gate), out)
    np.testing.assert_array_equal(out, x * gate)
    scale_channels_backward_x(out, framed(gate), grad_x, False)
    assert margin_is_zero(out) and margin_is_zero(grad_x)

    def run():
        there, back, back_gate = np.zeros_like(x), np.ones_like(x), np.ones_like(gate)
        scale_channels_forward(x, gate, there)
        scale_channels_backward_x(there, gate, back, True)
        scale_channels_backward_gate(there, x, back_gate, True)
        return there, back, back_gate

    same_bits(run)


CONV = "[convolutional]\nfilters={}\nsize=3\npad=1\nactivation={}\n"
SQUEEZE = (CONV.format(4, "swish") + "[avgpool]\n" + "[convolutional]\nfilters=2\nactivation=relu\n"
           "[convolutional]\nfilters=4\nactivation=logistic\n[scale_channels]\nfrom=0\nactivation={activation}\n")
PIXELS = CONV.format(4, "leaky") + CONV.format(1, "logistic") + "[scale_channels]\nfrom=-2\nscale_wh=1\n"
ATTENTION = CONV.format(4, "mish") + CONV.format(4, "logistic") + "[sam]\nfrom=-2\n"


@pytest.mark.parametrize("body", [SQUEEZE.format(activation="linear"), SQUEEZE.format(activation="swish"), PIXELS,
                                  ATTENTION], ids=["squeeze", "squeeze, swish", "pixels", "attention"])
def test_network_gradient_on_both_backends(rng, body):
    """The gate and the picture come from the same layer: its gradients add up."""
    net = Network.from_string(small.HEAD + body, backend="kernels", dtype=np.float64)
    x, grad = rng.random((2, 8, 8, 3)), rng.standard_normal((2, 8, 8, 4))
    loss = check_network(net, x, grad, ("weight", "bias"))
    weight = net.layers[0].params[-1]
    check_rejected(loss, weight.value, -weight.grad, weight.grad / 2)
    engine = Network.from_string(small.HEAD + body)
    engine.forward(x, train=True)
    engine.backward(grad)
    for ours, theirs in zip(engine.params, net.params, strict=True):
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4 * np.abs(theirs.grad).max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_gate_does(rng, backend):
    net = Network.from_string(small.HEAD + SQUEEZE.format(activation="linear"), backend=backend)
    net.predict(rng.random((1, 8, 8, 3), np.float32))
    picture, gate, out = (net.layers[i].out for i in (0, 3, 4))
    np.testing.assert_allclose(out, picture * gate, rtol=1e-6)


@pytest.mark.parametrize("body, told", [
    (SQUEEZE.replace("filters=4\nactivation=logistic", "filters=5\nactivation=logistic"),
     "multiplies layer 0 of 8 x 8 x 4 by layer 3 of 1 x 1 x 5: expected one number for each channel, 1 x 1 x 4"),
    (PIXELS.replace("scale_wh=1", "scale_wh=0"), "expected one number for each channel"),
    (PIXELS.replace("filters=1\n", "filters=2\n"), "expected one number for each pixel, 8 x 8 x 1"),
    (ATTENTION.replace("[sam]\nfrom=-2", "[maxpool]\nstride=2\n[sam]\nfrom=0"), "expected the same shape"),
    (ATTENTION.replace("from=-2", "from=7"), "from=7 leads to layer 7"),
    (PIXELS.replace("scale_wh=1", "scale_wh=2"), "expected one of 0, 1"),
    (ATTENTION.replace("from=-2", ""), "has no from="),
])
def test_what_does_not_fit(body, told):
    with pytest.raises(CfgError, match=told):
        Network.from_string(small.HEAD + body.format(activation="linear"))
