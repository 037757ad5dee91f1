"""A cfg that takes its label trees and maps along."""
import pytest

from minidarknet import parser
from minidarknet.enclose import enclosed
from minidarknet.errors import CfgError

CFG = """# a comment that stays
[net]
width=8
height=8
channels=3
[convolutional]
filters=4
[softmax]
tree=here/a.tree
[convolutional]
filters=4
[softmax]
tree=b.tree
[convolutional]
filters=9
[region]
num=1
classes=4
tree=here/a.tree
map=m.map
"""


@pytest.fixture
def place(tmp_path):
    """A folder with my.cfg and the files that it names."""
    (tmp_path / "here").mkdir()
    for name, text in (("my.cfg", CFG), ("here/a.tree", "a -1\n"), ("b.tree", "b -1\r\n"), ("m.map", "0\n")):
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def test_files_are_copied_and_found_again(place):
    out = place / "run" / "model.cfg"
    cfg = enclosed(parser.read(place / "my.cfg"), out)
    out.write_text(parser.render(cfg))
    assert sorted(p.name for p in out.parent.iterdir()) == ["model-2.tree", "model.cfg", "model.map", "model.tree"]
    moved = (place / "run").rename(place / "elsewhere")
    for name in ("here/a.tree", "b.tree", "m.map"):
        (place / name).unlink()
    again = parser.read(moved / "model.cfg")
    one, two, head = [s for s in again.layers if s.name in ("softmax", "region")]
    assert parser.find_file(again, one, "tree").read_text() == "a -1\n"
    assert parser.find_file(again, two, "tree").read_bytes() == b"b -1\r\n"
    assert parser.find_file(again, head, "tree") == parser.find_file(again, one, "tree") == moved / "model.tree"
    assert parser.find_file(again, head, "map") == moved / "model.map"
    text = CFG.replace("here/a.tree", "model.tree").replace("b.tree", "model-2.tree")
    assert again.text == text.replace("m.map", "model.map")


def test_enclosing_twice_keeps_the_copies(place):
    out = place / "run" / "model.cfg"
    for source in (place / "my.cfg", out):
        out.parent.mkdir(exist_ok=True)
        out.write_text(parser.render(enclosed(parser.read(source), out)))
    assert (out.parent / "model-2.tree").read_bytes() == b"b -1\r\n" and len(list(out.parent.iterdir())) == 4


def test_what_is_missing_is_told_with_its_line(place):
    (place / "b.tree").unlink()
    with pytest.raises(CfgError, match=r"my.cfg:13 \[softmax\] tree=b.tree: there is no such file"):
        enclosed(parser.read(place / "my.cfg"), place / "run" / "model.cfg")
    assert not (place / "run").exists()


def test_a_cfg_without_files_stays_as_it_is(tmp_path):
    cfg = parser.read("cfg/classifier-nano.cfg")
    assert parser.render(enclosed(cfg, tmp_path / "x" / "model.cfg")) == cfg.text and not (tmp_path / "x").exists()
