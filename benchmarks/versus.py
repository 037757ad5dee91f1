"""minidarknet and its peers on the same networks, weights and pictures: milliseconds, ratios and peak memory.

    pip install ".[bench]"
    python benchmarks/versus.py                          all the works of work.py, 1 thread and all cores
    python benchmarks/versus.py --only tiny --threads 2 --repeats 3 --peers minidarknet OpenVINO
    python benchmarks/versus.py --cfg my.cfg --size 416 --inference 1 8 --training 4
    python benchmarks/versus.py --json speed.json --readme
    python benchmarks/versus.py --from speed.json --readme      only writes the table again

Every work and thread count has a process of its own (contest.py), in which all take turns; peak memory has one process
per peer (memory.py). Peers that are not installed are left out, peers that do not compute the same are not measured.
--alone gives every peer a process of its own for the times too: a check that they do not disturb each other.

Memory that a program frees stays with the process while times are measured (KEEP_MEMORY). By default glibc may hand it
back at every call and fetch it again, or not, as chance has it: eager PyTorch, which allocates every activation anew,
takes a fifth longer when it does (39.7 instead of 32.5 ms for yolov2-tiny-voc), the others do not notice. So it is
measured at its best, and the same every time. --give-back leaves glibc's default.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import table
from peers import NAMES
from work import WORKS, Work

from minidarknet.cores import cores
from minidarknet.machine import width

HERE = Path(__file__).parent
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}  # bytes, for glibc


def arguments():
    """The ArgumentParser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only the works with all these words in their name")
    parser.add_argument("--cfg", help="one network of your own instead")
    parser.add_argument("--size", type=int, default=416, help="its size in pixels, square (416)")
    parser.add_argument("--inference", type=int, nargs="*", default=[], metavar="BATCH", help="batches to predict")
    parser.add_argument("--training", type=int, nargs="*", default=[], metavar="BATCH", help="batches to train")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores()}), help="thread counts (1 and all)")
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=list(NAMES), metavar="PEER",
                        help=", ".join(NAMES))
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and pictures (0)")
    parser.add_argument("--alone", action="store_true", help="every peer in a process of its own")
    parser.add_argument("--give-back", action="store_true", help="let glibc hand freed memory back, as it does by default")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--from", type=Path, dest="file", metavar="FILE", help="measure nothing, read what --json wrote")
    parser.add_argument("--readme", type=Path, nargs="?", const=HERE.parent / "README.md", metavar="FILE",
                        help=f"rewrite the table between {table.BEGIN} and {table.END} in README.md")
    return parser


def works(args):
    """[Work] that the arguments name."""
    if args.cfg:
        batches = [("inference", batch) for batch in args.inference] + [("training", batch) for batch in args.training]
        chosen = [Work(args.cfg, args.size, kind, batch) for kind, batch in batches or [("inference", 1)]]
    else:
        chosen = WORKS
    return [work for work in chosen if all(word in str(work) for word in args.only or ())]


def child(script, *words, environment={}):
    """Run a script beside this one in a process of its own -> what it printed as JSON, or {"note": ...}."""
    done = subprocess.run([sys.executable, HERE / script, *map(str, words)], capture_output=True, text=True,
                          env={**os.environ, **environment})
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"note": lines[-1] if lines else f"ended with {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def measure(work, threads, args):
    """One result: a contest (or, alone, one per peer), and the memory."""
    groups = [[name] for name in args.peers] if args.alone else [args.peers]
    with tempfile.TemporaryDirectory() as folder:
        found = [child("contest.py", json.dumps(work), "--threads", threads, "--repeats", args.repeats, "--seed", args.seed,
                       "--evidence", Path(folder) / "evidence.npy", "--peers", *group,
                       environment={} if args.give_back else KEEP_MEMORY) for group in groups]
    failed = [f"{', '.join(group)}: {one['note']}" for group, one in zip(groups, found) if "note" in one]
    if failed:
        raise SystemExit(f"{work}, {threads} threads: " + "; ".join(failed))
    result = {"title": str(work), **found[0], "peers": {name: told for one in found for name, told in one["peers"].items()}}
    result["machine"]["peak_gflops"] = max((one["machine"]["peak_gflops"] or 0) for one in found) or None
    if not args.no_memory:
        measured = [name for name, told in result["peers"].items() if "ms" in told]
        result["memory"] = {name: child("memory.py", json.dumps(work), name, "--threads", threads, "--seed", args.seed)
                            for name in measured}
    return result


def contests(args):
    """Measure everything -> the dict that --json writes."""
    args.peers = list(dict.fromkeys(["minidarknet", *args.peers]))
    results = []
    for threads in args.threads:
        for work in works(args):
            results.append(measure(work, threads, args))
            print(f"{table.threads(threads)}\n{table.plain(table.speed(results[-1:]))}\n", file=sys.stderr, flush=True)
    if not results:
        raise SystemExit(f"no work has all of {args.only} in its name: " + "; ".join(map(str, WORKS)))
    return {"date": datetime.date.today().isoformat(), "repeats": args.repeats, "seed": args.seed, "alone": args.alone,
            "give_back": args.give_back, "width": width(results[0]["machine"]), "results": results}


def main():
    """Measure, print, write."""
    args = arguments().parse_args()
    measured = json.loads(args.file.read_text()) if args.file else contests(args)
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1) + "\n")
    print(table.report(measured))
    if args.readme:
        table.rewrite(args.readme, measured)


if __name__ == "__main__":
    main()
