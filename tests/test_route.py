"""Route: channels side by side, gradients back to their owners."""
import numpy as np
import pytest
import small
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import route_backward, route_forward


@pytest.mark.plain
@pytest.mark.parametrize("channels", [(3, 4), (1, 1, 1), (2, 125)])
@pytest.mark.parametrize("b", [1, 3])
def test_concatenates_and_gives_back(rng, channels, b):
    sources = [rng.standard_normal((b, 3, 5, c)) for c in channels]
    out = np.full((b, 3, 5, sum(channels)), np.nan)
    starts = np.cumsum((0, *channels[:-1]))
    for x, start in zip(sources, starts, strict=True):
        route_forward(x, out, start, 0, x.shape[3])
    np.testing.assert_array_equal(out, np.concatenate(sources, axis=3))
    grad_out = rng.standard_normal(out.shape)
    product = 0
    for x, start in zip(sources, starts, strict=True):
        grad_x = np.full_like(x, np.nan)
        route_backward(grad_out, grad_x, start, 0, x.shape[3], False)
        np.testing.assert_array_equal(grad_x, grad_out[..., start:start + x.shape[3]])
        product += np.sum(x * grad_x)
        filled = np.ones_like(x)
        route_backward(grad_out, filled, start, 0, x.shape[3], True)
        np.testing.assert_array_equal(filled, 1 + grad_x)
    assert np.sum(out * grad_out) == pytest.approx(product, abs=1e-10)


@pytest.mark.plain
def test_gradient_numerically(rng):
    x, grad_out = rng.standard_normal((1, 2, 3, 4)), rng.standard_normal((1, 2, 3, 9))

    def loss():
        out = np.zeros_like(grad_out)
        route_forward(x, out, 2, 1, 2)
        return np.sum(grad_out * out)

    grad_x, shifted, whole = (np.empty_like(x) for _ in range(3))
    route_backward(grad_out, grad_x, 2, 1, 2, False)
    route_backward(grad_out, shifted, 2, 0, 2, False)
    route_backward(grad_out, whole, 2, 0, 4, False)
    check_gradient(loss, x, grad_x, "route_backward")
    check_rejected(loss, x, -grad_x, shifted, whole)


def test_half_the_channels_of_each_source(rng):
    """AlexeyAB's groups=2, group_id=1: as yolov4-tiny takes the second half of a layer."""
    net = Network.from_string(f"""{small.HEAD}
[convolutional]
filters=6
[convolutional]
filters=4
[route]
layers=-1,-2
groups=2
group_id=1
""", dtype=np.float64, backend="kernels")
    net.forward(rng.random((2, *net.input.shape)), train=True)
    first, second, route = net.layers
    assert route.shape[2] == 5
    assert np.array_equal(route.out, np.concatenate([second.out[..., 2:], first.out[..., 3:]], axis=3))


@pytest.mark.parametrize("lines, message", [
    ("groups=3", "groups=3 must divide the 4 channels of layer 0"), ("groups=2\ngroup_id=2", "expected 0 to 1"),
    ("groups=0", "expected at least 1")])
def test_parts_that_do_not_exist(lines, message):
    with pytest.raises(CfgError, match=message):
        Network.from_string(f"{small.HEAD}\n[convolutional]\nfilters=4\n[route]\nlayers=-1\n{lines}\n")


def test_float32_in_frames_and_threads(rng, same_bits):
    x, grad_out = rng.standard_normal((3, 5, 4, 7)).astype(np.float32), rng.standard_normal((3, 5, 4, 9)).astype(np.float32)
    out, grad_x = framed(np.zeros_like(grad_out)), framed(x)
    route_forward(framed(x), out, 2, 0, 7)
    route_backward(framed(grad_out), grad_x, 1, 0, 7, False)
    assert (out[..., 2:] == x).all() and (out[..., :2] == 0).all() and margin_is_zero(out)
    assert (grad_x == grad_out[..., 1:8]).all() and margin_is_zero(grad_x)

    def run():
        there, back = np.zeros_like(grad_out), np.zeros_like(x)
        route_forward(x, there, 1, 2, 5)
        route_backward(grad_out, back, 2, 0, 7, True)
        return there, back

    same_bits(run)
