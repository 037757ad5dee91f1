"""minidarknet/check.py: every problem is listed with file and line, and the exit code says whether there is one."""
import subprocess
import sys
from pathlib import Path

import make_data as make
import pytest

from minidarknet import check, cli

SHARED = Path(__file__).parents[2] / "shared"
CAT, DOG = make.thing("cat", 1, 1, 30, 20), make.thing("dog", 31, 11, 60, 40)


def run(capsys, *arguments):
    code = cli.run(check.main, [str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_sound_set(tmp_path, capsys):
    folder = make.voc(tmp_path / "x", {"a": [CAT, DOG], "b": [], "c": [DOG]}, {"train": ["a", "b"], "val": ["c"]})
    code, out, err = run(capsys, "--data", folder)
    assert code == 0 and "no problems" in out and "train: 2 pictures, 2 objects (0 difficult), 1 without" in out
    assert "val: 1 pictures, 1 objects" in out and "Traceback" not in err


def test_everything_wrong_is_listed_with_file_and_line(tmp_path, capsys):
    folder = make.voc(tmp_path / "x", {"a": [CAT, make.thing("dog", 9, 9, 9, 9)], "b": [CAT], "c": [DOG], "d": [CAT]},
                      {"train": ["a", "b", "gone"], "val": ["c", "d"]})
    sound = (folder / "JPEGImages/b.png").read_bytes()
    (folder / "JPEGImages/b.png").write_bytes(sound[:len(sound) * 3 // 4])    # a sound header
    (folder / "Annotations/d.xml").write_text("<annotation>\n<object>")
    code, out, _ = run(capsys, "--data", folder)
    assert code == 3 and "4 problems" in out
    for words in ("a.xml:4: box 9 9 9 9 has no extent", "b.png: damaged or cut off", "gone.xml: there is no such",
                  "d.xml:2: the XML cannot be read"):
        assert words in out, out


def test_yolo_guesses(tmp_path, capsys):
    file = make.yolo(tmp_path, {"a": "1 .5 .5 .1 .1\n2 .5 .5 .1 .1\n", "b": "1 .1 .1 .7 1\n"})
    code, out, _ = run(capsys, "--data", file)
    assert code == 3 and "a.txt:2: class 2" in out and "run from 1 to 2" in out and "b.txt:1:" in out
    assert "corners" in out and "no object has class 0" in out


def test_notes_on_names_and_on_pictures_in_both_splits(tmp_path, capsys):
    folder = make.voc(tmp_path / "x", {"a": [make.thing("lorry", 1, 1, 30, 20)] * 50 + [make.thing("lory", 1, 1, 9, 9)],
                                       "b": [make.thing("lorry", 1, 1, 30, 20)]}, {"train": ["a", "b"], "val": ["b"]})
    code, out, _ = run(capsys, "--data", folder)
    assert code == 0 and "'lory' has 1 objects, 'lorry' has 51: misspelt?" in out
    assert "note: 1 pictures are in train too" in out


def test_splits_subsets_and_errors(tmp_path, capsys):
    folder = make.voc(tmp_path / "x", {"a": [CAT], "b": [DOG]}, {"mini": ["a", "b"], "other": ["b"]})
    code, out, err = run(capsys, "--data", folder)
    assert code == 3 and "there are mini, other" in err
    code, out, _ = run(capsys, "--data", folder, "--split", "mini", "--classes", "dog")
    assert code == 0 and "mini: 1 pictures" in out and "cat" not in out
    code, out, _ = run(capsys, "--data", folder, "--split", "mini", "--split", "nine")
    assert code == 3 and "there is no split 'nine'" in out and "mini: 2 pictures" in out
    code, _, err = run(capsys, "--data", tmp_path / "nowhere")
    assert code == 3 and "no such data" in err
    assert run(capsys, "--date", folder)[0] == 2


def test_folders_of_classes_and_darknets_lists(tmp_path, capsys):
    for n in range(10):
        make.picture(tmp_path / f"f/{'cat' if n < 5 else 'dog'}/{n}.png", n)
    code, out, _ = run(capsys, "--data", tmp_path / "f")
    assert code == 0 and "train: 8 pictures, 2 classes, 0 problems" in out and "val: 2 pictures" in out
    (tmp_path / "f/cat/1.png").write_text("x")
    (tmp_path / "l.txt").write_text("f/cat/1.png\nf/dog/7.png\nf/emu/8.png\n")
    (tmp_path / "n.txt").write_text("cat\ndog\n")
    (tmp_path / "c.data").write_text("classes=2\ntrain=l.txt\nlables=n.txt\nnames=n.txt\n")
    code, out, _ = run(capsys, "--data", tmp_path / "c.data", "--classifier")
    assert code == 3 and "c.data:3: there is no key 'lables'; did you mean labels?" in out and "1.png: not a picture" in out
    assert "f/emu/8.png': there is no such picture" in out and "train: 1 pictures, 2 classes, 3 problems" in out


def test_coco(tmp_path, capsys):
    from test_coco import coco, row
    coco(tmp_path, [row(1, 10, 1, [1, 1, 9, 9]), row(2, 10, 4, [1, 1, 9, 9])], split="train2017", pictures="train2017")
    code, out, _ = run(capsys, "--data", tmp_path)
    assert code == 3 and "there is no category 4" in out and "train: 2 pictures, 1 objects (0 difficult)" in out


def test_as_a_command_and_without_numba(tmp_path):
    folder = make.voc(tmp_path / "x", {"a": [CAT]})
    code = "import sys, minidarknet.check as c; sys.argv[0] = 'check'; c.main(); assert 'numba' not in sys.modules"
    for start in (["-m", "minidarknet.check"], ["-c", code]):
        done = subprocess.run([sys.executable, *start, "--data", str(folder)], capture_output=True, text=True,
                              cwd=Path(__file__).parents[1], check=False)
        assert done.returncode == 0 and "no problems" in done.stdout, done.stderr


@pytest.mark.skipif(not SHARED.exists(), reason="needs the data that lies beside the project")
def test_the_two_degenerate_boxes_of_bccd(capsys):
    code, out, _ = run(capsys, "--data", SHARED / "data/bccd")
    assert code == 3 and "2 problems" in out
    assert "BloodImage_00343.xml:50:" in out and "BloodImage_00338.xml:158:" in out
