"""The detect command from outside: what it prints and writes, and that one bad picture spoils nothing."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_data import picture
from PIL import Image
from small import TINY, TREE, run, sure_weights

from minidarknet import cli, detect, weights
from minidarknet.network import Network

SHARED = Path(__file__).parents[2] / "shared" / "data"
NAMES = [f"thing{n}" for n in range(12)]


@pytest.fixture
def place(tmp_path, monkeypatch, tiny_cfg):
    """A working folder with my.cfg, my.names and my.weights, which see thing5 in every cell of 16 x 16 pixels."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_cfg, "my.cfg")
    Path("my.names").write_text("\n".join(NAMES))
    sure_weights("my.weights", "my.cfg", 5)
    return tmp_path


@pytest.fixture
def do(capsys):
    """A function: detect with my.cfg and my.weights -> (exit code, stdout, stderr)."""
    def call(*arguments):
        capsys.readouterr()
        code = cli.run(detect.main, ["my.cfg", "my.weights", *map(str, arguments)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err
    return call


def records(path="out/detections.json"):
    return json.loads(Path(path).read_text())


def test_boxes_are_where_they_should_be(place, do):
    picture(Path("in/a.png"), size=(64, 64))
    code, out, err = do("in/a.png", "--out", "out", "--json", "more/x.json")
    assert code == 0 and out.startswith("in/a.png: thing5 1.00, thing5 1.00") and len(out.splitlines()) == 1
    [record] = records()
    assert record == records("more/x.json")[0]
    assert record["image"] == "in/a.png" and (record["width"], record["height"]) == (64, 64)
    boxes = sorted(d["xyxy"] for d in record["detections"])
    np.testing.assert_allclose(boxes, sorted([x, y, x + 16, y + 16] for x in range(0, 64, 16) for y in range(0, 64, 16)),
                               atol=1e-3)
    assert {(d["class"], d["class_id"]) for d in record["detections"]} == {("thing5", 5)}
    assert all(d["confidence"] > .99 for d in record["detections"])
    lines = Path("out/labels/a.txt").read_text().splitlines()
    assert len(lines) == 16 and "5 0.125000 0.125000 0.250000 0.250000" in lines
    assert Image.open("out/a.jpg").size == (64, 64)


def test_letterbox_and_stretch_are_undone(place, do):
    """A picture twice as wide as high fills the two middle rows of cells; stretched, all four."""
    picture(Path("wide.png"), size=(128, 64))
    do("wide.png", "--out", "out")
    inside = [d["xyxy"] for d in records()[0]["detections"] if d["xyxy"][3] > d["xyxy"][1]]
    assert len(inside) == 8 == len(Path("out/labels/wide.txt").read_text().splitlines())
    assert [0, 0, 32, 32] in np.round(inside).tolist()
    do("wide.png", "--out", "out", "--resize", "stretch")
    assert [0, 0, 32, 16] in np.round([d["xyxy"] for d in records()[0]["detections"]]).tolist()


def test_size_changes_the_grid(place, do):
    picture(Path("a.png"), size=(64, 64))
    assert do("a.png", "--out", "out", "--size", "96x64", "--resize", "stretch")[0] == 0
    assert len(records()[0]["detections"]) == 24


def test_folders_globs_and_names_used_twice(place, do):
    for path in ("in/a.png", "in/b c.png", "in/ü.png", "other/a.png", "other/A.bmp"):
        picture(Path(path))
    Path("in/notes.txt").write_text("not a picture")
    code, out, _ = do("in", "other/*.png", "other/*", "--out", "ou t")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["in/a.png", "in/b c.png", "in/ü.png", "other/a.png",
                                                                 "other/A.bmp"]
    assert sorted(p.name for p in Path("ou t").glob("*.jpg")) == ["A-3.jpg", "a-2.jpg", "a.jpg", "b c.jpg", "ü.jpg"]


def test_unreadable_pictures_are_told_and_the_rest_is_done(place, do):
    picture(Path("in/b.png"))
    picture(Path("in/z.png"))
    Path("in/cut.png").write_bytes(Path("in/b.png").read_bytes()[:100])
    Path("in/empty.jpg").write_bytes(b"")
    Path("in/page.jpg").write_text("<!DOCTYPE html>")
    code, out, err = do("in", "nowhere.jpg", "none*.jpg", "--out", "out")
    assert code == 3 and len(out.splitlines()) == 2 and len(records()) == 2
    for words in ("cut.png", "empty.jpg: the file is empty", "web page", "nowhere.jpg: there is no such file",
                  "none*.jpg: no picture matches"):
        assert words in err
    Path("bare").mkdir()
    code, out, err = do("bare", "--out", "out2")
    assert code == 3 and "bare: the folder holds no picture" in err and not Path("out2").exists()


def test_pictures_of_every_kind(place, do):
    image = Image.open(picture(Path("rgb.png"), size=(64, 48)))
    image.convert("L").save("grey.jpg")
    image.convert("CMYK").save("cmyk.jpg")
    image.convert("RGBA").save("rgba.png")
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save("deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save("turned.jpg", exif=exif)
    Image.new("RGB", (1, 1)).save("dot.png")
    Image.new("RGB", (3000, 2)).save("line.png")
    code, out, err = do("*.png", "*.jpg", "--out", "out")
    assert code == 0, err
    sizes = {r["image"]: (r["width"], r["height"]) for r in records()}
    assert len(sizes) == 8 and sizes["turned.jpg"] == (48, 64) and sizes["dot.png"] == (1, 1)


def test_nothing_found_tells_the_best_score(place, do):
    picture(Path("a.png"))
    code, out, _ = do("a.png", "--out", "out", "--thresh", "1")
    assert code == 0 and "nothing above 1; the best score seen is 1.000" in out
    assert records()[0]["detections"] == [] and records()[0]["best_score"] > .99
    assert Path("out/labels/a.txt").read_text() == ""


def test_the_screen_is_not_flooded(place, do):
    picture(Path("a.png"), size=(64, 64))
    _, out, _ = do("a.png", "--out", "out", "--size", "96")
    assert out.count("thing5") == detect.SHOWN and "and 16 more" in out and len(records()[0]["detections"]) == 36


def test_without_out_every_run_gets_its_folder(place, do):
    picture(Path("a.png"))
    do("a.png")
    do("a.png")
    assert sorted(p.name for p in Path("runs/detect").iterdir()) == ["my", "my-2"]


def test_pictures_and_labels_are_never_overwritten(place, do):
    picture(Path("data/images/a.jpg"))
    before = Path("data/images/a.jpg").read_bytes()
    code, _, err = do("data/images", "--out", "data/images")
    assert code == 2 and "choose another folder" in err
    Path("data/labels").mkdir()
    Path("data/labels/a.txt").write_text("0 .5 .5 .1 .1\n")
    code, _, err = do("data/images", "--out", "data")
    assert code == 2 and "labels of data/images/a.jpg" in err
    assert Path("data/images/a.jpg").read_bytes() == before and not list(Path("data").glob("*.jpg"))


@pytest.mark.parametrize("more, code, words", [
    (["--thresh", "-1"], 2, "from 0 to 1"), (["--thresh", "nan"], 2, "from 0 to 1"), (["--thresh", "x"], 2, "--thresh"),
    (["--nms", "1.5"], 2, "--nms"), (["--size", "0"], 2, "at least 1"), (["--size", "96x"], 2, "--size"),
    (["--names", "nowhere"], 2, "nowhere"), (["--names", "two.names"], 2, "2 names"),
    (["--names", "no.names"], 2, "0 names"), (["--threads", "0"], 2, "--threads"),
    (["--out", "file"], 2, "file is a file"), (["--out", "file/x"], 2, "file is a file"), (["--json", "."], 2, "a folder"),
    (["--json", "file/x.json"], 2, "file is a file"), (["--set", "region.thres=1"], 2, "did you mean thresh"),
    (["--set", "region.classes=3"], 2, "filters"),
])
def test_what_is_typed_wrong_is_said(place, do, more, code, words):
    picture(Path("a.png"))
    Path("file").write_text("")
    Path("two.names").write_text("a\nb\n")
    Path("no.names").write_text("\n")
    got, out, err = do("a.png", "--out", "out", *more)
    assert (got, out) == (code, "") and words in err
    assert not Path("out").exists()


@pytest.mark.parametrize("make, code, words", [
    (lambda whole: whole[:-40], 4, "bytes"), (lambda whole: whole + b"1234", 4, "bytes"), (lambda whole: b"", 4, "empty"),
    (lambda whole: b"<!DOCTYPE html>", 4, "web page"), (lambda whole: b"\x80\x04K\x01.", 4, "pickle"),
    (lambda whole: whole[:-4] + np.float32(np.nan).tobytes(), 4, "not finite"), (None, 4, "no.weights"),
])
def test_weights_that_do_not_fit(place, capsys, make, code, words):
    picture(Path("a.png"))
    if make:
        Path("no.weights").write_bytes(make(Path("my.weights").read_bytes()))
    assert cli.run(detect.main, ["my.cfg", "no.weights", "a.png", "--out", "out"]) == code
    assert words in capsys.readouterr().err and not Path("out").exists()


def test_half_loaded_weights_are_refused(place, capsys):
    picture(Path("a.png"))
    assert cli.run(detect.main, ["my.cfg", "my.weights:2", "a.png"]) == 2
    assert "all are needed" in capsys.readouterr().err


def test_names_come_from_the_run_the_weights_belong_to(place, capsys):
    """Also with a cfg that lies elsewhere, beside other names."""
    Path("run/weights").mkdir(parents=True)
    shutil.copy("my.weights", "run/weights/last.weights")
    Path("run/model.names").write_text("\n".join(f"mine{n}" for n in range(12)))
    picture(Path("a.png"))
    assert cli.run(detect.main, ["my.cfg", "run/weights/last.weights", "a.png", "--out", "out"]) == 0
    assert "mine5" in capsys.readouterr().out


def test_names_that_do_not_fit_are_left_aside(place, do):
    Path("my.names").write_text("a\nb\n")
    picture(Path("a.png"))
    code, out, err = do("a.png", "--out", "out")
    assert code == 0 and ": 5 1.00" in out and "2 names" in err


def test_classifiers_name_the_top_five(place, capsys):
    Path("c.cfg").write_text(TINY.split("[region]")[0].replace("filters=51", "filters=12") + "[avgpool]\n[softmax]\n")
    net = Network.from_cfg("c.cfg")
    for stored in net.layers[-3].stored:
        stored.array[...] = 0
    net.layers[-3].bias[:] = np.arange(12)
    weights.save(net, "c.weights")
    picture(Path("a.png"))
    assert cli.run(detect.main, ["c.cfg", "c.weights", "a.png", "--names", "my.names", "--out", "out"]) == 0
    out = capsys.readouterr().out
    probability = np.exp(np.arange(12)) / np.exp(np.arange(12)).sum()
    assert f"a.png: thing11 {probability[11]:.3f}, thing10 {probability[10]:.3f}, thing9" in out
    assert [c["class_id"] for c in records()[0]["classes"]] == [11, 10, 9, 8, 7]


def test_as_a_user_runs_it(place):
    """Results on stdout, the rest on stderr; a reader that goes away is no reason for a traceback."""
    picture(Path("a.png"))
    done = run("detect", "my.cfg", "my.weights", "a.png", "--out", "out", cwd=place, env=here())
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1 and "1 picture done" in done.stderr, done.stderr
    process = subprocess.Popen([sys.executable, "-m", "minidarknet.detect", "my.cfg", "my.weights", "a.png", "--out", "out"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
                               env={**os.environ, **here()})
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(60)


def here():
    """The environment in which a checkout is found from any folder."""
    return {"PYTHONPATH": os.pathsep.join([str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.skipif(not SHARED.exists(), reason="needs pictures and weights from ../shared")
@pytest.mark.parametrize("name, expected", [
    ("yolo-lite-voc-trial3", ["bicycle", "car", "dog"]), ("tiny-darknet-imagenet", ["malamute", "Eskimo dog", "dogsled"])])
def test_the_dog_is_found(tmp_path, capsys, name, expected):
    stem = SHARED / "weights" / name / name
    assert cli.run(detect.main, [f"{stem}.cfg", f"{stem}.weights", str(SHARED / "images/dog.jpg"), "--out",
                                 str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in expected), out


def test_a_map_names_the_nodes_that_count(place, capsys):
    """Of a tree of 15 nodes, all equally probable among their siblings, two are asked for: a polygon and a ring."""
    Path("t.cfg").write_text(TREE)
    net = Network.from_cfg("t.cfg")
    for stored in net.layers[-2].stored:
        stored.array[...] = 0
    weights.save(net, "t.weights")
    picture(Path("in/a.png"), size=(64, 64))
    words = ["t.cfg", "t.weights", "in/a.png", "--out", "out", "--thresh", "0.01", "--nms", "1"]
    Path("two.map").write_text(f"{net.tree.number['polygon']}\n{net.tree.number['ring']}\n")
    assert cli.run(detect.main, [*words, "--map", "two.map"]) == 0
    found = {(d["class"], d["class_id"], round(d["confidence"], 4)) for d in records()[0]["detections"]}
    assert found == {("polygon", 0, round(.5 / 3, 4)), ("ring", 1, round(.5 / 12, 4))}
    Path("bad.map").write_text("3\n15\n")
    assert cli.run(detect.main, [*words, "--map", "bad.map"]) == 3
    assert cli.run(detect.main, ["my.cfg", "my.weights", *words[2:], "--map", "two.map"]) == 2
    told = capsys.readouterr().err
    assert "bad.map:2 '15'" in told and "--map two.map: the network is no detector with a label tree" in told
