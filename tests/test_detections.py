"""Boxes from head outputs: thresholds, suppression, the Detections type."""
import io
import time
from itertools import permutations

import numpy as np
import pytest
from PIL import Image

from minidarknet import kernels
from minidarknet.detections import Detections, distance_penalty, iou, nms, select
from minidarknet.layers.region import Region, RegionOptions


class Fractions:
    """A geometry that leaves the picture as it is: 100 x 50 pixels."""

    @staticmethod
    def undo(boxes):
        corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
        return corners * [100, 50, 100, 50]


def test_what_is_not_a_number_is_nothing():
    """A box of which nothing is known is not told, nor does it suppress others or save them from it, wherever it stands."""
    boxes, nan = np.full((4, 4), .5, np.float32), np.nan
    objectness = np.array([.9, nan, .9, .8], np.float32)
    probability = np.array([[nan, .2, .7], [.9, .9, .9], [nan, nan, nan], [.1, .2, .8]], np.float32)
    for order in permutations(range(4)):
        found = select(boxes, objectness[list(order)], probability[list(order)], .5, .45, Fractions)
        assert (found.class_id.tolist(), found.confidence.tolist()) == ([2], [pytest.approx(.64)])


# ---- intersection over union

@pytest.mark.parametrize("a, b, expected", [
    ((0, 0, 2, 2), (0, 0, 2, 2), 1),
    ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
    ((0, 0, 2, 2), (2, 0, 4, 2), 0),          # they touch
    ((0, 0, 2, 2), (5, 5, 6, 6), 0),
    ((0, 0, 4, 4), (1, 1, 3, 3), 1 / 4),      # one inside the other
    ((1, 1, 1, 1), (1, 1, 1, 1), 0),          # nothing over nothing
])
def test_iou(a, b, expected):
    assert iou([a], [b])[0, 0] == pytest.approx(expected)
    assert iou([b], [a])[0, 0] == pytest.approx(expected)


def test_iou_with_included_pixels():
    assert iou([(1, 1, 2, 2)], [(2, 1, 3, 2)], extra=1)[0, 0] == pytest.approx(1 / 3)  # both 2 x 2 pixels


def test_iou_shapes_and_infinite_boxes():
    assert iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    with np.errstate(all="raise"):
        wild = iou([(-np.inf, -np.inf, np.inf, np.inf), (0, 0, 1e38, 1e38)], [(0, 0, 1, 1), (np.nan, 0, 1, 1)])
    assert (wild < 1e-9).all()


# ---- suppression

def test_distance_penalty():
    assert distance_penalty([(0, 0, 2, 2)], [(0, 0, 2, 2), (2, 0, 4, 2), (0, 0, 4, 2)]).tolist() == [0, 4 / 20, 1 / 20]
    with np.errstate(all="raise"):
        assert np.isnan(distance_penalty([(1, 1, 1, 1)], [(1, 1, 1, 1), (np.inf, 0, np.inf, 1)])).tolist() == [False, True]


def test_boxes_with_distant_centres_stay():
    """A person before a person: IoU 1/2, but the centres lie apart: d^2 / c^2 = 1 / (4^2 + 3^2)."""
    boxes, scores = [(0, 0, 3, 3), (1, 0, 4, 3)], [.9, .8]
    assert nms(boxes, scores, .45).tolist() == [True, False]
    assert nms(boxes, scores, .45, penalty=.6).tolist() == [True, True]
    assert nms(boxes, scores, .2, penalty=.6).tolist() == [True, False]
    assert nms(boxes, scores, .45, penalty=50).tolist() == [True, False]



def naive_nms(boxes, scores, threshold):
    """The four steps, literally, for one class."""
    left, kept = [i for i in range(len(scores)) if scores[i] > 0], []
    while left:
        best = max(left, key=lambda i: (scores[i], -i))
        kept.append(best)
        left = [i for i in left if i != best and iou([boxes[best]], [boxes[i]])[0, 0] <= threshold]
    return sorted(kept)


def random_boxes(rng, n):
    corner = rng.uniform(0, 80, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 40, (n, 2))], axis=1)


