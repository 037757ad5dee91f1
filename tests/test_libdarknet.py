"""Darknet's library through ctypes: a stand-in shows what it is told, a dying one what we are told; and the real one."""
import ctypes
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from minidarknet import libdarknet
from minidarknet.errors import MinidarknetError, UsageError

GOLDEN = Path(__file__).parent / "golden"
FILES = GOLDEN / "residual.cfg", GOLDEN / "residual.weights"


class StandIn:
    """A library with Darknet's functions: a network of two layers, x + 1 (a picture) and the sum of all (flat)."""

    def __init__(self):
        self.trained, self.paths = [], []

        def load_network(cfg, weights, clear):
            self.paths = [cfg, weights]
            return 7

        def network_predict(net, x):
            assert net == 7
            self.first = np.ctypeslib.as_array(x, (24,)) + 1
            self.last = np.array([self.first.sum()], np.float32)
            return self.last.ctypes.data_as(libdarknet.FLOATS)

        def get_network_image_layer(net, i):
            return libdarknet._Image() if i else libdarknet._Image(4, 3, 2, self.first.ctypes.data_as(libdarknet.FLOATS))

        def train_network(net, data):
            self.trained = [np.array([m.vals[i][:m.cols] for i in range(m.rows)]) for m in (data.x, data.y)]
            return 1.5

        self.load_network, self.network_predict, self.train_network = load_network, network_predict, train_network
        self.get_network_image_layer, self.network_outputs = get_network_image_layer, lambda net: 1
        self.save_weights = lambda net, path: self.paths.append(path)


@pytest.fixture
def stand_in(monkeypatch):
    library = StandIn()
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    return library


def test_predict_reads_every_picture(stand_in):
    library = libdarknet.Libdarknet()
    library.load("a.cfg", "b.weights")
    x = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    found = library.predict(x, layers=2)
    assert stand_in.paths == [b"a.cfg", b"b.weights"]
    assert set(found) == {"y", "layer_0"} and found["y"] == 24 * 25 / 2
    assert np.array_equal(found["layer_0"], x + 1)


def test_train_passes_rows(stand_in):
    library = libdarknet.Libdarknet()
    library.load("a.cfg", "b.weights")
    x, truth = np.arange(12.).reshape(3, 2, 1, 2), np.arange(6.).reshape(3, 2)
    assert library.train(x, truth) == 1.5
    assert np.array_equal(stand_in.trained[0], x.reshape(3, 4)) and np.array_equal(stand_in.trained[1], truth)
    library.save("c.weights")
    assert stand_in.paths[-1] == b"c.weights"


def test_a_missing_library_says_where_it_comes_from(monkeypatch):
    monkeypatch.setattr(libdarknet, "PLACES", ("no-such-library.so",))
    with pytest.raises(UsageError, match="apt-get install darknet.*--library PATH"):
        libdarknet.Libdarknet()


def test_another_library_is_refused(tmp_path):
    (tmp_path / "text.so").write_text("hello")
    with pytest.raises(UsageError, match="text.so: cannot be loaded as Darknet's library"):
        libdarknet.in_child(*FILES, np.zeros((3, 32, 48)), path=tmp_path / "text.so")
    with pytest.raises(UsageError, match="has no function load_network"):
        libdarknet.Libdarknet(__import__("_ctypes").__file__)


@pytest.mark.skipif(os.name == "nt", reason="Windows runs no scripts")
@pytest.mark.parametrize("end, told", [("os.kill(os.getpid(), 11)", "signal SIGSEGV"), ("os._exit(255)", "exit code 255")])
def test_its_death_does_not_take_us_along(end, told, tmp_path, monkeypatch):
    """The child is a script that dies as Darknet does."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport os\nprint('first', flush=True)\n"
                      f"os.write(2, b'Couldn\\'t open file: no.such\\n')\n{end}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(MinidarknetError, match=f"(?s){told}.*last words.*first.*Couldn't open file: no.such"):
        libdarknet.in_child(*FILES, np.zeros((3, 32, 48)))


@pytest.mark.skipif(os.name == "nt", reason="Windows runs no scripts")
def test_what_it_does_not_know_is_told(tmp_path, monkeypatch, capsys):
    """Darknet takes relu for an activation that it does not know, says so, and goes on."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport sys, numpy\nnumpy.savez(sys.argv[3] + '/out.npz', y=numpy.ones(2))\n"
                      "print(\"layer filters\\nCouldn't find activation function mish, going with ReLU\\n\" * 2)\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    assert libdarknet.in_child(*FILES, np.zeros((3, 32, 48)))["y"].tolist() == [1, 1]
    assert capsys.readouterr().err == "darknet: Couldn't find activation function mish, going with ReLU\n"


@pytest.mark.skipif(not Path(libdarknet.PLACES[0]).exists(), reason="needs Debian's package darknet")
def test_the_real_one(tmp_path):
    with np.load(GOLDEN / "residual.npz") as file:
        x, y = file["x"], file["y"]
    found = libdarknet.in_child(*FILES, x, layers=9)
    np.testing.assert_array_equal(found["y"], y.ravel())
    np.testing.assert_array_equal(found["layer_8"].ravel(), y.ravel())
    (tmp_path / "bad.cfg").write_text("[net]\nwidth=8\nheight=8\nchannels=3\n[strange]\n[convolutional]\n")
    with pytest.raises(MinidarknetError, match="Darknet ended"):
        libdarknet.in_child(tmp_path / "bad.cfg", FILES[1], x)
