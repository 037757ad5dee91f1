"""`minidarknet info CFG`: the table of a network's layers, with sizes, parameters, work and receptive fields.

Of several cfgs one table that compares them, as the paper compares Darknet-19 (5.58 billion operations at 224 x 224) with
VGG-16 (30.69) and YOLO's own extraction (8.52): YOLO9000 (arXiv 1612.08242), section 3.
"""
import json
import sys
from pathlib import Path
from typing import NamedTuple

from minidarknet import cli, weights
from minidarknet.errors import UsageError

HEADER_BYTES = 20


class Row(NamedTuple):
    """One layer of the table. shapes: (h, w, c). parameters: numbers in the .weights file. gflop: for one picture.

    field: side of the square of input pixels that one output can see.
    """

    index: int
    type: str
    filters: int | None
    size: int | None
    stride: int | None
    inputs: tuple
    output: tuple
    sources: tuple
    parameters: int
    gflop: float
    field: int


def arguments():
    """The command's ArgumentParser."""
    args = cli.command("info", "Print the table of a network's layers: shapes, parameters, work, receptive field.\n"
                               "Of several networks their sums side by side: minidarknet info darknet19 vgg-16 --size 224")
    args.add_argument("cfg", metavar="CFG", nargs="+", help="a cfg file, or a bundled one such as cfg/yolov2-tiny.cfg")
    args.add_argument("--weights", metavar="FILE[:N]", help="say whether this .weights file fits, and its header")
    args.add_argument("--size", type=cli.size, metavar="S", help="416 or 416x320 (width x height) instead of the cfg's")
    args.add_argument("--json", action="store_true", help="print JSON instead of the table")
    cli.add_set(args)
    return args


def main(argv=None):
    """Run the command; returns the exit code."""
    from minidarknet.network import Network
    args = arguments().parse_args(argv)
    for file in args.cfg:
        if file.endswith(".weights"):
            raise UsageError(f"{file} is no cfg: expected `minidarknet info CFG --weights {file}`")
    if args.weights and len(args.cfg) > 1:
        raise UsageError("--weights belong to one network: expected one CFG")
    overrides = cli.overrides(args)
    if args.size:
        overrides.update(zip(("net.width", "net.height"), args.size))
    nets = [Network.from_cfg(file, overrides=overrides, initialise=False) for file in args.cfg]
    if len(nets) > 1:
        print(json.dumps([summary(net) for net in nets], indent=2) if args.json else compared(nets))
        return 0
    header = fits = None
    if args.weights:
        file, layers = weights.parse_argument(args.weights)
        header = weights.check(nets[0], file, layers)
        fits = f"weights: {file} fits" + (f" up to layer {layers - 1}" if layers else "") + f" ({header})"
    if args.json:
        print(json.dumps(summary(nets[0], header), indent=2))
    else:
        print(text(nets[0]))
        if fits:
            print(fits)
    return 0


def rows(net):
    """[Row] of the network's layers."""
    seen, result = {net.input: (1.0, 1.0)}, []
    for layer in net.layers:
        seen[layer] = _field(layer, [seen[source] for source in layer.sources])
        windowed = layer.name in ("convolutional", "local", "maxpool", "reorg")
        size, stride = layer.window() if windowed else (None, None)
        if layer.name == "reorg":
            size, stride = None, layer.options.stride
        stored = sum(stored.array.size for stored in layer.stored)
        result.append(Row(layer.index, layer.name, getattr(layer.options, "filters", None), size, stride,
                          layer.sources[0].shape, layer.shape, tuple(source.index for source in layer.sources),
                          stored, layer.operations() / 1e9, round(seen[layer][0])))
    return result


def _field(layer, sources):
    """(field, jump) of a layer in input pixels: what one output sees, and how far the next output is moved.

        field = field_in + (size - 1) * jump_in        jump = jump_in * stride

    sources: those of the layers it reads; of several the widest counts. A layer that enlarges the picture (reorg with
    reverse=1) shortens the jump instead.
    """
    size, stride = layer.window()
    field = max(field for field, _ in sources)
    jump = max(jump for _, jump in sources)
    enlarged = max(layer.shape[0] / layer.sources[0].shape[0], 1)
    return field + (size - 1) * jump, jump * stride / enlarged