@pytest.mark.parametrize("threshold", [0., .3, .45, 1.])
def test_nms_like_the_four_steps(threshold):
    rng = np.random.default_rng(0)
    boxes, scores = random_boxes(rng, 40), rng.uniform(size=(40, 3))
    scores[rng.uniform(size=scores.shape) < .3] = 0
    scores = scores.round(1)  # so that some are equal
    keep = nms(boxes, scores, threshold)
    for k in range(3):
        assert np.flatnonzero(keep[:, k]).tolist() == naive_nms(boxes, scores[:, k], threshold)
        np.testing.assert_array_equal(nms(boxes, scores[:, k], threshold), keep[:, k])


def test_nms_of_its_result_changes_nothing():
    rng = np.random.default_rng(1)
    boxes, scores = random_boxes(rng, 60), rng.uniform(size=60)
    keep = nms(boxes, scores, .45)
    assert nms(boxes[keep], scores[keep], .45).all() and 0 < keep.sum() < 60


def test_nms_spares_what_only_a_dropped_box_overlaps():
    boxes = [(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)]  # a chain: 1 overlaps 0 and 2, these hardly each other
    assert nms(boxes, [.9, .8, .7], .3).tolist() == [True, False, True]


def test_nms_spares_other_classes_and_equal_overlap():
    boxes = [(0, 0, 2, 2), (0, 0, 2, 2)]
    assert nms(boxes, [[.9, 0], [0, .8]], .45).tolist() == [[True, False], [False, True]]
    assert nms([(0, 0, 2, 2), (0, 0, 2, 1)], [.9, .8], .5).all()  # an IoU of exactly the threshold stays


def test_nms_of_nothing():
    assert nms(np.zeros((0, 4)), np.zeros((0, 20)), .45).shape == (0, 20)
    assert nms(np.zeros((2, 4)), np.zeros(2), .45).tolist() == [False, False]


def test_nms_is_quick_for_thousands():
    rng = np.random.default_rng(2)
    boxes, scores = random_boxes(rng, 3000), rng.uniform(size=(3000, 20))
    start = time.perf_counter()
    nms(boxes, scores, .45)
    assert time.perf_counter() - start < 5


# ---- the head's output

OPTIONS = RegionOptions(num=2, classes=2, anchors=(1., 1., .5, 1.5), softmax=1)


def golden_output():
    """The activated output of the spec's G6: 2 x 2 cells, 2 anchors, 2 classes."""
    x = (((np.arange(56) * 7) % 11 - 5) * .1).reshape(2, 7, 2, 2)
    x[:, [0, 1, 4]] = 1 / (1 + np.exp(-x[:, [0, 1, 4]]))
    x[:, 5:] = np.exp(x[:, 5:]) / np.exp(x[:, 5:]).sum(axis=1, keepdims=True)
    return x.transpose(2, 3, 0, 1).reshape(2, 2, 14).astype(np.float32)


def found_in(out, options, *how):
    """`select` after the head's own decoding. out: (h, w, c) of one picture. how: the other arguments of `select`."""
    region = Region(options, [], kernels)
    region.shape = out.shape
    return select(*(found[0] for found in region.boxes(out[None])), *how)


def letterboxed(boxes):
    """Darknet's correct_region_boxes for a 100 x 50 picture in a square input: a quarter above, a quarter below."""
    boxes = boxes * [1, 2, 1, 2] - [0, .5, 0, 0]
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def test_golden_detections():
    geometry = Fractions()
    geometry.undo = letterboxed
    found = found_in(golden_output(), OPTIONS, .05, 1., geometry)
    assert len(found) == 16 and (np.diff(found.confidence) <= 0).all()
    for box, scores in (((.18877, .024979, .33516, 1.221403), (.264892, .160665)),
                        ((.81123, 1.0, .303265, 1.105171), (.249801, .151512)),
                        ((.787221, .950166, .372956, 1.357256), (.387456, .235004))):
        xyxy = found.xyxy.astype(np.float64)
        centre = np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        here = np.abs(centre - box).max(axis=1) < 1e-5
        assert sorted(found.class_id[here]) == [0, 1]
        np.testing.assert_allclose(sorted(found.confidence[here])[::-1], scores, atol=1e-6)


