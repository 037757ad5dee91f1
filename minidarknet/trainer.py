"""The training loop: mini-batches through the network, an update, and at due times validation and saving.

All randomness is a function of (seed, step), so a run that was interrupted and resumed equals one that was not.
"""
import signal
import sys
import time

import numpy as np
from tqdm import tqdm

from minidarknet import viz, weights
from minidarknet.data import pictures
from minidarknet.data.loader import Reader
from minidarknet.errors import DivergedError

SAVE_SECONDS = 50           # a checkpoint at least this often: a crash costs less than a minute
FIRST_VALIDATION = 30       # seconds of training before the first one
VALIDATION_GAP = 15         # later ones wait this many times the last one's duration
BATCH_PICTURES = 3          # augmented batches to be looked at in images/
PROBES = 6                  # validation pictures whose predictions are drawn at every validation


class Trainer:
    """Trains `net` for a task (tasks.py) and fills a run folder.

    loader: data.loader.Loader over mini-batches. size_of_step: step -> (w, h). validation: Dataset.
    folder: runs.RunFolder. limits: max_batches (updates in all, 0: none) and seconds (from now, None: none). first:
    updates that the weights have behind them.
    """

    def __init__(self, task, net, optimizer, loader, size_of_step, validation, folder, max_batches, seconds=None,
                 quiet=False, first=0):
        self.task, self.net, self.optimizer, self.loader, self.size_of_step = task, net, optimizer, loader, size_of_step
        self.validation, self.folder, self.max_batches = validation, folder, max_batches
        self.start = time.monotonic()
        self.deadline = None if seconds is None else self.start + seconds
        self.quiet = quiet
        self.reader = Reader(validation.examples, loader.problems)  # decoded pictures, kept from one validation to the next
        self.step, self.best, self.scores = first, -1.0, {}
        self.base_size = net.input.shape[1::-1]
        self.validation_seconds = 0.0  # of the last one
        self.training_seconds = 0.0    # of all updates since this object was made
        self.interrupted = False

    def fit(self):
        """Train until a limit or a signal; always ends with validation, saved weights and a metrics row with its scores.

        Returns "finished", "limit" (time) or "interrupted" (then without validation). Raises DivergedError, DataError.
        """
        before = self._listen()
        try:
            return self._fit()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _fit(self):
        begun = self.step
        self.saved = self.validated = time.monotonic()
        self.folder.images.mkdir(parents=True, exist_ok=True)
        row = None
        with tqdm(total=self.max_batches or None, initial=self.step, unit="update", disable=self.quiet,
                  dynamic_ncols=True, mininterval=0.5 if sys.stderr.isatty() else 10) as bar:
            reason = self._stop_reason()
            while reason is None:
                row = self._update(bar)
                reason = self._stop_reason()
                if reason is None:
                    self._due(row)
        if reason == "interrupted":
            self._record(row)
            self.save()
            return reason
        idle, row = row is None, row or {"step": self.step, "images": self.net.seen}
        self._validate(row)
        if idle:  # nothing was left to train: the last update's row gets the score
            row = {**self.folder.take_row(self.step), **row}
        self._record(row)
        self.save()
        self._draw()
        return "limit" if reason == "limit" and self.step > begun else reason

    def save(self):
        """Write checkpoint.npz and weights/last.weights. Raises DivergedError rather than replace good ones by NaN."""
        self._check_weights()
        self.folder.save_checkpoint(self.state())
        for file in filter(None, (self.folder.last, self.folder.copy)):
            weights.save(self.net, file)
        self.saved = time.monotonic()

    def state(self):
        """Everything a resume needs, as arrays and numbers: weights, rolling statistics, momentum, step, seen, best."""
        arrays = {"step": self.step, "seen": self.net.seen, "best": self.best, "seed": self.net.seed,
                  "validation_seconds": self.validation_seconds}
        for layer in self.net.layers:
            for stored in layer.stored:
                arrays[f"layer{layer.index}.{stored.name}"] = stored.array
            if getattr(layer, "norm", None):
                arrays[f"layer{layer.index}.updates"] = layer.norm.updates
        for number, velocity in enumerate(self.optimizer.velocities):
            arrays[f"velocity{number}"] = velocity
        return arrays

    def restore(self, arrays):
        """Put back what `state` gave. Raises KeyError or ValueError where the arrays are another network's."""
        for layer in self.net.layers:
            for stored in layer.stored:
                stored.array[...] = arrays[f"layer{layer.index}.{stored.name}"]
            if getattr(layer, "norm", None):
                layer.norm.updates = int(arrays[f"layer{layer.index}.updates"])
        for number, velocity in enumerate(self.optimizer.velocities):
            velocity[...] = arrays[f"velocity{number}"]
        self.step, self.net.seen, self.best = int(arrays["step"]), int(arrays["seen"]), float(arrays["best"])
        self.validation_seconds = float(arrays["validation_seconds"])
        self.optimizer.seen = self.net.seen

    def _update(self, bar):
        """One update of the weights from `subdivisions` mini-batches. Returns its row of metrics."""
        began, size = time.monotonic(), self.size_of_step(self.step)
        if size != self.net.input.shape[1::-1]:
            self.net.resize(size)
        losses, costs, measured, images = [], [], [], 0
        for part in range(self.optimizer.options.subdivisions):
            batch = next(self.loader)
            losses.append(self.net.forward(batch.x, batch.truth, train=True))
            self._check_finite(losses[-1])
            self.net.backward()
            costs.append(self.net.darknet_cost)
            measured.append(self.task.measured(self.net, batch))
            images += len(batch.x)
            self._draw_batch(batch, part)
        rate = self.optimizer.step()
        self.step += 1
        seconds = time.monotonic() - began
        self.training_seconds += seconds
        row = {"step": self.step, "images": self.net.seen, "loss": float(np.mean(losses)),
               "darknet_cost": float(np.mean(costs)), "learning_rate": float(rate), "images_per_s": images / seconds,
               **self.task.merged(measured)}
        bar.update()
        bar.set_postfix_str(f"loss {row['loss']:.3f} rate {rate:.3g} {row['images_per_s']:.0f} images/s"
                            + (f" {self.task.shown} {self._ranked:.3f}" if self.scores else ""), refresh=False)
        return row

    def _check_finite(self, loss):
        if not np.isfinite(loss):
            raise DivergedError(diagnosis(self.net, self.step + 1, self.optimizer.rate))

    def _check_weights(self):
        """The last update may have spoilt the weights although the loss before it was finite."""
        if not all(np.isfinite(stored.array).all() for layer in self.net.layers for stored in layer.stored):
            raise DivergedError(diagnosis(self.net, self.step, self.optimizer.rate))

    def _due(self, row):
        """Between updates: validate and save when it is time, and write the row."""
        now = time.monotonic()
        if now - self.validated > max(FIRST_VALIDATION, VALIDATION_GAP * self.validation_seconds):
            self._validate(row)
            self._record(row)
            self.save()
            self._draw()
        else:
            self._record(row)
            if now - self.saved > SAVE_SECONDS:
                self.save()

    def _record(self, row):
        if row is not None:
            self.folder.append_row(row)

    def _validate(self, row):
        """Score the validation set at the cfg's own size, keep the best weights, draw the probe pictures."""
        self._check_weights()
        began, size = time.monotonic(), self.net.input.shape[1::-1]
        if size != self.base_size:
            self.net.resize(self.base_size)
        self.scores = self.task.score(self.net, self.validation, self.reader)
        row.update(self.scores)
        if not self._ranked <= self.best:  # also for NaN, where the split has no objects
            self.best = self._ranked
            weights.save(self.net, self.folder.best)
        self.validated = time.monotonic()
        self.validation_seconds = self.validated - began

    @property
    def _ranked(self):
        """The score by which the best weights are chosen."""
        return self.scores[self.task.scores[0]]

    def _draw_batch(self, batch, part):
        number = self.step * self.optimizer.options.subdivisions + part
        if number < BATCH_PICTURES:
            image = self.task.draw_batch(batch, self.net)
            image.save(self.folder.images / f"train_batch{number}.jpg", quality=90)

    def _draw_probes(self):
        examples = self.validation.examples
        chosen = examples[::max(len(examples) // PROBES, 1)][:PROBES]
        drawn = []
        for example in chosen:
            try:
                drawn.append(self.task.draw_probe(self.net, example.path))
            except pictures.BrokenPicture:
                continue
        if drawn:
            sheet = viz.contact_sheet(drawn, columns=3)
            sheet.save(self.folder.images / f"probe_{self.step:06d}.jpg", quality=90)

    def _draw(self):
        """Probe pictures and chart: after everything is saved, and no reason to end a training."""
        try:
            self._draw_probes()
            viz.loss_chart(self.folder.rows(), self.folder.chart, scores=self.task.scores, axis=self.task.axis)
        except OSError as error:
            tqdm.write(f"warning: {error.filename}: {error.strerror}; the training goes on", file=sys.stderr)

    def _stop_reason(self):
        if self.interrupted:
            return "interrupted"
        if self.max_batches and self.step >= self.max_batches:
            return "finished"
        if self.deadline is not None and time.monotonic() + self.validation_seconds > self.deadline:
            return "limit"
        return None

    def _listen(self):
        """Ctrl-C and a polite kill end the run after the update in progress; a second Ctrl-C ends it at once.

        Returns the handlers that were there before: dict signal -> handler.
        """
        def note(number, frame):
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            tqdm.write("finishing this update, then saving (Ctrl-C again: stop at once)", file=sys.stderr)
        try:
            return {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:
            return {}  # not in the main thread: whoever runs us handles signals


def diagnosis(net, step, rate):
    """Where a number stopped being finite, and the likely causes (str)."""
    where = next((f"weights of layer {layer.index} [{layer.name}]" for layer in net.layers for param in layer.params
                  if not np.isfinite(param.value).all()), None)
    where = where or next((f"output of layer {layer.index} [{layer.name}]" for layer in net.layers
                           if not np.isfinite(layer.z if layer.out is None else layer.out).all()), "loss itself")
    return (f"numbers are no longer finite at update {step}; it began in the {where}. Likely causes: a learning rate "
            f"too high (it is {rate:.3g}: try --set net.learning_rate={rate / 10:.3g} or a longer net.burn_in), anchors in "
            "the wrong unit ([region]: cells of the output grid, [yolo]: pixels), "
            "or boxes that are wrong (python -m minidarknet.check)")
