"""WordTrees as text: written by people (indented lines, JSON), and drawn for them.

    animal                                {"animal": ["cat", "dog"],           animal  .90
        cat                                "vehicle": {"car": {}},             |-- cat  .72
        dog                                "person": null}                     `-- dog  .18
    vehicle
        car
    person
"""
import json
import re
from pathlib import Path

from minidarknet.errors import DataError
from minidarknet.wordtree import ROOT, grow, numbered_lines, read_tree

LIST_MARK = re.compile(r"^-( +|$)")  # before a name in an indented list; it does not count
TAB = 8  # columns


def read_any(path):
    """The WordTree in a file: .json, .tree, or, whatever else it is called, indented lines. Raises DataError."""
    kind = Path(path).suffix.lower()
    if kind == ".tree":
        return read_tree(path)
    return grow(read_json(path) if kind == ".json" else read_indented(path), path)


def read_json(path):
    """The nested dicts and lists in the JSON file `path`. Raises DataError, which names the line."""
    text = "\n".join(line for _, line in _all_lines(path))
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: [dict([pair]) for pair in pairs])  # keeps names given twice
    except json.JSONDecodeError as problem:
        raise DataError(f"{path}:{problem.lineno} is no JSON: {problem.msg}; expected such as "
                        '{"animal": ["cat", "dog"]}') from None
    except RecursionError:
        raise DataError(f"{path}: is nested too deeply for a tree of labels") from None


def read_indented(path):
    """Indented lines, a name on each, as nested lists of dicts; "- " before a name and ":" behind it do not count.

    A line belongs under the nearest line above it that is indented less. # begins a comment line.
    Raises DataError, which names the line.
    """
    top = []
    open_levels = [(ROOT, top)]  # (indent, list of what stands there)
    for number, line in _all_lines(path):
        name = LIST_MARK.sub("", line.strip()).removesuffix(":").strip()
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not name:
            raise DataError(f"{path}:{number} has no name; expected one label on a line")
        wide = line.expandtabs(TAB)
        indent = len(wide) - len(wide.lstrip())
        while open_levels[-1][0] >= indent:
            left = open_levels.pop()
        beside = open_levels[-1][1]
        if beside and not open_levels[-1][0] < indent == left[0]:
            raise DataError(f"{path}:{number} {name!r} is indented by {indent}, its siblings by {left[0]}; expected the "
                            "same for all children of a node")
        below = []
        beside.append({name: below})
        open_levels += [(indent, below)]
    return top


def _all_lines(path):
    """[(number, line)] of the text file `path`, empty lines and indents kept."""
    numbered_lines(path, "text")  # the errors of a file that is not there, or not text
    text = Path(path).read_bytes().decode("utf-8-sig", errors="replace").replace("\r", "")
    return list(enumerate(text.split("\n"), 1))


def draw(tree, probability=None, names=None, depth=None, width=None, marked=()):
    """A WordTree as lines of text (list of str), a node on each, children under their parents.

    probability: (n,) absolute, shown behind the names, the most probable of siblings first; or None. names: to be
    shown instead of the tree's. depth: so many levels only, width: so many children of a node only; what is left out
    is counted. marked: numbers of nodes to point at.
    """
    lines, names = [], names or tree.names
    open_nodes = [("", "", ROOT, 0)]
    while open_nodes:
        lead, follow, node, level = open_nodes.pop()
        if isinstance(node, str):
            lines.append(lead + node)
            continue
        if node != ROOT:
            value = "" if probability is None else f"  {probability[node]:.3f}"
            lines.append(f"{lead}{names[node]}{value}{'  <--' if node in marked else ''}")
        first, last = (0, int(tree.borders[1])) if node == ROOT else map(int, tree.children[node])
        inside = list(range(first, last))
        if probability is not None:
            inside.sort(key=lambda child: -probability[child])
        if depth is not None and level >= depth:
            if inside:
                lines[-1] += f"  (+ {_under(tree, inside)} below)"
            continue
        rest = [] if width is None else inside[width:]
        shown = [*inside[:len(inside) - len(rest)], *([f"(+ {len(rest)} more)"] if rest else [])]
        for i, child in reversed(list(enumerate(shown))):
            final = i == len(shown) - 1
            branch, pass_by = ("", "") if node == ROOT else ("`-- ", "    ") if final else ("|-- ", "|   ")
            open_nodes.append((follow + branch, follow + pass_by, child, level + 1))
    return lines


def _under(tree, nodes):
    """How many nodes there are: these and all below them."""
    count, left = 0, list(nodes)
    while left:
        count += len(left)
        left = [child for node in left for child in range(*tree.children[node])]
    return count


def figures(tree):
    """What a tree is like, as a dict: nodes, groups, roots, leaves, depth (levels), largest group."""
    sizes = tree.borders[1:] - tree.borders[:-1]
    return {"nodes": len(tree), "groups": tree.groups, "roots": int(sizes[0]), "leaves": int(tree.is_leaf.sum()),
            "depth": int(tree.depth.max()), "largest_group": int(sizes.max())}
