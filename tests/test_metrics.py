"""VOC scores: the devkit's rules one by one, an independent evaluator, pycocotools, and Darknet's own result files."""
import json
import math
from pathlib import Path

import numpy as np
import pytest

from minidarknet.data.annotations import Example
from minidarknet.detections import Detections
from minidarknet.errors import DataError
from minidarknet.metrics import (
    FALSE,
    IGNORED,
    TRUE,
    Boxes,
    ap_voc07,
    ap_voc10,
    box_px,
    evaluate_boxes,
    evaluate_detections,
    match,
    precision_recall,
)
from minidarknet.results import read_comp4

SHARED = Path(__file__).parents[2] / "shared"


def boxes(rows, kind):
    """Boxes from rows (picture, value, xmin, ymin, xmax, ymax)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(table[:, 0].astype(np.int64), table[:, 2:], table[:, 1].astype(kind))


def verdicts(found, truth, **options):
    return match(boxes(found, float), boxes(truth, bool), **options)[1].tolist()


TRUTH = [(0, 0, 1, 1, 10, 10), (0, 0, 21, 1, 30, 10), (1, 1, 1, 1, 10, 10)]  # the last one is difficult


@pytest.mark.parametrize("found, expected", [
    ([], []),
    ([(0, .9, 1, 1, 10, 10)], [TRUE]),
    ([(0, .9, 41, 1, 50, 10)], [FALSE]),
    ([(2, .9, 1, 1, 10, 10)], [FALSE]),                                     # the right place, another picture
    ([(0, .9, 1, 1, 10, 10), (0, .8, 1, 1, 10, 10)], [TRUE, FALSE]),        # found twice
    ([(0, .8, 1, 1, 10, 10), (0, .9, 1, 1, 10, 9)], [TRUE, FALSE]),         # the more confident one is first served
    ([(0, .9, 1, 1, 10, 10), (0, .8, 21, 1, 30, 10)], [TRUE, TRUE]),
    ([(1, .9, 1, 1, 10, 10), (1, .8, 1, 1, 10, 10)], [IGNORED, IGNORED]),   # difficult: neither right nor wrong
    ([(0, .9, 1, 1, 10, 5)], [TRUE]),                                       # IoU exactly .5
    ([(0, .9, 1, 1, 10, 4.99)], [FALSE]),
])
def test_match(found, expected):
    assert verdicts(found, TRUTH) == expected


def test_match_goes_by_the_largest_overlap_even_if_claimed():
    truth = [(0, 0, 1, 1, 10, 10), (0, 0, 1, 3, 10, 12)]
    found = [(0, .9, 1, 1, 10, 10), (0, .8, 1, 1, 10, 10.5)]  # the second overlaps both by more than half
    assert verdicts(found, truth) == [TRUE, FALSE]


def test_match_counts_the_last_pixel():
    """Of 4 pixels 2 are covered; without the + 1 it would be a third."""
    found, truth = [(0, .9, 1, 1, 2, 2)], [(0, 0, 1, 1, 4, 2)]
    assert verdicts(found, truth) == [TRUE]
    assert verdicts(found, truth, extra=0) == [FALSE]


def test_equals_keep_their_order():
    found = [(0, .5, 41, 1, 50, 10), (0, .5, 1, 1, 10, 10), (0, .7, 21, 1, 30, 10)]
    order, verdict = match(boxes(found, float), boxes(TRUTH, bool))
    assert order.tolist() == [2, 0, 1] and verdict.tolist() == [TRUE, FALSE, TRUE]


# ---- average precision by hand

def test_precision_recall_by_hand():
    recall, precision = precision_recall(np.array([TRUE, IGNORED, FALSE, TRUE]), 4)
    np.testing.assert_allclose(recall, [.25, .25, .5])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3])
    assert ap_voc10(recall, precision) == pytest.approx(.25 * 1 + .25 * 2 / 3)
    assert ap_voc07(recall, precision) == pytest.approx((3 * 1 + 3 * 2 / 3) / 11)  # 0 .1 .2 and .3 .4 .5


@pytest.mark.parametrize("ap", [ap_voc07, ap_voc10])
def test_perfect_and_nothing(ap):
    assert ap(*precision_recall(np.array([TRUE] * 7), 7)) == pytest.approx(1)
    assert ap(*precision_recall(np.array([FALSE] * 7), 7)) == 0
    assert ap(*precision_recall(np.array([], np.int8), 7)) == 0
    assert ap(*precision_recall(np.array([IGNORED]), 7)) == 0


def test_three_of_ten_do_not_reach_3_times_a_tenth():
    """The devkit's rounding: the published numbers contain it."""
    assert ap_voc07(*precision_recall(np.array([TRUE] * 3), 10)) == pytest.approx(3 / 11)
    assert ap_voc07(*precision_recall(np.array([TRUE] * 4), 10)) == pytest.approx(5 / 11)


