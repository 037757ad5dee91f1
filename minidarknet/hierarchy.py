"""`minidarknet hierarchy FILE`: draw a tree of labels; or build one, from WordNet or from indented lines or JSON."""
import sys
from pathlib import Path

import numpy as np

from minidarknet import cli, wordnet
from minidarknet.errors import DataError, UsageError
from minidarknet.names import names_of, plain, read_names
from minidarknet.paths import find, resolve
from minidarknet.textfiles import numbered_lines, write_lines
from minidarknet.wordtree import read_map, write_map
from minidarknet.wordtree_text import draw, figures, read_any

WIDTH = 12   # children shown of a node, where --width does not say it
DEPTH = 3    # levels shown of a large tree, where --depth does not say it
LARGE = 200  # nodes


def arguments():
    """The command's ArgumentParser."""
    p = cli.command("hierarchy", "Draw a tree of labels (WordTree), or build one:\n"
                                 "  minidarknet hierarchy cfg/voc.tree --picture voc.png\n"
                                 "  minidarknet hierarchy my.txt --out my.tree            indented lines, or .json\n"
                                 "  minidarknet hierarchy --build labels.txt --out my.tree  from WordNet\n"
                                 "  minidarknet hierarchy --of CFG WEIGHTS dog.jpg --html dog.html  what a network says")
    p.add_argument("file", metavar="FILE", nargs="?", help="a Darknet .tree, a .json file of nested names, or a text of "
                                                           "indented names")
    p.add_argument("--build", metavar="LABELS", help="build the tree from WordNet for the nouns in this file, one a line: "
                                                     "dog, dog#2 (its second sense) or n02084071")
    p.add_argument("--of", nargs=3, metavar=("CFG", "WEIGHTS", "PICTURE"),
                   help="show the tree of this network, with the probabilities that it gives to the picture; a detector: to "
                        "its surest box")
    p.add_argument("--wordnet", metavar="FOLDER", default=wordnet.FOLDER,
                   help=f"folder with WordNet's data.noun and index.noun (default: {wordnet.FOLDER})")
    p.add_argument("--root", metavar="NOUN", default=wordnet.ROOT, help=f"what is above the tree (default: {wordnet.ROOT})")
    p.add_argument("--chains", action="store_true", help="keep nodes that were not asked for and have a single child")
    p.add_argument("--out", type=cli.output, metavar="FILE.tree", help="write the tree there, the names beside it (.names) "
                                                                       "and, with --build, each label's node (.map)")
    p.add_argument("--names", metavar="FILE", help="names of the nodes (default: FILE.names beside FILE.tree)")
    p.add_argument("--map", metavar="FILE", help="check this .map file and list what its entries mean")
    p.add_argument("--depth", type=cli.positive, metavar="N", help="show so many levels (default: all; of more "
                                                                   f"than {LARGE} nodes {DEPTH})")
    p.add_argument("--width", type=cli.positive, metavar="N", help=f"show so many children of a node (default: {WIDTH})")
    p.add_argument("--path", metavar="NODE", help="print the way to the root of each node of this name instead "
                                                "of the tree")
    p.add_argument("--probabilities", metavar="FILE", help="P(node | parent) of each node, a number on each line: show "
                                                           "absolute ones, and where a prediction ends")
    p.add_argument("--hier", type=cli.fraction, default=.5, help="least probability on the way down (default: .5)")
    p.add_argument("--darknet-walk", action="store_true", help="end the way down where Darknet does, which counts ancestors "
                                                               "twice")
    p.add_argument("--picture", type=cli.output, metavar="FILE", help="draw the tree there, too (PNG)")
    p.add_argument("--html", type=cli.output, metavar="FILE", help="with --of or --probabilities: write a page there, with "
                                                                   "a slider for the threshold")
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    given = sum(source is not None for source in (args.file, args.build, args.of))
    if given != 1:
        raise UsageError("expected FILE, or --build LABELS, or --of CFG WEIGHTS PICTURE" + ": one of them" * (given > 1))
    if args.of and (args.probabilities or args.out or args.names):
        raise UsageError("--of takes tree, names and probabilities from the network: leave out --probabilities, --out and "
                         "--names")
    if args.html and not (args.of or args.probabilities):
        raise UsageError("--html shows the way down by probabilities: expected --probabilities FILE, or --of CFG WEIGHTS "
                         "PICTURE")
    if args.out and Path(args.out).suffix != ".tree":
        raise UsageError(f"--out {args.out}: expected a name that ends in .tree; .names and .map are written beside it")
    looked = seen(*args.of) if args.of else None
    tree, names = looked[:2] if looked else built(args) if args.build else opened(args)
    if args.map:
        for number, node in enumerate(read_map(resolve(args.map), len(tree))):
            print(f"{number:>4} -> {node:>5} {names[node]}")
    elif args.path:
        print("\n".join(steps(tree, names, args.path)))
    else:
        show(tree, names, args, *(looked[2:] if looked else ()))
    print(", ".join(f"{value} {key.replace('_', ' ')}" for key, value in figures(tree).items()))
    return 0


