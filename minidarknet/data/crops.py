"""A classifier's data set made from a detector's: every object cut out, a picture of its own.

    FOLDER/train/CLASS/ID-N.jpg FOLDER/val/CLASS/ID-N.jpg     a folder of classes, and the same for Darknet:
    FOLDER/crops.data, names.txt, labels.txt, train.txt, val.txt

A label is "/CLASS/": Darknet looks for it anywhere in a picture's path, and "angle" would also be found in "triangle".
"""
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from minidarknet.data import pictures
from minidarknet.data.example import Problem
from minidarknet.errors import DataError
from minidarknet.files import replacing
from minidarknet.paths import cache_folder

MARGIN = 0.1    # of the object's sides, added on each side of it
LEAST = 8       # pixels: smaller objects show nothing
QUALITY = 95    # of the JPEGs, whose colours are not thinned out
SAMPLE = "sample-crops-v1"


def folder_name(name):
    """What the folder of the class `name` is called: str without separators, and not hidden."""
    plain = "".join("_" if letter in '/\\:*?"<>|\0' else letter for letter in name).strip()
    return "_" + plain[1:] if plain.startswith(".") else plain or "_"


def rectangle(box_px, size, margin):
    """The pixels to cut out for an object: (left, top, right, bottom), 0-based, right and bottom excluded.

    box_px: (4,) as Example. size: (w, h) of the picture. margin: fraction of the box's sides added on every side.
    """
    left, top, right, bottom = box_px[0] - 1, box_px[1] - 1, box_px[2], box_px[3]
    across, along = margin * (right - left), margin * (bottom - top)
    return (max(int(left - across), 0), max(int(top - along), 0),
            min(int(right + across + .999), size[0]), min(int(bottom + along + .999), size[1]))


def alone(box_px, others, size, margin):
    """The pixels to cut out for an object, as `rectangle`, but so that other objects stay outside where that is possible.

    box_px, size, margin: as there. others: (n, 4) boxes as box_px. One that reaches into the rectangle is kept out by the
    cut that leaves most of it; one that lies in front of the object or behind it, so that no cut spares the object, stays.
    """
    inner, outer = (np.array(rectangle(box_px, size, m)) for m in (0, margin))
    for other in others:
        left, top, right, bottom = rectangle(other, size, 0)
        if left >= outer[2] or right <= outer[0] or top >= outer[3] or bottom <= outer[1]:
            continue
        cuts = [(0, right, right <= inner[0]), (1, bottom, bottom <= inner[1]), (2, left, left >= inner[2]),
                (3, top, top >= inner[3])]
        possible = [np.where(np.arange(4) == side, edge, outer) for side, edge, spared in cuts if spared]
        outer = max(possible, key=lambda cut: np.prod(cut[2:] - cut[:2]), default=outer)
    return tuple(outer.tolist())


def write_split(dataset, folder, split, margin=MARGIN, problems=None, single=False):
    """Cut the objects of a Dataset out into FOLDER/SPLIT/CLASS/ID-N.jpg, and list them in FOLDER/SPLIT.txt: int, how many.

    dataset: with boxes. folder: Path. split: str. margin: as `rectangle`. Difficult objects and those smaller than LEAST
    pixels are left out. problems: list that gets a Problem for every broken picture. single: whether other objects are kept
    out, as `alone` does.
    """
    folders = [folder_name(name) for name in dataset.names]
    for name in folders:
        (folder / split / name).mkdir(parents=True, exist_ok=True)
    written = []
    for example in tqdm(dataset.examples, f"cropping {split}", unit="picture", leave=False):
        try:
            picture = pictures.read(example.path)
        except pictures.BrokenPicture as broken:
            if problems is not None:
                problems.append(Problem(broken.path, 0, f"{broken.reason}; left out"))
            continue
        for number, (box, class_id) in enumerate(zip(example.box_px, example.classes)):
            sides = box[2:] - box[:2] + 1
            if example.difficult[number] or min(sides) < LEAST:
                continue
            others = np.delete(example.box_px, number, axis=0) if single else ()
            left, top, right, bottom = alone(box, others, example.size, margin)
            file = f"{split}/{folders[class_id]}/{example.id.replace('/', '_')}-{number}.jpg"
            Image.fromarray(picture[top:bottom, left:right]).save(folder / file, quality=QUALITY, subsampling=0)
            written.append(file)
    _write(folder / f"{split}.txt", written)
    return len(written)


def write_data_file(folder, names):
    """Write crops.data, names.txt and labels.txt into `folder` (Path) for what write_split left there; names: classes."""
    _write(folder / "names.txt", names)
    _write(folder / "labels.txt", [f"/{folder_name(name)}/" for name in names])
    lists = [f"{key}={split}.txt" for key, split in (("train", "train"), ("valid", "val")) if
             (folder / f"{split}.txt").exists()]
    _write(folder / "crops.data", [f"classes={len(names)}", *lists, "labels=labels.txt", "names=names.txt",
                                   "backup=backup", f"top={min(len(names), 5)}"])


def _write(path, rows):
    with replacing(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(row + "\n" for row in rows)


def check_names(names):
    """Raise DataError where two of the class names would share a folder. names: list of str."""
    folders = {}
    for name in names:
        other = folders.setdefault(folder_name(name).lower(), name)
        if other != name:
            raise DataError(f"classes {other!r} and {name!r} would share the folder {folder_name(name)!r}: rename one")


def ensure_crops():
    """The folder of the objects of the sample set, cut out now if this user's cache does not hold them yet: Path.

    Made beside the final folder and renamed when complete, as the sample set itself. Raises DataError.
    """
    from minidarknet.data import voc
    from minidarknet.data.sample import ensure_sample

    final = cache_folder() / SAMPLE
    if final.exists():
        return final
    sample = Path(ensure_sample())
    building = Path(tempfile.mkdtemp(prefix=f"{SAMPLE}.building-", dir=final.parent))
    try:
        for split in ("train", "val"):
            data = voc.load([sample], split)
            write_split(data, building, split)
        write_data_file(building, data.names)
        building.chmod(0o755)  # mkdtemp makes it private; a shared cache is to be read by others
        os.rename(building, final)
    except OSError as error:
        if not final.exists():  # else another process was faster, and its set is the same
            raise DataError(f"{final}: the crops of the sample set could not be written ({error}): is the disk "
                            "full?") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return final
