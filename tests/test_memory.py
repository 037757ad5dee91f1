"""After the first steps nothing large is allocated any more: buffers, working memory and packed weights are kept."""
import tracemalloc

import numpy as np
import pytest

from minidarknet import Network
from minidarknet.optimizer import SGD

SLACK = 1 << 18  # bytes for Python's own objects, statistics and rows of channels


def peak_of(work):
    """Bytes allocated at most at any time during work(), above what was there before; the least of three times."""
    peaks = []
    for _ in range(3):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            work()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()
    return min(peaks)


@pytest.fixture(scope="module")
def net():
    return Network.from_cfg("yolov2-nano", overrides={"net.width": 96, "net.height": 96})


def test_a_training_step_allocates_nothing(net):
    rng = np.random.default_rng(0)
    x = rng.random((4, *net.input.shape), np.float32)
    truth = np.tile(np.array([.5, .5, .3, .3, 0], np.float32), (4, 1, 1))
    sgd = SGD(net)

    def step():
        net.forward(x, truth, train=True)
        net.backward()
        sgd.step()
    for _ in range(3):
        step()
    assert peak_of(step) < SLACK
    assert sum(layer.grad_weight.nbytes for layer in net.layers if hasattr(layer, "grad_weight")) > 4 * SLACK


def test_a_prediction_allocates_its_result(net):
    x = np.random.default_rng(0).random((4, *net.input.shape), np.float32)
    for _ in range(3):
        out = net.predict(x)
    assert peak_of(lambda: net.predict(x)) < SLACK + out.nbytes


def test_smaller_sizes_reuse_the_buffers(net):
    x = {size: np.random.default_rng(0).random((2, size, size, 3), np.float32) for size in (96, 64)}
    for size in (96, 64, 96, 64):
        net.resize((size, size))
        net.predict(x[size])

    def there_and_back():
        for size in (96, 64):
            net.resize((size, size))
            net.predict(x[size])
    assert peak_of(there_and_back) < SLACK + 2 * net.head.out.nbytes
    net.resize((96, 96))
