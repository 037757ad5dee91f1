"""The weights command: header, fitting cfgs, the table of arrays, dead filters, misfits."""
import json
import os

import numpy as np
import pytest
from small_net import CFG, filled

from minidarknet import cli, weights


@pytest.fixture
def files(tmp_path):
    """(path of CFG, path of a good file of it)."""
    (tmp_path / "my.cfg").write_text(CFG)
    weights.save(filled(), tmp_path / "good.weights")
    return tmp_path / "my.cfg", tmp_path / "good.weights"


def run(capsys, *words):
    code = cli.main(["weights", *map(str, words)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "--debug" not in err
    return code, out, err


def lines(out):
    return [" ".join(line.split()) for line in out.splitlines()]


def test_the_table(files, capsys):
    code, out, err = run(capsys, files[1], "--cfg", files[0])
    told = lines(out)
    values = np.fromfile(files[1], "<f4", offset=20)
    assert code == 0 and err == ""
    assert told[0] == f"{files[1]}: 1,080 bytes, 265 numbers behind the header"
    assert told[1] == "version 0.2.0, seen 3,000,000,000 pictures (a number of 8 bytes), header of 20 bytes"
    assert " ".join(line.split()[0] for line in told[3:]) == \
        "0 scale rolling_mean rolling_variance weight 2 weight 3 weight fits"
    weight = values[16:88]
    assert told[7] == (f"weight 4 x 2 x 3 x 3 84 72 {weight.min():.4g} {weight.max():.4g} {weight.mean(dtype=float):.4g} "
                       f"{weight.std(dtype=float):.4g}")
    assert told[-1].endswith("265 numbers in 3 layers, 0 not finite, 0 of 31 filters dead (all weights 0, or scale 0)")


def test_dead_filters_and_bad_numbers(files, capsys):
    net = filled()
    net.layers[0].weight[..., 1] = 0
    net.layers[0].norm.scale[[1, 3]] = 0, 1e-9
    net.layers[2].weight[..., 4] = 0
    net.layers[3].weight[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    weights.save(net, files[1])
    code, out, err = run(capsys, files[1], "--cfg", files[0], "--json", files[0].with_name("a.json"))
    rows = {(row["layer"], row["array"]): row for row in json.loads(files[0].with_name("a.json").read_text())["arrays"]}
    assert code == 0, "a table of what is wrong is what was asked for"
    assert [rows[i, "weight"]["dead"] for i in (0, 2, 3)] == [2, 1, 0] and rows[0, "bias"]["dead"] is None
    bad = rows[3, "weight"]
    finite = net.layers[3].weight[np.isfinite(net.layers[3].weight)]
    assert bad["not_finite"] == 3 and bad["max"] == finite.max() and bad["mean"] == pytest.approx(finite.mean(dtype=float))
    assert "layer 3 [convolutional] weight holds numbers that are not finite, or absurd: detect and train refuse it" in err
    assert "3 not finite, 3 of 31 filters dead" in out


def test_statistics_of_large_arrays_are_joined(monkeypatch, files, capsys):
    _, whole, _ = run(capsys, files[1], "--cfg", files[0])
    from minidarknet import weights_tool
    monkeypatch.setattr(weights_tool, "PORTION", 7)
    assert run(capsys, files[1], "--cfg", files[0])[1] == whole


def test_first_layers(files, capsys):
    code, out, _ = run(capsys, f"{files[1]}:3", "--cfg", files[0])
    assert code == 0 and "fits" in out and "up to layer 2: 118 numbers in 2 layers" in out


def test_misfit(files, capsys):
    code, _, err = run(capsys, files[1], "--cfg", files[0], "--set", "region.classes=5", "convolutional[-1].filters=30")
    assert code == 4 and "This file fits classes=2 (filters=21 in layer 3), the cfg says classes=5" in err


def test_fits_of_bundled_cfgs(tmp_path, capsys):
    from minidarknet.network import Network
    path = tmp_path / "nano.weights"
    weights.save(Network.from_cfg("cfg/yolov2-nano.cfg"), path)
    code, out, _ = run(capsys, path, "--json", tmp_path / "a.json")
    assert code == 0 and "fits cfg/yolov2-nano.cfg" in out.splitlines()
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["fits"][0] == {"cfg": "cfg/yolov2-nano.cfg", "layers": None, "settings": {}}
    assert result["header"]["seen_bytes"] == 8 and result["numbers"] == 386245


def test_a_file_that_fits_nothing(files, capsys):
    code, out, _ = run(capsys, files[1])
    assert code == 0 and "fits no bundled cfg: --cfg CFG says where it departs" in out
    with open(files[1], "r+b") as file:
        file.truncate(20 + 4 * 48807501)
    assert "fits cfg/yolo9000.cfg\n" in run(capsys, files[1])[1]


@pytest.mark.parametrize("data, told", [(b"", "an empty file"), (b"[net]\n", "CFG and WEIGHTS were swapped"),
                                        (os.urandom(0) + b"\xff" * 40, "no version of Darknet")])
def test_other_files(tmp_path, capsys, data, told):
    (tmp_path / "a").write_bytes(data)
    code, out, err = run(capsys, tmp_path / "a")
    assert code == 4 and told in err and out == ""
    assert run(capsys, tmp_path)[0] == 4 and run(capsys, tmp_path / "none")[0] == 4
