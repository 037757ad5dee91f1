"""Crop: the window in the middle, windows at random, mirrored, stretched to -1..1."""
import numpy as np
import pytest
import small
from conftest import framed, margin_is_zero

from minidarknet import Network
from minidarknet.errors import CfgError
from minidarknet.kernels import crop_forward

BODY = "\n[crop]\ncrop_height=5\ncrop_width=4\nflip=1\n[convolutional]\nfilters=2\nactivation=linear\n"


@pytest.mark.plain
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("adjust", [False, True])
def test_a_window(rng, flip, adjust):
    x = rng.random((3, 7, 9, 5))
    out = np.full((3, 4, 6, 5), np.nan)
    crop_forward(x, out, 2, 1, flip, adjust)
    window = x[:, 2:6, 1:7]
    window = window[:, :, ::-1] if flip else window
    np.testing.assert_array_equal(out, 2 * window - 1 if adjust else window)


def test_float32_in_frames_and_threads(rng, same_bits):
    x = rng.random((3, 7, 9, 5), np.float32)
    out = framed(np.zeros((3, 7, 9, 5), np.float32))
    crop_forward(framed(x), out, 0, 0, False, True)
    assert np.array_equal(out, 2 * x - 1) and margin_is_zero(out)

    def run():
        there = np.zeros((3, 5, 5, 5), np.float32)
        crop_forward(x, there, 1, 2, True, True)
        return [there]

    same_bits(run)


def test_prediction_takes_the_middle(rng):
    net = Network.from_string(small.HEAD + BODY)
    x = rng.random((2, *net.input.shape), np.float32)
    net.predict(x)
    assert np.array_equal(net.layers[0].out, 2 * x[:, 1:6, 2:6] - 1)


def test_training_takes_any_window_and_mirrors_some(rng):
    net = Network.from_string(small.HEAD + BODY)
    y, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    picture = np.repeat((10 * y + x)[None, :, :, None] / 100, 3, axis=3).repeat(2, axis=0).astype(np.float32)
    seen = set()
    for _ in range(200):
        net.forward(picture, train=True)
        corner, following = np.rint(50 * (net.layers[0].out[0, 0, :2, 0] + 1)).astype(int)
        seen.add((int(corner) // 10, min(int(corner) % 10, int(corner) % 10 - 3 * (following < corner)),
                  bool(following < corner)))
    assert seen == {(top, left, flip) for top in range(4) for left in range(5) for flip in (False, True)}
    net.backward(np.ones_like(net.layers[-1].out))
    assert np.abs(net.layers[1].grad_weight).max() > 0


def test_what_cannot_be():
    with pytest.raises(CfgError, match="crop_height=9 is more than the picture's 8 pixels"):
        Network.from_string(f"{small.HEAD}\n[crop]\ncrop_height=9\ncrop_width=2\n")
    with pytest.raises(CfgError, match="must be the first section"):
        Network.from_string(f"{small.HEAD}\n[convolutional]\nfilters=3\nactivation=linear{BODY}")
