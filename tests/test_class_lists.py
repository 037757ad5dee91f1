"""data/class_lists.py, class_folders.py: the class of a picture by Darknet's lists, and by its folder."""
import make_data as make
import pytest

from minidarknet.data import annotations, class_lists
from minidarknet.data.annotations import load
from minidarknet.errors import DataError


def lists(folder, pictures, labels="n01\nn02\n", more="labels=l.txt\n", split="train"):
    """Write a classifier's data set -> path of its .data file."""
    for number, name in enumerate(pictures):
        make.picture(folder / name, number)
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in pictures))
    (folder / "l.txt").write_text(labels)
    (folder / "c.data").write_text(f"classes={len(labels.split())}\n{split}=list.txt\n{more}")
    return folder / "c.data"


def messages(data):
    return "\n".join(map(str, data.problems))


def test_the_text_that_occurs_in_the_path_is_the_class(tmp_path):
    data = load(lists(tmp_path, ["n02/a_n02_1.png", "x/n01_7.png"]), "train")
    assert data.classifies and data.names == ("n01", "n02") and not data.problems
    assert [e.classes.tolist() for e in data] == [[1], [0]] and data[0].boxes.tolist() == [[.5, .5, 1, 1]]
    assert data[0].size == (60, 40) and data[0].box_px.tolist() == [[1, 1, 60, 40]]


def test_darknets_rule():
    assert class_lists.class_of("cats/dog_1.png", ("cat", "dog")) == [0, 1]     # anywhere, folders included
    assert class_lists.class_of("x.png", ("cat",)) == []


def test_none_or_several_labels_are_problems(tmp_path):
    data = load(lists(tmp_path, ["n01.png", "n03.png", "n01/n02.png"]), "train")
    assert [e.id for e in data] == ["n01"] and len(data.problems) == 2
    assert "'n03.png': none of the 2 labels occurs" in messages(data)
    assert "'n01/n02.png': 2 labels occur in the path, n01, n02" in messages(data)


def test_only_the_path_in_the_list_counts(tmp_path):
    """The folder that the set happens to lie in is called like a class."""
    data = load(lists(tmp_path / "n01", ["n02.png"]), "train")
    assert [e.classes.tolist() for e in data] == [[1]]


def test_names_and_labels(tmp_path):
    file = lists(tmp_path, ["n01.png"], more="labels=l.txt\nnames=n.txt\n")
    (tmp_path / "n.txt").write_bytes(b"tench\r\ngold fish \r\n")
    assert load(file, "train").names == ("tench", "gold fish")
    (tmp_path / "n.txt").write_text("a\n")
    with pytest.raises(DataError, match="classes=2, but .*n.txt holds 1 names"):
        load(file, "train")


def test_lists_longer_than_classes(tmp_path):
    """Darknet's imagenet1k.data has 1000 classes and lists of 21842 lines; the first count, and names may repeat."""
    file = lists(tmp_path, ["n01.png", "n03.png"], more="labels=l.txt\nnames=n.txt\n")
    (tmp_path / "l.txt").write_text("n01\nn02\nn03\nn04\n")
    (tmp_path / "n.txt").write_text("crane\ncrane\ndog\n")
    data = load(file, "train")
    assert data.names == ("crane", "crane") and [e.id for e in data] == ["n01"]
    assert "'n03.png': none of the 2 labels occurs" in messages(data)
    assert "n.txt:2: 'crane' stands there in line 1 already" in messages(data)


def test_without_labels_names_will_do_if_a_classifier_is_asked_for(tmp_path):
    file = lists(tmp_path, ["n01.png", "n02.png"], more="names=l.txt\n")
    assert not load(file, "train").classifies
    assert [e.classes.tolist() for e in load(file, "train", classifies=True)] == [[0], [1]]
    file.write_text("classes=2\ntrain=list.txt\n")
    with pytest.raises(DataError, match="no labels="):
        load(file, "train", classifies=True)


