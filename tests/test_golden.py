"""Outputs of the original Darknet hold us to it: of small networks in tests/golden and of trained ones in ../shared."""
from pathlib import Path

import numpy as np
import pytest

from minidarknet import parser
from minidarknet.activations import ACTIVATIONS
from minidarknet.network import Network
from minidarknet.ops import BACKENDS

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = sorted(file.stem for file in GOLDEN.glob("*.npz"))
TRAINED = [file.stem for file in sorted((SHARED / "reference/golden").glob("*.npz"))]


def largest_difference(cfg, weights, golden, backend, strict):
    """Between Darknet's output and ours; both ways in one place: (c, h, w) there, (h, w, c) here."""
    with np.load(golden) as file:
        x, y = file["x"], file["y"]
    net = Network.from_cfg(cfg, weights=weights, backend=backend, strict_darknet_cpu=strict)
    net.resize(x.shape[:0:-1])
    out = net.predict(x.transpose(1, 2, 0)[None])
    out = (out[-1] if isinstance(out, tuple) else out)[0]  # Darknet gives the last head's
    return abs((out if out.ndim == 1 else out.transpose(2, 0, 1)).ravel() - y.ravel()).max()


LATER = {"mish", "swish", "hard_mish", "relu6"}   # Darknet of 2018 knew none of them: see test_opencv.py


def test_there_is_something_to_compare_with():
    """Every layer that Darknet's CPU build runs, with every activation: it neither survives [batchnorm] nor has a [cost]."""
    cfgs = [parser.read(GOLDEN / f"{name}.cfg") for name in SMALL]
    assert len(cfgs) == len(list(GOLDEN.glob("*.cfg"))) == len(list(GOLDEN.glob("*.weights")))
    assert {section.name for cfg in cfgs for section in cfg.layers} >= {
        "activation", "avgpool", "connected", "convolutional", "crop", "detection", "dropout", "local", "maxpool",
        "normalization", "region", "reorg", "route", "shortcut", "softmax", "upsample", "yolo"}
    assert {section.get("activation") for cfg in cfgs for section in cfg.layers} >= set(ACTIVATIONS) - LATER
    assert not SHARED.exists() or len(TRAINED) == 11


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SMALL)
def test_small_networks_do_as_darknet(name, backend):
    files = GOLDEN / f"{name}.cfg", GOLDEN / f"{name}.weights", GOLDEN / f"{name}.npz"
    assert largest_difference(*files, backend, strict=True) < 1e-5
    assert largest_difference(*files, backend, strict=False) < 1e-3  # the epsilon stands inside the root


def test_a_wrong_order_of_reorg_is_noticed(monkeypatch):
    """A textbook space-to-depth, as most ports have it, is far away from Darknet."""
    from minidarknet import kernels

    def textbook(x, out, stride, reverse):
        b, h, w, c = x.shape
        blocks = x.reshape(b, h // stride, stride, w // stride, stride, c).transpose(0, 1, 3, 2, 4, 5)
        out[...] = blocks.reshape(out.shape)
    monkeypatch.setattr(kernels, "reorg_forward", textbook)
    files = (GOLDEN / f"passthrough.{kind}" for kind in ("cfg", "weights", "npz"))
    assert largest_difference(*files, "kernels", strict=True) > .01


@pytest.mark.skipif(not SHARED.exists(), reason="needs trained weights from ../shared")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_do_as_darknet(name, backend):
    stem = name.split("__")[0]
    files = (*(SHARED / "weights" / stem / f"{stem}.{kind}" for kind in ("cfg", "weights")),
             SHARED / "reference/golden" / f"{name}.npz")
    assert largest_difference(*files, backend, strict=True) < 1e-4
    assert largest_difference(*files, backend, strict=False) < 1e-3
