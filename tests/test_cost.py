"""The losses of [cost]: values, gradients, Darknet's golden numbers, and what its keys change."""
import numpy as np
import pytest
import small
from gradcheck import check_gradient, check_rejected

from minidarknet import Network
from minidarknet.kernels import cost_l1, cost_smooth, cost_sse, cost_wgan

KERNELS = {  # type: (kernel, further arguments, error, share of the error's sum that is differentiated)
    "sse": (cost_sse, (), lambda d: d ** 2, .5),
    "smooth": (cost_smooth, (1,), lambda d: np.where(abs(d) < 1, d ** 2, 2 * abs(d) - 1), .5),
    "L1": (cost_l1, (), abs, 1),
}


def measured(kernel, x, truth, *more):
    error, grad = np.full_like(x, np.nan), np.full_like(x, np.nan)
    kernel(x, truth, error, grad, *more)
    return error, grad


def case(rng, shape):
    """x and truth, every distance well off the kinks at 0 and 1."""
    truth = rng.standard_normal(shape)
    distance = np.where(rng.random(shape) < .5, rng.uniform(.1, .9, shape), rng.uniform(1.1, 3, shape))
    distance *= rng.choice([-1, 1], shape)
    return truth + distance, truth


@pytest.mark.plain
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (3, 125)])
def test_values_and_gradient(rng, shape, name):
    kernel, more, formula, share = KERNELS[name]
    x, truth = case(rng, shape)
    error, grad = measured(kernel, x, truth, *more)
    np.testing.assert_allclose(error, formula(x - truth), atol=1e-12)

    def loss():
        return share * measured(kernel, x, truth, *more)[0].sum()
    check_gradient(loss, x, grad, kernel.__name__)
    check_rejected(loss, x, -grad, 2 * grad, x)


@pytest.mark.plain
def test_a_critic(rng):
    x, truth = rng.standard_normal((3, 7)), rng.integers(0, 2, (3, 7)).astype(float)
    error, grad = measured(cost_wgan, x, truth)
    np.testing.assert_array_equal(error, np.where(truth == 1, -x, x))
    check_gradient(lambda: measured(cost_wgan, x, truth)[0].sum(), x, grad, "cost_wgan")
    check_rejected(lambda: measured(cost_wgan, x, truth)[0].sum(), x, -grad, x)


def test_golden_smooth():
    """Differences truth - x of .5, -.5, 3, -3; delta is -gradient: in the CPU build the sign of the far ones is wrong."""
    x, truth = -np.array([[.5, -.5, 3, -3]]), np.zeros((1, 4))
    assert measured(cost_smooth, x, truth, -1)[1].tolist() == [[-.5, .5, 1, -1]]
    assert measured(cost_smooth, x, truth, 1)[1].tolist() == [[-.5, .5, -1, 1]]


@pytest.mark.parametrize("kernel, more", [(cost_sse, ()), (cost_smooth, (1,)), (cost_l1, ()), (cost_wgan, ())])
def test_float32_and_threads(rng, same_bits, kernel, more):
    x, truth = rng.standard_normal((2, 3, 200))
    error, grad = measured(kernel, x.astype(np.float32), truth.astype(np.float32), *more)
    for got, want in zip((error, grad), measured(kernel, x, truth, *more), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    same_bits(lambda: measured(kernel, x, truth, *more))


# ---- the layer

def trained(x, truth, strict=False, **options):
    """A network of nothing but a convolution that passes its input on, and [cost], after forward and backward."""
    lines = "\n".join(f"{key}={value}" for key, value in options.items())
    net = Network.from_string(f"[net]\nwidth={x.shape[1]}\nheight=1\nchannels=1\n[convolutional]\nactivation=linear\n"
                              f"[cost]\n{lines}\n", backend="kernels", dtype=np.float64, strict_darknet_cpu=strict)
    net.layers[0].weight = 1
    net.forward(x[:, None, :, None], truth, train=True)
    net.backward()
    return net, net.layers[0].grad[:, 0, :, 0]


@pytest.mark.parametrize("kind", ["sse", "seg", "masked", "smooth", "L1", "wgan"])
def test_every_type_has_its_gradient(rng, kind):
    x, truth = case(rng, (2, 9))
    truth = (truth > 0).astype(float) if kind == "wgan" else truth
    x = x if kind != "L1" else truth + np.where(x > truth, .7, -.7)
    _, grad = trained(x, truth, type=kind, scale=.3)
    check_gradient(lambda: 2 * trained(x, truth, type=kind, scale=.3)[0].loss, x, grad, kind)  # two pictures


def test_masked_asks_nothing_of_the_unknown(rng):
    x, truth = rng.standard_normal((2, 2, 6))
    truth[0, 2] = truth[1, 5] = -1234
    net, grad = trained(x, truth, type="masked")
    assert (grad == 0).sum() == 2 and grad[0, 2] == grad[1, 5] == 0
    known = truth != -1234
    assert 2 * net.darknet_cost == pytest.approx(((x - truth)[known] ** 2).sum())
    assert net.loss == pytest.approx(net.darknet_cost / 2)


def test_seg_weighs_what_is_nothing(rng):
    x, truth = rng.standard_normal((2, 6)), np.array([[1., 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]])
    weight = np.where(truth == 0, .25, 1)
    net, grad = trained(x, truth, type="seg", noobj=.25)
    np.testing.assert_allclose(grad, weight * (x - truth))
    assert 2 * net.loss == pytest.approx((weight * (x - truth) ** 2).sum() / 2)
    np.testing.assert_allclose(trained(x, truth, type="seg", noobj=.25, strict=True)[1], x - truth)
    np.testing.assert_allclose(trained(x, truth, type="sse", noobj=.25)[1], x - truth)


def test_small_gradients_are_dropped():
    x, truth = np.array([[.1, -.1, .3, -.3]]), np.zeros((1, 4))
    net, grad = trained(x, truth, thresh=.8)  # .8 / 4 numbers
    np.testing.assert_allclose(grad, [[0, 0, .3, -.3]])
    assert net.loss == pytest.approx(.09) and net.darknet_cost == pytest.approx(.2)
    np.testing.assert_allclose(trained(x, truth, thresh=.8, strict=True)[1], x)


def test_the_cpu_build_trains_its_critic_with_squares(rng):
    x, truth = rng.standard_normal((1, 5)), np.array([[1., 0, 1, 1, 0]])
    np.testing.assert_allclose(trained(x, truth, type="wgan", strict=True)[1], x - truth)
    np.testing.assert_allclose(trained(x, truth, type="wgan")[1], np.where(truth == 1, -1, 1))
    np.testing.assert_allclose(trained(3 * x, 0 * x, type="smooth", strict=True)[1],
                               np.where(abs(3 * x) < 1, 3 * x, -np.sign(x)))


def test_an_unknown_type(tmp_path):
    with pytest.raises(Exception, match="expected one of sse, seg, masked, smooth, L1, wgan; did you mean L1"):
        Network.from_string(f"{small.HEAD}\n[cost]\ntype=l1\n")
