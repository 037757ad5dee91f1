"""How every kernel is compiled: one place for Numba's settings.

`jit` compiles a function for one thread, `parallel` one whose `prange` loops are shared among threads. Both release
Python's lock, so that loader threads go on while a kernel runs, and both keep the compiled code on disk.
With NUMBA_DISABLE_JIT=1 the kernels are ordinary Python, to be stepped through in a debugger.
"""
import os

from numba import njit, prange  # noqa: F401  (prange is re-exported for the kernels)


def _pin_threading_layer():
    """Choose the OpenMP layer where this Numba has one: it starts a loop 70 to 270 times faster than the others."""
    if "NUMBA_THREADING_LAYER" in os.environ:
        return
    try:
        import numba.np.ufunc.omppool  # noqa: F401
    except ImportError:
        return
    numba.config.THREADING_LAYER = "omp"


def _spin_briefly():
    """Let a thread that waits for another one spin for some microseconds only, then sleep.

    OpenMP's default, to spin on, takes the core from the very thread waited for as soon as anything else runs on the
    machine, loader threads included: measured with one busy foreign process on 2 cores, a training step took 6.4
    times as long. On an idle machine the two are equally fast. Must be set before the OpenMP library is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


_spin_briefly()
_pin_threading_layer()

jit = njit(cache=True, nogil=True, error_model="numpy")
parallel = njit(cache=True, nogil=True, parallel=True, error_model="numpy")
