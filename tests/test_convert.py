"""The convert command: first layers, headers, folding, archives, and what it refuses."""
import numpy as np
import pytest
from small_net import CFG, ENDS, arrays, filled

from minidarknet import Network, cli, weights


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with my.cfg and good.weights, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.cfg").write_text(CFG)
    weights.save(filled(), "good.weights")
    return tmp_path


def run(capsys, words):
    code = cli.main(["convert", *words.split()])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "--debug" not in err
    return code, out, err


@pytest.mark.parametrize("words", ["my.cfg good.weights:3 my.conv.3", "my.cfg good.weights part.weights --layers 3",
                                   "my.cfg good.weights:3 backbone --to weights"])
def test_first_layers(here, capsys, words):
    code, out, _ = run(capsys, words)
    name = words.split()[2]
    assert code == 0 and out == f"{name}: the first 3 layers, version 0.2.0, seen 0 pictures\n"
    whole, part = (here / "good.weights").read_bytes(), (here / name).read_bytes()
    assert part[20:] == whole[20:ENDS[1]] and part[12:20] == bytes(8)


def test_darknet19_conv_23(tmp_path, capsys):
    """The features that YOLOv2's training starts from have 79,327,124 bytes."""
    net = Network.from_cfg("cfg/darknet19_448.cfg", initialise=False)
    weights.save(net, tmp_path / "a.weights")
    code, _, _ = run(capsys, f"cfg/darknet19_448.cfg {tmp_path}/a.weights:23 {tmp_path}/darknet19_448.conv.23")
    assert code == 0
    assert (tmp_path / "darknet19_448.conv.23").stat().st_size == 79327124


@pytest.mark.parametrize("version, size, seen", [("0.1.0", 16, 1234), ("0.2.0", 20, 3_000_000_000), ("0.2.5", 20, 5)])
def test_headers(here, capsys, version, size, seen):
    code, _, _ = run(capsys, f"my.cfg good.weights b.weights --header {version} --seen {seen}")
    header = weights.read_header("b.weights")
    assert code == 0 and (header.major, header.minor, header.revision) == tuple(map(int, version.split(".")))
    assert (header.size, header.seen) == (size, seen)
    assert (here / "b.weights").read_bytes()[size:] == (here / "good.weights").read_bytes()[20:]


def test_seen_that_an_old_header_cannot_tell(here, capsys):
    code, _, err = run(capsys, "my.cfg good.weights b.weights --header 0.1.0")
    assert code == 1 and "cannot tell of 3,000,000,000 pictures" in err and not (here / "b.weights").exists()


def test_folding(here, capsys):
    code, out, _ = run(capsys, "my.cfg good.weights folded.weights --fold-batch-norm")
    assert code == 0 and "folded.cfg: the cfg with batch_normalize=0" in out
    one, two = (Network.from_cfg(f"{name}.cfg", weights=f"{w}.weights", backend="kernels")
                for name, w in (("my", "good"), ("folded", "folded")))
    x = np.random.default_rng(0).random((2, 8, 8, 2), np.float32)
    a, b = (net.predict(x) for net in (one, two))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert two.seen == one.seen and not two.layers[0].norm
    code, _, err = run(capsys, "my.cfg good.weights my.weights --fold-batch-norm")
    assert code == 2 and "my.cfg is the cfg without folding and would be overwritten" in err


def test_there_and_back(here, capsys):
    assert run(capsys, "my.cfg good.weights a.npz")[0] == 0 and run(capsys, "my.cfg a.npz b.weights")[0] == 0
    assert (here / "b.weights").read_bytes() == (here / "good.weights").read_bytes()
    assert run(capsys, "my.cfg a.npz:3 c.weights")[0] == 0
    assert (here / "c.weights").read_bytes()[20:] == (here / "good.weights").read_bytes()[20:ENDS[1]]


def test_layers_that_are_not_loaded_keep_their_first_values(here, capsys):
    (here / "my.cfg").write_text(CFG.replace("filters=6", "filters=6\ndontload=1"))
    net = Network.from_cfg("my.cfg")
    weights.save(net, "whole.weights")
    data = (here / "whole.weights").read_bytes()
    (here / "short.weights").write_bytes(data[:ENDS[0]] + data[ENDS[1]:])
    assert run(capsys, "my.cfg short.weights b.weights")[0] == 0
    assert (here / "b.weights").read_bytes() == data and np.abs(arrays(net)[6]).min() > 0


@pytest.mark.parametrize("words, code, told", [
    ("my.cfg good.weights out.h5", 2, "expected a name that ends in .weights, .npz or .onnx"),
    ("my.cfg good.weights out", 2, "expected a name that ends in"),
    ("my.cfg good.weights:2 out.onnx", 2, "--layers is for weights and npz files"),
    ("my.cfg good.weights:2 out.weights --layers 3", 2, "contradict each other"),
    ("my.cfg good.weights out.weights --decode", 2, "--decode is for onnx files"),
    ("my.cfg good.weights out.npz --size 32", 2, "--size is for onnx files"),
    ("my.cfg good.weights out.onnx --header 0.1.0", 2, "--header is for weights and npz files"),
    ("my.cfg none.weights out.npz", 4, "none.weights: cannot be read"), ("my.cfg none.npz out.npz", 4, "cannot be read"),
    ("my.cfg my.cfg out.npz", 4, "CFG and WEIGHTS were swapped"),
    ("cfg/tiny.cfg good.weights out.npz", 4, "the network takes"),
    ("my.cfg good.weights:99 out.npz", 4, "from 1 to 5"), ("none.cfg good.weights out.npz", 2, "no such file"),
])
def test_what_it_refuses(here, capsys, words, code, told):
    found, out, err = run(capsys, words)
    assert found == code and told in err and out == ""
    assert sorted(path.name for path in here.iterdir()) == ["good.weights", "my.cfg"], "nothing is written"


def test_a_full_disk_leaves_the_old_file(here, capsys, monkeypatch):
    before = (here / "good.weights").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")
    for out, function in (("good.weights", "ascontiguousarray"), ("a.npz", "savez")):
        with monkeypatch.context() as patch:
            patch.setattr(np, function, full)
            code, _, err = run(capsys, f"my.cfg good.weights {out}")
        assert code == 1 and f"{out}: cannot be written: No space left" in err
    assert (here / "good.weights").read_bytes() == before and len(list(here.iterdir())) == 2
