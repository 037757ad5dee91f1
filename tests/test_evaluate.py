"""The evaluate command: numbers that can be worked out by hand, and what it says about data that does not fit."""
import json
import shutil
from pathlib import Path

import pytest
from make_data import picture, thing, voc, yolo
from small import sure_weights

from minidarknet import cli, evaluate

SHARED = Path(__file__).parents[2] / "shared" / "data"
NAMES = [f"thing{n}" for n in range(12)]
CELLS = [thing("thing5", x + 1, y + 1, x + 16, y + 16) for x in range(0, 64, 16) for y in range(0, 64, 16)]


@pytest.fixture
def place(tmp_path, monkeypatch, tiny_cfg):
    """A folder with my.cfg, my.names, my.weights, which see thing5 in each cell of 16 x 16 pixels, and VOC data where
    this is right on one picture; it also holds a thing7, which they cannot see, and a difficult thing9."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_cfg, "my.cfg")
    Path("my.names").write_text("\n".join(NAMES))
    sure_weights("my.weights", "my.cfg", 5)
    data({"a": [*CELLS, thing("thing7", 9, 9, 24, 24), thing("thing9", 1, 1, 60, 60, difficult=1)]})
    return tmp_path


def data(annotations, folder="data", **splits):
    shutil.rmtree(folder, ignore_errors=True)
    return voc(Path(folder), annotations, {"val": list(annotations), **splits}, size=(64, 64))


@pytest.fixture
def do(capsys):
    """A function: evaluate my.cfg with my.weights -> (exit code, stdout, stderr, what --json wrote)."""
    def call(*arguments):
        capsys.readouterr()
        Path("x.json").unlink(missing_ok=True)
        code = cli.run(evaluate.main, ["my.cfg", "my.weights", "--json", "x.json", *map(str, arguments)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err, json.loads(Path("x.json").read_text()) if Path("x.json").exists() else None
    return call


def test_a_class_seen_perfectly_and_one_not_at_all(place, do):
    code, out, _, found = do("--data", "data", "--comp4", "new/c4", "--plot", "new/curves.png")
    assert code == 0
    assert found["map_voc07"] == pytest.approx(.5) and found["map_voc10"] == pytest.approx(.5)
    assert found["per_class"]["thing5"]["ap07"] == 1 and found["per_class"]["thing7"]["ap07"] == 0
    assert found["per_class"]["thing9"]["ap07"] is None  # only a difficult one: left out of the mean
    assert (found["images"], found["resize"], found["size"]) == (1, "letterbox", [64, 64])
    assert (found["thresh"], found["nms"], found["iou"]) == (.005, .45, .5) and found["seconds"] > 0
    assert "mAP 0.5000 (VOC07, 11 points)" in out and "thing7" in out
    lines = Path("new/c4/comp4_det_test_thing5.txt").read_text().splitlines()
    assert len(lines) == 16 and any(line.endswith(" 1.000000 1.000000 17.000000 17.000000") for line in lines)
    assert Path("new/c4/comp4_det_test_thing7.txt").read_text() == ""
    assert Path("new/curves.png").stat().st_size > 1000


def test_false_detections_cost_precision(place, do):
    """On a second picture, without objects, all 16 are false: as many as are true, of equal confidence."""
    data({"a": CELLS, "b": []})
    found = do("--data", "data")[3]
    assert found["per_class"]["thing5"]["true_positives"] == found["per_class"]["thing5"]["false_positives"] == 16
    assert found["map_voc07"] == 1  # those of the first picture come first: equal scores keep their order
    data({"a": [], "b": CELLS})
    assert do("--data", "data")[3]["map_voc07"] == pytest.approx(.5, abs=.01)


def test_names_decide_not_the_order(place, do):
    """The data's sorted names put thing10 before thing5; names with other spelling are strangers and count."""
    data({"a": [*CELLS, thing("thing10", 1, 1, 9, 9)]})
    assert do("--data", "data")[3]["per_class"]["thing5"]["ap07"] == 1
    Path("swapped.names").write_text("\n".join({5: "thing7", 7: "thing5"}.get(n, name) for n, name in enumerate(NAMES)))
    found = do("--data", "data", "--names", "swapped.names")[3]
    assert found["per_class"]["thing5"]["ap07"] == 0 and found["map_voc07"] == 0
    data({"a": [*CELLS, thing("zebra", 1, 1, 9, 9)]})
    _, _, err, found = do("--data", "data")
    assert "does not know zebra" in err and found["map_voc07"] == pytest.approx(.5)


