"""words.py: what Darknet's users have always typed is understood, translated, and does the job."""
import io
import json
import shutil
from pathlib import Path

import make_data as make
import numpy as np
import pytest
from small import CLASSIFIER, TINY, sure_weights

from minidarknet import cli, parser, weights, words
from minidarknet.network import Network

COCO = ["--names", "cfg/coco.names"]
NAMES = [f"thing{n}" for n in range(12)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder as Darknet's users have it: my.data, my.cfg, my.weights (thing5 everywhere), pictures with labels."""
    monkeypatch.chdir(tmp_path)
    Path("my.cfg").write_text(TINY)
    cells = "".join(f"5 {x / 64} {y / 64} .25 .25\n" for x in range(8, 64, 16) for y in range(8, 64, 16))
    make.yolo(tmp_path, {"a_1": cells, "a_2": cells}, NAMES)
    for name in ("a_1", "a_2"):
        make.picture(tmp_path / f"images/{name}.png", 1, (64, 64))
    Path("my.data").write_text("classes = 12\r\ntrain = train.txt\r\nvalid  = train.txt \r\nnames = my.names\r\n"
                               "backup = backup/\r\nresults=results\r\n")
    Path("tree.data").write_text("valid = train.txt\nnames = my.names\nmap = my.map\n")
    Path("my.map").write_text("0\n" * 12)
    sure_weights("my.weights", "my.cfg", 5)
    return tmp_path


@pytest.fixture
def do(capsys):
    """A function: run a command line -> (exit code, stdout, stderr)."""
    def call(line):
        capsys.readouterr()
        code = cli.main(line.split())
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err
    return call


@pytest.mark.parametrize("old, new", [
    ("detector test cfg/coco.data cfg/yolov3.cfg yolov3.weights data/dog.jpg",
     "detect cfg/yolov3.cfg yolov3.weights data/dog.jpg --names cfg/coco.names --thresh 0.5 --style darknet --picture "
     "predictions.jpg"),
    ("detector test -thresh .1 coco.data -nms .3 cfg/yolov3.cfg -out dog yolov3.weights -ext_output -i 0 -dont_show",
     "detect cfg/yolov3.cfg yolov3.weights - --names cfg/coco.names --thresh .1 --nms .3 --style boxes --picture dog.jpg"),
    ("detect cfg/yolov3.cfg yolov3.weights data/dog.jpg -thresh 0",
     "detect cfg/yolov3.cfg yolov3.weights data/dog.jpg --names cfg/coco.names --thresh 0 --style darknet --picture "
     "predictions.jpg"),
    ("detect cfg/yolov2-voc.cfg yolov2.weights",
     "detect cfg/yolov2-voc.cfg yolov2.weights - --thresh 0.5 --style darknet --picture predictions.jpg"),
    ("detector train cfg/voc.data cfg/yolov2-voc.cfg", "train cfg/yolov2-voc.cfg --data cfg/voc.data --val-split train "
                                                       "--backup backup"),
    ("detector train my.data my.cfg my.weights -gpus 0,1 -map",
     "train my.cfg --data my.data --weights my.weights --keep-seen --backup backup/"),
    ("detector test my.data my.cfg my.weights dog.jpg -hier 0.4",
     "detect my.cfg my.weights dog.jpg --names my.names --thresh 0.5 --hier 0.4 --style darknet --picture predictions.jpg"),
    ("detector train my.data my.cfg my.weights -clear --max-batches 9",
     "train my.cfg --data my.data --weights my.weights --backup backup/ --max-batches 9"),
    ("detector valid my.data my.cfg my.weights -out mine_",
     "evaluate my.cfg my.weights --data my.data --split valid --comp4 results --comp4-prefix mine_"),
    ("detector valid tree.data my.cfg my.weights",
     "evaluate my.cfg my.weights --data tree.data --split valid --comp4 results --set region.map=my.map"),
    ("detector valid coco.data my.cfg my.weights",
     "evaluate my.cfg my.weights --data cfg/coco.data --split valid --coco results/coco_results.json"),
    ("detector map my.data my.cfg my.weights -iou_thresh 0.75 -points 101",
     "evaluate my.cfg my.weights --data my.data --split valid --iou 0.75 --metric coco --resize stretch"),
    ("detector map my.data my.cfg my.weights -letter_box", "evaluate my.cfg my.weights --data my.data --split valid"),
    ("detector recall my.data my.cfg my.weights",
     "evaluate my.cfg my.weights --data my.data --split valid --thresh 0.001 --nms 0.4"),
    ("detector calc_anchors my.data -num_of_clusters 9 -width 416 -height 320 -show",
     "anchors --data my.data -k 9 --size 416x320"),
    ("classifier predict my.data cfg/darknet19.cfg d.weights dog.jpg",
     "detect cfg/darknet19.cfg d.weights dog.jpg --names my.names --top 1 --style darknet"),
    ("classifier predict my.data cfg/darknet19.cfg d.weights -t 7",
     "detect cfg/darknet19.cfg d.weights - --names my.names --top 7 --style darknet"),
    ("classifier valid my.data cfg/darknet19.cfg d.weights",
     "evaluate cfg/darknet19.cfg d.weights --data my.data --split valid --top 1"),
    ("classify cfg/tiny.cfg tiny.weights dog.jpg", "detect cfg/tiny.cfg tiny.weights dog.jpg --top 5 --style darknet"),
    ("yolo test cfg/yolov1.cfg yolov1.weights dog.jpg",
     "detect cfg/yolov1.cfg yolov1.weights dog.jpg --names cfg/voc.names --thresh 0.2 --nms 0.4 --resize stretch --style "
     "darknet --picture predictions.jpg"),
    ("partial my.cfg my.weights backbone 3", "convert my.cfg my.weights:3 backbone --to weights"),
])
def test_translations(place, old, new, capsys):
    assert words.spoken(old.split())
    assert words.translate(old.split()) == new.split()
    assert f"in minidarknet's words: minidarknet {new}\n" in capsys.readouterr().err


@pytest.mark.parametrize("new", ["detect a.cfg b.weights c.jpg", "detect a.cfg b.weights c.jpg --thresh .5", "train a.cfg",
                                 "detect --help", "evaluate a.cfg b.weights", "", "trian"])
def test_our_own_words_are_left_alone(new):
    assert not words.spoken(new.split())


@pytest.mark.parametrize("old, code, told", [
    ("detector", 2, "expected one of test, train, valid, map, recall, calc_anchors"),
    ("detector tset my.data", 2, "did you mean test?"),
    ("detector test my.data my.cfg", 2, "DATA CFG WEIGHTS [IMAGE]"),
    ("detector test my.data my.cfg my.weights a b", 2, "found 5 words"),
    ("detector test my.data my.cfg my.weights a.jpg -thersh .5", 2, "did you mean -thresh?"),
    ("detector test my.data my.cfg my.weights a.jpg -thresh", 2, "-thresh needs a value"),
    ("detector test my.data my.cfg my.weights a.jpg -thresh 7", 2, "from 0 to 1"),
    ("detector test cfg/cooc.data my.cfg my.weights a.jpg", 3, "did you mean cfg/coco.data?"),
    ("detector test nowhere/coco.data my.cfg my.weights a.jpg", 3, "A .data file has lines"),
    ("detector test my.data my.cfg nothing.weights a.jpg", 4, "nothing.weights: cannot be read"),
    ("detector train cfg/coco.data my.cfg", 3, "train=coco/trainvalno5k.txt: no such file"),
    ("detector demo my.data my.cfg my.weights v.mp4", 2, "ffmpeg"),
    ("detector calc_anchors my.data -width 416", 2, "belong together"),
    ("nightmare a b", 2, "does not do Darknet's `nightmare`"),
    ("classifier predict my.data my.cfg", 2, "DATA CFG WEIGHTS [IMAGE]"),
])
def test_what_is_typed_wrong_is_said(place, do, old, code, told):
    got, out, err = do(old)
    assert (got, out) == (code, "") and told in err, err


def test_data_sets_of_another_form_of_results(place):
    Path("my.data").write_text("names=my.names\neval=imagenet\n")
    with pytest.raises(words.UsageError, match="expected voc or coco"):
        words.translate("detector valid my.data my.cfg my.weights".split())


# ---- the same job

def test_detector_test(place, do):
    code, out, err = do("detector test my.data my.cfg my.weights images/a_1.png")
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("images/a_1.png: Predicted in ") and lines[0].endswith(" seconds.")
    assert lines[1:] == ["thing5: 100%"] * 16 and Path("predictions.jpg").stat().st_size > 0
    _, out, _ = do("detect my.cfg my.weights images/a_1.png -ext_output -out other -thresh .9999")
    assert "thing5: 100%\t(left_x:   16   top_y:   32   width:   16   height:   16)" in out and Path("other.jpg").exists()
    assert do("detector test my.data my.cfg my.weights images/a_1.png -thresh 1")[1].count("\n") == 1


def test_paths_on_stdin(place, do, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("images/a_1.png\n\n nowhere.png\r\nimages/a_2.png"))
    code, out, err = do("detector test my.data my.cfg my.weights")
    assert code == 3 and out.count("Predicted in") == 2 and err.count("Enter Image Path: ") == 5
    assert "error: nowhere.png: there is no such file" in err
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert do("detect my.cfg my.weights")[:2] == (0, "")


def test_detector_valid_map_and_recall(place, do):
    code, out, err = do("detector valid my.data my.cfg my.weights")
    lines = Path("results/comp4_det_test_thing5.txt").read_text().splitlines()
    assert code == 0 and len(lines) == 32 and lines[0].startswith("a_1 1.0000")
    for line in ("detector map my.data my.cfg my.weights", "detector recall my.data my.cfg my.weights"):
        code, out, _ = do(line)
        assert code == 0 and "mAP 1.0000" in out and "32 of 32 objects found" in out
    with open("my.data", "a") as file:
        file.write("eval=coco\n")
    assert do("detector valid my.data my.cfg my.weights -out found")[0] == 0
    rows = json.loads(Path("results/found.json").read_text())
    assert len(rows) == 32 and {row["image_id"] for row in rows} == {1, 2}


def test_detector_train_fills_the_backup_folder(place, do):
    code, out, err = do("detector train my.data my.cfg -dont_show -gpus 0 --max-batches 2")
    assert code == 0 and "--backup backup/" in err and "no GPU code" in err
    assert sorted(p.name for p in Path("backup").iterdir()) == ["my.backup", "my_final.weights"]
    net = Network.from_cfg("my.cfg", weights="backup/my_final.weights")
    assert net.seen == 16
    code, _, err = do("detector train my.data my.cfg backup/my.backup --max-batches 3")
    assert code == 0 and Network.from_cfg("my.cfg", weights="backup/my_final.weights").seen == 24   # counts on
    code, _, err = do("detector train my.data my.cfg backup/my.backup -clear --max-batches 1")
    assert code == 0 and Network.from_cfg("my.cfg", weights="backup/my_final.weights").seen == 8


def test_weights_of_the_first_layers_as_darknet_takes_them(place, do):
    """darknet19_448.conv.23 has 23 layers: Darknet reads as many as there are, here FILE:N says how many."""
    net = Network.from_cfg("my.cfg", seed=4)
    weights.save(net, "whole.weights")
    Path("my.conv.3").write_bytes(Path("whole.weights").read_bytes()[:weights.describe(net.layers)[1].end])
    again = Network.from_cfg("my.cfg", weights="my.conv.3:3", seed=5)
    assert np.array_equal(again.layers[2].weight, net.layers[2].weight)
    assert not np.array_equal(again.layers[4].weight, net.layers[4].weight)
    assert "my.conv.3:3" in words.translate("detector train my.data my.cfg my.conv.3".split())
    assert "my.weights" in words.translate("detector train my.data my.cfg my.weights".split())


@pytest.fixture
def pets(place):
    """Pictures of a classifier with Darknet's lists: c.cfg, c.data."""
    Path("c.cfg").write_text(CLASSIFIER)
    parser.with_classes(parser.read("c.cfg"), 2)
    paths = [f"pets/{name}_{n}.png" for name in ("n01", "n02") for n in range(4)]
    for n, path in enumerate(paths):
        make.picture(Path(path), n % 4 + 10 * ("n02" in path))
    Path("pets.txt").write_text("\r\n".join(paths))
    Path("labels.txt").write_text("n01\nn02\n")
    Path("short.txt").write_text("cat\ndog\n")
    Path("c.data").write_text("classes=2\ntrain=pets.txt\nvalid=pets.txt\nlabels=labels.txt\nnames=short.txt\nbackup=b\n"
                              "top=2\n")


def test_classifier_train_predict_and_valid(pets, do):
    code, _, err = do("classifier train c.data c.cfg --max-batches 2")
    assert code == 0, err
    assert sorted(p.name for p in Path("b").iterdir()) == ["c.backup", "c.weights"]
    shutil.copy(next(Path("runs/train").glob("c/model.cfg")), "two.cfg")
    code, out, err = do("classifier predict c.data two.cfg b/c.weights pets/n01_0.png")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 3 and "Predicted in" in lines[0]
    assert {line.split("%: ")[1] for line in lines[1:]} == {"cat", "dog"}
    assert sum(float(line.split("%")[0]) for line in lines[1:]) == pytest.approx(100, abs=.02)
    code, out, err = do("classifier valid c.data two.cfg b/c.weights")
    assert code == 0 and "top-2 1.0000" in out and "8 pictures" in out
