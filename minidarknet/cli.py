"""What all commands share: the list of commands, common options, exit codes, and errors without tracebacks."""
import argparse
import os
import sys
import traceback
from importlib import import_module

from minidarknet import __version__
from minidarknet.errors import MinidarknetError
from minidarknet.parser import settings

COMMANDS = {  # name -> (module, what it does)
    "train": ("train", "train the network of a cfg on a data set"),
    "detect": ("detect", "find objects in pictures (or name the picture, for a classifier)"),
    "evaluate": ("evaluate", "score weights on a data set: AP per class and mAP"),
    "info": ("info", "print the table of a network's layers"),
    "check": ("check", "look for mistakes in a data set"),
    "cfg": ("show", "print a bundled cfg, to be edited"),
}


def main(argv=None):
    """`minidarknet COMMAND ...`: run one of COMMANDS; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        name = argv[0]
        return run(import_module(f"minidarknet.{COMMANDS[name][0]}").main, argv[1:])
    listing = "\n".join(f"  {name:10} {text}" for name, (_, text) in COMMANDS.items())
    front = argparse.ArgumentParser(prog="minidarknet", formatter_class=argparse.RawDescriptionHelpFormatter,
                                    description="Darknet's YOLOv2 in NumPy and Numba.",
                                    epilog=f"commands:\n{listing}\n\n"
                                           "`minidarknet COMMAND --help` explains one; "
                                           "`python -m minidarknet.COMMAND` is the same.")
    front.add_argument("--version", action="version", version=f"minidarknet {__version__}")
    front.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    return run(lambda args: front.parse_args(args) and 0 or front.print_help() or 0, argv or ["--help"])


def run(command, argv=None):
    """Call `command(argv)` -> exit code (int), turning refusals into one message on stderr and their exit code.

    Only --debug, or MINIDARKNET_DEBUG=1, lets a traceback through.
    """
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv or os.environ.get("MINIDARKNET_DEBUG") == "1"
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
        print(f"error: {type(error).__name__}: {error}" + ("" if debug else " (--debug shows where)"), file=sys.stderr)
        return 1


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


def positive(text):
    """argparse type: a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def cores():
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count=None):
    """Let kernels run on `count` threads (default: all the process may use); returns the number in force."""
    count = min(count or cores(), max(cores(), 1))
    if "numba" not in sys.modules:
        os.environ.setdefault("NUMBA_NUM_THREADS", str(cores()))
    import numba
    count = min(count, numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(count)
    return count
