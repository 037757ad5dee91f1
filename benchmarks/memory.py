"""Peak memory of one peer at one work, in a process of its own: called by versus.py, prints megabytes.

    libraries loaded, pictures made   -> what the process occupies: not counted
    the peer built, the source of its weights freed, two calls (which compile, plan, allocate, rearrange weights)
    three more calls                  -> the highest point from here on: counted

So weights, activations, working memory and compiled code count, and what only building or compiling needs does not.
The same highest point without the subtraction is told, too: what the system shows of the process, libraries included.
"""
import argparse
import ctypes
import gc
import json
import os
import resource
import sys
from pathlib import Path

from contest import prepare
from peers import NAMES, Absent, peer
from work import Work, network, pictures

FIRST, CALLS = 2, 3  # not counted, counted


def occupied(key="VmRSS"):
    """Bytes that the process occupies now (VmRSS) or has occupied at most since `forget_highest` (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


def forget_highest():
    """Let the highest point be measured anew; False where the system cannot."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # give back what is free, or it would be found again and not counted
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def peak(work, name, threads, seed):
    """Megabytes above the libraries, and of the whole process; raises Absent."""
    one = peer(name)
    if one.available() is None:
        raise Absent("not installed")
    x = pictures(work, network(work, seed).input.shape[2], seed)
    forget_highest()
    before = occupied()
    net = network(work, seed)
    function = prepare(one, work, net, x, threads)
    del net
    for _ in range(FIRST):
        function()
    if not forget_highest():
        raise Absent("this system does not let the highest point be measured anew")
    for _ in range(CALLS):
        function()
    highest = occupied("VmHWM")
    return (highest - before) / 1e6, highest / 1e6


def children():
    """Megabytes of the largest program that was started and has ended (Debian's darknet is one)."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6


def main():
    """Called by versus.py."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", help="a Work as JSON")
    parser.add_argument("peer", choices=NAMES)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.threads)
    try:
        above, whole = peak(Work(*json.loads(args.work)), args.peer, args.threads, args.seed)
        if args.peer == "Darknet":  # a program of its own
            above = whole = children()
        print(json.dumps({"mb": above, "process_mb": whole}))
    except Absent as reason:
        print(json.dumps({"note": str(reason)}))


if __name__ == "__main__":
    sys.exit(main())
