"""`minidarknet detect CFG WEIGHTS PATH...`: find the objects in pictures; for a classifier, name the pictures."""
import glob
import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from minidarknet import cli, parser, runs
from minidarknet.accuracy import top_k
from minidarknet.errors import DataError, UsageError
from minidarknet.files import replacing
from minidarknet.names import names_of, read_names
from minidarknet.paths import resolve
from minidarknet.tree_accuracy import leaves_only
from minidarknet.weights import parse_argument
from minidarknet.wordtree import read_map

TOP = 5     # classes named for a classifier
OUT = "runs/detect"
ASK = "-"   # instead of a path: ask for one
STYLES = ("line", "darknet", "boxes")
LARGEST_JPEG = 65500  # pixels on a side
SHOWN = 20  # detections named on the screen; the files hold all


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("detect", "Find objects in pictures, folders and globs. Results: a line per picture on stdout; "
                              "annotated pictures, labels/*.txt and detections.json in the run folder.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one")
    p.add_argument("weights", metavar="WEIGHTS", help="a .weights file")
    p.add_argument("paths", metavar="PATH", nargs="+", help="pictures, folders, or quoted globs such as 'in/*.jpg'; - asks "
                                                            "for one after the other on stdin")
    p.add_argument("--thresh", type=cli.fraction, default=.25, help="least confidence of a detection (default: .25)")
    p.add_argument("--nms", type=cli.fraction, default=.45, help="IoU above which the lesser of two boxes of a "
                                                                   "class is dropped (default: .45)")
    p.add_argument("--hier", type=cli.fraction, default=.5, help="networks with a label tree: least probability of the "
                                                                 "class that is named (default: .5)")
    p.add_argument("--map", metavar="FILE", help="networks with a label tree: name nothing but the nodes of this list, one "
                                                 "number a line, as coco9k.map has them for COCO's classes")
    p.add_argument("--out", metavar="DIR", help="where to write (default: runs/detect/NAME, NAME-2, ...)")
    p.add_argument("--json", type=cli.output, metavar="FILE", help="write the detections there too")
    p.add_argument("--picture", type=cli.output, metavar="FILE", help="write the annotated picture there too, of several "
                                                                      "the last")
    p.add_argument("--style", choices=STYLES, default="line", help="stdout: a line for each picture (default), Darknet's "
                                                                   "lines, or these with the boxes in pixels")
    p.add_argument("--top", type=cli.positive, default=TOP, metavar="K",
                   help=f"classifiers: so many guesses (default: {TOP})")
    add_network_options(p)
    return p


def add_network_options(p):
    """Options of all commands that run trained weights: --names, --size, --resize, --set, --no-fuse,
    --strict-darknet-cpu, --threads."""
    p.add_argument("--names", metavar="FILE", help="class names, one a line (default: a .names file beside cfg or "
                                                   "weights)")
    p.add_argument("--size", type=cli.size, metavar="S", help="size of the network's input: 416 or 416x320 "
                                                                  "(width x height; default: the cfg's)")
    p.add_argument("--resize", choices=("letterbox", "stretch", "crop"),
                   help="how pictures are fitted into the network; crop: the middle square (default: as in training where "
                        "that is recorded, else as the cfg says; for evaluating classifiers crop)")
    cli.add_set(p)
    cli.add_modes(p)
    cli.add_threads(p)


def classifies(args):
    """Whether the cfg of `args` is a classifier's (bool). Raises CfgError."""
    return not parser.detects(parser.read(args.cfg))


def require_colour(net):
    """Raise CfgError where `net` does not take pictures of three colours, which are what is read from files."""
    channels = net.input.shape[2]
    if channels != 3:
        raise parser.error(net.cfg, net.cfg.net, f"channels={channels}: pictures are read in three colours; expected "
                           "channels=3", "channels")


