"""Make the golden files of this folder with the original Darknet: NAME.weights, and NAME.npz with its input and output.

    apt-get install darknet        # Debian's package: the original of 2018, its build for CPUs
    python tests/golden/make_golden.py

x: (c, h, w) float32 in 0..1, y: Darknet's network_predict, a flat float32 array in its own order (c, h, w).
"""
import ctypes
import struct
from pathlib import Path

import numpy as np

LIBRARY = "/usr/lib/darknet/libdarknet.so"
HERE = Path(__file__).parent
NETS = {  # name -> (c, h, w) of the input, numbers of the output, [(filters, inputs, size, normalised)] of its layers
    "passthrough": ((3, 32, 48), 16 * 4 * 6, [(6, 3, 3, True), (8, 6, 3, True), (4, 8, 1, False), (7, 8, 3, True),
                                              (16, 23, 1, False)]),
    "classifier": ((3, 19, 27), 10, [(9, 3, 5, True), (10, 9, 3, False)]),
    "connected": ((3, 7, 11), 9, [(5, 3, 3, False)]),
    "twoheads": ((3, 32, 64), 16 * 8 * 16, [(6, 3, 3, True), (8, 6, 3, True), (16, 8, 1, False), (16, 14, 3, False)]),
    "residual": ((3, 32, 48), 5 * 32 * 48, [(6, 3, 3, True), (8, 6, 3, True), (4, 8, 1, False), (5, 8, 3, False)]),
}


CONNECTED = {"connected": [(33, 120, True), (9, 33, False)]}  # what follows: (output, inputs, normalised)


def numbers(layers, rng):
    """What a .weights file holds after its header: for each layer biases, then if normalised scales, means, variances,
    then weights (f, c, k, k). layers: as in NETS. Returns a flat float32 array."""
    parts = []
    for filters, inputs, size, normalised in layers:
        parts.append(rng.normal(0, .5, filters))
        if normalised:
            parts += [rng.uniform(.5, 1.5, filters), rng.normal(0, .3, filters), rng.uniform(.01, 2, filters)]
        parts.append(rng.normal(0, (2 / (inputs * size * size)) ** .5, filters * inputs * size * size))
    return np.concatenate(parts).astype("<f4")


def connected(layers, rng):
    """The same for [connected], whose batch norm comes last: biases, weights, scales, means, variances."""
    parts = []
    for output, inputs, normalised in layers:
        parts += [rng.normal(0, .5, output), rng.normal(0, (1 / inputs) ** .5, output * inputs)]
        if normalised:
            parts += [rng.uniform(.5, 1.5, output), rng.normal(0, .3, output), rng.uniform(.01, 2, output)]
    return np.concatenate(parts or [[]]).astype("<f4")


def main():
    """Write the files of all NETS."""
    darknet = ctypes.CDLL(LIBRARY)
    darknet.load_network.restype = ctypes.c_void_p
    darknet.network_predict.restype = ctypes.POINTER(ctypes.c_float)
    for name, (shape, outputs, layers) in NETS.items():
        rng = np.random.default_rng(2017)
        weights = HERE / f"{name}.weights"
        weights.write_bytes(struct.pack("<iiiQ", 0, 2, 0, 0) + numbers(layers, rng).tobytes()
                            + connected(CONNECTED.get(name, []), rng).tobytes())
        net = darknet.load_network(str(HERE / f"{name}.cfg").encode(), str(weights).encode(), 0)
        x = rng.random(shape, np.float32)
        out = darknet.network_predict(ctypes.c_void_p(net), x.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
        np.savez_compressed(HERE / f"{name}.npz", x=x, y=np.ctypeslib.as_array(out, (outputs,)).copy())


if __name__ == "__main__":
    main()
