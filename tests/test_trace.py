"""The trace command: where the annotation comes from, what is printed and written, and what it refuses."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from make_data import thing, voc, yolo
from PIL import Image

from minidarknet import Network, cli, trace, weights
from minidarknet.data import annotations, pictures
from minidarknet.data.augment import Augmentation, augment

NAMES = [f"thing{n}" for n in range(12)]
THINGS = [thing("thing9", 1, 1, 60, 60, difficult=1), thing("thing5", 3, 5, 30, 40), thing("thing7", 20, 22, 55, 50)]


@pytest.fixture
def place(tmp_path, monkeypatch, tiny_cfg):
    """A folder with my.cfg, my.names, untrained my.weights, and VOC data: one picture, first object difficult."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_cfg, "my.cfg")
    Path("my.names").write_text("\n".join(NAMES))
    net = Network.from_cfg("my.cfg", seed=5)
    net.seen = 30_000
    weights.save(net, "my.weights")
    voc(Path("data"), {"a": THINGS, "b": [thing("thing1", 1, 1, 20, 20)]}, {"train": ["b"], "val": ["a"]}, size=(64, 48))
    return tmp_path


def run(capsys, *arguments):
    capsys.readouterr()
    code = cli.run(trace.main, ["my.cfg", "my.weights", *map(str, arguments)])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


A = "data/JPEGImages/a.png"


def test_the_numbers_are_those_of_a_training_step(place, capsys):
    """A step made here, by hand, on the same picture."""
    code, out, err = run(capsys, A, "--box", 2, "--json")
    told = json.loads(out)
    assert code == 0 and "done: runs/trace/a" in err
    net = Network.from_cfg("my.cfg", weights="my.weights")
    example = annotations.load("data", "val")[0]
    easy = ~example.difficult
    x, truth = augment(pictures.read(A), example.boxes[easy], example.classes[easy], (64, 64),
                       Augmentation(mode="none"), None)
    truth[:, 4] = 5, 7          # the data set's own numbers are 0 and 1 and so on
    net.forward(x[None], truth[None], train=True)
    net.backward()
    oy, ox, a = told["cell"]
    gradient = net.layers[-2].grad[0, oy, ox, a * 17:a * 17 + 17]
    np.testing.assert_allclose([ask["gradient"] for ask in told["asks"]], gradient, rtol=0, atol=1e-6)
    assert np.abs(gradient).max() > .01 and sum(told["shares"].values()) == pytest.approx(net.loss, rel=1e-5)
    assert told["class"] == "thing7" and not told["warm_up"] and told["seen"] == 30_001
    assert json.loads(Path("runs/trace/a/trace.json").read_text()) == told
    with Image.open("runs/trace/a/trace.png") as picture:
        assert picture.width > 1000 and np.asarray(picture.convert("L")).std() > 1


def test_the_table(place, capsys):
    code, out, _ = run(capsys, A, "--box", 1)
    assert code == 0 and f"{A}: object 1 of 3, thing5\n" in out and "layer 5 [region], 4 x 4 cells" in out
    assert out.count("<- responsible") == 1 and "class thing5 " in out and "pushed down" in out
    total = float(out.split("loss of the picture ")[1].split()[0])
    parts = out.split("loss of the picture ")[1].split("\n")[1:7]
    assert sum(float(line.split()[0]) for line in parts) == pytest.approx(total, abs=6e-4)


def test_every_way_to_give_the_annotation_says_the_same(place, capsys):
    lines = "5 {} {} {} {}\n7 {} {} {} {}\n".format(*annotations.load("data", "val")[0].boxes[1:].ravel())
    Path("other.txt").write_text(lines)
    beside = json.loads(run(capsys, A, "--box", 1, "--json")[1])
    xml = json.loads(run(capsys, A, "--box", 1, "--json", "--truth", "data/Annotations/a.xml")[1])
    whole = json.loads(run(capsys, A, "--box", 1, "--json", "--data", "data", "--names", "my.names")[1])
    text = json.loads(run(capsys, A, "--box", 0, "--json", "--truth", "other.txt")[1])
    assert beside == xml == whole
    assert text["asks"] == beside["asks"] and text["shares"] == beside["shares"]


def test_labels_beside_a_picture(place, capsys):
    yolo(Path("set"), {"p": "3 .5 .5 .4 .4\n"}, NAMES)
    code, out, _ = run(capsys, "set/images/p.png")
    assert code == 0 and "object 0 of 1, thing3" in out


def test_stored_statistics_are_those_of_detection(place, capsys):
    told = json.loads(run(capsys, A, "--box", 1, "--json", "--stored-statistics")[1])
    net = Network.from_cfg("my.cfg", weights="my.weights")
    x, _ = pictures.letterbox(pictures.read(A), (64, 64))
    oy, ox, a = told["cell"]
    np.testing.assert_allclose([ask["out"] for ask in told["asks"]], net.predict(x[None])[0, oy, ox, a * 17:a * 17 + 17],
                               atol=1e-5)
    assert told != json.loads(run(capsys, A, "--box", 1, "--json")[1])


@pytest.mark.parametrize("arguments, code, told", [
    ([A, "--box", "0"], 2, "trained on are 1 thing5, 2 thing7"),        # difficult
    ([A, "--box", "3"], 2, "the picture has 3 objects"),
    ([A, "--box", "-1"], 2, "whole number"),
    (["data/JPEGImages/none.png"], 3, "there is no such file"),
    ([A, "--truth", "none.xml"], 3, "no annotation, looked for none.xml: give --truth FILE or --data DATA"),
    (["lonely.png"], 3, "no annotation, looked for lonely.txt"),
    (["lonely.png", "--data", "data"], 3, "is in none of the splits of data"),
    (["lonely.png", "--truth", "empty.txt"], 3, "no object on it that would be trained on (0 annotated)"),
    (["lonely.png", "--truth", "broken.xml"], 3, "cannot be used as the annotation"),
    ([A, "--data", "data", "--truth", "x.txt"], 2, "not allowed with"),
])
def test_wrong_input(place, capsys, arguments, code, told):
    shutil.copy(A, "lonely.png")
    Path("empty.txt").write_text("")
    Path("broken.xml").write_text("<annotation><object>")
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "") and told in err and not Path("runs").exists()


def test_a_classifier_is_refused(place, capsys):
    text = "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=3\nsize=1\n[avgpool]\n[softmax]\n"
    Path("c.cfg").write_text(text)
    weights.save(Network.from_cfg("c.cfg"), "c.weights")
    assert cli.run(trace.main, ["c.cfg", "c.weights", A]) == 2
    assert "trace explains heads that find boxes" in capsys.readouterr().err
