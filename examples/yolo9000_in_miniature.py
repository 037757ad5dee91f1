"""Detect classes that never had a box, as YOLO9000 does: python examples/yolo9000_in_miniature.py --seeds 1

Three trainings of one network for every seed: boxes only, boxes and crops jointly, all boxes. Writes scores.csv and
chart.png; broken off, the same command goes on. minidarknet/miniature.py tells what is compared.
"""
import argparse
import sys
from dataclasses import replace

from minidarknet import cli, miniature


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="sample", help="sample, or a folder with the classes of it or of Pascal VOC")
    parser.add_argument("--weights", help="of the network's first layers, FILE:N, such as tiny.weights:18 for VOC")
    parser.add_argument("--seeds", type=cli.positive, default=3, help="how many (default: 3)")
    parser.add_argument("--updates", type=cli.positive, help="of each training (default: sample 6000, VOC 2000)")
    parser.add_argument("--unseen", help="classes without boxes, such as cat,dog")
    parser.add_argument("--joint-ratio", help="pictures with boxes : pictures with a class alone")
    parser.add_argument("--set", action="append", default=[], help="override the cfg for all three, SECTION.KEY=VALUE")
    parser.add_argument("--jobs", type=cli.positive, help="trainings at a time, each on one core (default: all cores)")
    parser.add_argument("--out", default="runs/yolo9000_in_miniature", help="the folder to write into")
    return parser.parse_args(argv)


def main(argv=None):
    """Put the plan together and run it."""
    args = arguments(argv)
    plan = miniature.plan_for(args.data)
    options = ("--weights", args.weights) if args.weights else ()
    plan = replace(plan, options=options, settings=(*plan.settings, *args.set), updates=args.updates or plan.updates)
    if args.unseen:
        plan = replace(plan, unseen=tuple(args.unseen.split(",")))
    if args.joint_ratio:
        plan = replace(plan, joint=(*plan.joint, "--joint-ratio", args.joint_ratio))
    miniature.main(args.data, plan, args.seeds, args.out, args.jobs)
    print(f"scores.csv and chart.png are in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
