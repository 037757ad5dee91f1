"""`minidarknet convert CFG WEIGHTS OUT`: weights for another program, or for another training."""
import re
import sys
from pathlib import Path

from minidarknet import cli, fold, npz_weights, onnx_export, parser, paths, weights
from minidarknet.errors import MinidarknetError, UsageError
from minidarknet.files import replacing
from minidarknet.network import Network

HEADERS = {"0.1.0": (0, 1, 0), "0.2.0": (0, 2, 0), "0.2.5": (0, 2, 5)}
KINDS = ("weights", "npz", "onnx")
PARTIAL = re.compile(r".*\.conv\.[0-9]+")     # Darknet's names for the first layers, darknet19_448.conv.23


def arguments():
    """The command's ArgumentParser."""
    args = cli.command("convert", "Write weights in another form. What OUT's name ends in decides: .weights (Darknet's), "
                                  ".npz (NumPy's, every array by its name), .onnx (a model for other programs).")
    args.add_argument("cfg", metavar="CFG", help="the network the weights belong to")
    args.add_argument("weights", metavar="WEIGHTS[:N]", help="a .weights or .npz file; N: take the first N layers only, as "
                                                             "Darknet's `partial`, and forget how many pictures were seen")
    args.add_argument("out", metavar="OUT", type=cli.output, help="the file to write: .weights, .npz or .onnx")
    args.add_argument("--to", choices=KINDS, help="what OUT is to be, whatever its name ends in")
    args.add_argument("--layers", type=cli.positive, metavar="N", help="the same as WEIGHTS:N")
    args.add_argument("--fold-batch-norm", action="store_true", help="multiply batch norm into the weights; OUT with the "
                                                                     "ending .cfg is the cfg without it")
    args.add_argument("--strict-darknet-cpu", action="store_true",
                      help="fold with the epsilon of Darknet's CPU build, 1e-6 outside the root (default: 1e-5 inside)")
    args.add_argument("--header", choices=HEADERS, default="0.2.0", help=".weights: the version in the header; 0.1.0 counts "
                                                                         "pictures in 4 bytes, for old programs")
    args.add_argument("--seen", type=cli.natural, metavar="N", help="the number of pictures trained on (default: WEIGHTS's)")
    args.add_argument("--size", type=cli.size, metavar="S", help=".onnx: 416 or 416x320 (width x height), not the cfg's")
    args.add_argument("--decode", action="store_true", help=".onnx of a detector: put out boxes (x y w h, fractions of the "
                                                            "input), objectness and class probabilities")
    cli.add_set(args)
    return args


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    file, layers = weights.parse_argument(args.weights)
    if layers and args.layers and layers != args.layers:
        raise UsageError(f"{args.weights} and --layers {args.layers} contradict each other: give one of them")
    layers = layers or args.layers
    kind = _kind(args, layers)
    if kind == "onnx":
        onnx_export.package()   # refuse at once, not after the weights are read
    overrides = cli.overrides(args)
    if args.size:
        overrides.update(zip(("net.width", "net.height"), args.size))
    net = loaded(args.cfg, file, layers, overrides, args.strict_darknet_cpu)
    if args.seen is not None:
        net.seen = args.seen
    if args.fold_batch_norm and kind != "onnx":
        _fold(net, args, layers, kind)
    else:
        _write(net, args.out, layers, kind, args)
    return 0


def loaded(cfg, file, layers=None, overrides={}, strict=False):
    """The Network of `cfg` with the weights of `file`, .weights or .npz; of its first `layers` layers only where given.

    overrides: as --set. strict: strict_darknet_cpu. Raises CfgError, WeightsError.
    """
    cfg = parser.override(parser.read(cfg), overrides)
    passed_over = any(section.entry("dontload") for section in cfg.layers)
    net = Network(cfg, strict_darknet_cpu=strict, initialise=passed_over)
    (npz_weights if str(file).endswith(".npz") else weights).load(net, file, layers)
    net.names = net.names_beside(file)
    return net


def _kind(args, layers):
    """"weights", "npz" or "onnx": what OUT is to be. Raises UsageError for options that do not go with it."""
    kind = args.to or ("weights" if PARTIAL.fullmatch(args.out) else Path(args.out).suffix[1:])
    if kind not in KINDS:
        raise UsageError(f"{args.out}: expected a name that ends in .weights, .npz or .onnx, or --to weights")
    for option, given, only in (("--layers", layers, ("weights", "npz")), ("--decode", args.decode, ("onnx",)),
                                ("--size", args.size, ("onnx",)), ("--header", args.header != "0.2.0", ("weights", "npz"))):
        if given and kind not in only:
            raise UsageError(f"{option} is for {' and '.join(only)} files, not for {args.out}")
    return kind


def _fold(net, args, layers, kind):
    """Write the folded weights, and the cfg that goes with them beside."""
    cfg = Path(args.out).with_suffix(".cfg")
    if cfg.exists() and cfg.samefile(paths.resolve(args.cfg)):
        raise UsageError(f"{cfg} is the cfg without folding and would be overwritten: choose another name than {args.out}")
    net = fold.folded(net)
    _write(net, args.out, layers, kind, args)
    try:
        with replacing(cfg, "w", encoding="utf-8") as out:
            out.write(parser.render(net.cfg))
    except OSError as problem:
        raise MinidarknetError(f"{cfg}: cannot be written: {problem.strerror}") from None
    print(f"{cfg}: the cfg with batch_normalize=0")


def _write(net, out, layers, kind, args):
    """Write the network to `out` and say what was written."""
    if kind == "onnx":
        onnx_export.save(net, out, args.decode)
        print(f"{out}: {onnx_export.described(net, args.decode)}")
        return
    (weights if kind == "weights" else npz_weights).save(net, out, layers, HEADERS[args.header])
    print(f"{out}: {f'the first {layers} layers' if layers else f'all {len(net.layers)} layers'}, version {args.header}, "
          f"seen {net.seen:,} pictures")


if __name__ == "__main__":
    sys.exit(cli.run(main))
