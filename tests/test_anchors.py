"""The anchors command: what it prints and writes, the unit of each head, and a cfg that only changes where it should."""
import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from make_data import thing, voc
from PIL import Image
from small import TINY

from minidarknet import anchors, cli, clusters, parser
from minidarknet.data import annotations
from minidarknet.network import Network

YOLO = re.sub(r"\[region\][\s\S]*", """[yolo]
mask=0,1,2
anchors = 10,13,  16,30,  33,23   # of another data set
classes=12
num=3
""", TINY)


@pytest.fixture
def data(tmp_path, monkeypatch, drawn):
    """The working folder, with the drawn pictures as `drawn`."""
    monkeypatch.chdir(tmp_path)
    Path("drawn").symlink_to(drawn)
    return tmp_path


def run(capsys, *arguments):
    code = cli.run(anchors.main, ["--data", "drawn", "--restarts", "2", *map(str, arguments)])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def test_a_table_three_files_and_the_anchors(data, capsys):
    code, out, err = run(capsys, "-k", "2..5")
    assert code == 0 and "done: runs/anchors/drawn" in err and "13 x 13" in out
    rows = list(csv.DictReader(Path("runs/anchors/drawn/anchors.csv").open()))
    assert [(row["k"], row["method"]) for row in rows[:3]] == [("2", "iou, mean"), ("2", "iou, median"), ("2", "euclid")]
    assert len(rows) == 4 * 3 + 1 and rows[-1]["method"] == "hand-picked"
    assert [row["paper"] for row in rows if row["k"] == "5"] == ["0.61", "0.61", "0.587"]
    stored = json.loads(Path("runs/anchors/drawn/anchors.json").read_text())
    shapes = clusters.shapes(annotations.load("drawn", "train").examples, (416, 416)) * 13
    assert stored["boxes"] == len(shapes) and stored["unit"] == "cells of 32 pixels"
    for row in stored["anchors"]:
        own = np.array(row["anchors"])
        assert len(own) == row["k"]
        assert row["average_iou"] == pytest.approx(clusters.average_iou(shapes, own), abs=1e-4)
        assert row["recall"] == pytest.approx(clusters.best_possible_recall(shapes, own), abs=.02)
    by_k = [row["average_iou"] for row in stored["anchors"] if row["method"] == "iou, mean"]
    assert by_k == sorted(by_k)
    printed = re.search(r"^anchors=(.*)$", out, re.M)[1]
    np.testing.assert_allclose(np.reshape([float(v) for v in printed.split(",")], (-1, 2)),
                               next(row["anchors"] for row in stored["anchors"] if row["k"] == 5), atol=6e-4)
    with Image.open("runs/anchors/drawn/anchors.png") as picture:
        assert picture.width > 1000 and np.asarray(picture.convert("L")).std() > 1
    assert run(capsys, "-k", "3", "--json")[1].startswith("{") and Path("runs/anchors/drawn-2").is_dir()


