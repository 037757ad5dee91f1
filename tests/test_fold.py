"""Folding batch norm: the same outputs without it, in both epsilons, here and in OpenCV."""
import numpy as np
import pytest
from small import BODY, REGION
from test_onnx_export import pictures, randomised

from minidarknet import Network, fold, parser, weights

TEXTS = {"detector": BODY.format(activation="leaky") + REGION.format(rescore=0),
         "classifier": "[net]\nwidth=9\nheight=7\nchannels=3\n[conv]\nfilters=4\nsize=3\nbatch_normalize=1\ngroups=1\n"
                       "[batchnorm]\n[connected]\noutput=8\nbatch_normalize=1\nactivation=relu\n"
                       "[connected]\noutput=5\nactivation=linear\n"}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_the_same_outputs(name, strict):
    net = randomised(Network.from_string(TEXTS[name], backend="kernels", strict_darknet_cpu=strict))
    net.seen = 77
    for layer in net.layers:
        if getattr(layer, "norm", None):
            layer.norm.rolling_variance[0] = 1e-3   # here the epsilons differ by 1 part in 200
    other = fold.folded(net)
    x = pictures(net)
    out = net.predict(x)
    def difference(folded):
        return abs(folded.predict(x) - out).max() / abs(out).max()
    assert difference(other) < 1e-5
    assert other.seen == 77 and not any(getattr(layer.options, "batch_normalize", 0) for layer in other.layers)
    assert sum(s.array.size for layer in other.layers for s in layer.stored) \
        == sum(s.array.size for layer in net.layers for s in layer.stored) \
        - sum(3 * layer.shape[2] for layer in net.layers if getattr(layer.options, "batch_normalize", 0))
    wrong = Network(net.cfg, backend="kernels", strict_darknet_cpu=not strict)
    for mine, theirs in zip(wrong.layers, net.layers):
        for a, b in zip(mine.stored, theirs.stored):
            a.array[...] = b.array
    assert difference(fold.folded(wrong)) > 1e-4, "the other epsilon would not be noticed"


def test_the_network_itself_stays_as_it_is():
    net = randomised(Network.from_string(TEXTS["detector"], backend="kernels"))
    before = [stored.array.copy() for layer in net.layers for stored in layer.stored]
    fold.folded(net)
    assert all(np.array_equal(a, s.array) for a, s in zip(before, [s for layer in net.layers for s in layer.stored]))


def test_opencv_reads_what_was_folded(tmp_path):
    cv2 = pytest.importorskip("cv2")
    net = randomised(Network.from_string(TEXTS["detector"], backend="kernels", fused=False))
    other = fold.folded(net)
    (tmp_path / "a.cfg").write_text(parser.render(other.cfg))
    weights.save(other, tmp_path / "a.weights")
    theirs = cv2.dnn.readNetFromDarknet(str(tmp_path / "a.cfg"), str(tmp_path / "a.weights"))
    x = pictures(net, 1)
    net.predict(x)
    theirs.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    out = theirs.forward(f"conv_{len(net.layers) - 2}")
    np.testing.assert_allclose(out.transpose(0, 2, 3, 1), net.layers[-2].out, atol=1e-4)
