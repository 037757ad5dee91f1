"""Max pooling: Darknet's padding, its ties and its stride-1 case; gradients also where windows overlap."""
import naive
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet.kernels import maxpool_backward, maxpool_forward

# b, h, w, c, size, stride, padding (in total; Darknet's default is size - 1)
SHAPES = [
    (1, 6, 6, 3, 2, 2, 1),      # the usual one
    (3, 13, 7, 1, 2, 2, 1),     # odd sides: 13 -> 7
    (1, 5, 4, 125, 2, 1, 1),    # stride 1: the size stays
    (1, 6, 5, 2, 3, 2, 2),      # overlapping windows, one cell of padding on the left and top
    (3, 5, 6, 4, 5, 1, 4),      # spatial pyramid pooling: one cell wins many windows
    (1, 8, 9, 2, 3, 2, 0),      # no padding
    (1, 7, 8, 2, 2, 3, 1),      # stride larger than the window: some cells are never seen
]


def make(rng, shape, dtype=np.float64):
    """x of distinct values, an upstream gradient, and (size, stride, offset)."""
    b, h, w, c, size, stride, padding = shape
    oh, ow = (h + padding - size) // stride + 1, (w + padding - size) // stride + 1
    x = rng.permutation(b * h * w * c).reshape(b, h, w, c) * .01 - 1
    return x.astype(dtype), rng.standard_normal((b, oh, ow, c)).astype(dtype), (size, stride, padding // 2)


def forward(x, grad_out, how):
    out, winner = np.full_like(grad_out, np.nan), np.full(grad_out.shape, -7, np.int32)
    maxpool_forward(x, out, winner, *how)
    return out, winner


def backward(x, grad_out, winner, how):
    grad_x = np.full_like(x, np.nan)
    maxpool_backward(grad_out, winner, grad_x, *how, False)
    return grad_x


@pytest.mark.plain
@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_naive_counterpart(rng, shape):
    x, grad_out, how = make(rng, shape)
    out, winner = forward(x, grad_out, how)
    values, positions = naive.maxpool(x, *grad_out.shape[1:3], *how)
    np.testing.assert_array_equal(out, values)
    np.testing.assert_array_equal(winner, positions)
    np.testing.assert_allclose(backward(x, grad_out, winner, how), naive.maxpool_grad_x(grad_out, winner, x.shape),
                               atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_numerically(rng, shape):
    x, grad_out, how = make(rng, shape)
    _, winner = forward(x, grad_out, how)
    grad_x = backward(x, grad_out, winner, how)

    def loss():
        return np.sum(grad_out * forward(x, grad_out, how)[0])

    check_gradient(loss, x, grad_x, "maxpool_backward")
    check_rejected(loss, x, -grad_x, np.roll(grad_x, 1, axis=2), backward(x, grad_out, (winner + 1).astype(np.int32), how))


def test_accumulates(rng):
    x, grad_out, how = make(rng, SHAPES[4])
    _, winner = forward(x, grad_out, how)
    filled = np.ones_like(x)
    maxpool_backward(grad_out, winner, filled, *how, True)
    np.testing.assert_allclose(filled, 1 + backward(x, grad_out, winner, how), atol=1e-12)


@pytest.mark.plain
def test_golden_stride_1_pads_right_and_bottom_only():
    """Golden G2, computed by Darknet."""
    x = np.array([[-1, -2, -3], [-4, 5, -6], [-7, -8, -9.]]).reshape(1, 3, 3, 1)
    out, winner = forward(x, np.empty((1, 3, 3, 1)), (2, 1, 0))
    assert out.ravel().tolist() == [5, 5, -3, 5, 5, -6, -7, -8, -9]
    assert winner.ravel().tolist() == [4, 4, 2, 4, 4, 5, 6, 7, 8]


@pytest.mark.plain
def test_the_outside_is_minus_infinity_not_zero():
    """Negative values at a border win against the padding, in a frame of zeros too."""
    x = framed(np.full((1, 3, 3, 2), -5.))
    out, winner = forward(x, np.empty((1, 2, 2, 2)), (2, 2, 0))
    assert (out == -5).all() and winner[0, :, :, 0].ravel().tolist() == [0, 2, 6, 8]


@pytest.mark.plain
def test_ties_and_what_is_not_a_number():
    """The first maximum in reading order wins a tie; NaN never wins; an empty window wins nothing and gives nothing."""
    x = np.array([[1, 7, 7], [7, np.nan, 0], [np.nan, np.nan, np.nan]]).reshape(1, 3, 3, 1)
    out, winner = forward(x, np.empty((1, 1, 1, 1)), (3, 3, 0))
    assert out.item() == 7 and winner.item() == 1
    out, winner = forward(x[:, 2:], np.empty((1, 1, 1, 1)), (3, 3, 0))
    assert out.item() == -np.inf and winner.item() == -1
    assert (backward(x, np.ones((1, 1, 1, 1)), winner, (3, 3, 0)) == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_in_frames(rng, shape):
    x, grad_out, how = make(rng, shape, np.float32)
    want, want_winner = forward(x, grad_out, how)
    out, grad_x, winner = framed(grad_out), framed(x), np.empty(grad_out.shape, np.int32)
    maxpool_forward(framed(x), out, winner, *how)
    maxpool_backward(framed(grad_out), winner, grad_x, *how, False)
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(winner, want_winner)
    np.testing.assert_array_equal(grad_x, backward(x, grad_out, winner, how))
    assert margin_is_zero(out) and margin_is_zero(grad_x)


def test_threads_change_no_bit(rng, same_bits):
    x, grad_out, how = make(rng, (3, 9, 8, 19, 5, 1, 4), np.float32)

    def run():
        out, winner = forward(x, grad_out, how)
        return out, winner, backward(x, grad_out, winner, how)

    same_bits(run)