def test_classes_without_any_name_in_common(place, do):
    data({"a": [thing("zebra", 1, 1, 9, 9)]})
    code, _, err, _ = do("--data", "data")
    assert code == 3 and "none of the classes" in err and "--names" in err


def test_without_names_the_number_must_fit(place, do):
    Path("my.names").unlink()
    code, _, err, _ = do("--data", "data")
    assert code == 3 and "12 classes" in err and "--names" in err
    data({"a": [thing(name, 1, 1, 9, 9) for name in NAMES]})
    assert do("--data", "data")[0] == 0


def test_a_yolo_data_set_scores_the_same(place, do):
    cells = "".join(f"5 {x / 64} {y / 64} .25 .25\n" for x in range(8, 64, 16) for y in range(8, 64, 16))
    file = yolo(Path("y"), {"a": cells + "7 .2 .2 .1 .1\n"}, NAMES, "val")
    found = do("--data", file, "--resize", "stretch")[3]
    assert found["map_voc07"] == pytest.approx(.5) and found["resize"] == "stretch"


def test_several_folders_count_as_one(place, do):
    data({"b": CELLS}, "more")
    found = do("--data", "data,more")[3]
    assert found["images"] == 2 and found["per_class"]["thing5"]["truths"] == 32


def test_another_resize_than_in_training_is_a_warning(place, do):
    Path("args.json").write_text('{"resize": "stretch"}')
    _, _, err, found = do("--data", "data")
    assert found["resize"] == "stretch" and "warning" not in err
    _, _, err, found = do("--data", "data", "--resize", "letterbox")
    assert found["resize"] == "letterbox" and "trained with --resize stretch" in err


def test_size_and_limit(place, do):
    data({"a": CELLS, "b": CELLS})
    found = do("--data", "data", "--size", "96x64", "--limit", 1)[3]
    assert found["size"] == [96, 64] and found["images"] == 1


def test_a_broken_picture_is_told_and_its_objects_are_missed(place, do):
    folder = data({"a": CELLS, "b": CELLS})
    whole = (folder / "JPEGImages/b.png").read_bytes()
    (folder / "JPEGImages/b.png").write_bytes(whole[:-60])
    code, out, err, found = do("--data", "data")
    assert code == 3 and "b.png" in err
    assert found["per_class"]["thing5"]["truths"] == 32 and found["map_voc07"] < .6


def test_mistakes_in_the_annotations_are_warnings(place, do):
    data({"a": [*CELLS, thing("thing5", 9, 9, 3, 3)]})
    code, _, err, found = do("--data", "data")
    assert code == 0 and "swapped corners" in err and found["map_voc07"] == 1


def test_nothing_to_score(place, do):
    data({"a": CELLS, "b": []}, nothing=["b"])
    code, out, err, found = do("--data", "data", "--split", "nothing")
    assert code == 0 and found["map_voc07"] is None and "no objects" in err


@pytest.mark.parametrize("more, code, words", [
    (["--split", "vla"], 3, "vla"), (["--split", "bare"], 3, "empty"), (["--data", "nowhere"], 3, "nowhere"),
    (["--thresh", "2"], 2, "from 0 to 1"), (["--nms", "nan"], 2, "from 0 to 1"), (["--size", "x"], 2, "--size"),
    (["--resize", "cut"], 2, "letterbox"), (["--names", "nowhere"], 2, "nowhere"), (["--comp4", "my.cfg"], 2, "a file"),
    (["--plot", "my.cfg/x.png"], 2, "a file"), (["--json", "data"], 2, "a folder"), (["--limit", "0"], 2, "--limit"),
])
def test_what_is_typed_wrong_is_said(place, do, more, code, words):
    Path("data/ImageSets/Main/bare.txt").write_text("")
    got, out, err, found = do("--data", "data", *more)
    assert (got, out, found) == (code, "", None) and words in err


# ---- other files, other metrics

def test_cocos_ap_and_files_for_other_programs(place, do):
    code, out, _, found = do("--data", "data", "--metric", "coco", "--coco", "r/found_1.json", "--yolo", "txt",
                             "--comp4", "c4", "--comp4-prefix", "mine_")
    assert code == 3 and found is None      # a picture that has no number: nothing is made up
    data({"x_7": CELLS})
    code, out, _, found = do("--data", "data", "--metric", "coco", "--coco", "r/found.json", "--yolo", "txt",
                             "--comp4", "c4", "--comp4-prefix", "mine_")
    assert code == 0 and found["coco"]["AP"] == pytest.approx(1, abs=1e-6) and "COCO  AP 1.0000" in out
    rows = json.loads(Path("r/found.json").read_text())
    assert len(rows) == 16 and {(r["image_id"], r["category_id"]) for r in rows} == {(7, 6)}
    assert len(Path("txt/x_7.txt").read_text().splitlines()) == 16
    assert len(Path("c4/mine_thing5.txt").read_text().splitlines()) == 16


