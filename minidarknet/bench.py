"""`minidarknet bench CFG`: where a network's time goes on this machine, and how long its training would take."""
import json
import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

from minidarknet import cli, schedule
from minidarknet.errors import UsageError
from minidarknet.machine import limit, machine, width
from minidarknet.schedule import MULTISCALE_COST, duration

SECONDS = {"inference": 4, "training": 8}  # of measuring, when --seconds does not say otherwise
FEWEST, MOST = 3, 50                       # measurements of a pass


class Row(NamedTuple):
    """One step of a pass: a layer, or several that are computed as one. layers: their indices. name: what they are.

    output: (h, w, c). forward_ms, backward_ms: medians; gflop...: of the whole batch, by the rules of `info`: a
    multiplication and an addition are two, and a convolution is credited with the direct method's.
    """

    layers: tuple
    name: str
    output: tuple
    forward_ms: float
    forward_gflop: float
    backward_ms: float
    backward_gflop: float


def arguments():
    """The command's ArgumentParser."""
    args = cli.command("bench", "Measure a network on this machine: milliseconds of every layer, GFLOP/s, share of\n"
                                "the processor's measured peak, pictures per second, and how long the cfg's training\n"
                                "would take. The weights are random, the pictures noise; nothing is read or written.")
    args.add_argument("cfg", metavar="CFG", help="a cfg file, or a bundled one such as cfg/yolov2-tiny.cfg")
    args.add_argument("--batch", type=cli.positive, metavar="N", help="pictures at once (default: 1 for inference, the "
                                                                      "cfg's mini-batch for training)")
    args.add_argument("--size", type=cli.size, metavar="S", help="416 or 416x320 (width x height) instead of the cfg's")
    only = args.add_mutually_exclusive_group()
    only.add_argument("--inference", action="store_true", help="measure inference only")
    only.add_argument("--train", action="store_true", help="measure training only")
    args.add_argument("--seconds", type=float, metavar="T", help="how long to measure each (default: "
                      + ", ".join(f"{kind} {seconds}" for kind, seconds in SECONDS.items()) + ")")
    args.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    cli.add_set(args)
    cli.add_modes(args)
    cli.add_threads(args)
    return args


def main(argv=None):
    """Run the command; returns the exit code."""
    from minidarknet.network import Network
    args = arguments().parse_args(argv)
    if args.seconds is not None and not args.seconds > 0:
        raise UsageError(f"--seconds {args.seconds:g}: expected more than 0")
    overrides = cli.overrides(args)
    if args.size:
        overrides.update(zip(("net.width", "net.height"), args.size))
    overrides["net.learning_rate"] = 0  # the weights stay what they are
    net = Network.from_cfg(args.cfg, overrides=overrides, **cli.modes(args))
    result = {"cfg": net.cfg.path, "input": net.input.shape, "machine": machine(cli.use_threads(args.threads))}
    for kind, measure in (("inference", inference), ("training", training)):
        if args.inference and kind == "training" or args.train and kind == "inference":
            continue
        seconds = args.seconds or SECONDS[kind]
        print(f"measuring {kind}, about {seconds:g} s", file=sys.stderr, flush=True)
        with cli.patience():
            result[kind] = measure(net, args.batch, seconds)
        result["machine"]["peak_gflops"] = limit(result["machine"]["peak_gflops"])
    print(json.dumps(result, indent=2) if args.json else report(result))
    return 0


class Stopwatch:
    """Within `with Stopwatch(steps) as watch`: watch.ms["forward"][i] lists the milliseconds of each forward of step i.

    It stands between the network and its steps, so that exactly what the network does is measured, backward likewise.
    """

    def __init__(self, steps):
        self.steps = steps
        self.ms = {verb: [[] for _ in steps] for verb in ("forward", "backward")}

    def __enter__(self):
        for i, step in enumerate(self.steps):
            for verb, noted in self.ms.items():
                setattr(step, verb, self._timed(getattr(step, verb), noted[i]))
        return self

    def __exit__(self, *error):
        for step in self.steps:
            for verb in self.ms:
                delattr(step, verb)  # the class's own method comes to light again

    @staticmethod
    def _timed(function, noted):
        def call(run):
            began = time.perf_counter()
            function(run)
            noted.append((time.perf_counter() - began) * 1e3)
        return call

    def forget(self):
        """Start anew: what was noted so far was warm-up."""
        for noted in self.ms.values():
            for times in noted:
                times.clear()

    def median(self, verb, i):
        """Median milliseconds of step i's `verb`; 0 where it was never called (nobody needed its gradient)."""
        return statistics.median(self.ms[verb][i]) if self.ms[verb][i] else 0.0


