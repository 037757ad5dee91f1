"""data/crops.py, crops.py: a classifier's data set from a detector's."""
import re

import make_data as make
import numpy as np
import pytest
from PIL import Image

from minidarknet import cli
from minidarknet.data import crops
from minidarknet.data.annotations import load
from minidarknet.errors import DataError

CAT, DOG = make.thing("cat", 11, 6, 30, 25), make.thing("dog", 31, 11, 60, 40)


def run(capsys, *words):
    code = cli.main(["crops", *map(str, words)])
    return code, *capsys.readouterr()


@pytest.fixture
def folder(tmp_path):
    """A VOC folder: cats and dogs, a difficult one, a tiny one, a broken picture."""
    tiny = make.thing("cat", 1, 1, 7, 30)
    return make.voc(tmp_path / "voc", {"a": [CAT, DOG, make.thing("cat", 1, 1, 60, 40, difficult=1)], "b": [tiny, DOG],
                                       "c": [DOG]}, {"train": ["a", "b"], "val": ["c"]})


def test_crops_are_the_objects_with_a_margin(folder, tmp_path, capsys):
    code, out, err = run(capsys, "--data", folder, "--out", tmp_path / "new", "--classes", "dog,cat")
    assert code == 0 and "train: 3 crops of 2 classes from 2 pictures" in out and "val: 1 crops" in out
    files = sorted(str(p.relative_to(tmp_path / "new")) for p in (tmp_path / "new").rglob("*.jpg"))
    assert files == ["train/cat/a-0.jpg", "train/dog/a-1.jpg", "train/dog/b-1.jpg", "val/dog/c-0.jpg"]
    found, whole = np.asarray(Image.open(tmp_path / "new/train/cat/a-0.jpg")), np.asarray(Image.open(folder /
                                                                                                "JPEGImages/a.png"))
    assert found.shape == (24, 24, 3)   # 20 pixels and 2 on every side
    assert np.abs(found.astype(int) - whole[3:27, 8:32]).mean() < 6


def test_both_forms_hold_the_same(folder, tmp_path, capsys):
    """As a folder of classes and as Darknet's lists; "cat" also occurs in "category", but "/cat/" does not."""
    for xml in folder.glob("Annotations/*.xml"):
        xml.write_text(xml.read_text().replace("dog", "category"))
    run(capsys, "--data", folder, "--out", tmp_path / "new")
    for split in ("train", "val"):
        one, two = load(tmp_path / "new", split), load(tmp_path / "new/crops.data", split)
        assert one.names == two.names == ("cat", "category") and one.classifies and two.classifies
        assert {e.path: e.classes.tolist() for e in one} == {e.path: e.classes.tolist() for e in two}
        assert not two.problems and len(one) == (3 if split == "train" else 1)


def test_what_the_command_recommends_has_the_classes_names(folder, tmp_path, capsys):
    """Folders cannot be called a/b or a:b; the list can."""
    for xml in folder.glob("Annotations/*.xml"):
        xml.write_text(xml.read_text().replace("dog", "hot/dog:1"))
    out = run(capsys, "--data", folder, "--out", tmp_path / "new")[1]
    for option in ("--data", "--joint"):
        data = load(re.search(rf"{option} ([^ ,]+)", out.splitlines()[-1])[1], "train", classifies=True)
        assert data.names == load(folder, "train").names and "hot/dog:1" in data.names
        assert len(data) == 3 and not data.problems


def test_refusals(folder, tmp_path, capsys):
    assert run(capsys, "--data", folder, "--out", folder)[0] == 2
    assert run(capsys, "--data", folder, "--out", folder / "JPEGImages/a.png")[0] == 2
    code, _, err = run(capsys, "--data", folder, "--out", tmp_path / "x", "--split", "tset")
    assert code == 3 and "tset" in err and not (tmp_path / "x").exists()
    (folder / "JPEGImages/b.png").write_bytes((folder / "JPEGImages/b.png").read_bytes()[:-40])
    code, _, err = run(capsys, "--data", folder, "--out", tmp_path / "x")
    assert code == 3 and "b.png" in err and len(list((tmp_path / "x").rglob("*.jpg"))) == 3
    code, _, err = run(capsys, "--data", tmp_path / "x", "--out", tmp_path / "y")
    assert code == 3 and "a detector needs boxes" in err


def test_folder_names():
    assert [crops.folder_name(name) for name in ("traffic light", "a/b", "..", ".x", "")] == [
        "traffic light", "a_b", "_.", "_x", "_"]
    with pytest.raises(DataError, match="would share"):
        crops.check_names(("a/b", "cat", "A_B"))


