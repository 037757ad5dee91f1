"""data/annotations.py, voc.py: what is read, and that nothing broken goes unnamed or stops the rest."""
from pathlib import Path

import make_data as make
import numpy as np
import pytest
from PIL import Image

from minidarknet.data.annotations import Problem, load
from minidarknet.errors import DataError

SHARED = Path(__file__).parents[2] / "shared"
CAT, DOG = make.thing("cat", 1, 1, 30, 20), make.thing("dog", 31, 11, 60, 40, difficult=1)


def messages(dataset):
    return "\n".join(map(str, dataset.problems))


def test_voc_boxes_flags_and_numbers(tmp_path):
    data = load(make.voc(tmp_path / "VOC", {"a": [CAT, DOG], "b": []}), "train")
    assert data.names[7] == "cat" and len(data.names) == 20 and not data.problems
    a, b = data.examples
    assert (a.id, a.path.name, a.size) == ("a", "a.png", (60, 40))
    assert np.allclose(a.boxes, [[.25, .25, .5, .5], [.75, .625, .5, .75]]) and a.boxes.dtype == np.float32
    assert a.classes.tolist() == [7, 11] and a.difficult.tolist() == [False, True]
    assert a.box_px.tolist() == [[1, 1, 30, 20], [31, 11, 60, 40]]
    assert b.boxes.shape == (0, 4) and b.box_px.shape == (0, 4) and data.backgrounds == 1
    assert data.counts[[7, 11]].tolist() == [1, 1] and data.counts.sum() == 2


def test_voc_names_are_sorted_over_all_annotations_when_they_are_not_vocs(tmp_path):
    folder = make.voc(tmp_path / "x", {"a": [CAT], "b": [make.thing("zebra", 1, 1, 5, 5)],
                                       "c": [make.thing("ant", 1, 1, 5, 5)]}, {"train": ["a"], "val": ["b"]})
    for split, want in (("train", "cat"), ("val", "zebra")):
        data = load(folder, split)
        assert data.names == ("ant", "cat", "zebra")
        assert [data.names[c] for c in data[0].classes] == [want]


def test_voc_a_stray_name_among_vocs_own_is_told(tmp_path):
    data = load(make.voc(tmp_path / "x", {"a": [CAT, DOG], "b": [make.thing("perzon", 1, 1, 5, 5),
                                                                make.thing("sheep", 1, 1, 5, 5)]}), "train")
    assert data.names == ("cat", "dog", "perzon", "sheep")
    assert [p.line for p in data.problems] == [3] and "person" in messages(data) and "b.xml:3:" in messages(data)


