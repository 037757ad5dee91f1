"""`minidarknet warmup`: afterwards nothing is left to compile, whichever command comes next."""
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from minidarknet import cli, warmup
from minidarknet.kernels import _cache

ROOT = Path(__file__).parents[1]

COUNT = """
import sys, zlib
import numpy as np
from minidarknet import Network, cli
from minidarknet.compiling import Progress
with Progress(show=False) as progress:
    assert cli.main(sys.argv[2:]) == 0
net, truth = Network.from_cfg(sys.argv[1]), np.array([[[.5, .5, .3, .3, 0]]], np.float32)
net.forward(np.random.default_rng(0).random((1, 64, 64, 3), np.float32), truth, train=True)
net.backward()
print("compiled", progress.functions, *(zlib.crc32(param.grad) for param in net.params))
"""


def compiled(folder, cfg, *words):
    """How many functions a command compiles in a new process that keeps them in folder/cache: (int, stdout, bits).

    bits: of the gradients that the network `cfg` has in that process for always the same picture.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    env.update(MINIDARKNET_CACHE=str(folder / "cache"), PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", COUNT, *map(str, (cfg, *words))], cwd=folder, env=env, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.splitlines()
    _, count, *bits = last.split()
    return int(count), shown, bits


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_afterwards_nothing_is_compiled(tmp_path, tiny_cfg, drawn):
    """And the process that compiled computes the same bits as those that find its work."""
    def run(*words):
        return compiled(tmp_path, tiny_cfg, *words)
    count, shown, bits = run("warmup", tiny_cfg)
    assert count > 10 and shown[-1].startswith(f"{count} functions compiled in ")
    assert str(tmp_path / "cache/numba") in shown[-1]
    assert run("train", tiny_cfg, "--data", drawn, "--max-batches", 2, "--out", tmp_path / "run")[::2] == (0, bits)
    weights = tmp_path / "run/weights/last.weights"
    assert run("evaluate", tiny_cfg, weights, "--data", drawn, "--resize", "stretch")[::2] == (0, bits)
    assert run("detect", tiny_cfg, weights, *sorted((drawn / "JPEGImages").iterdir())[:2])[::2] == (0, bits)
    count, shown, _ = run("warmup", tiny_cfg)
    assert count == 0 and shown[-1].startswith("nothing was left to compile, ")


def test_the_default_is_every_kind_of_bundled_detector():
    assert set(warmup.detectors()) == {"cfg/yolov1-tiny.cfg", "cfg/yolov1.cfg", "cfg/yolov2-nano.cfg",
                                       "cfg/yolov2-tiny-voc.cfg", "cfg/yolov2-tinydarknet-voc.cfg",
                                       "cfg/yolov2-voc.cfg", "cfg/yolov3-spp.cfg", "cfg/yolov3-tiny.cfg",
                                       "cfg/yolov3-voc.cfg", "cfg/yolov4-tiny.cfg", "cfg/yolov4.cfg"}


def test_clear(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    (tmp_path / "minidarknet" / ("a" * 16)).mkdir(parents=True)
    assert cli.main(["warmup", "--clear", "some.cfg"]) == 2
    assert cli.main(["warmup", "--clear"]) == 0
    assert str(tmp_path) in capsys.readouterr().out and not any((tmp_path / "minidarknet").iterdir())


def test_refusals(monkeypatch, capsys):
    assert cli.main(["warmup", "no-such.cfg"]) == 2
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert cli.main(["warmup"]) == 2
    assert "NUMBA_DISABLE_JIT" in capsys.readouterr().err


def test_what_cannot_be_kept_is_a_failure(monkeypatch, tiny_cfg, capsys):
    monkeypatch.setattr(_cache.KernelCache, "refused", True)
    assert cli.main(["warmup", str(tiny_cfg), "--no-train"]) == 1


def test_classifiers(tmp_path, capsys):
    cfg = tmp_path / "classifier.cfg"
    cfg.write_text("[net]\nwidth=32\nheight=24\nchannels=3\nbatch=2\n[convolutional]\nfilters=5\nsize=1\nstride=1\n"
                   "activation=linear\n[avgpool]\n[softmax]\ngroups=1\n[cost]\ntype=sse\n")
    assert cli.main(["warmup", str(cfg)]) == 0, capsys.readouterr().err
