"""data/yolo_txt.py: Darknet's .data, list and label files, sound and broken."""
from pathlib import Path

import make_data as make
import numpy as np
import pytest

from minidarknet.data import annotations, class_lists, yolo_txt
from minidarknet.data.annotations import load
from minidarknet.errors import DataError

CAT = make.thing("cat", 1, 1, 30, 20)


def messages(dataset):
    return "\n".join(map(str, dataset.problems))


def test_yolo_boxes_backgrounds_and_pixels(tmp_path):
    file = make.yolo(tmp_path, {"a": "1 .5 .5 .5 .25\r\n\r\n# drawn by hand\r\n0 0.25 0.5 0.5 1\n", "b": "", "c": None})
    data = load(file, "train")
    assert data.names == ("cat", "dog") and not data.problems and data.backgrounds == 2 and data.name == "my"
    a = data[0]
    assert a.classes.tolist() == [1, 0] and np.allclose(a.boxes, [[.5, .5, .5, .25], [.25, .5, .5, 1]])
    assert np.allclose(a.box_px, [[16, 16, 45, 25], [1, 1, 30, 40]]) and a.size == (60, 40)
    assert not a.difficult.any() and [e.id for e in data] == ["a", "b", "c"]


@pytest.mark.parametrize("line, word, left", [
    ("2 .5 .5 .1 .1", "run from 1", 0), ("7 .5 .5 .1 .1", "among 0..1", 0), ("-1 .5 .5 .1 .1", "among 0..1", 0),
    (".5 .5 .5 .1 .1", "among", 0), ("0 .5 .5 .1", "4 columns", 0), ("0 .5 .5 .1 .1 .9", "6 columns", 0),
    ("0 .1 .1 .2 .1 .2 .2 .1 .2", "polygon", 0), ("cat .5 .5 .1 .1", "number", 0), ("0 nan .5 .1 .1", "finite", 0),
    ("0 250 100 50 40", "pixels", 0), ("0 .5 .5 0 .1", "no extent", 0), ("0 .5 .5 -.1 .1", "no extent", 0),
    ("0 1.4 .5 .2 .2", "outside", 0), ("0 .95 .5 .2 .2", "clipped", 1),
    ("0 .4 .4 .9 .9", "corners", 1), ("\x00\x01", "columns", 0)])
def test_yolo_bad_lines_are_named(tmp_path, line, word, left):
    data = load(make.yolo(tmp_path, {"a": f"0 .5 .5 .5 .5\n{line}\n"}), "train")
    assert len(data.problems) == 1 and word in data.problems[0].message, messages(data)
    assert data.problems[0].file.endswith("a.txt") and data.problems[0].line == 2
    assert len(data[0].boxes) == 1 + left and data.counts.sum() == 1 + left


def test_yolo_rounding_is_no_problem(tmp_path):
    data = load(make.yolo(tmp_path, {"a": "0 .9 .5 .2002 .5\n"}), "train")
    assert not data.problems and data[0].boxes[0, 0] + data[0].boxes[0, 2] / 2 <= 1 + 1e-6


def test_yolo_label_paths():
    """Darknet's own place comes first, odd as it may be; what it would read as text that is none never comes."""
    def of(path):
        return [p.as_posix() for p in yolo_txt.labels_of(Path(path))]
    assert of("x/images/raw/images/a.jpg.jpg") == ["x/images/raw/labels/a.jpg.txt", "x/images/raw/images/a.jpg.txt"]
    assert of("VOC/JPEGImages/strawberry.jpg") == ["VOC/labels/stlabelsberry.txt", "VOC/labels/strawberry.txt",
                                                   "VOC/JPEGImages/strawberry.txt"]
    assert of("a/images/b/images/c.png") == ["a/labels/b/images/c.txt", "a/images/b/labels/c.txt", "a/images/b/images/c.txt"]
    assert of("coco/images/train2014/c.JPEG") == ["coco/labels/train2014/c.txt", "coco/images/train2014/c.txt"]
    assert of("x/train/images.jpeg") == ["x/train/images.txt"]
    assert of("images/sub/a.bmp") == ["labels/sub/a.txt", "images/sub/a.txt"]


def test_yolo_labels_where_darknet_looks(tmp_path):
    """The first "images" of two, where one would expect the second."""
    file = make.yolo(tmp_path / "images", {"a": "0 .5 .5 .5 .5"})
    own = tmp_path / "labels/images/a.txt"
    own.parent.mkdir(parents=True)
    own.write_text("1 .5 .5 .5 .5")
    assert load(file, "train").counts.tolist() == [0, 1]


def test_yolo_labels_beside_the_pictures(tmp_path):
    file = make.yolo(tmp_path, {"a": None})
    (tmp_path / "images/a.txt").write_text("1 .5 .5 .5 .5")
    assert load(file, "train").counts.tolist() == [0, 1]


def test_yolo_list_files_with_crlf_hidden_spaces_and_other_folders(tmp_path, monkeypatch):
    file = make.yolo(tmp_path / "set", {"a": "0 .5 .5 .5 .5", "b b": "0 .5 .5 .5 .5"})
    make.picture(tmp_path / "set/lists/images/c.png")
    make.picture(tmp_path / "here/d.png")
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "set/lists/t.txt").write_bytes(
        f"\ufeffimages/a.png \t\r\nimages\\b b.png\xa0\r\n\r\nimages/c.png\r\nd.png\r\n{tmp_path}/here/d.png\n"
        "images/gone.png\n".encode())
    file.write_bytes(b"classes = 2\r\n# a comment\r\nnames = my.names\r\ntrain = lists/t.txt\r\ntrain = other\r\n")
    data = load(file, "train")
    assert [e.path.name for e in data] == ["a.png", "b b.png", "c.png", "d.png", "d.png"]
    assert len(data.problems) == 1 and "t.txt:7: 'images/gone.png'" in messages(data)


