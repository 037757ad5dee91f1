"""`minidarknet evaluate CFG WEIGHTS --data DATA`: how good weights are.

Detectors: average precision per class and mAP, as the VOC devkit and COCO count. Classifiers: top-1 and top-k accuracy.
"""
import json
import sys
import time
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from minidarknet import cli, detect, results, runs
from minidarknet.accuracy import Accuracy, top_k
from minidarknet.detections import select
from minidarknet.errors import DataError, UsageError
from minidarknet.grammar import did_you_mean
from minidarknet.metrics import evaluate_detections
from minidarknet.names import distinct
from minidarknet.numbering import in_classes_of, mapped
from minidarknet.tree_accuracy import TreeAccuracy, leaves_only

THRESH = .005  # least confidence that counts in a precision-recall curve, as in Darknet's `detector valid`
NMS = .45
IOU = .5
TOP = 5
HIER = .5    # least probability on the way down a tree of labels
BATCH = 8
PAPER = """With a tree of labels ([softmax] tree=) a classifier's guesses are leaves. Printed beside them: how often the best
leaf is right at each level, and where the way down the tree ends, while it is more probable than --hier.
YOLO9000's paper:
  Darknet-19, 1000 classes, 224 x 224               72.9 % top-1   91.2 % top-5
  Darknet-19, tree of 1369 nodes, 224 x 224         71.9 % top-1   90.4 % top-5"""
BOXES_ONLY = ("comp4", "coco", "yolo", "plot", "metric", "mean_of")  # options that say nothing to a classifier


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("evaluate", "Score weights on a data set. Detectors: AP per class (VOC 2007's 11 points and VOC 2010's\n"
                                "area) and their mean; classifiers: top-1 and top-k accuracy.", epilog=PAPER)
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one")
    p.add_argument("weights", metavar="WEIGHTS", help="a .weights file")
    p.add_argument("--data", default="sample", help="a Darknet .data file, a VOC year folder (several with commas), COCO's "
                                                    "JSON or its folder, a folder of classes, or sample (default)")
    p.add_argument("--split", default="val", help="list of pictures to score on (default: val)")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="use only the first N pictures")
    p.add_argument("--json", type=cli.output, metavar="FILE", help="write the results there")
    detect.add_network_options(p)
    boxes = p.add_argument_group("detectors")
    boxes.add_argument("--thresh", type=cli.fraction, default=THRESH, help=f"least confidence (default: {THRESH})")
    boxes.add_argument("--nms", type=cli.fraction, default=NMS,
                       help=f"IoU above which the lesser box goes (default: {NMS})")
    boxes.add_argument("--iou", type=cli.fraction, default=IOU, help=f"IoU from which a box is right (default: {IOU})")
    boxes.add_argument("--mean-of", metavar="CLASSES", help="give the mean over these classes as well, e.g. cat,dog: those "
                                                            "that never had a box")
    boxes.add_argument("--metric", choices=("voc", "coco"), help="coco: print COCO's AP (IoU .5 to .95) as well")
    boxes.add_argument("--comp4", type=cli.folder, metavar="DIR", help="write VOC's files comp4_det_test_CLASS.txt there")
    boxes.add_argument("--comp4-prefix", default=results.COMP4, metavar="TEXT",
                       help=f"how their names begin (default: {results.COMP4})")
    boxes.add_argument("--coco", type=cli.output, metavar="FILE", help="write COCO's results file (JSON) there")
    boxes.add_argument("--yolo", type=cli.folder, metavar="DIR", help="write a label file (class x y w h confidence) for "
                                                                      "every picture there")
    boxes.add_argument("--plot", type=cli.output, metavar="FILE", help="write the precision-recall curves there (PNG)")
    classes = p.add_argument_group("classifiers")
    classes.add_argument("--top", type=cli.positive, metavar="K", help=f"guesses that top-k allows (default: {TOP})")
    classes.add_argument("--hier", type=cli.fraction, default=HIER,
                         help=f"with a tree of labels: least probability on the way down (default: {HIER})")
    return p


