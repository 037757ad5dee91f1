"""Which bundled networks a file of weights fits: by its length alone, whole, with other classes, or the first layers."""
import struct

import pytest

from minidarknet import parser, weights_fit
from minidarknet.errors import WeightsError
from minidarknet.network import Network
from minidarknet.weights_misfit import numbers


@pytest.fixture
def file(tmp_path):
    """A function that makes a .weights file of so many zeros, behind a header of 16 or 20 bytes."""
    def make(count, header=20, rest=0):
        path = tmp_path / "a.weights"
        with open(path, "wb") as out:
            out.write(struct.pack("<iiiI", 0, 1, 0, 7) if header == 16 else struct.pack("<iiiQ", 0, 2, 5, 7))
            out.truncate(header + 4 * count + rest)
        return path
    return make


def told(path):
    return [str(fit) for fit in weights_fit.fits(path)]


@pytest.mark.parametrize("header", [16, 20])
@pytest.mark.parametrize("count, names", [
    (62001757, ["yolov3"]), (15867885, ["yolov2-tiny-voc"]), (20856776, ["darknet19", "darknet19_448"]),
    (138357544, ["vgg-16"])])
def test_whole_files(file, count, names, header):
    found = weights_fit.fits(file(count, header))
    whole = [fit.cfg for fit in found if not fit.layers and not fit.settings]
    assert whole == [f"cfg/{name}.cfg" for name in names] == [fit.cfg for fit in found[:len(names)]]


@pytest.mark.parametrize("count, line", [   # the sizes of Darknet's own files of features
    (19831776, "the first 23 layers of cfg/darknet19_448.cfg: load it as FILE:23"),
    (19831776, "the first 23 layers of cfg/yolov2.cfg: load it as FILE:23"),
    (40620640, "the first 74 layers of cfg/yolov3.cfg: load it as FILE:74")])
def test_first_layers(file, count, line):
    assert line in told(file(count))


@pytest.mark.parametrize("name, classes", [("yolov2-voc", 3), ("yolov3", 1), ("yolov3-tiny", 7), ("tiny", 4),
                                           ("alexnet", 12)])
def test_other_classes(file, name, classes):
    other = Network(parser.with_classes(parser.read(f"cfg/{name}.cfg"), classes), arrays=False)
    count = numbers(other.layers)
    fit = next(fit for fit in weights_fit.fits(file(count)) if fit.cfg == f"cfg/{name}.cfg")
    net = Network(parser.override(parser.read(fit.cfg), fit.settings), arrays=False)
    assert fit.layers is None and net.classes == classes and numbers(net.layers) == count
    assert str(fit).startswith(f"cfg/{name}.cfg --set ")


def test_the_head_of_a_new_voc_net(file):
    other = Network(parser.with_classes(parser.read("cfg/yolov2-voc.cfg"), 3), arrays=False)
    assert "cfg/yolov2-voc.cfg --set convolutional[22].filters=40 region[0].classes=3" in told(file(numbers(other.layers)))


@pytest.mark.parametrize("count, rest", [(0, 0), (1, 0), (999, 0), (62001757, 2), (62001758, 0)])
def test_nothing(file, count, rest):
    assert told(file(count, rest=rest)) == []


def test_no_weights_file(tmp_path):
    (tmp_path / "a.weights").write_text("[net]\n")
    with pytest.raises(WeightsError, match="this is a cfg"):
        weights_fit.fits(tmp_path / "a.weights")
