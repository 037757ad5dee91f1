"""Make the golden files of this folder with the original Darknet: what it does with a tree of 210 words.

    apt-get install darknet        # Debian's package: the original of 2018, its build for CPUs
    python tests/golden/tree/make_golden_tree.py

classifier.npz: x (c, h, w), y: network_predict of classifier.cfg, a softmax for each group of siblings.
detector.npz: z, raw numbers for the [region] of detector.cfg in Darknet's order, and what get_network_boxes makes of them
once they are activated: boxes (n, 4), objectness (n,), mapped (n, 200) objectness * P(node) of the nodes in `map`, walks
(thresholds, n), the node it names at each of `hier`, -1 where it names none. The activation is done here: the softmax over
a tree of its CPU build reads from the wrong places and gives NaN. Only so wide a tree can be mapped: it maps 200 classes.
"""
import ctypes
import os
import struct
from pathlib import Path

import numpy as np

LIBRARY = "/usr/lib/darknet/libdarknet.so"
HERE = Path(__file__).parent
NODES, H, W, ANCHORS = 210, 2, 3, 2
HIER = (.02, .1, .25, .5)


class Detection(ctypes.Structure):
    """Darknet's struct detection."""

    _fields_ = [("box", ctypes.c_float * 4), ("classes", ctypes.c_int), ("prob", ctypes.POINTER(ctypes.c_float)),
                ("mask", ctypes.POINTER(ctypes.c_float)), ("objectness", ctypes.c_float), ("sort_class", ctypes.c_int)]


def parents(rng):
    """The parent of each of NODES nodes: groups of 1 to 7 siblings, level by level."""
    parent, node = [-1] * 3, 0
    while len(parent) < NODES:
        count = min(int(rng.integers(0, 8)) or (node == len(parent) - 1), NODES - len(parent))
        parent += [node] * count
        node += 1
    return parent


def activate(z, parent):
    """Raw (anchors, entries, h, w) -> activated, from the formula."""
    out = z.astype(np.float64)
    out[:, [0, 1, 4]] = 1 / (1 + np.exp(-out[:, [0, 1, 4]]))
    for above in set(parent):
        group = [5 + k for k in range(NODES) if parent[k] == above]
        power = np.exp(out[:, group])
        out[:, group] = power / power.sum(axis=1, keepdims=True)
    return out.astype(np.float32)


def load(darknet, name, count, rng):
    """Write NAME.weights of `count` small random numbers and load NAME.cfg with it."""
    numbers = rng.normal(0, .3, count).astype("<f4")
    (HERE / f"{name}.weights").write_bytes(struct.pack("<iiiQ", 0, 2, 0, 0) + numbers.tobytes())
    return ctypes.c_void_p(darknet.load_network(f"{name}.cfg".encode(), f"{name}.weights".encode(), 0))


def main():
    """Write all files."""
    os.chdir(HERE)  # where Darknet finds the tree
    rng = np.random.default_rng(9000)
    parent = parents(rng)
    Path("words.tree").write_text("".join(f"w{k} {above}\n" for k, above in enumerate(parent)))
    darknet = ctypes.CDLL(LIBRARY)
    darknet.load_network.restype = ctypes.c_void_p
    darknet.network_predict.restype = ctypes.POINTER(ctypes.c_float)
    darknet.get_network_boxes.restype = ctypes.POINTER(Detection)
    darknet.get_network_boxes.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_float, ctypes.c_float,
                                          ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]

    def predict(net, x):
        return darknet.network_predict(net, x.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))

    x = rng.random((3, 9, 12), np.float32)
    out = predict(load(darknet, "classifier", NODES * (1 + 27), rng), x)
    np.savez_compressed("classifier.npz", x=x, y=np.ctypeslib.as_array(out, (NODES,)).copy())

    net = load(darknet, "detector", ANCHORS * (5 + NODES) * 4, rng)
    z = rng.normal(0, 1.5, (ANCHORS, 5 + NODES, H, W)).astype(np.float32)
    held = np.ctypeslib.as_array(predict(net, np.zeros((3, 32, 48), np.float32)), (z.size,))  # the head's own output
    nodes = rng.permutation(NODES)[:200].astype(np.int32)

    def boxes(hier, mapping):
        held[:] = activate(z, parent).ravel()  # Darknet makes it absolute in place
        count = ctypes.c_int()
        found = darknet.get_network_boxes(net, 48, 32, 0, hier, mapping, 1, ctypes.byref(count))
        return [found[i] for i in range(count.value)]

    mapped = boxes(.5, nodes.ctypes.data)
    walks = [[next((k for k in range(NODES) if d.prob[k] > 0), -1) for d in boxes(hier, None)] for hier in HIER]
    np.savez_compressed("detector.npz", z=z, boxes=[list(d.box) for d in mapped], map=nodes, hier=HIER, walks=walks,
                        objectness=[d.objectness for d in mapped], mapped=[d.prob[:200] for d in mapped])
    Path("detector.weights").unlink()


if __name__ == "__main__":
    main()