def load_network(args, resize=None):
    """The network of `args` (cfg, weights, the options above), compiled. Raises UsageError, CfgError, WeightsError.

    resize: how pictures are fitted where neither the command nor the run folder says it; None: as the cfg does.
    """
    from minidarknet.network import Network
    file, layers = parse_argument(args.weights)
    if layers is not None:
        raise UsageError(f"{args.weights}: training can start from the first {layers} layers, here all are needed: "
                         f"give {file}")
    cli.use_threads(args.threads)
    net = Network.from_cfg(args.cfg, weights=args.weights, overrides=cli.overrides(args), **cli.modes(args))
    require_colour(net)
    if args.names:
        net.names = read_names(resolve(args.names))
    if (net.names or args.names) and len(net.names) != net.classes:
        if args.names:
            raise UsageError(f"--names {args.names} has {len(net.names)} names, but the network has {net.classes} "
                             "classes")
        print(f"warning: the .names file beside cfg or weights has {len(net.names)} names, but the network has "
              f"{net.classes} classes: it is not used", file=sys.stderr)
        net.names = names_of(net.tree)
    if args.size:
        net.resize(args.size)
    recorded = runs.recorded_resize(args.weights, args.cfg)
    net.resize_mode = args.resize or recorded or resize or net.resize_mode
    if recorded and recorded != net.resize_mode:
        print(f"warning: the weights were trained with --resize {recorded}, this is {net.resize_mode}: "
              "expect worse results", file=sys.stderr)
    blank = np.zeros((8, 8, 3), np.uint8)
    with cli.patience():
        net.detect(blank) if net.detects else top(net, blank, 1)
    return net


