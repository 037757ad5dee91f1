"""Dimension clusters: k-means with 1 - IoU, against formulas written anew and against every possible partition."""
import itertools

import numpy as np
import pytest
from make_data import thing, voc

from minidarknet import clusters
from minidarknet.data import annotations
from minidarknet.errors import DataError


def naive_iou(a, b):
    """IoU of two (w, h) that share a corner."""
    common = min(a[0], b[0]) * min(a[1], b[1])
    return common / (a[0] * a[1] + b[0] * b[1] - common)


def boxes(rng, n=200):
    return np.exp(rng.normal(0, .8, (n, 2))) * .1


def test_overlaps_are_the_iou_of_boxes_with_the_same_centre(rng):
    shapes, anchors = boxes(rng, 30), boxes(rng, 4)
    expected = [[naive_iou(s, a) for a in anchors] for s in shapes]
    np.testing.assert_allclose(clusters.overlaps(shapes, anchors), expected, rtol=1e-12)
    np.testing.assert_allclose(clusters.iou_distance(shapes, anchors), 1 - np.array(expected), rtol=1e-9)
    assert (clusters.overlaps(anchors, anchors).diagonal() == 1).all()


def test_they_agree_with_the_iou_that_training_uses(rng):
    from minidarknet.kernels._boxes import best_anchor
    shapes, anchors = boxes(rng, 50), boxes(rng, 5)
    chosen = [best_anchor(w, h, anchors) for w, h in shapes]
    np.testing.assert_array_equal(clusters.overlaps(shapes, anchors).argmax(axis=1), chosen)


def test_average_iou_and_recall_by_hand():
    shapes, anchors = np.array([(1., 1), (1, 2), (4, 4)]), np.array([(1., 1), (2, 2)])
    assert clusters.average_iou(shapes, anchors) == pytest.approx((1 + .5 + .25) / 3)
    assert clusters.best_possible_recall(shapes, anchors) == pytest.approx(1 / 3)        # .5 is not above .5
    assert clusters.best_possible_recall(shapes, anchors, .2) == 1


def partitions(n, k):
    """Every way to give n boxes to k non-empty groups, as lists of group numbers."""
    return (p for p in itertools.product(range(k), repeat=n) if len(set(p)) == k)


def brute_force(shapes, k):
    """The k centres with the least sum of squares of all partitions, and that sum."""
    best = None
    for partition in partitions(len(shapes), k):
        owner = np.array(partition)
        centres = np.array([shapes[owner == j].mean(axis=0) for j in range(k)])
        cost = ((shapes - centres[owner]) ** 2).sum()
        if best is None or cost < best[0] - 1e-15:
            best = cost, centres
    return best[1][np.argsort(best[1].prod(axis=1))], best[0]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_euclidean_kmeans_finds_the_best_of_all_partitions(rng, k):
    shapes = boxes(rng, 9)
    centres, cost = brute_force(shapes, k)
    found = clusters.kmeans(shapes, k, clusters.squared_distance, restarts=20)
    np.testing.assert_allclose(found, centres, rtol=1e-9)
    assert clusters.squared_distance(shapes, found).min(axis=1).sum() == pytest.approx(cost)


@pytest.mark.parametrize("centre", [np.mean, np.median])
def test_iou_kmeans_finds_the_best_of_all_partitions(rng, centre):
    """Of all partitions, the centres that fit best: k-means must find as good ones, for it may keep any it meets."""
    shapes = boxes(rng, 9)
    most = max(np.mean([max(naive_iou(s, c) for c in centres) for s in shapes]) for centres in
               ([centre(shapes[np.array(p) == j], axis=0) for j in range(3)] for p in partitions(9, 3)))
    found = clusters.kmeans(shapes, 3, centre=centre, restarts=30)
    assert clusters.average_iou(shapes, found) >= most - .01


def test_clusters_that_are_there_are_found(rng):
    """Three heaps far apart: the anchors are their means, or medians, from the smallest to the largest."""
    heaps = [np.array(middle) * rng.uniform(.95, 1.05, (40, 2)) for middle in ((.05, .1), (.3, .1), (.5, .7))]
    shapes = np.concatenate(heaps)[rng.permutation(120)]
    for distance in (clusters.iou_distance, clusters.squared_distance):
        np.testing.assert_allclose(clusters.kmeans(shapes, 3, distance), [h.mean(axis=0) for h in heaps])
    np.testing.assert_allclose(clusters.kmeans(shapes, 3, centre=np.median), [np.median(h, axis=0) for h in heaps])


