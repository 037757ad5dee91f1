"""Darknet's .weights files: read, write, and tell why one does not fit (Darknet: src/parser.c).

A file is a header of three int32 (major, minor, revision) and `seen`, the number of pictures trained on, followed by
the float32 arrays of the layers in their order, all little-endian. `seen` has 8 bytes from version 0.2 on, 4 before.
Nothing in it says which cfg it belongs to: only its length does. This is the one place where Darknet's order of
weights (f, c, k, k) becomes ours, (k, k, c, f): AXES.

Old files keep the matrices of [connected] the other way round, (n, f) instead of (f, n), and say so by 1000 added to a
version number.
"""
import math
import re
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidarknet.errors import MinidarknetError, WeightsError
from minidarknet.files import replacing
from minidarknet.weights_misfit import diagnose, foreign, numbers, table

OLDEST = 16     # bytes of the shorter header
MOST_SEEN = 1 << 48     # pictures: nobody trains that long
SEEN_IN_4_BYTES = 2 ** 31 - 1
FLOAT = np.dtype("<f4")
ABSURD = 1e18   # a weight's size from which on its square is no float32
# How Stored.order says an array is filed: the axes of the held one in the order of the file.
AXES = {"kkcf": (3, 2, 0, 1), "connected": (3, 2, 0, 1), "local": (0, 1, 5, 4, 2, 3), "hwc": (2, 0, 1)}


class Header(NamedTuple):
    """The head of a .weights file. seen: pictures trained on. size: bytes, 16 or 20."""

    major: int
    minor: int
    revision: int
    seen: int
    size: int

    @property
    def transposed(self):
        """Whether the matrices of [connected] are filed as (n, f): 1000 was added to a version number (bool)."""
        return self.major > 1000 or self.minor > 1000

    def __str__(self):
        return f"version {self.major}.{self.minor}.{self.revision}, seen {self.seen:,} pictures, {self.size} bytes"


class Block(NamedTuple):
    """One layer's share of a .weights file: its first and its end byte."""

    index: int
    name: str
    floats: int
    start: int
    end: int


class Loaded(NamedTuple):
    """What `load` did. layers: of them were looked at; filled of weighted layers got numbers."""

    header: Header
    layers: int
    filled: int
    weighted: int

    def __str__(self):
        return f"{self.filled} of {self.weighted} layers with weights; {self.header}"


def parse_argument(argument):
    """"FILE" or "FILE:N" -> (path, None) or (path, N), N being how many layers to load.

    A file whose own name ends in ":N" is meant by that name, and the colon of "C:\\x.weights" is not taken for one.
    """
    argument = str(argument)
    match = re.fullmatch(r"(.+):([0-9]+)", argument, re.DOTALL)
    if not match or Path(argument).is_file():
        return argument, None
    return match[1], int(match[2])


