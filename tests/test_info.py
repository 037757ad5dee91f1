"""The info command: table, receptive fields, sums, JSON, checks of weights; and that it starts at once."""
import json
import subprocess
import sys

import pytest

from minidarknet import cli, info, parser, weights
from minidarknet.network import Network


def fields(text):
    return [row.field for row in info.rows(Network(parser.parse(text), initialise=False))]


NET = "[net]\nwidth=64\nheight=64\nchannels=4\n"
CONV3 = "[conv]\nsize=3\npad=1\nfilters=4\n"
POOL = "[maxpool]\nsize=2\nstride=2\n"


@pytest.mark.parametrize("layers, expected", [
    (CONV3, [3]), (CONV3 + CONV3, [3, 5]), (CONV3 + POOL + CONV3, [3, 4, 8]),
    ("[conv]\nsize=5\nstride=2\nfilters=4\n" + CONV3, [5, 9]),
    ("[conv]\nfilters=2\n" + CONV3, [1, 3]),
    (POOL + POOL + CONV3, [2, 4, 12]),
    (CONV3 + CONV3 + CONV3 + "[route]\nlayers=0\n[route]\nlayers=-1,1\n", [3, 5, 7, 3, 5]),
    (CONV3 + "[reorg]\nstride=2\n" + CONV3, [3, 4, 8]),
    (POOL + "[reorg]\nstride=2\nreverse=1\n" + CONV3, [2, 2, 4]),
])
def test_receptive_field(layers, expected):
    assert fields(NET + layers) == expected


def test_sums():
    net = Network.from_cfg("cfg/yolov2-tiny.cfg", initialise=False)
    totals = info.totals(net)
    assert totals["parameters"] == 11237145 and totals["weights_bytes"] == 44948600
    assert totals["trainable"] == 11237145 - 2 * (16 + 32 + 64 + 128 + 256 + 512 + 1024 + 512)
    assert totals["gflop"] == pytest.approx(5.41, abs=.005) and totals["mini_batch"] == 8
    outputs = sum(row.output[0] * row.output[1] * row.output[2] for row in info.rows(net))
    assert totals["activation_bytes"] == 8 * 4 * outputs
    assert 2 < totals["training_bytes"] / totals["activation_bytes"] < 4


def run(capsys, *argv):
    code = cli.run(info.main, [str(a) for a in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table(capsys):
    code, out, err = run(capsys, "cfg/yolov2-voc.cfg")
    lines = out.split("\n")
    assert code == 0 and err == ""
    assert " ".join(lines[2].split()) == "0 convolutional 32 3 x 3 / 1 416 x 416 x 3 -> 416 x 416 x 32 992 0.299 3"
    assert " ".join(lines[30].split()) == "28 route 27, 24 -> 13 x 13 x 1280 502"
    assert len({line.index("->") for line in lines[1:34]}) == 1, "the table is aligned"
    assert "50,676,061 parameters, 50,655,389 of them trainable; a .weights file of 202,704,264 bytes" in out
    assert "29.360 GFLOP" in out and "mini-batch of 8:" in out


def test_json(capsys):
    code, out, err = run(capsys, "cfg/yolov2-tiny.cfg", "--json")
    data = json.loads(out)
    assert code == 0 and err == ""
    assert data["parameters"] == 11237145 and data["weights_bytes"] == 44948600 and data["trainable"] == 11232057
    assert len(data["layers"]) == 16 and data["layers"][12]["output"] == [13, 13, 1024]


def test_size_and_settings(capsys):
    _, out, _ = run(capsys, "cfg/yolov2-tiny.cfg", "--size", 320, "--json")
    assert json.loads(out)["layers"][-1]["output"] == [10, 10, 425]
    _, out, _ = run(capsys, "cfg/yolov2-tiny.cfg", "--set", "region.classes=3", "conv[-1].filters=40", "--json")
    assert json.loads(out)["layers"][-1]["output"] == [13, 13, 40]


def test_weights(capsys, tmp_path):
    net = Network.from_cfg("cfg/yolov2-nano.cfg")
    net.seen = 640
    file = tmp_path / "nano.weights"
    weights.save(net, file)
    code, out, _ = run(capsys, "cfg/yolov2-nano.cfg", "--weights", file)
    assert code == 0 and out.endswith(f"weights: {file} fits (version 0.2.0, seen 640 pictures, 20 bytes)\n")
    code, out, _ = run(capsys, "cfg/yolov2-nano.cfg", "--weights", f"{file}:3", "--json")
    assert code == 0 and json.loads(out)["weights"]["seen"] == 640
    code, out, err = run(capsys, "cfg/yolov2-tiny.cfg", "--weights", file)
    assert code == 4 and out == "" and "Likely cause" in err


def test_the_papers_comparison(capsys):
    """YOLO9000, section 3: 5.58, 30.69 and 8.52 billion operations at 224 x 224."""
    code, out, err = run(capsys, "darknet19", "vgg-16", "extraction", "--size", 224)
    assert code == 0 and err == ""
    table = {line.split()[0]: line.split() for line in out.splitlines()}
    assert [float(table[name][-1]) for name in ("darknet19", "vgg-16", "extraction")] == [5.582, 30.693, 8.519]
    assert float(table["vgg-16"][-2]) == 30.941, "its connected layers are work, too"
    assert table["darknet19"][1:6] == "224 x 224 x 3".split() and table["darknet19"][7] == "20,856,776"
    code, out, _ = run(capsys, "darknet19", "cfg/vgg-16.cfg", "--size", 224, "--json")
    assert [round(one["gflop_convolutional"], 2) for one in json.loads(out)] == [5.58, 30.69]


@pytest.mark.parametrize("argv, code, told", [
    (["darknet19", "tiny", "--weights", "x.weights"], 2, "belong to one network"),
    (["cfg/yolov9.cfg"], 2, "error: cfg/yolov9.cfg: no such file, nor is it bundled; did you mean cfg/yolov"),
    (["yolo.weights"], 2, "error: yolo.weights is no cfg: expected `minidarknet info CFG --weights yolo.weights`"),
    (["cfg/yolov2-tiny.cfg", "--set", "region.clases=3"], 2, "no key 'clases' in [region]; did you mean classes?"),
    (["cfg/yolov2-tiny.cfg", "--set", "region.classes=3"], 2, "set filters=40 at line 1"),
    (["cfg/yolov2-tiny.cfg", "--set", "filters"], 2, "expected SECTION.KEY=VALUE"),
    (["cfg/yolov2-tiny.cfg", "--weights", "none.weights"], 4, "none.weights: cannot be read"),
    (["cfg/yolov2.cfg", "--size", "48"], 2, "stride"),
    (["cfg/yolov2.cfg", "--size", "x"], 2, "whole number"),
])
def test_wrong_input(capsys, argv, code, told):
    found, out, err = run(capsys, *argv)
    assert (found, out) == (code, "") and told in err and "Traceback" not in err


def test_it_needs_no_numba():
    code = "import sys; from minidarknet import info; info.main(['cfg/yolov2.cfg']); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
