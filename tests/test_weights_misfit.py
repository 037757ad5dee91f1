"""What is said about a file of weights that does not fit: other formats, where it ends, the likely cause."""
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from small_net import CFG, ENDS, filled, network, refusal

from minidarknet import weights


@pytest.fixture
def file(tmp_path):
    """A good file of CFG's network."""
    path = tmp_path / "good.weights"
    weights.save(filled(), path)
    return path


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize("data, told", [
    (b"", "an empty file"),
    (b"\n<!DOCTYPE html><html>" + b" " * 99, "a web page"),
    (b"[net]\nbatch=1\n", "a cfg: CFG and WEIGHTS were swapped"),
    (b"# mine\n[net]\nbatch=1\n", "a cfg: CFG and WEIGHTS were swapped"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
    (zipped("archive/data.pkl"), "a PyTorch file"), (zipped("step.npy"), "a NumPy archive"),
    (zipped("a/yolo.weights"), "a zip archive: unpack a/yolo.weights from it"), (zipped("a.txt"), "a zip archive"),
    (b"PK\x03\x04" + bytes(40), "a damaged zip archive"),
    (pickle.dumps({"weight": [1.5] * 9}), "a Python pickle"),
    (b"\x08\x07\x12\x07pytorch" + bytes(40), "an ONNX model"),
    (b"\x93NUMPY\x01\x00" + bytes(40), "a NumPy array"), (b"\x89HDF\r\n\x1a\n" + bytes(40), "a Keras or HDF5 file"),
    (b"\x1f\x8b\x08" + bytes(40), "a gzip archive"), (b"\x89PNG\r\n" + bytes(40), "a PNG picture"),
    (b"\xff\xd8\xff\xe0" + bytes(40), "a JPEG picture"), (b"7z\xbc\xaf" + bytes(40), "a 7z archive"),
    (struct.pack("<Q", 30) + b'{"weight":' + bytes(40), "a safetensors file"),
    (b"\x1c\0\0\0TFL3" + bytes(40), "a TensorFlow Lite model"),
])
def test_other_formats_are_named(tmp_path, data, told):
    path = tmp_path / "net.weights"
    path.write_bytes(data)
    assert f"net.weights: this is {told}" in refusal(network(), path)


@pytest.mark.parametrize("data, told", [
    (struct.pack("<ii", 0, 2), "8 bytes; a .weights file begins with a header of 16 or 20"),
    (struct.pack("<iiii", 0, 2, 0, 0), "16 bytes; version 0.2 has a header of 20"),
    (np.full(99, .1, "<f4").tobytes(), "which is no version of Darknet"),
])
def test_heads_that_are_none(tmp_path, data, told):
    path = tmp_path / "net.weights"
    path.write_bytes(data)
    assert told in refusal(network(), path)


def test_the_table_shows_where_the_file_ends(file):
    file.write_bytes(file.read_bytes()[:ENDS[0] + 40])
    text = refusal(network(), file)
    assert text.split("\n")[0] == f"{file}: 412 bytes, but the network takes 1,080."
    assert [" ".join(line.split()) for line in text.split("\n")[1:6]] == [
        "layer type numbers from byte to byte", "header 0 20", "0 convolutional 88 20 372",
        "2 convolutional 30 372 492 <- the file ends in here", "3 convolutional 147 492 1,080"]
    assert "another cfg, or it was cut short" in text


def test_a_long_table_is_shortened(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(struct.pack("<iiiq", 0, 2, 0, 0) + bytes(4 * 500))
    text = "[net]\nwidth=4\nheight=4\nchannels=1\n" + "[conv]\nfilters=4\nsize=3\npad=1\n" * 40
    table = refusal(network(text), path).split("\n")[1:-1]
    assert len(table) <= 14 and sum("..." in line for line in table) == 2
    assert any("in here" in line for line in table) and table[-1].split()[0] == "39"


def test_cause_header(file):
    data = file.read_bytes()
    file.write_bytes(data[:16] + data[20:])     # claims 0.2.0, but `seen` has 4 bytes
    text = refusal(network(), file)
    assert "Likely cause: the header. Version 0.2 means 20 bytes, but with 16 this file would fit" in text
    assert "set its byte 4 (the minor version) to 1" in text
    file.write_bytes(file.read_bytes()[:4] + b"\1" + file.read_bytes()[5:])
    weights.load(network(), file)               # the remedy works
    file.write_bytes(data[:4] + b"\1" + data[5:])
    assert "Version 0.1 means 16 bytes, but with 20" in refusal(network(), file)


@pytest.mark.parametrize("classes", [1, 3, 80])
def test_cause_classes(tmp_path, classes):
    other = network(**{"region.classes": classes, "convolutional[-1].filters": 3 * (5 + classes)})
    weights.save(other, tmp_path / "w")
    text = refusal(network(), tmp_path / "w")
    assert f"This file fits classes={classes} (filters={3 * (5 + classes)} in layer 3), the cfg says classes=2" in text
    assert "load FILE:3" in text
    weights.load(network(), tmp_path / "w", 3)  # the remedy works


def test_cause_classes_of_a_classifier(tmp_path):
    text = CFG.split("[region]")[0] + "[avgpool]\n[softmax]\n"
    weights.save(network(text, **{"convolutional[-1].filters": 5}), tmp_path / "w")
    told = refusal(network(text), tmp_path / "w")
    assert "This file fits 5 classes, the cfg has 21: set filters=5 in layer 3" in told


HEADS = """[net]
width=8
height=8
channels=2
[conv]
filters=4
[conv]
filters=14
[yolo]
classes=2
num=4
mask=0,1
anchors=1,1,2,2,3,3,4,4
[route]
layers=0
[conv]
filters=7
size=3
pad=1
[yolo]
classes=2
num=4
mask=3
anchors=1,1,2,2,3,3,4,4
"""


@pytest.mark.parametrize("classes", [1, 20])
def test_cause_classes_of_several_heads(tmp_path, classes):
    from minidarknet import parser
    weights.save(network(parser.render(parser.with_classes(parser.parse(HEADS), classes))), tmp_path / "w")
    told = refusal(network(HEADS), tmp_path / "w")
    assert f"classes={classes} (filters={2 * (5 + classes)} in layer 1 and filters={5 + classes} in layer 4)" in told
    assert "the cfg says classes=2 (filters=14, 7): set all, or load FILE:1" in told


def test_cause_classes_of_a_connected_head(tmp_path):
    text = CFG.split("[region]")[0] + "[connected]\noutput=9\nactivation=linear\n[dropout]\n[softmax]\n"
    weights.save(network(text, **{"connected.output": 5}), tmp_path / "w")
    told = refusal(network(text), tmp_path / "w")
    assert "This file fits 5 classes, the cfg has 9: set output=5 in layer 4, or load FILE:4" in told


def test_cause_batch_normalisation(file, tmp_path):
    plain = {"convolutional[0].batch_normalize": 0}
    weights.save(network(**plain), tmp_path / "w")
    assert "fits the cfg without its batch_normalize=1" in refusal(network(), tmp_path / "w")
    weights.save(network(**{"convolutional[1].batch_normalize": 1}), file)
    assert "fits with batch_normalize=1 in all but the last convolution" in refusal(network(**plain), file)


@pytest.mark.parametrize("end, layers", [(ENDS[0], 1), (ENDS[1], 3)])
def test_cause_first_layers(file, end, layers):
    file.write_bytes(file.read_bytes()[:end])
    text = refusal(network(), file)
    assert f"these are the first {layers} layers only" in text and f"load them as FILE:{layers}." in text
    assert "<- the file ends here" in text
    weights.load(network(), file, layers)


def test_cause_another_known_cfg(tmp_path):
    path = tmp_path / "w"
    with open(path, "wb") as f:
        f.write(struct.pack("<iiiq", 0, 2, 0, 0))
        f.truncate(44948600)
    assert "another cfg. This is the length of yolov2-tiny.weights" in refusal(network(), path)


def test_cause_damaged(file):
    file.write_bytes(file.read_bytes()[:-7])
    assert "no whole number of 4-byte numbers: the file is damaged or was cut short" in refusal(network(), file)


def test_cause_too_long(file):
    file.write_bytes(file.read_bytes() + bytes(4000))
    text = refusal(network(), file)
    assert "4,000 bytes would be left over" in text and "file" in text.split("\n")[-2]


def test_too_short_for_the_first_layers(file):
    file.write_bytes(file.read_bytes()[:ENDS[0]])
    text = refusal(network(), file, 3)
    assert "372 bytes, but the network takes at least 492 for 3 layers" in text
    assert "load them as FILE:1" in text
