"""The original Darknet as a library: what its networks give, layer by layer, and what its training makes of weights.

    library = Libdarknet()                         # Debian's package `darknet`, or Libdarknet("path/to/libdarknet.so")
    library.load("my.cfg", "my.weights")
    library.predict(x)                             # {"layer_0": (c, h, w), ..., "y": flat}

Only exported functions are called (Darknet: include/darknet.h); nothing relies on how its structures are laid out but
the few that stand in calls. A library written in C ends the process where it does not like a cfg: `in_child` does the
work of `predict` in a process of its own and turns such an end into an error.
"""
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from minidarknet.errors import MinidarknetError, UsageError

PLACES = ("/usr/lib/darknet/libdarknet.so", "libdarknet.so")  # Debian's, then wherever the system looks for libraries
LAST_WORDS = 5  # lines of what it printed before it died
COMPLAINTS = ("Couldn't find", "Unused field", "not recognized")  # it goes on nevertheless, with another network
FLOATS = ctypes.POINTER(ctypes.c_float)


class _Image(ctypes.Structure):
    _fields_ = [("w", ctypes.c_int), ("h", ctypes.c_int), ("c", ctypes.c_int), ("data", FLOATS)]


class _Matrix(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_int), ("cols", ctypes.c_int), ("vals", ctypes.POINTER(FLOATS))]


class _Data(ctypes.Structure):
    _fields_ = [("w", ctypes.c_int), ("h", ctypes.c_int), ("x", _Matrix), ("y", _Matrix), ("shallow", ctypes.c_int),
                ("num_boxes", ctypes.c_void_p), ("boxes", ctypes.c_void_p)]


class Libdarknet:
    """One network in Darknet's library, called in this process: what makes Darknet exit ends it, too."""

    def __init__(self, path=None):
        """path: of libdarknet.so; default: the first of PLACES that is there. Raises UsageError."""
        library = _opened(path)
        network, integer = ctypes.c_void_p, ctypes.c_int
        for name, result, arguments in (
                ("load_network", network, (ctypes.c_char_p, ctypes.c_char_p, integer)),
                ("network_outputs", integer, (network,)),
                ("network_predict", FLOATS, (network, FLOATS)),
                ("get_network_image_layer", _Image, (network, integer)),
                ("train_network", ctypes.c_float, (network, _Data)),
                ("save_weights", None, (network, ctypes.c_char_p))):
            function = getattr(library, name, None)
            if function is None:
                raise UsageError(f"{path or 'libdarknet.so'} has no function {name}: expected the library of pjreddie's "
                                 "Darknet, such as Debian's package darknet has it")
            function.restype, function.argtypes = result, arguments
        self._library, self._network = library, None

    def load(self, cfg, weights):
        """Read the network of the file `cfg` with the numbers of the file `weights` (paths)."""
        self._network = self._library.load_network(os.fsencode(cfg), os.fsencode(weights), 0)

    def predict(self, x, layers=0):
        """x (c, h, w) float32 -> {"y": the network's output, flat}, and of the first `layers` layers "layer_0"... (c, h, w).

        A layer whose output Darknet does not know as a picture, such as [softmax], is left out. The cfg's batch must be 1.
        """
        x = np.ascontiguousarray(x, np.float32)
        out = self._library.network_predict(self._network, x.ctypes.data_as(FLOATS))
        found = {"y": np.ctypeslib.as_array(out, (self._library.network_outputs(self._network),)).copy()}
        for i in range(layers):
            image = self._library.get_network_image_layer(self._network, i)
            if image.data and image.w * image.h * image.c:
                found[f"layer_{i}"] = np.ctypeslib.as_array(image.data, (image.c, image.h, image.w)).copy()
        return found

    def train(self, x, truth):
        """Pass the pictures x (n, c, h, w) with their truths (n, t) and update the weights; returns the cost per picture.

        n: a multiple of the pictures of one pass; an update comes whenever as many were seen as the cfg's batch says. t: as
        the network's last layer wants it, for [yolo] 90 rows of x y w h class.
        """
        (x_rows, x_matrix), (y_rows, y_matrix) = (_matrix(array.reshape(len(array), -1)) for array in (x, truth))
        return self._library.train_network(self._network, _Data(0, 0, x_matrix, y_matrix, 0, None, None))

    def save(self, weights):
        """Write the numbers to the file `weights`."""
        self._library.save_weights(self._network, os.fsencode(weights))


def _opened(path):
    """The library as ctypes sees it. Raises UsageError where it is not."""
    for place in (path,) if path else PLACES:
        try:
            return ctypes.CDLL(os.path.abspath(place) if os.path.exists(place) else str(place))
        except OSError as problem:
            reason = problem
    if path:
        raise UsageError(f"{path}: cannot be loaded as Darknet's library: {reason}")
    raise UsageError("Darknet's library is not here: install Debian's package (apt-get install darknet), or tell where "
                     "libdarknet.so lies with --library PATH")


def _matrix(array):
    """(what must stay alive, _Matrix) of an array (rows, cols)."""
    array = np.ascontiguousarray(array, np.float32)
    rows = (FLOATS * len(array))(*(row.ctypes.data_as(FLOATS) for row in array))
    return (array, rows), _Matrix(*array.shape, rows)


def in_child(cfg, weights, x, layers=0, path=None):
    """What Libdarknet.predict gives, from a process of its own. cfg, weights: paths; path: of the library.

    What it does not know of the cfg it says on stderr. Raises UsageError where the library cannot be loaded,
    MinidarknetError where Darknet ended the process.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", np.asarray(x, np.float32))
        job = {"path": path and str(path), "cfg": str(cfg), "weights": str(weights), "layers": layers}
        (Path(folder) / "job.json").write_text(json.dumps(job))
        search = os.pathsep.join((str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
        done = subprocess.run([sys.executable, "-m", __name__, folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": search})
        words = done.stdout.decode(errors="replace").strip().splitlines()
        if done.returncode == UsageError.exit_code:
            raise UsageError(words[-1])
        if done.returncode:
            raise MinidarknetError(f"Darknet ended ({_ending(done.returncode)}) on this network; its last words:\n  "
                                   + "\n  ".join(words[-LAST_WORDS:] or ["(none)"]))
        for line in dict.fromkeys(line for line in words if any(complaint in line for complaint in COMPLAINTS)):
            print(f"darknet: {line}", file=sys.stderr)
        with np.load(Path(folder) / "out.npz") as file:
            return dict(file)


def _ending(code):
    """A process's exit code in words."""
    try:
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


def main(folder):
    """The child's part of `in_child`; returns the exit code."""
    job = json.loads((Path(folder) / "job.json").read_text())
    try:
        library = Libdarknet(job["path"])
    except UsageError as error:
        print(error)
        return error.exit_code
    library.load(job["cfg"], job["weights"])
    np.savez(Path(folder) / "out.npz", **library.predict(np.load(Path(folder) / "x.npy"), job["layers"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
