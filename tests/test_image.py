"""kernels/image.py against Darknet's numbers (spec G3, G10) and against naive_image.py."""
import naive_image as naive
import numpy as np
import pytest

from minidarknet.kernels.image import distort, place, resize_darknet

RAMP = (0.1 * np.arange(6, dtype=np.float32) ** 2).reshape(2, 3)  # the golden picture, 3 wide and 2 high


def colour(plane):
    """One plane -> (h, w, 3): what a kernel does to one channel it must do to each."""
    return np.repeat(np.asarray(plane, np.float32)[:, :, None], 3, axis=2)


def resized(picture, height, width, white=1.0, strict=False):
    out = np.full((height, width, 3), -9, np.float32)
    resize_darknet(picture, out, white, strict)
    return out


def placed(picture, canvas, *where, fill=0.5, flip=False, white=1.0, strict=False):
    out = np.full((*canvas, 3), -9, np.float32)
    place(picture, out, *where, fill, flip, white, strict)
    return out


@pytest.mark.parametrize("strict", [False, True])
def test_resize_gives_darknets_numbers(strict):
    want = [[0, .05, .1, .25, .4], [.3, .45, .6, .85, 1.1], [.6, .85, 1.1, 1.45, 1.8], [.9, 1.25, 1.6, 2.05, 2.5]]
    assert np.allclose(resized(colour(RAMP), 4, 5, strict=strict), colour(want), atol=1e-6)


def test_resize_last_row_is_black_only_where_darknets_accident_is_asked_for():
    ones = np.ones((427, 2, 3), np.float32)
    strict = resized(ones, 405, 2, strict=True)
    assert np.allclose(strict[-1], 3.05e-5, atol=1e-6) and np.allclose(strict[:-1], 1)
    assert np.allclose(resized(ones, 405, 2), 1)


def test_resize_to_one_row():
    assert np.isnan(resized(colour(RAMP), 1, 2, strict=True)).all()
    assert np.allclose(resized(colour(RAMP), 1, 2), colour([[0, .4]]))


@pytest.mark.parametrize("shape, new", [((7, 5), (4, 9)), ((3, 8), (3, 8)), ((1, 1), (3, 2)), ((9, 2), (5, 1)),
                                        ((2, 2), (11, 13)), ((13, 11), (2, 2))])
def test_resize_against_numpy(shape, new):
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    want = naive.resize(picture / 255, *new)
    assert np.allclose(resized(picture, *new, white=255.0), want, atol=2e-6)
    if shape == new:
        assert np.array_equal(resized(picture, *new, white=255.0), (picture / 255).astype(np.float32))


def test_resize_into_a_view_touches_nothing_else():
    canvas = np.full((6, 7, 3), 5, np.float32)
    resize_darknet(colour(RAMP), canvas[1:4, 2:6], 1.0, False)
    assert (canvas[0] == 5).all() and (canvas[4:] == 5).all() and (canvas[:, :2] == 5).all()
    assert np.allclose(canvas[1:4, 2:6], naive.resize(colour(RAMP), 3, 4), atol=1e-6)


def test_place_gives_darknets_numbers():
    got = placed(colour(RAMP), (4, 4), 3, 3, 1, -1, strict=True)
    want = [[.5, .6, 1.1, 1.8], [.5, .6, 1.066667, 1.666667], [.5] * 4, [.5] * 4]
    assert np.allclose(got, colour(want), atol=1e-6)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("where", [(9, 6, 0, 0), (4, 4, 3, 2), (20, 15, -6, -4), (5, 30, 7, -11), (1, 1, 8, 5),
                                   (4, 4, 50, 50), (3, 3, -3, -3)])
def test_place_against_numpy(where, flip, strict):
    picture = np.random.default_rng(2).integers(0, 256, (7, 8, 3), dtype=np.uint8)
    want = naive.place(picture / 255, (6, 9), *where, .25, flip, strict)
    got = placed(picture, (6, 9), *where, fill=.25, flip=flip, white=255.0, strict=strict)
    assert np.allclose(got, want, atol=2e-6)


def test_distort_gives_darknets_numbers():
    x = np.array([[[.8, .4, .1], [.2, .6, .9], [.5, .5, .5], [0, 0, 0]]], np.float32)
    distort(x, .05, 1.3, 1.2)
    want = [[.96, .6636001, 0], [0, .2844, 1], [.6, .6, .6], [0, 0, 0]]
    assert np.allclose(x[0], want, atol=1e-5)


@pytest.mark.parametrize("hue, saturation, exposure", [(0, 1, 1), (.1, 1.5, .7), (-.1, .6, 1.4), (.5, 0, 1), (-1, 1, 1),
                                                       (1, 2, 2), (-.3, 1.5, 1.5)])
def test_distort_against_colorsys(hue, saturation, exposure):
    x = np.random.default_rng(3).random((12, 13, 3)).astype(np.float32)
    x[0] = .3                                                      # grey: no hue
    x[1, :6] = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]]
    want = naive.distort(x, hue, saturation, exposure)
    distort(x, hue, saturation, exposure)
    assert np.isfinite(x).all() and np.allclose(x, want, atol=5e-5)


def test_the_counterparts_can_tell_a_wrong_kernel():
    picture = np.random.default_rng(4).random((6, 6, 3)).astype(np.float32)
    centred = naive.place(picture, (4, 4), 4, 4, 0, 0, .5, False, False)     # samples x W/w, not x (W-1)/(w-1)
    assert not np.allclose(resized(picture, 4, 4), centred, atol=1e-3)
    assert not np.allclose(placed(picture, (4, 4), 4, 4, 0, 0), naive.resize(picture, 4, 4), atol=1e-3)
