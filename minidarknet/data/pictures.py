"""Pictures: reading files of every kind, fitting them to the network, and the way back for boxes.

A picture is (h, w, 3) uint8, RGB, as a person sees it: the rotation that cameras note in EXIF is carried out.
`shape` is (h, w) as for arrays.
"""
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from minidarknet.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
FILL = 0.5  # the grey around a letterboxed picture, as in Darknet
_ORIENTATION = 0x0112  # the EXIF tag


class BrokenPicture(DataError):
    """A file that cannot be read as a picture. path: str; reason: str, without the path."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = str(path), reason


class Geometry(NamedTuple):
    """Where a picture lies in the network's input; all whole pixels, all (w, h) or (left, top)."""

    picture: tuple  # size of the original picture
    canvas: tuple   # size of the network's input
    placed: tuple   # size of the picture on the canvas
    offset: tuple   # its left top corner there

    def apply(self, boxes):
        """Boxes of the picture as boxes of the network's input: (x placed + offset) / canvas.

        boxes: (n, 4), centre form, fractions of the picture. Returns (n, 4) float64, fractions of the network's input.
        """
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        placed, canvas = np.array(self.placed, np.float64), np.array(self.canvas, np.float64)
        return np.concatenate([(boxes[:, :2] * placed + self.offset) / canvas, boxes[:, 2:] * placed / canvas], axis=1)

    def undo(self, boxes):
        """Boxes of the network's input as pixels of the original picture: (x canvas - offset) picture / placed.

        boxes: (n, 4), centre form, fractions of the network's input. Returns (n, 4) float64: xmin ymin xmax ymax,
        0-based and continuous (the whole picture is 0 0 w h), not clipped.

        Darknet: src/region_layer.c, correct_region_boxes; it takes half pixels for odd margins where its letterbox
        has whole ones.
        """
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
        scale = np.tile(np.array(self.picture, np.float64) / self.placed, 2)
        return (corners * np.tile(self.canvas, 2) - np.tile(self.offset, 2)) * scale


def _why_not(path):
    """What a file that pillow does not know seems to be: str."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        return error.strerror or str(error)
    if not start:
        return "the file is empty"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "this is a web page or XML, not a picture: download it again"
    if start.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the picture: fetch the files with 'git lfs pull'"
    return "not a picture that pillow can read (is the file complete?)"


def _reason(path, error):
    """The reason why `error` came up when `path` was read: str."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, (Image.UnidentifiedImageError, IsADirectoryError, PermissionError)):
        return _why_not(path)
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"refused, too many pixels ({error})"
    return f"damaged or cut off ({error or type(error).__name__})"


def _open(path):
    """Open without decoding; refuses what claims to have more pixels than pillow thinks sane."""
    picture = Image.open(path)
    limit, pixels = Image.MAX_IMAGE_PIXELS, picture.width * picture.height
    if limit is not None and pixels > limit:
        picture.close()
        raise BrokenPicture(path, f"refused: {picture.width} x {picture.height} pixels are more than {limit}, as a "
                                  "damaged or hostile file may claim; shrink the picture first")
    return picture


