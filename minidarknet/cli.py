"""What all commands share: the list of commands, common options, exit codes, and errors without tracebacks."""
import argparse
import os
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from minidarknet import __version__, words
from minidarknet.errors import MinidarknetError
from minidarknet.parser import settings

COMMANDS = {  # name -> (module, what it does)
    "train": ("train", "train the network of a cfg on a data set"),
    "detect": ("detect", "find objects in pictures (or name the picture, for a classifier)"),
    "evaluate": ("evaluate", "score weights on a data set: AP per class and mAP"),
    "anchors": ("anchors", "find anchors that fit the boxes of a data set"),
    "ablate": ("ablate", "train the paper's ladder from YOLO to YOLOv2, trick by trick"),
    "trace": ("trace", "show why one object of a picture got its loss"),
    "info": ("info", "print the table of a network's layers"),
    "weights": ("weights_tool", "say what is in a .weights file, and which cfgs it fits"),
    "convert": ("convert", "write weights for another program or another training: .weights, .npz, .onnx"),
    "hierarchy": ("hierarchy", "draw a tree of labels, or build one from WordNet"),
    "check": ("check", "look for mistakes in a data set"),
    "crops": ("crops", "cut the objects of a data set out, for a classifier"),
    "bench": ("bench", "measure a network on this machine, layer by layer"),
    "parity": ("parity", "compare a network with Darknet or OpenCV, layer by layer"),
    "cfg": ("show", "print a bundled cfg, to be edited"),
    "warmup": ("warmup", "compile ahead what networks need"),
}


def main(argv=None):
    """`minidarknet COMMAND ...`: run one of COMMANDS, asked for in our words or in Darknet's; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if words.spoken(argv):
        return run(lambda rest: _main(words.translate(rest)), argv)
    return _main(argv)


def _main(argv):
    if argv and argv[0] in COMMANDS:
        name = argv[0]
        return run(lambda rest: _module(name).main(rest), argv[1:])
    listing = "\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items())
    front = argparse.ArgumentParser(prog="minidarknet", formatter_class=argparse.RawDescriptionHelpFormatter,
                                    description="Darknet's YOLOv2 in NumPy and Numba.",
                                    epilog=f"commands:\n{listing}\n\n"
                                           "Darknet's own words work as well, such as `minidarknet detector test DATA "
                                           "CFG WEIGHTS IMAGE`.\n"
                                           "`minidarknet COMMAND --help` explains one; "
                                           "`python -m minidarknet COMMAND` is the same.")
    front.add_argument("--version", action="version", version=f"minidarknet {__version__}")
    front.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    return run(lambda args: front.parse_args(args) and 0 or front.print_help() or 0, argv or ["--help"])


def _module(name):
    """The module of the command `name`."""
    with undisturbed():
        return import_module(f"minidarknet.{COMMANDS[name][0]}")


def run(command, argv=None):
    """Call `command(argv)` -> exit code (int), turning refusals into one message on stderr and their exit code.

    Only --debug, or MINIDARKNET_DEBUG=1, lets a traceback through.
    """
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv or os.environ.get("MINIDARKNET_DEBUG") == "1"
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us: there is nobody to talk to
            setattr(sys, name, open(os.devnull, "w"))
    try:
        return command(argv) or 0
    except SystemExit as stop:  # argparse
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, MinidarknetError):
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        print(f"error: {_in_words(error)}" + ("" if debug else " (--debug shows where)"), file=sys.stderr)
        return 1


def _in_words(error):
    """An exception that nobody expected, as one line (str)."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part is not None)
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}): choose a smaller --size or net.batch"
    return f"{type(error).__name__}: {error}"


def command(name, description, **kwargs):
    """An ArgumentParser for `minidarknet NAME` that knows --debug and shows defaults."""
    parser = argparse.ArgumentParser(prog=f"minidarknet {name}", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_set(parser):
    """Add --set SECTION.KEY=VALUE, which `overrides` reads."""
    parser.add_argument("--set", action="append", nargs="+", default=[], metavar="SECTION.KEY=VALUE",
                        help="override a key of the cfg, e.g. --set net.batch=8 region.thresh=.5")


def overrides(args):
    """The --set options of `args` -> {"section.key": "value"}. Raises UsageError for what is no setting."""
    return settings([setting for group in args.set for setting in group])


def add_threads(parser):
    """Add --threads N, which `use_threads` applies."""
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to compute with (default: all cores)")


def add_modes(parser):
    """Add --no-fuse and --strict-darknet-cpu, which `modes` reads."""
    parser.add_argument("--no-fuse", action="store_true", help="run batch norm, activation, pooling, sum and route "
                                                               "one after the other: slower, equal but for rounding")
    parser.add_argument("--strict-darknet-cpu", action="store_true", help="compute as Darknet's CPU build does, to the "
                        "last digit: its batch norm, rolling statistics and frozen layers (slower)")


def modes(args):
    """The options of add_modes in `args` -> keywords of Network (dict)."""
    return {"fused": False if args.no_fuse else None, "strict_darknet_cpu": args.strict_darknet_cpu}


def positive(text):
    """argparse type: a whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def natural(text):
    """argparse type: a whole number of at least 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def fraction(text, most=1):
    """argparse type: a number from 0 to `most`."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= most:  # also for NaN
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {most}")
    return number


def size(text):
    """argparse type: "416" or "416x320" -> (width, height)."""
    width, cross, height = text.lower().partition("x")
    return positive(width), positive(height if cross else width)


def output(text):
    """argparse type: a file to be written. What cannot work is refused now, not after the work is done."""
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, expected a file")
    folder(Path(text).parent)
    return text


def folder(text):
    """argparse type: a folder to write into, there or not."""
    path = Path(text)
    blocked = next((part for part in (path, *path.parents) if part.exists() and not part.is_dir()), None)
    if blocked:
        raise argparse.ArgumentTypeError(f"{blocked} is a file, expected a folder")
    return text


@contextmanager
def undisturbed():
    """Ctrl-C within the block waits for its end: NumPy and Numba do not survive being half imported."""
    if threading.current_thread() is not threading.main_thread() \
            or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def patience():
    """Within the block, say on stderr how far the compiling of kernels is; nothing where all come from the cache."""
    from minidarknet.compiling import Progress
    with Progress():
        yield


def warn(problems, most=10):
    """Print a list of data problems as warnings on stderr, at most `most` of them and how many more there are."""
    for problem in problems[:most]:
        print(f"warning: {problem}", file=sys.stderr)
    if len(problems) > most:
        print(f"warning: ... and {len(problems) - most} more; python -m minidarknet.check lists them all",
              file=sys.stderr)


def use_threads(count=None):
    """Let kernels run on `count` threads (default: all the process may use); returns the number in force.

    NUMBA_NUM_THREADS, where the user has set it, is what the process may use.
    """
    with undisturbed():
        import numba

        import minidarknet.engine  # noqa: F401  (chooses threading layer and limit: set_num_threads starts threads)
        limit = numba.config.NUMBA_NUM_THREADS
        count = min(count or limit, limit)
        numba.set_num_threads(count)
    return count
