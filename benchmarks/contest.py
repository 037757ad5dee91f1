"""One work, one thread count, all peers in turns in this process: called by versus.py, prints JSON.

    repeat:   for every peer:   silence   calls that are not counted   calls that are counted (FILL seconds)

Most libraries let threads that have nothing to do spin for some milliseconds, on the very cores that the next one
needs. So a turn begins when the processor time of the whole process stands still: then everybody's threads are asleep,
and stay so until they are called. The uncounted calls wake the peer's own threads and fill the caches. Environment
variables that would change how long threads spin are left alone. `versus.py --alone` gives every peer a process of its
own: its milliseconds must be the same.
Before anything is measured each peer must show that it computes the same: inference by its output (largest difference
over largest value), training by the losses of the first steps, which depend on gradients and updates.
"""
import argparse
import gc
import json
import os
import statistics
import time

import numpy as np
from peers import NAMES, Absent, peer
from work import Work, gflop, network, pictures, truths

TOLERANCE = {"inference": 1e-3, "training": 5e-3}  # a wrong momentum or decay changes the losses by 1 % at least
STEPS = 4          # training steps that are compared
LOOK = .02         # seconds of silence that are enough
SILENT = .05       # share of one core's time that counts as silence
WARM = .1          # seconds of uncounted calls, two calls at least
FILL = .2          # seconds of counted calls, one call at least
MOST = 20          # counted calls in a turn


def prepare(one, work, net, x, threads):
    """The function of a peer for the Work. Raises Absent."""
    if work.kind == "inference":
        return one.inference(net, x, threads)
    function = one.training(net, x, truths(net, work.batch), threads)
    if function is None:
        raise Absent("does not train")
    return function


def evidence(function, work):
    """What the peer computes: its output, or the losses of the first STEPS steps. The first call compiles."""
    out = function() if work.kind == "inference" else [function() for _ in range(STEPS)]
    return None if out is None else np.array(out, np.float32)  # a copy


def difference(theirs, ours):
    """Largest difference over the largest value (float); for losses, which all matter, the largest relative one."""
    scale = ours if ours.ndim == 1 else np.abs(ours).max()
    return float(np.abs((theirs - ours) / scale).max())


def enter(one, work, threads, seed):
    """(function of the peer, what it computes or None, seconds until it had)."""
    net = network(work, seed)
    began = time.perf_counter()
    function = prepare(one, work, net, pictures(work, net.input.shape[2], seed), threads)
    return function, evidence(function, work), time.perf_counter() - began


def judge(told, found, reference, work):
    """Note in `told` how far what a peer found is from the reference; whether it may be measured."""
    if found is None:
        return True
    if found.shape != reference.shape:
        told["note"] = f"gives {found.shape}, not {reference.shape}"
        return False
    told["difference"] = difference(found, reference)
    if told["difference"] < TOLERANCE[work.kind]:
        return True
    told["note"] = f"differs by {told['difference']:.1e}, not measured"
    return False


def call(function):
    """Milliseconds of one call, or what a program of its own says that it took."""
    began = time.perf_counter()
    function()
    return (getattr(function, "seconds", None) or time.perf_counter() - began) * 1e3


def silence(longest=2):
    """Wait until no thread of this process computes; the seconds it took. Raises TimeoutError after `longest`."""
    began = time.perf_counter()
    while True:
        used = time.process_time()
        time.sleep(LOOK)
        if time.process_time() - used < SILENT * LOOK:
            return time.perf_counter() - began
        if time.perf_counter() - began > longest:
            raise TimeoutError("a library's threads never sleep: the others cannot be measured beside it (--alone)")


def turn(function):
    """A peer's turn: median milliseconds of its counted calls."""
    silence()
    for counted, seconds in ((False, WARM), (True, FILL)):
        times, end = [], time.perf_counter() + seconds
        while not times or (time.perf_counter() < end and len(times) < MOST):
            times.append(call(function))
        if not counted and len(times) == 1:
            call(function)
    return statistics.median(times)


def contest(work, threads, names, repeats, seed, file):
    """Measure; returns a dict: gflop, machine, distances (of the cores, after every turn), and for every peer ms (median of
    the turns), turns, or a note.

    file: where minidarknet's evidence is left, for contests in which it does not take part.
    """
    peers = {name: peer(name) for name in names}
    told = {name: {"version": one.available()} for name, one in peers.items()}  # loads the libraries, ours last
    functions, found = {}, {}
    for name, one in peers.items():
        if told[name]["version"] is None:
            told[name]["note"] = "not installed"
            continue
        try:
            functions[name], found[name], told[name]["start_s"] = enter(one, work, threads, seed)
        except Absent as reason:
            told[name]["note"] = str(reason)
    if "minidarknet" in found:
        np.save(file, found["minidarknet"])
    reference = np.load(file)
    functions = {name: function for name, function in functions.items() if judge(told[name], found[name], reference, work)}
    turns, apart = {name: [] for name in functions}, []
    from distance import distance  # which loads Numba
    gc.collect()
    gc.disable()
    for number in range(repeats):
        for name in sorted(functions, key=list(functions).index, reverse=number % 2 == 1):
            turns[name].append(turn(functions[name]))
        silence()
        apart.append(distance())
    for name, measured in turns.items():
        told[name].update(ms=statistics.median(measured), turns=measured)
    return {"work": work, "threads": threads, "gflop": gflop(network(work, seed), work), "machine": facts(threads),
            "distances": apart, "peers": told}


def facts(threads):
    """The machine and its measured peak, the best of three looks."""
    from minidarknet import cli
    from minidarknet.machine import limit, machine
    found = machine(cli.use_threads(threads))
    for _ in range(2):
        silence()
        found["peak_gflops"] = limit(found["peak_gflops"])
    return found


def main():
    """Called by versus.py."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", help="a Work as JSON")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evidence", required=True, help="file to leave what minidarknet computes in, or to read it from")
    args = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.threads)  # read when they are loaded
    names = sorted(args.peers, key=lambda name: name == "minidarknet")  # its spin count must not be theirs
    print(json.dumps(contest(Work(*json.loads(args.work)), args.threads, names, args.repeats, args.seed,
                             args.evidence)))


if __name__ == "__main__":
    main()
