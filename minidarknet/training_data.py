"""What `train` learns from and is judged by: read, numbered as the network numbers its classes, and joined.

A head without a tree is built for the data's classes, whatever they are. The nodes of a tree are given: the data's classes
are found among them, by region.map where there is one, else by name.
"""
from argparse import ArgumentTypeError
from dataclasses import replace

import numpy as np

from minidarknet import cli
from minidarknet.errors import DataError, UsageError
from minidarknet.names import nodes_named
from minidarknet.numbering import forget_foreign_map, mapped, numbering, renumbered

RATIO = "1:4"   # --joint-ratio: pictures with boxes to pictures with a class alone


def add_joint(p):
    """Add --joint and its options to the ArgumentParser `p`."""
    p.add_argument("--joint", metavar="DATA", help="learn also from pictures with a class but no boxes, as YOLO9000 does: a "
                                                   "folder of classes or a classifier's .data file, of it --train-split")
    p.add_argument("--joint-ratio", metavar="BOXES:CLASSES",
                   help=f"pictures of each kind in turn (default: {RATIO}, the paper's: it shows COCO's pictures so often "
                        "that ImageNet's are only four times as many)")
    p.add_argument("--joint-smallest", type=share, metavar="SHARE",
                   help="show pictures without boxes smaller, down to this share of the network's size, so that tight crops "
                        "are no larger than what is to be found (default: 1, never; crops with surroundings, as "
                        "`minidarknet crops --single` cuts them with --margin 1 or 2, teach more)")


def share(text):
    """argparse type: a number above 0, at most 1."""
    if not (number := cli.fraction(text)):
        raise ArgumentTypeError(f"{text!r} is not above 0: expected a share of the network's size, such as .3, at most 1")
    return number


def complete(args):
    """Give the options that go with --joint in `args` of `train` their defaults. Without it, raise UsageError for them."""
    for option, default in (("joint_ratio", RATIO), ("joint_smallest", 1.)):
        if getattr(args, option) is None:
            setattr(args, option, default)
        elif not args.joint:
            raise UsageError(f"--{option.replace('_', '-')} says how pictures of --joint DATA are shown: give that as well")


def read(args, classifies):
    """(training, validation): the Datasets that `args` of `train` name. Raises DataError, also where nothing is to learn."""
    from minidarknet.data import annotations

    def load(split, limit):
        return annotations.load(args.data, split, args.classes, limit, classifies)
    if args.overfit:
        training = validation = load(args.train_split, args.overfit)
    else:
        training, validation = load(args.train_split, args.limit), load(args.val_split, args.limit)
    require_something(training)
    for data in {id(d): d for d in (training, validation)}.values():
        cli.warn(data.problems)
    return training, validation


def require_something(data):
    """Raise DataError where no picture of the Dataset `data` has an object, nor a class without a box."""
    if not data.counts.sum() and not data.unboxed:
        raise DataError(f"{data.name}: no object in {len(data)} pictures to train on; there is nothing to learn (python -m "
                        "minidarknet.check says what was left out and why)")


def fit(net, training, validation, args):
    """(training, validation) in the numbers of the network's classes, the training joined with --joint.

    net: Network, with its names. args: of `train`. Raises UsageError, DataError.
    """
    from minidarknet.data import joint
    forget_foreign_map(net, training)
    of_training = of_validation = numbering(net, training)
    if validation.names != training.names:
        if mapped(net, training) and mapped(net, validation):
            raise DataError(f"{args.val_split} has other classes than {args.train_split}, or another order; with region.map "
                            "both need the same")
        of_validation = numbering(net, validation)
    training, validation = renumbered(training, *of_training), renumbered(validation, *of_validation)
    if args.joint:
        classes = _unboxed(net, args)
        number = nodes_named(net.tree, net.names, classes.names, classes.name)
        training = joint.join(training, classes, number, joint.ratio(args.joint_ratio))
    return learnable(net, training), validation


def share_map(net, other):
    """Let `net` use its region.map as `other`, of the same files, does: not at all where that has forgotten it."""
    if hasattr(other.head, "map"):
        net.head.map = other.head.map


def learns_unboxed(net):
    """Whether all heads of `net` learn from a class without a box (bool)."""
    return net.detects and all(np.isfinite(head.no_box) for head in net.heads)


def learnable(net, data):
    """The Dataset without what `net` cannot learn: classes without a box, where no head has a use for them.

    Raises DataError for a class without a box that the network does not have, and where nothing is left to learn.
    """
    if not data.unboxed:
        return data
    if not learns_unboxed(net):
        cli.warn([f"{data.unboxed} pictures have a class without a box (x = y = 0), from which [{net.head.name}] cannot "
                  "learn: these labels are left out"])
        nothing = np.zeros(0, np.int64)
        data = replace(data, examples=[replace(example, unboxed=nothing) for example in data.examples])
        require_something(data)
        return data
    wrong = next((e for e in data.examples if len(e.unboxed) and e.unboxed.max() >= net.classes), None)
    if wrong is not None:
        raise DataError(f"{wrong.path}: its label has class {wrong.unboxed.max()} without a box (x = y = 0); the network "
                        f"has {net.classes}, numbered 0 to {net.classes - 1} (with a tree these are its nodes)")
    return data


def told(data):
    """How many pictures to train on a Dataset has, and of which kind (str)."""
    if not data.unboxed:
        return f"{len(data)} pictures to train"
    turns = ""
    if len(data.pools) > 1:
        shares = [share for _, share in data.pools]
        turns = f", {shares[0]} to {shares[1]} in turn"
    return (f"{len(data) - data.unboxed} pictures with boxes and {data.unboxed} with a class alone to train{turns}")


def _unboxed(net, args):
    """The classifier's Dataset of --joint. Raises UsageError where `net` cannot use it, DataError."""
    from minidarknet.data import annotations
    if not learns_unboxed(net):
        raise UsageError(f"--joint: {args.cfg} cannot learn a class without a box; expected one with a [region] head, such "
                         "as cfg/yolo9000-nano.cfg")
    data = annotations.load(args.joint, args.train_split, None, args.limit, True)
    cli.warn(data.problems)
    return data
