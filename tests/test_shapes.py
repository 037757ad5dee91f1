"""The cut-out shapes of the lessons: what stands in them, and classifiers that learn and repeat on them."""
import numpy as np
import pytest

from minidarknet import Network
from minidarknet.data import annotations, pictures
from minidarknet.lessons.shapes import accuracy, crops, train_classifier

CFG = """[net]
width=16
height=16
channels=3
batch=16
learning_rate=.05
[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=12
size=3
pad=1
activation=linear
[avgpool]
[softmax]
"""


@pytest.fixture
def shapes(drawn):
    return annotations.load(drawn, "train")


def test_one_square_picture_of_every_object(shapes):
    x, truth = crops(shapes, 20)
    kinds = np.concatenate([example.classes for example in shapes.examples])
    assert x.shape == (len(kinds), 20, 20, 3) and x.dtype == np.float32 and 0 <= x.min() < x.max() <= 1
    np.testing.assert_array_equal(truth.argmax(axis=1), kinds)
    np.testing.assert_array_equal(truth.sum(axis=1), 1)


def test_the_middle_of_the_object_is_the_middle_of_its_picture(shapes):
    x, _ = crops(shapes, 21)
    example = shapes.examples[0]
    x0, y0, x1, y1 = example.box_px[0] - (1, 1, 0, 0)
    around = pictures.read(example.path)[round((y0 + y1) / 2) - 2:, round((x0 + x1) / 2) - 2:][:5, :5] / 255
    assert np.abs(x[0, 10, 10] - around.mean(axis=(0, 1))).max() < .25


def test_the_seed_decides_how_much_an_object_fills(shapes):
    one, same, other = (crops(shapes, 16, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_classifiers_learn_and_repeat(shapes):
    x, truth = crops(shapes, 16)
    nets = [Network.from_string(CFG) for _ in range(2)]
    losses = [train_classifier(net, x, truth, 60, seed=3) for net in nets]
    np.testing.assert_array_equal(*losses)
    assert losses[0][-5:].mean() < losses[0][:5].mean() - .3
    assert accuracy(nets[0], x, truth) > accuracy(Network.from_string(CFG), x, truth) + .1


def test_accuracy_counts_every_picture_once(shapes):
    x, truth = crops(shapes, 16)
    net = Network.from_string(CFG)
    right = net.predict(x).argmax(axis=1) == truth.argmax(axis=1)
    assert accuracy(net, x, truth, batch=7) == pytest.approx(right.mean())
