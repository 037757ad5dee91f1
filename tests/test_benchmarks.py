"""The benchmarks run, in a short form and without the peers; where a peer is installed it must agree with us."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import TINY, small_network

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


def run(script, *arguments):
    """A benchmark in a process of its own; returns what it printed."""
    done = subprocess.run([sys.executable, FOLDER / script, *map(str, arguments)], text=True, capture_output=True,
                          timeout=400, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def scripts(monkeypatch):
    """Lets a test import the benchmarks' modules, which lie in no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


@pytest.fixture
def detector(tmp_path):
    """Work on the little detector of small.py, which has two routes, reorg, and pooling with stride 1."""
    cfg = tmp_path / "passthrough.cfg"
    cfg.write_text(small_network().cfg.text.replace("activation=linear", "activation=leaky"))
    return [str(cfg), 32, "inference", 2]


def test_versus(tmp_path, tiny_cfg):
    file, readme = tmp_path / "speed.json", tmp_path / "README.md"
    readme.write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n")
    out = run("versus.py", "--cfg", tiny_cfg, "--size", 64, "--inference", 2, "--training", 2, "--threads", 1,
              "--repeats", 1, "--peers", "minidarknet", "--json", file, "--readme", readme)
    assert "tiny-test 64, inference, batch 2" in out and "tiny-test 64, training step, batch 2" in out
    results = json.loads(file.read_text())["results"]
    assert [result["threads"] for result in results] == [1, 1]
    for result in results:
        told = result["peers"]["minidarknet"]
        assert told["difference"] < 1e-6 and told["ms"] > 0
        if sys.platform == "linux":
            assert 0 < result["memory"]["minidarknet"]["mb"] < 1000 or "note" in result["memory"]["minidarknet"]
    text = readme.read_text()
    assert text.startswith("before\n<!-- speed -->\n") and text.endswith("\n<!-- /speed -->\nafter\n") and "old" not in text
    assert "| tiny-test 64, inference, batch 2 |" in text and "GFLOP/s" in text
    again = tmp_path / "again.md"
    again.write_text("<!-- speed --><!-- /speed -->")
    assert run("versus.py", "--from", file, "--readme", again) == out
    assert again.read_text() == text[text.index("<!--"):text.rindex("\nafter")]


def test_the_table_of_several_peers(scripts, tmp_path):
    import table
    machine = {"processor": "P", "cores": 2, "peak_gflops": 400, "minidarknet": "1", "python": "3", "numpy": "2",
               "numba": "0"}
    peers = {"OpenVINO": {"version": "9", "ms": 15.0},
             "ONNX Runtime": {"version": "8", "note": "differs by 1, not measured"},
             "PyTorch NCHW": {"version": "7", "ms": 2500.0}, "torch.compile": {"version": None, "note": "not installed"},
             "minidarknet": {"version": "1", "ms": 10.0}}
    result = {"title": "net 32, inference, batch 1", "threads": 2, "gflop": 3, "machine": machine, "peers": peers,
              "memory": {"minidarknet": {"mb": 99.6, "process_mb": 201.2}, "OpenVINO": {"note": "no"}}}
    measured = {"date": "today", "repeats": 5, "width": "wide", "results": [result, {**result, "threads": 1}]}
    text = table.readme(measured)
    assert "| 2 threads | minidarknet | effective rate, share of the FMA peak | OpenVINO | PyTorch NCHW |" in text
    assert "| net 32, inference, batch 1 | 10.0 ms | 300 GFLOP/s, 75 % | 15.0 ms (1.50 x) | 2.50 s (250.00 x) |" in text
    assert "| peak memory, MB (of the whole process) | minidarknet |" in text \
        and "| net 32, inference, batch 1 | 100 (201) |" in text
    assert "ONNX Runtime: differs by 1, not measured" in text and "PyTorch 7, OpenVINO 9" in text
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="needs one line"):
        table.rewrite(tmp_path / "README.md", measured)


def test_operations_and_weights(scripts, tmp_path):
    from work import Work, gflop, network, truths
    (tmp_path / "t.cfg").write_text(TINY)
    work = Work(str(tmp_path / "t.cfg"), 64, "training", 2)
    net = network(work, 3)
    first, *rest = [layer.operations() for layer in net.layers if layer.name == "convolutional"]
    assert gflop(net, work) == pytest.approx(2 * (2 * first + 3 * sum(rest)) / 1e9)
    assert gflop(net, work._replace(kind="inference")) == pytest.approx(2 * (first + sum(rest)) / 1e9)
    assert net.layers[0].norm.rolling_variance.std() > .1 and net.layers[0].norm.scale.std() > .1
    truth = truths(net, 2)
    assert truth.shape == (2, 3, 5) and truth[..., 4].max() < net.classes


