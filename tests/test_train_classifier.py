"""Training a classifier, from outside."""
import json
import re

import pytest
from small import CLASSIFIER, rows, run, train

from minidarknet.network import Network


@pytest.fixture(scope="module")
def crops(tmp_path_factory, drawn):
    """The objects of the drawn pictures, a folder of classes."""
    folder = tmp_path_factory.mktemp("crops") / "crops"
    assert run("crops", "--data", drawn, "--out", folder).returncode == 0
    return folder


def test_a_classifier_is_trained_scored_and_resumed(tmp_path, crops):
    cfg, out = tmp_path / "c.cfg", tmp_path / "run"
    cfg.write_text(CLASSIFIER + "[cost]\n")
    done = train(cfg, crops, out, "--max-batches", 2)
    assert done.returncode == 0, done.stderr
    assert re.search(r"top-1 [01]\.\d{4}, top-5 [01]\.\d{4} on \d+ pictures after 2 updates", done.stdout)
    assert json.loads((out / "args.json").read_text())["resize"] == "crop"
    found = rows(out)
    assert set(found[0]) == {"step", "images", "loss", "darknet_cost", "learning_rate", "images_per_s", "top1", "topk",
                             "train_top1"}
    assert found[-1]["top1"] and found[-1]["topk"] and all(row["train_top1"] for row in found)
    for name in ("chart.png", "weights/best.weights", "images/train_batch0.jpg"):
        assert (out / name).stat().st_size > 0
    done = train(cfg, crops, out, "--max-batches", 4, "--resume")
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole"
    assert train(cfg, crops, whole, "--max-batches", 4).returncode == 0
    assert (out / "weights/last.weights").read_bytes() == (whole / "weights/last.weights").read_bytes()
    one, two = ([(row["step"], row["loss"]) for row in rows(folder)] for folder in (out, whole))
    assert one == two and len(one) == 4
    done = run("evaluate", out / "model.cfg", out / "weights/last.weights", "--data", crops)
    assert done.returncode == 0 and "crop to 64 x 64" in done.stdout and "top-5" in done.stdout


def test_a_classifier_learns(tmp_path, crops):
    """A dozen shapes, by heart: the loss falls far below that of guessing, and nearly every picture is named right."""
    cfg, out = tmp_path / "c.cfg", tmp_path / "run"
    cfg.write_text(CLASSIFIER)
    done = train(cfg, crops, out, "--overfit", 12, "--max-batches", 150, "--set", "net.learning_rate=.02")
    assert done.returncode == 0, done.stderr
    found = rows(out)
    assert float(found[0]["loss"]) > 2 and float(found[-1]["loss"]) < .5 and float(found[-1]["top1"]) > .9


def test_classifiers_of_other_shapes_and_sizes(tmp_path, crops):
    """A connected layer with the squared error, no softmax; and sizes that change (random=1 in [net])."""
    cfg = tmp_path / "c.cfg"
    cfg.write_text(CLASSIFIER.split("[avgpool]")[0] + "[connected]\noutput=1000\nactivation=logistic\n\n[cost]\ntype=sse\n")
    done = train(cfg, crops, tmp_path / "one", "--max-batches", 1)
    assert done.returncode == 0 and "the cfg has 1000, the data 12" in done.stderr, done.stderr
    cfg.write_text(CLASSIFIER)
    done = train(cfg, crops, tmp_path / "two", "--max-batches", 81, "--set", "net.random=1", "net.batch=2")
    assert done.returncode == 0 and "and other sizes (multi-scale)" in done.stderr, done.stderr


def test_darknets_lists_and_a_head_for_their_classes(tmp_path, crops):
    """crops.data names the same pictures; three classes of them change the head."""
    cfg, out = tmp_path / "c.cfg", tmp_path / "run"
    cfg.write_text(CLASSIFIER)
    done = train(cfg, crops / "crops.data", out, "--max-batches", 1, "--classes", "circle,heart,star")
    assert done.returncode == 0, done.stderr
    assert "the cfg has 12, the data 3" in done.stderr
    net = Network.from_cfg(out / "model.cfg")
    assert net.classes == 3 and net.names == ("circle", "heart", "star")


def test_classifiers_refuse_what_is_not_for_them(tmp_path, drawn, crops):
    cfg = tmp_path / "c.cfg"
    cfg.write_text(CLASSIFIER)
    done = train(cfg, drawn, tmp_path / "x")
    assert done.returncode == 3 and f"minidarknet crops --data {drawn}" in done.stderr
    done = train(cfg, crops, tmp_path / "x", "--augmentation", "place")
    assert done.returncode == 2 and "one of crop, center, none" in done.stderr
    cfg.write_text(CLASSIFIER.replace("[softmax]", ""))
    done = train(cfg, crops, tmp_path / "x")
    assert done.returncode == 2 and "[softmax] or [cost]" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_classifier_goes_on_at_twice_the_size(tmp_path, crops):
    """As Darknet-19 at 448 x 448: from the weights of the smaller size, the rate falling from a lower one."""
    cfg, small, large = tmp_path / "c.cfg", tmp_path / "small", tmp_path / "large"
    cfg.write_text(CLASSIFIER)
    assert train(cfg, crops, small, "--overfit", 12, "--max-batches", 100, "--set", "net.learning_rate=.02").returncode == 0
    schedule = "net.policy=poly net.power=4 net.learning_rate=.001 net.burn_in=0 net.max_batches=4".split()
    size = "net.width=128 net.height=128".split()
    done = train(cfg, crops, large, "--limit", 12, "--augmentation", "center", "--weights", small / "weights/last.weights",
                 "--set", *size, *schedule)
    assert done.returncode == 0, done.stderr
    found = rows(large)
    assert [float(row["learning_rate"]) for row in found] == pytest.approx(
        [.001 * (1 - b / 4) ** 4 for b in (1, 2, 3, 4)], rel=1e-4)
    assert float(found[0]["loss"]) < 2 < float(rows(small)[0]["loss"]), "it remembers: log 12 is 2.48"
    assert Network.from_cfg(large / "model.cfg").input.shape == (128, 128, 3)
