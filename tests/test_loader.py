"""data/loader.py, prefetch.py, draws.py: the same batches for any number of workers and after any resume; no crash."""
import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import make_data as make
import numpy as np
import pytest

from minidarknet.data import pictures
from minidarknet.data.annotations import load
from minidarknet.data.augment import Augmentation
from minidarknet.data.example import Dataset
from minidarknet.data.loader import Loader, Reader, ordered
from minidarknet.data.multiscale import size_at
from minidarknet.data.prefetch import Prefetch
from minidarknet.errors import DataError

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def dataset(tmp_path):
    things = {"a": [make.thing("cat", 1, 1, 30, 20), make.thing("dog", 5, 5, 50, 30, difficult=1)], "b": [],
              "c": [make.thing("dog", 31, 11, 60, 40)] * 3, "d": [make.thing("cat", 10, 10, 20, 20)],
              "e": [make.thing("cat", 1, 1, 60, 40)]}
    return load(make.voc(tmp_path / "VOC", things), "train")


def sizes(step):
    return size_at(1, step * 5, (64, 64), 16)


def take(dataset, count, first=0, **options):
    options = {"seed": 4, "batch": 3, "subdivisions": 2, "workers": 1, **options}
    with Loader(dataset, options.pop("batch"), options.pop("seed"), first, sizes, **options) as loader:
        return [next(loader) for _ in range(count)]


def same(one, other):
    return len(one) == len(other) and all(
        a.ids == b.ids and a.step == b.step and a.index == b.index and np.array_equal(a.x, b.x)
        and np.array_equal(a.truth, b.truth) for a, b in zip(one, other))


def test_a_batch_is_what_it_says(dataset):
    batches = take(dataset, 6)
    assert [(b.step, b.index) for b in batches] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    for batch in batches:
        assert batch.x.shape == (3, *sizes(batch.step)[::-1], 3) and batch.x.dtype == np.float32
        assert 0 <= batch.x.min() and batch.x.max() <= 1 and np.isfinite(batch.x).all()
        assert batch.truth.dtype == np.float32 and batch.truth.shape[::2] == (3, 5) and batch.truth.shape[1] >= 1
        for id, truth in zip(batch.ids, batch.truth):
            rows = truth[truth[:, 2] > 0]
            assert len(rows) == {"a": 1, "b": 0, "c": 3, "d": 1, "e": 1}[id]     # a's dog is difficult
            assert not truth[len(rows):].any()
            assert (rows[:, 4] == {"a": 7, "c": 11, "d": 7, "e": 7}.get(id)).all()


@pytest.mark.parametrize("mode", ["place", "crop", "none"])
def test_any_number_of_workers_gives_the_same_batches(dataset, mode):
    options = {"augmentation": Augmentation(mode=mode)}
    alone = take(dataset, 14, **options)
    for workers in (2, 5):
        assert same(alone, take(dataset, 14, workers=workers, **options))
    assert same(alone, take(dataset, 14, cache=0, **options))
    assert mode == "none" or not same(alone, take(dataset, 14, seed=5, **options))


def test_a_resume_goes_on_as_if_never_stopped(dataset):
    whole = take(dataset, 20)
    for first in (1, 3, 7):
        assert same(whole[2 * first:], take(dataset, 20 - 2 * first, first, workers=2))


