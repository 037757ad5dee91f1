"""The scripts in examples/ run as a reader would run them, in a short form, and are short."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from minidarknet.data.sample import write_sample

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(script, *arguments):
    """Run an example in a process of its own; returns what it printed."""
    done = subprocess.run([sys.executable, ROOT / "examples" / script, *map(str, arguments)], cwd=ROOT, text=True,
                          capture_output=True, timeout=400, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A few updates of train_sample.py on pictures that show all 12 classes: (data folder, run folder, printed text)."""
    folder = tmp_path_factory.mktemp("examples")
    data = write_sample(folder / "data", train=16, val=8)
    text = run("train_sample.py", "--data", data, "--steps", 2, "--batch", 2, "--out", folder / "run")
    return data, folder / "run", text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_short_and_say_how_to_call_them(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 60
    assert f"python examples/{path.name}" in text.split('"""')[1]


def test_train_sample(trained):
    _, folder, text = trained
    assert "step     2  loss" in text
    assert (folder / "nano.weights").stat().st_size > 100_000
    for name in ("batch.jpg", "found.jpg"):
        with Image.open(folder / name) as image:
            image.load()


def test_detect_folder_with_the_weights_of_train_sample(trained):
    data, folder, _ = trained
    pictures, out = data / "JPEGImages", folder / "found"
    (pictures / "000000.jpg").write_bytes(b"no picture")
    text = run("detect_folder.py", "cfg/yolov2-nano.cfg", folder / "nano.weights", pictures,
               "--thresh", 0.0005, "--limit", 3, "--out", out)
    assert "2 of 3 pictures done" in text and "000000.jpg" in text
    found = json.loads((out / "found.json").read_text())
    assert sorted(found) == ["000001.jpg", "000002.jpg"]
    for name in found:
        with Image.open(out / f"{name}.png") as drawn, Image.open(pictures / name) as picture:
            assert drawn.size == picture.size


def test_yolo9000_in_miniature(trained, tmp_path):
    """Three arms, scored and drawn; a second call does nothing again but one more seed."""
    data, *_ = trained
    words = ("yolo9000_in_miniature.py", "--data", data, "--updates", 2, "--set", "net.batch=4", "--out", tmp_path / "out")
    text = run(*words, "--seeds", 1)
    for arm in ("boxes", "by chance", "all at once", "joint", "all boxes"):
        assert re.search(rf"^{arm} +0\.\d\d\d \+- 0\.000", text, re.MULTILINE), text
    with Image.open(tmp_path / "out/chart.png") as chart:
        chart.load()
    done = (tmp_path / "out/joint-0/weights/last.weights").stat().st_mtime_ns
    run(*words, "--seeds", 2)
    assert (tmp_path / "out/joint-0/weights/last.weights").stat().st_mtime_ns == done
    rows = (tmp_path / "out/scores.csv").read_text().splitlines()
    assert rows[0] == "arm,seed,class,unseen,ap07,ap10" and len(rows) == 1 + 2 * 5 * 12
    assert sum(",True," in row for row in rows) == 2 * 5 * 3
