"""Training and scoring networks over a tree of labels, from outside: class names, run folders that move, what is refused."""
import json
import re
import shutil

import numpy as np
import pytest
from small import CLASSIFIER, TINY, rows, run, train

from minidarknet import cli, detect, evaluate
from minidarknet.data import annotations
from minidarknet.detections import Detections
from minidarknet.network import Network
from minidarknet.paths import BUNDLED

TREE = CLASSIFIER.replace("filters=12", "filters=15") + "tree=my.tree\n"
DETECTOR = TINY.replace("filters=51", "filters=60").replace("classes=12", "classes=15") + "tree=my.tree\n"


@pytest.fixture(scope="module")
def crops(tmp_path_factory, drawn):
    """The objects of the drawn pictures, a folder of classes."""
    folder = tmp_path_factory.mktemp("tree") / "crops"
    assert run("crops", "--data", drawn, "--out", folder).returncode == 0
    return folder


@pytest.fixture
def place(tmp_path):
    """A folder with c.cfg, a classifier, d.cfg, a detector, and the tree of the sample set that both use."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "c.cfg").write_text(TREE)
    (folder / "d.cfg").write_text(DETECTOR)
    shutil.copy(BUNDLED / "sample.tree", folder / "my.tree")
    return folder


def test_a_run_over_a_tree_outlives_the_folder_it_began_in(place, crops):
    """12 classes find their nodes among 15 by name; then everything is moved, resumed, scored and used."""
    out = place.parent / "run"
    done = train(place / "c.cfg", crops, out, "--max-batches", 2)
    assert done.returncode == 0, done.stderr
    assert "rebuilt" not in done.stderr
    assert {"model.cfg", "model.tree", "model.names"} <= {p.name for p in out.iterdir()}
    whole = place.parent / "whole"
    assert train(place / "c.cfg", crops, whole, "--max-batches", 4).returncode == 0
    shutil.rmtree(place)
    moved = out.rename(place.parent / "moved")
    done = train(place / "c.cfg", crops, moved, "--max-batches", 4, "--resume")
    assert done.returncode == 0, done.stderr
    assert (moved / "weights/last.weights").read_bytes() == (whole / "weights/last.weights").read_bytes()
    one, two = ([(row["step"], row["loss"], row["top1"]) for row in rows(folder)[2:]] for folder in (moved, whole))
    assert one == two
    found = place.parent / "found.json"
    done = run("evaluate", moved / "model.cfg", moved / "weights/last.weights", "--data", crops, "--json", found)
    assert done.returncode == 0, done.stderr
    score = json.loads(found.read_text())
    assert score["top1"] == pytest.approx(float(rows(moved)[-1]["top1"]), abs=1e-6), "as the training said"
    assert len(score["hierarchy"]["levels"]) == 2 and score["hier"] == .5
    assert "level 1 " in done.stdout and "walk  right " in done.stdout
    picture = next((crops / "val").rglob("*.jpg"))
    done = run("detect", moved / "model.cfg", moved / "weights/last.weights", picture, "--out", place.parent / "detected")
    assert done.returncode == 0, done.stderr
    line = re.search(r": (\w+) (0\.\d+) \((\w+) (0\.\d+), ", done.stdout)
    tree = Network.from_cfg(moved / "model.cfg").tree
    word, leaf = tree.number[line[1]], tree.number[line[3]]
    assert tree.is_leaf[leaf] and (float(line[2]) > .5 or tree.parent[word] == -1), "the word is sure, or a root"
    assert float(line[4]) <= float(line[2]) or float(line[2]) <= .5
    for name, kind in (("square", "polygon"), ("ring", "ring")):
        shutil.copytree(crops / "val" / name, place.parent / "words/val" / kind)
    done = run("evaluate", moved / "model.cfg", moved / "weights/last.weights", "--data", place.parent / "words")
    assert done.returncode == 0 and "warning: polygon: words above others. Guesses are leaves" in done.stderr, done.stderr


def test_a_tree_is_learnt_by_its_leaves(place, crops):
    """The first pictures by heart: guesses are leaves, and the logged top1 is theirs."""
    out = place.parent / "run"
    done = train(place / "c.cfg", crops, out, "--overfit", 12, "--max-batches", 150, "--set", "net.learning_rate=.02")
    assert done.returncode == 0, done.stderr
    found = rows(out)
    assert float(found[-1]["top1"]) > .9 and float(found[-1]["train_top1"]) > .7 and float(found[-1]["loss"]) < .7
    net = Network.from_cfg(out / "model.cfg", weights=out / "weights/last.weights")
    net.resize_mode = "crop"
    data = evaluate.in_classes_of(net, annotations.load(crops, "train", None, 12, True))
    score = evaluate.accuracy(net, data, quiet=True)
    assert score.top1 > .9 and score.levels[0] >= score.levels[1] == score.top1 and net.tree.is_leaf[score.best].all()
    vague = evaluate.accuracy(net, data, quiet=True, hier=1)
    assert vague.depth == 1 and vague.exact == 0, "above threshold 1 nothing is: roots"


@pytest.mark.parametrize("mapped", [False, True])
def test_a_detector_over_a_tree(place, drawn, mapped):
    """Classes become nodes by name, or by a map; the saved run says the same of a picture."""
    if mapped:
        (place / "d.cfg").write_text(DETECTOR + "map=my.map\n")
        shutil.copy(BUNDLED / "sample.map", place / "my.map")
    out = place.parent / "run"
    done = train(place / "d.cfg", drawn, out, "--max-batches", 2, "--no-multiscale")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(place)
    assert (out / "model.map").exists() == mapped
    done = run("evaluate", out / "model.cfg", out / "weights/last.weights", "--data", drawn, "--json", out / "e.json")
    assert done.returncode == 0, done.stderr
    score = json.loads((out / "e.json").read_text())
    assert score["map_voc07"] == pytest.approx(float(rows(out)[-1]["map_voc07"]), abs=1e-6)
    assert score["per_class"]["star"]["truths"] > 0
    if not mapped:  # every object counts for the words above it
        inner, own = score["inner_nodes"], {name: one["truths"] for name, one in score["per_class"].items()}
        assert inner["polygon"]["truths"] == sum(own[name] for name in ("triangle", "square", "pentagon", "angle")) > 0
        assert set(inner) == {"polygon", "round", "sign"} and "the words above them" in done.stdout
    done = train(place / "d.cfg", drawn, out, "--max-batches", 3, "--no-multiscale", "--resume")
    assert done.returncode == 0, done.stderr


def test_names_and_a_map_teach_the_same(place, drawn):
    """The sample's map holds the nodes of its names: the weights are equal to the last bit."""
    (place / "m.cfg").write_text(DETECTOR + "map=my.map\n")
    shutil.copy(BUNDLED / "sample.map", place / "my.map")
    outs = [place.parent / name for name in ("by-name", "by-map")]
    for cfg, out in zip(("d.cfg", "m.cfg"), outs):
        done = train(place / cfg, drawn, out, "--max-batches", 2, "--no-multiscale")
        assert done.returncode == 0, done.stderr
    one, two = ((out / "weights/last.weights").read_bytes() for out in outs)
    assert one == two