# ---- an evaluator of its own: one detection after the other

def naive_verdicts(found, truth):
    """VOCevaldet.m in words: [(TRUE ...)] for rows (picture, value, box), best first."""
    claimed, result = set(), []
    for picture, _, *a in sorted(found, key=lambda row: -row[1]):
        best, owner = -1, None
        for j, (other, _, *b) in enumerate(truth):
            width = min(a[2], b[2]) - max(a[0], b[0]) + 1
            height = min(a[3], b[3]) - max(a[1], b[1]) + 1
            if other == picture and width > 0 and height > 0:
                area = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
                overlap = width * height / (sum(area) - width * height)
                if overlap > best:
                    best, owner = overlap, j
        if best < .5:
            result.append(FALSE)
        elif truth[owner][1]:
            result.append(IGNORED)
        else:
            result.append(FALSE if owner in claimed else TRUE)
            claimed.add(owner)
    return result


def naive_area(verdict, objects):
    """The mean, over the objects, of the best precision with which that many can be found."""
    points, true, seen = [], 0, 0
    for v in verdict:
        if v != IGNORED:
            true, seen = true + (v == TRUE), seen + 1
            points.append((true, true / seen))
    return sum(max([p for found, p in points if found >= j], default=0) for j in range(1, objects + 1)) / objects


def random_rows(rng, pictures, n, truths=None):
    """n rows (picture, value, box); around some truths if there are any."""
    rows = []
    for _ in range(n):
        if truths and rng.uniform() < .7:
            picture, _, *box = truths[rng.integers(len(truths))]
            rows.append((picture, rng.uniform(), *(np.array(box) + rng.normal(0, 3, 4))))
        else:
            x, y, w, h = *rng.integers(1, 80, 2), *rng.integers(5, 40, 2)
            rows.append((rng.integers(pictures), rng.uniform() < .2, x, y, x + w, y + h))
    return rows


def naive_eleven(verdicts, objects):
    """VOCevaldet.m of 2007: at each of eleven recalls the best precision of all thresholds that reach it."""
    points, right, counted = [], 0, 0
    for verdict in verdicts:
        if verdict != IGNORED:
            right, counted = right + (verdict == TRUE), counted + 1
            points.append((right / objects, right / counted))
    return sum(max([p for r, p in points if r >= t * .1], default=0) for t in range(11)) / 11


@pytest.mark.parametrize("seed", range(5))
def test_like_the_naive_evaluator(seed):
    rng = np.random.default_rng(seed)
    truth = random_rows(rng, 6, 30)
    found = [(row[0], rng.uniform(), *row[2:]) for row in random_rows(rng, 6, 120, truth)]
    expected = naive_verdicts(found, truth)
    assert verdicts(found, truth) == expected
    assert {TRUE, FALSE, IGNORED} == set(expected)
    objects = sum(not row[1] for row in truth)
    curve = precision_recall(np.array(expected), objects)
    assert ap_voc10(*curve) == pytest.approx(naive_area(expected, objects), abs=1e-9)
    assert ap_voc07(*curve) == pytest.approx(naive_eleven(expected, objects), abs=1e-9)


def test_area_like_pycocotools(capsys):
    """COCO's evaluator, asked for the precision at every recall there is, must find the same area."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(0)
    truth = [(p, 0, 100 * i + 1, 1, 100 * i + rng.integers(30, 60), rng.integers(30, 60))
             for p in range(5) for i in range(4)]  # far apart, because COCO hands out overlapping truths differently
    found = [(p, rng.uniform(), *(np.array(box) + rng.normal(0, 6, 4))) for p, _, *box in truth * 3]

    def annotation(i, row):
        x, y, right, low = map(float, row[2:])
        return {"id": i + 1, "image_id": int(row[0]) + 1, "category_id": 1, "bbox": [x, y, right - x, low - y],
                "area": (right - x) * (low - y), "iscrowd": 0, "score": float(row[1])}

    api = coco.COCO()
    api.dataset = {"info": {}, "images": [{"id": p + 1} for p in range(5)], "categories": [{"id": 1}],
                   "annotations": [annotation(i, row) for i, row in enumerate(truth)]}
    api.createIndex()
    theirs = cocoeval.COCOeval(api, api.loadRes([annotation(i, row) for i, row in enumerate(found)]), "bbox")
    theirs.params.iouThrs = np.array([.5])
    theirs.params.recThrs = np.arange(1, len(truth) + 1) / len(truth) - 1e-9
    theirs.evaluate()
    theirs.accumulate()
    expected = theirs.eval["precision"][0, :, 0, 0, -1].mean()
    _, verdict = match(boxes(found, float), boxes(truth, bool), extra=0)
    assert ap_voc10(*precision_recall(verdict, len(truth))) == pytest.approx(expected, abs=1e-9)
    assert .3 < expected < .99


# ---- whole sets

def example(id, rows, size=(100, 80)):
    """rows: (class, difficult, xmin, ymin, xmax, ymax) in VOC's pixels."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Example(id=id, path=Path(id), boxes=np.zeros((len(rows), 4), np.float32), classes=table[:, 0].astype(int),
                   difficult=table[:, 1].astype(bool), box_px=table[:, 2:], size=size)


