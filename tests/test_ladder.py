"""The ladder: every rung differs from the one below in one trick and nothing else; what is trained for it, and when."""
import numpy as np
import pytest

from minidarknet import clusters, ladder, parser
from minidarknet.data import annotations
from minidarknet.errors import CfgError
from minidarknet.network import Network
from minidarknet.paths import BUNDLED, resolve

KEYS = {    # what may differ from the file below, where the layers are the same
    "batch-norm.cfg": {"convolutional.batch_normalize"},
    "dimension-priors.cfg": {"region.anchors", "region.num", "convolutional.filters"},
    "location-prediction.cfg": {"region.direct_location"},
    "multi-scale.cfg": {"region.random"},
    "high-resolution.cfg": {"net.width", "net.height"},
}
FILES = list(dict.fromkeys(rung.cfg for rung in ladder.RUNGS))
WORK = ladder.Work(images=1000, batch=8, class_batch=32, pretrained=10, fine_tuned=2)


def read(name):
    return parser.read(BUNDLED / "ladder" / name)


def sections(name):
    """[(section's name, {key: value})] of a file of the ladder."""
    return [(section.name, {entry.key: entry.value for entry in section.entries}) for section in read(name).sections]


def below(name):
    return sections(FILES[FILES.index(name) - 1])


@pytest.mark.parametrize("name", KEYS)
def test_one_trick_a_rung(name):
    own, other = sections(name), below(name)
    assert [kind for kind, _ in own] == [kind for kind, _ in other]
    changed = {f"{kind}.{key}" for (kind, one), (_, two) in zip(own, other) for key in one.keys() | two.keys()
               if one.get(key) != two.get(key)}
    assert changed == KEYS[name]


def test_anchors_keep_the_pretrained_layers_and_drop_a_reduction_and_the_connected_layers():
    own, other = sections("anchors.cfg"), below("anchors.cfg")
    assert own[1:1 + ladder.LAYERS] == other[1:1 + ladder.LAYERS]
    # 14 x 14 cells became 13 x 13, and what has no connected layers bears twice the rate
    assert {**own[0][1], "width": "224", "height": "224", "learning_rate": ".005"} == other[0][1]
    assert own[16][1] == {**other[16][1], "stride": "1"}   # 14 x 14 was reduced to 7 x 7; 13 x 13 stays
    assert {kind for kind, _ in other} - {kind for kind, _ in own} == {"connected", "dropout", "detection"}


def test_new_network_changes_the_pretrained_layers_alone():
    own, other = sections("new-network.cfg"), below("new-network.cfg")
    assert own[0] == other[0] and own[1 + ladder.LAYERS:] == other[1 + ladder.LAYERS:]
    old, new = (Network(read(f"classifier-{name}.cfg"), arrays=False) for name in ("batch-norm", "new-network"))
    work = [sum(layer.operations() for layer in net.layers) for net in (old, new)]
    assert .55 < work[1] / work[0] < .75    # the paper: 5.58 of 8.52 billion


def test_passthrough_is_put_in():
    own, other = sections("passthrough.cfg"), below("passthrough.cfg")
    put_in = [kind for kind, _ in own[17:21]]
    assert put_in == ["route", "convolutional", "reorg", "route"] and own[:17] + own[21:] == other
    net = Network(read("passthrough.cfg"), arrays=False)
    assert net.layers[16].shape[:2] == (26, 26) and net.layers[19].shape == (13, 13, 128 + 4 * 16)


def test_yolo_is_yolo():
    """Paper: 7 x 7 x 30 = 1470 outputs for VOC's 20 classes, 98 boxes, lambda 5 and .5, roots of width and height."""
    net = Network(parser.with_classes(read("yolo.cfg"), 20), arrays=False)
    assert net.layers[-2].shape == (1, 1, 1470) and net.head.grid == (7, 7) and net.head.per_cell == 2
    o = net.head.options
    assert (o.coord_scale, o.noobject_scale, o.sqrt, o.softmax) == (5, .5, 1, 0)


@pytest.mark.parametrize("name", FILES)
def test_the_layers_handed_on_are_the_classifiers(name):
    rung = next(rung for rung in ladder.RUNGS if rung.cfg == name)
    assert sections(name)[1:1 + ladder.LAYERS] == sections(rung.classifier)[1:1 + ladder.LAYERS]


def test_bundled_anchors_are_those_of_the_sample_set_and_of_faster_rcnn():
    priors = parser.read(BUNDLED / "ladder" / "dimension-priors.cfg")
    shapes = clusters.shapes(annotations.load("sample", "train").examples, (208, 208))
    anchors = np.array(Network(priors, arrays=False).head.options.anchors).reshape(-1, 2)
    np.testing.assert_allclose(anchors, clusters.kmeans(shapes, ladder.ANCHORS) * ladder.GRID, atol=.006)
    picked = np.array(Network(read("anchors.cfg"), arrays=False).head.options.anchors).reshape(-1, 2)
    np.testing.assert_allclose(picked, clusters.HAND_PICKED * ladder.GRID, atol=.006)


@pytest.mark.parametrize("name", ["yolo", "ladder/yolo.cfg"])
def test_its_cfgs_answer_to_their_folder_only(name):
    with pytest.raises(CfgError):
        resolve(name)
    assert resolve("cfg/ladder/yolo.cfg") == resolve("cfg/ladder/yolo") == BUNDLED / "ladder" / "yolo.cfg"


def test_steps_share_the_pretraining_and_see_equally_many_pictures():
    steps = ladder.steps(ladder.RUNGS, range(2), WORK, "1,1")
    assert len({step.folder for step in steps}) == len(steps) == 2 * (3 + 2 + 9)
    for number, step in enumerate(steps):
        assert step.needs is None or step.needs in [other.folder for other in steps[:number]]
    assert {step.updates * step.batch for step in steps if not step.crops} == {1000}
    begun = {step.folder: step.needs for step in steps}
    assert begun["seed-1/yolo"] == "seed-1/classifier-yolo"
    assert begun["seed-1/batch-norm"] == "seed-1/classifier-batch-norm"
    assert begun["seed-1/high-resolution-classifier"] == begun["seed-1/anchors"] == "seed-1/classifier-batch-norm-224"
    assert "seed-0/high-resolution-detector" not in begun


def test_rungs_are_chosen_by_name_and_need_only_theirs():
    rungs = ladder.chosen(["high-resolution-detector", "yolo"])
    assert [rung.name for rung in rungs] == ["yolo", "high-resolution-detector"]
    assert [step.folder for step in ladder.steps(rungs, [4], WORK, "1,1")] == [
        "seed-4/classifier-yolo", "seed-4/yolo", "seed-4/classifier-new-network", "seed-4/classifier-new-network-224",
        "seed-4/multi-scale"]
    with pytest.raises(KeyError):
        ladder.chosen(["yolo", "yolov5"])
