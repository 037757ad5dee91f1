"""`minidarknet weights FILE`: what is in a .weights file, and which cfgs it fits."""
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidarknet import cli, parser, weights, weights_fit
from minidarknet.files import replacing
from minidarknet.network import Network

NO_SCALE = 1e-6     # a filter whose batch norm multiplies by less, in size, is dead
PORTION = 1 << 20   # numbers that are looked at at a time


class Row(NamedTuple):
    """One array of the file. shape: in Darknet's order. offset: its first byte. min, max, mean, std: of its finite numbers.

    not_finite: numbers that are NaN or infinite. dead: for weights, filters whose output is the same whatever the picture
    shows: their weights are all 0, or the scale of their batch norm is within 1e-6 of 0; else None.
    """

    layer: int
    section: str
    array: str
    shape: tuple
    offset: int
    count: int
    min: float
    max: float
    mean: float
    std: float
    not_finite: int
    dead: int | None


def arguments():
    """The command's ArgumentParser."""
    args = cli.command("weights", "Say what is in a Darknet .weights file: its header, the bundled cfgs that it fits, and "
                                  "with --cfg what each array holds.")
    args.add_argument("file", metavar="FILE[:N]", help="a .weights file; N: the first N layers only")
    args.add_argument("--cfg", metavar="CFG", help="the network it belongs to: print a table of its arrays, or why it does "
                                                   "not fit (exit code 4)")
    args.add_argument("--json", type=cli.output, metavar="FILE", help="write the same as JSON")
    cli.add_set(args)
    return args


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    file, layers = weights.parse_argument(args.file)
    header = weights.read_header(file)
    result = {"file": file, "bytes": Path(file).stat().st_size, "numbers": (Path(file).stat().st_size - header.size) // 4,
              "header": {**header._asdict(), "seen_bytes": header.size - 12, "transposed": header.transposed}}
    print(f"{file}: {result['bytes']:,} bytes, {result['numbers']:,} numbers behind the header\n{_head(header)}")
    if args.cfg:
        network = Network(parser.override(parser.read(args.cfg), cli.overrides(args)), arrays=False)
        table = rows(network, file, layers)
        print(text(table))
        print(f"fits {args.cfg}" + (f" up to layer {layers - 1}" if layers else "") + f": {_summary(table)}")
        _warn(file, header, table)
        result.update(cfg=args.cfg, layers=layers, arrays=[row._asdict() for row in table])
    else:
        found = weights_fit.fits(file)
        print("\n".join(_fitting(found)))
        result["fits"] = [fit._asdict() for fit in found]
    if args.json:
        with replacing(args.json, "w", encoding="utf-8") as out:
            json.dump(result, out, indent=2)
    return 0


def rows(network, path, layers=None):
    """[Row] of the arrays in the file at `path`. network: its Network, of which only the shapes count.

    layers: as weights.load. Raises WeightsError where the file does not fit.
    """
    header, blocks = weights.measure(network, path, layers)
    arrays = list(weights.filed(network, path, blocks))
    scales = {block.index: values for block, stored, _, values in arrays if stored.name == "scale"}
    return [Row(block.index, block.name, stored.name, weights.as_filed(stored).shape, offset, len(values),
                *_statistics(values),
                _dead(weights.as_held(values, stored, header.transposed), scales.get(block.index)) if stored.order else None)
            for block, stored, offset, values in arrays]


def _statistics(values):
    """(min, max, mean, std, how many are not finite) of flat float32 numbers; 0 for the first four where none is finite."""
    low, high, total, squares, bad = np.inf, -np.inf, 0.0, 0.0, 0
    for start in range(0, len(values), PORTION):
        part = values[start:start + PORTION]
        finite = part[np.isfinite(part)].astype(np.float64)
        bad += len(part) - len(finite)
        if len(finite):
            low, high = min(low, finite.min()), max(high, finite.max())
            total, squares = total + finite.sum(), squares + (finite * finite).sum()
    count = len(values) - bad
    if not count:
        return 0.0, 0.0, 0.0, 0.0, bad
    mean = total / count
    return float(low), float(high), float(mean), float(max(squares / count - mean * mean, 0) ** .5), bad


def _dead(weight, scale):
    """How many filters are dead, see Row. weight: (k, k, c, f); scale: (f,) of their batch norm, or None."""
    dead = ~weight.any(axis=(0, 1, 2))
    if scale is not None:
        dead |= np.abs(scale) <= NO_SCALE
    return int(dead.sum())


def text(table):
    """The [Row] `table` as lines of text (str)."""
    lines = [f"{'layer':>5} {'':<14} {'array':<16} {'shape':>18} {'from byte':>12} {'count':>11} {'min':>10} {'max':>10} "
             f"{'mean':>10} {'std':>9} {'NaN/inf':>7} {'dead':>4}"]
    layer = None
    for row in table:
        whose = ("", "") if row.layer == layer else (row.layer, row.section)
        layer = row.layer
        shape = " x ".join(map(str, row.shape))
        lines.append(f"{whose[0]:>5} {whose[1]:<14} {row.array:<16} {shape:>18} {row.offset:>12,} {row.count:>11,} "
                     f"{row.min:>10.4g} {row.max:>10.4g} {row.mean:>10.4g} {row.std:>9.4g} {row.not_finite or '':>7} "
                     f"{row.dead or '':>4}")
    return "\n".join(lines)


def _head(header):
    """The line that tells of the header."""
    transposed = "; the matrices of [connected] are filed the other way round" if header.transposed else ""
    return (f"version {header.major}.{header.minor}.{header.revision}, seen {header.seen:,} pictures (a number of "
            f"{header.size - 12} bytes), header of {header.size} bytes{transposed}")


def _summary(table):
    """The line under the table."""
    filters = sum(row.shape[0] for row in table if row.dead is not None)
    return (f"{sum(row.count for row in table):,} numbers in {len({row.layer for row in table})} layers, "
            f"{sum(row.not_finite for row in table):,} not finite, {sum(row.dead or 0 for row in table):,} of {filters:,} "
            "filters dead (all weights 0, or scale 0)")


def _warn(file, header, table):
    """Say on stderr why the file, although it fits, would not be loaded."""
    bad = [row for row in table if row.not_finite or max(-row.min, row.max) >= weights.ABSURD]
    problems = [f"layer {row.layer} [{row.section}] {row.array} holds numbers that are not finite, or absurd" for row in bad]
    if header.seen >= weights.MOST_SEEN:
        problems.append(f"the header tells of {header.seen:,} pictures")
    if problems:
        cli.warn([f"{file}: {problem}: detect and train refuse it" for problem in problems])


def _fitting(found):
    """The lines that tell which cfgs a file fits. found: [weights_fit.Fit]."""
    for fit in found:
        yield f"fits {fit}"
    if not found:
        yield "fits no bundled cfg: --cfg CFG says where it departs from yours"


if __name__ == "__main__":
    sys.exit(cli.run(main))
