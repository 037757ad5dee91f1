"""coco_metrics.py against pycocotools, number for number, on what random detectors find."""
import json
import math

import numpy as np
import pytest
from test_coco import CATEGORIES, coco, row

from minidarknet import results
from minidarknet.coco_metrics import evaluate_coco
from minidarknet.data.annotations import load
from minidarknet.detections import Detections
from minidarknet.errors import DataError

TWELVE = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def random_set(folder, rng, pictures=6, sides=(2, 38)):
    """A COCO folder with crowds, areas that are not the boxes', a picture without objects -> its Dataset."""
    rows = []
    for n in range(1, pictures):
        for _ in range(rng.integers(1, 12)):
            (w, h), k = rng.uniform(*sides, 2), rng.choice([1, 90])     # of category 13 there is nothing
            x, y = rng.uniform(0, 60 - w), rng.uniform(0, 40 - min(h, 40))
            rows.append(row(len(rows) + 1, 10 * n, int(k), [x, y, w, min(h, 40)], iscrowd=int(rng.random() < .15),
                            area=float(w * h * rng.uniform(.3, 1))))
    return load(coco(folder, rows, pictures), "val")


def random_detections(data, rng, most=30):
    """Near the objects and elsewhere, with scores that often are equal; nothing on the second picture."""
    found = {}
    for example in data.examples[:1] + data.examples[2:]:
        boxes, kinds = example.box_px - (1, 1, 0, 0), example.classes
        near = rng.integers(0, len(boxes), most) if len(boxes) else np.zeros(0, int)
        boxes = np.concatenate([boxes[near] + rng.normal(0, 1.5, (len(near), 4)), boxes, rng.uniform(0, 40, (9, 4))])
        boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
        kinds = np.concatenate([kinds[near], kinds, rng.integers(0, 3, 9)])
        found[example.id] = Detections(boxes, np.round(rng.random(len(boxes)), 1), kinds)
    return found


def theirs(folder, data, found):
    """pycocotools' arrays of precision and recall and its twelve numbers, from the files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    results.write_coco(folder / "found.json", found, data.examples, results.categories_of(data))
    truth = COCO(str(folder / "annotations/instances_val2017.json"))
    judge = COCOeval(truth, truth.loadRes(str(folder / "found.json")), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return [np.where(judge.eval[key] < 0, np.nan, judge.eval[key]) for key in ("precision", "recall")], judge.stats


@pytest.mark.parametrize("seed", range(6))
def test_all_numbers_of_pycocotools(tmp_path, seed, capsys):
    rng = np.random.default_rng(seed)
    data = random_set(tmp_path, rng)
    found = random_detections(data, rng, most=(2, 30, 150)[seed % 3])   # 150: more than count
    ours, ((precision, recall), stats) = evaluate_coco(found, data.examples, data.names), theirs(tmp_path, data, found)
    np.testing.assert_allclose(ours.precision, precision, atol=1e-9)
    np.testing.assert_allclose(ours.recall, recall, atol=1e-9)
    numbers = ours.to_dict()
    assert tuple(numbers) == TWELVE
    np.testing.assert_allclose([-1 if math.isnan(value) else value for value in numbers.values()], stats, atol=1e-9)
    assert .01 < numbers["AP"] < .99 and np.isnan(ours.ap(name="stop sign"))


def test_areas_decide(tmp_path, capsys):
    """Pictures large enough for all three kinds of area."""
    from PIL import Image
    rng = np.random.default_rng(1)
    folder = coco(tmp_path, [], 3)
    file = folder / "annotations/instances_val2017.json"
    text, rows = json.loads(file.read_text()), []
    for image in text["images"]:
        Image.new("RGB", (400, 300)).save(folder / "val2017" / image["file_name"])
        image.update(width=400, height=300)
        for side in (10, 20, 31, 32, 33, 60, 95, 97, 150, 250):
            rows.append(row(len(rows) + 1, image["id"], 1, [float(rng.integers(0, 400 - side)), 5., side, side],
                            area=side * side, iscrowd=0))
    file.write_text(json.dumps({**text, "annotations": rows}))
    data = load(folder, "val")
    found = random_detections(data, rng)
    ours, (_, stats) = evaluate_coco(found, data.examples, data.names).to_dict(), theirs(tmp_path, data, found)
    np.testing.assert_allclose(list(ours.values()), stats, atol=1e-9)
    assert len({ours["APs"], ours["APm"], ours["APl"]}) == 3 and min(ours["APs"], ours["APm"], ours["APl"]) > 0


def test_a_wrong_rule_would_be_noticed(tmp_path, capsys, monkeypatch):
    """The first of equal overlaps instead of the last; a crowd that counts."""
    from minidarknet import coco_metrics
    rng = np.random.default_rng(1)
    data = random_set(tmp_path, rng)
    found = random_detections(data, rng)
    (precision, _), _ = theirs(tmp_path, data, found)
    monkeypatch.setattr(coco_metrics, "overlaps", lambda found, truth, crowd, true=coco_metrics.overlaps:
                        true(found, truth, np.zeros_like(crowd)))
    assert not np.allclose(np.nan_to_num(evaluate_coco(found, data.examples, data.names).precision),
                           np.nan_to_num(precision), atol=1e-3)


def test_perfect_nothing_and_no_truth(tmp_path):
    data = load(coco(tmp_path, [row(1, 10, 1, [1, 1, 9, 9]), row(2, 20, 90, [1, 1, 30, 30])]), "val")
    perfect = {e.id: Detections(e.box_px - (1, 1, 0, 0), [.9], e.classes) for e in data}
    assert evaluate_coco(perfect, data.examples, data.names).ap() == pytest.approx(1)
    assert evaluate_coco({}, data.examples, data.names).ap() == 0
    assert math.isnan(evaluate_coco({}, [], data.names).ap())
    nothing = load(coco(tmp_path, [], categories=CATEGORIES[:1]), "val")
    assert math.isnan(evaluate_coco(perfect, nothing.examples, data.names).ap())
    with pytest.raises(DataError, match="without annotation"):
        evaluate_coco({"z": perfect["001"]}, data.examples, data.names)


def test_difficult_objects_of_voc_are_crowds(tmp_path):
    data = load(coco(tmp_path, [row(1, 10, 1, [1, 1, 9, 9]), row(2, 10, 1, [20, 20, 9, 9], iscrowd=1)]), "val")
    found = {"001": Detections([[1, 1, 10, 10], [20, 20, 29, 29], [20, 20, 29, 29]], [.5, .9, .8], [0, 0, 0])}
    assert evaluate_coco(found, data.examples, data.names).ap() == pytest.approx(1)
