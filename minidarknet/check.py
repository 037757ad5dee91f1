"""python -m minidarknet.check: read a whole data set, decode every picture, list everything that is wrong with it."""
import sys
from collections import Counter

from tqdm import tqdm

from minidarknet import cli
from minidarknet.cores import cores
from minidarknet.data import annotations, pictures
from minidarknet.data.prefetch import Prefetch
from minidarknet.errors import DataError
from minidarknet.grammar import nearest
from minidarknet.names import distinct

USUAL = ("train", "val")
RARE = 20   # a class with this many times fewer objects than one of nearly the same name is taken for misspelt


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("check", "Read a data set, decode every picture and list every problem with file and line. "
                             "Exit code 0: none found, 3: some.")
    p.add_argument("--data", default="sample", metavar="DATA",
                   help="a .data file, a VOC year folder (several joined by commas), a folder of classes, COCO's JSON or "
                        "its folder, or 'sample' (default)")
    p.add_argument("--classifier", action="store_true",
                   help="the data is for a classifier (default: what it looks like; a .data file: where it has labels=)")
    p.add_argument("--split", action="append", metavar="SPLIT", help="may be given again (default: train and val)")
    p.add_argument("--classes", metavar="A,B", help="only these classes")
    p.add_argument("--limit", type=cli.positive, metavar="N", help="only the first N pictures of each split")
    return p


def _decode(dataset, split, workers):
    """Decode every picture; returns the Problems of those that are broken."""
    def make(number, _):
        try:
            pictures.read(dataset.examples[number].path)
        except DataError as broken:
            reason = getattr(broken, "reason", str(broken))
            return annotations.Problem(str(dataset.examples[number].path), 0, f"{reason}; replace or remove it")
        return None

    with Prefetch(make, len(dataset), workers, 4 * workers) as results:
        shown = tqdm(results, f"decoding {split}", len(dataset), file=sys.stderr, unit="picture", leave=False)
        return [problem for problem in shown if problem]


def _notes(dataset):
    """Lines about what is not wrong but worth a look: list of str."""
    counts = dict(zip(distinct(dataset.names), dataset.counts.tolist()))
    notes = []
    for name, count in counts.items():
        near = nearest(name, [other for other in counts if other != name and counts[other] > RARE * count], 0.8)
        if count and near:
            notes.append(f"class {name!r} has {count} objects, {near!r} has {counts[near]}: misspelt?")
    ids = set().union(*(example.classes.tolist() for example in dataset.examples))
    if ids and min(ids) > 0 and max(ids) == len(dataset.names) - 1 and len(ids) == len(dataset.names) - 1:
        notes.append(f"no object has class 0 ({dataset.names[0]!r}), every other class occurs: do the ids run from 1?")
    small = sum(int((example.boxes[:, 2:].min(axis=1) < 0.01).sum()) for example in dataset.examples)
    if small:
        notes.append(f"{small} objects are narrower than 1 % of their picture: a few pixels for the network at most")
    return notes


def _summary(dataset, split, problems):
    """Print what a split holds. problems: how many."""
    difficult = sum(int(example.difficult.sum()) for example in dataset.examples)
    held = f"{len(dataset.names)} classes" if dataset.classifies else \
        f"{int(dataset.counts.sum())} objects ({difficult} difficult), {dataset.backgrounds} without objects" \
        + f", {dataset.unboxed} with a class but no box (x = y = 0)" * bool(dataset.unboxed)
    print(f"{split}: {len(dataset)} pictures, {held}, {problems} problems")
    width = max(map(len, dataset.names))
    pictures_with = Counter(i for example in dataset.examples for i in set(example.classes.tolist()))
    for number, (name, count) in enumerate(zip(dataset.names, dataset.counts.tolist())):
        objects = "" if dataset.classifies else f"{count:8} objects in "
        print(f"  {number:4} {name:{width}} {objects}{pictures_with[number]:6} pictures")
    for note in _notes(dataset):
        print(f"  note: {note}")


def main(argv=None):
    """Run the command -> 0 when nothing is wrong, 3 otherwise. Raises DataError when there is nothing to read."""
    args = arguments().parse_args(argv)
    there = annotations.splits(args.data)
    splits = args.split or [split for split in USUAL if split in there]
    if not splits:
        raise DataError(f"{args.data}: neither of the splits {' and '.join(USUAL)}; "
                        + (f"there are {', '.join(there)}: choose with --split" if there else "there is none"))
    workers, seen, paths = cores(), set(), {}
    for split in splits:
        try:
            dataset = annotations.load(args.data, split, args.classes, args.limit, args.classifier or None)
        except DataError as error:
            print(error)
            seen.add(error)
            continue
        problems = list(dict.fromkeys(dataset.problems + _decode(dataset, split, workers)))
        for problem in problems:
            if problem not in seen:
                print(problem)
        seen.update(problems)
        _summary(dataset, split, len(problems))
        for other, known in paths.items():
            shared = len(known & {example.path for example in dataset.examples})
            if shared:
                print(f"  note: {shared} pictures are in {other} too: scores on them say nothing about new pictures")
        paths[split] = {example.path for example in dataset.examples}
    print(f"{len(seen)} problems" if seen else "no problems")
    return DataError.exit_code if seen else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