def test_rectangle():
    assert crops.rectangle(np.array([11, 6, 30, 25.]), (60, 40), 0) == (10, 5, 30, 25)
    assert crops.rectangle(np.array([1, 1, 60, 40.]), (60, 40), .5) == (0, 0, 60, 40)


def test_the_sample_set_of_a_classifier(tmp_path, monkeypatch, drawn):
    """Without --data a classifier learns the objects of the sample set; they are cut out once."""
    from minidarknet.data import sample
    monkeypatch.setenv("MINIDARKNET_CACHE", str(tmp_path))
    monkeypatch.setattr(sample, "ensure_sample", lambda: drawn)
    data = load("sample", "train", classifies=True)
    assert data.classifies and data.names == tuple(sorted(data.names)) and len(data) > 50
    assert [p.name for p in tmp_path.iterdir()] == [crops.SAMPLE]
    monkeypatch.setattr(crops, "write_split", None)
    assert len(load("sample", "val", classifies=True)) > 10


BOX = (41, 31, 60, 50)      # 20 x 20, zero-based 40..60 and 30..50


@pytest.mark.parametrize("others, expected", [
    ([], (20, 10, 80, 70)),
    ([(1, 1, 10, 10)], (20, 10, 80, 70)),               # far away
    ([(65, 35, 90, 45)], (20, 10, 64, 70)),             # on the right: up to its left edge
    ([(25, 1, 35, 100)], (35, 10, 80, 70)),             # on the left
    ([(30, 52, 70, 99)], (20, 10, 80, 51)),             # below
    ([(1, 1, 100, 15)], (20, 15, 80, 70)),              # above
    ([(65, 1, 70, 12)], (20, 12, 80, 70)),              # in the corner: the cut that leaves more
    ([(45, 35, 55, 45)], (20, 10, 80, 70)),             # in front of it: nothing to be done
    ([(55, 45, 75, 65)], (20, 10, 80, 70)),             # overlapping it
    ([(65, 35, 90, 45), (1, 1, 100, 15)], (20, 15, 64, 70)),
    ([(61, 31, 80, 50)], (20, 10, 60, 70)),             # touching it
])
def test_other_objects_are_kept_out(others, expected):
    assert crops.alone(BOX, np.array(others).reshape(-1, 4), (100, 100), 1) == expected


def test_a_single_crop_shows_its_object_whole_and_no_pixel_of_others(rng):
    for _ in range(300):
        boxes = np.sort(rng.integers(1, 101, (4, 2, 2)), axis=1).reshape(4, 4)
        own, *others = boxes.tolist()
        left, top, right, bottom = crops.alone(own, np.array(others), (100, 100), 1)
        inner = crops.rectangle(own, (100, 100), 0)
        assert left <= inner[0] and top <= inner[1] and right >= inner[2] and bottom >= inner[3]
        for other in others:
            a, b, c, d = crops.rectangle(other, (100, 100), 0)
            apart = c <= inner[0] or a >= inner[2] or d <= inner[1] or b >= inner[3]
            assert not apart or c <= left or a >= right or d <= top or b >= bottom


def test_single_crops_from_the_command(folder, tmp_path, capsys):
    words = ("--data", folder, "--classes", "cat,dog", "--margin", "1")
    for name, more in (("all", ()), ("single", ("--single",))):
        assert run(capsys, *words, "--out", tmp_path / name, *more)[0] == 0
    sizes = [Image.open(tmp_path / name / "train/dog/a-1.jpg").size for name in ("all", "single")]
    assert sizes == [(60, 40), (30, 40)]        # the cat left of the dog: out of its crop


@pytest.mark.parametrize("margin", ["-1", "11", "nan", "wide"])
def test_margins_have_limits(folder, tmp_path, capsys, margin):
    code, _, err = run(capsys, "--data", folder, "--out", tmp_path / "out", f"--margin={margin}")
    assert code == 2 and f"{margin!r} is not a number from 0 to 10" in err and not (tmp_path / "out").exists()


def test_twice_the_object_on_every_side(folder, tmp_path, capsys):
    assert run(capsys, "--data", folder, "--classes", "cat,dog", "--margin", "2", "--out", tmp_path / "out")[0] == 0
    with Image.open(tmp_path / "out/train/cat/a-0.jpg") as wide:    # 20 x 20; with 1 it would be 50 x 45
        assert wide.size == tuple(np.minimum(make.SIZE, (70, 65)))
