"""What `train` learns from and is judged by: read, numbered as the network numbers its classes, and joined.

A head without a tree is built for the data's classes, whatever they are. The nodes of a tree are given: the data's classes
are found among them, by region.map where there is one, else by name.
"""
from dataclasses import replace

import numpy as np

from minidarknet import cli
from minidarknet.errors import DataError, UsageError
from minidarknet.evaluate import in_classes_of, mapped


def add_joint(p):
    """Add --joint and its options to the ArgumentParser `p`."""
    p.add_argument("--joint", metavar="DATA", help="learn also from pictures with a class but no boxes, as YOLO9000 does: a "
                                                   "folder of classes or a classifier's .data file, of it --train-split")
    p.add_argument("--joint-ratio", default="1:4", metavar="BOXES:CLASSES",
                   help="pictures of each kind in turn (default: 1:4, the paper's: it shows COCO's pictures so often that "
                        "ImageNet's are only four times as many)")
    p.add_argument("--joint-smallest", type=cli.fraction, default=1., metavar="SHARE",
                   help="show pictures without boxes smaller, down to this share of the network's size, so that tight crops "
                        "are no larger than what is to be found (default: 1, never; crops with surroundings, as "
                        "`minidarknet crops --margin 1 --single` cuts them, teach more)")


def read(args, classifies):
    """(training, validation): the Datasets that `args` of `train` name. Raises DataError, also where nothing is to learn."""
    from minidarknet.data import annotations

    def load(split, limit):
        return annotations.load(args.data, split, args.classes, limit, classifies)
    if args.overfit:
        training = validation = load(args.train_split, args.overfit)
    else:
        training, validation = load(args.train_split, args.limit), load(args.val_split, args.limit)
    if not training.counts.sum():
        raise DataError(f"{training.name}, {args.train_split}: no object in {len(training)} pictures; "
                        "there is nothing to learn (python -m minidarknet.check says what was left out and why)")
    for data in {id(d): d for d in (training, validation)}.values():
        cli.warn(data.problems)
    return training, validation


def fit(net, training, validation, args):
    """(training, validation) in the numbers of the network's classes, the training joined with --joint.

    net: Network, with its names. args: of `train`. Raises UsageError, DataError.
    """
    from minidarknet.data import joint
    fitted = {id(data): in_classes_of(net, data) for data in (training, validation)}
    training, validation = fitted[id(training)], fitted[id(validation)]
    if args.joint:
        training = joint.join(training, _unboxed(net, args), net.names, joint.ratio(args.joint_ratio))
    return learnable(net, training), validation


def forget_foreign_map(net, data):
    """Let the names decide where the region.map of `net` has not a line for each class of the Dataset `data`."""
    nodes = getattr(net.head, "map", None)
    if nodes is not None and not mapped(net, data):
        cli.warn([f"{net.head.options.map} tells the nodes of {len(nodes)} classes, but {data.name} has {len(data.names)}: "
                  "it is not used, the names of the classes decide"])
        net.head.map = None


def learns_unboxed(net):
    """Whether all heads of `net` learn from a class without a box (bool)."""
    return net.detects and all(np.isfinite(head.no_box) for head in net.heads)


def learnable(net, data):
    """The Dataset without what `net` cannot learn: classes without a box, where no head has a use for them.

    Raises DataError for a class without a box that the network does not have.
    """
    if not data.unboxed:
        return data
    if not learns_unboxed(net):
        cli.warn([f"{data.unboxed} pictures have a class without a box (x = y = 0), from which [{net.head.name}] cannot "
                  "learn: these labels are left out"])
        nothing = np.zeros(0, np.int64)
        return replace(data, examples=[replace(example, unboxed=nothing) for example in data.examples])
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