def test_the_iou_does_not_depend_on_the_scale_and_squares_do(rng):
    shapes = np.concatenate([boxes(rng, 150) * .2, boxes(rng, 150)])
    found = clusters.kmeans(shapes, 4, restarts=3)
    np.testing.assert_allclose(clusters.kmeans(shapes * 416, 4, restarts=3), found * 416)
    squares = clusters.kmeans(shapes, 4, clusters.squared_distance)
    assert clusters.average_iou(shapes, found) > clusters.average_iou(shapes, squares) + .01


def test_same_seed_same_anchors_and_more_restarts_are_never_worse(rng):
    shapes = boxes(rng, 400)
    one, again, more = (clusters.kmeans(shapes, 6, restarts=n, seed=3) for n in (2, 2, 12))
    np.testing.assert_array_equal(one, again)
    assert clusters.average_iou(shapes, more) >= clusters.average_iou(shapes, one)


def test_an_anchor_that_loses_its_boxes_begins_anew():
    shapes = np.array([(.1, .1), (.1, .11), (.5, .5), (.5, .51), (.9, .2)])
    found, _ = clusters._lloyd(shapes, np.array([(.1, .1), (.5, .5), (9., 9)]), clusters.iou_distance, np.mean)
    assert np.isfinite(found).all() and clusters.average_iou(shapes, found) > .95


@pytest.mark.parametrize("shapes", [np.empty((0, 2)), np.full((50, 2), .3), np.repeat([[.1, .2], [.3, .2]], 9, axis=0)])
def test_fewer_different_boxes_than_anchors_are_refused(shapes):
    with pytest.raises(DataError, match=r"k=3 anchors need 3 boxes of different shapes, but there are [012]"):
        clusters.kmeans(shapes, 3)


def test_as_many_boxes_as_anchors_fit_exactly():
    shapes = np.array([(.1, .1), (.3, .2), (.2, .6)])
    np.testing.assert_array_equal(clusters.kmeans(shapes, 3), shapes)


def test_many_boxes_are_drawn_from(monkeypatch, rng):
    shapes = boxes(rng, 400)
    of_all = clusters.kmeans(shapes, 5)
    monkeypatch.setattr(clusters, "MOST", 100)
    of_some = clusters.kmeans(shapes, 5)
    assert not np.array_equal(of_all, of_some)
    assert clusters.average_iou(shapes, of_some) > clusters.average_iou(shapes, of_all) - .04


def test_boxes_are_as_the_network_sees_them(tmp_path):
    """60 x 40 pixels letterboxed to 96 x 96: 96 x 64. Difficult ones and tiny ones are left out."""
    voc(tmp_path / "v", {"a": [thing("cat", 1, 1, 30, 20), thing("cat", 1, 1, 60, 40, difficult=1)],
                         "b": [thing("cat", 11, 11, 20, 30)], "empty": []})
    examples = annotations.load(tmp_path / "v", "train").examples
    np.testing.assert_allclose(clusters.shapes(examples, (96, 96)), [(.5, 1 / 3), (1 / 6, 1 / 3)], rtol=1e-6)
    np.testing.assert_allclose(clusters.shapes(examples, (96, 96), "stretch"), [(.5, .5), (1 / 6, .5)], rtol=1e-6)
    assert clusters.shapes(examples[2:], (96, 96)).shape == (0, 2)


def test_they_are_the_loaders_truth(tmp_path):
    """Widths and heights of the rows that training without augmentation gets, to the last pixel of a letterbox."""
    from minidarknet.data.augment import Augmentation, augment
    from minidarknet.data.pictures import read
    voc(tmp_path / "v", {"a": [thing("cat", 3, 5, 41, 33), thing("cat", 7, 2, 58, 11)]}, size=(59, 37))
    example = annotations.load(tmp_path / "v", "train")[0]
    for mode in ("letterbox", "stretch"):
        _, truth = augment(read(example.path), example.boxes, example.classes, (70, 50),
                           Augmentation(mode="none", resize=mode), None)
        np.testing.assert_allclose(clusters.shapes([example], (70, 50), mode), truth[:, 2:4], rtol=1e-5)


def test_hand_picked_are_faster_rcnns():
    areas, ratios = clusters.HAND_PICKED.prod(axis=1), clusters.HAND_PICKED[:, 1] / clusters.HAND_PICKED[:, 0]
    np.testing.assert_allclose(np.sqrt(areas) * 800, np.repeat((128, 256, 512), 3))
    np.testing.assert_allclose(ratios, np.tile((.5, 1, 2), 3))
