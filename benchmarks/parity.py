"""The bundled networks in the original Darknet and here: same cfg, same random weights, same picture, strict mode.

    apt-get install darknet
    python benchmarks/parity.py [resnet18 yolov3-tiny ...]      default: all below; vgg-16 alone takes half a minute

Prints the largest number of the output (of several heads the last one's, which is what Darknet returns) and the largest
difference. Darknet is Debian's package of 2018, its build for CPUs, called as a library.
"""
import argparse
import ctypes
import tempfile
from pathlib import Path

import numpy as np

from minidarknet import Network, parser, weights

LIBRARY = "/usr/lib/darknet/libdarknet.so"
NETS = ("yolov2-tiny-voc", "darknet", "darknet19", "tiny", "extraction", "alexnet", "vgg-16", "darknet53",
        "resnet18", "resnet34", "resnet50", "yolov3-tiny", "yolov3-voc", "cifar", "yolov1-tiny", "yolov1")
RANGES = {"scale": (.5, 1.5), "rolling_variance": (.5, 1.5), "bias": (-.2, .2), "rolling_mean": (-.2, .2)}
CALM = .6  # times the scale in residual networks: their softmax would saturate, and no difference could be seen


def original():
    """Darknet's library. Raises SystemExit where it is not installed."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise SystemExit(f"{LIBRARY} is not there: apt-get install darknet") from None
    library.load_network.restype = ctypes.c_void_p
    library.network_predict.restype = ctypes.POINTER(ctypes.c_float)
    return library


def network(name, rng):
    """A Network of the bundled cfg `name` for one picture, with weights and statistics drawn from `rng`."""
    net = Network.from_cfg(name, strict_darknet_cpu=True, overrides={"net.batch": 1, "net.subdivisions": 1})
    residual = any(layer.name == "shortcut" for layer in net.layers)
    for layer in net.layers:
        for stored in layer.stored:
            if stored.name in RANGES:
                stored.array[...] = rng.uniform(*RANGES[stored.name], stored.array.shape)
            if stored.name == "scale" and residual:
                stored.array[...] *= CALM
    return net


def compare(library, net, x):
    """(largest number, largest difference) of the outputs for x (1, h, w, c)."""
    ours = net.predict(x)
    ours = ours[-1] if isinstance(ours, tuple) else ours
    ours = (ours if ours.ndim == 2 else ours.transpose(0, 3, 1, 2)).ravel()  # Darknet's order
    with tempfile.TemporaryDirectory() as folder:
        cfg, file = Path(folder) / "x.cfg", Path(folder) / "x.weights"
        cfg.write_text(parser.render(net.cfg))
        weights.save(net, file)
        loaded = library.load_network(str(cfg).encode(), str(file).encode(), 0)
    plane = np.ascontiguousarray(x[0].transpose(2, 0, 1))
    out = library.network_predict(ctypes.c_void_p(loaded), plane.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
    theirs = np.ctypeslib.as_array(out, (ours.size,))
    return np.abs(theirs).max(), np.abs(theirs - ours).max()


def main():
    """Compare and print."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("names", nargs="*", default=NETS, metavar="NAME", help="bundled cfgs")
    names, library = args.parse_args().names, original()
    for name in names:
        rng = np.random.default_rng(0)
        net = network(name, rng)
        largest, difference = compare(library, net, rng.random((1, *net.input.shape), np.float32))
        print(f"{name:18} largest number {largest:8.2g}   largest difference {difference:8.1e}", flush=True)


if __name__ == "__main__":
    main()
