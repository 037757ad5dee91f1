"""Why an object got its loss: equal to a training step of its own, to the naive heads, and to the loss as a whole."""
import naive_region
import naive_yolo
import numpy as np
import pytest
from small import TINY

from minidarknet import Network, parser
from minidarknet.data import annotations
from minidarknet.data.augment import Augmentation
from minidarknet.data.loader import Loader
from minidarknet.explain import explain, shares

TWO = """
[yolo]
mask={0}
anchors=5,5, 9,16, 16,9, 30,32
classes=12
num=4
ignore_thresh=.3
"""
HEADS = {  # two heads on one road: 4 x 4 and 4 x 4 cells
    "region": TINY,
    "yolo": TINY[:TINY.index("[region]")].replace("filters=51", "filters=34") + TWO.format("2,3")
            + "[route]\nlayers=3\n[convolutional]\nfilters=34\nsize=1\nactivation=linear\n" + TWO.format("0,1"),
}
CHANGES = {
    "region": [{}, {"region.thresh": .2, "region.rescore": 0}, {"region.bias_match": 0, "region.softmax": 0}],
    "yolo": [{}, {"yolo.truth_thresh": .35}],
}
CASES = [(kind, values) for kind in HEADS for values in CHANGES[kind]]


def network(kind, values, seen=0):
    net = Network(parser.override(parser.parse(HEADS[kind], "my.cfg"), values), seed=3)
    net.seen = seen
    return net


@pytest.fixture(scope="module")
def batch(drawn):
    """One picture with several objects, as the loader of a training without augmentation hands it out."""
    dataset = annotations.load(drawn, "train")
    example = max(dataset.examples, key=lambda e: (~e.difficult).sum())
    one = annotations.Dataset("one", dataset.names, [example])
    with Loader(one, 1, 0, 0, lambda step: (64, 64), Augmentation(mode="none")) as loader:
        found = next(loader)
    assert found.truth.shape[1] >= 3
    return found


@pytest.mark.parametrize("seen", [0, 20000], ids=["warm-up", "later"])
@pytest.mark.parametrize("kind, values", CASES)
def test_deltas_are_those_of_a_training_step(kind, values, seen, batch):
    """Another network makes the step; what flows back into the layer before its head is what was explained."""
    stepped, told = (network(kind, values, seen) for _ in range(2))
    stepped.forward(batch.x, batch.truth, train=True)
    stepped.backward()
    told.forward(batch.x, batch.truth, train=True)
    for row in range(batch.truth.shape[1]):
        found = explain(told, row)
        head = stepped.layers[found.layer]
        oy, ox, a = found.cell
        entries = slice(a * 17, a * 17 + 17)
        passed_back = head.sources[0].grad[0, oy, ox, entries]
        np.testing.assert_allclose([ask.gradient for ask in found.asks], passed_back, rtol=0, atol=1e-6)
        assert np.abs(passed_back).max() > 1e-3
        for ask in found.asks:
            assert ask.delta == pytest.approx(ask.weight * (ask.target - ask.out), abs=1e-6)
            assert ask.slope is None or ask.gradient == pytest.approx(-ask.delta * ask.slope, abs=1e-6)
        total = sum(found.shares.values())
        assert total == pytest.approx(stepped.loss, rel=1e-5)


@pytest.mark.parametrize("warm_up", [True, False])
def test_deltas_are_the_naive_region_heads(batch, warm_up):
    net = network("region", {}, 0 if warm_up else 20000)
    net.forward(batch.x, batch.truth, train=True)
    out, truth = naive_region.darknet_order(net.head.out.astype(float), 3), [batch.truth[0].astype(float).tolist()]
    delta, _ = naive_region.deltas(out, net.head.anchors.astype(float), truth, 1, warm_up, .6, 1, 1, (1, 5, 1, 1))
    gradient = naive_region.gradient(out, delta)
    for row in range(len(truth[0])):
        found = explain(net, row)
        oy, ox, a = found.cell
        np.testing.assert_allclose([ask.delta for ask in found.asks], delta[0, a, :, oy, ox], atol=1e-5)
        np.testing.assert_allclose([ask.gradient for ask in found.asks], gradient[0, a, :, oy, ox], atol=1e-5)
        assert found.warm_up == warm_up


def test_deltas_are_the_naive_yolo_heads(batch):
    net = network("yolo", {})
    net.forward(batch.x, batch.truth, train=True)
    truth, heads = [batch.truth[0].astype(float).tolist()], set()
    for row in range(len(truth[0])):
        found = explain(net, row)
        head = net.layers[found.layer]
        out = naive_region.darknet_order(head.out.astype(float), 2)
        delta = naive_yolo.deltas(out, head.anchors.astype(float), head.options.mask, (64, 64), truth, .3)
        oy, ox, a = found.cell
        np.testing.assert_allclose([ask.delta for ask in found.asks], delta[0, a, :, oy, ox], atol=1e-5)
        heads.add(found.layer)
        assert [one.number for one in found.anchors if one.here] == list(head.options.mask)
    assert len(heads) == 2, "the objects of this picture should go to both heads"


