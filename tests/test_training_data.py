"""training_data.py, and `train --joint` from outside: data and network agree about the classes; labels without boxes."""
import json
from pathlib import Path

import make_data as make
import numpy as np
import pytest
from small import TINY, TREE, run, train

from minidarknet import cli, training_data
from minidarknet import train as train_command
from minidarknet.data import crops
from minidarknet.data.annotations import load
from minidarknet.data.augment import Augmentation
from minidarknet.data.example import NO_BOX
from minidarknet.data.loader import Loader
from minidarknet.errors import DataError
from minidarknet.network import Network
from minidarknet.wordtree import read_tree

NODES = read_tree(Path(__file__).parents[1] / "minidarknet/cfg/sample.tree").names


@pytest.fixture
def boxes(tmp_path):
    """Five pictures of cats and dogs with boxes."""
    return load(make.voc(tmp_path / "VOC", {id: [make.thing("cat", 1, 1, 30, 20)] for id in "abcde"}), "train")


@pytest.fixture
def numbered(tmp_path):
    """t.cfg over a tree with WordNet's numbers for names; beside it what they mean: two are called crane."""
    (tmp_path / "t.cfg").write_text(TREE.replace("classes=15", "classes=4").replace("filters=60", "filters=27").replace(
        "tree=sample.tree\nmap=sample.map", "tree=my.tree"))
    (tmp_path / "my.tree").write_text("n01 -1\nn02 -1\nn03 0\nn04 1\n")
    (tmp_path / "my.names").write_text("animal\nthing\ncrane\ncrane\n")
    return tmp_path / "t.cfg"


def joined(cfg, boxes, folder):
    """The nodes of the pictures without boxes that train --joint FOLDER would learn."""
    net = Network.from_cfg(cfg)
    data = type(boxes)("mine", ("animal",), [e.only(slice(None), np.zeros_like(e.classes)) for e in boxes.examples])
    args = train_command.arguments().parse_args([str(cfg), "--joint", str(folder)])
    training_data.complete(args)
    both, _ = training_data.fit(net, data, data, args)
    return [int(e.unboxed[0]) for e in both.examples[both.count:]]


def test_joint_folders_may_have_the_trees_own_names(numbered, boxes, tmp_path):
    """As ImageNet's have: n03 and n04 are two birds and machines of one name."""
    assert joined(numbered, boxes, make.class_folders(tmp_path / "c", {"n04": 1, "n03": 1, "Thing": 1})) == [1, 2, 3]
    with pytest.raises(DataError, match=r"my.tree: of the classes of d 'crane' \(n03, n04\) are several nodes"):
        joined(numbered, boxes, make.class_folders(tmp_path / "d", {"crane": 1}))


def test_what_cannot_be_learned_is_refused(tmp_path, drawn, capsys):
    cfg, folder = tmp_path / "my.cfg", make.class_folders(tmp_path / "classes", {"hart": 1})
    cfg.write_text(TREE)

    def refused(*words):
        assert cli.main(["train", str(cfg), "--data", str(drawn), "--out", str(tmp_path / "out"), "--max-batches", "1",
                         *words]) != 0
        return capsys.readouterr().err
    assert "'hart' (near: heart) (1 of 1) are no node" in refused("--joint", str(folder))
    assert "expected BOXES:CLASSES" in refused("--joint", str(make.class_folders(tmp_path / "c", {"star": 1})),
                                               "--joint-ratio", "4")
    assert "holds boxes; a classifier needs" in refused("--joint", str(drawn))
    assert "argument --joint-smallest: '0' is not above 0" in refused("--joint", str(folder), "--joint-smallest", "0")
    for option, value in (("--joint-ratio", "1:4"), ("--joint-smallest", "1")):
        assert f"{option} says how pictures of --joint DATA are shown: give that as well" in refused(option, value)
    assert "no such data" in refused("--joint", str(tmp_path / "none"))
    for head in ("[avgpool]\n[softmax]\n", "[yolo]\nclasses=12\nnum=3\nmask=0,1,2\nanchors=9,9,20,20,30,30\n"):
        cfg.write_text(TINY.split("[region]")[0] + head)     # of the classifier train builds the last layer anew
        data = () if "yolo" in head else ("--data", str(folder), "--val-split", "train")
        assert "expected one with a [region] head" in refused("--joint", str(folder), *data)
    assert not (tmp_path / "out").exists()


