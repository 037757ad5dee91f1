"""[detection] in a network: flat numbers as boxes, the loss, training by heart, and what cannot be."""
import numpy as np
import pytest
from gradcheck import check_gradient

from minidarknet import Network
from minidarknet.errors import CfgError, DataError
from minidarknet.layers.detection import RANDOM_IMAGES
from minidarknet.ops import BACKENDS
from minidarknet.optimizer import SGD

YOLO = """[net]
batch=2
width=48
height=32
channels=3
learning_rate=.01
momentum=.9

[convolutional]
batch_normalize=1
filters=8
size=3
stride=4
pad=1
activation=leaky

[local]
filters=6
size=3
stride=2
pad=1
activation=leaky

[connected]
output={output}
activation=linear

[detection]
classes={classes}
coords={coords}
num={num}
side=4
sqrt=1
rescore=1
coord_scale=5
noobject_scale=.5
{more}
"""
TRUTH = np.array([[[.3, .3, .1, .2, 0], [.6, .5, .5, .6, 2]], [[.7, .2, .16, .2, 1], [0, 0, 0, 0, 0]]], np.float32)


def text(output=16 * (3 + 2 * 5), classes=3, coords=4, num=2, more=""):
    return YOLO.format(output=output, classes=classes, coords=coords, num=num, more=more)


@pytest.fixture
def net():
    return Network.from_string(text(), seed=3)


def test_flat_numbers_are_boxes(net, rng):
    out = net.predict(rng.random((2, 32, 48, 3), np.float32))
    assert out.shape == (2, 1, 1, 208) and net.detects and net.classes == 3 and net.stride == 12
    assert np.array_equal(out.ravel(), net.layers[2].out.ravel()), "no activation"
    boxes, objectness, probability = net.boxes(out)
    assert boxes.shape == (2, 32, 4) and objectness.shape == (2, 32) and probability.shape == (2, 32, 3)
    row, column, a, flat = 2, 3, 1, out[1, 0, 0]
    cell, number = 2 * 4 + 3, (2 * 4 + 3) * 2 + 1
    x, y, w, h = flat[16 * (3 + 2):].reshape(16, 2, 4)[cell, a]
    np.testing.assert_allclose(boxes[1, number], [(column + x) / 4, (row + y) / 4, w * w, h * h], rtol=1e-5)
    assert objectness[1, number] == flat[48 + cell * 2 + a]
    np.testing.assert_array_equal(probability[1, number], flat[cell * 3:cell * 3 + 3])
    assert np.array_equal(probability[1, number - 1], probability[1, number]), "a cell's boxes share its classes"


def test_pictures_are_stretched(net):
    assert net.resize_mode == "stretch"


def test_statistics(net, rng):
    net.forward(rng.random((2, 32, 48, 3), np.float32), TRUTH, train=True)
    assert net.statistics["count"] == 3 and net.statistics["boxes"] == 2 * 32
    assert net.darknet_cost == pytest.approx(np.square(net.head.gradient).sum() / 2, rel=1e-5)


@pytest.mark.parametrize("source", ["[connected]\noutput=32\nactivation=linear", "[conv]\nfilters=8\nactivation=linear"])
def test_the_gradient_reaches_its_source(rng, source):
    """Fed by a row of numbers, or by a picture of cells, which Darknet reads by channels."""
    net = Network.from_string(f"[net]\nwidth=2\nheight=2\nchannels=3\n{source}\n[detection]\nside=2\nclasses=3\ncoords=4\n"
                              "num=1\nsoftmax=1\nsqrt=1", backend="kernels", dtype=np.float64, seed=1)
    x, truth = rng.random((2, 2, 2, 3)), TRUTH.astype(float)
    net.forward(x, truth, train=True)
    net.backward()
    weight = net.layers[0].params[-1]
    check_gradient(lambda: 2 * net.forward(x, truth, train=True), weight.value, weight.grad, "weight", tolerance=1e-5)


def test_forced_and_random(rng):
    """Small objects are box 1's, large ones box 0's; with random=1 lots decide, in the first pictures of training."""
    x = rng.random((2, 32, 48, 3), np.float32)
    net = Network.from_string(text(more="forced=1"), seed=3)
    net.forward(x, TRUTH, train=True)
    assert (net.head.match[..., 0] % 2).tolist() == [[1, 0], [1, 1]] and net.head.match[1, 1, 0] == -1
    net = Network.from_string(text(more="random=1"), seed=3)
    answers = set()
    for _ in range(20):
        net.forward(x, TRUTH, train=True)
        answers.add(tuple(net.head.match[:, 0, 0] % 2))
    assert answers == {(0, 0), (0, 1), (1, 0), (1, 1)}
    net.seen = RANDOM_IMAGES
    answers.clear()
    for _ in range(9):
        net.forward(x, TRUTH, train=True)
        answers.add(tuple(net.head.match[:, 0, 0] % 2))
    assert len(answers) == 1
    assert not net.head.multiscale


@pytest.mark.parametrize("backend", BACKENDS)
def test_learns_by_heart_and_finds_again(backend, rng):
    net = Network.from_string(text(), seed=3, backend=backend)
    pictures = (rng.random((2, 32, 48, 3)) * 255).astype(np.uint8)
    x, sgd, losses = pictures.astype(np.float32) / 255, SGD(net), []
    for _ in range(200):
        losses.append(net.forward(x, TRUTH, train=True))
        net.backward()
        sgd.step()
    assert np.mean(losses[-5:]) < .1 * np.mean(losses[:5])
    for picture, objects in zip(pictures, TRUTH, strict=True):
        found = net.detect(picture, thresh=.3)
        wanted = {int(row[4]) for row in objects if row[2] > 0}
        assert wanted == set(found.class_id.tolist())


@pytest.mark.parametrize("changes, message", [
    ({"output": 207}, r"expects 208 numbers = side 4 x 4 x \(classes 3 \+ num 2 x \(1 \+ coords 4\)\), but layer 2 gives "
                      "207: set output=208 at line 25"),
    ({"coords": 5}, "coords=5: a box has 4 numbers"), ({"classes": 0}, "expected at least 1"),
    ({"num": 1, "output": 128, "more": "forced=1"}, "gives small objects to the second box of a cell, but num=1")])
def test_what_does_not_fit(changes, message):
    with pytest.raises(CfgError, match=message):
        Network.from_string(text(**changes))


def test_the_remedy_where_nothing_can_give_the_numbers():
    with pytest.raises(CfgError, match=r"but layer 0 gives 12: put a \[connected\] with output=784 before it"):
        Network.from_string("[net]\nwidth=2\nheight=2\nchannels=3\n[dropout]\n[detection]\ncoords=4\nnum=3\n")
    with pytest.raises(CfgError, match="set filters=196 at line 5"):
        Network.from_string("[net]\nwidth=2\nheight=2\nchannels=3\n[conv]\n[detection]\ncoords=4\nnum=3\n")


def test_a_truth_that_cannot_be(net, rng):
    wrong = TRUTH.copy()
    wrong[1, 0, 4] = 3
    with pytest.raises(DataError, match="has no class of this network"):
        net.forward(rng.random((2, 32, 48, 3), np.float32), wrong, train=True)
