"""data/augment.py: boxes follow the pixels, whatever happens to these."""
import numpy as np
import pytest

from minidarknet.data.augment import Augmentation, augment
from minidarknet.data.draws import PICTURE, stream
from minidarknet.errors import UsageError

RED, BLUE = (255, 0, 0), (0, 0, 255)
PLAIN = {"hue": 0, "saturation": 1, "exposure": 1}


def marked(height, width, left, top, right, bottom):
    """A blue picture with a red rectangle, and its box in centre form."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = BLUE
    picture[top:bottom, left:right] = RED
    return picture, np.array([[(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                               (bottom - top) / height]])


def red_extent(x):
    """left top right bottom of the red pixels, or None."""
    mask = (x[:, :, 0] > .5) & (x[:, :, 2] < .5)
    ys, xs = np.nonzero(mask)
    assert not len(ys) or mask[ys.min() + 1:ys.max(), xs.min() + 1:xs.max()].all()  # a full rectangle, its rim apart
    return (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(ys) else None


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("mode", ["place", "crop", "none"])
def test_the_box_encloses_exactly_the_marked_pixels(mode, resize):
    cut = lost = 0
    for seed in range(250):
        rng = np.random.default_rng(seed)
        height, width = rng.integers(60, 240, 2)
        left, top = int(rng.integers(0, width - 12)), int(rng.integers(0, height - 12))
        right, bottom = int(rng.integers(left + 8, width + 1)), int(rng.integers(top + 8, height + 1))
        picture, boxes = marked(height, width, left, top, right, bottom)
        size = [(96, 96), (128, 64), (64, 128)][seed % 3]
        options = Augmentation(jitter=.3, mode=mode, resize=resize, **PLAIN)
        x, truth = augment(picture, boxes, [3], size, options, stream(seed, PICTURE, 0))
        assert x.shape == (size[1], size[0], 3) and x.dtype == np.float32 and truth.dtype == np.float32
        # Darknet samples pixel x at x W / w, half a pixel off the centre: as much as half an enlarged pixel is allowed.
        slack = 1.01 + .5 * max(size[0] / (width * (1 - .3)), size[1] / (height * (1 - .3)), 1)
        extent = red_extent(x)
        if not len(truth) or extent is None:    # cut away but for less than the slack, on either side of the comparison
            rest = [0] if extent is None else [extent[2] - extent[0], extent[3] - extent[1]]
            rest_of_box = (truth[0, 2:4] * size).tolist() if len(truth) else [0]
            assert min(rest) <= slack and min(rest_of_box) <= slack, (seed, rest, rest_of_box)
            lost += 1
            continue
        assert truth.shape == (1, 5) and truth[0, 4] == 3
        x0, y0, x1, y1 = (truth[0, [0, 1, 0, 1]] + truth[0, [2, 3, 2, 3]] * [-.5, -.5, .5, .5]) * (size * 2)
        assert x0 >= -1e-3 and y0 >= -1e-3 and x1 <= size[0] + 1e-3 and y1 <= size[1] + 1e-3
        assert np.abs(np.subtract(extent, (x0, y0, x1, y1))).max() <= slack, (seed, extent, (x0, y0, x1, y1))
        cut += mode == "crop" and (x0 < .1 or y0 < .1 or x1 > size[0] - .1 or y1 > size[1] - .1)
    assert lost < 40 and (cut > 25 or mode != "crop")


def test_a_box_moved_by_some_pixels_would_be_noticed():
    picture, boxes = marked(100, 100, 20, 30, 60, 80)
    x, truth = augment(picture, boxes, [0], (100, 100), Augmentation(mode="none"), stream(0, PICTURE, 0))
    assert red_extent(x) == (20, 30, 60, 80)
    assert np.allclose(truth, [[.4, .55, .4, .5, 0]])


@pytest.mark.parametrize("mode", ["place", "crop"])
def test_flipping_twice_changes_nothing(mode):
    picture, boxes = marked(80, 120, 15, 20, 60, 50)
    flipped = 0
    for seed in range(40):
        results = [augment(picture, boxes, [1], (64, 64), Augmentation(jitter=.2, mode=mode, flip=flip),
                           stream(seed, PICTURE, 5)) for flip in (False, True)]
        (x, truth), (x_flip, truth_flip) = results
        if np.array_equal(x, x_flip):
            assert np.array_equal(truth, truth_flip)
            continue
        flipped += 1
        assert np.array_equal(x, x_flip[:, ::-1])
        back = truth_flip.copy()
        back[:, 0] = 1 - back[:, 0]
        assert np.allclose(back, truth, atol=1e-6)
    assert 8 <= flipped <= 32


def test_colours_do_not_move_boxes_and_stay_in_range():
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    boxes = [[.5, .5, .3, .2]]
    for seed in range(20):
        plain = augment(picture, boxes, [0], (64, 64), Augmentation(**PLAIN), stream(seed, PICTURE, 0))
        loud = augment(picture, boxes, [0], (64, 64), Augmentation(hue=.3, saturation=3, exposure=3),
                       stream(seed, PICTURE, 0))
        assert np.array_equal(plain[1], loud[1]) and not np.array_equal(plain[0], loud[0])
        assert loud[0].min() >= 0 and loud[0].max() <= 1


def test_placing_shows_the_whole_picture_and_grey_around_it():
    picture = np.zeros((60, 90, 3), np.uint8)
    shapes = set()
    for seed in range(60):
        x, truth = augment(picture, [[.5, .5, 1, 1]], [0], (64, 64), Augmentation(jitter=.2, **PLAIN),
                           stream(seed, PICTURE, 0))
        black = (x == 0).all(axis=2)
        assert (x[~black] == .5).all()
        ys, xs = np.nonzero(black)
        w, h = xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()
        assert np.allclose(truth[0, 2:4] * 64, (w, h), atol=1e-3) and max(w, h) in (63, 64)
        assert 90 / 60 * .8 / 1.2 - .05 < w / h < 90 / 60 * 1.2 / .8 + .05
        shapes.add((w, h, xs.min(), ys.min()))
    assert len(shapes) > 30


def test_stretch_without_jitter_fills_the_canvas():
    picture, boxes = marked(60, 90, 0, 0, 45, 60)
    x, truth = augment(picture, boxes, [0], (64, 32), Augmentation(jitter=0, resize="stretch", flip=False, **PLAIN),
                       stream(0, PICTURE, 0))
    assert np.allclose(truth, [[.25, .5, .5, 1, 0]]) and (x != .5).any(axis=2).all()


def test_tiny_boxes_are_dropped_and_no_boxes_are_fine():
    picture = np.zeros((50, 50, 3), np.uint8)
    for mode in ("place", "crop", "none"):
        options = Augmentation(mode=mode)
        _, truth = augment(picture, [[.5, .5, 5e-4, .5], [.5, .5, .5, .5]], [0, 1], (32, 32), options,
                           stream(1, PICTURE, 0))
        assert truth[:, 4].tolist() == [1]
        assert augment(picture, np.empty((0, 4)), [], (32, 32), options, stream(1, PICTURE, 0))[1].shape == (0, 5)


def test_needles_and_single_pixels():
    for shape in ((1, 1, 3), (1, 900, 3), (900, 1, 3)):
        for mode in ("place", "crop", "none"):
            x, _ = augment(np.zeros(shape, np.uint8), [[.5, .5, 1, 1]], [0], (32, 32), Augmentation(mode=mode),
                           stream(2, PICTURE, 0))
            assert np.isfinite(x).all()


def test_the_spread_of_the_colour_factors():
    """saturation=.75 means the same family as 1/.75, and 0 means off, as in Darknet."""
    grey = np.full((8, 8, 3), 100, np.uint8)
    for limit, low, high in ((1.5, 1 / 1.5, 1.5), (.75, .75, 1 / .75), (0, 1, 1)):
        options = Augmentation(jitter=0, hue=0, saturation=1, exposure=limit, flip=False)
        factors = [augment(grey, np.empty((0, 4)), [], (8, 8), options, stream(s, PICTURE, 0))[0][0, 0, 0] * 255 / 100
                   for s in range(200)]
        assert low - 1e-3 <= min(factors) <= low * 1.05 and high * .95 <= max(factors) <= high + 1e-3
        assert .3 < np.mean(np.array(factors) < 1) < .7 or limit == 0


def test_senseless_options_are_refused():
    for wrong in ({"mode": "mosaic"}, {"resize": "cut"}, {"jitter": 1}, {"jitter": -.1}):
        with pytest.raises(UsageError, match="expected"):
            Augmentation(**wrong)