def test_thresholds_are_exclusive():
    out = np.zeros((1, 1, 7), np.float32)
    out[0, 0] = .5, .5, 0, 0, .5, 1, 1
    options = RegionOptions(num=1, classes=2, anchors=(1., 1.))
    assert len(found_in(out, options, .5, .45, Fractions)) == 0    # objectness .5 is not above .5
    assert found_in(out, options, .5, .45, Fractions).best_score == .5
    assert len(found_in(out, options, .49, .45, Fractions)) == 2   # one entry per class
    out[0, 0, 5:] = .9, .1
    assert found_in(out, options, .4, .45, Fractions).class_id.tolist() == [0]
    np.testing.assert_allclose(found_in(out, options, .4, .45, Fractions).xyxy, [[0, 0, 100, 50]])


def test_nothing_found_says_the_best_score():
    found = found_in(golden_output(), OPTIONS, .9, .45, Fractions)
    assert len(found) == 0 and found.xyxy.shape == (0, 4)
    assert found.best_score == pytest.approx(.3875, abs=1e-4)


def test_an_untrained_networks_boxes_do_no_harm():
    out = golden_output()
    out[..., [2, 3]] = 1000
    assert len(found_in(out, OPTIONS, .005, .45, Fractions)) == 16


# ---- Detections

def three():
    return Detections([[-5, 2, 40, 30], [10, 10, 20, 20], [60, 60, 90, 70]], [.9, .8, .3], [1, 0, 1], ("cat", "dog"),
                      np.zeros((50, 100, 3), np.uint8), .9)


def test_detections_are_immutable():
    found, mine = three(), np.zeros((1, 4), np.float32)
    with pytest.raises(ValueError):
        found.xyxy[0, 0] = 1
    with pytest.raises(AttributeError):
        found.confidence = None
    Detections(mine, [1.], [0])
    mine[0] = 1  # the caller's own array stays writeable


def test_detections_can_be_chosen_from():
    found = three()
    assert len(found) == 3 and found.xyxy.dtype == np.float32
    assert found[found.confidence > .5].class_id.tolist() == [1, 0]
    assert found[1:].confidence.tolist() == pytest.approx([.8, .3])
    assert found[-1].class_id.tolist() == [1] and found[[2, 0]].confidence[0] == pytest.approx(.3)
    assert [float(one.confidence[0]) for one in found] == pytest.approx([.9, .8, .3])
    assert found[:0].xyxy.shape == (0, 4) and found[1].names == ("cat", "dog")
    with pytest.raises(IndexError):
        found[3]
    assert repr(found) == "Detections(3: dog 0.90, cat 0.80, dog 0.30)"
    assert repr(found[:0]) == "Detections(0: )"


def test_detections_are_clipped_when_written():
    records = three().to_records()
    assert records[0] == {"class": "dog", "class_id": 1, "confidence": pytest.approx(.9), "xyxy": [0, 2, 40, 30]}
    assert records[2]["xyxy"] == [60, 50, 90, 50]
    assert three().to_yolo() == ["1 0.200000 0.320000 0.400000 0.560000", "0 0.150000 0.300000 0.100000 0.200000"]
    bare = Detections([[0, 0, 5, 5]], [.5], [3])
    assert bare.to_records()[0]["class"] == "3" and bare.to_yolo((10, 10)) == ["3 0.250000 0.250000 0.500000 0.500000"]
    with pytest.raises(ValueError, match="to_yolo"):
        bare.to_yolo()


def test_detections_are_pictures():
    drawn = three().draw()
    assert isinstance(drawn, Image.Image) and drawn.size == (100, 50) and np.asarray(drawn).any()
    assert Image.open(io.BytesIO(three()._repr_png_())).size == (100, 50)
    bare = Detections([[0, 0, 5, 5]], [.5], [0])
    assert bare._repr_png_() is None
    assert bare.draw(np.zeros((20, 30, 3), np.uint8)).size == (30, 20)
    with pytest.raises(ValueError, match="no picture"):
        bare.draw()