def test_lists_with_crlf_blanks_and_backslashes(tmp_path):
    file = lists(tmp_path, ["x/n01/a.png", "x/n02/b b.png"])
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfx\\n01\\a.png \r\n\r\n x/n02/b b.png\t\r\n")
    (tmp_path / "l.txt").write_bytes(b"/n01/\r\n n02/ \r\n\r\n")
    data = load(file, "train")
    assert not data.problems and [(e.id, *e.classes) for e in data] == [("a", 0), ("b b", 1)]
    assert data.names == ("/n01/", "n02/")


def test_boxes_where_classes_are_needed_and_the_reverse(tmp_path):
    file = lists(tmp_path / "c", ["n01.png"])
    folder = make.voc(tmp_path / "v", {"a": [make.thing("cat", 1, 1, 9, 9)]})
    with pytest.raises(DataError, match="minidarknet crops --data"):
        load(folder, "train", classifies=True)
    (tmp_path / "f/cat").mkdir(parents=True)
    for n in range(5):
        make.picture(tmp_path / f"f/cat/{n}.png", n)
    with pytest.raises(DataError, match="a detector needs boxes"):
        load(tmp_path / "f", "train", classifies=False)
    assert "has a label file" in messages(load(file, "train", classifies=False))


@pytest.mark.parametrize("kind", ["empty", "empty classes", "pictures", "several"])
def test_a_folder_without_classes_is_told_what_one_looks_like(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    if kind == "empty classes":
        (tmp_path / "set/cat").mkdir()
    if kind == "pictures":
        make.picture(tmp_path / "set/a.png")
    name = "set"
    if kind == "several":
        make.picture(tmp_path / "cat/a.png")
        name = "set,cat"
    with pytest.raises(DataError) as told:
        load(name, "train", classifies=True)
    assert "expected set/CLASS/*.jpg or set/train/CLASS/*.jpg" in str(told.value) and "VOC" not in str(told.value)
    assert ("one folder at a time" in str(told.value)) == (kind == "several")
    with pytest.raises(DataError, match="not a VOC year folder"):
        load(name, "train", classifies=False)


# ---- folders

@pytest.fixture
def folders(tmp_path):
    """tmp_path with 10 cats, 5 dogs and an empty class, undivided."""
    for name, count in (("cat", 10), ("dog", 5)):
        for n in range(count):
            make.picture(tmp_path / "set" / name / f"{n}.png", n)
    (tmp_path / "set/empty").mkdir()
    (tmp_path / "set/.git").mkdir()
    return tmp_path / "set"


def test_an_undivided_folder_keeps_every_fifth_picture_for_validation(folders):
    train, val = load(folders, "train"), load(folders, "val")
    assert train.names == val.names == ("cat", "dog", "empty") and train.classifies
    assert [e.id for e in val] == ["cat/4", "cat/9", "dog/4"] and len(train) == 12
    assert not {e.path for e in train} & {e.path for e in val}
    assert annotations.splits(folders) == ["train", "val"]
    with pytest.raises(DataError, match="no split 'test'; there are train, val"):
        load(folders, "test")


def test_a_divided_folder(folders, tmp_path):
    (tmp_path / "whole").mkdir()
    folders.rename(tmp_path / "whole/train")
    make.picture(tmp_path / "whole/valid/dog/deep/x.jpg")
    make.picture(tmp_path / "whole/valid/dog/y.jpg")
    data = load(tmp_path / "whole", "val")
    assert data.names == ("cat", "dog", "empty") and [e.id for e in data] == ["dog/x", "dog/y"]
    assert data[0].classes.tolist() == [1] and len(load(tmp_path / "whole", "train")) == 15
    assert annotations.splits(tmp_path / "whole") == ["train", "valid"]


def test_a_limit_takes_the_classes_in_turn_and_broken_pictures_are_named(folders):
    assert [e.id for e in load(folders, "train", limit=3)] == ["cat/0", "dog/0", "cat/1"]
    (folders / "cat/0.png").write_text("rubbish")
    data = load(folders, "train")
    assert len(data) == 11 and "0.png: not a picture" in messages(data)
    assert load(folders, "train", classes="dog").names == ("dog",)