def read_header(path):
    """The Header of the file at `path`. Raises WeightsError when there is none: no file, too short, another format."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as problem:
        hint = "; expected FILE or FILE:N with N a number of layers" if ":" in Path(path).name else ""
        raise WeightsError(f"{path}: cannot be read: {problem.strerror}{hint}") from None
    what = foreign(head, path)
    if what:
        raise WeightsError(f"{path}: this is {what}, not a Darknet .weights file")
    if len(head) < OLDEST:
        raise WeightsError(f"{path}: {len(head)} bytes; a .weights file begins with a header of 16 or 20: "
                           "was the download or the copy cut short?")
    major, minor, revision = struct.unpack("<iii", head[:12])
    if not (0 <= major < 2000 and 0 <= minor < 2000):
        raise WeightsError(f"{path}: begins with {major}, {minor}, {revision}, which is no version of Darknet; "
                           "expected 0, 1 or 2 in the second place: this is no .weights file")
    if _is_wide(major, minor):
        if len(head) < 20:
            raise WeightsError(f"{path}: {len(head)} bytes; version {major}.{minor} has a header of 20: "
                               "was the download or the copy cut short?")
        return Header(major, minor, revision, struct.unpack("<Q", head[12:20])[0], 20)
    return Header(major, minor, revision, struct.unpack("<I", head[12:16])[0], 16)


def _is_wide(major, minor):
    """Whether `seen` takes 8 bytes in a header of that version."""
    return major * 10 + minor >= 2 and major < 1000 and minor < 1000


def describe(layers, header_size=20):
    """[Block] of the layers (those with arrays to load) in the order of the file, after a header of so many bytes."""
    blocks, position = [], header_size
    for index, layer in enumerate(layers):
        floats = numbers([layer])
        if floats:
            blocks.append(Block(index, layer.name, floats, position, position + 4 * floats))
            position += 4 * floats
    return blocks


def check(network, path, layers=None):
    """Whether the file at `path` fits the network's first `layers` layers (None: all, and nothing is left over).

    network: has `.layers`. Returns the Header. Raises WeightsError with the reason; see `load`.
    """
    header, _ = _checked(network, path, layers)
    return header


def load(network, path, layers=None):
    """Fill the network's arrays from the .weights file at `path`; nothing is changed unless the whole file fits.

    network: has `.layers`, each with `.name`, `.options` and `.stored`, and `.seen`, which is set from the file.
    layers: N loads the first N layers only and sets `seen` to 0, for a new training that starts from learned features.
    Layers with dontload=1 are passed over. Returns Loaded.

    Raises WeightsError for a missing file, another format, a length that does not fit the network (with a table of
    bytes per layer and the likely cause), and numbers that no trained network holds.
    """
    header, pieces = _checked(network, path, layers)
    for layer, arrays in pieces:
        for stored, values in arrays:
            stored.array[...] = values
        if hasattr(layer, "loaded"):
            layer.loaded()
    network.seen = header.seen if layers is None else 0
    weighted = sum(1 for layer in network.layers if layer.stored)
    return Loaded(header, len(network.layers) if layers is None else layers, len(pieces), weighted)


def measure(network, path, layers=None):
    """(Header, [Block]) of the file at `path`, whose length fits the network's first `layers` layers (None: all exactly).

    Raises WeightsError with a table of bytes per layer and the likely cause where it does not fit.
    """
    header = read_header(path)
    total = len(network.layers)
    if layers is not None and not 1 <= layers <= total:
        raise WeightsError(f"{path}:{layers}: the network has {total} layers; expected FILE:N with N from 1 to {total}")
    blocks = describe(network.layers[:layers], header.size)
    size, needed = Path(path).stat().st_size, blocks[-1].end if blocks else header.size
    if size < needed or (size > needed and layers is None):
        wanted = f"{needed:,}" if layers is None else f"at least {needed:,} for {layers} layers"
        cause = diagnose(network, layers, blocks, size, header)
        raise WeightsError(f"{path}: {size:,} bytes, but the network takes {wanted}.\n"
                           f"{table(blocks, size, header.size)}\n{cause}")
    return header, blocks


def filed(network, path, blocks):
    """What the file at `path` holds: of every array (Block, Stored, first byte, flat numbers, mapped from the file).

    blocks: as `measure` gives them.
    """
    for block in blocks:
        position = block.start
        for stored in network.layers[block.index].stored:
            count = math.prod(stored.array.shape)
            yield block, stored, position, np.memmap(path, FLOAT, "r", position, (count,))
            position += FLOAT.itemsize * count


def _checked(network, path, layers):
    """(Header, [(layer, [(Stored, values as held)])]) of a file that fits. Raises WeightsError."""
    header, blocks = measure(network, path, layers)
    if header.seen >= MOST_SEEN:
        raise WeightsError(f"{path}: says it was trained on {header.seen:,} pictures: its header, bytes 12 to 19, is "
                           "damaged")
    pieces = {block.index: (network.layers[block.index], []) for block in blocks}
    for block, stored, _, values in filed(network, path, blocks):
        check_values(values, f"{path}: layer {block.index} [{block.name}] {stored.name}", stored.name)
        pieces[block.index][1].append((stored, as_held(values, stored, header.transposed)))
    return header, list(pieces.values())


def check_values(values, where, name):
    """Raise WeightsError where the flat float32 `values` cannot be those of a trained array of that name."""
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise WeightsError(f"{where}: {len(bad):,} of {len(values):,} numbers are not finite (the first: "
                           f"{values[bad[0]]}); the training that wrote this file had diverged, or it is damaged")
    if len(values) and max(-values.min(), values.max()) >= ABSURD:
        raise WeightsError(f"{where}: holds {values[np.abs(values).argmax()]:g}; no network computes with such a weight: "
                           "this file belongs to another cfg, or it is damaged")
    if "variance" in name and (values < 0).any():
        raise WeightsError(f"{where}: a variance of {values.min():g} is below 0; this file belongs to another cfg, "
                           "or its header is not the one its version promises")


def as_held(values, stored, transposed=False):
    """The flat numbers of a file, `values`, in the shape and order in which the layer holds `stored` (a view)."""
    if stored.order not in AXES or (transposed and stored.order == "connected"):
        return values.reshape(stored.array.shape)
    axes = AXES[stored.order]
    return values.reshape([stored.array.shape[axis] for axis in axes]).transpose(np.argsort(axes))


def as_filed(stored):
    """The array of `stored` in Darknet's shape and order (a view): (f, c, k, k) of a convolution, (f, n) of [connected]."""
    array = stored.array.transpose(AXES[stored.order]) if stored.order else stored.array
    return array[:, :, 0, 0] if stored.order == "connected" else array


def save(network, path, layers=None, version=(0, 2, 0)):
    """Write the network as a .weights file, in one piece: `path` is the old file or the new one.

    network: has `.layers` and `.seen`. Layers with dontsave=1 are left out. layers: N writes the first N layers only.
    version: (major, minor, revision) of the header; below 0.2 `seen` takes 4 bytes, as old programs read it. Raises
    MinidarknetError when the file cannot be written.
    """
    seen, wide = int(network.seen), _is_wide(*version[:2])
    if not wide and seen > SEEN_IN_4_BYTES:
        raise MinidarknetError(f"{path}: a header of version {'.'.join(map(str, version))} cannot tell of {seen:,} "
                               f"pictures, but of {SEEN_IN_4_BYTES:,} at most: choose another header, or set `seen`")
    try:
        with replacing(path) as file:
            file.write(struct.pack("<iiiQ" if wide else "<iiiI", *version, seen))
            for layer in network.layers[:layers]:
                for stored in () if layer.options.dontsave else layer.stored:
                    file.write(np.ascontiguousarray(as_filed(stored), FLOAT).data)
    except OSError as problem:
        raise MinidarknetError(f"{path}: cannot be written: {problem.strerror}") from None
