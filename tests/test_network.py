"""The network as a whole: backends against each other, resizing, frozen layers, refusals."""
import numpy as np
import pytest
from small import BODY, REGION, small_network

from minidarknet import Network
from minidarknet.errors import CfgError, UsageError
from minidarknet.optimizer import SGD


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    x = rng.random((2, 16, 16, 3))
    truth = np.array([[[.3, .4, .3, .2, 1], [.7, .7, .25, .5, 2]], [[.5, .2, .4, .3, 0], [0, 0, 0, 0, 0]]])
    return x, truth


def test_engine_and_kernels_agree(batch):
    """Same weights, same batch: outputs, losses and gradients within float32 rounding (slope 1: no switch points)."""
    nets = [small_network(backend=backend) for backend in ("engine", "kernels")]
    losses = []
    for net in nets:
        losses.append(net.forward(*batch, train=True))
        net.backward()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for a, b in zip(nets[0].layers, nets[1].layers):
        if a.out is None:
            continue  # fused with its pooling
        np.testing.assert_allclose(a.out, b.out, rtol=1e-4, atol=1e-5, err_msg=f"layer {a.index} [{a.name}]")
    for a, b in zip(nets[0].params, nets[1].params):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-3, atol=2e-4 * np.abs(b.grad).max(), err_msg=a.name)
    np.testing.assert_allclose(nets[0].predict(batch[0]), nets[1].predict(batch[0]), rtol=1e-4, atol=1e-5)


def test_margins_stay_zero(batch):
    """Whatever layers write, the frame around a picture stays zero: padded convolutions read it."""
    net = small_network(activation="leaky")
    for _ in range(2):
        net.forward(*batch, train=True)
        net.backward()
    checked = 0
    for layer in (net.input, *net.layers):
        for buffer in layer._buffers.values():
            margin = (buffer.frame.shape[1] - layer.shape[0]) // 2
            if margin:
                inside = buffer.frame[:, margin:-margin, margin:-margin]
                assert np.count_nonzero(buffer.frame) == np.count_nonzero(inside), layer.name
                checked += 1
    assert checked >= 3


def test_permuting_the_batch_permutes_the_output(batch):
    x, _ = batch
    net = small_network(activation="leaky")
    np.testing.assert_array_equal(net.predict(x)[::-1], net.predict(x[::-1]))


def test_resizing_there_and_back_gives_equal_bits(batch):
    x, _ = batch
    net = small_network(activation="leaky")
    before = net.predict(x)
    net.resize((32, 24))
    assert net.predict(np.zeros((1, 24, 32, 3), np.float32)).shape == (1, 6, 8, 16)
    net.resize((16, 16))
    np.testing.assert_array_equal(net.predict(x), before)


def test_batch_size_may_change_between_calls(batch):
    x, truth = batch
    net = small_network(activation="leaky")
    both = net.predict(x)
    np.testing.assert_allclose(net.predict(x[:1]), both[:1], rtol=1e-5, atol=1e-6)
    net.forward(x, truth, train=True)
    np.testing.assert_allclose(net.predict(x), like(net).predict(x), rtol=1e-5, atol=1e-6)


def like(net):
    """A second network with the same weights and rolling statistics."""
    other = small_network(activation="leaky")
    for a, b in zip(net.layers, other.layers):
        for mine, theirs in zip(a.stored, b.stored):
            theirs.array[...] = mine.array
    return other


def test_short_history_of_rolling_statistics_is_corrected(batch):
    """After one batch the rolling statistics are that batch's own, not a hundredth of them."""
    net = small_network(activation="leaky")
    net.forward(*batch, train=True)
    norm = net.layers[0].norm
    count = 2 * 16 * 16
    np.testing.assert_allclose(norm.rolling_mean, norm.mean, rtol=1e-6)
    np.testing.assert_allclose(norm.rolling_variance, norm.variance * count / (count - 1), rtol=1e-6)
    means = [norm.mean.copy()]
    for shift in (.1, .2):
        net.forward(batch[0] + shift, batch[1], train=True)
        means.append(norm.mean.copy())
    weights = .99 ** np.arange(2, -1, -1)
    np.testing.assert_allclose(norm.rolling_mean, np.average(means, axis=0, weights=weights), rtol=1e-5)


