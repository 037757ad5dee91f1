"""The bench command: what it measures adds up, leaves the network alone, and is printed as a table or as JSON."""
import json
import re

import numpy as np
import pytest
from small import TINY

from minidarknet import bench, cli, machine, parser
from minidarknet.network import Network

CLASSIFIER = """[net]
batch=2
width=12
height=12
channels=3
max_batches=1000
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=5
size=1
activation=linear
[avgpool]
[softmax]
[cost]
"""


def run(capsys, *argv):
    code = cli.run(bench.main, [str(a) for a in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_tables(capsys, tiny_cfg):
    code, out, err = run(capsys, tiny_cfg, "--seconds", .01)
    assert code == 0 and "measuring inference" in err and "measuring training" in err
    assert out.count("convolutional 3x3") == 4 and out.count("region") == 2
    assert "inference, 1 picture at once" in out and "training, 4 pictures at once" in out
    assert re.search(r"update of the weights \(SGD\) +[\d.]+ +\d+%\n", out)
    assert len(re.findall(r"all +[\d.]+ +100% .* pictures/s\n", out)) == 2
    assert "the cfg's schedule: 500 updates of 8 pictures of many sizes, " in out
    assert "numbers at once); peak " in out and "nan" not in out
    for table in out.split("\n\n")[1:3]:
        lines = table.split("\n")
        ends = {line.index("%") for line in lines if "%" in line}
        assert len(ends) == 1, "the columns are aligned"


def test_json_adds_up(capsys, tiny_cfg):
    code, out, _ = run(capsys, tiny_cfg, "--seconds", .01, "--batch", 3, "--size", "128x64", "--threads", 1, "--json")
    data = json.loads(out)
    assert code == 0 and data["input"] == [64, 128, 3] and data["machine"]["threads"] == 1
    # multiplications and additions: 64*128 pixels of 3x3x3 to 8, a sixteenth of 3x3x8 to 16, again of 16 to 51
    forward = 3 * 2 * (64 * 128 * 27 * 8 + 16 * 32 * 72 * 16 + 4 * 8 * 16 * 51) / 1e9
    first = 3 * 2 * 64 * 128 * 27 * 8 / 1e9
    inference, training = data["inference"], data["training"]
    assert inference["gflop"] == pytest.approx(forward)
    assert training["gflop"] == pytest.approx(3 * forward - first), "nobody needs the gradient of the picture"
    for part, batch in ((inference, 3), (training, 3)):
        assert part["batch"] == batch
        assert part["images_per_s"] == pytest.approx(batch / part["ms"] * 1e3)
        assert part["gflops"] == pytest.approx(part["gflop"] / part["ms"] * 1e3)
        assert [i for step in part["steps"] for i in step["layers"]] == list(range(6))
        assert all(step["forward_ms"] > 0 for step in part["steps"])
    assert training["ms"] == pytest.approx(training["forward_ms"] + training["backward_ms"] + training["sgd_ms"])
    schedule = training["schedule"]
    each = 8 * (training["forward_ms"] + training["backward_ms"]) / 3e3 * 1.25 + training["sgd_ms"] / 1e3
    assert schedule["update_s"] == pytest.approx(each) and schedule["total_s"] == pytest.approx(500 * each)


def test_a_classifier(capsys, tmp_path):
    (tmp_path / "c.cfg").write_text(CLASSIFIER)
    code, out, _ = run(capsys, tmp_path / "c.cfg", "--seconds", .01)
    assert code == 0 and out.count("softmax") == 2 and out.count("cost") == 2
    assert "the cfg's schedule: 1,000 updates of 2 pictures, " in out and "sample set" not in out


def test_a_network_without_a_loss(capsys, tmp_path):
    (tmp_path / "c.cfg").write_text(CLASSIFIER[:CLASSIFIER.index("[avgpool]")])
    code, out, _ = run(capsys, tmp_path / "c.cfg", "--seconds", .01, "--train")
    assert code == 0 and "inference" not in out and "training, 2 pictures" in out


def test_long_schedules_are_cut_for_the_sample_set():
    net = Network(parser.override(parser.parse(TINY), {"net.max_batches": 1000000}))
    told = bench.whole_schedule(net, .01, .001)
    assert told["short"]["net.max_batches"] == 10 * 60 * .8 / (4 * .01) / 2
    assert told["words"].endswith("cuts it to 6,000 updates of 8 pictures of 64 x 64, at most 10 min")
    net = Network(parser.override(parser.parse(TINY), {"net.max_batches": 0}))
    assert "endless updates" in bench.whole_schedule(net, .01, .001)["words"]


def test_the_network_is_left_as_it_was():
    net = Network.from_string(CLASSIFIER + "\n")
    x = bench.noise(net, 2)
    before = net.predict(x)
    with bench.Stopwatch(bench.steps(net)) as watch:
        during = net.predict(x)
    assert all(len(times) == 1 for times in watch.ms["forward"]) and not any(watch.ms["backward"])
    assert np.array_equal(before, during) and np.array_equal(before, net.predict(x))
    assert all(len(times) == 1 for times in watch.ms["forward"]), "it has stopped"
    assert not any("forward" in vars(step) for step in bench.steps(net))


def test_nothing_diverges(capsys, tmp_path):
    """Even with an absurd learning rate the numbers stay what they were: what is measured is ordinary arithmetic."""
    (tmp_path / "c.cfg").write_text(CLASSIFIER)
    code, out, _ = run(capsys, tmp_path / "c.cfg", "--seconds", .01, "--set", "net.learning_rate=1e30", "--train", "--json")
    assert code == 0 and json.loads(out)["training"]["ms"] > 0


def test_the_machine():
    facts = machine.machine(cli.use_threads(1))
    assert facts["processor"] and facts["cores"] >= 1 and facts["lanes"] in (4, 8, 16)
    assert 1 < facts["peak_gflops"] < 10000
    assert machine.limit(1e9) == 1e9
    assert machine.width({**facts, "lanes": None}) == "without the JIT"
    cli.use_threads()


@pytest.mark.parametrize("argv, told", [
    (["none.cfg"], "no such file"), (["cfg/tiny.cfg", "--seconds", "0"], "expected more than 0"),
    (["cfg/tiny.cfg", "--seconds", "nan"], "expected more than 0"), (["cfg/tiny.cfg", "--batch", "0"], "at least 1"),
    (["cfg/tiny.cfg", "--train", "--inference"], "not allowed with"), (["cfg/yolov2.cfg", "--size", "48"], "stride")])
def test_wrong_input(capsys, argv, told):
    code, out, err = run(capsys, *argv)
    assert code == 2 and out == "" and told in err and "Traceback" not in err
