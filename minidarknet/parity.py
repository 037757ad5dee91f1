"""`minidarknet parity CFG WEIGHTS --oracle ...`: does somebody else compute the same, layer by layer, and where not?"""
import sys

import numpy as np

from minidarknet import cli
from minidarknet.errors import UsageError
from minidarknet.weights import parse_argument

TOLERANCE = {"opencv": 1e-3}    # its batch norm has another epsilon
USUAL_TOLERANCE = 1e-4
RANGES = {"scale": (.5, 1.5), "rolling_variance": (.5, 1.5), "bias": (-.2, .2), "rolling_mean": (-.2, .2)}
CALM = .6  # times the scale in residual networks: their softmax would saturate, and no difference could be seen


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("parity", "Run a network, layer after layer, and compare every layer's output with somebody else's: the "
                              "original Darknet's, OpenCV's, or one kept in a file. Exit code 0: all agree, 1: one departs.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one")
    p.add_argument("weights", metavar="WEIGHTS", nargs="?", help="a .weights file, or FILE:N for its first N layers "
                                                                 "(default: numbers drawn at random)")
    p.add_argument("--oracle", metavar="WHO", help="darknet: its library; opencv: OpenCV 4; or an .npz file with x "
                                                   "(c, h, w), and y or layer_0, layer_1, ..., in Darknet's order")
    shown = p.add_mutually_exclusive_group()
    shown.add_argument("--image", metavar="FILE", help="the picture to show it (default: noise)")
    shown.add_argument("--seed", type=cli.natural, metavar="N", help="of the noise, and of weights drawn (default: 0)")
    p.add_argument("--tolerance", type=cli.fraction, metavar="SHARE", help="of a layer's largest number that a number may "
                                                                           "differ by (default: 1e-4, for opencv 1e-3)")
    p.add_argument("--library", metavar="PATH", help="Darknet's libdarknet.so (default: where Debian's package has it)")
    p.add_argument("--save", type=cli.output, metavar="FILE", help="write what we compute to an .npz file, to be the "
                                                                   "--oracle of another machine")
    p.add_argument("--backend", choices=("engine", "kernels"), default="engine", help="what computes (default: engine)")
    p.add_argument("--strict-darknet-cpu", action="store_true", help="compute as Darknet's CPU build does, which has "
                                                                     "another epsilon in batch norm")
    cli.add_set(p)
    cli.add_threads(p)
    return p


def main(argv=None):
    """Run the command; returns 0 where all agree, 1 where a layer departs (see cli.run for refusals)."""
    from minidarknet import oracles
    args = arguments().parse_args(argv)
    if not (args.oracle or args.save):
        raise UsageError("parity compares with somebody: give --oracle darknet, opencv or FILE.npz (or --save FILE.npz, to "
                         "compare elsewhere)")
    told = oracles.from_file(args.oracle) if args.oracle not in (None, "darknet", "opencv") else None
    if told and (args.image or args.seed is not None):
        raise UsageError(f"--image and --seed choose the input, but {args.oracle} brings its own")
    if args.library and args.oracle != "darknet":
        raise UsageError("--library is for --oracle darknet")
    cli.use_threads(args.threads)
    net = load(args)
    x = told["x"].astype(np.float32) if told else picture(net, args.image, args.seed or 0)
    if told:
        fit(net, x, args.oracle)
    with cli.patience():
        ours = oracles.outputs(net, x)
    if args.save:
        oracles.save(args.save, ours)
        print(f"{args.save}: {len(net.layers)} layers written", file=sys.stderr)
    if not args.oracle:
        return 0
    theirs = told or ask(net, x, args)
    tolerance = args.tolerance if args.tolerance is not None else TOLERANCE.get(args.oracle, USUAL_TOLERANCE)
    return report(net, oracles.compare(ours, theirs), tolerance)


