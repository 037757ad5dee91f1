"""The run folder: names, rows that survive a crash, checkpoints without pickles, atomic files."""
import json

import numpy as np
import pytest

from minidarknet import runs
from minidarknet.errors import UsageError, WeightsError
from minidarknet.files import replacing


def test_replacing_keeps_the_old_file_when_writing_fails(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError), replacing(file, "w") as out:
        out.write("half of the new")
        raise RuntimeError
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_new_folders_are_numbered_and_found_again(tmp_path):
    parent = tmp_path / "train"
    for expected in ("nano", "nano-2", "nano-3"):
        folder = runs.new_folder(None, "nano", parent)
        assert folder.path.name == expected
        folder.begin("[net]\n", ("a",), {})
    runs.new_folder(None, "nano-big", parent).begin("[net]\n", ("a",), {})
    assert runs.find_folder(None, "nano", parent).path.name == "nano-3"


def test_a_folder_with_a_run_is_refused(tmp_path):
    runs.new_folder(tmp_path / "x", "nano").begin("[net]\n", ("a",), {})
    with pytest.raises(UsageError, match="--resume"):
        runs.new_folder(tmp_path / "x", "nano")
    (tmp_path / "file").write_text("")
    for blocked in ("file", "file/deeper"):
        with pytest.raises(UsageError, match="is a file"):
            runs.new_folder(tmp_path / blocked, "nano")


def test_two_processes_never_share_a_folder(tmp_path):
    parent = tmp_path / "train"
    first = runs.claim_new(None, "nano", parent)
    second = runs.claim_new(None, "nano", parent)  # before the first has written anything
    assert (first.path.name, second.path.name) == ("nano", "nano-2")
    with pytest.raises(UsageError, match="at work there"):
        runs.claim_new(first.path, "nano")
    first.begin("[net]\n", ("a",), {})
    with pytest.raises(UsageError, match="at work there"):
        runs.find_folder(first.path, "nano").claim()
    path = first.path
    del first  # its process ends
    with pytest.raises(UsageError, match="already holds a run"):
        runs.claim_new(path, "nano")
    (path / "weights").mkdir()
    for name in (".checkpoint.npz.abc.part", "weights/.last.weights.abc.part"):
        (path / name).write_text("half")
    claimed = runs.find_folder(path, "nano").claim()
    assert not list(claimed.path.rglob("*.part")) and claimed.cfg.exists()


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(UsageError, match="no run"):
        runs.find_folder(None, "nano", tmp_path)
    with pytest.raises(UsageError, match="holds no run"):
        runs.find_folder(tmp_path, "nano")


def test_rows_survive_a_crash_in_the_middle_of_a_line(tmp_path):
    folder = runs.RunFolder(tmp_path)
    folder.columns = (*runs.COMMON, "map_voc07", "avg_iou")
    for step in (1, 2, 3):
        folder.append_row({"step": step, "images": step * 8, "loss": 1 / step, "avg_iou": None})
    with open(folder.metrics, "a") as file:
        file.write("4,32,0.2")
    assert [row["step"] for row in folder.rows()] == ["1", "2", "3"]
    folder.cut_rows(2)
    folder.append_row({"step": 3, "map_voc07": .5})
    rows = folder.rows()
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert rows[-1]["map_voc07"] == "0.5" and rows[0]["avg_iou"] == ""


def test_the_last_row_can_be_completed(tmp_path):
    folder = runs.RunFolder(tmp_path)
    folder.columns = (*runs.COMMON, "map_voc07")
    assert folder.take_row(2) == {}
    for step in (1, 2):
        folder.append_row({"step": step, "loss": 1 / step})
    assert folder.take_row(1) == {} and len(folder.rows()) == 2
    folder.append_row({**folder.take_row(2), "map_voc07": .25})
    assert [(row["step"], row["loss"], row["map_voc07"]) for row in folder.rows()] == [("1", "1", ""), ("2", "0.5", "0.25")]


def test_a_lost_checkpoint_is_said(tmp_path):
    folder = runs.RunFolder(tmp_path)
    folder.append_row({"step": 1})
    with pytest.raises(WeightsError, match="is missing"):
        folder.load_checkpoint()


def test_checkpoints_come_back_and_are_never_unpickled(tmp_path):
    folder = runs.RunFolder(tmp_path)
    assert folder.load_checkpoint() is None
    folder.save_checkpoint({"step": 3, "a": np.arange(4.0)})
    back = folder.load_checkpoint()
    assert int(back["step"]) == 3 and back["a"].tolist() == [0, 1, 2, 3]
    np.savez(folder.checkpoint, step=np.array([{"evil": 1}], object))
    with pytest.raises(WeightsError, match="not a checkpoint"):
        folder.load_checkpoint()
    folder.checkpoint.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        folder.load_checkpoint()


def test_the_resize_of_training_is_found_from_weights_and_cfg(tmp_path):
    folder = runs.RunFolder(tmp_path / "run")
    folder.begin("[net]\n", ("a", "b"), {"resize": "stretch", "arguments": {"seed": 1}})
    assert runs.recorded_resize(folder.last) == "stretch"
    assert runs.recorded_resize(None, folder.cfg) == "stretch"
    assert runs.recorded_resize(tmp_path / "elsewhere" / "a" / "x.weights") is None
    assert folder.read_args()["machine"]["cores"] >= 1
    assert folder.names.read_text() == "a\nb\n"
    folder.args.write_text("[1, broken")
    assert folder.read_args() == {} and runs.recorded_resize(folder.last) is None
    folder.args.write_text(json.dumps([1]))
    assert folder.read_args() == {}
