"""data/joint.py: pictures with boxes and pictures with a class alone in turn, and what a step makes of each."""
from pathlib import Path

import make_data as make
import numpy as np
import pytest
from small import TREE

from minidarknet.data import joint
from minidarknet.data.annotations import load
from minidarknet.data.augment import Augmentation
from minidarknet.data.example import NO_BOX
from minidarknet.data.loader import Loader
from minidarknet.errors import DataError, UsageError
from minidarknet.network import Network
from minidarknet.wordtree import read_tree

NODES = read_tree(Path(__file__).parents[1] / "minidarknet/cfg/sample.tree").names


@pytest.fixture
def boxes(tmp_path):
    """Five pictures of cats and dogs with boxes."""
    return load(make.voc(tmp_path / "VOC", {id: [make.thing("cat", 1, 1, 30, 20)] for id in "abcde"}), "train")


@pytest.fixture
def both(boxes, tmp_path):
    """Those, and three pictures of circles and hearts without, one to two in turn."""
    classes = load(make.class_folders(tmp_path / "classes", {"circle": 2, "heart": 1}), "train")
    return joint.join(boxes, classes, np.array([NODES.index(name) for name in classes.names]), (1, 2))


def take(dataset, count, first=0, **options):
    options = {"batch": 3, "workers": 1, "subdivisions": 2, **options}
    with Loader(dataset, options.pop("batch"), 4, first, lambda step: (64, 64), **options) as loader:
        return [next(loader) for _ in range(count)]


def same(one, other):
    return all(a.ids == b.ids and np.array_equal(a.x, b.x) and np.array_equal(a.truth, b.truth)
               for a, b in zip(one, other, strict=True))


# ---- the loader

def test_pictures_without_boxes_carry_the_mark_and_the_ratio_holds(both):
    assert len(both) == 8 and both.unboxed == 3 and both.backgrounds == 0 and both.counts.sum() == 5
    ids = []
    for batch in take(both, 8):
        for id, truth in zip(batch.ids, batch.truth):
            rows, known = truth[truth[:, 2] > 0], id.split("/")[0]
            assert len(rows) == 1
            if known in NODES:
                assert rows[0].tolist() == [NO_BOX] * 4 + [NODES.index(known)]
            else:
                assert rows[0, 2] < 1 and rows[0, 4] == 7    # the data's own number of a cat: the map is the head's matter
            ids.append(known)
    assert sum(known in NODES for known in ids) == 16 and len(ids) == 24


@pytest.mark.parametrize("varied", [{}, {"smallest": .2}, {"mosaic": True}], ids=str)
def test_batches_follow_from_seed_and_place_alone(both, varied):
    options = {"augmentation": Augmentation(**varied)}
    whole = take(both, 8, **options)
    assert same(whole, take(both, 8, workers=4, **options))
    assert same(whole[4:], take(both, 4, first=2, **options))
    with_boxes = [x for batch in whole for x, id in zip(batch.x, batch.ids) if "/" not in id]
    assert len(with_boxes) == 8


def test_a_mini_batch_as_large_as_a_turn_holds_both_kinds(both):
    """A smaller one need not: three pictures a turn, and mini-batches of two."""
    kinds = [sum("/" in id for id in batch.ids) for batch in take(both, 9, batch=3)]
    assert kinds == [2] * 9
    small = [sum("/" in id for id in batch.ids) for batch in take(both, 9, batch=2)]
    assert set(small) == {1, 2} and sum(small) == 12


def test_a_mosaic_is_made_of_boxes_alone(both):
    for batch in take(both, 12, augmentation=Augmentation(mosaic=True)):
        for id, truth in zip(batch.ids, batch.truth):
            marked = truth[:, 0] == NO_BOX
            assert marked.sum() == ("/" in id) and (not marked.any() or (truth[1:] == 0).all())


def test_a_broken_picture_is_replaced_by_one_of_its_kind(both):
    for example in (both.examples[2], both.examples[5]):
        example.path.write_bytes(b"rubbish")
    kinds = [sum("/" in id for id in batch.ids) for batch in take(both, 8)]
    assert kinds == [2] * 8
    for example in both.examples[5:]:
        example.path.write_bytes(b"rubbish")
    with pytest.raises(DataError, match="none of the 3 pictures"):
        take(both, 1)


def test_crops_are_shown_smaller_and_anywhere(both):
    """The part that is not grey: of all sizes from `smallest` on, at all places, and inside."""
    white = np.full((50, 50, 3), 255, np.uint8)
    options, shares, places = Augmentation(smallest=.25, jitter=0, hue=0, saturation=1, exposure=1), [], []
    for seed in range(200):
        x, truth = options.vary(white, both.examples[5], (80, 80), np.random.default_rng(seed))
        rows, columns = np.nonzero((x != .5).all(axis=2))
        shares.append((np.ptp(columns) + 1) / 80)
        places.append((columns.min() / 80, rows.min() / 80))
        assert truth.shape == (1, 5) and truth[0, 0] == NO_BOX
    assert .2 < min(shares) < .3 and max(shares) > .9 and .4 < np.median(shares) < .6
    assert np.max(places) > .6 and np.min(places) == 0
    x, _ = options.vary(white, both.examples[0], (80, 80), np.random.default_rng(1))
    assert not (x == .5).any()                               # a picture with boxes is as large as it can be


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
def test_a_share_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match="0 < smallest <= 1"):
        Augmentation(smallest=wrong)


# ---- what is refused

@pytest.mark.parametrize("text", ["", "1", "1:0", "0:1", "a:b", "1:2:3", "-1:2", "1.5:1", "1001:1", "١:2"])
def test_a_ratio_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="BOXES:CLASSES"):
        joint.ratio(text)


def test_a_ratio_is_reduced():
    assert joint.ratio(" 100:400 ") == (1, 4) and joint.ratio("4:1") == (4, 1)


# ---- the step

def test_a_joint_step_teaches_each_picture_its_own_part(both, tmp_path):
    """Of a picture without a box: no gradient for x y w h, one anchor-cell that learns the class and its ancestors."""
    (tmp_path / "t.cfg").write_text(TREE.replace("map=sample.map\n", "map=cats.map\n"))
    (tmp_path / "cats.map").write_text("1\n" * 20)           # every box is a `round`
    net = Network.from_cfg(tmp_path / "t.cfg", backend="kernels")
    batch = take(both, 1, batch=6, subdivisions=1)[0]
    net.forward(batch.x, batch.truth, train=True)
    gradient = net.head.gradient.reshape(6, -1, 20)
    for id, grad, out in zip(batch.ids, gradient, net.head.out.reshape(6, -1, 20)):
        taught = {NODES[k] for k in np.flatnonzero(np.abs(grad[:, 5:]).any(axis=0))}
        cells = np.flatnonzero(np.abs(grad[:, 5:]).any(axis=1))
        if "/" in id:
            node = NODES.index(id.split("/")[0])
            kinds = {"polygon", "round", "sign"} | {NODES[k] for k in range(*net.tree.children[net.tree.parent[node]])}
            assert taught == kinds and len(cells) == 1 and not grad[:, :4].any()
            assert grad[cells[0], 5 + node] < 0              # downhill: more of it
            assert (out[:, 4] * net.tree.absolute(out[:, 5:])[:, node]).argmax() == cells[0]
        else:
            assert taught == {"polygon", "round", "sign"} and grad[:, :4].any()
