"""Where compiled kernels are kept from one run to the next.

    cache folder/numba/3f0c51be8a92d407/engine.direct._sweep-93ab0c5e17f24d68.nbc
                       |                |                    one function for one kind of arguments
                       key: sources, versions and processor

Numba's own cache watches the file that holds a function; it does not notice when a function that was compiled into it
changed in another file, it wants to write beside the sources, and two processes that compile one function for two kinds
of arguments can exchange their results. So minidarknet's own functions, and only they, are kept here: any change of any
source gives a new key, and every result has a file of its own. Everybody else's functions stay with Numba's cache.
"""
import hashlib
import os
import pickle
import platform
import re
import shutil
import sys
import time
from functools import cache
from pathlib import Path

import llvmlite
import numpy
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import __version__, config, types

from minidarknet.files import replacing
from minidarknet.paths import cache_folder

try:
    from numba.core.caching import NullCache
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps
except ImportError:  # a Numba built differently
    NullCache, CompileResult, dumps = object, None, None

PACKAGE = Path(__file__).parents[1]
SOURCES = ("kernels/*.py", "engine/*.py", "activations.py")  # all that is compiled, and the constants in it
SETTINGS = ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE",
            "SLP_VECTORIZE", "DISABLE_INTEL_SVML")           # Numba's, by which the same source gives other code
KEY = re.compile("[0-9a-f]{16}")
DAYS = 60   # a key that nobody used for so long is removed
MOST = 20   # keys; of more, those are removed that nobody used today. Every change of a source makes one
DAY = 86400  # seconds


def keep(dispatcher):
    """Let the compiled code of `dispatcher` (what njit returns) be kept from run to run; returns it.

    A function that is not minidarknet's own gets Numba's ordinary cache, as do all should Numba be built differently
    one day. With the JIT switched off `dispatcher` is the function itself, and nothing is to be kept.
    """
    if config.DISABLE_JIT:
        return dispatcher
    if is_own(dispatcher.py_func) and _numba_is_as_expected(dispatcher) and key():
        dispatcher._cache = KernelCache(dispatcher.py_func)
        return dispatcher
    try:
        dispatcher.enable_caching()
    except RuntimeError:
        pass  # typed into an interpreter: Numba has no place for it
    return dispatcher


def is_own(function):
    """Whether `function` is in one of the sources that the key stands for."""
    return (function.__module__ or "").startswith(("minidarknet.kernels.", "minidarknet.engine."))


