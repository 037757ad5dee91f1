"""The machine a measurement was made on: processor, cores, register width, versions, and its measured limit."""
import platform
from pathlib import Path

import numpy as np

from minidarknet import __version__
from minidarknet.cores import cores

FEATURES = {"avx512f": "AVX-512", "avx2": "AVX2", "neon": "NEON"}  # the widest first


def limit(before=None):
    """The measured peak in GFLOP/s, the better of now and `before`; None without the JIT, which has no registers.

    It is measured several times in a run: any other program that computes for a moment would lower it.
    """
    import numba
    if numba.config.DISABLE_JIT:
        return None
    from minidarknet.engine.peak import peak
    return max(peak(), before or 0)


def machine(threads):
    """The machine and the programs as a dict. threads: how many Numba uses; `peak_gflops` is measured on them."""
    import numba
    facts = {"processor": processor(), "cores": cores(), "threads": threads, "features": [], "lanes": None,
             "minidarknet": __version__, "python": platform.python_version(), "numpy": np.__version__,
             "numba": numba.__version__, "threading_layer": None, "peak_gflops": limit()}
    if not numba.config.DISABLE_JIT:
        from minidarknet.engine.vector import LANES, has_feature
        facts.update(features=[name for name in FEATURES if has_feature(name)], lanes=LANES,
                     threading_layer=numba.threading_layer())
    return facts


def processor():
    """The processor's name (str), as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def width(facts):
    """The registers in words (str). facts: dict of `machine`."""
    if facts["lanes"] is None:
        return "without the JIT"
    name = FEATURES[facts["features"][0]] if facts["features"] else "plain registers"
    return f"{name} ({facts['lanes']} numbers at once)"
