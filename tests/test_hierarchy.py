"""The hierarchy command from outside."""
import warnings
from pathlib import Path

import pytest
from make_data import picture
from PIL import Image
from small import CLASSIFIER, TINY
from test_wordnet import folder  # noqa: F401 (a fixture: a small WordNet)

from minidarknet import cli, weights
from minidarknet.data import pictures
from minidarknet.network import Network
from minidarknet.viz_wordtree import places
from minidarknet.wordtree import grow, read_tree


@pytest.fixture
def do(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = cli.main(["hierarchy", *map(str, words)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err
    return call


def test_text_and_picture(do):
    code, out, _ = do("cfg/voc.tree", "--picture", "voc.png")
    assert code == 0 and "animal\n|-- bird\n" in out and out.endswith("`-- tvmonitor\nperson\n23 nodes, 4 groups, 4 roots, "
                                                                      "20 leaves, 2 depth, 7 largest group\n")
    assert Image.open("voc.png").size[1] > 300


@pytest.mark.parametrize("more, ends", [
    ([], ".5: cat (0.560)"), (["--hier", ".6"], ".6: animal (0.700)"), (["--darknet-walk"], ".5: animal (0.700)")])
def test_probabilities(do, more, ends):
    values = [.7, .1, .1, .1, .1, .8, *[.025] * 4, *[1 / 7] * 7, *[1 / 6] * 6]
    Path("p.txt").write_text("\n".join(map(str, values)))
    code, out, _ = do("voc.tree", "--probabilities", "p.txt", "--picture", "p.png", *more)
    assert code == 0 and out.startswith("animal  0.700") and "|-- cat  0.560" in out
    assert f"prediction at threshold 0{ends}" in out
    [pointed] = [line for line in out.splitlines() if "<--" in line]
    assert ends.split()[1] in pointed


def test_path_map_and_names(do):
    assert do("voc.tree", "--path", "cat")[1].splitlines()[:2] == ["    5 cat", "      0 animal"]
    assert do("voc.tree", "--map", "voc.map")[1].splitlines()[:2] == ["   0 ->    10 aeroplane", "   1 ->    11 bicycle"]
    Path("my.tree").write_text("n1 -1\nn2 0\n")
    Path("my.names").write_text("whole\npart\n")
    assert do("my.tree")[1].startswith("whole\n`-- part\n")
    assert do("my.tree", "--path", "part")[1].splitlines()[0] == "    1 n2  part"


def test_building_from_a_text(do):
    Path("x.txt").write_text("animal\n  cat\n  dog\nperson\n")
    assert do("x.txt", "--out", "x.tree")[0] == 0
    assert read_tree("x.tree").names == ("animal", "person", "cat", "dog")
    assert Path("x.names").read_text() == "animal\nperson\ncat\ndog\n"


def test_a_name_of_several_nodes_has_several_paths(do):
    Path("my.tree").write_text("n1 -1\nn2 -1\nn3 0\nn4 1\n")
    Path("my.names").write_text("body\nschool\nhead\nHead\n")
    assert do("my.tree", "--path", "head")[1].splitlines()[:4] == [
        "    2 n3  head", "      0 n1  body", "    3 n4  Head", "      1 n2  school"]
    assert do("my.tree", "--path", "2")[1].splitlines()[:2] == ["    2 n3  head", "      0 n1  body"]


def test_the_page_walks_as_the_screen(do):
    values = [.75, .125, .0625, .0625, .1, .5, *[.1] * 4, *[1 / 7] * 7, *[1 / 6] * 6]
    Path("p.txt").write_text("\n".join(map(str, values)))
    for more, compared in (([], "0.375"), (["--darknet-walk"], "0.28125")):
        assert do("voc.tree", "--probabilities", "p.txt", "--html", "p.html", *more)[0] == 0
        assert f'"name": "cat", "probability": 0.375, "value": {compared},' in Path("p.html").read_text()


def test_characters_that_the_font_does_not_have_are_told_in_one_line(do):
    Path("x.txt").write_text("\u52d5\u7269\n  \u732b\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code, _, err = do("x.txt", "--picture", "x.png")
    assert code == 0 and Image.open("x.png").size[0] > 100
    assert err in ("", "warning: x.png shows boxes for characters that the font does not have: \u52d5\u7269\u732b\n")


def test_a_text_has_its_names_in_it(do):
    """Names that were written beside an earlier form of it are not those of this one."""
    Path("x.txt").write_text("animal\n  cat\n  dog\n")
    assert do("x.txt", "--out", "x.tree")[0] == 0
    Path("x.txt").write_text("animal\n  cat\n  owl\n")
    assert do("x.txt", "--out", "x.tree")[1].startswith("animal\n|-- cat\n`-- owl\n")
    assert Path("x.names").read_text() == "animal\ncat\nowl\n"


def test_building_from_wordnet(do, folder):  # noqa: F811
    Path("l.txt").write_text("hound\nn00000008\nbear\ncar\n")
    code, out, _ = do("--build", "l.txt", "--wordnet", folder, "--out", "my.tree")
    assert code == 0 and out.startswith("4 labels and 1 concepts above them\ncarnivore\n|-- hound\n|-- cat\n`-- bear\ncar\n")
    assert read_tree("my.tree").names == ("n00000006", "n00000013", "n00000007", "n00000008", "n00000010")
    assert Path("my.names").read_text().split() == ["carnivore", "car", "hound", "cat", "bear"]
    assert Path("my.map").read_text().split() == ["2", "3", "4", "1"]
    assert "animal" in do("--build", "l.txt", "--wordnet", folder, "--chains")[1]


@pytest.mark.parametrize("words, code, told", [
    ([], 2, "expected FILE, or --build"), (["voc.tree", "--build", "x"], 2, "one of them"),
    (["none.tree"], 2, "no such file"), (["."], 2, ". is a folder; expected a file in it"),
    (["bad.tree"], 3, "bad.tree:1 'a' has the parent 0"), (["voc.tree", "--out", "x.names"], 2, "ends in .tree"),
    (["voc.tree", "--path", "unicorn"], 2, "no such node"), (["voc.tree", "--path", "23"], 2, "no such node"),
    (["voc.tree", "--names", "voc.names"], 2, "20 names, but the tree has 23"),
    (["voc.tree", "--hier", "2"], 2, "from 0 to 1"),
    (["voc.tree", "--probabilities", "few"], 3, "2 numbers, but the tree has 23"),
    (["voc.tree", "--probabilities", "bad.tree"], 3, "sum to"), (["voc.tree", "--map", "few"], 3, "few:1"),
    (["voc.tree", "--probabilities", "big"], 3, "big:2 '1.5'"),
    (["--build", "few", "--wordnet", "."], 3, "holds no data.noun"),
    (["voc.tree", "--html", "x.html"], 2, "expected --probabilities FILE, or --of"),
    (["--of", "a.cfg", "b.weights", "c.jpg", "--names", "few"], 2, "leave out"),
    (["--of", "a.cfg", "b.weights", "c.jpg"], 2, "a.cfg: no such file"),
])
def test_what_is_typed_wrong_is_said(do, words, code, told):
    Path("bad.tree").write_text("a 0\n" * 23)
    Path("few").write_text(".5\n.5\n")
    Path("big").write_text(".5\n1.5\n")
    found, out, err = do(*words)
    assert (found, out) == (code, "") and told in err


def test_root_that_is_none(do, folder):  # noqa: F811
    Path("l.txt").write_text("dog\n")
    assert do("--build", "l.txt", "--wordnet", folder, "--root", "unicorn")[2] == (
        "error: --root unicorn: WordNet has no such noun\n")


def test_places_in_the_picture():
    tree = grow({"animal": {"cat": ["tom"], "dog": None}, "person": None})
    assert places(tree).tolist() == [[0, .5], [0, 2], [1, 0], [1, 1], [2, 0]]
    assert places(tree, 1)[:2].tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("head", ["classifier", "detector"])
def test_what_a_network_says_of_a_picture(do, head):
    """The probabilities of the surest box, or of the whole picture, as a page and on the screen."""
    text = CLASSIFIER.replace("filters=12", "filters=15") if head == "classifier" else \
        TINY.replace("filters=51", "filters=60").replace("classes=12", "classes=15")
    Path("my.cfg").write_text(text + "tree=sample.tree\n")
    net = Network.from_cfg("my.cfg")
    weights.save(net, "my.weights")
    picture(Path("a.png"), size=(64, 64))
    code, out, err = do("--of", "my.cfg", "my.weights", "a.png", "--html", "page.html", "--hier", .01)
    assert code == 0, err
    said = net.predict(pictures.fit(pictures.read("a.png"), (64, 64), "letterbox")[0][None])
    if net.detects:
        _, objectness, probability = net.boxes(said)
        absolute = probability[0, objectness[0].argmax()]
    else:
        absolute = net.tree.absolute(said[0])
    best = net.tree.predict(absolute, .01)
    assert f"prediction at threshold 0.01: {net.tree.names[best]} ({absolute[best]:.3f})" in out
    page = Path("page.html").read_text()
    assert f"{net.tree.names[best]} {absolute[best]:.3f}</text>" in page and "data:image/png" in page
    code, _, err = do("--of", "cfg/classifier-nano.cfg", "my.weights", "a.png")
    assert code == 4 and "Traceback" not in err
    flat = Network.from_cfg("cfg/classifier-nano.cfg")
    weights.save(flat, "flat.weights")
    code, _, err = do("--of", "cfg/classifier-nano.cfg", "flat.weights", "a.png")
    assert code == 2 and "its classes are no tree" in err