def test_a_flat_net_learns_classes_of_its_own(tmp_path, drawn):
    cfg, out = tmp_path / "flat.cfg", tmp_path / "out"
    cfg.write_text(TINY)
    folder = make.class_folders(tmp_path / "classes", {"heart": 2, "star": 1})
    done = train(cfg, drawn, out, "--joint", folder, "--joint-ratio", "1:1", "--max-batches", 2)
    assert done.returncode == 0, done.stderr
    (tmp_path / "list.txt").write_text("".join(f"{p}\n" for p in sorted(folder.rglob("*.png"))))
    (tmp_path / "labels.txt").write_text("/heart/\n/star/\n")
    (tmp_path / "names.txt").write_text("heart\nstar\n")
    (tmp_path / "c.data").write_text("train=list.txt\nlabels=labels.txt\nnames=names.txt\n")
    listed = train(cfg, drawn, tmp_path / "list", "--joint", tmp_path / "c.data", "--joint-ratio", "1:1", "--max-batches", 2)
    assert listed.returncode == 0 and "3 with a class alone to train" in listed.stderr, listed.stderr
    assert (tmp_path / "list/weights/last.weights").read_bytes() == (out / "weights/last.weights").read_bytes()
    done = train(cfg, drawn, tmp_path / "other", "--joint", make.class_folders(tmp_path / "more", {"polygon": 1}))
    assert done.returncode == 3 and "'polygon' (1 of 1) are no class" in done.stderr


# ---- labels with x = y = 0

def test_labels_without_a_box(tmp_path, capsys):
    """Darknet's hidden way: any width and height, and numbers of the network's, which the data's names do not bound."""
    file = make.yolo(tmp_path, {"a": "0 .5 .5 .2 .2\n14 0 0 0 0\n", "b": "1 0 0.0 .1 .1\n", "c": "1 0 .5 .1 .1\n"})
    data = load(file, "train")
    assert [e.unboxed.tolist() for e in data] == [[14], [1], []] and [len(e.classes) for e in data] == [1, 0, 1]
    assert len(data.problems) == 1 and "c.txt:1" in str(data.problems[0])    # x alone is 0: an ordinary box, sticking out
    assert data.unboxed == 2 and data.backgrounds == 0
    (tmp_path / "labels/c.txt").unlink()
    assert cli.main(["check", "--data", str(file)]) == 0
    assert "1 without objects, 2 with a class but no box (x = y = 0)" in capsys.readouterr().out
    with Loader(data, 3, 4, 0, lambda step: (64, 64), Augmentation(mode="none")) as loader:
        truth = next(loader)
    marks = {id: rows[rows[:, 0] == NO_BOX, 4].tolist() for id, rows in zip(truth.ids, truth.truth)}
    assert marks == {"a": [14], "b": [1], "c": []}


@pytest.mark.parametrize("label", ["-1 0 0 0 0", "1.5 0 0 0 0", "99999999 0 0 0 0", "cat 0 0 0 0", "0 0 0 0"])
def test_labels_without_a_box_need_a_class(tmp_path, label):
    data = load(make.yolo(tmp_path, {"a": f"0 .5 .5 .5 .5\n{label}\n"}), "train")
    assert len(data.problems) == 1 and not data.unboxed


def test_such_labels_in_training(tmp_path, capsys):
    names = [name for name in NODES if name not in ("polygon", "round", "sign")]
    file = make.yolo(tmp_path / "d", {"a": "0 .5 .5 .2 .2\n", "b": "15 0 0 0 0\n"}, sorted(names))
    (tmp_path / "t.cfg").write_text(TREE)
    net, data = Network.from_cfg(tmp_path / "t.cfg"), load(file, "train")
    with pytest.raises(DataError, match=r"b.png: its label has class 15 without a box .*numbered 0 to 14"):
        training_data.learnable(net, data)
    (tmp_path / "d/labels/b.txt").write_text("14 0 0 0 0\n")
    assert training_data.learnable(net, load(file, "train")).unboxed == 1
    yolo = TINY.split("[region]")[0] + "[yolo]\nclasses=12\nnum=3\nmask=0,1,2\nanchors=9,9,20,20,30,30\n"
    assert training_data.learnable(Network.from_string(yolo), load(file, "train")).unboxed == 0
    assert "1 pictures have a class without a box" in capsys.readouterr().err


