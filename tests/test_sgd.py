"""The update: momentum, decay, and what Darknet's way of writing it comes to. (Two whole steps: test_batchnorm.py.)"""
import numpy as np
import pytest

from minidarknet.kernels import sgd_update


def steps(value, gradients, rate, momentum, decay, images):
    """Apply one update per gradient; returns (value, grad, velocity)."""
    value, velocity = value.copy(), np.zeros_like(value)
    for gradient in gradients:
        grad = gradient.copy()
        sgd_update(value, grad, velocity, rate, momentum, decay, images)
    return value, grad, velocity


@pytest.mark.plain
@pytest.mark.parametrize("n", [1, 3, 1001])
def test_is_darknets_update(rng, n):
    """Darknet carries sums of negative gradients: u = momentum * u - grad - decay * N * w;  w += rate / N * u."""
    start, gradients = rng.standard_normal(n), rng.standard_normal((3, n))
    weight, update = start.copy(), np.zeros(n)
    for gradient in gradients:
        update = .9 * update - gradient - .0005 * 64 * weight
        weight = weight + .01 / 64 * update
    value, grad, velocity = steps(start, gradients, .01, .9, .0005, 64)
    np.testing.assert_allclose(value, weight, atol=1e-13)
    np.testing.assert_allclose(velocity, -update / 64, atol=1e-13)
    assert (grad == 0).all()


@pytest.mark.plain
def test_each_term_alone():
    one = np.ones(1)
    assert steps(one, [8 * one], .5, 0., 0., 4)[0] == 0                   # 1 - .5 * 8 / 4
    assert steps(one, [0 * one], .5, 0., .5, 4)[0] == .75                 # decay pulls to zero
    assert steps(one, [one, 0 * one], 1., .5, 0., 1)[0] == -.5            # 1 - 1 - .5


def test_walks_to_the_bottom_of_a_bowl(rng):
    """L = |value - goal|^2 / 2 has the gradient value - goal."""
    goal, value, velocity = rng.standard_normal(5), np.zeros(5), np.zeros(5)
    for _ in range(200):
        sgd_update(value, value - goal, velocity, .1, .9, 0., 1)
    np.testing.assert_allclose(value, goal, atol=1e-3)


def test_float32_and_threads(rng, same_bits):
    start, gradients = rng.standard_normal(1001).astype(np.float32), rng.standard_normal((3, 1001)).astype(np.float32)
    wide = steps(start.astype(np.float64), gradients.astype(np.float64), .1, .9, .0005, 8)
    for got, want in zip(steps(start, gradients, .1, .9, .0005, 8), wide, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
    same_bits(lambda: steps(start, gradients, .1, .9, .0005, 8))
