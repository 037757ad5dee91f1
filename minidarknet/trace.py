"""`minidarknet trace CFG WEIGHTS IMAGE --box K`: why one object of a picture got its loss, number by number.

One training step is made on the picture (batch 1, nothing augmented) with the training code; explain.py reads from the
head what came of it. No weights are written.
"""
import json
import sys
from pathlib import Path

import numpy as np

from minidarknet import cli, evaluate, figures, runs
from minidarknet.data import annotations, pictures, voc, yolo_txt
from minidarknet.detect import add_network_options, load_network
from minidarknet.errors import DataError, UsageError
from minidarknet.layers.anchored import Anchored
from minidarknet.names import numbers_of

SHOWN = 8   # boxes listed of each kind; the JSON holds all


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("trace", "Show why one object of a picture got its loss in training: cell, anchors, targets, "
                             "predictions, and every\ndelta with its weight; the boxes that were ignored and those pushed "
                             "down. Results: a table on stdout; trace.json\nand trace.png in the run folder.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one")
    p.add_argument("weights", metavar="WEIGHTS", help="a .weights file")
    p.add_argument("image", metavar="IMAGE", help="a picture; its annotation is looked for as in training, unless given")
    p.add_argument("--box", type=cli.natural, default=0, metavar="K", help="which object, counted from 0 (default: 0)")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--truth", metavar="FILE", help="the annotation: a VOC .xml, or a .txt of lines class x y w h")
    where.add_argument("--data", metavar="DATA", help="the data set that the picture belongs to")
    p.add_argument("--stored-statistics", action="store_true", help="normalise with the rolling statistics, as in "
                   "detection, instead of this one picture's own, as in a training step")
    p.add_argument("--out", metavar="DIR", help="where to write (default: runs/trace/NAME, NAME-2, ...)")
    p.add_argument("--json", action="store_true", help="print JSON instead of the table")
    add_network_options(p)
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    picture = pictures.read(args.image)
    net = load_network(args)
    if not isinstance(net.head, Anchored):
        raise UsageError(f"{args.cfg} ends in [{net.head.name}]: trace explains heads with anchors, [region] and [yolo]")
    example, names = example_of(Path(args.image), net, args.truth, args.data)
    x, truth, rows = one_batch(example, picture, net)
    if args.box not in rows:
        raise UsageError(f"--box {args.box}: " + _choice(example, rows, names))
    found = traced(net, x, truth, rows.index(args.box), not args.stored_statistics)
    names = tuple(names) or tuple(map(str, range(net.classes)))
    folder = runs.claim_new(args.out, Path(args.image).stem, "runs/trace").path
    records = {"image": args.image, "box": args.box, "class": names[int(found.truth[4])],
               "size": list(net.input.shape[1::-1]), **as_dict(found)}
    runs.write_text(folder / "trace.json", json.dumps(records, indent=1) + "\n")
    from minidarknet.viz_trace import trace_figure
    figures.save(trace_figure(found, x[0], names), folder / "trace.png")
    if args.json:
        print(json.dumps(records, indent=1))
    else:
        print(f"{args.image}: object {args.box} of {len(example.classes)}, {names[int(found.truth[4])]}\n"
              + text_of(found, names))
    print(f"done: {folder}", file=sys.stderr)
    return 0


