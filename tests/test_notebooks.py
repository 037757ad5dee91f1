"""The notebooks run from top to bottom, in a short form, and are stored as a reader should find them.

`python -m tests.test_notebooks [NAME ...]` runs them in full instead and stores what they print and draw.
"""
import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from PIL import Image

from minidarknet.data.crops import ensure_crops
from minidarknet.data.sample import ensure_sample

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 1_000_000   # bytes of a file
LONGEST = 25          # lines of a cell
MACHINE = re.compile(r"/(work|root|home|tmp|Users)\b|\b[A-Z]:\\")  # paths that only one machine has
PROGRESS = re.compile(r"\d+%\||it/s\]|\r")


def execute(path, folder, fast, seconds):
    """Run a notebook in `folder`, `seconds` at most for each cell; returns it with outputs, raises where one fails."""
    notebook = nbformat.read(path, as_version=4)
    # No folder of kernels at all: what is left is the kernel of this very Python, whatever else the user has installed.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    environment = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "FAST")}
    environment.update(PYTHONPATH=os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
                       IPYTHONDIR=str(Path(folder, "ipython")), **({"FAST": "1"} if fast else {}))
    client = NotebookClient(notebook, km=manager, timeout=seconds, record_timing=False)
    client.execute(cleanup_kc=True, cwd=str(folder), env=environment)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    """Everything in a notebook that a person reads, pictures apart: (cell number, text)."""
    for number, cell in enumerate(notebook.cells):
        yield number, cell.source
        for output in cell.get("outputs", []):
            yield number, output.get("text", "")
            yield from ((number, value) for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


def shown(notebook):
    """What the cells that do nothing but show the library's source have printed: {cell number: text}."""
    return {number: "".join(output.get("text", "") for output in cell.outputs)
            for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"
            and all(line.startswith("source(") for line in cell.source.splitlines())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all of them: a later notebook may use the weights that an earlier one has trained."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, folder):
    notebook = execute(path, folder, fast=True, seconds=300)
    for number, text in texts(notebook):
        assert "Warning" not in text, f"cell {number}: {text}"
    assert shown(notebook) == shown(nbformat.read(path, as_version=4)), "it shows a source that has changed: run it again"


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_runs_on_its_own(path, tmp_path):
    execute(path, tmp_path, fast=True, seconds=300)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_with_its_outputs(path):
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "not run from top to bottom"
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_fit_to_be_read(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= LONGEST, f"cell {number} is too long to be understood at once"
    for number, text in texts(notebook):
        assert not MACHINE.search(text), f"cell {number} names a path of one machine: {text}"
        assert not PROGRESS.search(text), f"cell {number} holds a progress bar"
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    assert first.startswith("# ") and "you will understand" in first
    assert "# try:" in last and "## What next" in last


def slim(notebook):
    """The notebook with pictures of 128 colours, a fifth of the bytes, and without what a run leaves behind."""
    for output in (output for cell in code_cells(notebook) for output in cell.outputs):
        data = output.get("data", {})
        if "image/png" in data:
            with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
                few, file = picture.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, kmeans=1), io.BytesIO()
                few.save(file, "PNG", optimize=True)
            data["image/png"] = base64.b64encode(file.getvalue()).decode()
        data.pop("image/jpeg", None)  # pillow pictures come as both
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}})
    return notebook


def main(names):
    """Run the notebooks (all, or those named) in full and store them."""
    ensure_sample()  # drawn, and cut out, before, lest the progress bars be stored
    ensure_crops()
    with tempfile.TemporaryDirectory() as folder:
        for path in NOTEBOOKS:
            if not names or path.stem in names:
                nbformat.write(slim(execute(path, folder, fast=False, seconds=1200)), path)
                print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
