"""Why a file of weights does not fit a network: what it is instead, where it ends, and what the cause may be."""
import math
import zipfile

from minidarknet.errors import CfgError, MinidarknetError
from minidarknet.parser import FEEDING, with_classes

# Numbers in the .weights files of well-known networks (length = 16 or 20 bytes of header + 4 for each number).
KNOWN = {
    11237145: "yolov2-tiny", 15867885: "yolov2-tiny-voc", 50983561: "yolov2", 50676061: "yolov2-voc",
    20856776: "darknet19 or darknet19_448", 1046488: "tiny", 48807501: "yolo9000",
    7323480: "darknet (the reference network)", 29485226: "darknet9000", 41645640: "darknet53 or darknet53_448",
    23455400: "extraction", 197328243: "yolov1", 27099950: "yolov1-tiny", 62001757: "yolov3", 61678657: "yolov3-voc",
    64429405: "yolov4", 6062814: "yolov4-tiny", 63052381: "yolov3-spp", 8858734: "yolov3-tiny",
    11523496: "resnet18", 21639080: "resnet34", 22825896: "resnet50",
    62378344: "alexnet", 138357544: "vgg-16", 7687050: "cifar",
}
ROWS = 12   # a longer table shows its ends and the surroundings of the fault


def foreign(head, path):
    """What a file is that begins with `head` (bytes), if it is plainly no .weights file; else None."""
    text = head.lstrip()
    if not head:
        return "an empty file"
    if text[:1] == b"<":
        return "a web page (HTML or XML): the download went wrong, fetch the file itself"
    if text.startswith((b"[net]", b"[network]")) or b"\n[convolutional]" in head or b"\n[net]" in head:
        return "a cfg: CFG and WEIGHTS were swapped"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS: fetch the file itself with `git lfs pull`"
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle (an old PyTorch file?), which minidarknet never opens"
    if head.startswith(b"\x08") and head[2:3] in (b"\x12", b"\x1a", b":", b"2"):
        return "an ONNX model"
    for magic, name in ((b"\x93NUMPY", "a NumPy array (.npy)"), (b"\x89HDF", "a Keras or HDF5 file"),
                        (b"\x1f\x8b", "a gzip archive: unpack it first"), (b"\xff\xd8\xff", "a JPEG picture"),
                        (b"\x89PNG", "a PNG picture"), (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
                        (b"BZh", "a bzip2 archive: unpack it first")):
        if head.startswith(magic):
            return name
    if head[8:10] == b'{"':
        return "a safetensors file"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    return None


def _archive(path):
    """Which kind of zip archive the file is; only the names inside are read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return "a damaged zip archive"
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch file, which minidarknet never opens"
    if any(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz; a checkpoint? --resume reads those)"
    inside = [name for name in names if name.endswith(".weights")]
    return f"a zip archive: unpack {inside[0]} from it" if inside else "a zip archive: unpack it first"


def table(blocks, size, header_size):
    """The lines that show which bytes each layer takes and where a file of `size` bytes ends.

    blocks: [weights.Block] in the order of the file.
    """
    rows = [("header", "", "", f"{0:,}", f"{header_size:,}", "")]
    end_row = 0
    for number, b in enumerate(blocks, 1):
        inside = b.start < size < b.end
        if b.start < size:
            end_row = number
        mark = "<- the file ends in here" if inside else "<- the file ends here" if size == b.end else ""
        rows.append((str(b.index), b.name, f"{b.floats:,}", f"{b.start:,}", f"{b.end:,}", mark))
    if size > (blocks[-1].end if blocks else header_size):
        rows.append(("file", "", "", "", f"{size:,}", "<- the file ends here"))
    shown = range(len(rows))
    if len(rows) > ROWS:
        shown = sorted({0, 1, len(rows) - 2, len(rows) - 1, *range(max(end_row - 2, 0), min(end_row + 3, len(rows)))})
    lines, last = [f"{'layer':>6}  {'type':<14} {'numbers':>12} {'from byte':>13} {'to byte':>13}"], -1
    for i in shown:
        if i != last + 1:
            lines.append(f"{'...':>6}")
        index, name, floats, start, end, mark = rows[i]
        lines.append(f"{index:>6}  {name:<14} {floats:>12} {start:>13} {end:>13}  {mark}".rstrip())
        last = i
    return "\n".join(lines)


def numbers(layers):
    """How many numbers a .weights file holds for `layers`, those with dontload=1 left out (int)."""
    return sum(math.prod(stored.array.shape) for layer in layers if not layer.options.dontload for stored in layer.stored)


def diagnose(network, layers, blocks, size, header):
    """The likely cause, in a sentence, why a file of `size` bytes with that header does not fit the network's layers.

    layers: only so many of them are meant, None: all. blocks: [weights.Block] of those.
    """
    needed = blocks[-1].end if blocks else header.size
    body, count = size - header.size, (size - header.size) // 4
    if abs(size - needed) == 4:
        other = 36 - header.size
        version = 1 if header.size == 20 else 2
        return (f"Likely cause: the header. Version {header.major}.{header.minor} means {header.size} bytes, but with "
                f"{other} this file would fit: it seems to be mislabelled by the program that wrote it. If so, "
                f"set its byte 4 (the minor version) to {version}.")
    if body % 4:
        return (f"Likely cause: {body} bytes after the header are no whole number of 4-byte numbers: the file is "
                "damaged or was cut short; fetch it again.")
    cause = layers is None and (_classes(network, count) or _normalised(network, count))
    if cause:
        return cause
    ended = [b for b in blocks if b.end == size]
    if ended:
        n = ended[-1].index + 1
        return (f"Likely cause: these are the first {n} layers only (features to start a training from): "
                f"load them as FILE:{n}.")
    if count in KNOWN:
        return f"Likely cause: another cfg. This is the length of {KNOWN[count]}.weights."
    search = "`minidarknet weights FILE` looks for a bundled cfg that it fits."
    if size < needed:
        return f"Likely cause: the file belongs to another cfg, or it was cut short. {search}"
    return (f"Likely cause: the file belongs to another cfg: {size - needed:,} bytes would be left over. "
            f"To load its first N layers all the same: FILE:N. {search}")


def feeding(network, classes):
    """{layer that feeds a head: how many channels it would need for `classes` classes}; {} where none can be told."""
    try:
        cfg = with_classes(network.cfg, classes)
    except CfgError:
        return {}
    return {layer: int(new.get(FEEDING[new.name])) for layer, old, new in zip(network.layers, network.cfg.layers, cfg.layers)
            if new is not old and new.name in FEEDING}


def with_other_classes(network, count):
    """A network with other classes whose weights are `count` numbers, without arrays; None where there is none.

    Of the layers that feed the heads, whose channels are told by the classes, the numbers grow with the channels.
    """
    one, two = feeding(network, 1), feeding(network, 2)
    each = {layer: numbers([layer]) // layer.shape[2] for layer in one}
    slope = sum(each[layer] * (two[layer] - one[layer]) for layer in one)
    others = count - numbers(network.layers) - sum(each[layer] * (one[layer] - layer.shape[2]) for layer in one)
    if slope == 0 or others % slope or others < 0:
        return None
    try:
        other = type(network)(with_classes(network.cfg, 1 + others // slope), arrays=False)
    except MinidarknetError:
        return None
    return other if numbers(other.layers) == count else None


def _classes(network, count):
    """The sentence "This file fits classes=20 ..." where another number of classes explains the count, else None."""
    other = with_other_classes(network, count)
    if other is None:
        return None
    layers = feeding(network, other.classes)
    key = FEEDING[next(iter(layers)).name]
    first = min(layer.index for layer in layers)
    changes = " and ".join(f"{key}={channels} in layer {layer.index}" for layer, channels in layers.items())
    if network.detects:
        return (f"Likely cause: the number of classes. This file fits classes={other.classes} ({changes}), the cfg says "
                f"classes={network.classes} ({key}={', '.join(str(layer.shape[2]) for layer in layers)}): set all, or load "
                f"FILE:{first} and train the rest anew.")
    return (f"Likely cause: the number of classes. This file fits {other.classes} classes, the cfg has {network.classes}: "
            f"set {changes}, or load FILE:{first} and train the rest.")


def _normalised(network, count):
    """The sentence for a file that was trained with, or without, batch normalisation, else None."""
    weighted = [layer for layer in network.layers
                if hasattr(layer.options, "batch_normalize") and not layer.options.dontload]
    total = numbers(network.layers)
    without = sum(3 * layer.shape[2] for layer in weighted if layer.options.batch_normalize)
    if without and count == total - without:
        return ("Likely cause: batch normalisation. This file fits the cfg without its batch_normalize=1: "
                "it was trained so, or its normalisation was folded into the weights.")
    last = feeding(network, 1) or weighted[-1:]
    if not without and count == total + sum(3 * layer.shape[2] for layer in weighted if layer not in last):
        which = "the last convolution" if len(last) == 1 else "the convolutions before the heads"
        return f"Likely cause: batch normalisation. This file fits with batch_normalize=1 in all but {which}."
    return None
