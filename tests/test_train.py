"""The training command from outside: what it writes, how it ends, and that nothing is lost."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small import TINY, rows, run, train

from minidarknet import weights
from minidarknet.network import Network


@pytest.fixture(scope="module")
def finished(tmp_path_factory, drawn, tiny_cfg):
    """A run of six updates."""
    out = tmp_path_factory.mktemp("runs") / "six"
    done = train(tiny_cfg, drawn, out, "--max-batches", 6)
    assert done.returncode == 0, done.stderr
    return out, done


def test_a_run_leaves_what_it_promises(finished):
    out, done = finished
    assert "mAP" in done.stdout and "Traceback" not in done.stderr
    for name in ("model.cfg", "model.names", "args.json", "metrics.csv", "chart.png", "checkpoint.npz",
                 "weights/last.weights", "weights/best.weights", "images/train_batch0.jpg"):
        assert (out / name).stat().st_size > 0, name
    assert list(out.glob("images/probe_*.jpg"))
    assert [p.name for p in out.glob("*.cfg")] == ["model.cfg"]
    assert not [p for p in out.rglob("*.part")]


def test_metrics_have_their_columns_and_end_with_a_score(finished):
    found = rows(finished[0])
    assert [row["step"] for row in found] == list("123456")
    assert [row["images"] for row in found] == [str(8 * n) for n in range(1, 7)]
    assert found[-1]["map_voc07"] != "" and all(row["loss"] and row["learning_rate"] for row in found)
    assert {"step", "images", "loss", "darknet_cost", "learning_rate", "images_per_s", "map_voc07"} <= set(found[0])


def test_the_plan_is_told_before_the_work(finished):
    text = finished[1].stderr
    for words in ("24 pictures to train, 8 to validate", "64 x 64 pixels", "in 2 mini-batches", "metrics.csv"):
        assert words in text
    recorded = json.loads((finished[0] / "args.json").read_text())
    assert recorded["resize"] == "letterbox" and recorded["arguments"]["seed"] == 0


def test_saved_weights_predict_like_the_checkpoint(finished):
    """last.weights holds the corrected rolling statistics: any Darknet program can use it."""
    out, _ = finished
    net = Network.from_cfg(out / "model.cfg", weights=out / "weights/last.weights")
    saved = np.load(out / "checkpoint.npz")
    np.testing.assert_array_equal(net.layers[0].norm.rolling_mean, saved["layer0.rolling_mean"])
    assert net.seen == 48 and len(net.names) == 12


def test_a_second_run_there_is_refused(finished, drawn, tiny_cfg):
    done = train(tiny_cfg, drawn, finished[0], "--max-batches", 6)
    assert done.returncode == 2 and "--resume" in done.stderr and "Traceback" not in done.stderr


def test_a_stopped_and_resumed_run_equals_one_that_was_not(finished, tmp_path, drawn, tiny_cfg):
    """Bit for bit: weights, rolling statistics, momentum, metrics; with another number of workers and threads."""
    out = tmp_path / "two-parts"
    assert train(tiny_cfg, drawn, out, "--max-batches", 2).returncode == 0
    with open(out / "metrics.csv", "a") as file:
        file.write("3,24,0.1,0.1\n4,3")  # a crash behind the checkpoint
    done = train(tiny_cfg, drawn, out, "--max-batches", 6, "--resume", "--workers", 1, "--threads", 1)
    assert done.returncode == 0, done.stderr
    whole, parts = (np.load(folder / "checkpoint.npz") for folder in (finished[0], out))
    assert set(whole.files) == set(parts.files)
    for name in whole.files:
        if name not in ("best", "validation_seconds"):
            np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)
    for a, b in zip(rows(finished[0]), rows(out), strict=True):
        assert (a["step"], a["loss"], a["learning_rate"]) == (b["step"], b["loss"], b["learning_rate"])
    assert (finished[0] / "weights/last.weights").read_bytes() == (out / "weights/last.weights").read_bytes()


def test_a_run_at_its_limit_validates_and_says_so(finished, drawn, tiny_cfg):
    before = (finished[0] / "weights/last.weights").read_bytes()
    done = train(tiny_cfg, drawn, finished[0], "--max-batches", 6, "--resume")
    assert done.returncode == 0 and "already at its limit" in done.stderr
    assert rows(finished[0])[-1]["map_voc07"] != ""
    assert (finished[0] / "weights/last.weights").read_bytes() == before


def test_resume_wants_the_same_command(finished, drawn, tiny_cfg):
    done = train(tiny_cfg, drawn, finished[0], "--max-batches", 6, "--resume", "--seed", 1)
    assert done.returncode == 2 and "--seed was 0, now 1" in done.stderr


def start(cfg, data, out, *more):
    command = [sys.executable, "-m", "minidarknet.train", str(cfg), "--data", str(data), "--out", str(out), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "metrics.csv").exists() and len((out / "metrics.csv").read_text().splitlines()) > 3:
            return process
        time.sleep(.05)
    process.kill()
    raise AssertionError(process.communicate())


def test_ctrl_c_finishes_the_step_saves_and_exits_130(tmp_path, drawn, tiny_cfg):
    out = tmp_path / "interrupted"
    process = start(tiny_cfg, drawn, out)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "--resume" in errors and "Traceback" not in errors
    saved = np.load(out / "checkpoint.npz")
    assert int(saved["step"]) == int(rows(out)[-1]["step"]) == int(saved["seen"]) // 8


def test_kill_9_leaves_files_that_can_be_read(tmp_path, drawn, tiny_cfg):
    out = tmp_path / "killed"
    process = start(tiny_cfg, drawn, out)
    process.kill()
    process.communicate()
    np.load(out / "checkpoint.npz")
    Network.from_cfg(out / "model.cfg", weights=out / "weights/last.weights")
    step = int(np.load(out / "checkpoint.npz")["step"])
    done = train(tiny_cfg, drawn, out, "--max-batches", step + 2, "--resume")
    assert done.returncode == 0, done.stderr
    assert [int(row["step"]) for row in rows(out)] == list(range(1, step + 3))


def test_overfit_uses_few_pictures_plainly(tmp_path, drawn, tiny_cfg):
    out = tmp_path / "overfit"
    done = train(tiny_cfg, drawn, out, "--overfit", 4, "--max-batches", 3)
    assert done.returncode == 0, done.stderr
    assert "4 pictures to train, 4 to validate (the same: --overfit)" in done.stderr
    text = (out / "model.cfg").read_text()
    assert "batch=4\n" in text and "subdivisions=1\n" in text and "policy=constant" in text


def test_divergence_names_the_layer_and_exits_6(tmp_path, drawn, tiny_cfg):
    out = tmp_path / "diverged"
    done = train(tiny_cfg, drawn, out, "--set", "net.learning_rate=1e30", "net.burn_in=0", "--max-batches", 20)
    assert done.returncode == 6, done.stderr
    assert re.search(r"began in the (weights|output) of layer \d", done.stderr)
    assert "net.learning_rate" in done.stderr and "Traceback" not in done.stderr
    assert np.isfinite(np.load(out / "checkpoint.npz")["layer0.weight"]).all()


def test_spoilt_weights_never_replace_good_ones(tmp_path, drawn, tiny_cfg):
    """The loss of the only update is finite, the weights after it are not."""
    out = tmp_path / "spoilt"
    done = train(tiny_cfg, drawn, out, "--set", "net.learning_rate=1e39", "net.burn_in=0", "--max-batches", 1)
    assert done.returncode == 6, done.stderr
    assert "weights of layer" in done.stderr and "Traceback" not in done.stderr
    Network.from_cfg(out / "model.cfg", weights=out / "weights/last.weights")
    assert np.isfinite(np.load(out / "checkpoint.npz")["layer0.weight"]).all()


def test_the_head_is_rebuilt_for_the_data(tmp_path, drawn, tiny_cfg):
    out = tmp_path / "two"
    names = (drawn / "Annotations/000001.xml").read_text()
    name = names.split("<name>")[1].split("<")[0]
    done = train(tiny_cfg, drawn, out, "--classes", name, "--max-batches", 1, "--limit", 4)
    if "no picture" in done.stderr:  # the first validation pictures may lack that class
        done = train(tiny_cfg, drawn, out, "--classes", name, "--max-batches", 1)
    assert done.returncode == 0, done.stderr
    assert "the cfg has 12, the data 1" in done.stderr
    assert Network.from_cfg(out / "model.cfg").classes == 1


def test_pretrained_layers_start_a_new_count(tmp_path, drawn, tiny_cfg):
    """FILE:N loads N layers; `seen` of the file would end the training before it starts."""
    net = Network.from_cfg(tiny_cfg, seed=9)
    net.seen = 10 ** 7
    weights.save(net, tmp_path / "old.weights")
    out = tmp_path / "new"
    done = train(tiny_cfg, drawn, out, "--weights", f"{tmp_path / 'old.weights'}:3", "--max-batches", 1,
                 "--set", "net.learning_rate=0")
    assert done.returncode == 0, done.stderr
    saved = np.load(out / "checkpoint.npz")
    np.testing.assert_array_equal(saved["layer0.weight"], net.layers[0].weight)
    assert not np.array_equal(saved["layer4.weight"], net.layers[4].weight)
    assert int(saved["seen"]) == 8


@pytest.mark.parametrize("more, code, words", [
    (["--set", "net.bach=8"], 2, "batch"),
    (["--set", "convolutional[2].filters=50"], 2, "channels"),
    (["--set", "net.channels=1"], 2, "expected channels=3"),
    (["--data", "nowhere"], 3, "nowhere"),
    (["--train-split", "tarin"], 3, "tarin"),
    (["--weights", "nothing.weights"], 4, "nothing.weights"),
    (["--classes", "unicorn"], 3, "unicorn"),
    (["--minutes", "0"], 2, "minutes"),
    (["--max-batches", "0"], 2, "max-batches"),
])
def test_what_is_typed_wrong_is_said(tmp_path, drawn, tiny_cfg, more, code, words):
    done = run("train", tiny_cfg, "--data", drawn, "--out", tmp_path / "x", *more)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_changed_batch_keeps_the_mini_batch(tmp_path, drawn, tiny_cfg):
    out = tmp_path / "batch"
    done = train(tiny_cfg, drawn, out, "--set", "net.batch=9", "--max-batches", 1)
    assert done.returncode == 0 and "subdivisions=3" in done.stderr
    assert rows(out)[0]["images"] == "9"


def test_seen_is_kept_where_that_is_asked_for(tmp_path, drawn, tiny_cfg):
    net = Network.from_cfg(tiny_cfg, seed=9)
    net.seen = 8 * 100
    weights.save(net, tmp_path / "old.weights")
    out = tmp_path / "new"
    done = train(tiny_cfg, drawn, out, "--weights", tmp_path / "old.weights", "--keep-seen", "--max-batches", 101)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in rows(out)] == ["101"] and rows(out)[0]["images"] == "808"
    done = train(tiny_cfg, drawn, tmp_path / "x", "--keep-seen")
    assert done.returncode == 2 and "give them" in done.stderr


@pytest.mark.parametrize("old, new, words", [
    ("batch=8\nsubdivisions=2", "batch=900000\nsubdivisions=1", "a mini-batch of 900000 takes"),
    ("classes=12", "classes=x", "classes=x: expected a whole number")])
def test_what_cannot_be_trained_is_said_at_once(tmp_path, drawn, old, new, words):
    (tmp_path / "my.cfg").write_text(TINY.replace(old, new))
    done = train(tmp_path / "my.cfg", drawn, tmp_path / "out", "--max-batches", 1)
    assert done.returncode in (1, 2) and words in done.stderr and "--debug" not in done.stderr


def test_a_comment_behind_the_number_of_classes(tmp_path, drawn):
    (tmp_path / "my.cfg").write_text(TINY.replace("classes=12", "classes=12 # a dozen"))
    done = train(tmp_path / "my.cfg", drawn, tmp_path / "out", "--max-batches", 1)
    assert done.returncode == 0 and "rebuilt" not in done.stderr, done.stderr
