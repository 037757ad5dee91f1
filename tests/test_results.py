"""results.py: files for other programs, and what is in them."""
import json

import numpy as np
import pytest
from test_metrics import EXAMPLES, FOUND, NAMES, example

from minidarknet import results
from minidarknet.data.example import Dataset
from minidarknet.detections import Detections
from minidarknet.errors import DataError
from minidarknet.metrics import evaluate_boxes, evaluate_detections
from minidarknet.results import read_comp4, write_comp4


def test_comp4_there_and_back(tmp_path):
    files = write_comp4(tmp_path / "results", FOUND, EXAMPLES, NAMES)
    assert [file.name for file in files] == [f"comp4_det_test_{name}.txt" for name in NAMES]
    assert files[0].read_text().splitlines() == ["a 0.900000 1.000000 1.000000 10.000000 10.000000",
                                                 "b 0.700000 61.000000 61.000000 71.000000 71.000000"]
    assert files[1].read_text() == "a 0.800000 50.000000 50.000000 100.000000 80.000000\n"
    again = evaluate_boxes(read_comp4(tmp_path / "results", EXAMPLES, NAMES), EXAMPLES, NAMES)
    assert again.to_dict() == evaluate_detections(FOUND, EXAMPLES, NAMES).to_dict()


@pytest.mark.parametrize("line, words", [("a .5 1 2 3", "cat.txt:2: expected"), ("a .5 1 2 3 x", "expected"),
                                         ("z .5 1 2 3 4", "no annotation of picture 'z'")])
def test_comp4_names_the_line(tmp_path, line, words):
    (tmp_path / "comp4_det_test_cat.txt").write_text(f"a .5 1 2 3 4\n{line}\n")
    with pytest.raises(DataError, match=words):
        read_comp4(tmp_path, EXAMPLES, NAMES)


def test_comp4_of_a_name_with_spaces(tmp_path):
    examples = [example("my cat", [(0, 0, 1, 1, 10, 10)])]
    write_comp4(tmp_path, {"my cat": FOUND["b"][:1]}, examples, NAMES)
    assert read_comp4(tmp_path, examples, NAMES)[0].picture.tolist() == [0]


def test_comp4_of_classes_with_one_name(tmp_path):
    """Each has a file of its own: nothing is written over."""
    names = ("cat", "a/b", "cat", "a_b")
    files = write_comp4(tmp_path, FOUND, EXAMPLES, names)
    assert [file.stem.removeprefix("comp4_det_test_") for file in files] == ["cat_0", "a_b_1", "cat_2", "a_b_3"]
    again = evaluate_boxes(read_comp4(tmp_path, EXAMPLES, names), EXAMPLES, names)
    told = again.to_dict()
    assert list(told["per_class"]) == list(again.curves) == ["cat_0", "a/b", "cat_2", "a_b"]
    assert told == evaluate_detections(FOUND, EXAMPLES, names).to_dict()
    assert list(again.over(["cat_2"]).to_dict()["per_class"]) == ["cat_2"]


def test_comp4_missing(tmp_path):
    with pytest.raises(DataError, match="comp4_det_test_cat.txt"):
        read_comp4(tmp_path, EXAMPLES, NAMES)
    (tmp_path / "comp4_det_test_dog.txt").write_text("")
    assert [len(found.value) for found in read_comp4(tmp_path, EXAMPLES, NAMES)] == [0, 0, 0, 0]


def test_comp4_with_another_prefix(tmp_path):
    assert write_comp4(tmp_path, FOUND, EXAMPLES, NAMES, "mine_")[0].name == "mine_cat.txt"


def test_coco_categories_have_cocos_gaps():
    assert len(results.COCO) == 80 and results.COCO[:12] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)
    assert results.COCO[-1] == 90 and results.COCO.index(90) == 79
    assert results.categories_of(Dataset("x", tuple(map(str, range(80))), [])) == results.COCO
    assert results.categories_of(Dataset("x", ("a", "b"), [])) == (1, 2)
    assert results.categories_of(Dataset("x", ("a", "b"), [], categories=(7, 9))) == (7, 9)


def test_coco_results(tmp_path):
    """Clipped to the picture, without VOC's pixel, and without classes that the data set does not number."""
    examples = [example("COCO_val2014_000000000042", []), example("x_7", [])]
    found = {"COCO_val2014_000000000042": Detections([[-5, 10, 20.5, 200], [1, 2, 3, 4]], [.5, .25], [0, 1]),
             "x_7": Detections([[1, 2, 3, 5]], [.75], [2])}
    results.write_coco(tmp_path / "r.json", found, examples, (18, None, 90))
    assert json.loads((tmp_path / "r.json").read_text()) == [
        {"image_id": 42, "category_id": 18, "bbox": [0, 10, 20.5, 70], "score": .5},
        {"image_id": 7, "category_id": 90, "bbox": [1, 2, 2, 3], "score": .75}]
    results.write_coco(tmp_path / "r.json", {}, examples, (1,))
    assert json.loads((tmp_path / "r.json").read_text()) == []
    with pytest.raises(DataError, match="a_7 and x_7 would both be number 7"):
        results.write_coco(tmp_path / "r.json", {}, [examples[1], example("a_7", [])], (1,))
    with pytest.raises(DataError, match="names that end in _NUMBER"):
        results.write_coco(tmp_path / "r.json", {"a": FOUND["a"]}, EXAMPLES, (1, 2))


def test_yolo_results(tmp_path):
    results.write_yolo(tmp_path / "txt", FOUND, EXAMPLES)
    assert (tmp_path / "txt/a.txt").read_text().splitlines()[1] == "1 0.745000 0.806250 0.510000 0.387500 0.800000"
    assert (tmp_path / "txt/empty.txt").read_text() == ""
    assert np.loadtxt(tmp_path / "txt/b.txt").shape == (2, 6)
