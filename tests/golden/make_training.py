"""Make the golden files of training/ with the original Darknet: what ten updates make of a small network.

    apt-get install darknet        # Debian's package: the original of 2018, its build for CPUs
    python tests/golden/make_training.py [NAME ...]

For every NAME.cfg a NAME.npz: x (n, c, h, w) uint8 pictures, divided by 255; truth (n, t, 5) boxes or (n, t) numbers;
initial: what the .weights file holds after its header, flat float32; and for subdivisions 1 and 2 each cost_1, cost_2, ten
costs per picture as Darknet prints them, and final_1, final_2, like `initial`, after the tenth update. Update u is made
from the first half of the pictures if u is even, else from the second; a half is one batch.
"""
import ctypes
import sys
import tempfile
from pathlib import Path

import numpy as np

from minidarknet import Network, parser, weights
from minidarknet.libdarknet import FLOATS, PLACES, Libdarknet
from minidarknet.parity import draw
from minidarknet.wordtree import MASK

HERE = Path(__file__).parent / "training"
UPDATES, HEADER = 10, 20
UNKNOWN = .3  # share of the numbers that a masked truth does not tell


def drawn_truth(net, pictures, rng):
    """A truth for so many pictures as the last layer wants it: boxes, one class of each group, or any numbers."""
    if net.head.name == "detection":
        return drawn_in_cells(net.head, pictures, rng)
    if net.detects:
        truth = np.concatenate([rng.uniform(.1, .9, (pictures, 3, 2)), rng.uniform(.1, .6, (pictures, 3, 2)),
                                rng.integers(0, net.classes, (pictures, 3, 1))], axis=2).astype(np.float32)
        truth[:, 2, :4] = truth[:, 0, :4]  # the same box once more, maybe of another class
        return truth
    head, count = net.head, int(np.prod(net.head.shape))
    if head.name == "softmax":
        groups = head.options.groups
        return np.eye(count // groups, dtype=np.float32)[rng.integers(0, count // groups, (pictures, groups))].reshape(
            pictures, count)
    truth, kind = rng.normal(0, 1, (pictures, count)).astype(np.float32), net.layers[-1].options.type
    if kind == "masked":
        truth[rng.random(truth.shape) < UNKNOWN] = MASK
    return (truth > 0).astype(np.float32) if kind == "wgan" else truth


def drawn_in_cells(head, pictures, rng):
    """(pictures, 3, 5) boxes inside their pictures, no two of a picture in one cell; every second picture has two only."""
    rows = np.zeros((pictures, 3, 5), np.float32)
    for objects in rows:
        cells = rng.permutation(head.grid[0] * head.grid[1])[:3]
        objects[:, 0] = (cells % head.grid[1] + rng.uniform(.1, .9, 3)) / head.grid[1]
        objects[:, 1] = (cells // head.grid[1] + rng.uniform(.1, .9, 3)) / head.grid[0]
        objects[:, 2:4] = 2 * np.minimum(objects[:, :2], 1 - objects[:, :2]) * rng.uniform(.3, .95, (3, 2))
    rows[..., 4] = rng.integers(0, head.options.classes, (pictures, 3))
    rows[1::2, 1] = 0
    return rows


def gridded(head, boxes):
    """The boxes (n, t, 5) as Darknet's own loader makes its truth of a label file: (n, side^2 * (5 + classes))."""
    side, classes, fill = head.options.side, head.options.classes, ctypes.CDLL(PLACES[0]).fill_truth_region
    fill.argtypes = (ctypes.c_char_p, FLOATS, *[ctypes.c_int] * 3, *[ctypes.c_float] * 4)
    grids = np.zeros((len(boxes), side * side * (5 + classes)), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for grid, rows in zip(grids, boxes):
            lines = [f"{int(row[4])} {row[0]:.9g} {row[1]:.9g} {row[2]:.9g} {row[3]:.9g}\n" for row in rows if row[2] > 0]
            (Path(folder) / "a.txt").write_text("".join(lines))
            fill(f"{folder}/a.jpg".encode(), grid.ctypes.data_as(FLOATS), classes, side, 0, 0, 0, 1, 1)
    return grids


def darknets(net, truth):
    """The truth as Darknet reads it, flat: boxes are followed by rows of zeros, or stand in a grid for [detection]."""
    if truth.ndim == 2:
        return truth
    if net.head.name == "detection":
        return gridded(net.head, truth)
    rows = np.zeros((len(truth), net.head.darknet_truths, 5), np.float32)
    rows[:, :truth.shape[1]] = truth
    return rows.reshape(len(truth), -1)


def trained(cfg, initial, x, truth):
    """(ten costs, the numbers after them) of Darknet, for x in 0..1 and its own truth. initial: a .weights file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.cfg"
        file.write_text(parser.render(cfg))
        library, half = Libdarknet(), len(x) // 2
        library.load(file, initial)
        costs = [library.train(x[start:start + half], truth[start:start + half])
                 for start in (0, half) * (UPDATES // 2)]
        library.save(Path(folder) / "final.weights")
        return np.array(costs), np.fromfile(Path(folder) / "final.weights", "<f4", offset=HEADER)


def main(names):
    """Write the files of `names`, or of all cfgs."""
    for path in sorted(HERE.glob("*.cfg")):
        if names and path.stem not in names:
            continue
        rng = np.random.default_rng(2018)
        cfg = parser.read(path)
        net = Network(cfg, seed=2018)
        draw(net, rng)
        pictures = 2 * net.options.batch
        h, w, c = net.input.shape
        found = {"x": rng.integers(0, 256, (pictures, c, h, w), np.uint8), "truth": drawn_truth(net, pictures, rng)}
        with tempfile.TemporaryDirectory() as folder:
            initial = Path(folder) / "initial.weights"
            weights.save(net, initial)
            found["initial"] = np.fromfile(initial, "<f4", offset=HEADER)
            for parts in (1, 2):
                x = found["x"].astype(np.float32) / 255
                found[f"cost_{parts}"], found[f"final_{parts}"] = trained(
                    parser.override(cfg, {"net.subdivisions": parts}), initial, x, darknets(net, found["truth"]))
        np.savez_compressed(path.with_suffix(".npz"), **found)
        print(path.stem, found["cost_1"], found["cost_2"], len(found["initial"]), path.with_suffix(".npz").stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
