"""The line that says kernels are being compiled: only then, only ours; and Ctrl-C in the middle of it."""
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from minidarknet import cli, compiling, kernels
from minidarknet.compiling import COMPILE, LOCK, STEP, Progress

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


def ours():
    """One of our functions, not compiled yet and kept nowhere."""
    return numba.njit(kernels.cost_sse.py_func)


def compute(function):
    x, error = np.zeros((2, 3)), np.zeros((2, 3))
    function(x, x + 2, error, x.copy())
    assert (error == 4).all()


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(compiling, "QUIET", 0)
    monkeypatch.setattr(compiling, "LOG", 0)
    monkeypatch.setattr(compiling, "TICK", .001)


def test_said_while_it_happens_and_counted(at_once, capsys):
    function = ours()
    with cli.patience(), Progress(show=False) as progress:
        compute(function)
    shown = capsys.readouterr().err.splitlines()
    assert shown and all(line.startswith("compiling kernels, first run only: 0 functions, ") for line in shown)
    assert progress.functions == 1 and progress.seconds > 0
    assert str(progress).startswith("compiling kernels, first run only: 1 function, ")
    with Progress() as progress:
        compute(function)
    assert progress.functions == 0 and not capsys.readouterr().err


def test_other_peoples_functions_are_their_own_affair(at_once, capsys):
    @numba.njit
    def square(x):
        return x * x
    with Progress() as progress:
        assert square(3) == 9
    assert progress.functions == 0 and not capsys.readouterr().err


def test_little_is_not_worth_a_line(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "QUIET", 100)
    with Progress() as progress:
        compute(ours())
    assert progress.functions == 1 and not capsys.readouterr().err


def test_on_a_terminal_the_line_goes_away(at_once, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress():
        compute(ours())
    shown = capsys.readouterr().err
    assert "\rcompiling kernels, first run only: 0 functions" in shown and "\n" not in shown.strip("\n")
    assert shown.rpartition("\r")[0].rpartition("\r")[2].strip() == ""


@pytest.fixture
def ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_a_step(ctrl_c):
    """LLVM's clean-ups would swallow it. The function is whole afterwards."""
    function, steps = ours(), []

    class Impatient(Progress):
        def on_end(self, event):
            if event.kind == STEP and not steps:
                steps.append(1)
                ctrl_c()
                assert self._pressed, "it must not have an effect at once"
            super().on_end(event)

    with pytest.raises(KeyboardInterrupt), Impatient(show=False) as progress:
        compute(function)
    assert steps and progress.functions <= 1 and not progress._depth
    compute(function)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_at_other_times_and_pressed_twice(ctrl_c):
    event = SimpleNamespace(kind=LOCK)
    with Progress(show=False) as progress:
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
        progress.on_start(event)
        ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            progress.on_end(event)
        progress.on_end(event)


def test_threads_leave_signals_alone(ctrl_c):
    seen = []

    def work():
        with Progress(show=False) as progress, cli.undisturbed():
            compute(ours())
            seen.append((progress.functions, signal.getsignal(signal.SIGINT)))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(1, signal.default_int_handler)]


def test_undisturbed(ctrl_c):
    done = []
    with pytest.raises(KeyboardInterrupt), cli.undisturbed():
        ctrl_c()
        time.sleep(.01)
        done.append(1)
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interruption_while_a_function_begins_leaves_the_count_right():
    event = SimpleNamespace(kind=COMPILE, data={"dispatcher": ours()})
    with Progress(show=False) as progress:
        progress.on_end(event)
        progress.on_start(event)
        progress.on_start(event)
        progress.on_end(event)
        assert progress.functions == 1 and progress._depth == 1
        progress.on_end(event)
    assert progress.functions == 2 and not progress._depth