def test_another_iou(place, do):
    """VOC's boxes are a pixel larger than the 16 x 16 of the objects: 256 / 289 = .89, but at the edges."""
    for iou, true in ((.88, 16), (.9, 7), (.97, 1)):
        found = do("--data", "data", "--iou", iou)[3]
        assert found["iou"] == iou and found["per_class"]["thing5"]["true_positives"] == true


def test_coco_json_in_and_out(place, do):
    """Numbers with gaps come back as they were, although the network counts its classes another way."""
    from PIL import Image
    from test_coco import coco, row
    names = [{"id": 3 * n + 2, "name": f"thing{n}"} for n in reversed(range(3, 8))]
    coco(Path("c"), [row(1, 10, 3 * 5 + 2, [16, 16, 16, 16], area=256, iscrowd=0)], 1, categories=names)
    Image.new("RGB", (64, 64)).save("c/val2017/001.png")
    code, out, err, found = do("--data", "c", "--coco", "found.json", "--metric", "coco")
    assert code == 0 and found["coco"]["AR100"] == pytest.approx(1)
    assert {(r["image_id"], r["category_id"]) for r in json.loads(Path("found.json").read_text())} == {(10, 17)}


# ---- classifiers

@pytest.fixture
def classifier(place):
    """c.cfg and c.weights, which say thing5 whatever they see, and a folder with 3 pictures of thing5 and 1 of thing2."""
    from small import CLASSIFIER

    from minidarknet import weights
    from minidarknet.network import Network
    Path("c.cfg").write_text(CLASSIFIER)
    net = Network.from_cfg("c.cfg")
    for stored in net.layers[4].stored:
        stored.array[...] = 0
    net.layers[4].bias[..., 5] = 3
    weights.save(net, "c.weights")
    for number, name in enumerate(("thing5/a", "thing5/b", "thing5/c", "thing2/d")):
        picture(Path(f"folder/val/{name}.png"), number)


def test_top_1_and_top_k(classifier, capsys):
    words = ["c.cfg", "c.weights", "--names", "my.names", "--data", "folder", "--json", "x.json"]
    assert cli.run(evaluate.main, words) == 0
    out, found = capsys.readouterr().out, json.loads(Path("x.json").read_text())
    assert (found["top1"], found["topk"], found["k"], found["images"]) == (.75, 1, 5, 4)    # of equals the first: 0 1 2 3
    assert found["resize"] == "crop" and "top-1 0.7500  top-5 1.0000" in out and "thing5 (1)" in out
    assert cli.run(evaluate.main, [*words, "--top", "2", "--resize", "letterbox"]) == 0
    found = json.loads(Path("x.json").read_text())
    assert (found["topk"], found["k"], found["resize"]) == (.75, 2, "letterbox")


def test_boxes_are_not_for_classifiers(classifier, capsys):
    words = ["c.cfg", "c.weights", "--names", "my.names", "--data"]
    assert cli.run(evaluate.main, [*words, "data"]) == 3
    assert "minidarknet crops" in capsys.readouterr().err
    assert cli.run(evaluate.main, [*words, "folder", "--comp4", "x"]) == 2
    assert "--comp4 is for detectors" in capsys.readouterr().err
    assert cli.run(evaluate.main, ["my.cfg", "my.weights", "--data", "folder"]) == 3
    assert "needs boxes" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED.exists(), reason="needs VOC pictures and trained weights from ../shared")
@pytest.mark.parametrize("name, expected", [("yolo-lite-voc-trial3", .349), ("yolo-lite-voc-trial3-noBatch", .323)])
def test_trained_weights_score_as_with_darknet(tmp_path, capsys, name, expected):
    stem = SHARED / "weights" / name / name
    file = tmp_path / "x.json"
    assert cli.run(evaluate.main, [f"{stem}.cfg", f"{stem}.weights", "--data", str(SHARED / "VOCdevkit/VOC2007"),
                                   "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["map_voc07"] == pytest.approx(expected, abs=.005)
    assert (found["images"], found["resize"]) == (200, "letterbox")
