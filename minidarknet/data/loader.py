"""Batches for training and for scoring, made ahead by threads while the network computes."""
import threading
from typing import NamedTuple

import numpy as np

from minidarknet.data import pictures
from minidarknet.data.augment import Augmentation
from minidarknet.data.draws import MOSAIC, PICTURE, REPLACEMENT, stream
from minidarknet.data.example import NO_BOX, Problem
from minidarknet.data.mosaic import cross, mosaic
from minidarknet.data.order import Order
from minidarknet.data.prefetch import Prefetch
from minidarknet.errors import DataError

CACHE_BYTES = 512 * 2 ** 20
AHEAD = 3            # batches made ahead
WORKERS = 2          # threads, if nothing else is asked for


class Batch(NamedTuple):
    """One mini-batch. x: (b, h, w, 3) float32 in 0..1. truth: (b, t, 5) float32, rows x y w h class in fractions, with
    x = y = w = h = NO_BOX for a class without a box, zero rows after the last object; for classifiers (b, classes) float32,
    1 for the class. ids: list of the pictures' ids. step: the update it belongs to, from 0. index: which mini-batch of
    that update, from 0."""

    x: np.ndarray
    truth: np.ndarray
    ids: list
    step: int
    index: int


class View(NamedTuple):
    """Some pictures in order, for scoring. x: (b, h, w, 3) float32 in 0..1. examples: their Examples.
    geometry: a pictures.Geometry each, whose undo() takes boxes back to the picture."""

    x: np.ndarray
    examples: list
    geometry: list


class Reader:
    """Reads pictures of a data set, keeps decoded ones while there is room, and takes down the broken.

    problems: list of Problem, one per broken picture, appended. bytes_kept: room for decoded pictures; there is no
    replacing, because every epoch asks for all of them once. Safe for several threads.
    """

    def __init__(self, examples, problems, bytes_kept=CACHE_BYTES):
        self._examples, self.problems, self._room = examples, problems, bytes_kept
        self._kept, self._broken, self._lock = {}, set(), threading.Lock()

    def read(self, index):
        """The decoded picture (h, w, 3) uint8 of the example `index`, or None when it is broken."""
        kept = self._kept.get(index)
        if kept is not None or index in self._broken:
            return kept
        try:
            picture = pictures.read(self._examples[index].path)
        except DataError as broken:
            with self._lock:
                if index not in self._broken:
                    self._broken.add(index)
                    reason = getattr(broken, "reason", str(broken))
                    self.problems.append(Problem(str(self._examples[index].path), 0, f"{reason}; not used"))
            return None
        with self._lock:
            if index not in self._kept and picture.nbytes <= self._room:
                self._room -= picture.nbytes
                self._kept[index] = picture
        return picture


class _Maker:
    """Makes any mini-batch from its number alone; knows nothing of threads."""

    def __init__(self, examples, order, batch, seed, first_step, size_of_step, options, subdivisions, reader):
        self.examples, self.order, self.batch, self.seed, self.first_step = examples, order, batch, seed, first_step
        self.size_of_step, self.options, self.subdivisions, self.reader = size_of_step, options, subdivisions, reader

    def _read(self, pool, number):
        """(example, picture): the `number`-th of a pool, another one (always the same) where its picture is broken."""
        index, count = self.order.example(pool, number), self.order.counts[pool]
        picture = self.reader.read(index)
        if picture is None:
            for other in stream(self.seed, REPLACEMENT, number).permutation(count).tolist():
                index = self.order.first(pool) + other
                picture = self.reader.read(index)
                if picture is not None:
                    break
            else:
                raise DataError(f"none of the {count} pictures can be read, the first: {self.reader.problems[0]}")
        return self.examples[index], picture

    def _varied(self, pool, number, size, rng):
        """(id, x, truth) of the `number`-th picture of a pool, varied for the canvas `size`."""
        example, picture = self._read(pool, number)
        return example.id, *self.options.vary(picture, example, size, rng)

    def _joined(self, place, pool, x, truth, size):
        """(x, truth) of the mosaic of a varied picture and three others of its pool, drawn at random.

        Where a class of one of the four has no box it is left alone: nobody knows in which part of the mosaic the class is.
        """
        rng = stream(self.seed, MOSAIC, place)
        others = [self._varied(pool, int(rng.integers(self.order.counts[pool])), size, rng)[1:] for _ in range(3)]
        parts = [(x, truth), *others]
        if any((part[:, 0] == NO_BOX).any() for _, part in parts):
            return x, truth
        return mosaic(*zip(*[parts[i] for i in rng.permutation(4)]), cross(size, rng))

    def make(self, job, stopped):
        """The Batch number `job`; None when stopped() turns True meanwhile."""
        step, index = divmod(job, self.subdivisions)
        step += self.first_step
        width, height = self.size_of_step(step)
        x = np.empty((self.batch, height, width, 3), np.float32)
        truths, ids = [], []
        for n in range(self.batch):
            if stopped():
                return None
            place = (step * self.subdivisions + index) * self.batch + n
            pool, number = self.order.turn(place)
            id, x[n], truth = self._varied(pool, number, (width, height), stream(self.seed, PICTURE, place))
            if self.options.mosaic:
                x[n], truth = self._joined(place, pool, x[n], truth, (width, height))
            truths.append(truth)
            ids.append(id)
        return Batch(x, self.options.batch_truth(truths), ids, step, index)