def totals(net):
    """The network's sums as a dict: parameters, trainable, weights_bytes, gflop, mini_batch, activation bytes.

    gflop: of all layers for one picture; gflop_convolutional: of the convolutions alone, which papers count.
    activation_bytes: float32 outputs of all layers for the cfg's mini-batch; training_bytes: with what the backward
    pass keeps besides them (gradients, values before batch normalisation, winners of the pooling).
    """
    o = net.options
    mini = o.batch // o.subdivisions
    parameters = sum(stored.array.size for layer in net.layers for stored in layer.stored)
    out = kept = 0
    for layer in net.layers:
        h, w, c = layer.shape
        out += h * w * c
        kept += h * w * c * (layer.wants_grad + (getattr(layer, "norm", None) is not None) + (layer.name == "maxpool"))
    return {"parameters": parameters,
            "trainable": sum(param.value.size for layer in net.layers for param in layer.params),
            "weights_bytes": HEADER_BYTES + 4 * parameters,
            "gflop": sum(layer.operations() for layer in net.layers) / 1e9,
            "gflop_convolutional": sum(layer.operations() for layer in net.layers if layer.name == "convolutional") / 1e9,
            "mini_batch": mini, "activation_bytes": 4 * mini * out, "training_bytes": 4 * mini * (out + kept)}


def summary(net, header=None):
    """What --json prints, as a dict: `totals`, the input's (h, w, c), the layers, and the header of the weights."""
    h, w, c = net.input.shape
    result = {"cfg": net.cfg.path, "input": {"height": h, "width": w, "channels": c}, **totals(net),
              "layers": [row._asdict() for row in rows(net)]}
    if header:
        result["weights"] = header._asdict()
    return result


def text(net):
    """The table (str) of the network's layers, with the totals below."""
    head = (f"{'':>3} {'type':<14} {'filters':>7}  {'size/stride':<11}  {'input':>18} -> {'output':<18} "
            f"{'parameters':>11} {'GFLOP':>8} {'field':>6}")
    lines = [f"{net.cfg.path}: input {_shape(net.input.shape)}", head]
    for row in rows(net):
        window = "" if row.stride is None else f"/ {row.stride}" if row.size is None \
            else f"{row.size} x {row.size} / {row.stride}"
        taken = ", ".join(map(str, row.sources)) if row.type == "route" else _shape(row.inputs)
        lines.append(f"{row.index:>3} {row.type:<14} {row.filters or '':>7}  {window:<11}  {taken:>18} -> "
                     f"{_shape(row.output):<18} {f'{row.parameters:,}' if row.parameters else '':>11} "
                     f"{f'{row.gflop:.3f}' if row.gflop else '':>8} {row.field:>6}")
    t = totals(net)
    return "\n".join(lines) + f"""
{t['parameters']:,} parameters, {t['trainable']:,} of them trainable; a .weights file of {t['weights_bytes']:,} bytes
{t['gflop']:.3f} GFLOP for one picture (a multiplication and an addition are two)
activations for a mini-batch of {t['mini_batch']}: {_megabytes(t['activation_bytes'])}; \
{_megabytes(t['training_bytes'])} while training
field: side in input pixels of what one output can see; input of a route: the layers it joins"""


def compared(nets):
    """The sums of several networks as a table (str), a line for each."""
    names = [Path(net.cfg.path).stem for net in nets]
    wide = max([len(name) for name in names] + [7])
    lines = [f"{'network':{wide}} {'input':>18} {'layers':>7} {'parameters':>12} {'GFLOP':>8} {'convolutions':>13}"]
    for name, net in zip(names, nets):
        t = totals(net)
        lines.append(f"{name:{wide}} {_shape(net.input.shape):>18} {len(net.layers):>7} {t['parameters']:>12,} "
                     f"{t['gflop']:>8.3f} {t['gflop_convolutional']:>13.3f}")
    return "\n".join(lines) + "\nGFLOP: billions of operations for one picture (a multiplication and an addition are two)"


def _shape(shape):
    """(h, w, c) as "416 x 416 x    3"."""
    return f"{shape[1]:>4} x {shape[0]:>4} x {shape[2]:>4}"


def _megabytes(count):
    return f"{count / 1e6:,.1f} MB"


if __name__ == "__main__":
    sys.exit(cli.run(main))
