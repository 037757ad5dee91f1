"""`minidarknet evaluate CFG WEIGHTS --data DATA`: average precision per class and mAP, as the VOC devkit counts."""
import json
import sys
import time
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from minidarknet import cli, detect, runs
from minidarknet.data.example import Dataset
from minidarknet.detections import select
from minidarknet.errors import DataError, UsageError
from minidarknet.metrics import evaluate_detections, write_comp4

THRESH = .005  # least confidence that counts in a precision-recall curve, as in Darknet's `detector valid`
NMS = .45
BATCH = 8


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("evaluate", "Score weights on a data set: AP per class (VOC 2007's 11 points and VOC 2010's area) "
                                "and their mean, at IoU .5.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one")
    p.add_argument("weights", metavar="WEIGHTS", help="a .weights file")
    p.add_argument("--data", default="sample", help="a Darknet .data file, a VOC year folder (several with commas), "
                                                    "or sample (default)")
    p.add_argument("--split", default="val", help="list of pictures to score on (default: val)")
    p.add_argument("--thresh", type=cli.fraction, default=THRESH, help=f"least confidence (default: {THRESH})")
    p.add_argument("--nms", type=cli.fraction, default=NMS,
                   help=f"IoU above which the lesser box goes (default: {NMS})")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="use only the first N pictures")
    p.add_argument("--json", type=cli.output, metavar="FILE", help="write the results there")
    p.add_argument("--comp4", type=cli.folder, metavar="DIR", help="write VOC's files comp4_det_test_CLASS.txt there")
    p.add_argument("--plot", type=cli.output, metavar="FILE", help="write the precision-recall curves there (PNG)")
    detect.add_network_options(p)
    return p


def main(argv=None):
    """Run the command; returns 0, or 3 where a picture could not be read (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    from minidarknet.data import annotations
    data = annotations.load(args.data, args.split, None, args.limit)
    cli.warn(data.problems)
    net = detect.load_network(args)
    if not net.detects:
        raise UsageError(f"{args.cfg} ends in [{net.head.name}]: scoring classifiers is not supported yet")
    data = in_classes_of(net, data)
    began, problems = time.monotonic(), []
    with cli.patience():
        found = detections(net, data, args.thresh, args.nms, problems=problems)
    result = evaluate_detections(found, data.examples, data.names)
    seconds = time.monotonic() - began
    if not any(c.truths for c in result.per_class):
        print(f"warning: {data.name} has no objects in the split {args.split!r}: there is no mAP", file=sys.stderr)
    width, height = net.input.shape[1::-1]
    print(table(result))
    print(f"mAP {result.map_voc07:.4f} (VOC07, 11 points)  {result.map_voc10:.4f} (VOC10, area)  IoU .5  "
          f"{result.images} pictures in {seconds:.1f} s")
    print(f"confidence > {args.thresh:g}, NMS {args.nms:g} per class, {net.resize_mode} to {width} x {height}")
    if args.json:
        runs.write_text(args.json, json.dumps({
            **result.to_dict(), "seconds": seconds, "resize": net.resize_mode, "size": [width, height],
            "thresh": args.thresh, "nms": args.nms, "data": str(args.data), "split": args.split}, indent=1) + "\n")
    if args.comp4:
        write_comp4(args.comp4, found, data.examples, data.names)
    if args.plot:
        from minidarknet.viz import precision_recall_plot
        precision_recall_plot(result.curves, args.plot)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return DataError.exit_code if problems else 0


def detections(net, data, thresh=THRESH, nms=NMS, quiet=False, problems=None, reader=None):
    """Detect in all pictures of a data set: dict Example.id -> Detections (without pictures).

    net: Network that finds boxes. data: Dataset. thresh, nms: as Network.detect. problems: list that receives a
    Problem for every broken picture (on it nothing is found). reader: a loader.Reader that keeps decoded pictures.
    """
    from minidarknet.data.loader import ordered
    found = {}
    with tqdm(total=len(data.examples), desc="scoring", unit="picture", disable=quiet, leave=False) as bar:
        for view in ordered(data, net.input.shape[1::-1], net.resize_mode, BATCH, problems=problems, reader=reader):
            for *boxes, example, geometry in zip(*boxes_of(net, view.x, data), view.examples, view.geometry):
                found[example.id] = select(*boxes, thresh, nms, geometry, data.names)
            bar.update(len(view.examples))
    return found


def boxes_of(net, x, data):
    """What `net` finds on pictures x (b, h, w, 3), as Network.boxes, its classes being those of the Dataset `data`.

    A label tree gives every node its absolute probability; region.map says which nodes the classes of `data` are.
    """
    boxes, objectness, probability = net.boxes(net.predict(x))
    return boxes, objectness, probability[..., net.head.map] if mapped(net, data) else probability


def mapped(net, data):
    """Whether the network's region.map tells a node for each class of the Dataset `data`. Raises CfgError, DataError."""
    nodes = getattr(net.head, "map", None)
    return nodes is not None and len(nodes) == len(data.names)


def score(net, data, reader=None):
    """Score `net` on a Dataset in the standard way (confidence > .005, NMS .45): metrics.Evaluation.

    reader: as in `detections`.
    """
    return evaluate_detections(detections(net, data, quiet=True, reader=reader), data.examples, data.names)


def in_classes_of(net, data):
    """The Dataset with class ids and names as the network numbers its classes.

    Names decide where the network has any, else the order. Classes that the network does not know stay, behind its
    own: nothing will be found of them. A region.map of as many entries as the data has classes comes before the names.
    Raises DataError where the two have nothing in common.
    """
    if mapped(net, data):
        return data
    if not net.names:
        if len(data.names) != net.classes:
            raise DataError(f"the network tells {net.classes} classes apart, {data.name} has {len(data.names)}: "
                            "give --names, so that they can be matched by name")
        net.names = data.names
        return data
    if net.names == data.names:
        return data
    number = {name.lower(): i for i, name in enumerate(net.names)}
    strangers = [name for name in data.names if name.lower() not in number]
    if len(strangers) == len(data.names):
        raise DataError(f"none of the classes of {data.name} ({', '.join(data.names[:5])}, ...) is among the network's "
                        f"({', '.join(net.names[:5])}, ...): give the right --names")
    if strangers:
        print(f"warning: the network does not know {', '.join(strangers)}: their AP is 0 and counts", file=sys.stderr)
    new = np.array([number.get(name.lower(), len(net.names) + strangers.index(name) if name in strangers else 0)
                    for name in data.names])
    return Dataset(data.name, (*net.names, *strangers), [replace(e, classes=new[e.classes]) for e in data.examples],
                   data.problems)


def table(result):
    """An Evaluation as aligned text, a line per class."""
    wide = max([len(c.name) for c in result.per_class] + [5])
    lines = [f"{'class':{wide}}  AP VOC07  AP VOC10  objects  found  false"]
    for c in result.per_class:
        if c.truths:
            lines.append(f"{c.name:{wide}}  {c.ap07:8.4f}  {c.ap10:8.4f}  {c.truths:7d}  {c.true:5d}  {c.false:5d}")
        elif c.difficult or c.false:
            lines.append(f"{c.name:{wide}}         -         -        0      -  {c.false:5d}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(cli.run(main))