def main(argv=None):
    """Run the command; returns 0, or 3 where a picture could not be read (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    from minidarknet.data import annotations
    classifies = detect.classifies(args)
    data = annotations.load(args.data, args.split, None, args.limit, classifies)
    cli.warn(data.problems)
    net = detect.load_network(args, "crop" if classifies else None)
    data = in_classes_of(net, data)
    began, problems = time.monotonic(), []
    with cli.patience():
        found = (_classes if classifies else _boxes)(net, data, args, problems)
    width, height = net.input.shape[1::-1]
    seconds = time.monotonic() - began
    print(f"{net.resize_mode} to {width} x {height}, {len(data)} pictures in {seconds:.1f} s")
    if args.json:
        record = {**found, "seconds": seconds, "resize": net.resize_mode, "size": [width, height], "data": str(args.data),
                  "split": args.split}
        runs.write_text(args.json, json.dumps(record, indent=1) + "\n")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return DataError.exit_code if problems else 0


def _boxes(net, data, args, problems):
    """Score a detector, print and write what `args` ask for: what --json writes (dict)."""
    if args.coco:
        results.picture_numbers(data.examples)  # refuses now what would fail after the work is done
    some = _known(args.mean_of, distinct(data.names)) if args.mean_of is not None else ()
    found = detections(net, data, args.thresh, args.nms, problems=problems)
    result = evaluate_detections(found, data.examples, data.names, args.iou)
    objects, true = (sum(getattr(c, key) for c in result.per_class) for key in ("truths", "true"))
    if not objects:
        print(f"warning: {data.name} has no objects in the split {args.split!r}: there is no mAP", file=sys.stderr)
    inner = () if net.tree is None or mapped(net, data) else inner_nodes(found, data, net.tree, args.iou)
    print(table(result, {c.name for c in inner}))
    if inner:
        print("the words above them, for each of which every object below it counts; not in the mean")
        print(table(replace(result, per_class=inner)))
    print(f"mAP {result.map_voc07:.4f} (VOC07, 11 points)  {result.map_voc10:.4f} (VOC10, area)  IoU {args.iou:g}  "
          f"{true} of {objects} objects found")
    print(f"confidence > {args.thresh:g}, NMS {args.nms:g} per class")
    record = {**result.to_dict(), "thresh": args.thresh, "nms": args.nms}
    if inner:
        record["inner_nodes"] = replace(result, per_class=inner).to_dict()["per_class"]
    if some:
        some = result.over(some)
        print(f"mAP {some.map_voc07:.4f} (VOC07, 11 points)  {some.map_voc10:.4f} (VOC10, area)  over {args.mean_of}")
        record["mean_of"] = {"classes": [c.name for c in some.per_class], **{
            key: value for key, value in some.to_dict().items() if key.startswith("map")}}
    if args.metric == "coco":
        from minidarknet.coco_metrics import evaluate_coco
        numbers = evaluate_coco(found, data.examples, data.names).to_dict()
        print("COCO  " + "  ".join(f"{name} {value:.4f}" for name, value in numbers.items()))
        record["coco"] = {name: None if np.isnan(value) else value for name, value in numbers.items()}
    if args.comp4:
        results.write_comp4(args.comp4, found, data.examples, data.names, args.comp4_prefix)
    if args.coco:
        results.write_coco(args.coco, found, data.examples, results.categories_of(data))
    if args.yolo:
        results.write_yolo(args.yolo, found, data.examples)
    if args.plot:
        from minidarknet.viz import precision_recall_plot
        precision_recall_plot(result.curves, args.plot)
    return record


def _known(text, names):
    """The names in `text`, parted by commas: list of str. Raises UsageError for one that is not among `names`."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    if not wanted:
        raise UsageError(f"--mean-of {text!r}: expected class names, parted by commas")
    for name in wanted:
        if name not in names:
            raise UsageError(f"--mean-of: there is no {name!r}{did_you_mean(name, names)} There are {', '.join(names)}")
    return wanted


def _classes(net, data, args, problems):
    """Score a classifier and print its table: what --json writes (dict)."""
    given = [option for option in BOXES_ONLY if getattr(args, option)]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} is for detectors; {args.cfg} is a classifier")
    above = () if net.tree is None else np.flatnonzero((data.counts > 0) & ~net.tree.is_leaf)
    if len(above):
        cli.warn([f"{', '.join(data.names[k] for k in above)}: words above others. Guesses are leaves, so top-1 and top-k "
                  "count these pictures as wrong; levels and walk judge them"])
    result = accuracy(net, data, args.top or TOP, problems=problems, hier=args.hier)
    wide = max([len(name) for name in data.names] + [5])
    print(f"{'class':{wide}}  pictures   top-1   top-{result.k}  taken for")
    for name, count, top1, topk, mistaken in result.per_class():
        print(f"{name:{wide}}  {count:8d}  {top1:.4f}  {topk:.4f}  {mistaken}".rstrip())
    print(f"top-1 {result.top1:.4f}  top-{result.k} {result.topk:.4f}")
    if net.tree is None:
        return result.to_dict()
    print("level " + "  ".join(f"{level} {share:.4f}" for level, share in enumerate(result.levels, 1))
          + "  (1: roots; the best leaf, or what is above it)")
    print(f"walk  right {result.walk:.4f}  exact {result.exact:.4f}  ends at level {result.depth:.2f} of "
          f"{result.label_depth:.2f}  (threshold {args.hier:g})")
    return {**result.to_dict(), "hier": args.hier}