def main(argv=None):
    """Run the command; returns 0, or 3 where a picture could not be read (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    asking = args.paths == [ASK]
    found, missing = ((), []) if asking else expand(args.paths)
    if missing and not found:
        raise DataError("; ".join(missing))
    stem = Path(args.cfg).stem
    folder = runs.new_folder(args.out, stem, OUT) if args.out else None
    if folder:
        spare(folder.path, found)
    net = load_network(args)
    nodes = listed(net, args.map)
    folder = (folder or runs.claim_new(None, stem, OUT)).path
    look = partial(detect, nodes=nodes) if net.detects else classify
    records, used = [], set()
    for path in asked(missing) if asking else found:
        began = time.monotonic()
        try:
            line, record = look(net, path, folder, unique(path.stem, used), args)
        except DataError as error:
            missing.append(str(error))
            if asking:  # somebody waits for the answer
                print(f"error: {error}", file=sys.stderr)
            continue
        records.append({"image": str(path), **record})
        print(told(path, line, record, time.monotonic() - began, args.style), flush=True)
    for target in {str(folder / "detections.json"), args.json or str(folder / "detections.json")}:
        runs.write_text(target, json.dumps(records, indent=1) + "\n")
    if args.picture and not net.detects:
        print(f"note: a classifier draws nothing, so there is no {args.picture}", file=sys.stderr)
    print(f"{len(records)} picture{'s' * (len(records) != 1)} done: {folder}", file=sys.stderr)
    for failure in () if asking else missing:
        print(f"error: {failure}", file=sys.stderr)
    return DataError.exit_code if missing else 0


def told(path, line, record, seconds, style):
    """What is printed of one picture (str): `line`, or the record's findings as Darknet prints them.

    Darknet: src/image.c, draw_detections; examples/classifier.c, predict_classifier; boxes as AlexeyAB's -ext_output.
    """
    if style == "line":
        return f"{path}: {line} ({seconds * 1000:.0f} ms)"
    lines = [f"{path}: Predicted in {seconds:.6f} seconds."]
    lines += [f"{c['confidence'] * 100:5.2f}%: {c['class']}" for c in record.get("classes", ())]
    for one in record.get("detections", ()):
        left, top, right, bottom = one["xyxy"]
        where = f"\t(left_x: {left:4.0f}   top_y: {top:4.0f}   width: {right - left:4.0f}   height: {bottom - top:4.0f})"
        lines.append(f"{one['class']}: {one['confidence'] * 100:.0f}%" + (where if style == "boxes" else ""))
    return "\n".join(lines)


def asked(missing):
    """Pictures that somebody types, path by path, until the input ends. missing: list that receives complaints."""
    while True:
        print("Enter Image Path: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            return
        if line.strip():
            found, complaints = expand([line.strip()])
            for complaint in complaints:
                print(f"error: {complaint}", file=sys.stderr)
            missing += complaints
            yield from found


def spare(folder, found):
    """Raise UsageError where writing into `folder` could replace the pictures `found` (Paths) or their labels."""
    from minidarknet.data.yolo_txt import labels_of
    mine, labels = folder.resolve(), (folder / "labels").resolve()
    for path in found:
        if path.resolve().parent == mine:
            raise UsageError(f"--out {folder}: {path.name} lies there and could be overwritten: choose another folder")
        if any(label.is_file() and label.resolve().parent == labels for label in labels_of(path)):
            raise UsageError(f"--out {folder}: the labels of {path} lie there and would be overwritten: "
                             "choose another folder")


def expand(paths):
    """Pictures behind files, folders and globs: (list of Path in order without repetition, list of complaints)."""
    from minidarknet.data.pictures import is_picture
    found, missing = {}, []
    for path in paths:
        if Path(path).is_dir():
            inside = sorted(p for p in Path(path).iterdir() if is_picture(p.name))
            if not inside:
                missing.append(f"{path}: the folder holds no picture")
            found.update(dict.fromkeys(inside))
        elif Path(path).exists() or not glob.has_magic(path):
            found[Path(path)] = None
        else:
            inside = sorted(p for p in map(Path, glob.glob(path, recursive=True)) if is_picture(p.name))
            if not inside:
                missing.append(f"{path}: no picture matches")
            found.update(dict.fromkeys(inside))
    return list(found), missing


def unique(stem, used):
    """`stem`, or stem-2, stem-3, ... where it is in the set `used`, to which it is added."""
    name, number = stem, 1
    while name.lower() in used:
        number += 1
        name = f"{stem}-{number}"
    used.add(name.lower())
    return name


def listed(net, path):
    """The nodes that the .map file `path` lists: (n,) ints, None where `path` is. Raises UsageError, DataError."""
    if path is None:
        return None
    if net.tree is None or not net.detects:
        raise UsageError(f"--map {path}: the network is no detector with a label tree, whose nodes the map could list")
    return read_map(resolve(path), len(net.tree))


def detect(net, path, folder, stem, args, nodes=None):
    """Detect in one picture and write its files: (line for the screen, dict for JSON). nodes: as Network.detect."""
    detections = net.detect(path, args.thresh, args.nms, hier=args.hier, nodes=nodes)
    from minidarknet.viz import save_picture
    drawn = detections.draw()
    kind, suffix = ("PNG", ".png") if max(drawn.size) > LARGEST_JPEG else ("JPEG", ".jpg")
    with replacing(folder / f"{stem}{suffix}") as file:
        drawn.save(file, kind, quality=92)
    if args.picture:
        save_picture(drawn, args.picture, quality=92)
    runs.write_text(folder / "labels" / f"{stem}.txt", "".join(line + "\n" for line in detections.to_yolo()))
    records = detections.to_records()
    height, width = detections.picture.shape[:2]
    line = ", ".join(f"{r['class']} {r['confidence']:.2f}" for r in records[:SHOWN])
    if len(records) > SHOWN:
        line += f" and {len(records) - SHOWN} more"
    if not records:
        line = (f"nothing above {args.thresh:g}; the best score seen is {detections.best_score:.3f} "
                "(try a lower --thresh)")
    return line, {"width": width, "height": height, "best_score": detections.best_score, "detections": records}


def classify(net, path, folder, stem, args):
    """Name one picture: (line for the screen, dict for JSON with the best classes)."""
    from minidarknet.data import pictures
    picture = pictures.read(path)
    said = looked(net, picture)
    classes = named(net, leaves_only(net.tree, said), args.top)
    line = ", ".join(f"{c['class']} {c['confidence']:.3f}" for c in classes)
    height, width = picture.shape[:2]
    record = {"width": width, "height": height, "classes": classes}
    if net.tree is not None:  # where the way down ends: a word that is sure
        decided = net.tree.absolute(said)
        record["hierarchy"], = named(net, decided * net.tree.decide(decided, args.hier), 1)
        line = f"{record['hierarchy']['class']} {record['hierarchy']['confidence']:.3f} ({line})"
    return line, record


def looked(net, picture):
    """What net.predict says of a picture (h, w, 3) uint8; a classifier: (classes,), with a label tree P(node | parent)."""
    from minidarknet.data import pictures
    x, _ = pictures.fit(picture, net.input.shape[:2], net.resize_mode)
    return net.predict(x[None])[0]


def named(net, probability, k):
    """The k most probable classes, best first: list of dicts with class, class_id, confidence. probability: (classes,)."""
    names = net.names or [str(i) for i in range(net.classes)]
    return [{"class": names[i], "class_id": int(i), "confidence": float(probability[i])}
            for i in top_k(probability[None], k)[0]]


def top(net, picture, k):
    """The k best classes of a picture (h, w, 3) uint8, as `named`.

    Of a network with a label tree only the leaves compete, as in Darknet.
    """
    return named(net, leaves_only(net.tree, looked(net, picture)), k)


if __name__ == "__main__":
    sys.exit(cli.run(main))
