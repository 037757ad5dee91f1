"""The rooms of the house: imports go downstairs only, files stay short, and nothing belongs to one machine."""
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minidarknet"
LONGEST = 320  # lines
WIDEST = 125    # characters

ROOMS = [
    # 0 ground
    {"kernels", "engine", "parser", "grammar", "options", "netoptions", "paths", "names", "files", "errors",
     "activations", "cores", "limits", "libdarknet", "rewrite", "textfiles", "wordtree", "wordtree_text", "wordnet",
     "__init__"},
    # 1 layers
    {"layers"},
    # 2 machine
    {"network", "ops", "fuse", "join", "fold", "weights", "weights_misfit", "weights_fit", "npz_weights", "onnx_export",
     "optimizer"},
    # 3 workshop
    {"data", "detections", "metrics", "coco_metrics", "accuracy", "tree_accuracy", "results", "viz", "figures",
     "viz_anchors", "viz_trace", "viz_wordtree", "viz_wordtree_html", "viz_ladder", "ladder", "clusters", "explain",
     "lessons", "oracles"},
    # 4 commands
    {"cli", "train", "trainer", "schedule", "runs", "evaluate", "detect", "info", "check", "show", "bench", "machine",
     "warmup", "weights_tool", "convert", "compiling", "parity", "crops", "tasks", "words", "anchors", "trace",
     "hierarchy", "enclose", "ablate", "jobs", "training_data", "numbering", "miniature", "__main__"},
]
EXCEPTION = ("network", {"data", "detections"})  # Network.detect, a convenience, imports upstairs inside the method


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def room_of(name):
    """The floor of a module or folder directly under minidarknet."""
    floors = [floor for floor, room in enumerate(ROOMS) if name in room]
    assert len(floors) == 1, f"{name} stands in {len(floors)} rooms: add it to ROOMS"
    return floors[0]


def first_part(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path):
    """(line, first name under minidarknet or None, full name) of every import, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield node.lineno, parts[1] if parts[0] == "minidarknet" and len(parts) > 1 else None, name


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downstairs(path):
    own = first_part(path)
    for line, target, name in imports(path):
        if target is None or target == "__version__":
            continue
        if own == EXCEPTION[0] and target in EXCEPTION[1]:
            continue
        known = {module for room in ROOMS for module in room}
        if target not in known:
            continue  # a name of minidarknet/__init__.py
        assert room_of(target) <= room_of(own), f"{path.name}:{line} imports {name}, which lives upstairs"
        assert (own, target) != ("kernels", "engine"), f"{path.name}:{line}: kernels know nothing of the engine"


@pytest.mark.parametrize("path", [p for p in modules() if first_part(p) in
                                  {"layers", "network", "weights", "parser", "cli", "info", "data"}],
                         ids=lambda p: str(p.relative_to(PACKAGE)))
def test_numba_stays_in_the_kernels(path):
    """Reading cfgs, pictures and help texts must not wait for Numba."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            for name in names:
                assert not re.match(r"(numba|matplotlib|minidarknet\.(kernels|engine))\b", name), f"{path}: {name}"


def test_help_and_info_load_no_numba():
    code = ("import sys; from minidarknet.cli import main; main(['info', 'cfg/yolov2-tiny.cfg', '--json']);"
            "assert 'numba' not in sys.modules and 'matplotlib' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_module_has_a_room():
    for path in modules():
        room_of(first_part(path))


@pytest.mark.parametrize("path", [*modules(), *sorted((ROOT / "tests").rglob("*.py")),
                                  *sorted((ROOT / "examples").glob("*.py")), *sorted((ROOT / "benchmarks").glob("*.py"))],
                         ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST, f"{path.name} has {len(lines)} lines: is it two rooms?"
    assert max(map(len, lines), default=0) <= WIDEST, f"{path.name}: a line is longer than {WIDEST} characters"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_are_very_short(path):
    assert len(path.read_text().splitlines()) <= 60


def test_nothing_belongs_to_one_machine():
    absolute = re.compile(r"""["'\s(](/(work|farm|root|home/[a-z]+|tmp)/\S*)""")
    files = [p for folder in ("minidarknet", "tests", "examples", "notebooks", "benchmarks", ".ci")
             for p in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    text = {".py", ".md", ".cfg", ".ipynb", ".names", ".data", ".txt", ""}
    files = [p for p in files if p.is_file() and p.suffix in text and "__pycache__" not in p.parts]
    for path in files:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if path.name != Path(__file__).name:
                assert not absolute.search(line), f"{path.name}:{number}: {line.strip()}"