def opened(args):
    """(WordTree, names) of the file of `args`; written again where --out says so. Raises UsageError, DataError."""
    tree = read_any(find(args.file))
    shown = names_of(tree) if Path(tree.path).suffix == ".tree" else tree.names  # other files have room for them
    names = read_names(resolve(args.names)) if args.names else shown
    if len(names) != len(tree):
        raise UsageError(f"--names {args.names} has {len(names)} names, but the tree has {len(tree)} nodes")
    if args.out:
        save(tree, names, args.out)
    return tree, names


def built(args):
    """(WordTree, names) for the labels of `args` from WordNet; written, with a map, where --out says so.

    Raises UsageError, DataError.
    """
    nouns = wordnet.WordNet(args.wordnet)
    if nouns.find(args.root) is None:
        raise UsageError(f"--root {args.root}: WordNet has no such noun")
    concepts, labels = wordnet.find_labels(nouns, find(args.build), args.root)
    tree = wordnet.build(nouns, concepts, args.root, args.chains)
    own = {concept: label for concept, label in zip(concepts, labels) if not wordnet.NUMBER.match(label)}
    names = tuple(own.get(name, nouns.words[name][0]) for name in tree.names)
    if args.out:
        save(tree, names, args.out)
        write_map(Path(args.out).with_suffix(".map"), [tree.number[concept] for concept in concepts])
    print(f"{len(concepts)} labels and {len(tree) - len(concepts)} concepts above them")
    return tree, names


def save(tree, names, path):
    """Write the tree as the file `path` and the names beside it."""
    tree.write(path)
    write_lines(Path(path).with_suffix(".names"), names)


def steps(tree, names, node):
    """The ways to the root, as lines, from the nodes of this name (the tree's or the shown one) or number.

    Shown names can belong to several nodes: a head of a body, of a school ... Raises UsageError.
    """
    wanted = plain(node)
    found = [at for at, both in enumerate(zip(tree.names, names)) if wanted in map(plain, both)]
    if not found and node.isdecimal() and int(node) < len(tree):
        found = [int(node)]
    if not found:
        raise UsageError(f"--path {node}: the tree has no such node; expected a name, or a number up to {len(tree) - 1}")
    return [f"{'  ' * i}{at:>5} {tree.names[at]}{'' if names[at] == tree.names[at] else '  ' + names[at]}"
            for number in found for i, at in enumerate(tree.path_to_root(number))]


def seen(cfg, weights, path):
    """(WordTree, names, absolute probabilities (n,), picture) of a network that looks at the picture `path`.

    Of a detector the probabilities are those of the box that holds an object most probably. Raises UsageError, DataError,
    CfgError, WeightsError.
    """
    from minidarknet import detect
    from minidarknet.data import pictures
    net = detect.load_network(detect.arguments().parse_args([cfg, weights, path]))
    if net.tree is None:
        raise UsageError(f"--of {cfg}: its classes are no tree; expected a [softmax] or [region] with tree=FILE")
    picture = pictures.read(path)
    said = detect.looked(net, picture)
    if not net.detects:
        return net.tree, net.names, net.tree.absolute(said), picture
    _, objectness, probability = net.boxes(said[None])
    return net.tree, net.names, probability[0, objectness[0].argmax()], picture


def show(tree, names, args, probability=None, looked_at=None):
    """Print the tree, and draw it where `args` say so.

    probability: (n,) absolute, or None. looked_at: the picture (h, w, 3) uint8 that it is about, or None.
    """
    marked = ()
    if args.probabilities:
        probability = tree.absolute(read_probabilities(args.probabilities, tree))
    if probability is not None:
        node = int(tree.predict(probability, args.hier, args.darknet_walk))
        marked = tree.path_to_root(node)
    depth = args.depth or (DEPTH if len(tree) > LARGE else None)
    print("\n".join(draw(tree, probability, names, depth, args.width or WIDTH, marked[:1])))
    if marked:
        print(f"prediction at threshold {args.hier:g}: {names[marked[0]]} ({probability[marked[0]]:.3f})")
    if args.picture:
        from minidarknet.viz_wordtree import wordtree_plot
        wordtree_plot(tree, args.picture, probability, names, marked, args.depth)
    if args.html:
        from minidarknet.viz_wordtree_html import wordtree_html
        wordtree_html(tree, probability, args.html, names, looked_at, threshold=args.hier,
                      double_count=args.darknet_walk)


def read_probabilities(path, tree):
    """P(node | parent), one number on each line of the text file `path`: (n,) float64. Raises DataError with the line."""
    values = []
    for number, line in numbered_lines(path, "a probability on each line"):
        try:
            values.append(float(line.split()[-1]))
        except ValueError:
            values.append(-1.0)
        if not 0 <= values[-1] <= 1:
            raise DataError(f"{path}:{number} {line[:40]!r}: expected a probability from 0 to 1")
    if len(values) != len(tree):
        raise DataError(f"{path}: has {len(values)} numbers, but the tree has {len(tree)} nodes")
    values = np.array(values)
    for first, last in zip(tree.borders, tree.borders[1:]):
        if abs(values[first:last].sum() - 1) > .01:
            raise DataError(f"{path}: the probabilities of {tree.names[first]!r} and its siblings sum to "
                            f"{values[first:last].sum():.3f}; expected 1 in every group: P(node | parent)")
    return values


if __name__ == "__main__":
    sys.exit(cli.run(main))
