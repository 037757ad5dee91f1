"""The run folder: everything one training leaves behind, and how a later command finds it.

    model.cfg model.names args.json metrics.csv chart.png checkpoint.npz images/ weights/last.weights weights/best.weights
"""
import csv
import json
import platform
import re
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from minidarknet import __version__
from minidarknet.errors import UsageError, WeightsError
from minidarknet.files import replacing

COLUMNS = ("step", "images", "loss", "darknet_cost", "learning_rate", "images_per_s", "map_voc07",
           "avg_iou", "class", "obj", "no_obj", "recall", "objects")


class RunFolder:
    """A folder on disk and the names of what is in it. Every file is replaced as a whole, metrics.csv grows by rows."""

    def __init__(self, path):
        self.path = Path(path)
        self.cfg, self.names, self.args = (self.path / name for name in ("model.cfg", "model.names", "args.json"))
        self.metrics, self.chart = self.path / "metrics.csv", self.path / "chart.png"
        self.checkpoint, self.images = self.path / "checkpoint.npz", self.path / "images"
        self.last, self.best = (self.path / "weights" / f"{name}.weights" for name in ("last", "best"))

    def holds_run(self):
        """Whether a training has begun here."""
        return any(file.exists() for file in (self.cfg, self.args, self.checkpoint, self.metrics))

    def begin(self, cfg_text, names, args):
        """Write model.cfg, model.names and args.json. cfg_text: str; names: tuple of str; args: a dict for JSON."""
        write_text(self.cfg, cfg_text)
        write_text(self.names, "".join(f"{name}\n" for name in names))
        write_text(self.args, json.dumps({**args, "machine": machine()}, indent=2) + "\n")

    def read_args(self):
        """What `begin` wrote in args.json, {} where there is nothing readable."""
        return _read_json(self.args)

    def append_row(self, row):
        """Add a dict of COLUMNS (missing ones stay empty) to metrics.csv."""
        new = not self.metrics.exists()
        with open(self.metrics, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            if new:
                writer.writeheader()
            writer.writerow({key: _short(value) for key, value in row.items()})

    def rows(self):
        """The whole rows of metrics.csv as dicts of str; a row cut off by a crash is left out."""
        if not self.metrics.exists():
            return []
        with open(self.metrics, newline="", encoding="utf-8", errors="replace") as file:
            text = file.read()
        reader = csv.DictReader(text[:text.rfind("\n") + 1].splitlines(), restval=None)
        return [row for row in reader if None not in row.values() and row["step"].isdigit()]

    def cut_rows(self, step):
        """Forget the rows after `step`: they will be computed again."""
        rows = [row for row in self.rows() if int(row["step"]) <= step]
        with replacing(self.metrics, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def save_checkpoint(self, arrays):
        """Write checkpoint.npz from a dict of arrays, numbers and strings."""
        with replacing(self.checkpoint) as file:
            np.savez(file, **arrays)

    def load_checkpoint(self):
        """The dict that `save_checkpoint` wrote, nothing being unpickled; None where none was written yet.

        Raises WeightsError for a file that is no checkpoint.
        """
        if not self.checkpoint.exists():
            return None
        try:
            with np.load(self.checkpoint, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (ValueError, OSError, KeyError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
            raise WeightsError(f"{self.checkpoint} is not a checkpoint of minidarknet ({error}): "
                               "start a new run, with --weights weights/last.weights if that file is whole") from None


def new_folder(out, stem, parent="runs/train"):
    """The folder of a new run: `out` where given, else PARENT/STEM, STEM-2, ...

    Raises UsageError where `out` holds a run already.
    """
    if out is not None:
        folder = RunFolder(out)
        if folder.path.exists() and not folder.path.is_dir():
            raise UsageError(f"--out {out} is a file, not a folder")
        if folder.holds_run():
            raise UsageError(f"{out} already holds a run: add --resume to continue it, or choose another --out")
        return folder
    numbers = [0, *_numbers(stem, parent)]
    return RunFolder(_numbered(stem, parent, max(numbers) + 1))


def find_folder(out, stem, parent="runs/train"):
    """The folder of the run to resume: `out` where given, else the newest PARENT/STEM-N. Raises UsageError if none."""
    if out is None:
        numbers = _numbers(stem, parent)
        if not numbers:
            raise UsageError(f"--resume: there is no run in {Path(parent) / stem}: leave --resume out to start one")
        return RunFolder(_numbered(stem, parent, max(numbers)))
    folder = RunFolder(out)
    if not folder.holds_run():
        raise UsageError(f"--resume: {out} holds no run: leave --resume out to start one there")
    return folder


def recorded_resize(*files):
    """How the run that `files` (weights or cfg, or None) belong to fitted its pictures; None where it is not recorded."""
    for file in files:
        if file is None:
            continue
        for folder in list(Path(file).resolve().parents)[:2]:
            mode = _read_json(folder / "args.json").get("resize")
            if mode in ("letterbox", "stretch"):
                return mode
    return None


def machine():
    """What the run ran on: processor, cores, system and versions of what computed it (dict of str and int)."""
    import numba
    import PIL

    from minidarknet.cli import cores
    return {"minidarknet": __version__, "python": platform.python_version(), "numpy": np.__version__,
            "numba": numba.__version__, "pillow": PIL.__version__, "system": platform.platform(),
            "processor": _processor(), "cores": cores(), "argv": sys.argv[1:]}


def write_text(path, text):
    """Replace the file `path` by `text` (str, written as UTF-8)."""
    with replacing(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _numbers(stem, parent):
    """The N of all runs PARENT/STEM (1), PARENT/STEM-2 (2), ..."""
    pattern = re.compile(re.escape(stem) + r"(?:-([1-9]\d*))?")
    names = [path.name for path in Path(parent).glob("*") if path.is_dir()]
    return [int(match[1] or 1) for name in names if (match := pattern.fullmatch(name))]


def _numbered(stem, parent, number):
    return Path(parent) / (stem if number == 1 else f"{stem}-{number}")


def _read_json(path):
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(value):
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
