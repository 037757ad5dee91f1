"""The built-in data set `sample`: drawn pictures in VOC form, written once into the user's cache folder.

800 pictures for training and 200 for validation, 12 classes that form a two-level tree (drawing.TREE). Nothing is
downloaded; the same version of the code writes the same annotations everywhere.
"""
import os
import shutil
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from minidarknet.data.drawing import draw_picture
from minidarknet.errors import DataError
from minidarknet.paths import cache_folder

VERSION = "sample-v1"
TRAIN, VAL = 800, 200
_JPEG_QUALITY = 90
_STALE = 3600  # seconds after which an unfinished folder is taken for the remains of a killed process

_XML = """<annotation>
\t<folder>{folder}</folder>
\t<filename>{name}.jpg</filename>
\t<source>
\t\t<database>minidarknet {folder}</database>
\t\t<annotation>drawn</annotation>
\t\t<image>drawn</image>
\t</source>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
{objects}</annotation>
"""
_OBJECT = """\t<object>
\t\t<name>{name}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>{truncated}</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>{0}</xmin>
\t\t\t<ymin>{1}</ymin>
\t\t\t<xmax>{2}</xmax>
\t\t\t<ymax>{3}</ymax>
\t\t</bndbox>
\t</object>
"""


def annotation(name, size, items):
    """The VOC annotation of a picture, as text.

    name: the picture's id. size: (w, h) in pixels. items: list of drawing.Placed.
    """
    objects = "".join(_OBJECT.format(*item.box_px, name=item.name, truncated=int(item.truncated)) for item in items)
    return _XML.format(folder=VERSION, name=name, width=size[0], height=size[1], objects=objects)


def write_sample(folder, train=TRAIN, val=VAL, seed=0):
    """Draw the set into `folder`, which must be new or empty: the first `train` pictures, then `val` more.

    folder: path; receives Annotations/, JPEGImages/ and ImageSets/Main/{train,val,trainval}.txt. train, val: how many
    pictures; they are numbered through, the ids being their numbers in the set `seed`. Returns the folder's Path.
    Raises OSError when it cannot be written.
    """
    folder = Path(folder)
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    names = [f"{number:06d}" for number in range(1, train + val + 1)]
    for name in tqdm(names, desc="drawing the sample set (once)", unit="picture", leave=False, mininterval=0.5):
        picture, items = draw_picture(int(name), seed)
        picture.save(folder / "JPEGImages" / f"{name}.jpg", quality=_JPEG_QUALITY)
        (folder / "Annotations" / f"{name}.xml").write_text(annotation(name, picture.size, items))
    for split, part in (("train", names[:train]), ("val", names[train:]), ("trainval", names)):
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(name + "\n" for name in part))
    return folder


def ensure_sample():
    """The folder of the sample set, drawn now if this user's cache does not hold it yet: Path.

    It is drawn into a folder of its own beside the final one and renamed when complete: the final name never holds
    half a set, whoever is interrupted and however many processes begin at once.

    Raises DataError when the cache cannot be written or holds something else under that name.
    """
    cache = cache_folder()
    final = cache / VERSION
    if final.exists():
        return _checked(final)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        building = Path(tempfile.mkdtemp(prefix=f"{VERSION}.building-", dir=cache))
    except OSError as error:
        raise DataError(f"{cache}: the sample set cannot be kept here ({error}): make the folder writable or set "
                        "MINIDARKNET_CACHE to one that is") from error
    try:
        write_sample(building)
        building.chmod(0o755)  # mkdtemp makes it private; a shared cache is to be read by others
        building.rename(final)
    except OSError as error:
        if not final.exists():  # else another process was faster, and its set is the same
            raise DataError(f"{cache}: the sample set could not be written ({error}): is the disk full?") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return _checked(final)


def _checked(folder):
    """The folder itself if it holds as many lists, pictures and annotations as it should, else DataError."""
    for part, count in (("ImageSets/Main", 3), ("Annotations", TRAIN + VAL), ("JPEGImages", TRAIN + VAL)):
        found = len(os.listdir(folder / part)) if (folder / part).is_dir() else 0
        if found < count:
            raise DataError(f"{folder / part}: expected {count} files of the sample set, found {found}: delete the "
                            f"folder {folder}, and it will be drawn again")
    return folder


def _sweep(cache):
    """Remove what killed processes left in the cache."""
    for old in cache.glob(f"{VERSION}.building-*"):
        try:
            abandoned = time.time() - old.stat().st_mtime > _STALE
        except FileNotFoundError:  # its process has just renamed it
            continue
        if abandoned:
            shutil.rmtree(old, ignore_errors=True)
