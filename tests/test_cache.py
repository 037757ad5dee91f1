"""Compiled code on disk: found again, never a wrong one, and nothing here ever ends a program."""
import ast
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from typing import NamedTuple

import numba
import pytest

from minidarknet import kernels
from minidarknet.kernels import _cache

ROOT = Path(__file__).parents[1]
needs_jit = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")

CODE = """
import sys, numpy as np
from minidarknet.kernels import cost_sse
x, error = np.zeros((2, 3), sys.argv[1]), np.zeros((2, 3), sys.argv[1])
cost_sse(x, x + 2, error, x.copy())
assert error.tolist() == [[4] * 3] * 2
print(sum(cost_sse.stats.cache_hits.values()), sum(cost_sse.stats.cache_misses.values()))
"""


def start(cache, dtype="float32", root=ROOT, code=CODE, **environment):
    """Begin to run `code`, with the package that lies in `root`, and keep compiled code in `cache`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    env.update(MINIDARKNET_CACHE=str(cache), PYTHONPATH=str(root), **environment)
    return subprocess.Popen([sys.executable, "-c", code, dtype], cwd=root, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    """(what it printed, its warnings) of a process that must end well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip(), err


FOUND, COMPILED = ("1 0", ""), ("0 1", "")


@needs_jit
def test_found_again_until_a_source_changes(tmp_path):
    """By another process; by another copy of the package; not after a change in a file that is compiled into others."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "minidarknet", copy / "minidarknet", ignore=shutil.ignore_patterns("__pycache__"))
    assert finish(start(tmp_path / "cache", root=copy)) == COMPILED
    os.utime(copy / "minidarknet/kernels/cost.py", (1, 1))  # installed anew
    assert finish(start(tmp_path / "cache", root=copy)) == FOUND
    shutil.copytree(copy, tmp_path / "again")
    assert finish(start(tmp_path / "cache", root=tmp_path / "again")) == FOUND
    with open(copy / "minidarknet/engine/vector.py", "a") as file:
        file.write("# another thought\n")
    assert finish(start(tmp_path / "cache", root=copy)) == COMPILED
    assert len(list((tmp_path / "cache/numba").iterdir())) == 2
    assert not list(copy.rglob("*.nb?")), "the package's own folder must stay untouched"


@needs_jit
def test_damaged_files_are_made_anew(tmp_path):
    finish(start(tmp_path))
    [file] = tmp_path.glob("numba/*/kernels.cost.cost_sse-*.nbc")
    whole = file.read_bytes()
    for damaged in (b"", whole[:len(whole) // 2], b"no pickle"):
        file.write_bytes(damaged)
        assert finish(start(tmp_path)) == COMPILED
    assert finish(start(tmp_path)) == FOUND


@needs_jit
def test_processes_at_once(tmp_path):
    """They compile one function for two kinds of arguments, in an empty folder: each finds its own afterwards."""
    for expected in (COMPILED, FOUND):
        running = [start(tmp_path, dtype) for dtype in ("float32", "float64")]
        assert [finish(process) for process in running] == [expected] * 2


@needs_jit
def test_without_a_place_to_keep_it(tmp_path):
    """One line, however many functions."""
    (tmp_path / "file").write_text("")
    out, err = finish(start(tmp_path / "file", code=CODE + "from minidarknet.kernels import softmax_forward\n"
                                                           "softmax_forward(x, x.copy(), np.array([0, 3]), 1.0)"))
    assert out == "0 1" and err.count("\n") == 1 and err.startswith("warning: compiled kernels cannot be kept"), err


@needs_jit
def test_other_peoples_functions_stay_with_numba(tmp_path):
    (tmp_path / "mine.py").write_text("from numba import njit\nimport minidarknet.kernels\nfrom minidarknet.kernels._jit "
                                      "import jit\n@njit(cache=True)\ndef f(x):\n    return x + 1\n"
                                      "@jit\ndef g(x):\n    return x + 2\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import mine; print(mine.f(1) + mine.g(1))"
    assert finish(start(tmp_path / "cache", code=code)) == ("5", "")
    assert sorted(p.name.split("-")[0] for p in (tmp_path / "__pycache__").glob("*.nbi")) == ["mine.f", "mine.g"]
    assert not (tmp_path / "cache").exists()


@needs_jit
def test_numba_cache_dir_wins(tmp_path):
    finish(start(tmp_path / "ours", NUMBA_CACHE_DIR=str(tmp_path / "theirs")))
    assert not (tmp_path / "ours").exists() and list((tmp_path / "theirs/minidarknet").glob("*/*.nbc"))


@needs_jit
def test_the_mechanism_fits_this_numba(monkeypatch):
    """And should Numba change inside, its own cache is used."""
    assert isinstance(kernels.cost_sse._cache, _cache.KernelCache)
    fresh = numba.njit(kernels.cost_sse.py_func)
    assert type(_cache.keep(fresh)._cache) is _cache.KernelCache
    monkeypatch.setattr(_cache, "dumps", None)
    other = _cache.keep(numba.njit(kernels.cost_sse.py_func))
    assert type(other._cache).__module__ == "numba.core.caching" and type(other._cache).__name__ == "FunctionCache"


@pytest.fixture
def fresh_key():
    """A function that computes the key anew."""
    def compute():
        _cache.key.cache_clear()
        return _cache.key()
    yield compute
    _cache.key.cache_clear()


def test_key(fresh_key, monkeypatch):
    began = time.perf_counter()
    key = fresh_key()
    assert time.perf_counter() - began < .1  # 1 ms, were the machine not shared
    assert _cache.KEY.fullmatch(key) and fresh_key() == key
    for owner, name, value in ((numba.config, "CPU_NAME", "generic"), (numba.config, "CPU_FEATURES", ""),
                               (_cache, "__version__", "0"), (_cache.numpy, "__version__", "0"),
                               (_cache.llvmlite, "__version__", "0"), (_cache, "get_host_cpu_name", lambda: "other"),
                               (_cache.sys, "version_info", (3, 99, 0))):
        with monkeypatch.context() as changed:
            changed.setattr(owner, name, value)
            assert fresh_key() != key, name


def test_without_sources_there_is_no_key(fresh_key, monkeypatch, tmp_path):
    """As in a zip file: Numba's own cache knows what to do then."""
    monkeypatch.setattr(_cache, "PACKAGE", tmp_path)
    assert fresh_key() == ""


