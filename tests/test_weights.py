"""The .weights file: byte layout, header widths, round trips, the first layers only."""
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from small_net import CFG, ENDS, arrays, filled, network, refusal

from minidarknet import info, parser, weights
from minidarknet.errors import MinidarknetError
from minidarknet.network import Network

SHARED = Path(__file__).parents[2] / "shared"

@pytest.fixture
def file(tmp_path):
    """A good file of CFG's network."""
    path = tmp_path / "good.weights"
    weights.save(filled(), path)
    return path


def test_the_smallest_file_byte_by_byte(tmp_path):
    net = network("[net]\nwidth=1\nheight=1\nchannels=1\n[convolutional]\n", 0)
    net.layers[0].bias[...], net.layers[0].weight[...], net.seen = 2, 3, 25000
    weights.save(net, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == struct.pack("<iiiqff", 0, 2, 0, 25000, 2, 3)    # 28 bytes, as Darknet's


def test_order_in_the_file(file):
    """bias, scale, rolling mean, rolling variance, weight (f, c, k, k) for each layer in turn."""
    net, data = filled(), np.fromfile(file, "<f4", offset=20)
    first = net.layers[0]
    n = first.norm
    f, c, ky, kx = 3, 1, 2, 0
    assert data.size == 265 == sum(a.size for a in arrays(net))
    for i, array in enumerate((n.bias, n.scale, n.rolling_mean, n.rolling_variance)):
        assert np.array_equal(data[4 * i:4 * i + 4], array)
    assert data[16 + ((f * 2 + c) * 3 + ky) * 3 + kx] == first.weight[ky, kx, c, f]
    assert np.array_equal(data[88:94], net.layers[2].bias)
    assert data[94 + 5 * 4 + 3] == net.layers[2].weight[0, 0, 3, 5]


def test_round_trip(file):
    net, other = network(), filled()
    net.layers[0].norm.updates = 0
    loaded = weights.load(net, file)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(net), arrays(other), strict=True))
    assert net.seen == other.seen == 3_000_000_000
    assert str(loaded) == "3 of 3 layers with weights; version 0.2.0, seen 3,000,000,000 pictures, 20 bytes"
    assert net.layers[0].norm.updates > 1e6, "rolling statistics from a file are to be trusted"


def test_loading_writes_into_the_arrays_that_are_there(file):
    net = network()
    held = [stored.array for layer in net.layers for stored in layer.stored]
    weights.load(net, file)
    assert all(a is b for a, b in zip(held, [s.array for layer in net.layers for s in layer.stored], strict=True))


@pytest.mark.parametrize("version, seen", [((0, 1, 0), 4), ((0, 0, 3), 4), ((0, 2, 0), 8), ((0, 2, 5), 8),
                                           ((1, 0, 0), 8), ((0, 1002, 0), 4)])
def test_both_widths_of_seen(version, seen, file):
    body = file.read_bytes()[20:]
    file.write_bytes(struct.pack("<iii", *version) + (77).to_bytes(seen, "little") + body)
    header = weights.read_header(file)
    assert header == (*version, 77, 12 + seen)
    net = network()
    weights.load(net, file)
    assert net.seen == 77 and np.array_equal(net.layers[3].weight, filled().layers[3].weight)


def test_the_first_layers_only(file):
    net = network(seed=5)
    before = arrays(net)
    net.seen = 9
    loaded = weights.load(net, file, 2)
    assert np.array_equal(net.layers[0].weight, filled().layers[0].weight)
    assert np.array_equal(net.layers[2].weight, before[6]) and np.array_equal(net.layers[3].weight, before[8])
    assert net.seen == 0, "a pretrained file's counter must not end the new training"
    assert (loaded.layers, loaded.filled, loaded.weighted) == (2, 1, 3)


def test_a_short_file_is_enough_for_the_first_layers(file):
    file.write_bytes(file.read_bytes()[:ENDS[1]])
    net = network()
    assert weights.load(net, file, 3).filled == 2
    assert np.array_equal(net.layers[2].weight, filled().layers[2].weight)


@pytest.mark.parametrize("layers", [0, 6])
def test_layers_that_the_network_does_not_have(file, layers):
    assert f"good.weights:{layers}: the network has 5 layers; expected FILE:N with N from 1 to 5" \
        in refusal(network(), file, layers)