def repeat(work, watch, seconds):
    """Call work() twice for nothing, then for about `seconds`; the median of each of the milliseconds it returns."""
    work()
    work()
    watch.forget()
    rows, end = [], time.perf_counter() + seconds
    while len(rows) < FEWEST or (time.perf_counter() < end and len(rows) < MOST):
        rows.append(work())
    return [statistics.median(column) for column in zip(*rows)]


def milliseconds(*functions):
    """Milliseconds that each of the functions takes, called one after the other."""
    times = [time.perf_counter()]
    for function in functions:
        function()
        times.append(time.perf_counter())
    return [(after - before) * 1e3 for before, after in zip(times, times[1:])]


def inference(net, batch, seconds):
    """Measure net.predict on `batch` (int, None: 1) pictures for `seconds` -> dict with ms, gflop and steps ([Row])."""
    x = noise(net, batch or 1)
    with Stopwatch(steps(net)) as watch:
        (ms,) = repeat(lambda: milliseconds(lambda: net.predict(x)), watch, seconds)
    rows = [row(watch, i, len(x)) for i in range(len(watch.steps))]
    return {**totals(len(x), ms, sum(r.forward_gflop for r in rows)), "steps": [r._asdict() for r in rows]}


def training(net, batch, seconds):
    """Measure a training step on `batch` (int, None: the cfg's mini-batch) pictures, as `inference`, and the update."""
    from minidarknet.optimizer import SGD
    o = net.options
    x = noise(net, batch or o.batch // o.subdivisions)
    truth, gradient, sgd = truths(net, len(x)), None, SGD(net)
    if not any(layer.trains_from_truth for layer in net.layers):
        truth, gradient = None, np.ones((len(x), *net.layers[-1].shape), np.float32)  # for a loss of the user's own

    def work():
        return milliseconds(lambda: net.forward(x, truth, train=True), lambda: net.backward(gradient), sgd.step)
    with Stopwatch(steps(net)) as watch:
        forward, backward, update = repeat(work, watch, seconds)
    rows = [row(watch, i, len(x)) for i in range(len(watch.steps))]
    gflop = sum(r.forward_gflop + r.backward_gflop for r in rows)
    return {**totals(len(x), forward + backward + update, gflop), "forward_ms": forward, "backward_ms": backward,
            "sgd_ms": update, "steps": [r._asdict() for r in rows],
            "schedule": whole_schedule(net, (forward + backward) / len(x) / 1e3, update / 1e3)}


def steps(net):
    """What the network runs: its layers, or where layers were fused the objects that stand for several."""
    return list(net.steps)


def noise(net, batch):
    """`batch` pictures of noise (b, h, w, c) float32 that fit the network."""
    return np.random.default_rng(0).random((batch, *net.input.shape), np.float32)


def truths(net, batch):
    """A truth for `batch` pictures: three objects each for a detector, the first class for a classifier."""
    if net.detects:
        objects = [.5, .5, .3, .3, 0], [.2, .3, .1, .2, 0], [.7, .8, .5, .4, 0]
        return np.tile(np.array(objects, np.float32), (batch, 1, 1))
    truth = np.zeros((batch, int(np.prod(net.head.shape))), np.float32)
    truth[:, 0] = 1
    return truth


def row(watch, i, batch):
    """The Row of step i. watch: Stopwatch. batch: pictures."""
    step = watch.steps[i]
    layers = getattr(step, "layers", (step,))
    forward = sum(layer.operations() for layer in layers) * batch / 1e9
    backward = sum(backward_operations(layer) for layer in layers) * batch / 1e9
    return Row(tuple(layer.index for layer in layers), " + ".join(map(words, layers)), layers[-1].shape,
               watch.median("forward", i), forward, watch.median("backward", i), backward)


def backward_operations(layer):
    """Operations of a layer's gradients for one picture: as many as forward for the weights, as many for the source."""
    if layer.frozen or not layer.active:
        return 0
    return layer.operations() * (1 + any(source.wants_grad for source in layer.sources))


def words(layer):
    """A layer in words: "convolutional 3x3/2"."""
    if layer.name not in ("convolutional", "local", "maxpool"):
        return layer.name
    size, stride = layer.window()
    return f"{layer.name} {size}x{size}" + (f"/{stride}" if stride > 1 else "")


def totals(batch, ms, gflop):
    """The sums of a pass as a dict. batch: pictures. ms: milliseconds of all. gflop: of all."""
    return {"batch": batch, "ms": ms, "images_per_s": batch / ms * 1e3, "gflop": gflop, "gflops": gflop / ms * 1e3}


def whole_schedule(net, seconds, update):
    """How long the cfg's training would take, as a dict. seconds: per picture, forward and backward; update: SGD's."""
    o = net.options
    pictures = o.batch // o.subdivisions * o.subdivisions
    multiscale = net.head.multiscale
    each = pictures * seconds * (MULTISCALE_COST if multiscale else 1) + update
    total = o.max_batches * each if o.max_batches else None
    said = (f"the cfg's schedule: {f'{o.max_batches:,}' if o.max_batches else 'endless'} updates of {pictures} pictures"
            f"{' of many sizes' if multiscale else ''}, {duration(total)} at this rate "
            "(loading and validation not counted)")
    short = schedule.short(o, o.batch // o.subdivisions * seconds) if net.detects else {}
    if short:
        said += (f"\non the sample set `minidarknet train` cuts it to {short['net.max_batches']:,} updates of "
                 f"{short['net.batch']} pictures of {short['net.width']} x {short['net.height']}, at most "
                 f"{schedule.SHORT_MINUTES} min")
    return {"updates": o.max_batches, "images_per_update": pictures, "multiscale": multiscale, "update_s": each,
            "total_s": total, "short": short, "words": said}


def report(result):
    """All that is printed (str). result: dict with cfg, input, machine and the parts that were measured."""
    parts = [text(kind, result[kind], result["machine"]["peak_gflops"]) for kind in SECONDS if kind in result]
    if "training" in result:
        parts.append(result["training"]["schedule"]["words"])
    return "\n\n".join([heading(result), *parts])


def heading(result):
    """The first lines: network and machine. result: dict with cfg, input and machine."""
    facts, (h, w, c) = result["machine"], result["input"]
    peak = f"; peak {facts['peak_gflops']:.0f} GFLOP/s of fused multiply-adds, measured" if facts["peak_gflops"] else ""
    return (f"{result['cfg']}: input {w} x {h} x {c}, {facts['threads']} thread{'s' * (facts['threads'] > 1)}\n"
            f"{facts['processor']}, {facts['cores']} core{'s' * (facts['cores'] > 1)}, {width(facts)}{peak}\n"
            f"minidarknet {facts['minidarknet']}, Python {facts['python']}, NumPy {facts['numpy']}, "
            f"Numba {facts['numba']} ({facts['threading_layer'] or 'JIT off'})")


def text(kind, part, peak):
    """The table (str) of one part. kind: "inference" or "training". part: its dict. peak: GFLOP/s or None."""
    verbs = ("forward", "backward") if kind == "training" else ("forward",)
    title = f"{kind}, {part['batch']} picture{'s' * (part['batch'] > 1)} at once"
    rows = part["steps"]
    wide = max(len(r["name"]) for r in rows)
    head = f"{'':>7} {title:<{wide}}  {'output':>18}"
    lines = [head + "".join(f"  {verb + ' ms':>11} {'time':>4} {'GFLOP/s':>7} {'peak':>4}" for verb in verbs)]

    def cells(r):
        return "".join("  " + _cell(r[f"{verb}_ms"], r[f"{verb}_gflop"], part["ms"], peak) for verb in verbs)
    for r in rows:
        first, last = r["layers"][0], r["layers"][-1]
        h, w, c = r["output"]
        lines.append(f"{first if first == last else f'{first} - {last}':>7} {r['name']:<{wide}}  "
                     f"{f'{w} x {h} x {c:>4}':>18}" + cells(r))
    indent = " " * len(f"{'':>7} {'':<{wide}}  {'':>18}")
    sums = {f"{verb}_{unit}": sum(r[f"{verb}_{unit}"] for r in rows) for verb in verbs for unit in ("ms", "gflop")}
    lines.append(f"{'sum':>{len(indent)}}" + cells(sums))
    rest = part["ms"] - part.get("sgd_ms", 0) - sum(sums[f"{verb}_ms"] for verb in verbs)
    if "sgd_ms" in part:
        lines.append(f"{'update of the weights (SGD)':>{len(indent)}}  " + _cell(part["sgd_ms"], 0, part["ms"], peak))
    lines.append(f"{'picture in, result out':>{len(indent)}}  " + _cell(max(rest, 0), 0, part["ms"], peak))
    lines.append(f"{'all':>{len(indent)}}  " + _cell(part["ms"], part["gflop"], part["ms"], peak)
                 + f"   {part['images_per_s']:.3g} pictures/s")
    return "\n".join(line.rstrip() for line in lines)


def _cell(ms, gflop, whole, peak):
    """Milliseconds, share of the whole time, GFLOP/s and share of the peak as columns; empty where there is nothing."""
    if not ms:
        return " " * 29
    rate = gflop / ms * 1e3
    return (f"{ms:11.2f} {ms / whole:4.0%} {f'{rate:.0f}' if gflop else '':>7} "
            f"{f'{rate / peak:.0%}' if gflop and peak else '':>4}")


if __name__ == "__main__":
    sys.exit(cli.run(main))