def test_such_labels_alone_can_be_learned(tmp_path, capsys):
    """By a [region]; where no head learns from them nothing is left."""
    file = make.yolo(tmp_path / "d", {"a": "3 0 0 0 0\n", "b": "4 0 0 0 0\n"}, [f"c{k}" for k in range(12)])
    file.write_text(file.read_text() + "valid=train.txt\n")
    (tmp_path / "t.cfg").write_text(TINY)
    done = train(tmp_path / "t.cfg", file, tmp_path / "out", "--max-batches", 2)
    assert done.returncode == 0 and "0 pictures with boxes and 2 with a class alone to train" in done.stderr, done.stderr
    (tmp_path / "t.cfg").write_text(
        TINY.split("[region]")[0] + "[yolo]\nclasses=12\nnum=3\nmask=0,1,2\nanchors=9,9,20,20,30,30\n")
    done = train(tmp_path / "t.cfg", file, tmp_path / "none", "--max-batches", 2)
    assert done.returncode == 3 and "no object in 2 pictures to train on; there is nothing to learn" in done.stderr


# ---- the command, from outside

@pytest.fixture(scope="module")
def trained(tmp_path_factory, drawn):
    """Four updates of joint training on the drawn set and on crops of it: (folder, data, what it printed)."""
    folder = tmp_path_factory.mktemp("joint")
    (folder / "t.cfg").write_text(TREE)
    crops.write_split(load(drawn, "train"), folder / "crops", "train")
    done = train(folder / "t.cfg", drawn, folder / "out", "--joint", folder / "crops", "--joint-ratio", "1:1",
                 "--joint-smallest", ".3", "--max-batches", 4)
    assert done.returncode == 0, done.stderr
    return folder, drawn, done


def test_a_joint_training_says_and_records_what_it_learns_from(trained):
    folder, _, done = trained
    pictures = sum(1 for _ in (folder / "crops/train").rglob("*.jpg"))
    assert f"24 pictures with boxes and {pictures} with a class alone to train, 1 to 1 in turn" in done.stderr
    assert "15 classes" in done.stderr and "rebuilt" not in done.stderr
    recorded = json.loads((folder / "out/args.json").read_text())
    assert recorded["pictures"] == {"boxes": 24, "classes": pictures} and recorded["arguments"]["joint_ratio"] == "1:1"
    assert (folder / "out/model.names").read_text().split() == list(NODES)


def test_a_joint_training_goes_on_as_if_never_stopped(trained):
    folder, data, _ = trained
    more = ("--joint", folder / "crops", "--joint-ratio", "1:1", "--joint-smallest", ".3")
    assert train(folder / "t.cfg", data, folder / "parts", *more, "--max-batches", 2).returncode == 0
    other = train(folder / "t.cfg", data, folder / "parts", "--max-batches", 4, "--resume")
    assert other.returncode == 2 and "--joint was" in other.stderr
    done = train(folder / "t.cfg", data, folder / "parts", *more, "--max-batches", 4, "--resume")
    assert done.returncode == 0, done.stderr
    assert (folder / "parts/weights/last.weights").read_bytes() == (folder / "out/weights/last.weights").read_bytes()


def test_the_mean_over_some_classes(trained, tmp_path):
    folder, data, _ = trained
    words = ("evaluate", folder / "out/model.cfg", folder / "out/weights/last.weights", "--data", data)
    done = run(*words, "--mean-of", "ring, star", "--json", tmp_path / "r.json")
    assert done.returncode == 0 and "over ring, star" in done.stdout, done.stderr
    record = json.loads((tmp_path / "r.json").read_text())
    expected = np.mean([record["per_class"][name]["ap07"] for name in ("ring", "star")])
    assert record["mean_of"]["map_voc07"] == pytest.approx(expected) and record["mean_of"]["classes"] == ["ring", "star"]
    done = run(*words, "--mean-of", "rung")
    assert done.returncode == 2 and "did you mean ring?" in done.stderr
    assert "mAP" not in done.stdout, "said before the work is done"
    done = run(*words, "--mean-of", ",")
    assert done.returncode == 2 and "expected class names, parted by commas" in done.stderr
