"""YOLO9000 in miniature: what is gained where boxes are missing, measured as the paper does.

Of a data set over a tree some classes, the unseen, lose their boxes' labels: these boxes say "animal", no longer "cat".
What a cat looks like is told by crops, pictures with a class and no box. Three networks differ in that alone:

    boxes       without the crops: it can find cats, but does not know the word
    joint       with them, train --joint
    all boxes   with every box labelled, no crops: what could be reached

They are scored on the same validation set, each class for itself: the score of a box is its objectness times P(class).
Paper: YOLO9000 (arXiv 1612.08242), section 4: 16.0 mAP on the 156 classes of ImageNet's detection task that never had a box.
"""
import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidarknet import cores, evaluate, figures, parser, runs
from minidarknet.data import annotations, crops
from minidarknet.data.sample import write_sample
from minidarknet.errors import DataError, MinidarknetError, UsageError
from minidarknet.files import replacing
from minidarknet.jobs import Jobs
from minidarknet.metrics import Boxes, evaluate_boxes, gather
from minidarknet.netoptions import NetOptions
from minidarknet.wordtree import read_map, read_tree, write_map

ARMS = ("boxes", "joint", "all boxes")
CROPPED = 800       # further pictures of the sample set that the crops are cut from
DRAWS = 20          # times that chance names the boxes
COLUMNS = ("arm", "seed", "class", "unseen", "ap07", "ap10")


@dataclass(frozen=True)
class Plan:
    """What is trained.

    cfg: with tree and map. updates: of every arm. unseen: classes without boxes. settings: of every arm, as --set. options:
    of every arm, further words of `train`. joint: those of the arm "joint". margin: of the crops, as crops.rectangle.
    """

    cfg: str
    updates: int
    unseen: tuple
    settings: tuple
    options: tuple = ()
    joint: tuple = ()
    margin: float = 1.

    def words(self):
        """(WordTree, map): what the cfg's head calls things."""
        cfg = parser.read(self.cfg)
        tree = read_tree(parser.find_file(cfg, cfg.layers[-1], "tree"))
        return tree, read_map(parser.find_file(cfg, cfg.layers[-1], "map"), len(tree))

    def fits(self, names):
        """Whether the cfg's map is that of the classes `names`."""
        tree, nodes = self.words()
        return [tree.names[node] for node in nodes] == list(names)


SAMPLE = Plan("cfg/yolo9000-nano.cfg", 6000, ("square", "ring", "star"), ("net.width=160", "net.height=160"),
              joint=("--joint-ratio", "1:1"), margin=2.)
VOC = Plan("cfg/yolo9000-tinydarknet-voc.cfg", 2000, ("cat", "dog", "bus", "sofa"), (), joint=("--joint-ratio", "2:1"))


def plan_for(data):
    """The Plan made for the classes of `data`, as `train --data`. Raises DataError where there is none."""
    names = annotations.load(data, "val", None, 1, False).names
    fitting = [plan for plan in (SAMPLE, VOC) if plan.fits(names)]
    if not fitting:
        raise DataError(f"{data} has the classes {', '.join(names)}; expected those of the sample set, or Pascal VOC's")
    return fitting[0]


class Training(NamedTuple):
    """One training, for jobs.Jobs. folder: its run folder's name. arm: str of ARMS. seed: of all its draws. updates, batch:
    pictures are updates * batch. needs: None, it waits for no other."""

    folder: str
    arm: str
    seed: int
    updates: int
    batch: int
    needs: str = None


