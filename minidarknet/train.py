"""`minidarknet train CFG`: train the network of a Darknet cfg on a data set."""
import sys
import time
from dataclasses import replace
from pathlib import Path

from minidarknet import cli, limits, parser, runs, schedule, training_data, weights
from minidarknet.detect import require_colour
from minidarknet.enclose import enclosed
from minidarknet.errors import CfgError, UsageError
from minidarknet.names import names_of
from minidarknet.netoptions import NetOptions
from minidarknet.tasks import task_of
from minidarknet.wordtree import read_tree

FREE = ("max_batches", "minutes", "threads", "no_fuse", "workers", "resume", "debug", "out", "explain_log",
        "backup")  # on resume


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("train", "Train the network of a Darknet cfg, a detector or a classifier. Without --data, on a drawn\n"
                             "sample set.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one such as cfg/yolov2-tiny.cfg")
    p.add_argument("--data", default="sample", help="a Darknet .data file, a VOC year folder (several with commas), COCO's "
                                                    "JSON or its folder, a folder of classes, or sample (default)")
    p.add_argument("--train-split", default="train", help="list of pictures to train on (default: train)")
    p.add_argument("--val-split", default="val", help="list of pictures to validate on (default: val)")
    p.add_argument("--classes", help="train on these classes only, e.g. cat,dog")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="use only the first N pictures of each split")
    p.add_argument("--weights", metavar="FILE[:N]", help="start from a .weights file, or from its first N layers")
    p.add_argument("--keep-seen", action="store_true",
                   help="count on from the pictures that the --weights were trained on, as Darknet does without -clear")
    p.add_argument("--out", metavar="DIR", help="run folder (default: runs/train/NAME, NAME-2, ...)")
    p.add_argument("--backup", type=cli.folder, metavar="DIR", help="write the weights there as well, under the names that "
                                                                    "Darknet gives them")
    training_data.add_joint(p)
    cli.add_set(p)
    p.add_argument("--max-batches", type=cli.positive, metavar="N", help="stop after N updates, counted from the start")
    p.add_argument("--minutes", type=float, metavar="M", help="stop after M minutes, the last validation included")
    p.add_argument("--overfit", type=cli.positive, metavar="N", help="learn the first N pictures by heart, to see "
                                                                     "that everything works")
    p.add_argument("--seed", type=cli.natural, default=0, metavar="N", help="of all random draws (default: 0)")
    p.add_argument("--workers", type=cli.positive, default=2, metavar="N", help="threads that load pictures (default: 2)")
    p.add_argument("--resume", action="store_true", help="continue the newest run, or the one in --out")
    p.add_argument("--no-multiscale", action="store_true", help="keep the cfg's size even where it says random=1")
    p.add_argument("--resize", choices=("letterbox", "stretch", "crop"),
                   help="how pictures are fitted into the network (default: as the cfg says, else letterbox; for "
                        "classifiers crop, the middle square)")
    p.add_argument("--augmentation", choices=("place", "crop", "center", "none"),
                   help="detectors: place (default), Darknet's, varies shape and position; crop: the paper's random crops; "
                        "none. Classifiers: crop (default), turned windows; center; none")
    p.add_argument("--explain-log", action="store_true", help="say what the logged quantities mean, and stop")
    cli.add_modes(p)
    cli.add_threads(p)
    return p