def test_yolo_reads_voc_annotations_where_there_are_no_label_files(tmp_path):
    folder = make.voc(tmp_path / "VOC", {"a": [CAT, make.thing("unicorn", 1, 1, 5, 5)], "b": []})
    (tmp_path / "t.txt").write_text("VOC/JPEGImages/a.png\nVOC/JPEGImages/b.png\n")
    (tmp_path / "v.data").write_text("classes=20\nnames=data/voc.names\ntrain=t.txt\n")
    data = load(tmp_path / "v.data", "train")
    assert data.names[7] == "cat" and data.counts[7] == 1 and data.counts.sum() == 1 and data.backgrounds == 1
    assert len(data.problems) == 1 and "a.xml:4: unknown class 'unicorn'" in messages(data)
    assert data[0].path == folder / "JPEGImages/a.png"


def test_yolo_broken_pictures_and_a_set_without_labels(tmp_path):
    file = make.yolo(tmp_path, {"a": None, "b": None})
    (tmp_path / "images/b.png").write_text("no picture")
    data = load(file, "train")
    assert [e.id for e in data] == ["a"] and "b.png: not a picture" in messages(data)
    assert "none of its 2 pictures has a label file" in messages(data)


def test_yolo_same_names_in_two_folders_keep_their_folder(tmp_path):
    file = make.yolo(tmp_path, {"a": ""})
    make.picture(tmp_path / "more/a.png")
    (tmp_path / "train.txt").write_text("images/a.png\nmore/a.png\n")
    ids = [e.id for e in load(file, "train")]
    assert len(set(ids)) == 2 and all(id.endswith("/a") for id in ids)


def test_yolo_errors_at_the_door(tmp_path):
    file = make.yolo(tmp_path, {"a": "0 .5 .5 .5 .5"})
    good = file.read_text()
    for text, word in ((good, "valid="), ("train=train.txt", "names="),
                       ("names=my.names\ntrain=gone.txt", "data:2: train=gone"),
                       (good.replace("classes=2", "classes=3"), "data:1: classes=3, but"),
                       (good.replace("classes=2", "classes=many"), "data:1: classes=many"),
                       (good.replace("my.names", "gone.names"), "data:2: names=gone.names"),
                       (good + "rubbish", "data:4: expected key=value")):
        file.write_text(text)
        with pytest.raises(DataError, match=word):
            load(file, "val" if text == good else "train")
    file.write_text(good)
    (tmp_path / "my.names").write_text("cat\n\ndog\n")
    with pytest.raises(DataError, match="my.names:2"):
        load(file, "train")
    (tmp_path / "my.names").write_text("cat\ndog\n\n\n")
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="names no picture"):
        load(file, "train")
    (tmp_path / "train.txt").write_text("gone.png\n")
    with pytest.raises(DataError, match="train.txt:1: 'gone.png'"):
        load(file, "train")


def test_yolo_classes_of_one_name(tmp_path):
    """As in Darknet's 9k.names: the number decides. An annotation by name cannot mean one of them."""
    file = make.yolo(tmp_path, {"a": "2 .5 .5 .5 .5\n0 .5 .5 .25 .25"})
    file.write_text(file.read_text().replace("classes=2", "classes=3"))
    (tmp_path / "my.names").write_text("bow\ndog\nbow\n")
    data = load(file, "train")
    assert (data.names, data.counts.tolist()) == (("bow", "dog", "bow"), [1, 0, 1])
    assert messages(data) == (f"{tmp_path / 'my.names'}:3: 'bow' stands there in line 1 already: such classes are told "
                              "apart by number alone (names that repeat: 1)")
    with pytest.raises(DataError, match="2 classes of .* are called 'bow': they cannot be chosen by name"):
        load(file, "train", classes="bow")
    (tmp_path / "my.names").write_text("bow\ndog\nbow\ncat\n")
    file.write_text(file.read_text() + "\nlabels=my.names\n")  # a detector's list that is too long is a mistake
    with pytest.raises(DataError, match="classes=3, but .*my.names holds 4 names"):
        load(file, "train", classifies=False)
    (tmp_path / "my.names").write_text("bow\ndog\nbow\n")
    file.write_text(file.read_text().replace("names=", "labels="))
    with pytest.raises(DataError, match="'bow' stands there twice"):
        class_lists.load(file, "train")


def test_yolo_misspelt_keys_are_told(tmp_path):
    file = make.yolo(tmp_path, {"a": "0 .5 .5 .5 .5"})
    file.write_text(file.read_text() + "bakup=b\nvalid_list=x\nmy_own=1\ntop=3\nleaves=l\n")
    assert [str(p) for p in load(file, "train").problems] == [
        f"{file}:4: there is no key 'bakup'; did you mean backup?"]


def test_yolo_splits_and_classes_without_names(tmp_path):
    file = make.yolo(tmp_path, {"a": "1 .5 .5 .5 .5"}, split="val")
    assert annotations.splits(file) == ["val"] and len(load(file, "val")) == 1 and len(load(file, "valid")) == 1
    file.write_text("classes=2\nvalid=val.txt\n")
    assert load(file, "val").names == ("0", "1")