def test_every_epoch_shows_every_picture_once_in_a_new_order(dataset):
    ids = [id for batch in take(dataset, 50) for id in batch.ids]
    epochs = [ids[n:n + 5] for n in range(0, 150, 5)]
    assert all(sorted(epoch) == list("abcde") for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 20


def test_a_set_smaller_than_the_batch(dataset):
    one = Dataset("one", dataset.names, dataset.examples[:1], [])
    batch = take(one, 1, batch=7)[0]
    assert batch.ids == ["a"] * 7 and len({x.tobytes() for x in batch.x}) > 4    # each varied by itself
    with Loader(one, 2, 0, 0, lambda step: (32, 32)) as loader:     # and from batch to batch
        assert len({x.tobytes() for _ in range(6) for x in next(loader).x}) == 12
    with pytest.raises(DataError, match="no picture"):
        Loader(Dataset("none", dataset.names, [], []), 1, 0, 0, sizes)


def test_broken_pictures_are_replaced_and_named_once(dataset):
    whole = take(dataset, 10)
    for id in "bd":
        dataset.examples["abcde".index(id)].path.write_bytes(b"rubbish")
    problems, again = [], []
    batches = take(dataset, 10, problems=problems)
    assert not {id for b in batches for id in b.ids} & set("bd")
    assert sorted(Path(p.file).name for p in problems) == ["b.png", "d.png"] and "not a picture" in problems[0].message
    assert same(batches, take(dataset, 10, workers=3, problems=again)) and len(again) == 2
    for before, after in zip(whole, batches):   # the sound ones stay where they were
        assert all(old == new for old, new in zip(before.ids, after.ids) if old not in "bd")
    for example in dataset.examples:
        example.path.write_bytes(b"")
    with pytest.raises(DataError, match="none of the 5 pictures"):
        take(dataset, 1)


def test_a_picture_that_vanishes_during_training(dataset):
    with Loader(dataset, 2, 0, 0, sizes, cache=0) as loader:
        next(loader)
        dataset.examples[2].path.unlink()
        ids = [id for _ in range(20) for id in next(loader).ids]
        assert len(ids) == 40 and "c" not in ids[-20:] and "no such file" in str(loader.problems[0])


def test_cache_is_bounded_and_decodes_once(dataset, monkeypatch):
    calls = []
    monkeypatch.setattr(pictures, "read", lambda path: calls.append(path) or np.zeros((40, 60, 3), np.uint8))
    take(dataset, 20)
    assert len(calls) == 5
    reader = Reader(dataset.examples, [], 2 * 40 * 60 * 3)
    calls.clear()
    for _ in range(3):
        for n in range(5):
            reader.read(n)
    assert len(calls) == 2 + 3 * 3


def test_other_exceptions_reach_the_consumer(dataset):
    def fails(step):
        if step == 1:
            raise RuntimeError("no size")
        return 32, 32
    with Loader(dataset, 2, 0, 0, fails, workers=2) as loader:
        assert next(loader).step == 0
        with pytest.raises(RuntimeError, match="no size"):
            next(loader)
        with pytest.raises(StopIteration):
            next(loader)


def test_closing_is_quick_and_ends_all_threads(dataset):
    before = set(threading.enumerate())
    loader = Loader(dataset, 64, 0, 0, lambda step: (320, 320), workers=3)
    next(loader)
    began = time.monotonic()
    loader.close()
    loader.close()
    assert time.monotonic() - began < 2 and set(threading.enumerate()) == before
    with pytest.raises(StopIteration):
        next(loader)
    forgotten = Loader(dataset, 2, 0, 0, sizes)
    next(forgotten)
    assert set(threading.enumerate()) > before
    del forgotten
    gc.collect()
    deadline = time.monotonic() + 3
    while set(threading.enumerate()) != before and time.monotonic() < deadline:
        time.sleep(.01)
    assert set(threading.enumerate()) == before


def test_a_process_that_forgets_to_close_ends_at_once(dataset):
    code = ("import sys; from minidarknet.data.annotations import load; from minidarknet.data.loader import Loader\n"
            "loader = Loader(load(sys.argv[1], 'train'), 8, 0, 0, lambda step: (416, 416)); next(loader)\n"
            "print('done', flush=True)")
    folder = dataset.examples[0].path.parent.parent
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=Path(__file__).parents[1], text=True) as process:
        assert process.stdout.readline() == "done\n", process.stderr.read()
        began = time.monotonic()
        assert process.wait(10) == 0 and time.monotonic() - began < 3
        assert process.stderr.read() == ""


def test_waiting_is_measured_and_prefetch_is_bounded():
    made = []

    def make_slowly(job, stopped):
        time.sleep(.1)
        made.append(job)
        return job

    with Prefetch(make_slowly, workers=2, ahead=3) as results:
        assert next(results) == 0 and results.waited >= .05
        time.sleep(.5)
        assert len(made) == 4               # one handed out, three waiting
        waited = results.waited
        assert [next(results) for _ in range(3)] == [1, 2, 3] and results.waited - waited < .05
    assert list(Prefetch(lambda job, stopped: job * job, jobs=5, workers=3)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_ordered_gives_every_picture_once_with_its_geometry(dataset, mode):
    views = list(ordered(dataset, (48, 64), mode, batch=2, workers=2))
    assert [[e.id for e in view.examples] for view in views] == [["a", "b"], ["c", "d"], ["e"]]
    for view in views:
        for x, example, geometry in zip(view.x, view.examples, view.geometry, strict=True):
            want, place = pictures.fit(pictures.read(example.path), (64, 48), mode)
            assert np.array_equal(x, want) and geometry == place and x.shape == (64, 48, 3)


def test_ordered_leaves_out_broken_pictures(dataset):
    problems = []
    for n in (0, 1, 3):
        dataset.examples[n].path.write_bytes(b"")
    views = list(ordered(dataset, (32, 32), batch=2, problems=problems))
    assert [[e.id for e in view.examples] for view in views] == [["c"], ["e"]] and len(problems) == 3
    for example in dataset.examples:
        example.path.write_bytes(b"")
    with pytest.raises(DataError, match="no picture can be read"):
        list(ordered(dataset, (32, 32)))


def test_ordered_can_keep_decoded_pictures(dataset, monkeypatch):
    reader = Reader(dataset.examples, [])
    first = list(ordered(dataset, (32, 32), reader=reader))
    monkeypatch.setattr(pictures, "read", None)
    assert np.array_equal(first[0].x, next(ordered(dataset, (32, 32), reader=reader)).x)


def test_leaving_ordered_early_ends_its_threads(dataset):
    before = set(threading.enumerate())
    views = ordered(dataset, (32, 32), batch=1)
    next(views)
    views.close()
    assert set(threading.enumerate()) == before


@pytest.mark.skipif(not SHARED.exists(), reason="needs the data that lies beside the project")
def test_real_photographs():
    data = load(SHARED / "data/VOCdevkit/VOC2007", "train", limit=20)
    assert same(take(data, 4, batch=4, workers=1), take(data, 4, batch=4, workers=2))