def test_the_key_knows_every_file_that_is_compiled():
    """Kernels take functions and constants from nowhere else."""
    allowed = {"minidarknet", "minidarknet.kernels", "minidarknet.engine", "minidarknet.activations"}
    for room in ("kernels", "engine"):
        for path in (ROOT / "minidarknet" / room).glob("*.py"):
            if path.name in ("_jit.py", "_cache.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("minidarknet"):
                    assert ".".join(node.module.split(".")[:2]) in allowed, f"{path.name}: {node.module}"


def folders(place, **ages):
    """Folders of keys under `place`, last used so many days ago."""
    for name, days in ages.items():
        (place / name).mkdir(parents=True)
        (place / name / "file.nbc").write_text("")
        os.utime(place / name, (time.time() - days * _cache.DAY,) * 2)


def test_keys_out_of_use_are_removed(tmp_path):
    own, old, recent, foreign = "0" * 16, "a" * 16, "b" * 16, "precious"
    folders(tmp_path, **{own: 100, old: 61, recent: 59, foreign: 100})
    _cache.tidy(tmp_path, own)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([own, recent, foreign])
    _cache.tidy(tmp_path / "missing", own)


def test_many_keys_become_few(tmp_path):
    """Whoever changes kernels makes a new key each time."""
    folders(tmp_path, **{f"{n:016x}": 2 + n / 100 for n in range(30)}, **{"f" * 16: .5})
    _cache.tidy(tmp_path, f"{29:016x}")
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert len(kept) == _cache.MOST and {"f" * 16, f"{0:016x}", f"{29:016x}"} < set(kept)


def test_clear_removes_keys_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    folders(tmp_path / "minidarknet", **{"a" * 16: 0, "precious": 0})
    assert _cache.clear() == tmp_path / "minidarknet"
    assert [p.name for p in (tmp_path / "minidarknet").iterdir()] == ["precious"]


class Plan(NamedTuple):
    """Named like the engine's plans."""

    tiles: int
    chunk: int


@needs_jit
def test_classes_of_one_name_are_told_apart():
    """Numba writes "Plan(int64 x 2)" for every class Plan of two numbers."""
    other = namedtuple("Plan", ["tiles", "chunk"], module="elsewhere")
    signatures = [(numba.typeof(plan(1, 2)), numba.int64) for plan in (Plan, other)]
    assert str(signatures[0]) == str(signatures[1]) and signatures[0] != signatures[1]
    kept = kernels.cost_sse._cache
    assert kept._file(signatures[0]) != kept._file(signatures[1]) != kept._file((numba.int64,))


CONVOLUTIONS = """
import numpy as np
from minidarknet import engine
from minidarknet.compiling import Progress
from minidarknet.layers.base import Buffer
x, grad, weight = Buffer().view((1, 8, 8, 20), 1), Buffer().view((1, 8, 8, 20), 1), np.ones((3, 3, 20, 20), np.float32)
with Progress(show=False) as progress:
    for algorithm in ("direct", "winograd"):
        engine.convolutional_forward(x, weight, grad, 1, 1, 1, algorithm)
        engine.convolutional_backward_data(grad, weight, x, 1, 1, 1, False, algorithm)
        engine.convolutional_backward_weight(x, grad, weight, 1, 1, 1, algorithm)
print(progress.functions)
"""


@needs_jit
def test_a_second_run_compiles_nothing():
    cache = _cache.root().parent
    finish(start(cache, code=CONVOLUTIONS))
    assert finish(start(cache, code=CONVOLUTIONS)) == ("0", "")