def test_stopbackward_freezes_what_lies_below(batch):
    text = BODY.format(activation="leaky").replace("[convolutional]\nfilters=4\nsize=1\nstride=1",
                                                   "[convolutional]\nstopbackward=1\nfilters=4\nsize=1\nstride=1")
    net = Network.from_string(text + REGION.format(rescore=0))
    before = [s.array.copy() for s in net.layers[0].stored if s.name in ("weight", "bias", "scale")]
    sgd = SGD(net)
    net.forward(*batch, train=True)
    net.backward()
    sgd.step()
    after = [s.array for s in net.layers[0].stored if s.name in ("weight", "bias", "scale")]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)
    assert not any(layer.grad is not None for layer in net.layers[:3])


def test_a_loss_of_ones_own(batch):
    """backward(grad) takes dL/dout of a net without a head: here L = sum of the outputs."""
    net = Network.from_string(BODY.format(activation="linear"), backend="kernels", dtype=np.float64)
    net.forward(batch[0], train=True)
    net.backward(np.ones(net.layers[-1].out.shape))
    np.testing.assert_allclose(net.layers[-1].grad_bias, np.full(16, 2 * 4 * 4))


@pytest.mark.parametrize("x, words", [
    (np.zeros((1, 8, 16, 3), np.float32), "net.resize"),
    (np.zeros((16, 16, 3), np.float32), r"\(b, 16, 16, 3\)"),
    (np.zeros((1, 16, 16, 3), np.uint8), "divide by 255"),
])
def test_wrong_input_is_refused(x, words):
    with pytest.raises(ValueError, match=words):
        small_network().predict(x)


def test_backward_wants_a_training_pass_with_truth(batch):
    net = small_network()
    net.predict(batch[0])
    with pytest.raises(ValueError, match="train=True"):
        net.backward()
    net.forward(batch[0], train=True)
    with pytest.raises(ValueError, match="truth"):
        net.backward()
    with pytest.raises(ValueError, match="brings its own loss"):
        net.backward(np.ones(1))


def test_backward_runs_once_for_each_forward(batch):
    for net in (small_network(), small_network(fused=False)):
        net.forward(*batch, train=True)
        with pytest.raises(ValueError, match="brings its own loss"):
            net.backward(np.ones(1))
        net.backward()
        with pytest.raises(ValueError, match="call forward"):
            net.backward()
        net.forward(*batch, train=True)
        net.backward()


def test_float64_needs_the_kernels():
    with pytest.raises(ValueError, match="kernels"):
        small_network(dtype=np.float64)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="engine, kernels"):
        small_network(backend="cuda")


def test_wrong_filters_name_the_right_number_and_line():
    with pytest.raises(CfgError, match=r"expects 16 channels = num 2 x \(coords 4 \+ 1 \+ classes 3\), "
                                       r"but layer 11 gives 15: set filters=16 at line \d+"):
        Network.from_string(BODY.format(activation="leaky").replace("filters=16", "filters=15")
                            + REGION.format(rescore=0))


def test_a_route_to_nowhere_is_refused():
    with pytest.raises(CfgError, match=r":\d+ \[route\] .*layers=-9"):
        Network.from_string(BODY.format(activation="leaky").replace("layers=-2", "layers=-9")
                            + REGION.format(rescore=0))


def test_classifiers_do_not_detect():
    net = Network.from_string(BODY.format(activation="leaky") + "[avgpool]\n[softmax]\n")
    with pytest.raises(UsageError, match="classifies"):
        net.detect(np.zeros((4, 4, 3), np.uint8))


def test_boxes_of_something_else_are_refused():
    net = small_network()
    with pytest.raises(ValueError, match=r"pass what predict gave"):
        net.boxes(np.zeros((1, *net.input.shape), np.float32))
