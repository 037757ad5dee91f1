"""The heads of classifiers: [softmax] and [cost], alone and one behind the other as in Darknet's classifier cfgs."""
import numpy as np
import pytest

from minidarknet import kernels
from minidarknet.errors import DataError
from minidarknet.layers.base import Layer, Misfit, Run
from minidarknet.layers.cost import Cost, CostOptions
from minidarknet.layers.flat import flatten, unflatten
from minidarknet.layers.softmax import Softmax, SoftmaxOptions


class Source(Layer):
    """A layer that is only there to be read."""

    def __init__(self, x):
        super().__init__(None, [], kernels, x.dtype)
        self.out, self.grad, self.shape = x, np.full_like(x, 7), x.shape[1:]


def build(cls, source, options, wants_grad=False):
    layer = cls(options, [source], kernels, source.dtype)
    layer.shape = layer.out_shape(source.shape)
    layer.wants_grad = wants_grad  # the network says so of a layer that another one reads
    layer.resize(len(source.out), True)
    return layer


PLAIN, PLAIN_COST = SoftmaxOptions(), CostOptions()


def heads(x, cost=False, softmax_options=PLAIN, cost_options=PLAIN_COST):
    """[softmax], and behind it [cost] if asked for."""
    source = Source(x)
    layers = [build(Softmax, source, softmax_options, wants_grad=cost)]
    if cost:
        layers.append(build(Cost, layers[0], cost_options))
    return source, layers


def train(layers, truth):
    run = Run(train=True, truth=truth)
    for layer in layers:
        layer.forward(run)
    for layer in reversed(layers):
        layer.backward(run)
    return run


def numeric(x, truth, step=1e-6, **options):
    """dloss/dx by central differences."""
    result = np.empty_like(x)
    for i in np.ndindex(x.shape):
        losses = []
        for sign in (1, -1):
            there = x.copy()
            there[i] += sign * step
            losses.append(train(heads(there, **options)[1], truth).loss)
        result[i] = (losses[0] - losses[1]) / (2 * step)
    return result


def random_case(shape=(2, 1, 1, 6), classes=None, seed=0):
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape[1:]))
    truth = np.eye(n)[rng.integers(0, n, shape[0])]
    return rng.normal(size=shape), truth


# ---- [softmax]

def test_golden_temperature():
    _, (softmax,) = heads(np.array([1., 2, 3]).reshape(1, 1, 1, 3), softmax_options=SoftmaxOptions(temperature=2.))
    softmax.forward(Run())
    np.testing.assert_allclose(softmax.out.ravel(), [.1863237, .3071959, .5064804], atol=1e-7)


def test_golden_loss():
    source, layers = heads(np.array([1., 2]).reshape(1, 1, 1, 2))
    run = train(layers, np.array([[0., 1]]))
    np.testing.assert_allclose(source.grad.ravel(), [.2689414, -.2689414], atol=1e-7)  # Darknet's delta is minus this
    assert run.loss == pytest.approx(.3132617) and run.darknet_cost == pytest.approx(.3132617)


def test_golden_doubled_by_cost():
    source, layers = heads(np.array([1., 2]).reshape(1, 1, 1, 2), cost=True)
    run = train(layers, np.array([[0., 1]]))
    np.testing.assert_allclose(source.grad.ravel(), [2 * .2689414, -2 * .2689414], atol=1e-7)
    assert run.loss == pytest.approx(2 * .3132617)
    assert run.darknet_cost == pytest.approx(.3132617 + 2 * .2689414 ** 2)  # the network divides by the two heads


@pytest.mark.parametrize("options", [
    {}, {"cost": True}, {"cost": True, "cost_options": CostOptions(scale=.3)},
    {"softmax_options": SoftmaxOptions(temperature=3.)},
    {"softmax_options": SoftmaxOptions(noloss=1), "cost": True},
    {"softmax_options": SoftmaxOptions(temperature=3.), "cost": True},
], ids=str)
@pytest.mark.parametrize("shape", [(3, 1, 1, 6), (2, 2, 3, 2)])
def test_gradient(shape, options):
    x, truth = random_case(shape)
    source, layers = heads(x, **options)
    train(layers, truth)
    np.testing.assert_allclose(source.grad, numeric(x, truth, **options), atol=1e-7)
    assert np.abs(source.grad).max() > .01


