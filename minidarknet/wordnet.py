"""From WordNet, where a word has several words above it, to a tree of the labels one has, where it has one.

    dog -> domestic animal -> animal            Which of the two paths stays? The one that adds fewer nodes to the tree
    dog -> canine -> carnivore -> ... -> animal as it stands when it is dog's turn.

Paper: YOLO9000 (arXiv 1612.08242), section 4, "Hierarchical classification". Files: wndb(5WN) of WordNet 3.0, data.noun
and index.noun; Debian's package wordnet-base has them.
"""
import re
from pathlib import Path

from minidarknet.errors import DataError
from minidarknet.textfiles import numbered_lines
from minidarknet.wordtree import grow

FOLDER = "/usr/share/wordnet"  # of Debian's package
ROOT = "physical entity"       # what is above the tree: its hyponyms are the roots
CONCEPT = re.compile(r"[0-9]{8} ")
NUMBER = re.compile(r"n([0-9]{8})")
HYPERNYMS = ("@", "@i")        # "is a kind of" and "is an instance of"


class WordNet:
    """The nouns of WordNet. A concept (synset) goes by its number, such as n02084071.

    words: concept -> tuple of its words, the most usual first. above: concept -> tuple of the more general ones.
    senses: word (lower case) -> tuple of concepts, the most usual first.
    """

    def __init__(self, folder):
        """Read data.noun and, where it is there, index.noun; without it the first concept in the file is the most usual.

        Raises DataError, which names file and line.
        """
        file, self.words, self.above, self.senses = Path(folder) / "data.noun", {}, {}, {}
        if not file.is_file():
            raise DataError(f"{folder}: holds no data.noun; expected WordNet's database files (Debian: apt-get install "
                            f"wordnet-base, then {FOLDER})")
        for number, line in numbered_lines(file, "WordNet's data.noun"):
            if CONCEPT.match(line):  # the lines of the licence are numbered, too
                self._concept(line.partition(" | ")[0].split(), f"{file}:{number}")
        index = Path(folder) / "index.noun"
        for number, line in numbered_lines(index, "WordNet's index.noun") if index.is_file() else ():
            fields = line.split()
            if len(fields) > 3 and fields[1] == "n":
                self._senses(fields, f"{index}:{number}")

    def find(self, label):
        """The concept of a label: n02084071 (what follows does not matter), a word's most usual sense, or word#2, its
        second. None where there is none."""
        number = NUMBER.match(label)
        if number:
            return number[0] if number[0] in self.words else None
        word, mark, sense = label.partition("#")
        senses = self.senses.get(_plain(word), ())
        which = int(sense) - 1 if mark and sense.isdigit() else 0
        return senses[which] if 0 <= which < len(senses) else None

    def _concept(self, fields, where):
        try:
            name, count = f"n{fields[0]}", int(fields[3], 16)
            words = fields[4:4 + 2 * count:2]
            first, pointers = 5 + 2 * count, int(fields[4 + 2 * count])
            links = [fields[first + 4 * i:first + 4 * i + 4] for i in range(pointers)]
            self.above[name] = tuple(f"n{offset}" for kind, offset, part, _ in links if kind in HYPERNYMS and part == "n")
        except (ValueError, IndexError):
            raise DataError(f"{where} is no line of WordNet's data.noun: expected offset, file, kind, words, "
                            "pointers") from None
        self.words[name] = tuple(word.replace("_", " ") for word in words)
        for word in words:
            self.senses[_plain(word)] = (*self.senses.get(_plain(word), ()), name)

    def _senses(self, fields, where):
        try:
            found = tuple(f"n{offset}" for offset in fields[-int(fields[2]):])
        except ValueError:
            raise DataError(f"{where} is no line of WordNet's index.noun: expected word, n, counts, offsets") from None
        if not all(name in self.words for name in found):
            raise DataError(f"{where} names a concept that data.noun does not have: are both files of one version?")
        self.senses[_plain(fields[0])] = found


def _plain(word):
    """A word as the index has it: lower case, with _ for spaces."""
    return "_".join(word.lower().split())


