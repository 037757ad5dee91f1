"""Weights as a NumPy archive: every array by its name.

    "header"                      int64: major, minor, revision of a .weights header, and the pictures trained on
    "000.convolutional.bias"      (f,)
    "000.convolutional.scale"     (f,), also rolling_mean and rolling_variance; where the layer normalises
    "000.convolutional.weight"    (f, c / groups, k, k)
    "012.connected.weight"        (f, n), n in the order c, h, w

The number is the layer's, shapes and orders are those of Darknet's files (and PyTorch's): weights.as_filed. Nothing in
an archive is believed: no pickles, no array of another shape, no more bytes than the network has numbers.
"""
import math
import struct
import zipfile
import zlib

import numpy as np

from minidarknet import weights
from minidarknet.errors import MinidarknetError, WeightsError
from minidarknet.files import replacing

HEADER = "header"
MOST_HEADER = 1 << 16   # bytes before the numbers of an array
# What zipfile and NumPy raise on reading what is not theirs.
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, RuntimeError, MemoryError)


def save(network, path, layers=None, version=(0, 2, 0)):
    """Write the network's weights to the archive `path`, in one piece; layers, version: as weights.save.

    Raises MinidarknetError when it cannot be written.
    """
    arrays = {name: np.ascontiguousarray(weights.as_filed(stored), np.float32)
              for name, (_, stored) in _names(network, layers, "dontsave").items()}
    try:
        with replacing(path) as file:
            np.savez(file, **{HEADER: np.array([*version, network.seen], np.int64), **arrays})
    except OSError as problem:
        raise MinidarknetError(f"{path}: cannot be written: {problem.strerror}") from None


def load(network, path, layers=None):
    """Fill the network's arrays from the archive `path`; nothing is changed unless all of it fits.

    layers: N loads the first N layers only and sets `seen` to 0. Returns the names that were loaded. Raises WeightsError
    for what is no such archive, arrays that are missing, unknown, of another shape, or hold what no trained network does.
    """
    wanted = _names(network, layers, "dontload")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path, archive.namelist(), wanted, _names(network, None, "dontload"))
            header = _read(archive, path, HEADER, (4,), "i")
            values = {name: _read(archive, path, name, weights.as_filed(stored).shape, "f")
                      for name, (_, stored) in wanted.items()}
    except OSError as problem:
        raise WeightsError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except DAMAGED:
        raise WeightsError(f"{path}: this is no NumPy archive (.npz), or a damaged one") from None
    if not 0 <= header[3] < weights.MOST_SEEN:
        raise WeightsError(f"{path}: '{HEADER}' tells of {header[3]:,} pictures; it is damaged")
    for name, array in values.items():
        weights.check_values(array.ravel(), f"{path}: '{name}'", name)
    for name, (layer, stored) in wanted.items():
        stored.array[...] = weights.as_held(np.ascontiguousarray(values[name]).ravel(), stored)
        if hasattr(layer, "loaded"):
            layer.loaded()
    network.seen = 0 if layers else int(header[3])
    return list(wanted)


def _names(network, layers, skip):
    """{name in the archive: (layer, Stored)} of the first `layers` layers but those whose option `skip` is 1."""
    return {f"{layer.index:03d}.{layer.name}.{stored.name}": (layer, stored) for layer in network.layers[:layers]
            if not getattr(layer.options, skip) for stored in layer.stored}


def _check_names(path, found, wanted, known):
    """Raise WeightsError unless the archive's members `found` are those of `wanted`, or at least of `known`, arrays."""
    names = [name.removesuffix(".npy") for name in found]
    for wrong, what in (([name for name in (HEADER, *wanted) if name not in names], "has no"),
                        ([name for name in names if name not in known and name != HEADER], "has an unknown"),
                        ([name for name in known if names.count(name) > 1], "has more than one")):
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise WeightsError(f"{path}: {what} '{wrong[0][:60]}'{more}; expected the arrays of the cfg's "
                               f"{len(known)}, named NUMBER.SECTION.ARRAY, and '{HEADER}': it belongs to another cfg")


def _read(archive, path, name, shape, kind):
    """The array `name` of the archive, of that shape and NumPy kind ("f", "i"), without reading more than it takes."""
    member, where = archive.getinfo(f"{name}.npy"), f"{path}: '{name}'"
    count = math.prod(shape)
    if member.file_size > 8 * count + MOST_HEADER:
        raise WeightsError(f"{where} has {member.file_size:,} bytes, far more than {count:,} numbers take")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise WeightsError(f"{where} is packed in a way that NumPy does not use")
    try:
        with archive.open(member) as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version of the .npy format than 1.0")
            found, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            if found != tuple(shape) or dtype.kind != kind or dtype.itemsize > 8:
                raise WeightsError(f"{where} is {dtype} of shape {found}; the cfg takes "
                                   f"{'floats' if kind == 'f' else 'integers'} of shape {tuple(shape)}")
            data = file.read(count * dtype.itemsize)
        values = np.frombuffer(data, dtype, count)
    except DAMAGED as problem:
        raise WeightsError(f"{where} is damaged: {problem}") from None
    with np.errstate(over="ignore"):    # a float64 too large becomes infinite, and is told as such
        values = values.astype(np.float32) if kind == "f" else values
    return values.reshape(shape, order="F" if by_columns else "C")