@pytest.mark.parametrize("kind, values", CASES)
def test_anchors_and_bystanders_are_told_as_the_head_decided(kind, values, batch):
    net = network(kind, values, 20000)
    net.forward(batch.x, batch.truth, train=True)
    ignored = pushed = 0
    for row, truth in enumerate(batch.truth[0].astype(float)):
        found = explain(net, row)
        head = net.layers[found.layer]
        assert found.cell[:2] == (int(truth[1] * head.shape[0]), int(truth[0] * head.shape[1]))
        best = max(found.anchors, key=lambda one: one.iou)
        assert best.responsible and best.here and sum(one.responsible for one in found.anchors) == 1
        size = truth[2:4] * found.extent
        if values.get("region.bias_match", 1):
            for one in found.anchors:
                assert one.iou == pytest.approx(naive_region.iou((0, 0, *one.shape), (0, 0, *size)), rel=1e-5)
        assert found.iou == pytest.approx(naive_region.iou(found.box, truth[:4]), rel=1e-4)
        for kind_of, boxes in (("ignored", found.ignored), ("pushed", found.pushed)):
            for one in boxes:
                oy, ox, a = one.cell
                assert one.cell != found.cell and one.iou == pytest.approx(naive_region.iou(one.box, truth[:4]), abs=1e-5)
                assert (one.iou > found.thresh) == (kind_of == "ignored")
                assert one.gradient == head.gradient[0, oy, ox, a * 17 + 4] and (one.gradient > 0) == (kind_of == "pushed")
        ignored, pushed = ignored + len(found.ignored), pushed + len(found.pushed)
    assert pushed > 0 and (ignored > 0 or head.ignore_thresh > .5)


def test_a_later_object_in_the_same_anchor_cell_is_named():
    net = network("region", {}, 20000)
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    truth = np.array([[(.3, .3, .2, .2, 1), (0, 0, 0, 0, 0), (.32, .3, .21, .2, 4), (.8, .8, .2, .2, 2)]])
    net.forward(x, truth, train=True)
    first, last = explain(net, 0), explain(net, 2)
    assert first.replaced_by == 2 and last.replaced_by is None and first.cell == last.cell
    assert [ask.target for ask in first.asks[5:]].index(1) == 4
    with pytest.raises(ValueError, match="row 1 of the truth of picture 0 is empty"):
        explain(net, 1)


def test_the_second_picture_of_a_batch_and_shares_of_each():
    net = network("region", {}, 0)
    rng = np.random.default_rng(0)
    x = rng.random((2, 64, 64, 3), np.float32)
    truth = np.array([[(.3, .3, .2, .2, 1)], [(.6, .7, .5, .4, 3)]])
    net.forward(x, truth, train=True)
    found = [explain(net, 0, image) for image in range(2)]
    assert found[1].cell[:2] == (2, 2) and found[1].truth[4] == 3
    assert sum(sum(one.shares.values()) for one in found) == pytest.approx(2 * net.loss, rel=1e-5)
    assert found[0].shares["drawn to the priors"] >= 0 and found[0].shares["no object here"] > 0
    assert shares(net, -1, None)["box"] == 0      # nobody's object: everything is the others'


@pytest.mark.parametrize("last, also, survives", [
    ("activation=linear", "", True), ("activation=leaky", "", False), ("activation=linear\nbatch_normalize=1", "", False),
    ("activation=leaky", "[route]\nlayers=1\n[convolutional]\nfilters=16\nactivation=linear\n", True)])
def test_the_gradient_after_backward(rng, last, also, survives):
    """It lies in the source's grad, which backward changes if that layer bends or norms; not if another reads it, too."""
    conv = "[convolutional]\nfilters=16\n"
    region = "[region]\nanchors=1,1.5,2,.7\nclasses=3\nnum=2\nsoftmax=1\nbias_match=1\nthresh=.6\n"
    net = Network.from_string(f"[net]\nwidth=32\nheight=32\nchannels=3\n{conv}activation=leaky\n{conv}{last}\n{region}"
                              + (also and also + region))
    net.forward(rng.random((1, 32, 32, 3), np.float32), np.array([[(.3, .3, .2, .2, 1)]]), train=True)
    before = explain(net, 0)
    net.backward()
    if survives:
        assert explain(net, 0) == before and any(ask.gradient for ask in before.asks)
    else:
        with pytest.raises(ValueError, match="forward.* again"):
            explain(net, 0)


def test_without_a_truth_there_is_nothing_to_explain():
    net = network("region", {})
    net.predict(np.zeros((1, 64, 64, 3), np.float32))
    with pytest.raises(ValueError, match="no loss to explain"):
        explain(net, 0)


def test_explaining_changes_nothing():
    net = network("region", {}, 0)
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    net.forward(x, np.array([[(.3, .3, .2, .2, 1)]]), train=True)
    before = [array.copy() for array in (net.head.out, net.head.gradient, net.head.target, net.head.weight, net.head.match)]
    explain(net, 0)
    for was, array in zip(before, (net.head.out, net.head.gradient, net.head.target, net.head.weight, net.head.match)):
        np.testing.assert_array_equal(was, array)