def find_labels(wordnet, path, root=ROOT):
    """The concepts of the labels in a text file, one on each line: (list of concepts, list of the lines).

    root: label of what is above the tree, as for `build`. Raises DataError, which names the lines that WordNet does not
    know, those that mean the same, and one that is the root or above it.
    """
    concepts, labels, unknown, first, top = [], [], [], {}, wordnet.find(root)
    too_high = {top} | _reached(top, wordnet.above)
    for number, line in numbered_lines(path, "a label on each line"):
        concept = wordnet.find(line)
        if concept is None:
            unknown.append(f"{number} {line[:40]!r}")
        elif concept in first:
            raise DataError(f"{path}:{number} {line!r} means {concept} ({', '.join(wordnet.words[concept])}), as line "
                            f"{first[concept]} does; expected every label once (another sense: {line.split('#')[0]}#2)")
        elif concept in too_high:
            place = "the root itself" if concept == top else "above the root"
            raise DataError(f"{path}:{number} {line!r} is {place}: the tree is what is below {root!r}; expected labels "
                            "there: leave this one out, or take a higher --root")
        else:
            first[concept] = number
            concepts.append(concept)
            labels.append(line)
    if unknown:
        raise DataError(f"{path}:{', '.join(unknown[:8])}{', ...' if len(unknown) > 8 else ''}: WordNet has no such noun; "
                        "expected English nouns, such as `dining table`, or numbers such as n02084071")
    if not concepts:
        raise DataError(f"{path}: has no labels; expected one on each line")
    return concepts, labels


def build(wordnet, concepts, root=ROOT, chains=False):
    """The WordTree of some concepts and the more general ones above them, the paper's way.

    1. Concepts with a single path to the root: add it. 2. Of the others, again and again, those whose shortest way to
    the tree as it stands adds the fewest nodes: add that way.

    wordnet: WordNet. concepts: list, without repetition. root: label of what is above the tree; a concept that is not
    below it goes up as far as WordNet does. chains: whether a node stays that is not among the concepts and has one
    child: its softmax of one would be always 1, so that Darknet's trees do without. Names are the concepts'.
    """
    top = wordnet.find(root)
    below = _below(wordnet, top)
    parent = {}  # of the nodes so far; None for those right under the root

    def ways_up(concept):
        """The more general concepts through which paths to the root lead."""
        ups = [up for up in wordnet.above[concept] if up in wordnet.above]
        return [up for up in ups if up == top or up in below] if concept in below else ups

    def add(way):
        """Add the nodes of a way from a concept up to a node of the tree or, ending in None, to the root."""
        for node, up in zip(way, way[1:]):
            parent[node] = up

    left = []
    for concept in concepts:
        way = _only_way(concept, ways_up, top)
        add(way) if way else left.append(concept)
    while left:
        fewest, later = min(len(_shortest_way(concept, ways_up, top, parent)) for concept in left), []
        for concept in left:
            way = _shortest_way(concept, ways_up, top, parent)
            add(way) if len(way) <= fewest else later.append(concept)
        left = later
    return _as_tree(parent, set() if chains else set(parent) - set(concepts))


def _below(wordnet, top):
    """The set of all concepts below `top`."""
    children = {}
    for concept, ups in wordnet.above.items():
        for up in ups:
            children.setdefault(up, []).append(concept)
    return _reached(top, children)


def _reached(start, links):
    """The set of all that can be reached from `start`. links: dict node -> those next to it."""
    found, left = set(), [start]
    while left:
        new = [node for node in links.get(left.pop(), ()) if node not in found]
        found.update(new)
        left += new
    return found


def _only_way(concept, ways_up, top):
    """The way from a concept to the root, [concept, ..., None], where there is but one; else None."""
    way = [concept]
    while True:
        ups = ways_up(way[-1])
        if len(ups) > 1 or (ups and ups[0] in way):
            return None
        if not ups or ups[0] == top:
            return [*way, None]
        way.append(ups[0])


def _shortest_way(concept, ways_up, top, tree):
    """The way from a concept to a node of the tree, or to the root, with the fewest nodes that the tree does not have.

    Returns [concept, ..., that node or None], [concept] for one that the tree has.
    """
    came, level = {concept: None}, [concept]
    while level:
        joins = next((node for node in level if node in tree), None)  # first: it is not new, unlike one under the root
        if joins is not None:
            return _way_to(joins, came)
        ends = next((node for node in level if not ways_up(node) or top in ways_up(node)), None)
        if ends is not None:
            return [*_way_to(ends, came), None]
        above = []
        for node in level:
            for up in ways_up(node):
                if up not in came:
                    came[up] = node
                    above.append(up)
        level = above
    return [concept, None]  # WordNet goes in a circle


def _way_to(node, came):
    """[where the search began, ..., node]. came: node -> that before it, None for the first."""
    way = [node]
    while came[way[-1]] is not None:
        way.append(came[way[-1]])
    return way[::-1]


def _as_tree(parent, removable):
    """{node: parent or None} -> WordTree; a node of `removable` (set) with a single child is replaced by that child."""
    children = {}
    for node in sorted(parent):
        children.setdefault(parent[node], []).append(node)

    def inside(node):
        """What stands below a node, chains shortened: list of {name: ...}, for wordtree.grow."""
        nested = []
        for child in children.get(node, ()):
            while child in removable and len(children.get(child, ())) == 1:
                child = children[child][0]
            nested.append({child: inside(child)})
        return nested
    return grow(inside(None), "WordNet")
