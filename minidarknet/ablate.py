"""`minidarknet ablate`: train the paper's ladder from YOLO to YOLOv2, and measure each trick. See ladder.py."""
import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from minidarknet import cli, clusters, cores, figures, ladder, parser, runs, schedule
from minidarknet.data import annotations, crops
from minidarknet.errors import DataError, UsageError
from minidarknet.files import replacing
from minidarknet.jobs import Jobs
from minidarknet.netoptions import NetOptions
from minidarknet.paths import BUNDLED

COLUMNS = ("rung", "seed", "pictures", "map_voc07", "map_voc10", "recall", "seconds")
IMAGES = 8000
FREE = ("debug", "jobs", "rungs", "seeds")  # may differ when a ladder is gone on with


def arguments():
    """The command's ArgumentParser."""
    names = ", ".join(rung.name for rung in ladder.RUNGS)
    p = cli.command("ablate", "Train the rungs of the paper's table 2, from YOLO to YOLOv2, at half its sizes: each differs "
                              "from the\none below in one trick and sees equally many pictures. Results: a table on stdout; "
                              "results.csv,\nladder.png and the run folders in --out. The same command goes on where it was "
                              "interrupted.")
    p.add_argument("--data", default="sample", help="a detection data set, as for train (default: sample)")
    p.add_argument("--train-split", default="train", help="list of pictures to train on (default: train)")
    p.add_argument("--val-split", default="val", help="list of pictures to score on (default: val)")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="use only the first N pictures of each split")
    p.add_argument("--rungs", type=rung_names, metavar="A,B", help=f"only these of {names}")
    p.add_argument("--seeds", type=cli.positive, default=3, metavar="N", help="repeat everything with N seeds (default: 3)")
    work = p.add_mutually_exclusive_group()
    work.add_argument("--images", type=cli.positive, default=IMAGES, metavar="N",
                      help=f"pictures that each rung sees (default: {IMAGES})")
    work.add_argument("--minutes-per-run", type=float, metavar="M",
                      help="as many pictures as the slowest rung sees in M minutes on one core")
    p.add_argument("--pretraining", type=cli.positive, default=ladder.PRETRAINED, metavar="N",
                   help=f"updates of every classifier (default: {ladder.PRETRAINED}, and a fifth for the fine-tuning)")
    p.add_argument("--jobs", type=cli.positive, metavar="N", help="trainings at a time, one core each (default: all cores)")
    p.add_argument("--out", type=cli.folder, default="runs/ablate", metavar="DIR", help="default: runs/ablate")
    return p


def rung_names(text):
    """argparse type: "yolo,anchors" -> the names, all of them rungs."""
    names = text.split(",")
    try:
        ladder.chosen(names)
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"{error.args[0]!r} is no rung; there are "
                                         f"{', '.join(rung.name for rung in ladder.RUNGS)}") from None
    return names


