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
from minidarknet.textfiles import read_text
from minidarknet.wordtree import ROOT, check_names, grow, read_tree

TAB = 8  # columns
ESCAPE = r"""\\(?:["\\/ ]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"""
LEAD = re.compile(r" *(?:-(?: +|$))*")  # of a line: the indent, and the marks of a list
LINE = re.compile(rf"""
    (?P<name> "(?:[^"\\]|{ESCAPE})*" | '(?:[^']|'')*'  # quoted, or without what YAML reads as something else than a name
            | (?!---$ | \.\.\.$ | ["'&*!|>%@`] | [?:]\ ) (?:[^\[\]{{}}:]|:(?!\ |$))+?)
    (?:\ *(?P<colon>:)(?P<nothing>\ +(?:~|null|\{{\}}|\[\]))?)?
    (?:\ +\#.*)?""", re.VERBOSE)
PASSED_OVER = re.compile(r"\s*(#.*)?")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # in JSON


def read_any(path):
    """The WordTree in a file: .json, .tree, or, whatever else it is called, indented lines. Raises DataError."""
    kind = Path(path).suffix.lower()
    if kind == ".tree":
        return read_tree(path)
    nested, places = read_json(path) if kind == ".json" else read_indented(path)
    if not places:
        raise DataError(f"{path}: has no nodes; expected " + ('such as {"animal": ["cat", "dog"]}' if kind == ".json" else
                                                              "a name on each line, indented below its parent's"))
    names, lines = zip(*places)
    check_names(names, path, lines)
    return grow(nested, path)


def read_json(path):
    """What is in the JSON file `path`: nested dicts and lists, and [(name, number of its line)] in the file's order.

    Raises DataError, which names the line.
    """
    text = read_text(path, "JSON")
    try:
        nested = json.loads(text, object_pairs_hook=lambda pairs: [dict([pair]) for pair in pairs])  # keeps names used twice
    except json.JSONDecodeError as problem:
        raise DataError(f"{path}:{problem.lineno} is no JSON: {problem.msg}; expected such as "
                        '{"animal": ["cat", "dog"]}') from None
    except RecursionError:
        raise DataError(f"{path}: is nested too deeply for a tree of labels") from None
    return nested, [(json.loads(match[0]), number) for number, line in enumerate(text.split("\n"), 1)
                    for match in STRING.finditer(line)]  # all its strings are names, and none goes over a line's end


def read_indented(path):
    """Indented lines, a name on each: nested lists of dicts, and [(name, number of its line)].

    A line belongs under the nearest line above it that begins further left; in one column "animal:" counts as further left
    than "- cat", as in YAML. Of YAML, which .yaml and .yml have to be, there are these marks, quotes around names, the
    colon behind one with something below, also `: null`, `: {}`, and `# comment`. Raises DataError, which names the line.
    """
    yaml = Path(path).suffix.lower() in (".yaml", ".yml")
    top, named = [], []
    open_levels = [(ROOT, top, None)]  # (place: twice the column, and 1 for a mark; list of what is below; the line's match)
    for number, line in enumerate(read_text(path, "a name on each line").split("\n"), 1):
        line = line.expandtabs(TAB).rstrip()
        if PASSED_OVER.fullmatch(line) or line == "---" and not named:
            continue
        column = LEAD.match(line).end()
        where = f"{path}:{number}"
        match = _parsed(" ".join(line[column:].split()), where)
        name = _unquoted(match["name"])
        marks = [at for at, letter in enumerate(line[:column]) if letter == "-"]
        for place in (*(2 * at + 1 for at in marks), 2 * column):
            left = place
            while open_levels[-1][0] >= place:
                left = open_levels.pop()[0]
            if left != place:
                raise DataError(f"{where} {name!r} is indented by {_columns(place)}, its siblings by {_columns(left)}; "
                                "expected the same for all children of a node")
            open_levels.append((place, *open_levels[-1][1:]))
        _, beside, parent = open_levels.pop()
        if yaml:
            _check_yaml(match["colon"] or marks, name, parent, where)
        below = []
        beside.append({name: below})
        named.append((name, number))
        open_levels.append((2 * column, below, match))
    return top, named


def _check_yaml(is_marked, name, parent, where):
    """Raise DataError, which begins with `where`, for a name that YAML would not take for one below `parent`, a match."""
    if not is_marked:
        raise DataError(f"{where} {name!r} has neither - before nor : behind it, so that YAML takes it for more of the name "
                        "above; expected one of them, or each name on a single line")
    if parent and (not parent["colon"] or parent["nothing"]):
        raise DataError(f"{where} {name!r} stands under {parent['name']!r}; expected {parent['name']}: there, with nothing "
                        "behind the colon")


def _columns(place):
    """A place in `read_indented` as text: the number of columns before it."""
    return f"{place // 2}{' and a -' * (place % 2)}"


def _parsed(text, where):
    """The match of LINE for what stands behind the lead of a line. Raises DataError, which begins with `where`."""
    match = LINE.fullmatch(text)
    if match:
        return match
    if text in ("", ":"):
        raise DataError(f"{where} has no name; expected one label on a line")
    raise DataError(f"{where} {text[:60]!r}: expected one name on a line, what is below it on lines of their own; a name "
                    "with brackets, a colon before a space or, in front, one of YAML's marks has to stand in quotes")


def _unquoted(name):
    """A name without quotes around it, and what they escape in it."""
    if name[0] == "'":
        return name[1:-1].replace("''", "'")
    if name[0] == '"':
        return re.sub(ESCAPE, lambda escape: chr(int(escape[0][2:], 16)) if escape[0][2:] else escape[0][1], name[1:-1])
    return name


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
