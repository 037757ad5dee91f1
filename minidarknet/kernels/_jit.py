"""How every kernel is compiled: one place for Numba's settings.

`jit` compiles a function for one thread, `parallel` one whose `prange` loops are shared among threads. Both release
Python's lock, so that loader threads go on while a kernel runs, and both keep the compiled code on disk (see _cache).
With NUMBA_DISABLE_JIT=1 the kernels are ordinary Python, to be stepped through in a debugger.
"""
import os
import threading
from functools import cache

from numba import config, get_num_threads, njit, prange, set_num_threads  # noqa: F401  (kernels take prange from here)
from numba.np.ufunc import parallel as threads

from minidarknet.cores import cores
from minidarknet.kernels._cache import keep


def jit(function):
    """Compile `function` for one thread, and into every function that calls it.

    Were it called instead, each caller would bring a copy of its own, rounded a little differently (a * b + c in one
    step or in two), and the copy that is loaded first would serve all: the run that compiles would compute other bits
    than the next one.
    """
    return keep(njit(nogil=True, error_model="numpy", forceinline=True)(function))


def parallel(function):
    """Compile `function`, sharing the passes of its `prange` loops among the threads."""
    dispatcher = keep(njit(nogil=True, parallel=True, error_model="numpy")(function))
    if not config.DISABLE_JIT and config.THREADING_LAYER not in ("omp", "tbb", "safe", "threadsafe"):
        dispatcher.__class__ = _one_at_a_time(type(dispatcher))
    return dispatcher


def parallel_once(function):
    """`parallel`, for a function that always gets the same types, as the engine's do: addresses and tuples of numbers.

    Numba looks at every number of every tuple to know which compiled code to take, 5 us a call; this one takes the code of
    the first call. Other types later on are no crash: numbers are converted, anything else raises TypeError or ValueError.
    """
    dispatcher = parallel(function)
    if not config.DISABLE_JIT and not issubclass(type(dispatcher), _OneAtATime):
        dispatcher.__class__ = _compiled_once(type(dispatcher))
    return dispatcher


@cache
def _compiled_once(dispatcher):
    """A subclass of Numba's class `dispatcher` that calls the code of the first call."""
    class CompiledOnce(dispatcher):
        entry = None

        def __call__(self, *args):
            if self.entry is not None:
                return self.entry(*args)
            result = super().__call__(*args)
            (compiled,) = self.overloads.values()
            self.entry = compiled.entry_point
            return result
    return CompiledOnce


_calls = threading.RLock()


class _OneAtATime:
    """Marks classes that let one Python thread at a time call their functions."""


@cache
def _one_at_a_time(dispatcher):
    """A subclass of Numba's class `dispatcher` that lets one Python thread at a time call its functions.

    Numba's last resort, the threading layer workqueue, ends the process when two networks compute at once.
    """
    class OneAtATime(_OneAtATime, dispatcher):
        def __call__(self, *args):
            with _calls:
                return super().__call__(*args)
    return OneAtATime


def _pin_threading_layer():
    """Choose the OpenMP layer where this Numba has one: it starts a loop 70 to 270 times faster than the others.

    Where it has none, Numba takes tbb if that is installed, else its own workqueue, which is always there.
    """
    if {"NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY"} & set(os.environ) or \
            config.THREADING_LAYER != "default":
        return
    try:
        import numba.np.ufunc.omppool  # noqa: F401
    except ImportError:
        return
    config.THREADING_LAYER = "omp"


def _spin_briefly():
    """Let a thread that waits for another one spin for some microseconds only, then sleep.

    OpenMP's default, to spin on, takes the core from the very thread waited for as soon as anything else runs on the
    machine, loader threads included: measured with one busy foreign process on 2 cores, a training step took 6.4
    times as long. On an idle machine the two are equally fast. Must be set before the OpenMP library is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _start_no_thread_too_many():
    """Keep the number of threads within a container's quota, which Numba does not know; NUMBA_NUM_THREADS decides."""
    count = cores()
    if "NUMBA_NUM_THREADS" in os.environ or count >= config.NUMBA_NUM_THREADS:
        return
    if threads._is_initialized:
        set_num_threads(min(count, get_num_threads()))  # they run already: leave some idle
    else:
        config.NUMBA_NUM_THREADS = threads.NUM_THREADS = count  # Numba has copied the one into the other by now


_spin_briefly()
_pin_threading_layer()
_start_no_thread_too_many()