def test_gradient_of_groups():
    x, _ = random_case()
    truth = np.array([[0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 1.]])  # one class of each group of three
    options = {"softmax_options": SoftmaxOptions(groups=2)}
    source, layers = heads(x, **options)
    train(layers, truth)
    np.testing.assert_allclose(layers[0].out.reshape(2, 2, 3).sum(axis=2), 1)
    np.testing.assert_allclose(source.grad, numeric(x, truth, **options), atol=1e-7)
    np.testing.assert_allclose(source.grad.reshape(2, 6), layers[0].out.reshape(2, 6) - truth)


def test_gradient_check_notices():
    x, truth = random_case()
    source, layers = heads(x)
    train(layers, truth)
    expected = numeric(x, truth)
    for spoilt in (-source.grad, source.grad * 2, source.grad[..., ::-1]):
        assert np.abs(spoilt - expected).max() > .01


def test_soft_truth_costs_darknet_every_log():
    x, _ = random_case((1, 1, 1, 3))
    truth = np.array([[.9, .1, 0]])
    _, layers = heads(x)
    run = train(layers, truth)
    p = layers[0].out.ravel()
    assert run.loss == pytest.approx(-.9 * np.log(p[0]) - .1 * np.log(p[1]))
    assert run.darknet_cost == pytest.approx(-np.log(p[0]) - np.log(p[1]))


def test_darknets_order_of_the_inputs():
    """Channel by channel, in each row by row."""
    x = np.arange(12.).reshape(1, 2, 3, 2)
    assert flatten(x)[0].tolist() == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]
    np.testing.assert_array_equal(unflatten(flatten(x), x.shape[1:]), x)


def test_without_truth_and_without_loss():
    x, truth = random_case()
    _, layers = heads(x, cost=True)
    run = Run()
    for layer in layers:
        layer.forward(run)
    assert run.loss == 0 and (layers[1].out == 0).all()
    np.testing.assert_allclose(layers[0].out.sum(axis=3), 1)
    source, (softmax,) = heads(x, softmax_options=SoftmaxOptions(noloss=1))
    assert not softmax.trains_from_truth
    assert train([softmax], truth).loss == 0 and (source.grad == 0).all()


def test_accumulates_where_it_is_not_the_first():
    x, truth = random_case()
    source, layers = heads(x)
    train(layers, truth)
    once = source.grad.copy()
    layers[0].accumulate[0] = True
    train(layers, truth)
    np.testing.assert_allclose(source.grad, 2 * once)


def test_softmax_misfits():
    for options, words in ((SoftmaxOptions(groups=4), "divide the 6"), (SoftmaxOptions(groups=0), "divide"),
                           (SoftmaxOptions(temperature=0.), "above 0")):
        with pytest.raises(Misfit, match=words):
            heads(np.zeros((1, 1, 1, 6)), softmax_options=options)


@pytest.mark.parametrize("truth", [np.zeros((2, 5)), np.zeros((2, 3, 5)), np.full((2, 6), np.nan)], ids=str)
def test_truth_that_does_not_fit(truth):
    x, _ = random_case()
    with pytest.raises(DataError, match="softmax.*truth"):
        train(heads(x)[1], truth)


# ---- [cost]

def test_cost_alone():
    rng = np.random.default_rng(0)
    x, truth = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 24))
    source = Source(x)
    cost = build(Cost, source, CostOptions(scale=2.))
    run = train([cost], truth)
    difference = x - truth.reshape(2, 4, 2, 3).transpose(0, 2, 3, 1)  # the truth is in Darknet's order
    np.testing.assert_allclose(source.grad, 2 * difference)
    np.testing.assert_allclose(cost.out, difference ** 2)
    assert run.loss == pytest.approx((difference ** 2).sum())
    assert run.darknet_cost == pytest.approx((difference ** 2).sum())  # without the scale
    with pytest.raises(DataError, match="cost"):
        train([cost], truth[:, 1:])
