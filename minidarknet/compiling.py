"""Says on stderr that kernels are being compiled, while they are, and lets Ctrl-C end it without a mess."""
import signal
import sys
import threading
import time

from numba.core.event import Listener, register, unregister
from tqdm import tqdm

from minidarknet.kernels._cache import is_own

LOCK = "numba:compiler_lock"  # Numba loads, compiles or keeps something
COMPILE = "numba:compile"     # Numba compiles a function
STEP = "numba:run_pass"       # one of some thirty steps of that
QUIET = 1  # seconds of compiling that nobody need be told of
TICK = .2  # seconds between two looks, and two states of the line on a terminal
LOG = 5    # seconds between two lines elsewhere


class Progress(Listener):
    """Counts functions of minidarknet's own that Numba compiles, and the seconds it takes; with `show`, says so.

    functions: compiled so far. seconds: spent on them so far. What comes from the cache, and other people's
    functions, are not counted. To be used as a context.

    Within it, Ctrl-C waits for the end of a step of the compiler: anywhere else it would get lost in one of LLVM's
    clean-ups, or break one off with a traceback. Pressed twice, it does not wait.
    """

    def __init__(self, show=True):
        self.show, self.functions, self._spent = show, 0, 0.0
        self._depth, self._began, self._said, self._bar = 0, 0.0, -LOG, None
        self._locks, self._pressed, self._handler = 0, False, None
        self._writing, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="compiling")

    def __enter__(self):
        for kind in (LOCK, COMPILE, STEP):
            register(kind, self)
        if _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = signal.signal(signal.SIGINT, self._press)
        if self.show:
            self._thread.start()
        return self

    def __exit__(self, *_):
        for kind in (LOCK, COMPILE, STEP):
            unregister(kind, self)
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        self._over.set()
        self._close()

    @property
    def seconds(self):
        """Seconds spent on compiling (float)."""
        return self._spent + (time.monotonic() - self._began if self._depth else 0)

    def __str__(self):
        return (f"compiling kernels, first run only: {self.functions} function{'s' * (self.functions != 1)}, "
                f"{self.seconds:.0f} s")

    def on_start(self, event):
        """Numba begins something, in any thread."""
        if event.kind == LOCK:
            self._locks += _in_main_thread()
        elif event.kind == STEP:
            self._give_way()
        elif self._counts(event):
            if not self._depth:
                self._began = time.monotonic()
            self._depth += 1  # a function that calls others has them compiled in the middle

    def on_end(self, event):
        """Numba has finished what it began."""
        if event.kind == LOCK:
            self._locks = max(self._locks - _in_main_thread(), 0)
            if not self._locks:
                self._give_way()
        elif event.kind == COMPILE and self._counts(event) and self._depth:
            self.functions += 1
            if self._depth == 1:
                self._spent, self._depth = self.seconds, 0
                self._close()
            else:
                self._depth -= 1

    def _counts(self, event):
        return is_own(event.data["dispatcher"].py_func)

    def _press(self, number, frame):
        """Ctrl-C."""
        if self._pressed or not self._locks:
            raise KeyboardInterrupt
        self._pressed = True

    def _give_way(self):
        """Let a Ctrl-C that waits happen now."""
        if self._pressed and _in_main_thread():
            self._pressed = False
            raise KeyboardInterrupt

    def _watch(self):
        """Keep the line up to date, in a thread of its own: one function can take LLVM ten seconds."""
        while not self._over.wait(TICK):
            with self._writing:
                if self._depth and not self._over.is_set() and self.seconds >= QUIET:
                    self._say()

    def _say(self):
        if sys.stderr.isatty():
            if self._bar is None:
                # Below the bar of a training, if there is one, and gone before anything else is printed.
                self._bar = tqdm(bar_format="{desc}", leave=False, dynamic_ncols=True)
            self._bar.set_description_str(str(self))
        elif self.seconds >= self._said + LOG:
            self._said = self.seconds
            print(self, file=sys.stderr, flush=True)

    def _close(self):
        with self._writing:
            if self._bar is not None:
                self._bar.close()
                self._bar = None


def _in_main_thread():
    """Whether this is the thread that Python hands signals to."""
    return threading.current_thread() is threading.main_thread()
