"""`minidarknet detect CFG WEIGHTS PATH...`: find the objects in pictures; for a classifier, name the pictures."""
import glob
import json
import sys
import time
from pathlib import Path

import numpy as np

from minidarknet import cli, runs
from minidarknet.errors import DataError, UsageError
from minidarknet.files import replacing
from minidarknet.names import read_names
from minidarknet.tree_accuracy import leaves_only
from minidarknet.weights import parse_argument

TOP = 5     # classes named for a classifier
OUT = "runs/detect"
LARGEST_JPEG = 65500  # pixels on a side
SHOWN = 20  # detections named on the screen; the files hold all


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("detect", "Find objects in pictures, folders and globs. Results: a line per picture on stdout; "
                              "annotated pictures, labels/*.txt and detections.json in the run folder.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one")
    p.add_argument("weights", metavar="WEIGHTS", help="a .weights file")
    p.add_argument("paths", metavar="PATH", nargs="+", help="pictures, folders, or quoted globs such as 'in/*.jpg'")
    p.add_argument("--thresh", type=cli.fraction, default=.25, help="least confidence of a detection (default: .25)")
    p.add_argument("--nms", type=cli.fraction, default=.45, help="IoU above which the lesser of two boxes of a "
                                                                   "class is dropped (default: .45)")
    p.add_argument("--hier", type=cli.fraction, default=.5, help="networks with a label tree: least probability of the "
                                                                 "class that is named (default: .5)")
    p.add_argument("--out", metavar="DIR", help="where to write (default: runs/detect/NAME, NAME-2, ...)")
    p.add_argument("--json", type=cli.output, metavar="FILE", help="write the detections there too")
    add_network_options(p)
    return p


def add_network_options(p):
    """Options of all commands that run trained weights: --names, --size, --resize, --set, --no-fuse,
    --strict-darknet-cpu, --threads."""
    p.add_argument("--names", metavar="FILE", help="class names, one a line (default: a .names file beside cfg or "
                                                   "weights)")
    p.add_argument("--size", type=cli.size, metavar="S", help="size of the network's input: 416 or 416x320 "
                                                                  "(width x height; default: the cfg's)")
    p.add_argument("--resize", choices=("letterbox", "stretch"),
                   help="how pictures are fitted into the network (default: as in training where that is recorded, "
                        "else letterbox)")
    cli.add_set(p)
    cli.add_modes(p)
    cli.add_threads(p)


def load_network(args):
    """The network of `args` (cfg, weights, the options above), compiled. Raises UsageError, CfgError, WeightsError."""
    from minidarknet.network import Network
    file, layers = parse_argument(args.weights)
    if layers is not None:
        raise UsageError(f"{args.weights}: training can start from the first {layers} layers, here all are needed: "
                         f"give {file}")
    cli.use_threads(args.threads)
    net = Network.from_cfg(args.cfg, weights=args.weights, overrides=cli.overrides(args), **cli.modes(args))
    if args.names:
        try:
            net.names = read_names(args.names)
        except OSError as error:
            raise UsageError(f"--names {args.names}: {error.strerror}") from None
    if net.names and len(net.names) != net.classes:
        if args.names:
            raise UsageError(f"--names {args.names} has {len(net.names)} names, but the network has {net.classes} "
                             "classes")
        print(f"warning: the .names file beside cfg or weights has {len(net.names)} names, but the network has "
              f"{net.classes} classes: it is not used", file=sys.stderr)
        net.names = ()
    if args.size:
        net.resize(args.size)
    recorded = runs.recorded_resize(args.weights, args.cfg)
    net.resize_mode = args.resize or recorded or "letterbox"
    if recorded and recorded != net.resize_mode:
        print(f"warning: the weights were trained with --resize {recorded}, this is {net.resize_mode}: "
              "expect worse results", file=sys.stderr)
    blank = np.zeros((8, 8, 3), np.uint8)
    with cli.patience():
        net.detect(blank) if net.detects else top(net, blank)
    return net


def main(argv=None):
    """Run the command; returns 0, or 3 where a picture could not be read (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    found, missing = expand(args.paths)
    if not found and missing:
        raise DataError("; ".join(missing))
    stem = Path(args.cfg).stem
    folder = runs.new_folder(args.out, stem, OUT) if args.out else None
    if folder:
        spare(folder.path, found)
    net = load_network(args)
    folder = (folder or runs.claim_new(None, stem, OUT)).path
    look = detect if net.detects else classify
    records, failures, used = [], missing, set()
    for path in found:
        began = time.monotonic()
        try:
            line, record = look(net, path, folder, unique(path.stem, used), args)
        except DataError as error:
            failures.append(str(error))
            continue
        records.append({"image": str(path), **record})
        print(f"{path}: {line} ({(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
    for target in {str(folder / "detections.json"), args.json or str(folder / "detections.json")}:
        runs.write_text(target, json.dumps(records, indent=1) + "\n")
    print(f"{len(records)} picture{'s' * (len(records) != 1)} done: {folder}", file=sys.stderr)
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return DataError.exit_code if failures else 0


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


def detect(net, path, folder, stem, args):
    """Detect in one picture and write its files: (line for the screen, dict for JSON)."""
    detections = net.detect(path, args.thresh, args.nms, hier=args.hier)
    drawn = detections.draw()
    kind, suffix = ("PNG", ".png") if max(drawn.size) > LARGEST_JPEG else ("JPEG", ".jpg")
    with replacing(folder / f"{stem}{suffix}") as file:
        drawn.save(file, kind, quality=92)
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
    """Name one picture: (line for the screen, dict for JSON with the TOP classes)."""
    from minidarknet.data import pictures
    picture = pictures.read(path)
    classes = top(net, picture)
    height, width = picture.shape[:2]
    return (", ".join(f"{c['class']} {c['confidence']:.3f}" for c in classes),
            {"width": width, "height": height, "classes": classes})


def top(net, picture):
    """The TOP classes of a picture (h, w, 3) uint8, best first: list of dicts with class, class_id, confidence.

    Of a network with a label tree only the leaves compete, as in Darknet.
    """
    from minidarknet.data import pictures
    x, _ = pictures.fit(picture, net.input.shape[:2], net.resize_mode)
    probability = net.predict(x[None])[0]
    if net.tree is not None:
        probability = leaves_only(net.tree, probability)
    best = np.argsort(-probability, kind="stable")[:TOP]
    names = net.names or [str(i) for i in range(net.classes)]
    return [{"class": names[i], "class_id": int(i), "confidence": float(probability[i])} for i in best]


if __name__ == "__main__":
    sys.exit(cli.run(main))