def main(argv=None):
    """Run the command; returns 0, or 1 where a rung has no result."""
    args = arguments().parse_args(argv)
    if args.minutes_per_run is not None and not args.minutes_per_run > 0:
        raise UsageError(f"--minutes-per-run {args.minutes_per_run:g}: expected more than 0")
    out, rungs = Path(args.out), ladder.chosen(args.rungs)
    training = annotations.load(args.data, args.train_split, limit=args.limit)
    plan = _plan(out, args, training, rungs)
    work = ladder.Work(plan["images"], _batch("yolo.cfg"), _batch("classifier-yolo.cfg"), plan["pretraining"],
                       max(plan["pretraining"] // 5, 1))
    steps = ladder.steps(rungs, range(args.seeds), work, plan["anchors"])
    jobs = Jobs(out, args.jobs or cores.cores())
    print(f"{len(rungs)} rungs of {work.images // work.batch * work.batch} pictures, {args.seeds} "
          f"seed{'s' * (args.seeds > 1)}: {len(steps)} trainings, {jobs.at_once} at a time, into {out}", file=sys.stderr)
    jobs.carry_out(steps, lambda step: _words(step, args, plan))
    rows = [row for seed in range(args.seeds) for rung in rungs if (row := _scored(rung, seed, work, jobs, args))]
    _write(rows, rungs, training.name, out)
    print(table(rows, rungs))
    for folder, why in jobs.failed.items():
        print(f"error: {out / folder}: {why}", file=sys.stderr)
    return int(bool(jobs.failed))


def _plan(out, args, training, rungs):
    """What must not change between two parts of a ladder: dict, written to plan.json at first. Raises UsageError."""
    file = out / "plan.json"
    asked = {key: value for key, value in vars(args).items() if key not in FREE and key != "out"}
    if file.exists():
        try:
            plan = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{file} is damaged ({error}): remove {out} or give another --out") from None
        changed = [f"--{key.replace('_', '-')} was {plan['asked'].get(key)!r}, now {value!r}" for key, value in asked.items()
                   if plan["asked"].get(key) != value]
        if changed:
            raise UsageError(f"{out} holds another ladder: {'; '.join(changed)}: give the same command to go on, or "
                             "another --out")
        return plan
    validation = annotations.load(args.data, args.val_split, limit=args.limit)
    for split, data in ((args.train_split, training), (args.val_split, validation)):
        if not data.counts.sum():
            raise DataError(f"{data.name}, {split}: no object in {len(data)} pictures; nothing to learn or to score")
    size = parser.typed(*_net("dimension-priors.cfg"), NetOptions)
    shapes = clusters.shapes(training.examples, (size.width, size.height))
    anchors = clusters.kmeans(shapes, ladder.ANCHORS) * ladder.GRID
    out.mkdir(parents=True, exist_ok=True)
    plan = {"asked": asked, "pretraining": args.pretraining,
            "images": _images_in(args.minutes_per_run, rungs) if args.minutes_per_run else args.images,
            "anchors": ",".join(f"{side:.2f}" for side in anchors.ravel()), "crops": str(_crops(args, out)),
            "machine": runs.machine()}
    runs.write_text(file, json.dumps(plan, indent=2) + "\n")
    return plan


def _net(name):
    """(cfg, its [net]) of a file in cfg/ladder."""
    cfg = parser.read(BUNDLED / "ladder" / name)
    return cfg, cfg.net


def _batch(name):
    """Pictures per update (int) of a file in cfg/ladder."""
    return parser.typed(*_net(name), NetOptions).batch


def _crops(args, out):
    """The folder of the objects' cut-out pictures, for pretraining; made if it is not there."""
    if args.data == "sample" and not args.limit:
        return crops.ensure_crops()
    for split, name in ((args.train_split, "train"), (args.val_split, "val")):
        data = annotations.load(args.data, split, limit=args.limit)
        if not crops.write_split(data, out / "crops", name):
            raise DataError(f"{data.name}, {split}: no object is large enough to be cut out for pretraining")
    crops.write_data_file(out / "crops", data.names)
    return out / "crops"


def _images_in(minutes, rungs):
    """How many pictures the slowest of the rungs learns from in so many minutes on one core, measured now: int."""
    from minidarknet.network import Network
    from minidarknet.tasks import Detection
    cli.use_threads(1)
    slowest = 0
    for file in {ladder.trained(rung).cfg for rung in rungs}:
        net = Network(parser.read(BUNDLED / "ladder" / file))
        per_batch = schedule.measure(net, Detection().some_truth)
        scales = schedule.MULTISCALE_COST if Detection().multiscale(net) else 1
        slowest = max(slowest, per_batch * scales / net.options.batch)
    return max(int(schedule.SHORT_SHARE * minutes * 60 / slowest), _batch("yolo.cfg"))


def _words(step, args, plan):
    """The arguments of `train` for a Step (list of str)."""
    settings = {"net.max_batches": step.updates, **step.settings}
    out = Path(args.out)
    begin = ["--weights", f"{out / step.needs / 'weights' / 'last.weights'}:{ladder.LAYERS}"] if step.needs else []
    data = ["--data", plan["crops"]] if step.crops else [
        "--data", args.data, "--train-split", args.train_split, "--val-split", args.val_split, "--resize", "letterbox",
        *(["--limit", str(args.limit)] if args.limit else [])]
    return [f"cfg/ladder/{step.cfg}", *data, *begin, "--seed", str(step.seed), "--threads", "1", "--workers", "1",
            "--max-batches", str(step.updates), "--set", *(f"{key}={value}" for key, value in settings.items())]


def _scored(rung, seed, work, jobs, args):
    """The row of results.csv for a Rung and a seed (dict), or None where its training failed."""
    folder = ladder.folder(rung, seed)
    if not jobs.is_done(folder):
        return None
    run, kept = runs.RunFolder(jobs.out / folder), jobs.out / folder / f"{rung.name}.json"
    if not kept.exists() or kept.stat().st_mtime < run.last.stat().st_mtime:   # never scored, or trained anew since
        size = parser.typed(*_net(rung.cfg), NetOptions)
        words = ["evaluate", str(run.cfg), str(run.last), "--data", args.data, "--split", args.val_split, "--resize",
                 "letterbox", "--size", f"{size.width}x{size.height}", "--json", str(kept)]
        done = subprocess.run([sys.executable, "-m", "minidarknet", *words,
                               *(["--limit", str(args.limit)] if args.limit else [])],
                              capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
        if done.returncode:
            raise DataError(f"{run.path} could not be scored: {done.stderr.strip()}")
    found = json.loads(kept.read_text())
    return {"rung": rung.name, "seed": seed, "pictures": work.images // work.batch * work.batch,
            "map_voc07": round(found["map_voc07"], 4), "map_voc10": round(found["map_voc10"], 4),
            "recall": round(recall(found), 4), "seconds": jobs.seconds(folder)}


def recall(found):
    """Share of the objects that were found at any confidence (float) in what `evaluate --json` wrote (dict)."""
    classes = found["per_class"].values()
    objects = sum(c["truths"] for c in classes)
    return sum(c["true_positives"] for c in classes) / objects if objects else 0.


def _write(rows, rungs, data, out):
    """results.csv and ladder.png, as far as there are results."""
    from minidarknet.viz_ladder import ladder_chart
    with replacing(out / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    if rows:
        figures.save(ladder_chart(summary(rows, rungs), data), out / "ladder.png")
        print(f"done: {out / 'results.csv'}, {out / 'ladder.png'}", file=sys.stderr)


def summary(rows, rungs):
    """[(Rung, maps, recalls)] of the rungs that have results, an array (seeds,) each, in the order of the ladder."""
    found = []
    for rung in rungs:
        mine = [row for row in rows if row["rung"] == rung.name]
        if mine:
            found.append((rung, *(np.array([float(row[key]) for row in mine]) for key in ("map_voc07", "recall"))))
    return found


def spread(values):
    """Standard deviation over the seeds in per cent, as text; of one seed there is none. values: (seeds,) fractions."""
    return f"{100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else "-"


def table(rows, rungs):
    """The ladder as aligned text: mAP and recall, mean and standard deviation over the seeds, beside the paper's mAP.

    runs: how many trainings had a result. step: what the rung adds to the last one above it that has a figure.
    """
    lines = [f"{'rung':27}  runs    mAP   +-   step  recall   +-   paper   step"]
    results, before, paper_before = {rung: found for rung, *found in summary(rows, rungs)}, None, None
    for rung in rungs:
        maps, recalls = results.get(rung, (np.zeros(0), np.zeros(0)))
        mean = 100 * maps.mean() if len(maps) else None
        line = [f"{rung.title:27}  {len(maps):4}  {_number(mean):>5} {spread(maps):>4}  {_gain(mean, before):>5}",
                f"{_number(100 * recalls.mean() if len(recalls) else None):>5} {spread(recalls):>4}  ",
                f"{_number(rung.paper):>5}  {_gain(rung.paper, paper_before):>5}"]
        lines.append("  ".join(line).rstrip())
        before, paper_before = mean if mean is not None else before, rung.paper or paper_before
    return "\n".join(lines)


def _number(value):
    return "-" if value is None else f"{value:.1f}"


def _gain(value, before):
    return "" if value is None or before is None else f"{value - before:+.1f}"


if __name__ == "__main__":
    sys.exit(cli.run(main))
