"""The run folder: everything one training leaves behind, and how a later command finds it.

    model.cfg model.names args.json metrics.csv chart.png checkpoint.npz images/
    weights/last.weights weights/best.weights
"""
import csv
import json
import os
import platform
import re
import sys
import weakref
import zipfile
import zlib
from pathlib import Path

import numpy as np

from minidarknet import __version__
from minidarknet.errors import UsageError, WeightsError
from minidarknet.files import replacing

COMMON = ("step", "images", "loss", "darknet_cost", "learning_rate", "images_per_s")  # columns of every metrics.csv


class RunFolder:
    """A folder on disk and the names of what is in it. Every file is replaced as a whole, metrics.csv grows by rows.

    columns: of metrics.csv, tuple of str. copy: another file for the last weights, or None.
    """

    columns, copy = COMMON, None

    def __init__(self, path):
        self.path = Path(path)
        self.cfg, self.names, self.args = (self.path / name for name in ("model.cfg", "model.names", "args.json"))
        self.metrics, self.chart = self.path / "metrics.csv", self.path / "chart.png"
        self.checkpoint, self.images = self.path / "checkpoint.npz", self.path / "images"
        self.last, self.best = (self.path / "weights" / f"{name}.weights" for name in ("last", "best"))

    def claim(self):
        """Make the folder, keep others out while this object lives, and remove what a crash left half written.

        Returns the RunFolder. Raises UsageError where another training is at work in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = _lock(self.path)
        if handle is not None:
            weakref.finalize(self, os.close, handle)
        for file in self.path.rglob(".*.part"):
            file.unlink(missing_ok=True)
        return self

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
        """Add a dict of `columns` (missing ones stay empty) to metrics.csv."""
        new = not self.metrics.exists()
        with open(self.metrics, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            if new:
                writer.writeheader()
            writer.writerow({key: _short(value) for key, value in row.items()})

    def take_row(self, step):
        """Remove the last row of metrics.csv and return it, to be completed: {} where it is not that of `step`."""
        rows = self.rows()
        if not rows or int(rows[-1]["step"]) != step:
            return {}
        self._write_rows(rows[:-1])
        return rows[-1]

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
        self._write_rows([row for row in self.rows() if int(row["step"]) <= step])

    def _write_rows(self, rows):
        with replacing(self.metrics, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def save_checkpoint(self, arrays):
        """Write checkpoint.npz from a dict of arrays, numbers and strings."""
        with replacing(self.checkpoint) as file:
            np.savez(file, **arrays)

    def load_checkpoint(self):
        """The dict that `save_checkpoint` wrote, nothing being unpickled; None where none was written yet.

        Raises WeightsError for a file that is no checkpoint, and where updates were made but the file is gone.
        """
        again = "start a new run, with --weights weights/last.weights if that file is whole"
        if not self.checkpoint.exists():
            if self.rows():
                raise WeightsError(f"{self.checkpoint} is missing, without it the run cannot go on: {again}")
            return None
        try:
            with np.load(self.checkpoint, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (ValueError, OSError, KeyError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error):
            raise WeightsError(f"{self.checkpoint} is not a checkpoint of minidarknet, or it is damaged: "
                               f"{again}") from None


def claim_new(out, stem, parent="runs/train"):
    """The folder of a new run as `new_folder` chooses it, claimed: of two processes each gets its own.

    Raises UsageError where `out` holds a run, or where another process is at work in it.
    """
    while True:
        folder = new_folder(out, stem, parent)
        try:
            folder.claim()
        except UsageError:
            if out is not None:
                raise
            continue  # somebody else was faster: the next number is free
        if not folder.holds_run():
            return folder


def new_folder(out, stem, parent="runs/train"):
    """The folder of a new run: `out` where given, else PARENT/STEM, STEM-2, ...

    Raises UsageError where `out` holds a run already.
    """
    if out is not None:
        folder = RunFolder(out)
        blocked = next((part for part in (folder.path, *folder.path.parents) if part.exists()), None)
        if blocked and not blocked.is_dir():
            raise UsageError(f"--out {out}: {blocked} is a file, not a folder")
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
    """How the run that `files` (weights or cfg, or None) belong to fitted its pictures; None where not recorded."""
    from minidarknet.data.pictures import FITS
    for file in files:
        if file is None:
            continue
        for folder in list(Path(file).resolve().parents)[:2]:
            mode = _read_json(folder / "args.json").get("resize")
            if mode in FITS:
                return mode
    return None


def machine():
    """What the run ran on: processor, cores, system and versions of what computed it (dict of str and int)."""
    import numba
    import PIL

    from minidarknet.cores import cores
    return {"minidarknet": __version__, "python": platform.python_version(), "numpy": np.__version__,
            "numba": numba.__version__, "pillow": PIL.__version__, "system": platform.platform(),
            "processor": _processor(), "cores": cores(), "argv": sys.argv[1:]}


def write_text(path, text):
    """Replace the file `path` by `text` (str, written as UTF-8)."""
    with replacing(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _lock(path):
    """Lock the folder `path`: handle to be closed, or None where there are no such locks. Raises UsageError if locked.

    The system ends the lock with the process, however that ends: no file is left behind.
    """
    try:
        import fcntl
    except ImportError:
        return None  # Windows
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except OSError as refused:
        os.close(handle)
        if isinstance(refused, BlockingIOError):
            raise UsageError(f"{path}: another training is at work there: wait for it, or stop it first") from None
        return None  # a file system without locks


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
