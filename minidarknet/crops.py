"""`minidarknet crops --data DATA --out FOLDER`: cut the objects of a detector's data set out, for a classifier."""
import sys
from functools import partial
from pathlib import Path

from minidarknet import cli
from minidarknet.data import annotations, crops
from minidarknet.errors import DataError, UsageError

USUAL = ("train", "val")
MOST = 10   # --margin


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("crops", "Make a classification data set of the objects of a detection data set:\n"
                             "FOLDER/SPLIT/CLASS/*.jpg, and FOLDER/crops.data for Darknet.")
    p.add_argument("--data", default="sample", help="a detection data set, as for train (default: sample)")
    p.add_argument("--out", type=cli.folder, required=True, metavar="FOLDER", help="where to write; new or empty")
    p.add_argument("--split", action="append", metavar="SPLIT", help="may be given again (default: train and val)")
    p.add_argument("--classes", help="only these classes, e.g. cat,dog")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="use only the first N pictures of each split")
    p.add_argument("--margin", type=partial(cli.fraction, most=MOST), default=crops.MARGIN,
                   help=f"added on every side, in sizes of the object, 0 to {MOST} (default: {crops.MARGIN})")
    p.add_argument("--single", action="store_true", help="keep other objects out of a crop where that is possible: with "
                                                         "--margin 1 or 2 pictures for train --joint")
    return p


def main(argv=None):
    """Run the command; returns 0, or 3 where a picture could not be read (see cli.run for refusals)."""
    args = arguments().parse_args(argv)
    folder = Path(args.out)
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"--out {folder}: the folder is not empty; choose a new one")
    there = annotations.splits(args.data)
    splits = args.split or [split for split in USUAL if split in there]
    if not splits:
        raise DataError(f"{args.data}: neither of the splits {' and '.join(USUAL)}; "
                        f"there are {', '.join(there)}: choose with --split")
    loaded = {split: annotations.load(args.data, split, args.classes, args.limit, False) for split in splits}
    names = next(iter(loaded.values())).names
    crops.check_names(names)
    problems = []
    for split, dataset in loaded.items():
        cli.warn(dataset.problems)
        count = crops.write_split(dataset, folder, split, args.margin, problems, args.single)
        print(f"{split}: {count} crops of {len(names)} classes from {len(dataset)} pictures")
    crops.write_data_file(folder, names)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    data = folder / "crops.data"
    print(f"{folder}: train a classifier with --data {data}, as Darknet does, or a detector with --joint {data}")
    return DataError.exit_code if problems else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
