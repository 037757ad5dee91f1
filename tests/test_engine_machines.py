"""The engine on other machines: narrower registers, code kept between processes, no JIT, two networks at once."""
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from minidarknet import engine, kernels
from minidarknet.engine.vector import LANES, REGISTERS, has_feature

TESTS = Path(__file__).parent
SHORT = [(2, 10, 11, 3, 40, 3, 1, 1, 1), (1, 9, 8, 20, 9, 3, 2, 1, 1), (2, 5, 4, 9, 125, 1, 1, 0, 1),
         (1, 6, 5, 8, 8, 3, 1, 1, 4)]


def python(code, **environment):
    """Standard output of `code` in a new interpreter."""
    paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths, **environment},
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_flat_names():
    assert engine.FRAMED is True
    assert set(kernels.__all__) < set(engine.__all__)
    assert all(callable(getattr(engine, name)) for name in engine.__all__ if name != "FRAMED")


def test_width_follows_the_machine():
    assert LANES == (16 if has_feature("avx512f") else 8 if has_feature("avx2") else 4)
    assert REGISTERS in (16, 32)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="these are names of x86 processors")
@pytest.mark.parametrize("name, features, lanes", [("generic", "", 4), ("x86-64-v3", "+avx2,+fma,+bmi,+bmi2,+f16c", 8)])
def test_narrower_registers(name, features, lanes):
    """The convolutions and passes once more, with the processor's features turned down."""
    if lanes > LANES:
        pytest.skip("this machine has no AVX2")
    environment = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    python("import test_engine_machines; test_engine_machines.check_in_short(" + str(lanes) + ")", **environment)


def check_in_short(lanes):
    """Run a few shapes through every engine operation; in a process of its own, see above."""
    import test_engine
    import test_engine_finish
    import test_engine_fused
    import test_engine_passes
    import test_engine_region
    import test_engine_yolo
    assert LANES == lanes
    rng = np.random.default_rng(0)
    for shape in SHORT:
        test_engine.test_agrees_with_the_kernels(rng, shape)
        test_engine_finish.test_batch_norm_is_folded(rng, shape, "auto", "nothing")
        test_engine_finish.test_predict(rng, shape, "auto", "leaky", True)
        test_engine_finish.test_sum(rng, shape, "auto", "leaky", "relu")
    for shape in ((2, 5, 7, 3), (1, 6, 5, 21)):
        test_engine_passes.test_statistics(rng, shape, 1000)
        test_engine_passes.test_normalise(rng, shape)
        test_engine_passes.test_normalise_backward(rng, shape, True)
        test_engine_passes.test_activation(rng, shape, 1)
        test_engine_passes.test_maxpool(rng, shape, (2, 1, 0))
        test_engine_passes.test_bias(rng, shape)
        for pool in (False, True):
            test_engine_fused.test_agrees_with_the_kernels_one_after_the_other(rng, shape, pool, "leaky")
    test_engine_passes.test_sgd(rng, 4099)
    for shape in test_engine_region.CASES[:5]:
        test_engine_region.test_agrees(rng, shape, 1, 1)
        test_engine_region.test_agrees(rng, shape, 0, 0)
    for shape in test_engine_yolo.CASES[1:]:
        test_engine_yolo.test_agrees(rng, shape, (0, 1), 1.2, False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for a page that may not be read")
def test_nothing_behind_the_weights_is_read():
    """Blocks of filters that are not full, the weights ending where memory ends: whoever reads on is ended by the system."""
    python("import test_engine_machines; test_engine_machines.check_the_end_of_memory()")


def check_the_end_of_memory():
    """Convolve with weights that end at a page which may not be read; in a process of its own, see above."""
    import ctypes
    import mmap

    from minidarknet.engine import winograd_plan
    winograd_plan.second_level_cache = lambda: 1 << 30  # tasks of several blocks then, a full one beside one that is not
    rng = np.random.default_rng(0)
    x = np.zeros((1, 10, 10, 32), np.float32)[:, 1:-1, 1:-1]
    x[...] = rng.standard_normal(x.shape)
    for size, algorithm, filters in ((3, "winograd", 70), (3, "winograd", 230), (3, "direct", 70), (1, "direct", 70)):
        values = rng.standard_normal((size, size, 32, filters)).astype(np.float32)
        out = np.zeros((1, 8, 8, filters), np.float32)
        pages = -(-values.nbytes // mmap.PAGESIZE)
        memory = np.frombuffer(mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE), np.uint8)
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + pages * mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
        weight = memory[pages * mmap.PAGESIZE - values.nbytes:pages * mmap.PAGESIZE].view(np.float32).reshape(values.shape)
        weight[...] = values
        engine.convolutional_forward(x, weight, out, 1, size // 2, 1, algorithm)
        expected = np.zeros(out.shape)
        kernels.convolutional_forward(x.astype(np.float64), values.astype(np.float64), expected, 1, size // 2, 1)
        assert np.abs(out - expected).max() < 1e-5 * np.abs(expected).max()


def test_compiled_code_is_kept(tmp_path):
    """A second process finds what the first one compiled, the micro-kernel inside it."""
    code = ("import numpy as np; from minidarknet import engine; from minidarknet.engine import direct;"
            "z = np.zeros((1, 3, 3, 4), np.float32);"
            "engine.convolutional_forward(z, np.zeros((1, 1, 4, 4), np.float32), z.copy(), 1, 0, 1);"
            "stats = direct._run.stats; print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))")
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["0", "1"]
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["1", "0"]


def test_without_the_jit_it_is_the_kernels():
    code = ("from minidarknet import engine, kernels; assert engine.FRAMED;"
            "assert all(getattr(engine, n) is getattr(kernels, n) for n in kernels.__all__ if n != 'FRAMED')")
    python(code, NUMBA_DISABLE_JIT="1")


def test_two_networks_at_once(rng):
    """Threads of Python have working memory of their own."""
    import test_engine
    cases = [test_engine.Case(rng, shape) for shape in ((1, 9, 8, 40, 48, 3, 1, 1, 1), (2, 13, 13, 16, 70, 3, 1, 1, 1))]
    expected = [[a.tobytes() for a in case.all()] for case in cases]
    wrong = []

    def work(case, wanted):
        for _ in range(20):
            wrong.extend(1 for a, b in zip(case.all(), wanted, strict=True) if a.tobytes() != b)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(cases, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
