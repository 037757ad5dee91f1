"""`minidarknet anchors --data DATA`: anchors that fit a data set, beside others, and into a cfg. See clusters.py."""
import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidarknet import cli, clusters, figures, parser, paths, rewrite, runs
from minidarknet.data import annotations
from minidarknet.errors import CfgError, DataError, UsageError

MOST = 100      # anchors
STRIDE = 32     # pixels of a cell where no cfg says otherwise: YOLOv2's
SIZE = (416, 416)
METHODS = {     # name -> (distance, centre)
    "iou, mean": (clusters.iou_distance, np.mean),
    "iou, median": (clusters.iou_distance, np.median),
    "euclid": (clusters.squared_distance, np.mean),
}


class Row(NamedTuple):
    """One set of anchors. average_iou: mean IoU of a box with its closest anchor. recall: share of boxes above IoU .5.

    paper: the paper's average IoU for such anchors on VOC 2007, or None. anchors: (k, 2) in the unit of the head.
    """

    k: int
    method: str
    average_iou: float
    recall: float
    paper: float
    anchors: np.ndarray


def counts(text):
    """argparse type: "5", "1..15" or "3,5,9" -> the numbers, sorted."""
    try:
        if ".." in text:
            first, last = (cli.positive(end) for end in text.split(".."))
            numbers = range(first, last + 1)
        else:
            numbers = sorted(cli.positive(part) for part in text.split(","))
    except (argparse.ArgumentTypeError, ValueError):  # no number; not two ends
        numbers = ()
    if not len(numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of anchors, a range 1..15, or a list 3,5,9")
    if numbers[-1] > MOST or len(numbers) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {MOST} anchors at most")
    return sorted(set(numbers))


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("anchors", "Find anchors for a data set by k-means with the distance 1 - IoU (YOLO9000, section 2), "
                               "and say how well\nthey fit, beside other ways and the paper's figures. Results: a table on "
                               "stdout; anchors.csv,\nanchors.json and anchors.png in the run folder.")
    p.add_argument("--data", default="sample", metavar="DATA",
                   help="a .data file, a VOC year folder (several joined by commas) or 'sample' (default)")
    p.add_argument("--split", default="train", help="list of pictures (default: train)")
    p.add_argument("--classes", metavar="A,B", help="only the boxes of these classes")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="only the first N pictures")
    p.add_argument("-k", type=counts, default=counts("1..15"), metavar="K",
                   help="how many anchors: 5, 1..15 (default) or 3,5,9")
    p.add_argument("--centre", choices=("mean", "median"), default="mean",
                   help="what of its boxes a printed or written anchor is (default: mean, the paper's)")
    p.add_argument("--cfg", metavar="CFG", help="the network they are for: its size and the unit of its head (default: "
                                                f"cells of {STRIDE} pixels)")
    p.add_argument("--write", action="store_true", help="put them into that file, and show the lines that changed")
    p.add_argument("--size", type=cli.size, metavar="S", help="size of the network's input: 416 or 416x320 "
                                                              "(width x height; default: the cfg's, else 416)")
    p.add_argument("--resize", choices=("letterbox", "stretch"), default="letterbox",
                   help="how pictures are fitted into the network (default: letterbox)")
    p.add_argument("--restarts", type=cli.positive, default=10, metavar="N", help="attempts, best one counts (default: 10)")
    p.add_argument("--seed", type=cli.natural, default=0, metavar="N", help="of all random draws (default: 0)")
    p.add_argument("--out", metavar="DIR", help="where to write (default: runs/anchors/NAME, NAME-2, ...)")
    p.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return p


class Head(NamedTuple):
    """What the anchors are for. size: (w, h) of the network's input; extent: the same in `unit`; num: the cfg's k."""

    cfg: object
    section: object
    size: tuple
    extent: tuple
    unit: str
    num: int


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    head = _head(args)
    k = _chosen(args, head)
    dataset = annotations.load(args.data, args.split, args.classes, args.limit)
    cli.warn(dataset.problems)
    shapes = clusters.shapes(dataset.examples, head.size, args.resize) * head.extent
    if not len(shapes):
        raise DataError(f"{args.data}: split {args.split!r} has {len(dataset)} pictures, but no box on them to learn from")
    rows = _rows(shapes, head, args)
    best = next(row for row in rows if row.k == k and row.method == f"iou, {args.centre}")
    folder = runs.claim_new(args.out, Path(dataset.name).stem, "runs/anchors").path
    facts = {"data": args.data, "split": args.split, "pictures": len(dataset), "boxes": len(shapes),
             "size": list(head.size), "resize": args.resize, "unit": head.unit, "extent": list(head.extent)}
    _save(rows, best, shapes, facts, folder)
    if args.json:
        print(_json(rows, facts))
    else:
        print(f"{dataset.name}, {args.split}: {len(shapes)} boxes on {len(dataset)} pictures, as the network of "
              f"{head.size[0]} x {head.size[1]} sees them ({args.resize})\n{table(rows)}\n\n"
              f"k={k}, in {head.unit} of the network's {head.extent[0]:g} x {head.extent[1]:g}:\n"
              f"anchors={text_of(best.anchors, head.unit)}")
    print(f"done: {folder}", file=sys.stderr)
    if args.write:
        _write(head, best, sys.stderr if args.json else sys.stdout)
    return 0