@pytest.mark.parametrize("text, extent, unit", [(TINY, 4, "cells"), (YOLO, 64, "pixels")], ids=["region", "yolo"])
def test_in_the_unit_of_the_head_and_into_the_cfg(data, capsys, text, extent, unit):
    Path("my.cfg").write_text(text.replace("num=3", "# a comment\nnum = 3"))
    before = Path("my.cfg").read_text().split("\n")
    code, out, _ = run(capsys, "--cfg", "my.cfg", "-k", "3", "--write")
    after = Path("my.cfg").read_text().split("\n")
    changed = [(n + 1, a, b) for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert code == 0 and len(changed) == 1
    number, old, new = changed[0]
    assert f"my.cfg:{number}\n- {old}\n+ {new}\n" in out
    net = Network.from_cfg("my.cfg")
    shapes = clusters.shapes(annotations.load("drawn", "train").examples, (64, 64)) * extent
    written = net.head.anchors.astype(float)
    rounded = .5 if unit == "pixels" else 5e-4
    assert np.abs(written - clusters.kmeans(shapes, 3, restarts=2)).max() <= rounded + 1e-6
    assert net.head.unit == unit and clusters.average_iou(shapes, written) > .5
    if unit == "pixels":
        assert new.startswith("anchors = ") and new.endswith("   # of another data set")


def test_several_heads_share_their_anchors(data, capsys):
    Path("my.cfg").write_text(parser.render(parser.with_classes(parser.read("cfg/yolov3-tiny.cfg"), 12)))
    assert run(capsys, "--cfg", "my.cfg", "-k", "6", "--write", "--size", "416")[0] == 0
    one, two = Network.from_cfg("my.cfg", initialise=False).heads
    assert one.options.anchors == two.options.anchors and max(one.options.anchors) > 100
    assert (np.diff(one.anchors.prod(axis=1)) > 0).all()      # the masks count from the smallest


def test_another_number_of_anchors_changes_num_and_filters(data, capsys):
    Path("my.cfg").write_text(TINY)
    code, out, _ = run(capsys, "--cfg", "my.cfg", "-k", "4", "--write")
    assert code == 0 and "- num=3\n+ num=4" in out and "- filters=51\n+ filters=68" in out
    assert Network.from_cfg("my.cfg").head.shape == (4, 4, 68)


def test_line_ends_and_old_encodings_stay(data, capsys):
    Path("my.cfg").write_bytes(("# f\xfcr alle\n" + TINY).replace("\n", "\r\n").encode("latin-1"))
    assert run(capsys, "--cfg", "my.cfg", "-k", "3", "--write")[0] == 0
    after = Path("my.cfg").read_bytes()
    assert after.startswith(b"# f\xfcr alle\r\n") and after.count(b"\n") == after.count(b"\r\n") == TINY.count("\n") + 1
    assert b"anchors=1,1,1.5" not in after


def test_a_list_of_k():
    assert anchors.counts("9,3,5,3") == [3, 5, 9] and anchors.counts("2..4") == [2, 3, 4] and anchors.counts("5") == [5]


@pytest.mark.parametrize("arguments, code, told", [
    (["-k", "0"], 2, "expected a number of anchors, a range 1..15"),
    (["-k", "1..2..3"], 2, "expected a number of anchors"),
    (["-k", "3,,5"], 2, "expected a number of anchors"),
    (["-k", "5..2"], 2, "expected a number of anchors"),
    (["-k", "1..1e9"], 2, "expected a number of anchors"),
    (["-k", "1..1000000000000"], 2, "100 anchors at most"),
    (["--write"], 2, "--write needs --cfg"),
    (["--cfg", "cfg/yolov2-voc.cfg", "--write"], 2, "minidarknet cfg yolov2-voc > my.cfg"),
    (["--cfg", "cfg/darknet19.cfg"], 2, "has no anchors; expected [region] or [yolo]"),
    (["--cfg", "my.cfg", "-k", "4..6", "--write"], 2, "has num=3, which is not among"),
    (["--cfg", "three.cfg", "-k", "4", "--write"], 2, "shared out among its heads by mask="),
    (["--split", "nothing"], 3, "there is no split 'nothing'"),
    (["--data", "few", "-k", "2"], 3, "k=2 anchors need 2 boxes of different shapes, but there are 1 (2 boxes)"),
    (["--data", "none"], 3, "no box on them to learn from"),
    (["--data", "no/where"], 3, "no such data"),
    (["--size", "100", "--cfg", "cfg/yolov2-voc.cfg"], 2, "must divide"),
])
def test_wrong_input_changes_nothing(data, capsys, arguments, code, told):
    Path("my.cfg").write_text(TINY)
    Path("three.cfg").write_text(YOLO)
    voc(Path("few"), {"a": [thing("cat", 1, 1, 20, 20), thing("cat", 11, 11, 30, 30)]})
    voc(Path("none"), {"a": [thing("cat", 1, 1, 20, 20, difficult=1)]})
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "") and told in err
    assert Path("my.cfg").read_text() == TINY and Path("three.cfg").read_text() == YOLO and not Path("runs").exists()