def test_dontload_and_dontsave(file, tmp_path):
    net = network(**{"convolutional[0].dontsave": 1})
    weights.save(net, tmp_path / "short")
    assert (tmp_path / "short").stat().st_size == 20 + 4 * (265 - 88)
    other = network(seed=3, **{"convolutional[0].dontload": 1})
    weights.load(other, tmp_path / "short")
    assert np.array_equal(other.layers[3].weight, net.layers[3].weight)
    assert not np.array_equal(other.layers[0].weight, net.layers[0].weight)


@pytest.mark.parametrize("argument, expected", [
    ("yolo.weights", ("yolo.weights", None)), ("yolo.weights:23", ("yolo.weights", 23)),
    (r"C:\nets\yolo.weights", (r"C:\nets\yolo.weights", None)),
    (r"C:\nets\yolo.weights:5", (r"C:\nets\yolo.weights", 5)), ("a:b:12", ("a:b", 12)),
    ("yolo.weights:", ("yolo.weights:", None)), ("yolo.weights:x", ("yolo.weights:x", None)),
    (Path("yolo.weights"), ("yolo.weights", None)),
])
def test_file_and_number_of_layers(argument, expected):
    assert weights.parse_argument(argument) == expected


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
def test_a_file_may_be_called_so(tmp_path):
    path = tmp_path / "conv:23"
    path.touch()
    assert weights.parse_argument(path) == (str(path), None)
    assert weights.parse_argument(f"{path}:4") == (str(path), 4)


def test_a_file_that_is_not_there(tmp_path):
    assert "no.weights: cannot be read: No such file" in refusal(network(), tmp_path / "no.weights")
    assert "expected FILE or FILE:N with N a number of layers" in refusal(network(), tmp_path / "no.weights:many")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(file, value):
    net = filled()
    net.layers[2].weight[0, 0, 1, 1] = value
    weights.save(net, file)
    text = refusal(network(), file)
    assert f"layer 2 [convolutional] weight: 1 of 24 numbers are not finite (the first: {value})" in text


def test_a_variance_below_zero_betrays_another_cfg(file):
    net = filled()
    net.layers[0].norm.rolling_variance[1] = -2
    weights.save(net, file)
    assert "layer 0 [convolutional] rolling_variance: a variance of -2 is below 0" in refusal(network(), file)


def test_check_changes_nothing(file):
    net = network()
    before = arrays(net)
    assert weights.check(net, file).seen == 3_000_000_000
    assert net.seen == 0 and all(np.array_equal(a, b) for a, b in zip(before, arrays(net), strict=True))


def test_saving_replaces_in_one_piece(file, monkeypatch):
    before = file.read_bytes()
    net = filled()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "ascontiguousarray", full)
    with pytest.raises(MinidarknetError, match="good.weights: cannot be written: No space left"):
        weights.save(net, file)
    assert file.read_bytes() == before and os.listdir(file.parent) == ["good.weights"]


def test_float64_networks(file):
    net = Network(parser.parse(CFG), backend="kernels", dtype=np.float64)
    weights.load(net, file)
    assert np.array_equal(net.layers[3].weight, filled().layers[3].weight)
    weights.save(net, file.with_name("again"))
    assert file.with_name("again").read_bytes() == file.read_bytes()


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
@pytest.mark.parametrize("name", ["yolo-lite-voc-trial3", "yolo-lite-voc-trial3-noBatch", "yolo-lite-voc-trial5",
                                  "yolo-lite-voc-trial6", "yolo-lite-coco-trial6-653550", "tiny-darknet-imagenet"])
def test_files_by_others_survive_a_round_trip(name, tmp_path):
    folder = SHARED / "data/weights" / name
    net = Network.from_cfg(folder / f"{name}.cfg", initialise=False)
    header = weights.load(net, folder / f"{name}.weights").header
    assert (header.major, header.minor, header.size) == (0, 1, 16)
    weights.save(net, tmp_path / "w")
    assert (tmp_path / "w").read_bytes()[20:] == (folder / f"{name}.weights").read_bytes()[16:]
    assert info.totals(net)["weights_bytes"] == (tmp_path / "w").stat().st_size