def detections(net, data, thresh=THRESH, nms=NMS, quiet=False, problems=None, reader=None):
    """Detect in all pictures of a data set: dict Example.id -> Detections (without pictures).

    net: Network that finds boxes. data: Dataset. thresh, nms: as Network.detect. problems: list that receives a
    Problem for every broken picture (on it nothing is found). reader: a loader.Reader that keeps decoded pictures.
    """
    found = {}
    for view, out in _predicted(net, data, quiet, problems, reader):
        for *boxes, example, geometry in zip(*boxes_of(net, out, data), view.examples, view.geometry):
            found[example.id] = select(*boxes, thresh, nms, geometry, data.names, penalty=net.head.nms_penalty)
    return found


def inner_nodes(found, data, tree, iou=IOU):
    """The scores of the nodes above the classes of a data set, for each of which every object below it counts.

    found: as `detections` gives it. data: Dataset whose classes are the nodes of `tree`. iou: from which a box is right.
    Returns a tuple of metrics.ClassResult; nodes that are themselves labels of objects are left out.
    """
    examples = []
    for example in data.examples:
        above = [tree.path_to_root(node)[1:] for node in example.classes]
        rows = np.repeat(np.arange(len(above)), [len(path) for path in above])
        examples.append(example.only(rows, np.array([node for path in above for node in path], np.int64)))
    names = distinct(data.names)
    own = {names[k] for k in np.flatnonzero(data.counts)}
    scored = evaluate_detections(found, examples, data.names, iou).per_class
    return tuple(c for c in scored if c.truths + c.difficult and c.name not in own)


def accuracy(net, data, k=TOP, quiet=False, problems=None, reader=None, hier=HIER):
    """Classify all pictures of a data set: accuracy.Accuracy, of a network with a tree tree_accuracy.TreeAccuracy.

    net: Network that classifies. data: Dataset of a classifier. k: guesses for top-k (fewer where there are fewer
    classes, of a tree leaves). quiet, problems, reader: as `detections`; a broken picture does not count. hier: threshold
    of the way down a tree.
    """
    tree = net.tree
    k = min(k, net.classes if tree is None else int(tree.is_leaf.sum()))
    best, walks, truth = [np.zeros((0, k), np.int64)], [np.zeros(0, np.int64)], []
    for view, out in _predicted(net, data, quiet, problems, reader):
        best.append(top_k(leaves_only(tree, out), k))
        truth += [int(example.classes[0]) for example in view.examples]
        if tree is not None:
            walks.append(tree.predict(tree.absolute(out), hier))
    found = data.names, np.concatenate(best), np.array(truth, np.int64)
    return Accuracy(*found) if tree is None else TreeAccuracy(*found, tree, np.concatenate(walks))


def _predicted(net, data, quiet, problems, reader):
    """(View, what the network says) batch by batch, with a progress bar."""
    from minidarknet.data.loader import ordered
    with tqdm(total=len(data.examples), desc="scoring", unit="picture", disable=quiet, leave=False) as bar:
        for view in ordered(data, net.input.shape[1::-1], net.resize_mode, BATCH, problems=problems, reader=reader):
            yield view, net.predict(view.x)
            bar.update(len(view.examples))


def boxes_of(net, out, data):
    """What `out`, as net.predict gives it, says, as Network.boxes, its classes being those of the Dataset `data`.

    A label tree gives every node its absolute probability; region.map says which nodes the classes of `data` are.
    """
    boxes, objectness, probability = net.boxes(out)
    return boxes, objectness, probability[..., net.head.map] if mapped(net, data) else probability


def score(net, data, reader=None):
    """Score `net` on a Dataset in the standard way (confidence > .005, NMS .45): metrics.Evaluation.

    reader: as in `detections`.
    """
    return evaluate_detections(detections(net, data, quiet=True, reader=reader), data.examples, data.names)


def table(result, hidden=()):
    """An Evaluation as aligned text, a line per class. hidden: names that have none."""
    wide = max([len(c.name) for c in result.per_class] + [5])
    lines = [f"{'class':{wide}}  AP VOC07  AP VOC10  objects  found  false"]
    for c in result.per_class:
        if c.name in hidden:
            continue
        if c.truths:
            lines.append(f"{c.name:{wide}}  {c.ap07:8.4f}  {c.ap10:8.4f}  {c.truths:7d}  {c.true:5d}  {c.false:5d}")
        elif c.difficult or c.false:
            lines.append(f"{c.name:{wide}}         -         -        0      -  {c.false:5d}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(cli.run(main))
