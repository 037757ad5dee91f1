"""miniature.py: YOLO9000 in miniature (examples/yolo9000_in_miniature.py runs the whole of it in test_examples.py)."""
from dataclasses import replace
from pathlib import Path

import make_data as make
import numpy as np
import pytest
from small import TREE

from minidarknet import evaluate, miniature
from minidarknet.data.annotations import load
from minidarknet.errors import DataError, MinidarknetError, UsageError
from minidarknet.metrics import Boxes
from minidarknet.network import Network
from minidarknet.wordtree import read_tree

NODES = read_tree(Path(__file__).parents[1] / "minidarknet/cfg/sample.tree").names


@pytest.fixture
def experiment(tmp_path, drawn):
    return miniature.Miniature(drawn, miniature.plan_for(drawn), tmp_path / "mini")


def test_the_plan_is_chosen_by_the_classes(tmp_path, drawn):
    assert miniature.plan_for(drawn) is miniature.SAMPLE
    voc = make.voc(tmp_path / "VOC", {"a": [make.thing("cat", 1, 1, 30, 20)]}, {"train": ["a"], "val": ["a"]})
    assert miniature.plan_for(voc) is miniature.VOC
    other = make.yolo(tmp_path, {"a": "0 .5 .5 .2 .2"}, ("x", "y"), "val")
    with pytest.raises(DataError, match="has the classes x, y; expected"):
        miniature.plan_for(other)


def test_the_map_of_the_boxes_hides_the_unseen_behind_their_parents(experiment):
    experiment.prepare()
    known = [NODES[int(line)] for line in experiment.files["boxes"].read_text().split()]
    names = experiment.validation.names
    assert {name: node for name, node in zip(names, known) if name != node} == \
        {"square": "polygon", "ring": "round", "star": "sign"}
    assert [NODES[int(line)] for line in experiment.files["all"].read_text().split()] == list(names)
    assert sorted(p.name for p in (experiment.crops / "train").iterdir()) == sorted(names)


def test_chance_names_one_box_in_four(experiment):
    """Perfect boxes of all parents: given all names at once, one in four is right; named by chance, few are found at all."""
    examples, names = experiment.validation.examples, experiment.validation.names
    parents = experiment.tree.parent[experiment.map]
    found = []
    for k in range(len(names)):
        rows = [(i, box) for i, e in enumerate(examples) for box, kind in zip(e.box_px, e.classes)
                if (parents[kind] == parents[k] if experiment.unseen[k] else kind == k)]
        found.append(Boxes(np.array([i for i, _ in rows]), np.array([box for _, box in rows]).reshape(-1, 4),
                           np.random.default_rng(k).random(len(rows))))
    results = experiment.chance(found, 0)
    unseen = [[np.mean([c.ap10 for c, hidden in zip(e.per_class, experiment.unseen) if hidden]) for e in results[name]]
              for name in ("by chance", "all at once")]
    assert .01 < np.mean(unseen[0]) < .2 < np.mean(unseen[1]) < .6 and len(unseen[0]) == miniature.DRAWS
    for c, hidden in zip(results["by chance"][0].per_class, experiment.unseen):
        assert hidden or c.ap10 == 1


def test_means_are_over_classes_and_spread_over_seeds(capsys):
    rows = [dict(zip(miniature.COLUMNS, (arm, seed, name, name == "a", ap, ap)))
            for arm in miniature.ARMS for seed in (0, 1) for name, ap in (("a", .2 + .2 * seed), ("b", .5), ("c", .7))]
    assert miniature.means(rows, True)["joint"] == pytest.approx([.2, .4])
    assert miniature.means(rows, False)["joint"] == pytest.approx([.6, .6])
    assert "joint        0.300 +- 0.141   0.600 +- 0.000" in miniature.table(rows)


def test_unseen_classes_that_are_none(drawn, tmp_path):
    with pytest.raises(DataError, match="rung not among them"):
        miniature.Miniature(drawn, replace(miniature.SAMPLE, unseen=("rung",)), tmp_path)
    voc = make.voc(tmp_path / "VOC", {"a": [make.thing("person", 1, 1, 30, 20)]}, {"train": ["a"], "val": ["a"]})
    with pytest.raises(UsageError, match="a root has no parent"):
        miniature.Miniature(voc, replace(miniature.VOC, unseen=("person",)), tmp_path).prepare()


def test_a_leaf_is_scored_by_its_own_probability(tmp_path, drawn):
    """The score of a class is objectness * P(class), through whichever map it is read."""
    (tmp_path / "t.cfg").write_text(TREE)
    net = Network.from_cfg(tmp_path / "t.cfg")
    for stored in net.layers[-2].stored:
        stored.array[...] = 0
    data, x = load(drawn, "val"), np.zeros((1, 64, 64, 3), np.float32)
    fine = evaluate.boxes_of(net, net.predict(x), data)[2]
    np.testing.assert_allclose(fine, 1 / 12, rtol=1e-6)
    (tmp_path / "b.map").write_text("0\n" * 12)
    coarse = Network.from_cfg(tmp_path / "t.cfg", overrides={"region.map": str(tmp_path / "b.map")})
    for stored in coarse.layers[-2].stored:
        stored.array[...] = 0
    np.testing.assert_allclose(evaluate.boxes_of(coarse, coarse.predict(x), data)[2], 1 / 3, rtol=1e-6)


def test_the_trainings_are_those_of_the_plan(experiment):
    trainings = experiment.trainings(2)
    assert [t.folder for t in trainings] == ["boxes-0", "joint-0", "all-boxes-0", "boxes-1", "joint-1", "all-boxes-1"]
    assert {(t.updates, t.batch) for t in trainings} == {(6000, 8)}
    boxes, joint, everything = (experiment.words(t) for t in trainings[:3])
    assert joint[:len(boxes)] == boxes and joint[len(boxes):len(boxes) + 2] == ["--joint", str(experiment.crops)]
    assert [a for a, b in zip(boxes, everything) if a != b] == [f"region.map={experiment.files['boxes']}"]


def test_a_training_that_fails_is_told(tmp_path, drawn):
    plan = replace(miniature.plan_for(drawn), updates=1, settings=("region.anchors=1,2",))
    with pytest.raises(MinidarknetError, match="mini/(boxes|joint|all-boxes)-0: exit code 2, see .*-0.log"):
        miniature.main(drawn, plan, 1, tmp_path / "mini")
    assert "expects 6 numbers in anchors" in (tmp_path / "mini/boxes-0.log").read_text()


def test_trainings_of_another_plan_are_not_taken_for_this_one(experiment, tmp_path, drawn):
    experiment.prepare()
    experiment.prepare()
    with pytest.raises(UsageError, match="mini holds the trainings of another plan"):
        miniature.Miniature(drawn, replace(miniature.SAMPLE, updates=7), tmp_path / "mini").prepare()