def agrees(name, work):
    """Check that a peer's output is minidarknet's, and that the check would notice another one."""
    from contest import TOLERANCE, difference, evidence, prepare
    from peers import peer
    from work import Work, network, pictures
    work = Work(*work)
    assert peer(name).available()
    outs = []
    for each in (name, "minidarknet"):
        net = network(work, 1)
        outs.append(evidence(prepare(peer(each), work, net, pictures(work, 3, 1), 1), work))
    assert difference(*outs) < TOLERANCE[work.kind]
    assert difference(outs[0], outs[1] * np.float32(1.02)) > TOLERANCE[work.kind]


def test_opencv_agrees(scripts, detector):
    """This one and the next are in the test extra; versus.py itself looks at the others before it measures them."""
    agrees("OpenCV 4", detector)


def test_onnx_runtime_agrees(scripts, detector):
    agrees("ONNX Runtime", detector)


def test_absent_peers_are_told(scripts, monkeypatch):
    import contest
    from peers import Absent, peer
    from work import Work
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert peer("ONNX Runtime").available() is None
    with pytest.raises(Absent, match="does not train"):
        contest.prepare(peer("OpenVINO"), Work("x", 32, "training", 1), type("Net", (), {
            "detects": False, "classes": 2}), None, 1)


def test_engine_layers():
    out = run("engine_layers.py", "--cfg", "cfg/yolov2-nano.cfg", "--size", 64, "--repeats", 1, "--no-torch")
    lines = out.splitlines()
    assert lines[1].startswith("  0   64x64     3->16   3x3/2") and lines[1].count("*") == 3
    assert "winograd" in lines[0] and any(line.startswith("chosen, all") for line in lines)
    assert "GB/s" in out


def test_sizes(scripts, tiny_cfg, monkeypatch):
    import contest
    import sizes
    monkeypatch.setattr(contest, "WARM", 0)
    monkeypatch.setattr(contest, "FILL", 0)
    monkeypatch.setattr(sizes, "SIZES", (64, 96))
    monkeypatch.setattr(sizes, "BATCHES", (1, 2, 3))
    monkeypatch.setattr(sizes, "distance", lambda: 90.4)
    for kind in ("inference", "training"):
        lines = list(sizes.by_size(str(tiny_cfg), kind, 1)) + list(sizes.by_batch(str(tiny_cfg), 64, kind, 1))
        assert len(lines) == 4 + 8 and lines[3].startswith("least share of the best: ")
        assert "batches from 2 to 3" in lines[-3] and "to read the weights once, 0." in lines[-2]
        assert lines[-1].endswith("90 ns before and 90 ns after")


def test_reading_reads_every_line(scripts):
    import reading
    memory, sums = np.zeros((203, 16), np.float32), np.empty(2, np.float32)
    memory[:, 0] = 1
    reading._read(memory.ctypes.data, 203, sums)
    assert sums.tolist() == [96, 96]  # 101 lines a thread, the last 5 of which are no 8


def test_distance(scripts, monkeypatch):
    """Two threads answer each other; a core alone has nobody to answer."""
    import distance
    if distance.cores() > 1:
        assert 5 < distance.distance() < 1e6  # ns; light goes 75 cm in 5
    monkeypatch.setattr(distance, "cores", lambda: 1)
    assert distance.distance() is None


def test_parity(scripts, monkeypatch):
    """With a stand-in for Darknet that differs from us in one number of one layer."""
    import parity

    from minidarknet import libdarknet, oracles

    def in_child(cfg, file, x, layers, path):
        net = parity.parity.load(parity.parity.arguments().parse_args(["yolov3-tiny", "--strict-darknet-cpu"]))
        assert "[yolo]" in cfg.read_text() and file.stat().st_size == 35434956
        found = {key: array.copy() for key, array in oracles.outputs(net, x).items() if key == "y" or "layer" in key}
        found["layer_19"][0, 0, 7] += .25
        return found
    monkeypatch.setattr(libdarknet, "in_child", in_child)
    layers, worst, difference = parity.compare("yolov3-tiny")
    assert (layers, worst) == (24, "layer_19") and difference.most == pytest.approx(.25)