def test_a_map_of_another_data_set_gives_way_to_the_names(place, drawn):
    (place / "d.cfg").write_text(DETECTOR + "map=my.map\n")
    (place / "my.map").write_text("0\n1\n")
    out = place.parent / "run"
    done = train(place / "d.cfg", drawn, out, "--max-batches", 1, "--no-multiscale")
    assert done.returncode == 0, done.stderr
    assert rows(out)[0]["class"], "there was something to learn"


def test_a_tree_of_ones_own(place, crops, drawn):
    """Another tree than the cfg's has other nodes: the head is rebuilt for them."""
    text = (place / "my.tree").read_text()
    lines = [line.split() for line in text.splitlines()]
    grown = "thing -1\n" + "".join(f"{name} {int(parent) + 1 if parent != '-1' else 0}\n" for name, parent in lines)
    (place / "own.tree").write_text(grown)
    for cfg, data, option in (("c.cfg", crops, "softmax.tree"), ("d.cfg", drawn, "region.tree")):
        out = place.parent / cfg
        done = train(place / cfg, data, out, "--max-batches", 1, "--no-multiscale", "--set",
                     f"{option}={place / 'own.tree'}")
        assert done.returncode == 0, done.stderr
        assert "the cfg has 15, the tree 16: the head is rebuilt for the tree" in done.stderr
        net = Network.from_cfg(out / "model.cfg")
        assert net.classes == 16 and net.names[0] == "thing"


def test_classes_that_are_no_node_are_named(place, crops, drawn):
    tree = (place / "my.tree").read_text().replace("star 2", "sta 2").replace("heart 2", "zebra 2")
    (place / "my.tree").write_text(tree)
    for cfg, data in (("c.cfg", crops), ("d.cfg", drawn)):
        done = train(place / cfg, data, place.parent / "x")
        assert done.returncode == 3 and "Traceback" not in done.stderr
        assert "'heart', 'star' (near: sta) (2 of 12) are no node" in done.stderr, done.stderr
        assert not (place.parent / "x").exists()
    net = Network.from_cfg(place / "c.cfg")
    with pytest.raises(evaluate.DataError, match="are no node"):
        evaluate.in_classes_of(net, annotations.load(crops, "val", None, None, True))


def test_guesses_of_a_tree_are_leaves(place, capsys):
    """A net that knows nothing: a root has .33, its leaves less; still leaves are named."""
    net = Network.from_cfg(place / "c.cfg")
    for layer in net.layers[-3:-2]:
        layer.weight[...] = 0
    named = detect.top(net, np.zeros((64, 64, 3), np.uint8), 15)
    assert {one["class_id"] for one in named[:12]} == set(range(3, 15)) and named[-1]["confidence"] == 0
    assert cli.run(evaluate.main, ["--help"]) == 0 and "71.9 % top-1   90.4 % top-5" in capsys.readouterr().out


def test_words_above_the_classes_of_a_detector(place, drawn):
    """Boxes that are right, of the wrong kind of polygon: nothing is found of squares, of polygons everything."""
    net = Network.from_cfg(place / "d.cfg")
    data = evaluate.in_classes_of(net, annotations.load(drawn, "train"))
    polygon, square = net.tree.number["polygon"], net.tree.number["square"]
    under = [net.tree.number[name] for name in ("triangle", "square", "pentagon", "angle")]
    found = {}
    for one in data.examples:
        mine = np.isin(one.classes, under)
        box = np.concatenate([one.box_px[mine] - 1] * 2)
        kind = np.repeat([polygon, net.tree.number["star"]], mine.sum())
        found[one.id] = Detections(box, np.ones(len(kind)), kind, data.names)
    inner = {c.name: c for c in evaluate.inner_nodes(found, data, net.tree)}
    assert inner["polygon"].ap10 == 1 and inner["polygon"].truths == data.counts[under].sum()
    assert inner["sign"].ap10 == inner["round"].ap10 == 0 and square not in inner
