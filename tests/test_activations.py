"""Activations: values and slopes of all of Darknet's functions, and what they do with zero, NaN and infinity."""
import numpy as np
import pytest
from conftest import framed, margin_is_zero
from gradcheck import check_gradient, check_rejected

from minidarknet.activations import ACTIVATIONS, TOLD_BY_INPUT, activation_code
from minidarknet.kernels import activation_backward, activation_forward
from minidarknet.kernels.activations import activate, activation_slope

FORMULAS = {  # independent: from the table, with NumPy's own functions and choices
    "linear": lambda x: x,
    "leaky": lambda x: np.where(x > 0, x, x / 10),
    "relu": lambda x: np.maximum(x, 0),
    "logistic": lambda x: .5 + .5 * np.tanh(x / 2),
    "loggy": lambda x: np.tanh(x / 2),
    "elu": lambda x: np.where(x >= 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507 * np.where(x >= 0, x, 1.6732 * np.expm1(x)),
    "relie": lambda x: np.where(x > 0, x, x / 100),
    "ramp": lambda x: np.where(x > 0, 1.1 * x, .1 * x),
    "tanh": np.tanh,
    "plse": lambda x: np.select([x < -4, x > 4], [.01 * (x + 4), .01 * (x - 4) + 1], .125 * x + .5),
    "stair": lambda x: np.where(np.floor(x) % 2 == 0, np.floor(x / 2), x - np.floor(x) + np.floor(x / 2)),
    "hardtan": lambda x: np.clip(x, -1, 1),
    "lhtan": lambda x: np.select([x < 0, x > 1], [.001 * x, .001 * (x - 1) + 1], x),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "swish": lambda x: x * (.5 + .5 * np.tanh(x / 2)),
    "hard_mish": lambda x: x / 2 * np.clip(x + 2, 0, 2),
    "relu6": lambda x: np.clip(x, 0, 6),
}
KINKS = {"plse": (-4, 4), "hardtan": (-1, 1), "lhtan": (0, 1), "stair": range(-9, 10), "hard_mish": (-2, 0), "relu6": (0, 6)}


def forward(x, kind):
    out = x.copy()
    activation_forward(out, kind)
    return out


def backward(told, grad_out, kind):
    grad = grad_out.copy()
    activation_backward(told, grad, kind)
    return grad


def away_from_kinks(rng, name, shape):
    """Numbers within 7 of zero, none nearer than .1 to a kink."""
    x = rng.uniform(-7, 7, shape)
    for kink in KINKS.get(name, (0,)):
        near = np.abs(x - kink) < .1
        x[near] = kink + np.where(x[near] < kink, -.1, .1) - (x[near] - kink) * .5
    return x


@pytest.mark.plain
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradient(rng, name):
    kind = activation_code(name)
    x, grad_out = away_from_kinks(rng, name, (3, 2, 3, 5)), rng.standard_normal((3, 2, 3, 5))
    out = forward(x, kind)
    np.testing.assert_allclose(out, FORMULAS[name](x), atol=1e-12)
    grad = backward(x if kind in TOLD_BY_INPUT else out, grad_out, kind)

    def loss():
        return np.sum(grad_out * forward(x, kind))

    if name == "stair":  # Darknet's slope asks the output where it should ask the input: no derivative
        np.testing.assert_array_equal(grad, np.where(np.floor(out) == out, 0, grad_out))
        return
    check_gradient(loss, x, grad, name)
    check_rejected(loss, x, -grad, grad * out)
    if kind in TOLD_BY_INPUT:
        check_rejected(loss, x, backward(out, grad_out, kind))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.plain
@pytest.mark.parametrize("name", ["mish", "swish", "hard_mish", "relu6"])
def test_far_from_zero(name):
    """Where an exponential would overflow: x or 6 on the right, 0 on the left, and slopes that say so."""
    kind, x = activation_code(name), np.array([-1e4, -800., -90., 90., 800., 1e4]).reshape(1, 1, 1, 6)
    out = forward(x, kind)
    np.testing.assert_allclose(out, np.where(x < 0, 0, 6 if name == "relu6" else x), atol=1e-30)
    grad = backward(x if kind in TOLD_BY_INPUT else out, np.ones_like(x), kind)
    np.testing.assert_allclose(grad, np.where(x < 0, 0, name != "relu6"), atol=1e-30)


@pytest.mark.plain
def test_at_the_kinks():
    """The slope at an output of exactly 0 is .1 for leaky and 0 for relu."""
    for name, slope in {"leaky": .1, "relu": 0, "relie": .01, "ramp": .1, "elu": 1, "selu": 1.0507, "hardtan": 1,
                        "lhtan": .001, "plse": .125}.items():
        assert activation_slope(0.0, activation_code(name)) == slope, name
    assert activation_slope(1.0, activation_code("hardtan")) == activation_slope(-1.0, activation_code("hardtan")) == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.plain
def test_not_a_number_stays_one():
    """Whatever diverged must remain visible: no activation turns NaN into a number."""
    for name in ACTIVATIONS:
        assert np.isnan(activate(np.float64(np.nan), activation_code(name))), name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.plain
def test_infinity_as_in_darknet():
    """relu is the product x * (x > 0), so minus infinity becomes NaN; leaky chooses, so it does not."""
    def value(name, x):
        return activate(np.float64(x), activation_code(name))

    assert np.isnan(value("relu", -np.inf)) and np.isnan(value("tanh", 400)) and np.isnan(value("elu", 800))
    assert value("leaky", -np.inf) == -np.inf and value("logistic", -1000) == 0


def test_rounded_once():
    """Darknet multiplies by the double .1 and rounds the product: not float32(.1) times x in float32."""
    x = -np.arange(1, 1001, dtype=np.float32).reshape(1, 1, 10, 100)
    out = forward(x, activation_code("leaky"))
    np.testing.assert_array_equal(out, (x.astype(np.float64) * .1).astype(np.float32))
    assert (out != x * np.float32(.1)).any()


@pytest.mark.parametrize("name", ["leaky", "logistic", "mish"])
def test_float32_in_frames(rng, name):
    kind = activation_code(name)
    x, grad_out = (rng.standard_normal((3, 5, 4, 7)).astype(np.float32) for _ in range(2))
    out, grad = framed(x), framed(grad_out)
    activation_forward(out, kind)
    told = x if kind in TOLD_BY_INPUT else out
    activation_backward(told, grad, kind)
    np.testing.assert_array_equal(out, forward(x, kind))
    np.testing.assert_array_equal(grad, backward(np.ascontiguousarray(told), grad_out, kind))
    wide = FORMULAS[name](x.astype(np.float64))
    np.testing.assert_allclose(out, wide, atol=1e-6)
    assert margin_is_zero(out) and margin_is_zero(grad)


def test_threads_change_no_bit(rng, same_bits):
    x, grad_out = (rng.standard_normal((3, 5, 4, 7)).astype(np.float32) for _ in range(2))
    same_bits(lambda: [forward(x, 3), backward(x, grad_out, 3)])
