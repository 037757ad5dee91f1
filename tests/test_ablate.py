"""`minidarknet ablate`, from outside: two rungs, a few pictures, and going on where it was interrupted."""
import csv
import json
import os
import signal
import subprocess
import sys
import time

import make_data as make
import pytest
from PIL import Image
from small import run

from minidarknet import ablate, ladder
from minidarknet.jobs import DONE, Jobs
from minidarknet.viz_ladder import ladder_chart

RUNGS = "batch-norm,multi-scale,high-resolution-detector"


@pytest.fixture(scope="module")
def climbed(tmp_path_factory, drawn):
    """(what was printed, the folder, the command's words) of the smallest ladder."""
    out = tmp_path_factory.mktemp("ablate") / "out"
    words = ["ablate", "--data", drawn, "--rungs", RUNGS, "--seeds", 2, "--images", 16, "--pretraining", 2, "--out", out]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    return done, out, words


def rows(out):
    return list(csv.DictReader(open(out / "results.csv", encoding="utf-8")))


def test_a_small_ladder(climbed):
    done, out, _ = climbed
    assert "3 rungs of 16 pictures, 2 seeds: 10 trainings" in done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["rung", "batch norm", "multi-scale",
                                                                          "hi-res detector"]
    found = rows(out)
    assert [(row["rung"], row["seed"]) for row in found] == [(name, seed) for seed in "01" for name in RUNGS.split(",")]
    assert all(row["pictures"] == "16" and 0 <= float(row["map_voc07"]) <= 1 for row in found)
    with Image.open(out / "ladder.png") as image:
        image.load()
    for step in ("batch-norm", "multi-scale", "classifier-batch-norm", "classifier-new-network-224"):
        assert (out / "seed-1" / step / "weights" / "last.weights").exists()


def test_what_is_recorded_is_what_was_trained(climbed):
    _, out, _ = climbed
    arguments = json.loads((out / "seed-1/multi-scale/args.json").read_text())["arguments"]
    assert arguments["seed"] == 1 and arguments["weights"].endswith("classifier-new-network-224/weights/last.weights:15")
    text = (out / "seed-1/multi-scale/model.cfg").read_text()
    assert f"anchors={json.loads((out / 'plan.json').read_text())['anchors']}" in text.replace(", ", ",")
    scored = [json.loads((out / f"seed-1/multi-scale/{name}.json").read_text()) for name in
              ("multi-scale", "high-resolution-detector")]
    assert [result["size"] for result in scored] == [[208, 208], [272, 272]]


def test_the_same_command_goes_on(climbed):
    done, out, words = climbed
    (out / "seed-0/multi-scale" / DONE).unlink()
    (out / "seed-0/multi-scale/multi-scale.json").unlink()
    before = rows(out)
    again = run(*words)
    assert again.returncode == 0 and again.stdout == done.stdout
    assert "already at its limit" in (out / "seed-0/multi-scale.log").read_text()
    assert [row["map_voc07"] for row in rows(out)] == [row["map_voc07"] for row in before]


def test_weights_trained_anew_are_scored_anew(climbed):
    """A score older than its weights belongs to others."""
    done, out, words = climbed
    kept = out / "seed-0/batch-norm/batch-norm.json"
    kept.write_text('{"map_voc07": 1, "map_voc10": 1, "per_class": {}}')
    os.utime(kept, (0, 0))
    again = run(*words)
    assert again.returncode == 0 and again.stdout == done.stdout and '"truths"' in kept.read_text()


def test_nothing_to_score_is_refused_before_the_work(tmp_path):
    boxed, empty = {"a": [make.thing("cat", 1, 1, 30, 20)]}, {"b": []}
    data = make.voc(tmp_path / "VOC", {**boxed, **empty}, {"train": ["a"], "val": ["b"]})
    done = run("ablate", "--data", data, "--out", tmp_path / "out")
    assert done.returncode == 3 and "val: no object in 1 pictures" in done.stderr and not (tmp_path / "out").exists()


def test_another_ladder_is_refused(climbed):
    _, _, words = climbed
    done = run(*words, "--images", 24)
    assert done.returncode == 2 and "--images was 16, now 24" in done.stderr and "another --out" in done.stderr


