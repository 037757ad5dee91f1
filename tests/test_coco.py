"""data/coco.py: COCO's JSON, sound and broken."""
import json

import make_data as make
import numpy as np
import pytest

from minidarknet.data import annotations
from minidarknet.data.annotations import load
from minidarknet.errors import DataError

CATEGORIES = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}]


def row(number, image, category, bbox, **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, **more}


def coco(folder, rows, images=2, split="val2017", pictures="val2017", categories=CATEGORIES):
    """Write a COCO folder -> folder; picture n is PICTURES/00n.png, 60 x 40, its number 10 n."""
    entries = []
    for n in range(images, 0, -1):
        make.picture(folder / pictures / f"{n:03}.png", n)
        entries.append({"id": 10 * n, "file_name": f"{n:03}.png", "width": 60, "height": 40})
    file = folder / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"images": entries, "annotations": rows, "categories": categories}))
    return folder


def test_boxes_crowds_areas_and_numbers_with_gaps(tmp_path):
    data = load(coco(tmp_path, [row(1, 20, 90, [30, 20, 30, 20.], area=300.5, iscrowd=0),
                                row(2, 10, 1, [0, 0, 15, 10], area=99, iscrowd=1)]), "val")
    assert data.names == ("person", "stop sign", "toothbrush") and data.categories == (1, 13, 90)
    assert not data.problems and not data.classifies
    one, two = data.examples
    assert (one.id, one.number, two.id, two.number) == ("001", 10, "002", 20)
    assert np.allclose(two.boxes, [[.75, .75, .5, .5]]) and two.classes.tolist() == [2] and two.area.tolist() == [300.5]
    assert two.box_px.tolist() == [[31, 21, 60, 40]] and not two.difficult[0] and one.difficult[0]


@pytest.mark.parametrize("pictures", ["val2017", "images/val2017", "images", "."])
def test_where_pictures_may_be(tmp_path, pictures):
    folder = coco(tmp_path, [], pictures=pictures)
    assert [e.path.parent for e in load(folder, "val2017")] == [folder / pictures] * 2
    assert len(load(folder / "annotations/instances_val2017.json", "anything")) == 2


def test_splits_by_how_they_begin(tmp_path):
    coco(tmp_path, [], split="val2014", pictures="val2014")
    coco(tmp_path, [row(1, 10, 1, [1, 1, 9, 9])], split="val2017")
    coco(tmp_path, [], split="train2017", pictures="train2017")
    assert annotations.splits(tmp_path) == ["train2017", "val2014", "val2017", "train", "val"]
    assert load(tmp_path, "val").counts.sum() == 1 and load(tmp_path, "val2014").counts.sum() == 0
    assert load(tmp_path, "train", limit=1).name == "instances_train2017"
    with pytest.raises(DataError, match="no instances_test.json; there are train2017, val2014, val2017"):
        load(tmp_path, "test")


def test_a_subset_keeps_its_categories(tmp_path):
    data = load(coco(tmp_path, [row(1, 20, 90, [1, 1, 9, 9]), row(2, 20, 1, [1, 1, 9, 9], area=3)]), "val",
                classes="toothbrush")
    assert data.categories == (90,) and len(data) == 1 and data[0].classes.tolist() == [0] and data[0].number == 20
    assert data[0].area.tolist() == [81]


@pytest.mark.parametrize("bad, words, left", [
    (row(5, 10, 77, [1, 1, 9, 9]), "annotation 5 of image 10 (001.png): there is no category 77", 0),
    (row(5, 10, [], [1, 1, 9, 9]), "there is no category", 0), (row(5, 10, 1, [1, 1, 0, 9]), "no extent", 0),
    (row(5, 10, 1, [1, 1, float("nan"), 9]), "no extent", 0), (row(5, 10, 1, [1, 1, 9]), "four numbers", 0),
    (row(5, 10, 1, None), "four numbers", 0), (row(5, 10, 1, [70, 1, 9, 9]), "outside", 0),
    (row(5, 10, 1, [55, 1, 9, 9]), "clipped", 1), (row(5, 10, 1, [1, 1, 9, 9], area="x"), "area", 0),
    (row(5, 77, 1, [1, 1, 9, 9]), "1 annotations belong to no image", 0),
    (row(5, {}, 1, [1, 1, 9, 9]), "belong to no image", 0)])
def test_bad_rows_are_named(tmp_path, bad, words, left):
    data = load(coco(tmp_path, [row(1, 10, 1, [1, 1, 9, 9]), bad]), "val")
    assert len(data.problems) == 1 and words in str(data.problems[0]) and data.counts.sum() == 1 + left


def test_bad_images(tmp_path):
    folder = coco(tmp_path, [], images=4)
    file = folder / "annotations/instances_val2017.json"
    text = json.loads(file.read_text())
    text["images"][0]["width"] = 99                                  # 004
    text["images"][1]["id"] = "three"
    text["images"].append(dict(text["images"][3], id=50))            # the picture 001 again
    file.write_text(json.dumps(text))
    (folder / "val2017/002.png").unlink()
    data = load(folder, "val")
    assert [e.id for e in data] == ["001#10", "004", "001#50"]
    shown = "\n".join(map(str, data.problems))
    for words in ("1 images have no whole number", "002.png: there is no such file", "99 x 40, but the picture has 60 x 40"):
        assert words in shown


@pytest.mark.parametrize("text, words", [
    ("", "cannot be read"), ("{", "cut short"), ("[1]", "no list 'images'"), ("[" * 100000, "cannot be read"),
    ('{"images": [1], "annotations": [], "categories": []}', "no list 'images'"),
    ('{"images": [], "annotations": [], "categories": []}', "0 categories"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "without a whole number as id and a name"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}', "2 categories"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "no usable picture")])
def test_what_is_no_coco_file(tmp_path, text, words):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=words):
        load(tmp_path / "x.json", "val")