@cache
def key():
    """Short hash (16 hexadecimal digits) of all that compiled code depends on; "" where the sources cannot be read."""
    digest = hashlib.sha256(repr(_surroundings()).encode())
    try:
        files = sorted(file for pattern in SOURCES for file in PACKAGE.glob(pattern))
        for file in files:
            digest.update(f"\n{file.relative_to(PACKAGE).as_posix()}\n".encode() + file.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()[:16] if files else ""


def _surroundings():
    """Versions, system, processor and settings."""
    return (sys.implementation.cache_tag, sys.version_info[:3], __version__, llvmlite.__version__, numpy.__version__,
            sys.platform, platform.machine(), get_host_cpu_name(), get_host_cpu_features().flatten(),
            [str(getattr(config, name, None)) for name in SETTINGS])


def root():
    """The folder (Path) of all keys: NUMBA_CACHE_DIR/minidarknet where that is set, else cache_folder()/numba.

    Raises RuntimeError where the user has no home directory.
    """
    return Path(config.CACHE_DIR) / "minidarknet" if config.CACHE_DIR else cache_folder() / "numba"


def folder():
    """The folder (Path, perhaps not there yet) of the present key. Raises RuntimeError as `root`."""
    return root() / key()


class KernelCache(NullCache):
    """What Numba asks for the compiled code of `function` before it compiles, and tells it afterwards.

    Whatever goes wrong here, the function can be compiled anew: nothing is raised, and one line on stderr says what.
    """

    refused = False  # whether that line was printed

    def __init__(self, function):
        self.function = function
        code = function.__code__.co_code
        if function.__closure__:  # made by another function: the same code may stand for several
            code += dumps(tuple(cell.cell_contents for cell in function.__closure__))
        self.digest = hashlib.sha256(code)

    @property
    def cache_path(self):
        """The folder (str) for Numba's statistics, None where there is none."""
        try:
            return str(folder())
        except RuntimeError:
            return None

    def load_overload(self, sig, target_context):
        """The CompileResult for the argument types `sig`, or None."""
        try:
            _mark_used()
            with open(self._file(sig), "rb") as file:
                kept, parts = pickle.load(file)
            if kept != sig:
                return None
            target_context.refresh()
            return CompileResult._rebuild(target_context, *parts)
        except Exception:  # missing, cut off, unreadable, another's
            return None

    def save_overload(self, sig, data):
        """Keep `data`, the CompileResult for the argument types `sig`."""
        if data.lifted or data.library.has_dynamic_globals:
            return  # it holds addresses of this process
        try:
            _tidy_once()
            parts = dumps((sig, data._reduce()))
            with replacing(self._file(sig)) as file:
                file.write(parts)
        except Exception as error:
            if not KernelCache.refused:
                print(f"warning: compiled kernels cannot be kept ({error}): every run compiles them anew; "
                      "MINIDARKNET_CACHE can name another folder", file=sys.stderr)
            KernelCache.refused = True

    def flush(self):
        """Forget all that is kept of the function."""
        for file in folder().glob(f"{self._stem()}-*.nbc"):
            file.unlink(missing_ok=True)

    def _stem(self):
        name = f"{self.function.__module__.removeprefix('minidarknet.')}.{self.function.__qualname__}"
        return name.replace("<locals>.", "")  # a name that every file system takes

    def _file(self, sig):
        digest = self.digest.copy()
        digest.update(f"{self.function.__module__} {self.function.__code__.co_firstlineno} {_spelled(sig)}".encode())
        return folder() / f"{self._stem()}-{digest.hexdigest()[:16]}.nbc"


def _spelled(sig):
    """The argument types `sig` as text that tells them all apart; Numba's tells nothing of a named tuple but its name."""
    classes = [kind.instance_class for kind in getattr(sig, "args", sig) if isinstance(kind, types.BaseNamedTuple)]
    return f"{sig} {[(one.__module__, one.__qualname__) for one in classes]}"


def tidy(place, own):
    """Remove keys under `place` (Path) that are out of use, never the key `own` (str); never fails.

    A process that still works with a key removed here finds its files missing, and compiles.
    """
    now = time.time()
    try:
        entries = [entry for entry in os.scandir(place) if KEY.fullmatch(entry.name) and entry.name != own]
        used = sorted(((entry.stat().st_mtime, entry.path) for entry in entries), reverse=True)
    except OSError:
        return
    for rank, (when, path) in enumerate(used, 2):
        if when < now - DAYS * DAY or (rank > MOST and when < now - DAY):
            shutil.rmtree(path, ignore_errors=True)


def clear():
    """Remove the compiled code of all keys; returns the folder (Path) it was in. Raises RuntimeError as `root`."""
    place = root()
    for entry in place.glob("*"):
        if KEY.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
    return place


@cache
def _mark_used():
    """Note on the folder itself, at most once a day, that its key is in use."""
    try:
        if os.stat(folder()).st_mtime < time.time() - DAY:
            os.utime(folder())
    except OSError:
        pass  # not there yet, or somebody else's


@cache
def _tidy_once():
    tidy(root(), key())


def _numba_is_as_expected(dispatcher):
    """Whether the inner parts of Numba that KernelCache stands on are there."""
    return (dumps is not None and type(getattr(dispatcher, "_cache", None)) is NullCache
            and hasattr(CompileResult, "_reduce") and hasattr(CompileResult, "_rebuild"))