def _head(args):
    """The Head that the options mean. Raises CfgError for a cfg without anchors, UsageError."""
    if args.cfg is None:
        if args.write:
            raise UsageError("--write needs --cfg FILE, the cfg to be changed")
        size = args.size or SIZE
        return Head(None, None, size, (size[0] / STRIDE, size[1] / STRIDE), f"cells of {STRIDE} pixels", None)
    from minidarknet.network import Network
    cfg = parser.read(args.cfg)
    if args.write and Path(cfg.path).resolve().parent == paths.BUNDLED.resolve():
        name = Path(cfg.path).stem
        raise UsageError(f"{args.cfg} is bundled and stays as it is: `minidarknet cfg {name} > my.cfg`, then --cfg my.cfg")
    net = Network(parser.override(cfg, dict(zip(("net.width", "net.height"), args.size or ()))), initialise=False)
    heads = [layer for layer in net.heads if hasattr(layer.options, "anchors")]
    if not heads:
        raise CfgError(f"{cfg.path}: ends in [{net.head.name}], which has no anchors; expected [region] or [yolo]")
    first = heads[-1]
    if any(head.name != first.name for head in heads):
        raise CfgError(f"{cfg.path}: has heads of several kinds, whose anchors have different units; expected one kind")
    return Head(cfg, first.section, net.input.shape[1::-1], first.extent, first.unit, first.options.num)


def _chosen(args, head):
    """The k whose anchors are printed and written: the cfg's num, or the only one asked for. Raises UsageError."""
    usual = head.num or 5
    k = usual if usual in args.k else args.k[-1]
    if args.write and k != head.num:
        if len(args.k) > 1:
            raise UsageError(f"--write: {head.cfg.path} has num={head.num}, which is not among the k asked for: "
                             f"give -k {head.num}, or the one k that it shall have")
        if head.section.name == "yolo":
            raise UsageError(f"--write: {head.cfg.path} has num={head.num} anchors, shared out among its heads by mask=: "
                             f"give -k {head.num}, or change num and mask first")
    return k


def _rows(shapes, head, args):
    """All sets of anchors: [Row], by k, then by method, the hand-picked ones last."""
    found = []
    for k in args.k:
        for method, (distance, centre) in METHODS.items():
            anchors = clusters.kmeans(shapes, k, distance, centre, args.restarts, args.seed)
            found.append((k, method, anchors))
    found.append((len(clusters.HAND_PICKED), "hand-picked", clusters.HAND_PICKED * head.extent))
    return [Row(k, method, clusters.average_iou(shapes, anchors), clusters.best_possible_recall(shapes, anchors),
                clusters.PAPER.get((k, method.partition(",")[0])), anchors) for k, method, anchors in found]


def table(rows):
    """[Row] as aligned text (str): a line for each k, average IoU and best possible recall of every method."""
    lines = ["     average IoU of a box with its closest anchor      best possible recall (IoU > .5)",
             "  k  1-IoU mean   median   Euclid    paper: IoU, Euclid   1-IoU mean   median   Euclid"]
    for k in sorted({row.k for row in rows if row.method in METHODS}):
        own = {row.method: row for row in rows if row.k == k and row.method in METHODS}
        fit = [f"{row.average_iou:9.3f}" for row in own.values()]
        recall = [f"{row.recall:9.3f}" for row in own.values()]
        told = [_share(own[method].paper) for method in ("iou, mean", "euclid")]
        lines.append(f"{k:3}   {''.join(fit)}{told[0]:>15}, {told[1]:>6}    {''.join(recall)}")
    hand = rows[-1]
    return "\n".join(lines) + (f"\nhand-picked, {hand.k} (Faster R-CNN's): average IoU {hand.average_iou:.3f} "
                               f"(paper {hand.paper:.3f}), best possible recall {hand.recall:.3f}")


def _share(value):
    return "-" if value is None else f"{value:.3f}"


def text_of(anchors, unit):
    """Anchors (k, 2) as a cfg has them: "1.32,1.73,  3.19,4.01", whole numbers where the unit is pixels."""
    digits = 0 if unit == "pixels" else 3
    return ",".join(f"{max(value, 10.0 ** -digits):.{digits}f}" for value in np.ravel(anchors))


def _json(rows, facts):
    """Everything as JSON text."""
    return json.dumps({**facts, "anchors": [{**row._asdict(), "anchors": row.anchors.round(6).tolist()}
                                            for row in rows]}, indent=1)


def _save(rows, best, shapes, facts, folder):
    """Write anchors.csv, anchors.json and anchors.png into `folder`."""
    from minidarknet.viz_anchors import clusters_chart
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("k", "method", "average_iou", "best_possible_recall", "paper", "anchors"))
    for row in rows:
        writer.writerow((row.k, row.method, f"{row.average_iou:.4f}", f"{row.recall:.4f}", row.paper,
                         text_of(row.anchors, facts["unit"])))
    runs.write_text(folder / "anchors.csv", file.getvalue())
    runs.write_text(folder / "anchors.json", _json(rows, facts) + "\n")
    title = f"{facts['data'] if facts['data'] == 'sample' else Path(facts['data']).name}, {facts['boxes']} boxes"
    figures.save(clusters_chart(rows, clusters.PAPER, best.anchors, shapes, facts["unit"], title), folder / "anchors.png")


def _write(head, best, stream):
    """Put the anchors into the cfg, with num and the filters before it where k is new, and show what changed."""
    name, k = head.section.name, best.k
    values = {f"{name}.anchors": text_of(best.anchors, head.unit)}
    cfg = parser.override(head.cfg, values if k == head.num else {**values, f"{name}.num": k})
    if k != head.num:
        cfg = parser.with_classes(cfg, int(head.section.get("classes", 20)))
    for number, old, new in rewrite.write_back(cfg):
        print(f"{cfg.path}:{number}" + (f"\n- {old}" if old is not None else "") + f"\n+ {new}", file=stream)


if __name__ == "__main__":
    sys.exit(cli.run(main))