def test_voc_parts_of_an_object_are_not_objects(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
    for before in (True, False):
        person = make.thing("person", 1, 1, 30, 20, extra=part if before else "")
        person = person if before else person.replace("</object>", part + "</object>")
        data = load(make.voc(tmp_path / str(before), {"a": [person]}), "train")
        assert data[0].box_px.tolist() == [[1, 1, 30, 20]] and data.names[data[0].classes[0]] == "person"


def test_voc_float_coordinates(tmp_path):
    data = load(make.voc(tmp_path / "x", {"a": [make.thing("cat", 1.5, 2.25, "30.0", " 20 ")]}), "train")
    assert data[0].box_px.tolist() == [[1.5, 2.25, 30, 20]] and not data.problems


@pytest.mark.parametrize("box, word, left", [
    ((30, 1, 2, 20), "swapped", 0), ((5, 5, 5, 9), "no extent", 0), ((5, 5, 5, 5), "no extent", 0),
    ((70, 1, 90, 20), "outside", 0), ((-20, -20, -3, -3), "outside", 0), ((5, 5, 66, 20), "clipped", 1),
    ((-4, 5, 20, 20), "clipped", 1), (("x", 1, 2, 3), "not a number", 0), (("nan", 1, 20, 30), "no extent", 0),
    ((1, 1, "inf", 20), "outside", 0), ((1, 2, 3), "ymax", 0), (("", 1, 20, 20), "not a number", 0)])
def test_voc_bad_boxes_are_named_with_their_line(tmp_path, box, word, left):
    data = load(make.voc(tmp_path / "x", {"a": [CAT, make.thing("cat", *box)]}), "train")
    assert len(data.problems) == 1 and word in data.problems[0].message
    assert data.problems[0].file.endswith("a.xml") and data.problems[0].line == 4
    assert len(data[0].boxes) == 1 + left
    edges = data[0].boxes[:, :2] + np.array([[[-.5]], [[.5]]]) * data[0].boxes[:, 2:]
    assert edges.min() >= -1e-6 and edges.max() <= 1 + 1e-6


def test_voc_boxes_from_zero_are_reported_once(tmp_path):
    zero = make.thing("cat", 0, 0, 9, 9)
    data = load(make.voc(tmp_path / "x", {"a": [zero, zero], "b": [zero]}), "train")
    assert len(data.problems) == 1 and "3 boxes" in messages(data)
    assert np.allclose(data[0].boxes[0], [9 / 120, 9 / 80, 9 / 60, 9 / 40])


@pytest.mark.parametrize("told, shown, box, count", [
    ((0, 0), "0 x 0", (1, 1, 30, 20), 1), ((120, 80), "scaled", (1, 1, 60, 40), 1),
    ((100, 100), "taken as pixels", (1, 1, 30, 20), 1)])
def test_voc_size_that_disagrees_with_the_picture(tmp_path, told, shown, box, count):
    folder = make.voc(tmp_path / "x", {"a": [make.thing("cat", *box)]}, size=told if min(told) else (9, 9))
    file = folder / "Annotations/a.xml"
    file.write_text(file.read_text().replace("<width>9<", "<width>0<").replace("<height>9<", "<height>0<"))
    make.picture(folder / "JPEGImages/a.png")
    data = load(folder, "train")
    assert len(data.problems) == 1 and shown in messages(data) and "60 x 40" in messages(data)
    assert np.allclose(data[0].boxes, [[.25, .25, .5, .5]]) and data[0].size == (60, 40)
    assert np.allclose(data[0].box_px, [[1, 1, 30, 20]])


def test_voc_without_a_size_and_with_a_rubbish_size(tmp_path):
    folder = make.voc(tmp_path / "x", {"a": [CAT], "b": [CAT]})
    for id, text in (("a", ""), ("b", "<size><width>wide</width></size>")):
        file = folder / f"Annotations/{id}.xml"
        file.write_text(file.read_text().replace("<size><width>60</width><height>40</height></size>", text))
    data = load(folder, "train")
    assert np.allclose(data[0].boxes, data[1].boxes) and len(data.problems) == 1


def test_voc_labels_drawn_on_a_picture_before_its_exif_rotation(tmp_path):
    folder = make.voc(tmp_path / "x", {"a": [CAT], "b": [CAT]}, suffix="jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "JPEGImages/a.jpg").save(folder / "JPEGImages/a.jpg", exif=exif)
    data = load(folder, "train")
    assert [e.id for e in data] == ["b"] and "EXIF" in messages(data)


def test_voc_broken_files_leave_out_one_picture_each(tmp_path):
    folder = make.voc(tmp_path / "x", {id: [CAT] for id in "abcdefgh"})
    (folder / "Annotations/a.xml").write_text("<annotation>\n<object>\n<name>cat</wrong>")
    (folder / "Annotations/b.xml").write_bytes(b"")
    (folder / "Annotations/c.xml").unlink()
    (folder / "JPEGImages/d.png").unlink()
    (folder / "JPEGImages/e.png").write_bytes(b"")
    (folder / "Annotations/f.xml").write_bytes(b"\xff\xfe\x00rubbish\x00")
    (folder / "Annotations/h.xml").write_text("<html><body>404</body></html>")
    data = load(folder, "train")
    assert [e.id for e in data] == ["g"] and len(data.problems) == 7
    for word in ("a.xml:3:", "b.xml:1:", "c.xml: there is no such annotation", "d.jpg: there is no such file",
                 "e.png: the file is empty", "f.xml:", "h.xml:1: <html>"):
        assert word in messages(data), (word, messages(data))


def test_voc_lists_of_one_class_duplicates_and_blank_lines(tmp_path):
    folder = make.voc(tmp_path / "x", {"a": [CAT], "b": [CAT], "c c": [CAT]})
    (folder / "ImageSets/Main/odd.txt").write_bytes("\ufeffa  1\r\n\r\nb -1\r\nc c\r\na\r\n".encode())
    data = load(folder, "odd")
    assert [e.id for e in data] == ["a", "b", "c c"] and "odd.txt:5:" in messages(data)


def test_voc_several_roots(tmp_path):
    one = make.voc(tmp_path / "one", {"a": [CAT], "b": [DOG]})
    two = make.voc(tmp_path / "two", {"a": [make.thing("emu", 1, 1, 5, 5)]})
    data = load(f"{one},{two}", "train")
    assert data.names == ("cat", "dog", "emu") and [e.id for e in data] == ["a", "b", "two/a"]
    assert data[2].path.parent.parent == two and data.name == "one+two"


def test_voc_errors_at_the_door(tmp_path):
    folder = make.voc(tmp_path / "kit/VOC2007", {"a": [CAT]}, {"train": ["a"], "mini": ["a"], "none": []})
    with pytest.raises(DataError, match="mini, none, train"):
        load(folder, "val")
    with pytest.raises(DataError, match="none.txt: the list is empty"):
        load(folder, "none")
    with pytest.raises(DataError, match="VOC2007 is one"):
        load(tmp_path / "kit", "train")
    with pytest.raises(DataError, match="no such data"):
        load(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="nowhere"):
        load(f"{folder},{tmp_path / 'nowhere'}", "train")
    (folder / "JPEGImages/a.png").unlink()
    with pytest.raises(DataError, match="no usable picture.*a.jpg: there is no such file"):
        load(folder, "train")
    (folder / "Annotations/a.xml").write_text("<annotation/>")
    with pytest.raises(DataError, match="no object with a name"):
        load(folder, "train")


def test_subsets(tmp_path):
    folder = make.voc(tmp_path / "x", {"a": [CAT], "b": [DOG, CAT], "c": [], "d": [DOG]})
    assert [e.id for e in load(folder, "train", limit=2)] == ["a", "b"]
    data = load(folder, "train", classes=["dog"])
    assert data.names == ("dog",) and [e.id for e in data] == ["b", "d"]
    assert data[0].classes.tolist() == [0] and data[0].difficult.tolist() == [True] and len(data[0].box_px) == 1
    data = load(folder, "train", classes="dog, cat", limit=2)
    assert data.names == ("dog", "cat") and [e.id for e in data] == ["a", "b"] and data[0].classes.tolist() == [1]
    assert len(load(folder, "train", classes="dog,cat")) == 3
    with pytest.raises(DataError, match="dog"):
        load(folder, "train", classes=["dgo"])
    with pytest.raises(DataError, match="twice"):
        load(folder, "train", classes=["dog", "dog"])
    with pytest.raises(DataError, match="no usable picture with sheep"):
        load(folder, "train", classes=["sheep"])
    with pytest.raises(DataError, match="limit 0"):
        load(folder, "train", limit=0)


def test_the_sample_set_is_found_by_name(tmp_path, monkeypatch):
    from minidarknet.data import sample
    monkeypatch.setattr(sample, "ensure_sample", lambda: make.voc(tmp_path / "drawn", {"a": [CAT]}))
    assert [e.id for e in load("sample", "train")] == ["a"]


def test_problem_reads_like_a_compilers():
    assert str(Problem("a.xml", 3, "what")) == "a.xml:3: what" and str(Problem("a.xml", 0, "what")) == "a.xml: what"


@pytest.mark.skipif(not SHARED.exists(), reason="needs the data that lies beside the project")
def test_real_voc_and_bccd():
    data = load(SHARED / "data/VOCdevkit/VOC2007", "val")
    assert len(data) == 200 and not data.problems and data.counts.sum() == 651 and data.names[14] == "person"
    data = load(SHARED / "data/bccd", "train")
    assert len(data) == 205 and data.names == ("Platelets", "RBC", "WBC")
    assert [p.line for p in data.problems] == [50] and "no extent" in messages(data)
