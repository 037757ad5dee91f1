"""The [region] layer: it is its kernels, it refuses a truth that cannot be, and it says which numbers fit."""
import dataclasses
from types import SimpleNamespace

import naive_region as naive
import numpy as np
import pytest
from test_region import DEFAULT, random_case, rows, train

from minidarknet import kernels
from minidarknet.errors import DataError
from minidarknet.layers.base import Layer, Misfit, Run
from minidarknet.layers.region import Region, RegionOptions


class Source(Layer):
    """A layer that is only there to be read."""

    name = "convolutional"

    def __init__(self, x, index=14):
        super().__init__(None, [], kernels, x.dtype)
        self.out, self.grad, self.shape, self.index = x, np.full_like(x, 7), x.shape[1:], index


def layer_for(x, train=True, **options):
    layer = Region(RegionOptions(**options), [Source(x)], kernels, x.dtype)
    layer.shape = layer.out_shape(x.shape[1:])
    layer.resize(len(x), train)
    return layer


def options_for(anchors, **changes):
    return {"num": len(anchors), "anchors": tuple(np.ravel(anchors)), "classes": 3, "softmax": 1, "bias_match": 1,
            "rescore": 1, "thresh": .6, "object_scale": 5., **changes}


@pytest.mark.parametrize("seen, warm_up", [(12799, True), (12800, False)])
def test_layer_is_its_kernels(seen, warm_up):
    x, anchors, truth = random_case(9)
    layer = layer_for(x, **options_for(anchors))
    run = Run(train=True, truth=truth, seen=seen, loss=1., darknet_cost=2.)
    layer.forward(run)
    expected = train(x, anchors, truth, 3, warm_up=warm_up)
    np.testing.assert_array_equal(layer.out, expected.out)
    assert run.loss == pytest.approx(1 + expected.loss.sum())
    assert run.darknet_cost == pytest.approx(2 + expected.cost.sum())
    layer.backward(run)
    np.testing.assert_array_equal(layer.sources[0].grad, expected.grad)
    layer.accumulate[0] = True
    layer.backward(run)
    np.testing.assert_allclose(layer.sources[0].grad, 2 * expected.grad)
    statistics = naive.deltas(naive.darknet_order(expected.out, 2), anchors, rows(truth),
                              **{**DEFAULT, "warm_up": warm_up})[1]
    assert run.statistics == pytest.approx({**statistics, "boxes": 2 * 3 * 4 * 2})


def test_layer_without_truth_only_activates():
    x, anchors, _ = random_case(9)
    layer = layer_for(x, train=False, **options_for(anchors))
    run = Run()
    layer.forward(run)
    np.testing.assert_array_equal(layer.out, train(x, anchors, np.zeros((2, 0, 5)), 3).out)
    assert run.loss == 0 and run.statistics == {}


@pytest.mark.parametrize("truth", [np.zeros((2, 0, 5)), np.zeros((2, 3, 5))], ids=["no rows", "empty rows"])
def test_no_objects_are_none_and_not_nan(truth):
    x, anchors, _ = random_case(9)
    layer = layer_for(x, **options_for(anchors))
    run = Run(train=True, truth=truth)
    layer.forward(run)
    assert run.statistics["count"] == 0 and run.statistics["avg_iou"] is None
    assert 0 < run.statistics["no_obj"] < 1 and np.isfinite(run.loss)


def test_layer_after_resize_and_back():
    x, anchors, truth = random_case(9)
    layer = layer_for(x, **options_for(anchors))
    layer.forward(first := Run(train=True, truth=truth))
    for shape in ((5, 6), x.shape[1:3]):
        source = layer.sources[0]
        source.out = np.zeros((2, *shape, x.shape[3])) if shape == (5, 6) else x
        source.grad = np.zeros_like(source.out)
        layer.shape = layer.out_shape((*shape, x.shape[3]))
        layer.resize(2, True)
        layer.forward(run := Run(train=True, truth=truth))
    assert run.loss == first.loss


