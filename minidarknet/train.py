"""`minidarknet train CFG`: train the network of a Darknet cfg on a data set."""
import sys
import time
from pathlib import Path

import numpy as np

from minidarknet import cli, parser, runs, schedule, weights
from minidarknet.errors import CfgError, DataError, UsageError
from minidarknet.layers import LAYERS
from minidarknet.netoptions import NetOptions

LEGEND = """what the progress bar and the columns of metrics.csv mean
  loss           the function that is differentiated, per image; falls, fast at first
  darknet_cost   sum of squared errors per image, the number that Darknet prints
  learning_rate  rises during burn-in, then follows the cfg's policy
  map_voc07      mean average precision on the validation set: 0 useless, 1 perfect
  avg_iou        overlap of the responsible boxes with their objects: above .6 is good
  class          probability given to the right class: toward 1
  obj, no_obj    objectness where there is an object: above .6; where there is none: below .01
  recall         share of the objects whose box overlaps by more than half: toward 1
  objects        objects in the update; with none the five columns before are empty"""

MULTISCALE_COST = 1.25  # mean area of the sizes 320, 352, ..., 608 over that of 416

FREE = ("max_batches", "minutes", "threads", "no_fuse", "workers", "resume", "debug", "out", "explain_log")  # on resume


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("train", "Train the network of a Darknet cfg. Without --data, on a drawn sample set.")
    p.add_argument("cfg", metavar="CFG", help="a cfg file, or the name of a bundled one such as cfg/yolov2-tiny.cfg")
    p.add_argument("--data", default="sample", help="a Darknet .data file, a VOC year folder (several with commas), "
                                                    "or sample (default)")
    p.add_argument("--train-split", default="train", help="list of pictures to train on (default: train)")
    p.add_argument("--val-split", default="val", help="list of pictures to validate on (default: val)")
    p.add_argument("--classes", help="train on these classes only, e.g. cat,dog")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="use only the first N pictures of each split")
    p.add_argument("--weights", metavar="FILE[:N]", help="start from a .weights file, or from its first N layers")
    p.add_argument("--out", metavar="DIR", help="run folder (default: runs/train/NAME, NAME-2, ...)")
    cli.add_set(p)
    p.add_argument("--max-batches", type=cli.positive, metavar="N", help="stop after N updates, counted from the start")
    p.add_argument("--minutes", type=float, metavar="M", help="stop after M minutes, the last validation included")
    p.add_argument("--overfit", type=cli.positive, metavar="N", help="learn the first N pictures by heart, to see "
                                                                     "that everything works")
    p.add_argument("--seed", type=cli.natural, default=0, metavar="N", help="of all random draws (default: 0)")
    p.add_argument("--workers", type=cli.positive, default=2, metavar="N", help="threads that load pictures (default: 2)")
    p.add_argument("--resume", action="store_true", help="continue the newest run, or the one in --out")
    p.add_argument("--no-multiscale", action="store_true", help="keep the cfg's size even where it says random=1")
    p.add_argument("--resize", choices=("letterbox", "stretch"),
                   help="how pictures are fitted into the network (default: letterbox; with a [detection] head stretch)")
    p.add_argument("--augmentation", choices=("place", "crop", "none"), default="place",
                   help="place: Darknet's, vary shape and position; crop: the paper's random crops; none")
    p.add_argument("--explain-log", action="store_true", help="say what the logged quantities mean, and stop")
    cli.add_modes(p)
    cli.add_threads(p)
    return p


