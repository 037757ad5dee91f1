"""Make the golden files of training/ with the original Darknet: what ten updates make of a small network.

    apt-get install darknet        # Debian's package: the original of 2018, its build for CPUs
    python tests/golden/make_training.py [NAME ...]

For every NAME.cfg a NAME.npz: x (n, c, h, w) uint8 pictures, divided by 255; truth (n, t, 5) boxes or (n, t) numbers;
initial: what the .weights file holds after its header, flat float32; and for subdivisions 1 and 2 each cost_1, cost_2, ten
costs per picture as Darknet prints them, and final_1, final_2, like `initial`, after the tenth update. Update u is made
from the first half of the pictures if u is even, else from the second; a half is one batch.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np

from minidarknet import Network, parser, weights
from minidarknet.libdarknet import Libdarknet
from minidarknet.parity import draw

HERE = Path(__file__).parent / "training"
UPDATES, HEADER = 10, 20


def drawn_truth(net, pictures, rng):
    """A truth for so many pictures as the last layer wants it: boxes, one class of each group, or any numbers."""
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
    return rng.normal(0, 1, (pictures, count)).astype(np.float32)


def darknets(net, truth):
    """The truth as Darknet reads it, flat: boxes are followed by rows of zeros."""
    if truth.ndim == 2:
        return truth
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
