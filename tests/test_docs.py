"""Docstrings: everything public has one, and it speaks of every argument."""
import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "minidarknet"
UNNAMED = {"self", "cls", "argv", "args", "run", "shapes", "kwargs", "typing_context"}


def public(body, owner=""):
    """(qualified name, node, inside a class) of public functions and classes."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield owner + node.name, node, bool(owner)
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


def cases():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        yield pytest.param(path, None, tree, False, id=f"{path.relative_to(PACKAGE)}")
        for name, node, inside in public(tree.body):
            yield pytest.param(path, name, node, inside, id=f"{path.relative_to(PACKAGE)}:{name}")


def inherited(name, path):
    """Methods of the layer protocol are documented once, in layers/base.py."""
    return path.parent.name == "layers" and name.split(".")[-1] in {
        "forward", "backward", "out_shape", "allocate", "params", "stored", "operations", "window", "build",
        "open_files", "initialise", "source_indices", "margin", "grad_margin"}


@pytest.mark.parametrize("path, name, node, inside", list(cases()))
def test_docstring(path, name, node, inside):
    doc = ast.get_docstring(node)
    if name and inherited(name, path):
        return
    assert doc, f"{path.name}: {name or 'the module'} has no docstring"
    assert doc.split("\n\n")[0].rstrip().endswith((".", ":", "?", ")", '"', "!")), \
        f"{path.name}: the first paragraph of {name or 'the module'} is not a sentence: {doc.splitlines()[0]!r}"
    if not name or inside or isinstance(node, ast.ClassDef):
        return
    room = path.relative_to(PACKAGE).parts[0]
    if room in {"kernels", "engine", "data"} or path.stem in {"detections", "metrics", "viz", "viz_wordtree", "optimizer"}:
        missing = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                   if a.arg not in UNNAMED and not re.search(rf"\b{re.escape(a.arg)}\b", doc)]
        assert not missing, f"{path.name}: {name} does not say what {', '.join(missing)} is"
