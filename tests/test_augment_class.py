"""data/augment_class.py and kernels/image.window: what a classifier sees of a picture."""
import math

import naive_image as naive
import numpy as np
import pytest

from minidarknet.data import pictures
from minidarknet.data.augment_class import ClassAugmentation
from minidarknet.data.draws import PICTURE, stream
from minidarknet.data.example import Objects
from minidarknet.errors import UsageError
from minidarknet.kernels.image import window


def example(size, class_id=2):
    objects = Objects()
    objects.add((0, 0, 1, 1), class_id, False, (1, 1, *size))
    return objects.example("x", "x.png", size)


def windowed(picture, height, width, *where, flip=False, white=1.0):
    out = np.full((height, width, 3), -9, np.float32)
    window(picture, out, *where, flip, white)
    return out


def test_window_gives_darknets_numbers():
    """The spec's G12: rotate_crop_image of the original program."""
    ramp = np.repeat((np.arange(20, dtype=np.float32) / 20).reshape(4, 5, 1), 3, axis=2)
    want = [.05587047, .1626633, .2694562, .3248072, .4316001, .538393, .5937439, .7005368, .8073297]
    for plane in np.moveaxis(windowed(ramp, 3, 3, math.radians(7), .9, .2, -.1, 1.2), 2, 0):
        np.testing.assert_allclose(plane.reshape(-1), want, atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape, out, where", [((9, 7), (5, 8), (.3, .7, 2, -3, 1.3)), ((1, 1), (3, 2), (-1, 5, 0, 0, 1)),
                                               ((20, 3), (6, 6), (3, .2, 9, 9, .5)), ((6, 6), (4, 9), (0, 2, -50, 0, 1))])
def test_window_against_numpy(shape, out, where, flip):
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    want = naive.window(picture / 255, *out, *where)
    np.testing.assert_allclose(windowed(picture, *out, *where, flip=flip, white=255.0), want[:, ::-1] if flip else want,
                               atol=2e-4)   # single precision of coordinates, times steps of up to 1 between pixels


def test_an_upright_window_of_the_same_size_is_the_picture():
    picture = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(windowed(picture, 8, 8, 0.0, 1.0, 0.0, 0.0, 1.0, white=255.0), picture / 255, atol=1e-6)


def test_without_anything_to_vary_the_whole_square_is_seen():
    picture = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    options = ClassAugmentation(5, min_ratio=1, max_ratio=1, flip=False)
    x, truth = options.vary(picture, example((16, 16)), (16, 16), stream(0, PICTURE, 0))
    np.testing.assert_allclose(x, picture / 255, atol=1e-5)
    assert truth.tolist() == [0, 0, 1, 0, 0] and truth.dtype == np.float32 and x.dtype == np.float32


def test_windows_stay_inside_and_the_side_is_drawn():
    """A picture that tells its coordinates: which part is seen follows from the colours."""
    ys, xs = np.mgrid[:80, :120]
    picture = np.stack([xs * 2, ys * 3, np.full_like(xs, 255)], 2).astype(np.uint8)
    sides = []
    for seed in range(200):
        x, _ = ClassAugmentation(5, min_ratio=1, max_ratio=2, flip=False).vary(picture, example((120, 80)), (40, 40),
                                                                           stream(seed, PICTURE, 0))
        assert (x[1:-1, 1:-1, 2] > .99).all()                       # never beyond the picture, but for half a pixel
        seen = (x[20, 39, 0] - x[20, 0, 0]) * 255 / 2 / 39 * 40     # pixels of the picture across
        sides.append(80 / seen * 40)                                # what its shorter side was scaled to
    assert 39 < min(sides) < 44 and 76 < max(sides) < 82 and 55 < np.mean(sides) < 65


def test_turns_and_aspects():
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[:, :30] = 255
    turned = ClassAugmentation(5, min_ratio=1, max_ratio=1, angle=30, flip=False)
    slopes = []
    for seed in range(60):
        x = turned.vary(picture, example((60, 60)), (60, 60), stream(seed, PICTURE, 0))[0][:, :, 0]
        edges = [(row > .5)[15:].argmin() + 15 for row in x[20:41]]
        slopes.append(math.degrees(math.atan2(edges[-1] - edges[0], 20)))
    assert -31 < min(slopes) < -20 and 20 < max(slopes) < 31
    wide = ClassAugmentation(5, min_ratio=1, max_ratio=1, aspect=.5, flip=False)
    shapes = {round(float(wide._place(picture, (60, 60), stream(seed, PICTURE, 0))[4]), 1) for seed in range(300)}
    assert min(shapes) == .5 and max(shapes) == 2


@pytest.mark.parametrize("mode", ["crop", "center", "none"])
def test_flips_and_colours(mode):
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    plain, same, mirrored = pictures.fit(picture, (32, 32), "crop")[0], 0, 0
    for seed in range(40):
        options = ClassAugmentation(3, mode=mode)
        one = options.vary(picture, example((70, 50)), (32, 32), stream(seed, PICTURE, 0))[0]
        still = ClassAugmentation(3, mode=mode, flip=False).vary(picture, example((70, 50)), (32, 32),
                                                                 stream(seed, PICTURE, 0))[0]
        loud = ClassAugmentation(3, mode=mode, hue=.2, saturation=3, exposure=3)
        loud = loud.vary(picture, example((70, 50)), (32, 32), stream(seed, PICTURE, 0))[0]
        same += np.array_equal(one, still)
        mirrored += np.allclose(one, still[:, ::-1], atol=1e-6)
        assert np.array_equal(still, plain) or mode == "crop"
        assert np.array_equal(loud, plain) == (mode == "none") and loud.min() >= 0 and loud.max() <= 1
    assert same + mirrored == 40 and (mirrored == 0 if mode == "none" else 8 <= mirrored <= 32)


def test_crop_is_the_middle_square():
    picture = np.zeros((20, 50, 3), np.uint8)
    picture[:, 15:35] = 255
    x, geometry = pictures.fit(picture, (10, 10), "crop")
    assert (x == 1).all() and geometry.undo([[.5, .5, 1, 1]]).tolist() == [[15, 0, 35, 20]]
    assert pictures.fit(picture.transpose(1, 0, 2).copy(), (10, 10), "crop")[1].undo([[.5, .5, 1, 1]]).tolist() == [
        [0, 15, 20, 35]]


def test_needles_and_single_pixels():
    for shape in ((1, 1, 3), (1, 900, 3), (900, 1, 3)):
        for mode in ("crop", "center", "none"):
            x, _ = ClassAugmentation(3, angle=7, aspect=.75, mode=mode).vary(
                np.zeros(shape, np.uint8), example(shape[1::-1]), (32, 32), stream(2, PICTURE, 0))
            assert np.isfinite(x).all()


def test_senseless_options_are_refused():
    for wrong in ({"mode": "place"}, {"resize": "cut"}, {"min_ratio": 0}, {"min_ratio": 2, "max_ratio": 1}):
        with pytest.raises(UsageError, match="expected"):
            ClassAugmentation(3, **wrong)
