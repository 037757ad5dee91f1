"""What the tests share: a seeded source of random numbers, framed arrays, the two-thread check."""
from pathlib import Path

import numba
import numpy as np
import pytest

LESSONS = Path(__file__).parents[1] / "minidarknet" / "lessons"


def pytest_configure(config):
    """Name our markers, so that a misspelt one is an error."""
    config.addinivalue_line("markers", "plain: also run with the JIT switched off, as ordinary Python (test_kernels.py)")
    config.addinivalue_line("markers", "lesson: judges what you filled into the stubs of minidarknet/lessons")
    for file in sorted(LESSONS.glob("lesson_*.py")):
        config.addinivalue_line("markers", f"{file.stem}: judges your answers in {file.name}")


@pytest.fixture
def rng():
    """A numpy Generator that gives every test the same numbers in every run."""
    return np.random.default_rng(20161225)


def framed(array, margin=1):
    """A copy of `array` (b, h, w, c) as the inner view of a frame of zeros, `margin` pixels wide: not contiguous."""
    b, h, w, c = array.shape
    frame = np.zeros((b, h + 2 * margin, w + 2 * margin, c), array.dtype)
    inner = frame[:, margin:margin + h, margin:margin + w]
    inner[...] = array
    return inner


def margin_is_zero(inner):
    """Whether the frame around a view made by `framed` is untouched."""
    return np.count_nonzero(inner.base) == np.count_nonzero(inner)


def planes(array):
    """A copy of `array` (b, h, w, c) whose memory order is Darknet's (b, c, h, w): channels far apart."""
    return array.transpose(0, 3, 1, 2).copy().transpose(0, 2, 3, 1)


@pytest.fixture
def same_bits():
    """A function that calls `run()` (returning arrays) on one and on two threads and compares every bit."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one processor only")
    before = numba.get_num_threads()

    def compare(run):
        numba.set_num_threads(1)
        one = run()
        numba.set_num_threads(2)
        two = run()
        for a, b in zip(one, two, strict=True):
            assert a.tobytes() == b.tobytes()

    yield compare
    numba.set_num_threads(before)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A VOC folder of 24 drawn pictures to train on and 8 to validate on."""
    from minidarknet.data.sample import write_sample
    return write_sample(tmp_path_factory.mktemp("drawn") / "sample", train=24, val=8)


@pytest.fixture(scope="session")
def tiny_cfg(tmp_path_factory):
    """A cfg file of a net that trains in no time."""
    from small import TINY
    path = tmp_path_factory.mktemp("cfg") / "tiny-test.cfg"
    path.write_text(TINY)
    return path