def main(argv=None):
    """Run the command; returns its exit code (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    if args.explain_log:
        print(LEGEND)
        return 0
    if args.minutes is not None and not args.minutes > 0:
        raise UsageError(f"--minutes {args.minutes:g}: expected more than 0")
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
        self._data(cfg)
        cfg = self._fit_head(cfg)
        net = self._network(cfg)
        if not net.detects:
            raise CfgError(f"{cfg.path}: ends in [{net.head.name}]; training classifiers is not supported yet, "
                           "only detectors that end in [detection], [region] or [yolo]")
        seconds = self._measure(net)
        if self._wants_short_schedule():
            cfg = self._shorten(cfg, net, seconds)
            net = self._network(cfg)
            seconds = self._measure(net)
        if not self.args.resume:
            self.folder = runs.claim_new(self.args.out, Path(self.args.cfg).stem)
        self._announce(net, seconds)
        if not (self.checkpoint and self.folder.cfg.exists()):
            self.folder.begin(parser.render(cfg), net.names, {**self._recorded(), "resize": net.resize_mode})
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

    def _data(self, cfg):
        from minidarknet.data import annotations
        args = self.args
        classes = args.classes  # names with commas between; load() takes them apart
        if args.overfit:
            self.training = self.validation = annotations.load(args.data, args.train_split, classes, args.overfit)
        else:
            self.training = annotations.load(args.data, args.train_split, classes, args.limit)
            self.validation = annotations.load(args.data, args.val_split, classes, args.limit)
        if not self.training.counts.sum():
            raise DataError(f"{self.training.name}, {args.train_split}: no object in {len(self.training)} pictures; "
                            "there is nothing to learn (python -m minidarknet.check says what was left out and why)")
        for data in {id(d): d for d in (self.training, self.validation)}.values():
            cli.warn(data.problems)

    def _fit_head(self, cfg):
        """Rebuild the head where the data set's classes differ from the cfg's."""
        heads = [section for section in cfg.layers if section.name in parser.DETECTORS]
        found = len(self.training.names)
        told = [int(head.get("classes", LAYERS[head.name].Options.classes)) for head in heads]
        if all(classes == found for classes in told):
            return cfg
        changed = parser.with_classes(cfg, found)
        say(f"classes: the cfg has {told[-1]}, the data {found}: the head is rebuilt for the data")
        return changed

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
            net.seen = 0  # the file's counter belongs to another training
        net.names, net.resize_mode = self.training.names, self.args.resize or net.resize_mode
        return net

    def _measure(self, net):
        """Seconds for one mini-batch, measured on noise; compiles the kernels. The network is left as it was."""
        o = net.options
        x = np.random.default_rng(0).random((o.batch // o.subdivisions, *net.input.shape), np.float32)
        truth = np.tile(np.array([.5, .5, .3, .3, 0], np.float32), (len(x), 1, 1))
        kept = [(array, array.copy()) for layer in net.layers if getattr(layer, "norm", None)
                for array in (layer.norm.rolling_mean, layer.norm.rolling_variance)]
        updates = [(layer.norm, layer.norm.updates) for layer in net.layers if getattr(layer, "norm", None)]
        seen, times = net.seen, []
        for _ in range(2):
            began = time.monotonic()
            net.forward(x, truth, train=True)
            net.backward()
            times.append(time.monotonic() - began)
        for array, copy in kept:
            array[...] = copy
        for norm, count in updates:
            norm.updates = count
        for param in net.params:
            param.grad[...] = 0
        net.seen = seen
        return times[-1]

    def _multiscale(self, net):
        return net.head.multiscale and not self.args.no_multiscale and not self.args.overfit

    def _wants_short_schedule(self):
        a = self.args
        return a.data == "sample" and not (a.max_batches or a.minutes or a.overfit or self.checkpoint)

    def _shorten(self, cfg, net, seconds):
        changes = schedule.short(net.options, seconds, net.head)
        if changes:
            say(f"short schedule: the cfg's own {net.options.max_batches} updates would take "
                f"{duration(net.options.max_batches * net.options.subdivisions * seconds)}. On the sample set, without "
                f"--max-batches and --minutes, it is scaled down to {changes['net.max_batches']} updates of "
                f"{changes['net.batch']} pictures at {changes['net.width']} x {changes['net.height']} pixels, at most "
                f"{schedule.SHORT_MINUTES} minutes")
        return parser.override(cfg, changes)

    def _announce(self, net, seconds):
        o, a = net.options, self.args
        count = sum(param.value.size for param in net.params)
        w, h = net.input.shape[1::-1]
        per_update = seconds * o.subdivisions * (MULTISCALE_COST if self._multiscale(net) else 1)
        limits = [m for m in (a.max_batches, o.max_batches) if m]
        total = min(limits) * per_update if limits else None
        if a.minutes and (total is None or a.minutes * 60 < total):
            total = a.minutes * 60
        say(f"training {Path(a.cfg).stem}: {count:,} parameters, {w} x {h} pixels"
            f"{' and other sizes (multi-scale)' if self._multiscale(net) else ''}, {len(net.names)} classes")
        say(f"on {a.data}: {len(self.training.examples)} pictures to train, {len(self.validation.examples)} to validate"
            + (" (the same: --overfit)" if a.overfit else ""))
        pictures = o.batch // o.subdivisions * o.subdivisions
        say(f"an update: {pictures} pictures in {o.subdivisions} mini-batch{'es' * (o.subdivisions > 1)}, about "
            f"{duration(per_update)}; in all {min(limits) if limits else 'endless'} updates at most, "
            f"about {duration(total)}{' from the start' if self.checkpoint else ''}")
        say(f"into {self.folder.path}: metrics.csv, chart.png, images/, weights/last.weights, weights/best.weights")
        say(LEGEND)

    def _train(self, net):
        from minidarknet.optimizer import SGD
        from minidarknet.trainer import Trainer
        args, options = self.args, net.options
        trainer_limit = min([m for m in (args.max_batches, options.max_batches) if m], default=0)
        minutes = args.minutes
        if minutes is None and args.data == "sample" and not args.max_batches and not args.overfit:
            minutes = schedule.SHORT_MINUTES
        spent = time.monotonic() - self.began
        first = int(self.checkpoint["step"]) if self.checkpoint else 0
        size_of_step = self._sizes(net)
        loader = self._loader(net, first, size_of_step)
        trainer = Trainer(net, SGD(net), loader, size_of_step, self.validation, self.folder, trainer_limit,
                          None if minutes is None else max(minutes * 60 - spent, 1))
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
        base = net.input.shape[1::-1]
        if not self._multiscale(net):
            return lambda step: base
        stride = net.stride
        return lambda step: size_at(self.args.seed, step, base, stride)

    def _loader(self, net, first, size_of_step):
        from minidarknet.data.augment import Augmentation
        from minidarknet.data.loader import Loader
        o, args = net.options, self.args
        augmentation = Augmentation(mode="none" if args.overfit else args.augmentation, jitter=net.head.options.jitter,
                                    hue=o.hue, saturation=o.saturation, exposure=o.exposure)
        return Loader(self.training, o.batch // o.subdivisions, args.seed, first, size_of_step, augmentation,
                      workers=args.workers, mode=net.resize_mode, subdivisions=o.subdivisions)

    def _summary(self, trainer, reason, first):
        if reason == "interrupted":
            say(f"interrupted and saved after update {trainer.step}; add --resume to the same command to continue")
            return 130
        if trainer.step == first and self.checkpoint:
            say(f"the run is already at its limit of {trainer.max_batches or 'time'} updates: validated, not trained")
        print(f"mAP (VOC07, IoU .5) {trainer.last_map:.4f} on {len(self.validation.examples)} pictures "
              f"after {trainer.step} updates in {duration(time.monotonic() - self.began)}; best {trainer.best_map:.4f}")
        if trainer.training_seconds:
            say(f"the network waited for pictures {trainer.loader.waited / trainer.training_seconds:.1%} of the time")
        print(f"weights: {self.folder.last}")
        return 0


def duration(seconds):
    """Seconds as a person says them: "0.4 s", "12 s", "3.5 min", "2.1 h", "12 days", "no end" for None."""
    if seconds is None:
        return "no end"
    for limit, unit, name in ((10, 1, "s"), (100, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if limit == 100 else 1 + (seconds < 1)}f} {name}"
    return f"{seconds / 86400:.0f} days"


if __name__ == "__main__":
    sys.exit(cli.run(main))
