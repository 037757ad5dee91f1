"""How kernels are compiled: the shortcut to the code of the first call, and what it does with other types."""
from typing import NamedTuple

import numba
import numpy as np
import pytest

from minidarknet.engine.winograd_convolve import _convolve
from minidarknet.kernels._jit import _OneAtATime, parallel_once, prange

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


class Pair(NamedTuple):
    count: int
    factor: np.float32


def fresh():
    @parallel_once
    def total(pair, first):
        found = 0.0
        for i in prange(pair.count):
            found += pair.factor * (first + i)
        return found
    return total


@pytest.mark.parametrize("threads", (1, 2))
def test_later_calls_compute_the_same(threads):
    """Also with other numbers and another number of threads than the first call had."""
    before, total = numba.get_num_threads(), fresh()
    try:
        assert total(Pair(3, np.float32(.5)), 1) == 3
        numba.set_num_threads(min(threads, before))
        assert [total(Pair(n, np.float32(2)), 10) for n in (0, 1, 5, 1000)] == [0, 20, 120, 2 * (10000 + 499500)]
    finally:
        numba.set_num_threads(before)
    assert len(total.signatures) == 1


def test_later_calls_do_not_ask_for_types(monkeypatch):
    """Numba's way from Python to compiled code, through the class above ours, is taken once."""
    total, asked = fresh(), []
    if isinstance(total, _OneAtATime):
        pytest.skip("this threading layer needs the lock of every call")
    numbas = type(total).__mro__[1]
    monkeypatch.setattr(numbas, "__call__", lambda self, *args, call=numbas.__call__: asked.append(1) or call(self, *args))
    assert [total(Pair(2, np.float32(1)), i) for i in range(3)] == [1, 3, 5]
    assert len(asked) == 1


@pytest.mark.parametrize("arguments", [((3,), 1), (5, 1), (Pair(3, "x"), 1), (Pair(None, 1.0), 1), (Pair(3, 1.0), "x"),
                                       (Pair(3, 1.0), np.zeros(3)), (Pair(3, 1.0),), ()])
def test_other_types_later_are_refused(arguments):
    total = fresh()
    total(Pair(3, np.float32(.5)), 1)
    if isinstance(total, _OneAtATime):
        pytest.skip("this threading layer compiles anew for other types")
    with pytest.raises((TypeError, ValueError)):
        total(*arguments)
    assert total(Pair(3, np.float32(.5)), 1) == 3


def test_the_engine_is_called_so():
    assert hasattr(_convolve, "entry") or isinstance(_convolve, _OneAtATime)