def main(argv=None):
    """Run the command; returns its exit code (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    if args.explain_log:
        print(task_of(parser.read(args.cfg)).legend)
        return 0
    if args.minutes is not None and not args.minutes > 0:
        raise UsageError(f"--minutes {args.minutes:g}: expected more than 0")
    if args.keep_seen and not args.weights:
        raise UsageError("--keep-seen goes on counting where --weights stopped: give them")
    training_data.complete(args)
    began = time.monotonic()
    cli.use_threads(args.threads)
    with cli.patience():
        return Session(args, began).run()


def say(*words):
    """A line for the person who waits: to stderr."""
    print(*words, file=sys.stderr, flush=True)


class Session:
    """What `train` does, in order: folder, cfg, data, network, plan, training, summary."""

    def __init__(self, args, began):
        self.args, self.began, self.said = args, began, set()
        stem = Path(args.cfg).stem
        self.folder = runs.find_folder(args.out, stem).claim() if args.resume else runs.new_folder(args.out, stem)
        self.checkpoint = self.folder.load_checkpoint() if args.resume else None
        if args.resume:
            self._same_command()

    def run(self):
        """Carry it out; returns the exit code."""
        cfg = self._cfg()
        self.task = task_of(cfg)
        self.training, self.validation = training_data.read(self.args, self.task.classifies)
        cfg = self._fit_head(cfg)
        net = self._network(cfg)
        self.training, self.validation = training_data.fit(net, self.training, self.validation, self.args)
        if not any(layer.trains_from_truth for layer in net.layers):
            raise CfgError(f"{cfg.path}: no layer has a loss, so there is nothing to learn from; expected a [detection], "
                           "[region], [yolo], [softmax] or [cost] section at the end")
        require_colour(net)
        self.augmentation = self._augmentation(net)
        seconds = schedule.measure(net, self.task.some_truth)
        if self._wants_short_schedule():
            cfg, whole = self._shorten(cfg, net, seconds), net
            net = self._network(cfg)
            training_data.share_map(net, whole)
            seconds = schedule.measure(net, self.task.some_truth)
        if not self.args.resume:
            self.folder = runs.claim_new(self.args.out, Path(self.args.cfg).stem)
        self._announce(net, seconds)
        if not (self.checkpoint and self.folder.cfg.exists()):
            pictures = {"boxes": len(self.training) - self.training.unboxed, "classes": self.training.unboxed}
            self.folder.begin(parser.render(enclosed(cfg, self.folder.cfg)), net.names,
                              {**self._recorded(), "resize": net.resize_mode, "pictures": pictures})
        return self._train(net)

    def _same_command(self):
        """Raises UsageError where an argument other than a limit differs from the run's."""
        old, new = self.folder.read_args().get("arguments", {}), self._recorded()["arguments"]
        changed = [key for key in new if key in old and key not in FREE and old[key] != new[key]]
        if changed:
            words = "; ".join(f"--{key.replace('_', '-')} was {old[key]!r}, now {new[key]!r}" for key in changed)
            raise UsageError(f"--resume continues {self.folder.path} as it was begun, but {words}: "
                             "give the same command with --resume added, or start a new run")

    def _recorded(self):
        return {"arguments": {k: v for k, v in vars(self.args).items() if k not in ("debug", "resume", "explain_log")}}

    def _cfg(self):
        """The cfg with --set and --overfit; a resumed run's own model.cfg."""
        args = self.args
        if self.checkpoint and self.folder.cfg.exists():
            return parser.read(self.folder.cfg)
        changes = cli.overrides(args)
        cfg = parser.override(parser.read(args.cfg), changes)
        if args.overfit:
            options = parser.typed(cfg, cfg.net, NetOptions)
            given = {f"net.{key}" for key in ("batch", "subdivisions", "policy", "burn_in")} & set(changes)
            extra = {key: value for key, value in schedule.overfit(options, args.overfit).items() if key not in given}
            cfg = parser.override(cfg, extra)
        return cfg

    def _fit_head(self, cfg):
        """Rebuild the head where the data set's classes differ from the cfg's; those of a label tree are its nodes."""
        told, found, whose = parser.classes_of(cfg), len(self.training.names), "data"
        for section in cfg.layers:
            if section.get("tree"):
                found, whose = len(read_tree(parser.find_file(cfg, section, "tree"))), "tree"
        if told == found:
            return cfg
        say(f"classes: the cfg has {told}, the {whose} {found}: the head is rebuilt for the {whose}")
        return parser.with_classes(cfg, found)

    def _network(self, cfg):
        from minidarknet.network import Network
        net = Network(cfg, seed=self.args.seed, **cli.modes(self.args))
        for line in cfg.warnings:
            if line not in self.said:
                say(line)
        self.said.update(cfg.warnings)
        if self.args.weights and not self.checkpoint:
            file, layers = weights.parse_argument(self.args.weights)
            weights.load(net, file, layers)
            if not self.args.keep_seen:
                net.seen = 0  # the file's counter belongs to another training
        net.open_files()
        net.names = names_of(net.tree) or self.training.names
        net.resize_mode = self.args.resize or self.task.resize or net.resize_mode
        limits.check_batch(net, net.options.batch // net.options.subdivisions, True)
        return net

    def _multiscale(self, net):
        """(stride, scales) as the task says, or None."""
        return None if self.args.no_multiscale or self.args.overfit else self.task.multiscale(net)

    def _augmentation(self, net):
        modes = self.task.augmentations(net)
        mode = "none" if self.args.overfit else self.args.augmentation or next(iter(modes))
        if mode not in modes:
            raise UsageError(f"--augmentation {mode}: this network is trained with one of {', '.join(modes)}")
        return replace(modes[mode], smallest=self.args.joint_smallest) if self.args.joint else modes[mode]

    def _wants_short_schedule(self):
        a = self.args
        return a.data == "sample" and not (a.max_batches or a.minutes or a.overfit or self.checkpoint)

    def _shorten(self, cfg, net, seconds):
        changes = schedule.short(net.options, seconds)
        if changes:
            changes |= self.task.one_size(net)
            whole = schedule.duration(net.options.max_batches * net.options.subdivisions * seconds)
            say(f"short schedule: the cfg's own {net.options.max_batches} updates would take {whole}. On the sample set, "
                f"without --max-batches and --minutes, it is scaled down to {changes['net.max_batches']} updates of "
                f"{changes['net.batch']} pictures at {changes['net.width']} x {changes['net.height']} pixels, at most "
                f"{schedule.SHORT_MINUTES} minutes")
        return parser.override(cfg, changes)

    def _announce(self, net, seconds):
        o, a = net.options, self.args
        count = sum(param.value.size for param in net.params)
        w, h = net.input.shape[1::-1]
        per_update = seconds * o.subdivisions * (schedule.MULTISCALE_COST if self._multiscale(net) else 1)
        limits = [m for m in (a.max_batches, o.max_batches) if m]
        total = min(limits) * per_update if limits else None
        if a.minutes and (total is None or a.minutes * 60 < total):
            total = a.minutes * 60
        say(f"training {Path(a.cfg).stem}: {count:,} parameters, {w} x {h} pixels"
            f"{' and other sizes (multi-scale)' if self._multiscale(net) else ''}, {len(net.names)} classes")
        say(f"on {a.data}: {training_data.told(self.training)}, {len(self.validation.examples)} to validate"
            + (" (the same: --overfit)" if a.overfit else ""))
        pictures = o.batch // o.subdivisions * o.subdivisions
        say(f"an update: {pictures} pictures in {o.subdivisions} mini-batch{'es' * (o.subdivisions > 1)}, about "
            f"{schedule.duration(per_update)}; in all {min(limits) if limits else 'endless'} updates at most, "
            f"about {schedule.duration(total)}{' from the start' if self.checkpoint else ''}")
        say(f"into {self.folder.path}: metrics.csv, chart.png, images/, weights/last.weights, weights/best.weights")
        say(self.task.legend)

    def _train(self, net):
        from minidarknet.optimizer import SGD
        from minidarknet.trainer import Trainer
        args, options = self.args, net.options
        trainer_limit = min([m for m in (args.max_batches, options.max_batches) if m], default=0)
        minutes = args.minutes
        if minutes is None and args.data == "sample" and not args.max_batches and not args.overfit:
            minutes = schedule.SHORT_MINUTES
        spent = time.monotonic() - self.began
        optimizer = SGD(net)
        first = int(self.checkpoint["step"]) if self.checkpoint else optimizer.update
        size_of_step = self._sizes(net)
        loader = self._loader(net, first, size_of_step)
        self.folder.columns = self.task.columns
        if args.backup:
            self.folder.copy = Path(args.backup) / f"{Path(args.cfg).name.partition('.')[0]}.backup"
        trainer = Trainer(self.task, net, optimizer, loader, size_of_step, self.validation, self.folder, trainer_limit,
                          None if minutes is None else max(minutes * 60 - spent, 1), first=first)
        if self.checkpoint:
            self._restore(trainer)
        else:
            trainer.save()
        try:
            reason = trainer.fit()
        finally:
            loader.close()
        cli.warn(loader.problems)
        return self._summary(trainer, reason, first)

    def _restore(self, trainer):
        try:
            trainer.restore(self.checkpoint)
        except (KeyError, ValueError) as error:
            raise UsageError(f"{self.folder.checkpoint} belongs to another network than {self.folder.cfg} ({error}): "
                             "restore the run's own model.cfg") from None
        self.folder.cut_rows(trainer.step)
        say(f"resuming {self.folder.path} after update {trainer.step} ({trainer.net.seen} pictures)")

    def _sizes(self, net):
        from minidarknet.data.multiscale import size_at
        base, multiscale = net.input.shape[1::-1], self._multiscale(net)
        if not multiscale:
            return lambda step: base
        return lambda step: size_at(self.args.seed, step, base, *multiscale)

    def _loader(self, net, first, size_of_step):
        from minidarknet.data.loader import Loader
        o, args = net.options, self.args
        return Loader(self.training, o.batch // o.subdivisions, args.seed, first, size_of_step, self.augmentation,
                      workers=args.workers, subdivisions=o.subdivisions)

    def _summary(self, trainer, reason, first):
        if self.folder.copy and reason != "interrupted":
            weights.save(trainer.net, str(self.folder.copy).removesuffix(".backup") + self.task.final)
        if reason == "interrupted":
            say(f"interrupted and saved after update {trainer.step}; add --resume to the same command to continue")
            return 130
        if trainer.step == first and self.checkpoint:
            say(f"the run is already at its limit of {trainer.max_batches or 'time'} updates: validated, not trained")
        last, best = self.task.told(trainer.scores, trainer.best)
        print(f"{last} on {len(self.validation.examples)} pictures after {trainer.step} updates in "
              f"{schedule.duration(time.monotonic() - self.began)}; {best}")
        if trainer.training_seconds:
            say(f"the network waited for pictures {trainer.loader.waited / trainer.training_seconds:.1%} of the time")
        print(f"weights: {self.folder.last}")
        return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
