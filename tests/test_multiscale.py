"""data/multiscale.py: Darknet's sizes, drawn from seed and step alone."""
from collections import Counter

from minidarknet.data.multiscale import CLASSIFIER, size_at


def test_darknets_ten_sizes_each_for_ten_updates():
    for base in (320, 416, 608):
        sizes = [size_at(0, step, (base, base)) for step in range(5000)]
        assert {w for w, _ in sizes} == set(range(320, 609, 32)) and all(w == h for w, h in sizes)
        assert all(len(set(sizes[n:n + 10])) == 1 for n in range(0, 5000, 10))
        assert min(Counter(sizes).values()) > 250


def test_other_bases_keep_the_ratios():
    sizes = {size_at(3, step, (224, 224), 32) for step in range(0, 2000, 10)}
    assert sizes == {(s, s) for s in (160, 192, 224, 256, 288, 320)}
    wide = {size_at(3, step, (640, 384), 32) for step in range(0, 2000, 10)}
    assert len(wide) == 10 and all(w % 32 == h % 32 == 0 and abs(w / h - 640 / 384) < .2 for w, h in wide)
    assert (640, 384) in wide and min(wide) == (480, 288) and max(wide) == (928, 576)
    assert {size_at(1, step, (32, 32), 32) for step in range(0, 500, 10)} == {(32, 32)}
    assert all(side % 16 == 0 for step in range(0, 500, 10) for side in size_at(1, step, (416, 416), 16))


def test_seed_and_step_decide_alone():
    assert [size_at(7, s, (416, 416)) for s in (500, 3, 77)] == [size_at(7, s, (416, 416)) for s in (500, 3, 77)]
    one, other = ([size_at(seed, s, (416, 416)) for s in range(0, 500, 10)] for seed in (7, 8))
    assert one != other


def test_classifiers_have_darknets_own_sizes():
    """128, 160, ..., 448, a new one every 40 updates; another base is scaled by the same ratios."""
    sizes = [size_at(0, step, (256, 256), 32, CLASSIFIER) for step in range(8000)]
    assert set(sizes) == {(32 * k, 32 * k) for k in range(4, 15)}
    assert all(len(set(sizes[n:n + 40])) == 1 for n in range(0, 8000, 40))
    small = {size_at(0, step, (28, 28), 1, CLASSIFIER) for step in range(0, 8000, 40)}
    assert small == {(round(28 * k / 8),) * 2 for k in range(4, 15)}
