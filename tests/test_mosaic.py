"""data/mosaic.py: four pictures in one, and their boxes with them."""
import make_data as make
import numpy as np
import pytest
from test_augment import BLUE, RED

from minidarknet.data.annotations import load
from minidarknet.data.augment import Augmentation
from minidarknet.data.loader import Loader
from minidarknet.data.mosaic import cross, mosaic


def marked(number, left, top, right, bottom, size=(40, 30)):
    """A blue canvas with a red rectangle, and its truth of class `number`."""
    w, h = size
    picture = np.empty((h, w, 3), np.float32)
    picture[:] = np.array(BLUE) / 255
    picture[top:bottom, left:right] = np.array(RED) / 255
    return picture, np.array([[(left + right) / 2 / w, (top + bottom) / 2 / h, (right - left) / w, (bottom - top) / h,
                               number]], np.float32)


def test_each_part_shows_its_own_picture_and_boxes_enclose_what_is_left():
    """The cross at (25, 10): inside, cut on the right, cut above and on the left, gone."""
    parts = [marked(0, 2, 3, 8, 9), marked(1, 30, 2, 38, 14), marked(2, 20, 5, 30, 20), marked(3, 0, 0, 20, 30)]
    x, truth = mosaic(*zip(*parts), (25, 10))
    assert truth[:, 4].tolist() == [0, 1, 2]
    expected = [(2, 3, 8, 9), (30, 2, 38, 10), (20, 10, 25, 20)]
    found = np.concatenate([truth[:, :2] - truth[:, 2:4] / 2, truth[:, :2] + truth[:, 2:4] / 2], 1) * [40, 30, 40, 30]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    red = x[..., 0] > .5
    assert red.sum() == sum((right - left) * (bottom - top) for left, top, right, bottom in expected)
    for left, top, right, bottom in expected:
        assert red[top:bottom, left:right].all()


def test_four_times_the_same_picture_is_the_picture():
    picture, truth = marked(5, 2, 3, 12, 9)
    x, rows = mosaic([picture] * 4, [truth, np.zeros((0, 5), np.float32), truth[:0], truth[:0]], (25, 20))
    np.testing.assert_array_equal(x, picture)
    np.testing.assert_allclose(rows, truth, atol=1e-6)


def test_the_cross_stays_away_from_the_edges():
    places = np.array([cross((100, 50), np.random.default_rng(seed)) for seed in range(300)])
    assert (places.min(0) >= (20, 10)).all() and (places.max(0) <= (80, 40)).all()
    assert (places.min(0) <= (22, 11)).all() and (places.max(0) >= (78, 38)).all()


@pytest.fixture
def batches(tmp_path):
    things = {name: [make.thing("cat", 1, 1, 60, 40)] for name in "abcdefgh"}
    dataset = load(make.voc(tmp_path / "VOC", things), "train")

    def take(first=0, workers=1, mosaic=True):
        options = Augmentation(mosaic=mosaic)
        with Loader(dataset, 3, 4, first, lambda step: (64, 64), options, workers) as loader:
            return [next(loader) for _ in range(4)]

    return take


def test_in_the_loader(batches):
    """More objects than one picture has; the same for any number of workers and after a resume."""
    one = batches()
    assert max(len(truth[truth[:, 2] > 0]) for batch in one for truth in batch.truth) > 1
    assert all(len(truth) == 1 for batch in batches(mosaic=False) for truth in batch.truth)
    for other in (batches(workers=3), batches()):
        assert all(np.array_equal(a.x, b.x) and np.array_equal(a.truth, b.truth) for a, b in zip(one, other, strict=True))
    later = batches(first=2)
    assert np.array_equal(later[0].x, one[2].x) and np.array_equal(later[1].truth, one[3].truth)
    for batch in one:
        assert np.isfinite(batch.x).all() and 0 <= batch.x.min() and batch.x.max() <= 1
