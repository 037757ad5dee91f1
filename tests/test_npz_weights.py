"""Weights as NumPy archives: names, shapes, round trips, and archives that are not what they seem."""
import io
import random
import zipfile

import numpy as np
import pytest
from small_net import arrays, filled, network

from minidarknet import npz_weights, weights
from minidarknet.errors import MinidarknetError, WeightsError


@pytest.fixture
def file(tmp_path):
    """A good archive of small_net's network."""
    npz_weights.save(filled(), tmp_path / "good.npz")
    return tmp_path / "good.npz"


def changed(file, **members):
    """Write the archive anew with other arrays (None: without it)."""
    with np.load(file) as old:
        found = {**dict(old), **{name.replace("__", "."): array for name, array in members.items()}}
    np.savez(file, **{name: array for name, array in found.items() if array is not None})


def refusal(file, net=None, layers=None):
    net = net or network()
    before = arrays(net)
    with pytest.raises(WeightsError) as caught:
        npz_weights.load(net, file, layers)
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays(net), strict=True)) and str(file) in str(caught.value)
    return str(caught.value)


def test_names_shapes_and_order(file):
    net = filled()
    with np.load(file, allow_pickle=False) as found:
        assert list(found) == ["header", *(f"000.convolutional.{name}" for name in
                                           ("bias", "scale", "rolling_mean", "rolling_variance", "weight")),
                               "002.convolutional.bias", "002.convolutional.weight", "003.convolutional.bias",
                               "003.convolutional.weight"]
        assert found["header"].tolist() == [0, 2, 0, 3_000_000_000]
        weight = found["000.convolutional.weight"]
        assert weight.shape == (4, 2, 3, 3) and weight.dtype == np.float32
        assert weight[3, 1, 2, 0] == net.layers[0].weight[2, 0, 1, 3]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", "CF")
def test_round_trip(file, tmp_path, dtype, order):
    with np.load(file) as found:
        np.savez_compressed(tmp_path / "b.npz", **{name: array if name == "header" else np.asarray(array, dtype, order)
                                                   for name, array in found.items()})
    net = network()
    npz_weights.load(net, tmp_path / "b.npz")
    for a, b in zip(arrays(net), arrays(filled()), strict=True):
        assert np.array_equal(a, b.astype(dtype))
    assert net.seen == 3_000_000_000 and net.layers[0].norm.updates > 1e6
    weights.save(net, tmp_path / "a.weights")
    assert (tmp_path / "a.weights").stat().st_size == 20 + 4 * 265


def test_connected(tmp_path):
    text = "[net]\nwidth=3\nheight=2\nchannels=2\n[connected]\noutput=5\nbatch_normalize=1\n"
    net, other = network(text, 1), network(text, 2)
    npz_weights.save(net, tmp_path / "a.npz")
    npz_weights.load(other, tmp_path / "a.npz")
    assert np.array_equal(net.layers[0].weight, other.layers[0].weight)
    with np.load(tmp_path / "a.npz") as found:
        assert np.array_equal(found["000.connected.weight"], net.layers[0].weight[0, 0].T)


def test_first_layers(file):
    net = network(seed=5)
    before = arrays(net)
    assert len(npz_weights.load(net, file, 2)) == 5 and net.seen == 0
    assert np.array_equal(net.layers[0].weight, filled().layers[0].weight)
    assert np.array_equal(arrays(net)[-1], before[-1])
    npz_weights.save(net, file, 2)
    with np.load(file) as found:
        assert len(found) == 6 and found["header"][3] == 0
    npz_weights.load(net, file, 2)
    assert "has no '002.convolutional.bias' and 3 more" in refusal(file)


@pytest.mark.parametrize("name, array, told", [
    ("header", None, "has no 'header'"), ("header", np.zeros(3, np.int64), "integers of shape (4,)"),
    ("header", np.array([0, 2, 0, -1]), "'header' tells of -1 pictures"),
    ("000__convolutional__bias", None, "has no '000.convolutional.bias'"),
    ("000__convolutional__bias", np.zeros(5, np.float32), "is float32 of shape (5,); the cfg takes floats of shape (4,)"),
    ("000__convolutional__bias", np.zeros(4, np.int32), "is int32 of shape (4,)"),
    ("000__convolutional__bias", np.zeros(4, complex), "is complex128"),
    ("000__convolutional__bias", np.full(4, np.nan, np.float32), "'000.convolutional.bias': 4 of 4 numbers are not finite"),
    ("000__convolutional__bias", np.full(4, 1e300), "not finite"),
    ("000__convolutional__rolling_variance", np.full(4, -1.), "a variance of -1 is below 0"),
    ("000__convolutional__bias", np.array([print], object), "is object of shape (1,)"),
    ("other", np.zeros(4), "has an unknown 'other'"),
    ("000__convolutional__bias", np.zeros(100_000), "far more than 4 numbers"),
])
def test_arrays_that_do_not_belong(file, name, array, told):
    changed(file, **{name: array})
    assert told in refusal(file)


def test_a_zip_bomb(file, tmp_path):
    """A gigabyte of zeros in a megabyte: said by the archive, or kept from it."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (4,)})
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != "000.convolutional.bias.npy":
                new.writestr(name, old.read(name))
            else:
                with new.open(name, "w", force_zip64=True) as out:
                    out.write(head.getvalue())
                    for _ in range(64):
                        out.write(bytes(1 << 20))
    assert "has 67,108,992 bytes, far more than 4 numbers take" in refusal(tmp_path / "bomb.npz")


@pytest.mark.parametrize("data, told", [(b"", "no NumPy archive"), (b"PK\3\4" + bytes(99), "no NumPy archive"),
                                        (b"\0" * 500, "no NumPy archive")])
def test_other_files(tmp_path, data, told):
    (tmp_path / "a.npz").write_bytes(data)
    assert told in refusal(tmp_path / "a.npz")
    assert "cannot be read" in refusal(tmp_path / "none.npz") and "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_archives(seed, file, tmp_path):
    """A clear error, or a network whose every number is sane."""
    rng, good, net, loaded = random.Random(seed), file.read_bytes(), network(), 0
    for _ in range(80):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            if rng.random() < .8:
                data[rng.randrange(len(data))] = rng.randrange(256)
            else:
                i = rng.randrange(len(data))
                del data[i:i + rng.randrange(50)]
        (tmp_path / "bad.npz").write_bytes(data)
        try:
            npz_weights.load(net, tmp_path / "bad.npz")
        except MinidarknetError as problem:
            assert "bad.npz" in str(problem)
        else:
            loaded += 1
            assert all(np.isfinite(array).all() for array in arrays(net))
    assert loaded < 80