class Miniature:
    """The experiment in a folder. data: as `train --data`. plan: Plan. out: the folder."""

    def __init__(self, data, plan, out):
        self.data, self.plan, self.out = data, plan, Path(out).absolute()
        self.tree, self.map = plan.words()
        self.validation = annotations.load(data, "val", None, None, False)
        strangers = set(plan.unseen) - set(self.validation.names)
        if strangers or not plan.fits(self.validation.names):
            raise DataError(f"{data} has the classes {', '.join(self.validation.names)}: {', '.join(sorted(strangers))} not "
                            f"among them, or the map of {plan.cfg} is not theirs")
        self.unseen = np.array([name in plan.unseen for name in self.validation.names])
        self.files = {name: self.out / f"{name}.map" for name in ("boxes", "all")}
        self.crops = self.out / "crops"

    def prepare(self):
        """Write the two maps and cut the crops; what is there stays.

        The crops are of all classes, as ImageNet's pictures are: with crops of the unseen alone, all that looks like a crop
        would be one of them. They show much of the surroundings, where those hold no other object: it could be taken for the
        one that has the name. They come from pictures that are not trained on with boxes where there are any (the sample set
        can be drawn longer), else from the training pictures themselves.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._require_same_plan()
        known = np.where(self.unseen, self.tree.parent[self.map], self.map)
        if (known < 0).any():
            raise UsageError(f"{', '.join(self.plan.unseen)}: a root has no parent to be called by; choose others")
        write_map(self.files["boxes"], known)
        write_map(self.files["all"], self.map)
        if not (self.crops / "train.txt").exists():
            source = write_sample(self.out / "more", CROPPED, 0, seed=1) if self.data == "sample" else self.data
            crops.write_split(annotations.load(source, "train", None, None, False), self.crops, "train", self.plan.margin,
                              single=True)

    def _require_same_plan(self):
        """Note what is trained in plan.json. Raises UsageError where the folder holds trainings of another plan."""
        file, plan = self.out / "plan.json", json.dumps({"data": str(self.data), **asdict(self.plan)}, indent=1) + "\n"
        if not file.exists():
            runs.write_text(file, plan)
        elif file.read_text(encoding="utf-8") != plan:
            raise UsageError(f"{self.out} holds the trainings of another plan, see plan.json there: give the same options, "
                             "to go on, or another --out")

    def trainings(self, seeds):
        """The Trainings of all arms for so many seeds (int)."""
        cfg = parser.override(parser.read(self.plan.cfg), dict(setting.split("=", 1) for setting in self.plan.settings))
        batch = parser.typed(cfg, cfg.net, NetOptions).batch
        return [Training(f"{arm.replace(' ', '-')}-{seed}", arm, seed, self.plan.updates, batch)
                for seed in range(seeds) for arm in ARMS]

    def words(self, training):
        """The arguments of `train` for a Training: list of str."""
        plan, names = self.plan, self.files["all" if training.arm == "all boxes" else "boxes"]
        words = [plan.cfg, "--data", self.data, "--seed", training.seed, "--threads", 1, "--workers", 1, *plan.options,
                 "--max-batches", plan.updates, "--set", f"net.max_batches={plan.updates}", *plan.settings,
                 f"region.map={names}"]
        words += ["--joint", self.crops, *plan.joint] if training.arm == "joint" else []
        return [str(word) for word in words]

    def score(self, training):
        """Score a Training that is complete, if that is not done yet. Returns [row of COLUMNS]."""
        folder = runs.RunFolder(self.out / training.folder)
        scores = folder.path / "scores.json"
        if not scores.exists() or scores.stat().st_mtime < folder.last.stat().st_mtime:
            runs.write_text(scores, json.dumps(self._score(training.arm, training.seed, folder), indent=1) + "\n")
        return json.loads(scores.read_text(encoding="utf-8"))

    def _score(self, arm, seed, folder):
        """Rows of COLUMNS: AP of every class by its own node, and, of the arm "boxes", what chance would reach."""
        found = self._found(folder, "all")
        rows = self._rows(arm, seed, [evaluate_boxes(found, self.validation.examples, self.validation.names)])
        if arm == "boxes":
            for name, results in self.chance(self._found(folder, "boxes"), seed).items():
                rows += self._rows(name, seed, results)
        return rows

    def _found(self, folder, names):
        """What a trained network finds, its classes read through one of `files`: [Boxes], one per class of the data."""
        from minidarknet.network import Network
        net = Network.from_cfg(folder.cfg, weights=folder.last, overrides={"region.map": self.files[names]})
        net.resize_mode = runs.recorded_resize(folder.cfg) or net.resize_mode
        found = evaluate.detections(net, self.validation, quiet=True)
        return gather(found, self.validation.examples, self.validation.names)

    def chance(self, found, seed):
        """What is reached without knowing the unseen classes, from the boxes of their parents: dict name -> [Evaluation].

        found: [Boxes], where the boxes of an unseen class are all those of its parent. "by chance": each is named after one
        of the parent's children, drawn with equal chances, DRAWS times. "all at once": each is given all their names.
        """
        rng, siblings = np.random.default_rng(seed), np.diff(self.tree.children)[:, 0][self.tree.parent[self.map]]
        share = np.where(self.unseen, 1 / np.maximum(siblings, 1), 1)

        def thinned(shares):
            kept = [rng.random(len(boxes.value)) < share for boxes, share in zip(found, shares)]
            boxes = [Boxes(*(part[keep] for part in boxes)) for boxes, keep in zip(found, kept)]
            return evaluate_boxes(boxes, self.validation.examples, self.validation.names)
        return {"by chance": [thinned(share) for _ in range(DRAWS)], "all at once": [thinned(np.ones(len(share)))]}

    def _rows(self, arm, seed, evaluations):
        """A row of COLUMNS for each class, its AP the mean over the evaluations."""
        rows = []
        for number, (name, unseen) in enumerate(zip(self.validation.names, self.unseen.tolist())):
            aps = [(e.per_class[number].ap07, e.per_class[number].ap10) for e in evaluations]
            rows.append(dict(zip(COLUMNS, (arm, seed, name, unseen, *np.mean(aps, axis=0).tolist()))))
        return rows


def means(rows, unseen):
    """mAP (VOC07) over the unseen classes or the others: dict arm -> [a number for each seed]. rows: of COLUMNS."""
    found = {}
    for row in rows:
        if row["unseen"] == unseen:
            found.setdefault(row["arm"], {}).setdefault(row["seed"], []).append(row["ap07"])
    return {arm: [float(np.nanmean(aps)) for aps in seeds.values()] for arm, seeds in found.items()}


def table(rows):
    """Mean and standard deviation over the seeds, a line for each arm (str). rows: of COLUMNS."""
    unseen, seen = means(rows, True), means(rows, False)
    lines = [f"{'mAP (VOC07)':12} unseen classes   the others"]
    for arm, values in unseen.items():
        lines.append(f"{arm:12} {_spread(values)}   {'' if arm not in ARMS else _spread(seen[arm])}".rstrip())
    return "\n".join(lines)


def _spread(values):
    return f"{np.mean(values):.3f} +- {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}"


def write(rows, out):
    """Write `rows` of COLUMNS into the folder `out` (Path): scores.csv, and chart.png."""
    with replacing(out / "scores.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    figure = figures.blank(7, 3.6)
    axes = figure.subplots(1, 2, sharey=True)
    for panel, unseen, title in zip(axes, (True, False), ("classes that never had a box", "classes with boxes")):
        found = means(rows, unseen)
        figures.plain(panel, y="mAP (VOC07, IoU .5)" * unseen, title=title)
        for place, arm in enumerate(ARMS):
            panel.bar(place, np.mean(found[arm]), .6, color=("#bbbbbb", "#e69f00", "#56b4e9")[place])
            panel.plot([place] * len(found[arm]), found[arm], "o", color="#333333", markersize=4)
        for arm, style in (("by chance", ":"), ("all at once", "--")) if unseen else ():
            panel.axhline(np.mean(found[arm]), linestyle=style, color="#d55e00", label=f"named {arm}")
        panel.set_xticks(range(len(ARMS)), ARMS)
        panel.grid(axis="x", visible=False)
    axes[0].legend(frameon=False, fontsize=8)
    figures.save(figure, out / "chart.png")


def main(data, plan, seeds, out, at_once=None):
    """Run the whole experiment and print its table: [row of COLUMNS].

    seeds: how many. at_once: trainings at a time, each on one core (default: as many as there are cores). The others as
    Miniature. Raises MinidarknetError where a training failed.
    """
    experiment = Miniature(data, plan, out)
    experiment.prepare()
    jobs, trainings = Jobs(experiment.out, at_once or cores.cores()), experiment.trainings(seeds)
    jobs.carry_out(trainings, experiment.words)
    if jobs.failed:
        raise MinidarknetError("; ".join(f"{experiment.out / folder}: {why}" for folder, why in jobs.failed.items()))
    rows = [row for training in trainings for row in experiment.score(training)]
    write(rows, experiment.out)
    print(table(rows))
    return rows