def test_a_step_that_fails_is_told_and_what_needs_it_is_given_up(tmp_path):
    work = ladder.Work(images=8, batch=8, class_batch=32, pretrained=1, fine_tuned=1)
    steps = ladder.steps(ladder.chosen(["high-resolution-classifier"]), [0], work, "")
    jobs = Jobs(tmp_path, 2)
    jobs.carry_out(steps, lambda step: ["cfg/no-such.cfg"])
    assert set(jobs.failed) == {step.folder for step in steps}
    assert "exit code" in jobs.failed["seed-0/classifier-batch-norm"]
    assert "no such file" in (tmp_path / "seed-0/classifier-batch-norm.log").read_text()
    assert "begins with seed-0/classifier-batch-norm-224" in jobs.failed["seed-0/high-resolution-classifier"]


def test_a_damaged_plan_is_refused(tmp_path, drawn):
    (tmp_path / "plan.json").write_text("{")
    done = run("ablate", "--data", drawn, "--out", tmp_path)
    assert done.returncode == 2 and "plan.json is damaged" in done.stderr and "another --out" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_ladder_saves_its_trainings_and_goes_on(tmp_path, drawn, number):
    words = [sys.executable, "-m", "minidarknet", "ablate", "--data", str(drawn), "--rungs", "yolo", "--seeds", "1",
             "--images", "16", "--pretraining", "2000", "--out", str(tmp_path / "out")]
    metrics = tmp_path / "out/seed-0/classifier-yolo/metrics.csv"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)   # tests that run in the background ignore it
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as ladder_of_one:
        signal.signal(signal.SIGINT, before)
        for _ in range(600):
            if metrics.exists() and metrics.read_text().count("\n") > 3:
                break
            time.sleep(.1)
        ladder_of_one.send_signal(number)
        told = ladder_of_one.communicate(timeout=60)[1]
    assert ladder_of_one.returncode == 130 and "interrupted" in told and "Traceback" not in told
    assert "interrupted and saved after update" in metrics.parent.with_suffix(".log").read_text()


@pytest.mark.parametrize("words, why", [(["--rungs", "yolo,foo"], "'foo' is no rung"),
                                        (["--minutes-per-run", "0"], "expected more than 0"),
                                        (["--minutes-per-run", "1", "--images", "8"], "not allowed with")])
def test_refusals(words, why):
    done = run("ablate", *words)
    assert done.returncode == 2 and why in done.stderr and "Traceback" not in done.stderr


def some_rows():
    rungs = ladder.chosen(["yolo", "dimension-priors", "location-prediction"])
    maps = {"yolo": (.1, .3), "dimension-priors": (.4, .4), "location-prediction": (.5, .7)}
    return rungs, [{"rung": name, "seed": seed, "map_voc07": values[seed], "recall": .5} for name, values in maps.items()
                   for seed in (0, 1)]


def test_table_by_hand():
    rungs, found = some_rows()
    lines = [line.split() for line in ablate.table(found, rungs).splitlines()]
    assert lines[1] == ["YOLO", "2", "20.0", "14.1", "50.0", "0.0", "63.4"]
    assert lines[2] == ["dimension", "priors", "2", "40.0", "0.0", "+20.0", "50.0", "0.0", "-"]
    assert lines[3] == ["location", "prediction", "2", "60.0", "14.1", "+20.0", "50.0", "0.0", "74.4", "+11.0"]
    alone = ablate.table([row for row in found if row["seed"] == 0], rungs)
    assert alone.splitlines()[1].split() == ["YOLO", "1", "10.0", "-", "50.0", "-", "63.4"]
    failed = ablate.table([row for row in found if row["rung"] != "dimension-priors"], rungs).splitlines()
    assert failed[2].split() == ["dimension", "priors", "0", "-", "-", "-", "-", "-"]
    assert failed[3].split()[4:6] == ["14.1", "+40.0"]


def test_chart_shows_the_numbers():
    rungs, found = some_rows()
    figure = ladder_chart(ablate.summary(found, rungs), "drawn")
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx([20, 40, 60])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([63.4, 74.4])
    assert [label.get_text() for label in left.get_yticklabels()] == [rung.title for rung in rungs]


def test_recall_counts_objects():
    counts = {"a": (3, 1), "b": (1, 1), "c": (0, 0)}
    assert ablate.recall({"per_class": {n: {"truths": t, "true_positives": p} for n, (t, p) in counts.items()}}) == .5
    assert ablate.recall({"per_class": {}}) == 0