def example_of(path, net, truth=None, data=None):
    """The annotated picture: (Example with class ids as the network's, class names).

    path: Path of the picture. truth: its annotation file, or data: its data set, or neither: beside it, as in training.
    Raises DataError where there is none, or it cannot be used.
    """
    if data is not None:
        for split in annotations.splits(data):
            dataset = annotations.load(data, split)
            if any(example.path.resolve() == path.resolve() for example in dataset.examples):
                dataset = evaluate.in_classes_of(net, dataset)
                return next(e for e in dataset.examples if e.path.resolve() == path.resolve()), net.names
        raise DataError(f"{path} is in none of the splits of {data}: give its annotation with --truth")
    places = [Path(truth)] if truth else [*yolo_txt.labels_of(path), path.parent.parent / "Annotations" / f"{path.stem}.xml",
                                          path.with_suffix(".xml")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise DataError(f"{path}: no annotation, looked for {', '.join(map(str, places))}: give --truth FILE or --data DATA")
    problems, names = [], net.names or tuple(map(str, range(net.classes)))
    if file.suffix.lower() == ".xml":
        if not net.names:
            raise DataError(f"{file} names classes, but the network's have no names: give --names FILE")
        example = voc.example(path.stem, path, file, voc.parse(file), numbers_of(names), problems)
    else:
        example = yolo_txt.example(path.stem, path, file, names, problems)
    cli.warn(problems)
    if example is None:
        raise DataError(f"{file}: cannot be used as the annotation of {path}")
    return example, net.names


def one_batch(example, picture, net):
    """What the loader makes of the picture without augmentation: x (1, h, w, 3), truth (1, t, 5), and its objects.

    The third is the list of the objects' numbers in the annotation, row by row: difficult ones, tiny ones and those of
    classes that the network does not know are not trained on. Raises DataError where nothing is left.
    """
    from minidarknet.data.augment import Augmentation, augment
    options = Augmentation(mode="none", resize=net.resize_mode)
    rows, truths = [], []
    for number in np.flatnonzero(~example.difficult & (example.classes < net.classes)):
        one = slice(number, number + 1)
        x, truth = augment(picture, example.boxes[one], example.classes[one], net.input.shape[1::-1], options, None)
        rows += [int(number)] * len(truth)
        truths += [*truth]
    if not rows:
        raise DataError(f"{example.path}: no object on it that would be trained on ({len(example.classes)} annotated)")
    return x[None], np.array(truths)[None], rows


def traced(net, x, truth, row, train=True):
    """Pass one picture forward, as a training step does, and explain the object in `row` of its truth: Explanation.

    net: Network. x: (1, h, w, 3). truth: (1, t, 5). train: normalise with the picture's own statistics.
    """
    from minidarknet.explain import explain
    with cli.patience():
        net.forward(x, truth, train=train)
        return explain(net, row)


def _choice(example, rows, names):
    """The objects that can be asked for, as the end of a sentence."""
    named = [f"{k} {names[example.classes[k]] if names else example.classes[k]}" for k in rows]
    return f"the picture has {len(example.classes)} objects; trained on are {', '.join(named)}"


def as_dict(found):
    """An Explanation as a dict for JSON."""
    return {key: [one._asdict() for one in value] if isinstance(value, list) else value
            for key, value in found._asdict().items()}


def text_of(found, names):
    """An Explanation as aligned text (str). names: class names by id."""
    x, y, w, h, kind = found.truth
    (rows, columns), (row, column, _) = found.grid, found.cell
    lines = [f"truth in the network's input: x {x:.3f}  y {y:.3f}  w {w:.3f}  h {h:.3f}",
             f"layer {found.layer} [{found.name}], {columns} x {rows} cells: the centre ({x * columns:.2f}, {y * rows:.2f}) "
             f"lies in row {row}, column {column}", "", f"  anchor  width  height  ({found.unit})  IoU of the shapes"]
    for one in found.anchors:
        note = " <- responsible" if one.responsible else "" if one.here else "   another head's"
        lines.append(f"  {one.number:6}  {one.shape[0]:5.4g}  {one.shape[1]:6.4g}  {'':{len(found.unit) + 2}}  "
                     f"{one.iou:6.3f}{note}")
    if found.replaced_by is not None:
        lines += ["", f"a later object (row {found.replaced_by} of the truth) took the same anchor-cell: "
                      "the targets below are that one's"]
    lines += ["", f"its box now: x {found.box[0]:.3f}  y {found.box[1]:.3f}  w {found.box[2]:.3f}  h {found.box[3]:.3f}, "
                  f"IoU with the truth {found.iou:.3f}", "", *_asks_text(found, names, int(kind)), ""]
    total = sum(found.shares.values())
    lines += [f"loss of the picture {total:.4f}", *(f"  {value:9.4f}  {name}" for name, value in found.shares.items())]
    if found.warm_up:
        lines.append(f"  (warm-up, {found.seen} pictures seen: every anchor-cell is drawn to its prior)")
    for what, boxes in ((f"ignored: IoU above {found.thresh:g}, so not told that there is no object", found.ignored),
                        ("pushed down: they overlap the object, and are told that there is none", found.pushed)):
        lines += ["", f"{len(boxes)} boxes {what}"]
        if boxes:
            lines.append("  row  column  anchor    IoU  objectness  gradient")
        lines += [f"  {one.cell[0]:3}  {one.cell[1]:6}  {one.cell[2]:6}  {one.iou:5.3f}  {one.objectness:10.4f}  "
                  f"{one.gradient:8.4f}" for one in boxes[:SHOWN]]
        lines += [f"  ... and {len(boxes) - SHOWN} more in trace.json"] if len(boxes) > SHOWN else []
    return "\n".join(lines)


def _asks_text(found, names, kind):
    """The lines of the table of what the responsible anchor-cell was asked for; of the classes those that matter."""
    classes = found.asks[5:]
    wrong = sorted((ask for k, ask in enumerate(classes) if k != kind), key=lambda ask: -abs(ask.delta))
    shown = [*found.asks[:5], classes[kind], *wrong[:2]]
    entries = [ask.entry if not ask.entry.startswith("class ") else f"class {names[int(ask.entry[6:])]}" for ask in shown]
    wide = max(map(len, entries))
    lines = [f"  {'entry':{wide}}       raw      out   target   weight     delta    slope  gradient"]
    for entry, ask in zip(entries, shown):
        lines.append(f"  {entry:{wide}} {ask.raw:9.3f} {ask.out:8.3f} {ask.target:8.3f} {ask.weight:8.3f} {ask.delta:9.4f} "
                     f"{'-' if ask.slope is None else format(ask.slope, '.3f'):>8} {ask.gradient:9.4f}")
    return [*lines, "  delta = weight (target - out), as Darknet keeps it; gradient = -delta slope, what is passed back"]


if __name__ == "__main__":
    sys.exit(cli.run(main))