def _orientation(picture):
    """EXIF orientation of an opened picture: 1 (upright) to 8."""
    if picture.format == "TIFF" or picture.format == "PNG" and "exif" not in picture.info:
        return 1  # pillow turns TIFFs itself; asking a PNG without EXIF would decode the whole picture
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  (damaged EXIF beside a sound picture: pillow's parsers raise anything)
        return 1
    return found if found in range(1, 9) else 1


def header(path):
    """Size and EXIF orientation from a file's first bytes, without decoding: ((w, h) upright, orientation 1..8).

    path: str or Path. TIFFs answer 1: pillow turns them itself. Raises BrokenPicture with file and reason.
    """
    try:
        with _open(path) as picture:
            orientation = _orientation(picture)
            return (picture.size if orientation < 5 else picture.size[::-1]), orientation
    except BrokenPicture:
        raise
    except Exception as error:  # pillow's readers raise nearly anything on damaged files
        raise BrokenPicture(path, _reason(path, error)) from error


def size(path):
    """Size (w, h) in pixels of the picture `path` as read() will give it, not decoded. Raises BrokenPicture."""
    return header(path)[0]


def _upright(array, orientation):
    """Carry out an EXIF orientation on (h, w, 3)."""
    if orientation in (5, 6, 7, 8):
        array = array.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def _high_depth(array):
    """Grey of more than 8 bits, (h, w) -> (h, w) uint8: scaled, not clipped. 16 bits: the upper byte, as Darknet."""
    array = np.nan_to_num(array).clip(0, None)
    largest = array.max()
    if array.dtype.kind != "f" and largest < 65536:
        return (array >> 8).astype(np.uint8)
    tops = (1, 255, 65535) if array.dtype.kind == "f" else ()  # what white may be: the first that is enough
    return (array * (255 / next((top for top in tops if largest <= top), float(largest)))).astype(np.uint8)


def rgb(picture):
    """A pillow picture of any mode as an upright (h, w, 3) uint8 array, RGB; transparency is dropped, as in Darknet.

    Raises whatever pillow raises for damaged data.
    """
    orientation = _orientation(picture)
    picture.load()
    if picture.mode.startswith(("I", "F")):
        array = np.repeat(_high_depth(np.asarray(picture))[:, :, None], 3, axis=2)
    else:
        if picture.mode == "P":
            picture.info.pop("transparency", None)  # pillow would warn, and alpha is not wanted
        array = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return np.ascontiguousarray(_upright(array, orientation))


def read(path):
    """Read the picture file `path`: (h, w, 3) uint8, RGB, upright.

    Grey, palette, 1-bit, CMYK and 16-bit pictures are converted; transparency is dropped.
    Raises BrokenPicture (a DataError) naming file and reason: missing, empty, damaged, cut off, too large, no picture.

    Darknet: src/image.c, load_image_stb, which knows neither EXIF nor CMYK.
    """
    try:
        with _open(path) as picture:
            return rgb(picture)
    except BrokenPicture:
        raise
    except Exception as error:  # pillow's readers raise nearly anything on damaged files
        raise BrokenPicture(path, _reason(path, error)) from error


def placement(size, shape, mode="letterbox"):
    """Where a picture will lie in the network's input: its Geometry.

    letterbox: it becomes W wide (or H high), the other side is rounded down; whole margins, the larger one last.
    stretch: it covers everything. size: (w, h) of the picture. shape: (H, W). mode: "letterbox" or "stretch".

    Darknet: src/image.c, letterbox_image.
    """
    (height, width), (w, h) = shape, size
    if mode == "stretch":
        placed = width, height
    elif width * h < height * w:
        placed = width, max(h * width // w, 1)
    else:
        placed = max(w * height // h, 1), height
    return Geometry((w, h), (width, height), placed, ((width - placed[0]) // 2, (height - placed[1]) // 2))


def letterbox(picture, shape):
    """Fit a picture into the network's input, keeping its aspect; the rest is grey .5.

    picture: (h, w, 3) uint8. shape: (H, W). Returns x (H, W, 3) float32 in 0..1, and its Geometry (see placement).

    Darknet: src/image.c, letterbox_image.
    """
    return fit(picture, shape, "letterbox")


def stretch(picture, shape):
    """Resize a picture to the network's input without regard to its aspect.

    picture: (h, w, 3) uint8. shape: (H, W). Returns x (H, W, 3) float32 in 0..1, and its Geometry.

    Darknet: src/image.c, resize_image.
    """
    return fit(picture, shape, "stretch")


def fit(picture, shape, mode="letterbox"):
    """letterbox or stretch, as `mode` says. picture: (h, w, 3) uint8; shape: (H, W). Returns (x, Geometry)."""
    # Imported here: reading files must not need Numba.
    from minidarknet.kernels.image import resize_darknet

    geometry = placement(picture.shape[1::-1], shape, mode)
    (left, top), (width, height) = geometry.offset, geometry.placed
    x = np.full((*shape, 3), FILL, np.float32)
    resize_darknet(picture, x[top:top + height, left:left + width], 255.0, False)
    return x, geometry


def is_picture(path):
    """Whether the file name `path` ends like a picture's: bool."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def as_array(image):
    """A picture from wherever it is as (h, w, 3) uint8 RGB. image: a path, a pillow picture, or an array.

    Arrays may be (h, w) or (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4), all uint8. Raises DataError for others.
    """
    if isinstance(image, (str, os.PathLike)):
        return read(image)
    if isinstance(image, Image.Image):
        return rgb(image)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or not array.size \
            or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise DataError(f"expected a picture of shape (h, w, 3), uint8 RGB, not {array.shape} {array.dtype}")
    if array.ndim == 2:
        array = array[:, :, None]
    return np.ascontiguousarray(np.broadcast_to(array[:, :, :3], (*array.shape[:2], 3)))
