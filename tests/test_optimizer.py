"""Learning-rate policies against Darknet's table, and SGD against the formula."""
import numpy as np
import pytest

from minidarknet import Network
from minidarknet.netoptions import NetOptions
from minidarknet.optimizer import SGD, learning_rate

SIZE = dict(width=4, height=4, channels=1)
NET = """
[net]
batch=4
subdivisions=2
width=2
height=2
channels=1
learning_rate=.1
momentum=.5
decay=.2
[convolutional]
filters=1
size=1
activation=linear
[cost]
"""


def rates(count, **keys):
    options = NetOptions(**SIZE, **keys)
    return [learning_rate(options, b) for b in range(count)]


def test_burn_in_and_steps_equal_darknets_table():
    """Golden: lr 1, burn_in 10, power 4, steps 12,14 x .1,.5 (compiled from the original Darknet)."""
    expected = [0, .0001, .0016, .0081, .0256, .0625, .1296, .2401, .4096, .6561, 1, 1, .1, .1, .05, .05]
    np.testing.assert_allclose(rates(16, learning_rate=1.0, burn_in=10, policy="steps", steps=(12, 14),
                                     scales=(.1, .5)), expected, rtol=1e-6)


def test_poly_equals_darknets():
    assert rates(6, learning_rate=1.0, policy="poly", power=4.0, max_batches=10)[5] == pytest.approx(.0625)


def test_sgdr_falls_along_cosines_of_growing_length():
    found = rates(15, learning_rate=1.0, policy="sgdr", learning_rate_min=.2, sgdr_cycle=4, sgdr_mult=2)
    first, second = ([.2 + .4 * (1 + np.cos(np.pi * i / n)) for i in range(n)] for n in (4, 8))
    np.testing.assert_allclose(found[:12], [*first, *second])
    assert found[12] == 1 and found[13] == pytest.approx(.2 + .4 * (1 + np.cos(np.pi / 16)))
    assert rates(4, learning_rate=1.0, policy="sgdr", max_batches=3)[3] == 1


def test_poly_ends_at_zero_and_stays_there():
    assert rates(13, learning_rate=1.0, policy="poly", power=4.0, max_batches=10)[10:] == [0, 0, 0]


def test_step_exp_sigmoid():
    assert rates(7, learning_rate=2.0, policy="step", step=3, scale=.5) == [2, 2, 2, 1, 1, 1, .5]
    np.testing.assert_allclose(rates(3, learning_rate=2.0, policy="exp", gamma=.9), [2, 1.8, 1.62])
    np.testing.assert_allclose(rates(3, learning_rate=2.0, policy="sigmoid", gamma=1.0, step=1),
                               [2 / (1 + np.exp(-1)), 1, 2 / (1 + np.exp(1))])


def test_negative_steps_are_signed():
    """yolov2-tiny-voc says steps=-1,100: the original Darknet compares -1 with an unsigned number and never steps."""
    found = rates(101, learning_rate=1.0, policy="steps", steps=(-1, 100), scales=(.1, 10.0))
    assert found[0] == pytest.approx(.1) and found[100] == pytest.approx(1)


def test_random_policy_depends_on_seed_and_update_alone():
    options = NetOptions(**SIZE, learning_rate=1.0, policy="random", power=1.0)
    drawn = [learning_rate(options, b, seed=5) for b in range(50)]
    assert drawn == [learning_rate(options, b, seed=5) for b in range(50)]
    assert len(set(drawn)) == 50 and all(0 <= rate < 1 for rate in drawn)


def test_update_divides_by_images_and_decays_weights_only():
    """Two updates by hand: v = m v + g / n + d w, w -= r v; the bias does not decay."""
    net = Network.from_string(NET)
    conv, sgd = net.layers[0], SGD(net)
    conv.weight[...], conv.bias[...] = 1, .5
    x = np.arange(16, dtype=np.float32).reshape(4, 2, 2, 1) / 8
    truth = np.ones((4, 4), np.float32)
    w, c, vw, vc = 1.0, .5, 0.0, 0.0
    for _ in range(2):
        for part in (slice(0, 2), slice(2, 4)):
            net.forward(x[part], truth[part], train=True)
            net.backward()
        error = w * x.astype(np.float64) + c - 1
        vw, vc = .5 * vw + (error * x).sum() / 4 + .2 * w, .5 * vc + error.sum() / 4
        w, c = w - .1 * vw, c - .1 * vc
        assert sgd.step() == pytest.approx(.1)
        assert conv.weight.item() == pytest.approx(w, rel=1e-5)
        assert conv.bias.item() == pytest.approx(c, rel=1e-5)
    assert net.seen == 8 and sgd.update == 2


def test_step_without_images_is_refused():
    with pytest.raises(ValueError, match="forward"):
        SGD(Network.from_string(NET)).step()