def load(args):
    """The Network of `args`, for one picture, every layer's output to be seen. Raises CfgError, WeightsError."""
    from minidarknet.network import Network
    overrides = {**cli.overrides(args), "net.batch": 1, "net.subdivisions": 1}
    net = Network.from_cfg(args.cfg, weights=args.weights, overrides=overrides, backend=args.backend, seed=args.seed or 0,
                           fused=False, strict_darknet_cpu=args.strict_darknet_cpu)
    if not args.weights:
        draw(net, np.random.default_rng(args.seed or 0))
    return net


def draw(net, rng):
    """Fill scales, biases and rolling statistics from `rng`: with those that a new network has, much would not show."""
    residual = any(layer.name == "shortcut" for layer in net.layers)
    for layer in net.layers:
        for stored in layer.stored:
            if stored.name in RANGES:
                stored.array[...] = rng.uniform(*RANGES[stored.name], stored.array.shape)
            if stored.name == "scale" and residual:
                stored.array[...] *= CALM


def picture(net, file, seed):
    """(c, h, w) float32 in 0..1: the picture `file` fitted into the network as `detect` does, or noise of `seed` if None.

    Raises DataError, UsageError.
    """
    h, w, c = net.input.shape
    if not file:
        return np.random.default_rng(seed).random((c, h, w), np.float32)
    from minidarknet.data import pictures
    if c != 3:
        raise UsageError(f"--image gives 3 channels, but the network takes {c}: use --seed")
    x, _ = pictures.fit(pictures.read(file), (h, w), net.resize_mode)
    return np.ascontiguousarray(x.transpose(2, 0, 1), np.float32)


def fit(net, x, file):
    """Resize `net` to the input x (c, h, w) that `file` holds. Raises UsageError where their channels differ, CfgError."""
    c, h, w = x.shape
    if c != net.input.shape[2]:
        raise UsageError(f"{file}: its x (c, h, w) = {x.shape} has {c} channels, but the network takes {net.input.shape[2]}")
    if (h, w) != net.input.shape[:2]:
        net.resize((w, h))


def ask(net, x, args):
    """What the oracle of `args` gives for x (c, h, w). Raises UsageError, MinidarknetError; see oracles.py."""
    from minidarknet import oracles
    file, layers = parse_argument(args.weights) if args.weights else (None, None)
    whole = file if layers is None else None  # it reads the very file, unless we read a part of it
    if args.oracle == "opencv":
        return oracles.opencv(net, x, whole)
    return oracles.darknet(net, x, whole, args.library)


def report(net, found, tolerance):
    """Print a line for each layer of `net` and what it comes to. found: {key: Difference}; returns the exit code."""
    print(f"{'layer':26} {'output':>15} {'largest':>10} {'mean diff.':>11} {'largest diff.':>14} {'relative':>9}")
    departs, worst, compared = None, 0.0, 0
    for layer in net.layers:
        key = next((key for key in (f"layer_{layer.index}", f"boxes_{layer.index}") if key in found), None)
        if key is None and layer is net.head and "y" in found:
            key = "y"
        h, w, c = layer.shape
        line = f"{layer.index:4} [{layer.name}]".ljust(26) + f" {f'{w} x {h} x {c}':>15} "
        if key is None:
            print(line + f"{'-':>10}")
            continue
        d, compared = found[key], compared + 1
        away = not d.relative <= tolerance
        print(line + f"{d.largest:10.4g} {d.mean:11.1e} {d.most:14.1e} {d.relative:9.1e}" + (" departs" if away else "")
              + (" (boxes)" if key.startswith("boxes") else ""))
        worst, departs = max(worst, d.relative), departs or (layer if away else None)
    if departs:
        print(f"departs: layer {departs.index} [{departs.name}] is the first that differs by more than {tolerance:g} of its "
              "largest number" + ("" if net.strict else "; --strict-darknet-cpu computes as Darknet's CPU build does"))
        return 1
    print(f"agrees: {compared} of {len(net.layers)} layers compared, the largest difference is {worst:.1e} of its layer's "
          f"largest number (tolerance {tolerance:g})")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