class Loader:
    """An endless iterator over mini-batches: reads, augments and prefetches in threads.

    What is in a batch follows from (seed, step, place) alone: the same for any number of workers, and after a resume
    at any step. Every epoch goes through all pictures in a new order and may begin in the middle of a batch; a data
    set smaller than a batch simply repeats; the two parts of a joint.Joint take turns. `difficult` objects are not in the
    truth. A broken picture is replaced by another of its part (always the same), and noted once in `problems`.

    dataset: Dataset. batch: pictures per mini-batch. seed: int. first_step: updates made
    before (0 at the start). size_of_step: function step -> (w, h). augmentation: Augmentation, or ClassAugmentation for
    classes of whole pictures, or None for Augmentation's defaults. workers: threads.
    subdivisions: mini-batches per update. problems: list to append Problems to. cache: bytes of memory for decoded
    pictures. `waited`: seconds next() had to wait.
    next() raises DataError when no picture at all can be read.
    """

    def __init__(self, dataset, batch, seed, first_step, size_of_step, augmentation=None, workers=None,
                 subdivisions=1, problems=None, cache=CACHE_BYTES):
        examples = list(dataset.examples)
        if not examples:
            raise DataError("the data set holds no picture")
        self.problems = [] if problems is None else problems
        maker = _Maker(examples, Order(dataset.pools, seed), batch, seed, first_step, size_of_step,
                       augmentation or Augmentation(), subdivisions, Reader(examples, self.problems, cache))
        workers = workers or WORKERS
        self._prefetch = Prefetch(maker.make, None, workers, max(AHEAD, workers))

    @property
    def waited(self):
        """Seconds that the consumer had to wait for batches so far: float."""
        return self._prefetch.waited

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._prefetch)

    def close(self):
        """End the threads; the loader gives nothing any more. Called twice it does no harm."""
        self._prefetch.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ordered(dataset, size, mode="letterbox", batch=8, workers=None, problems=None, reader=None):
    """All pictures in order, fitted for detection, prefetched: yields Views; the last may be smaller.

    dataset: Dataset (or anything with `examples`). size: (w, h). mode: "letterbox" or "stretch". batch: pictures per
    View. workers: threads. problems: list; a broken picture is left out and noted there. reader: a Reader of these
    examples whose decoded pictures are used and added to, for repeated validation, or None: nothing is kept.
    Raises DataError when no picture at all can be read.
    """
    examples = list(dataset.examples)
    problems = [] if problems is None else problems
    reader = reader or Reader(examples, problems, 0)

    def make(job, stopped):
        found = []
        for n in range(job * batch, min((job + 1) * batch, len(examples))):
            if stopped():
                return None
            picture = reader.read(n)
            if picture is not None:
                found.append((*pictures.fit(picture, size[::-1], mode), examples[n]))
        x, geometry, used = zip(*found) if found else ((), (), ())
        return View(np.stack(x), list(used), list(geometry)) if found else None

    count, workers = 0, workers or WORKERS
    with Prefetch(make, -(-len(examples) // batch), workers, max(AHEAD, workers)) as views:
        for view in filter(None, views):
            count += len(view.x)
            yield view
    if not count:
        raise DataError("no picture can be read" + (f", the first: {reader.problems[0]}" if reader.problems else ""))
