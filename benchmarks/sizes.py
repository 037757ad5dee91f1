"""How the cost depends on size and batch: the ten sizes of multi-scale training, and batches from 1 to 16.

    python benchmarks/sizes.py [--cfg cfg/yolov2-tiny-voc.cfg] [--threads 2] [--repeats 3] [--inference | --training]

A size whose grid does not divide well wastes work: its effective rate (operations of the direct convolution per second)
falls behind that of the best size. A picture alone needs all weights for itself: it costs more, and how long it takes
merely to read them from memory (reading.py) is printed beside it, and how far apart the cores are (distance.py): where
they do not share a cache it costs more still. All sizes take turns, as in versus.py.
"""
import argparse
import statistics

import numba
from contest import silence, turn
from distance import distance
from reading import reading
from work import Work, gflop, network, pictures, truths

from minidarknet import cli
from minidarknet.machine import limit
from minidarknet.optimizer import SGD

SIZES = range(320, 609, 32)
BATCHES = (1, 2, 4, 8, 16)
BATCH = {"inference": 1, "training": 8}  # at which the sizes are measured


def step_of(net, work):
    """A function without arguments that predicts, or makes one training step, at the Work's size and batch."""
    x = pictures(work, net.input.shape[2], 0)
    if work.kind == "inference":
        return lambda: net.predict(x)
    truth, sgd = truths(net, work.batch), SGD(net)

    def step():
        net.forward(x, truth, train=True)
        net.backward()
        sgd.step()
    return step


def measure(works, repeats, others=()):
    """Milliseconds (medians of the turns) and GFLOP of every Work, which share one network.

    others: functions that have their turns with them. Returns [(Work, ms, GFLOP)], [ms of each function].
    """
    net = network(works[0], 0)
    turns, operations = {work: [] for work in (*works, *others)}, {}
    for _ in range(repeats):
        for work in works:
            net.resize((work.size, work.size))
            operations[work] = gflop(net, work)
            turns[work].append(turn(step_of(net, work)))
        for other in others:
            turns[other].append(turn(other))
    medians = {work: statistics.median(times) for work, times in turns.items()}
    return [(work, medians[work], operations[work]) for work in works], [medians[other] for other in others]


def by_size(cfg, kind, repeats):
    """Lines of text: effective rate at every size, and its share of the best."""
    found, _ = measure([Work(cfg, size, kind, BATCH[kind]) for size in SIZES], repeats)
    best, peak = max(operations / ms for _, ms, operations in found), limit()
    yield f"{kind}, batch {BATCH[kind]}: size   ms a picture  GFLOP/s  of the best  of the FMA peak"
    for work, ms, operations in found:
        rate = operations / ms
        share = f"{rate * 1e3 / peak:15.0%}" if peak else ""
        yield f"{work.size:>{len(kind) + 15}} {ms / work.batch:12.2f} {rate * 1e3:8.0f} {rate / best:12.0%}" + share
    yield f"least share of the best: {min(operations / ms for _, ms, operations in found) / best:.0%}"


def by_batch(cfg, size, kind, repeats):
    """Lines of text: time per picture at every batch, how much more the dearest costs, the time to read the weights, and
    how far apart the cores are."""
    before = distance()
    works = [Work(cfg, size, kind, batch) for batch in BATCHES]
    read, size_of_weights = reading(network(works[0], 0), numba.get_num_threads())
    times, (ms_to_read,) = measure(works, repeats, [read])
    found = [(work.batch, ms / work.batch) for work, ms, _ in times]
    yield f"{kind}, size {size}: batch   ms a picture"
    yield from (f"{batch:>{len(kind) + 17}} {ms:14.2f}" for batch, ms in found)
    for first in BATCHES[:2]:
        times = [ms for batch, ms in found if batch >= first]
        yield f"batches from {first} to {BATCHES[-1]}: the dearest picture costs {max(times) / min(times) - 1:.0%} more " \
              f"than the cheapest, the cheapest {1 - min(times) / max(times):.0%} less than the dearest"
    yield f"to read the weights once, {size_of_weights / 1e6:.1f} MB, takes {ms_to_read:.2f} ms: " \
          f"{ms_to_read / min(ms for _, ms in found):.0%} of the cheapest picture's time"
    if before:
        silence()
        yield f"a message from core to core and back took {before:.0f} ns before and {distance():.0f} ns after"


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", default="cfg/yolov2-tiny-voc.cfg")
    parser.add_argument("--size", type=int, default=416, help="at which the batches are measured (416)")
    parser.add_argument("--threads", type=int, help="(all)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (3)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--inference", action="store_true", help="inference only")
    only.add_argument("--training", action="store_true", help="training only")
    args = parser.parse_args()
    threads = cli.use_threads(args.threads)
    print(f"{args.cfg}, {threads} thread{'s' * (threads > 1)}")
    for kind in ("inference", "training"):
        if args.inference and kind == "training" or args.training and kind == "inference":
            continue
        for lines in (by_size(args.cfg, kind, args.repeats), by_batch(args.cfg, args.size, kind, args.repeats)):
            print()
            for line in lines:
                print(line, flush=True)


if __name__ == "__main__":
    main()