@pytest.mark.parametrize("how", ["alone", "accumulate", "frozen", "margin", "no training"])
def test_the_gradient_is_written_where_it_is_read_or_else_copied(how):
    x, anchors, truth = random_case(9)
    layer = layer_for(x, **options_for(anchors))
    source = layer.sources[0]
    if how == "margin":
        source.grad = np.full((2, x.shape[1] + 2, x.shape[2] + 2, x.shape[3]), 7.)[:, 1:-1, 1:-1]
    source.wants_grad, layer.accumulate = how != "frozen", [how == "accumulate"]
    layer.forward(Run(train=how != "no training", truth=truth))
    assert (layer.gradient is source.grad) == (how == "alone")
    expected = layer.gradient.copy()
    assert (source.grad == 7).all() == (how != "alone")
    layer.backward(None)
    np.testing.assert_array_equal(source.grad, {"accumulate": 7 + expected, "frozen": 0 * x + 7}.get(how, expected))
    assert expected.any()


@pytest.mark.parametrize("row, words", [
    ((.5, .5, .2, .2, 3), "picture 1, row 2 .*numbered 0..2"),
    ((.5, .5, .2, .2, -1), "numbered 0..2"),
    ((.5, .5, .2, .2, 1.5), "no class"),
    ((1.01, .5, .2, .2, 0), "centre outside"),
    ((.5, -.1, .2, .2, 0), "centre outside"),
    ((.5, .5, 208, .2, 0), "larger than the picture"),
    ((.5, .5, np.nan, .2, 0), "not finite"),
    ((999999, 999999, 999999, 999999, 3), "numbered 0..2"),  # Darknet's mark of a class without a box
    ((999999, .5, .2, .2, 0), "centre outside"),
])
def test_layer_refuses_a_truth_that_cannot_be(row, words):
    x, anchors, truth = random_case(9)
    layer = layer_for(x, **options_for(anchors))
    truth[1, 2] = row
    with pytest.raises(DataError, match=words):
        layer.forward(Run(train=True, truth=truth))


@pytest.mark.parametrize("shape", [(2, 4, 6), (2, 5), (3, 4, 5)])
def test_layer_refuses_a_truth_of_another_shape(shape):
    x, anchors, _ = random_case(9)
    with pytest.raises(DataError, match="shape"):
        layer_for(x, **options_for(anchors)).forward(Run(train=True, truth=np.zeros(shape)))


def misfit(channels, section=None, **options):
    source = Source(np.zeros((1, 2, 2, channels)))
    source.section = section
    with pytest.raises(Misfit) as caught:
        Region(RegionOptions(**options), [source], kernels).out_shape((2, 2, channels))
    return str(caught.value)


def section(overridden=False, given=True):
    entry = SimpleNamespace(line=80, overridden=overridden)
    return SimpleNamespace(line=77, number=8, entry=lambda key: entry if given and key == "filters" else None)


def test_layer_says_which_filters_fit():
    message = ("expects 40 channels = num 5 x (coords 4 + 1 + classes 3), but layer 14 gives 125: "
               "set filters=40 at line 80")
    assert misfit(125, section(), num=5, classes=3) == message
    assert misfit(125, section(given=False), num=5, classes=3).endswith("set filters=40 at line 77")
    assert misfit(125, section(overridden=True), num=5, classes=3).endswith("set convolutional[8].filters=40 instead")


def test_layer_says_which_anchors_fit():
    assert "expects 10 numbers in anchors" in misfit(125, num=5, anchors=(1., 2., 3., 4.))
    assert "set num=2" in misfit(125, num=5, anchors=(1., 2., 3., 4.))
    assert "missing" in misfit(125, num=5, anchors=(1., 2., 3.))
    assert "above 0" in misfit(125, num=1, anchors=(0., 2.))
    assert "not supported yet" in misfit(125, num=5, coords=8)


def test_options_default_to_darknets():
    options = dataclasses.asdict(RegionOptions(num=2))
    assert options["anchors"] == (.5,) * 4 and options["thresh"] == .5 and options["classes"] == 20


def test_strict_mode_heeds_as_many_objects_as_darknet_has_room_for():
    x, anchors, truth = random_case(9, t=34)
    layer, losses = layer_for(x, **options_for(anchors)), []
    for strict, rows_given in ((True, 34), (True, 30), (False, 30), (False, 34)):
        layer.forward(run := Run(train=True, truth=truth[:, :rows_given], strict=strict, seen=99999))
        losses.append(run.loss)
    assert losses[0] == losses[1] == losses[2] != losses[3]