EXAMPLES = [example("a", [(0, 0, 1, 1, 10, 10), (1, 0, 50, 50, 100, 80)]), example("b", [(0, 0, 5, 5, 30, 30)]),
            example("c", [(2, 1, 1, 1, 20, 20)]), example("empty", [])]
NAMES = ("cat", "dog", "hard", "none")
FOUND = {"a": Detections([[0, 0, 9, 9], [49, 49, 120, 90]], [.9, .8], [0, 1]),
         "b": Detections([[60, 60, 70, 70], [0, 0, 8, 8]], [.7, .6], [0, 3]),
         "c": Detections([[0, 0, 19, 19]], [.5], [2])}


def test_evaluate_detections():
    score = evaluate_detections(FOUND, EXAMPLES, NAMES)
    cat, dog, hard, none = score.per_class
    assert (cat.truths, cat.true, cat.false) == (2, 1, 1) and cat.ap10 == .5 and cat.ap07 == pytest.approx(6 / 11)
    assert dog.ap07 == pytest.approx(1)         # the part outside the picture is cut off
    assert (hard.truths, hard.difficult, hard.true, hard.false) == (0, 1, 0, 0)
    assert math.isnan(hard.ap07) and math.isnan(none.ap07) and none.false == 1
    assert score.map_voc10 == pytest.approx(.75) and score.map_voc07 == pytest.approx((6 / 11 + 1) / 2)
    assert score.images == 4 and score.curves["cat"][2] == .5
    np.testing.assert_allclose(cat.confidence, [.9, .7])
    written = json.loads(json.dumps(score.to_dict(), allow_nan=False))
    assert written["per_class"]["none"]["ap07"] is None and written["per_class"]["cat"]["truths"] == 2


def test_own_truth_scores_one():
    found = {e.id: Detections(e.box_px - 1, np.linspace(.9, .5, len(e.classes)), e.classes) for e in EXAMPLES}
    assert evaluate_detections(found, EXAMPLES, NAMES).map_voc10 == pytest.approx(1)


def test_nothing_to_score():
    score = evaluate_detections({}, EXAMPLES[-1:], NAMES)
    assert math.isnan(score.map_voc07) and score.to_dict()["map_voc07"] is None
    assert evaluate_detections({}, EXAMPLES, NAMES).map_voc07 == 0


def test_evaluate_refuses_what_does_not_fit():
    with pytest.raises(DataError, match="'z'"):
        evaluate_detections({"z": FOUND["a"]}, EXAMPLES, NAMES)
    with pytest.raises(DataError, match="class 3, but only 3 names"):
        evaluate_detections(FOUND, EXAMPLES, NAMES[:3])
    with pytest.raises(DataError, match="objects of class 2"):
        evaluate_detections({}, EXAMPLES, NAMES[:2])


# ---- Darknet's boxes

def test_box_px():
    np.testing.assert_array_equal(box_px([[-3, 2.5, 40, 90], [0, 0, 99, 79]], (100, 80)),
                                  [[1, 3.5, 41, 80], [1, 1, 100, 80]])


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data beside the project")
@pytest.mark.parametrize("model, expected", [("yolo-lite-voc-trial3", .349), ("yolo-lite-voc-trial3-noBatch", .323)])
def test_darknets_own_results(model, expected):
    """`detector valid` of the real Darknet on 200 pictures, scored before us by others."""
    from minidarknet.data.annotations import load

    data = load(SHARED / "data" / "VOCdevkit" / "VOC2007", "val")
    found = read_comp4(SHARED / "data" / "reference" / "darknet_valid" / model / "dev_val", data.examples, data.names)
    assert evaluate_boxes(found, data.examples, data.names).map_voc07 == pytest.approx(expected, abs=.0005)
    confident = [Boxes(f.picture[f.value > .25], f.box_px[f.value > .25], f.value[f.value > .25]) for f in found]
    assert evaluate_boxes(confident, data.examples, data.names).map_voc07 < expected - .01
