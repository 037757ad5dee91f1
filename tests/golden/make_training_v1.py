"""Make the golden files of training_v1/ for the layers of YOLOv1's time with the original Darknet: what ten updates make of
small networks.

    apt-get install darknet        # Debian's package: the original of 2018, its build for CPUs
    python tests/golden/make_training_v1.py [NAME ...]

For every NAME.cfg of training_v1/ a NAME.npz: x (n, c, h, w) uint8 pictures, divided by 255; truth (n, t, 5) boxes or
(n, t) numbers; initial: what the .weights file holds after its header, flat float32; and for subdivisions 1 and 2 each
cost_1, cost_2, ten costs per picture as Darknet prints them, and final_1, final_2, like `initial`, after the tenth
update. Update u is made from the first half of the pictures if u is even, else from the second; a half is one batch.
"""
import ctypes
import sys
import tempfile
from pathlib import Path

import numpy as np

from minidarknet import Network, parser, weights

LIBRARY = "/usr/lib/darknet/libdarknet.so"
HERE = Path(__file__).parent / "training_v1"
NAMES = ("detection", "detection-softmax", "l1", "local", "masked", "normalization", "smooth", "wgan")
UPDATES, HEADER = 10, 20
RANGES = {"scale": (.5, 1.5), "rolling_variance": (.5, 1.5), "bias": (-.2, .2), "rolling_mean": (-.2, .2)}
UNKNOWN = .3  # share of the numbers that a masked truth does not tell
FLOATS = ctypes.POINTER(ctypes.c_float)


class Matrix(ctypes.Structure):
    """Darknet's matrix: rows of pointers to floats."""

    _fields_ = [("rows", ctypes.c_int), ("cols", ctypes.c_int), ("vals", ctypes.POINTER(FLOATS))]

    @classmethod
    def of(cls, array):
        """The Matrix of a float32 array (rows, columns), which it keeps alive."""
        made = cls(*array.shape, (FLOATS * len(array))(*(row.ctypes.data_as(FLOATS) for row in array)))
        made.array = array
        return made


class Data(ctypes.Structure):
    """Darknet's data, which it takes by value."""

    _fields_ = [("w", ctypes.c_int), ("h", ctypes.c_int), ("x", Matrix), ("y", Matrix), ("shallow", ctypes.c_int),
                ("num_boxes", ctypes.c_void_p), ("boxes", ctypes.c_void_p)]


def library():
    """Darknet's functions that are called here."""
    lib, integer, real, text = ctypes.CDLL(LIBRARY), ctypes.c_int, ctypes.c_float, ctypes.c_char_p
    for name, result, arguments in (
            ("load_network", ctypes.c_void_p, (text, text, integer)), ("train_network", real, (ctypes.c_void_p, Data)),
            ("save_weights", None, (ctypes.c_void_p, text)),
            ("fill_truth_region", None, (text, FLOATS, integer, integer, integer, real, real, real, real))):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def drawn_boxes(head, pictures, rng):
    """(n, 3, 5) boxes inside their pictures; the second row has an empty one. No two of a picture share a cell."""
    rows = np.zeros((pictures, 3, 5), np.float32)
    for objects in rows:
        cells = rng.permutation(head.grid[0] * head.grid[1])[:3]
        objects[:, 0] = (cells % head.grid[1] + rng.uniform(.1, .9, 3)) / head.grid[1]
        objects[:, 1] = (cells // head.grid[1] + rng.uniform(.1, .9, 3)) / head.grid[0]
        objects[:, 2:4] = 2 * np.minimum(objects[:, :2], 1 - objects[:, :2]) * rng.uniform(.3, .95, (3, 2))
    rows[..., 4] = rng.integers(0, head.options.classes, (pictures, 3))
    rows[1::2, 1] = 0
    return rows


def darknets(lib, head, boxes):
    """The boxes (n, t, 5) as Darknet's own loader makes its truth of a label file: (n, side^2 * (5 + classes))."""
    side, classes = head.options.side, head.options.classes
    grids = np.zeros((len(boxes), side * side * (5 + classes)), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for grid, rows in zip(grids, boxes):
            lines = [f"{int(row[4])} {row[0]:.9g} {row[1]:.9g} {row[2]:.9g} {row[3]:.9g}\n" for row in rows if row[2] > 0]
            (Path(folder) / "a.txt").write_text("".join(lines))
            lib.fill_truth_region(f"{folder}/a.jpg".encode(), grid.ctypes.data_as(FLOATS), classes, side, 0, 0, 0, 1, 1)
    return grids


def trained(lib, cfg, initial, x, truth):
    """(ten costs, the numbers after them) of Darknet, for x in 0..1 and its own truth. initial: a .weights file."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.cfg").write_text(parser.render(cfg))
        net = lib.load_network(f"{folder}/net.cfg".encode(), str(initial).encode(), 0)
        costs = []
        for half in np.split(np.arange(len(x)), 2) * (UPDATES // 2):
            pictures, truths = Matrix.of(x[half]), Matrix.of(truth[half])  # names keep their arrays alive in the call
            costs.append(lib.train_network(net, Data(0, 0, pictures, truths, 0, None, None)))
        lib.save_weights(net, f"{folder}/final.weights".encode())
        return np.array(costs), np.fromfile(f"{folder}/final.weights", "<f4", offset=HEADER)


def main(names):
    """Write the files of `names`, or of all NAMES."""
    lib = library()
    for name in names or NAMES:
        rng, path = np.random.default_rng(2018), HERE / f"{name}.cfg"
        cfg = parser.read(path)
        net = Network(cfg, seed=2018)
        for stored in (stored for layer in net.layers for stored in layer.stored if stored.name in RANGES):
            stored.array[...] = rng.uniform(*RANGES[stored.name], stored.array.shape)
        pictures, (h, w, c) = 2 * net.options.batch, net.input.shape
        x = rng.integers(0, 256, (pictures, c, h, w), np.uint8)
        if net.detects:
            truth = drawn_boxes(net.head, pictures, rng)
            own = darknets(lib, net.head, truth)
        else:
            own = truth = rng.normal(0, 1, (pictures, int(np.prod(net.head.shape)))).astype(np.float32)
            if net.layers[-1].options.type == "masked":
                truth[rng.random(truth.shape) < UNKNOWN] = -1234
            if net.layers[-1].options.type == "wgan":
                truth[...] = truth > 0
        found = {"x": x, "truth": truth}
        with tempfile.TemporaryDirectory() as folder:
            weights.save(net, f"{folder}/initial.weights")
            found["initial"] = np.fromfile(f"{folder}/initial.weights", "<f4", offset=HEADER)
            for parts in (1, 2):
                found[f"cost_{parts}"], found[f"final_{parts}"] = trained(
                    lib, parser.override(cfg, {"net.subdivisions": parts}), f"{folder}/initial.weights",
                    x.reshape(pictures, -1).astype(np.float32) / 255, own.copy())
        np.savez_compressed(path.with_suffix(".npz"), **found)
        print(name, found["cost_1"], found["cost_2"], len(found["initial"]), path.with_suffix(".npz").stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
