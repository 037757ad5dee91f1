"""Is a gradient the derivative of its function? Numeric differentiation answers, and says what looks wrong.

For every element (or a random choice of them) and along random directions v:
    <grad, v>  against  (L(a + step v) - L(a - step v)) / (2 step)      central differences, in float64
where L is a kernel's output projected on a fixed random upstream gradient. The inputs must lie away from kinks
(leaky at 0, ties of a maximum), where no derivative exists.
"""
import contextlib

import numba
import numpy as np

STEP = 1e-5        # truncation ~ step^2, rounding ~ 1e-16 / step: both far below the tolerance
TOLERANCE = 1e-6
ELEMENTS = 60      # checked one by one; more are sampled
DIRECTIONS = 3     # and these see all elements at once


class GradientMismatch(AssertionError):
    """A gradient that is not the derivative; the message names the place and the likely mistake."""


@contextlib.contextmanager
def one_thread():
    """Hundreds of tiny kernel calls: on a busy machine, waiting for a second thread would take nearly all the time."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def numeric_derivative(loss, array, direction, step=STEP):
    """(loss(array + step direction) - loss(array - step direction)) / (2 step); `array` is changed and restored."""
    before = array.copy()
    array[...] = before + step * direction
    above = loss()
    array[...] = before - step * direction
    below = loss()
    array[...] = before
    return (above - below) / (2 * step)


@one_thread()
def check_gradient(loss, array, grad, name="gradient", tolerance=TOLERANCE, step=STEP, seed=0):
    """Compare a claimed gradient with numeric derivatives.

    loss: function without arguments, a float computed from the present contents of `array` (float64). grad: the
    claimed d loss / d array, of the same shape. Raises GradientMismatch when the relative error exceeds `tolerance`.
    """
    assert array.dtype == np.float64, "numeric differentiation needs float64"
    assert grad.shape == array.shape, f"{name}: gradient of shape {grad.shape} for an array of shape {array.shape}"
    rng = np.random.default_rng(seed)
    flat = rng.permutation(array.size)[:ELEMENTS]
    claimed, numeric = grad.reshape(-1)[flat], np.empty(flat.size)
    for i, element in enumerate(flat):
        direction = np.zeros(array.size)
        direction[element] = 1
        numeric[i] = numeric_derivative(loss, array, direction.reshape(array.shape), step)
    size = max(np.abs(claimed).max(), np.abs(numeric).max(), 1e-12)
    error = np.abs(claimed - numeric) / size
    if not error.max() <= tolerance:  # also when it is NaN
        worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
        raise GradientMismatch(_explain(name, array.shape, flat[worst], claimed, numeric, worst, error[worst], tolerance))
    for _ in range(DIRECTIONS):
        direction = rng.standard_normal(array.shape)
        along, slope = np.sum(grad * direction), numeric_derivative(loss, array, direction, step)
        # the yardstick is the gradient's length, not the slope, which chance may make small
        error = abs(along - slope) / max(np.linalg.norm(grad), abs(slope), 1e-12)
        if not error <= tolerance:
            raise GradientMismatch(
                f"{name}: <grad, v> = {along:.9g} along a random direction v, but the function changes by {slope:.9g} "
                f"(relative error {error:.2g}, allowed {tolerance:.0e}), although the elements tried one by one agree: "
                "look for elements that are never written, at borders and in the last group, block or channel.")


def check_network(net, x, grad, names=("weight",), tolerance=1e-5):
    """Check the gradients of all parameters with these names in all layers of `net`, and return the function checked.

    net: Network in float64 on backend="kernels", its last layer without a loss of its own. x: its input. grad: dL/dout
    of the last layer, random. Several layers deep rounding adds up, hence the tolerance.
    """
    def loss():
        net.forward(x, train=True)
        return np.sum(net.layers[-1].out * grad)

    loss()
    net.backward(grad)
    for layer in net.layers:
        for param in layer.params:
            if param.name in names:
                check_gradient(loss, param.value, param.grad, f"layer {layer.index} {param.name}", tolerance)
    return loss


def _explain(name, shape, element, claimed, numeric, worst, error, tolerance):
    """The message of a mismatch: where, how much, and the mistake that the pattern suggests."""
    where = tuple(int(i) for i in np.unravel_index(element, shape))
    small = 1e-9 * np.abs(numeric).max()
    agree = np.mean(np.abs(claimed - numeric) <= tolerance * np.abs(numeric).max())
    ratio = claimed[np.abs(numeric) > small] / numeric[np.abs(numeric) > small]
    if not np.isfinite(claimed).all():
        hint = "the gradient is not finite: a division by zero, or memory that was never written"
    elif ratio.size and np.allclose(ratio, -1, atol=1e-4):
        hint = "every element has the wrong sign: +dL/d is wanted, Darknet's delta is -dL/d"
    elif ratio.size and np.allclose(ratio, ratio[0], rtol=1e-4):
        hint = f"every element is {ratio[0]:.6g} times too large: a constant factor, such as 1/M, 1/2 or a scale"
    elif np.all(np.abs(claimed[np.abs(claimed - numeric) > tolerance * np.abs(numeric).max()]) <= small):
        hint = "the wrong elements are all zero: a part of the loop is never reached, or a term is dropped"
    elif np.allclose(np.sort(claimed), np.sort(numeric), atol=1e-4 * np.abs(numeric).max()):
        hint = "the values are right but in other places: an index is transposed, flipped or shifted"
    else:
        hint = "a term is missing or an index is off: compare the forward line quoted beside each backward line"
    return (f"{name}: at {where} the gradient says {claimed[worst]:.9g}, but the function changes by "
            f"{numeric[worst]:.9g} (relative error {error:.2g}, allowed {tolerance:.0e}; "
            f"{agree:.0%} of the elements agree). Likely: {hint}.")


def check_rejected(loss, array, *wrong, name="negative control"):
    """Assert that every wrong gradient is refused: a check that accepts anything proves nothing."""
    for i, grad in enumerate(wrong):
        try:
            check_gradient(loss, array, grad, name)
        except GradientMismatch:
            continue
        raise AssertionError(f"{name}: wrong gradient number {i} passed the gradient check")
