"""The cfg grammar: what is read as what, and what is said about what cannot be read."""
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import COMMENTED

from minidarknet import parser
from minidarknet.errors import CfgError, UsageError
from minidarknet.grammar import ALIASES, SECTIONS


def entries(section):
    return {entry.key: entry.value for entry in section.entries}


def refusal(text):
    with pytest.raises(CfgError) as caught:
        parser.parse(text, "my.cfg")
    return str(caught.value)


def test_sections_keys_and_lines():
    cfg = parser.parse(COMMENTED, "my.cfg")
    assert [(s.name, s.line) for s in cfg.sections] == [("net", 1), ("convolutional", 6), ("region", 9)]
    assert cfg.net is cfg.sections[0] and cfg.layers == cfg.sections[1:]
    assert entries(cfg.layers[0]) == {"filters": "15#threeclasses", "activation": "leaky"}
    assert cfg.layers[0].entry("activation").line == 8
    assert cfg.layers[0].get("size") is None and cfg.layers[0].get("size", "1") == "1"
    assert cfg.warnings == []


@pytest.mark.parametrize("text", [
    "[net]\nsteps=1,2\n[route]\n",
    "[ n e t ]\r\n\tst eps = 1 , 2 \r\n\r\n[route]\r\n",
    "\n\n; a comment\n[net]\n#another\n  # and one more\nsteps\t=1,\t2\n[route]",
    "\u00a0[net]\nsteps=\u00a01,2\n[route]",   # as copied from a web page
], ids=["plain", "spaces and carriage returns", "comments", "no-break spaces"])
def test_space_means_nothing(text):
    cfg = parser.parse(text)
    assert [s.name for s in cfg.sections] == ["net", "route"] and entries(cfg.net) == {"steps": "1,2"}


def test_a_value_may_hold_equals_signs():
    assert entries(parser.parse("[net]\na=b=c\n[route]").net) == {"a": "b=c"}


@pytest.mark.parametrize("written, name", ALIASES.items())
def test_aliases(written, name):
    text = f"[{written}]\n[route]" if name == "net" else f"[net]\n[{written}]"
    section = next(s for s in parser.parse(text).sections if s.name == name)
    assert section.written_name == written


@pytest.mark.parametrize("name", [s for s in SECTIONS if s not in ("net", "gaussian_yolo")])
def test_every_section_of_darknet_is_known(name):
    assert parser.parse(f"[net]\n[{name}]").layers[0].name == name


def test_sections_of_one_name_are_numbered():
    cfg = parser.parse("[net]\n[conv]\n[route]\n[convolutional]")
    assert [(s.name, s.number) for s in cfg.layers] == [("convolutional", 0), ("route", 0), ("convolutional", 1)]


def test_of_duplicates_the_first_holds():
    cfg = parser.parse("[net]\nbatch=1\nbatch=64\nwidth=2\nwidth=2\n[route]", "my.cfg")
    assert cfg.net.get("batch") == "1"
    assert cfg.warnings == ["my.cfg:3 [net] batch is given twice: batch=1 of line 2 holds, as in Darknet"]


@pytest.mark.parametrize("line, missing", [("batch=", "value"), ("batch", "'='"), ("=8", "key")])
def test_lines_that_darknet_drops(line, missing):
    cfg = parser.parse(f"[net]\n{line}\n[route]", "my.cfg")
    assert cfg.net.entries == ()
    assert cfg.warnings == [f"my.cfg:2 [net] '{line}' has no {missing}: the line has no effect"]


@pytest.mark.parametrize("text, told", [
    ("", "my.cfg: no sections; a cfg begins with [net]"),
    ("# nothing\n", "my.cfg: no sections"),
    ("[net]\nbatch=1", "my.cfg: [net] alone makes no network"),
    ("batch=1\n[net]", "my.cfg:1 'batch=1' stands before the first section"),
    ("[conv]\n[net]", "my.cfg:1 the first section is [conv]; expected [net]"),
    ("[net]\n[conv]\n[net]", "my.cfg:3 a second [net]; expected one"),
    ("[net]\n[convolutionl]", "my.cfg:2 unknown section [convolutionl]; did you mean convolutional?"),
    ("[net]\n[Convolutional]", "unknown section [Convolutional]; did you mean convolutional?"),
    ("[net]\n[gaussian_yolo]", "did you mean Gaussian_yolo?"),
    ("[net]\n[xyzzy]", "my.cfg:2 unknown section [xyzzy]."),
    ("[net]\n[conv", "my.cfg:2 '[conv' has no closing ]"),
    ("[net]\n[conv] # first", "my.cfg:2 '#first' follows [conv]; put it on a line of its own"),
    ("<!DOCTYPE html>\n<html>", "my.cfg: this looks like a web page"),
])
def test_what_is_no_cfg(text, told):
    assert told in refusal(text)


def test_files(tmp_path):
    file = tmp_path / "my.cfg"
    file.write_bytes(b"\xef\xbb\xbf[net]\r\nbatch=2\r\n[route]\r\n")     # as Windows' editor writes it
    cfg = parser.read(file)
    assert cfg.path == str(file) and cfg.net.get("batch") == "2"
    file.write_bytes("# Größe\n[net]\n[route]".encode("latin-1"))
    assert len(parser.read(file).layers) == 1
    file.write_bytes(b"\0\0\0\0\2\0\0\0")
    with pytest.raises(CfgError, match="not text.*CFG and WEIGHTS swapped"):
        parser.read(file)
    with pytest.raises(CfgError, match="no such file"):
        parser.read(tmp_path / "other.cfg")


def test_sections_that_are_not_supported_yet():
    cfg = parser.parse("[net]\n[conv]\n[shortcut]", "my.cfg")
    parser.require_supported(cfg, ["convolutional", "shortcut"])
    with pytest.raises(CfgError, match=r"my.cfg:3 \[shortcut\] .* not supported yet; supported: convolutional"):
        parser.require_supported(cfg, ["convolutional"])


def test_settings():
    assert parser.settings(["net.batch=8", "region.anchors = 1, 2", "net.batch=9"]) == \
        {"net.batch": "9", "region.anchors": " 1, 2"}
    assert parser.settings(None) == {}


@pytest.mark.parametrize("argument", ["net.batch", "batch=8", "net.batch=", "=8", "net[x].batch=3", "net.batch= "])
def test_settings_that_are_none(argument):
    with pytest.raises(UsageError, match="expected SECTION.KEY=VALUE"):
        parser.settings([argument])


TWO = "[net]\n[conv]\nfilters=1\n[conv]\nfilters=2\n[conv]\nfilters=3\n[region]\n"


@pytest.mark.parametrize("name, expected", [
    ("convolutional.filters", ["9", "9", "9"]),
    ("conv[1].filters", ["1", "9", "3"]),
    ("convolutional[-1].filters", ["1", "2", "9"]),
    ("convolutional[-3].filters", ["9", "2", "3"]),
])
def test_override(name, expected):
    cfg = parser.parse(TWO)
    changed = parser.override(cfg, {name: 9})
    assert [s.get("filters") for s in changed.layers[:3]] == expected
    assert [s.get("filters") for s in cfg.layers[:3]] == ["1", "2", "3"], "the original is left alone"


@pytest.mark.parametrize("value, text", [(8, "8"), (.5, "0.5"), (True, "1"), ((1, 2.5), "1,2.5"), (" a b ", "ab"),
                                         (1e-07, "1e-07")])
def test_values_to_override_with(value, text):
    assert parser.override(parser.parse(TWO), {"net.key": value}).net.get("key") == text


@pytest.mark.parametrize("name, told", [
    ("regoin.classes", "has no [regoin]; did you mean region?"),
    ("yolo.classes", "has no [yolo]. It has net, convolutional, region"),
    ("convolutional[3].filters", "has 3 [convolutional]; expected an index from 0 to 2"),
    ("conv[-4].filters", "down to -3"),
    ("filters", "'filters' names no option"),
])
def test_overrides_that_lead_nowhere(name, told):
    with pytest.raises(CfgError) as caught:
        parser.override(parser.parse(TWO, "my.cfg"), {name: 1})
    assert told in str(caught.value)


def test_the_batch_may_be_set_alone():
    cfg = parser.parse("[net]\nbatch=64\nsubdivisions=8\n[route]")
    alone = parser.override(cfg, {"net.batch": 20})
    assert (alone.net.get("batch"), alone.net.get("subdivisions")) == ("20", "3")
    assert len(alone.warnings) == 1 and "net.batch=20: subdivisions=3" in alone.warnings[0] and cfg.warnings == []
    both = parser.override(cfg, {"net.batch": 20, "net.subdivisions": 20})
    assert (both.net.get("subdivisions"), both.warnings) == ("20", [])


def test_override_with_nothing():
    with pytest.raises(CfgError, match="'net.batch' is set to nothing"):
        parser.override(parser.parse(TWO), {"net.batch": " "})


def test_errors_say_where():
    cfg = parser.parse(COMMENTED, "my.cfg")
    assert str(parser.error(cfg, cfg.layers[1], "is odd")) == "my.cfg:9 [region] is odd"
    assert str(parser.error(cfg, cfg.layers[1], "is odd", "num")) == "my.cfg:11 [region] is odd"
    assert str(parser.error(cfg, cfg.layers[1], "is odd", "tree")) == "my.cfg:9 [region] is odd"


def test_render_gives_the_text_back():
    assert parser.render(parser.parse(COMMENTED)) == COMMENTED


def test_render_puts_values_in_place():
    cfg = parser.override(parser.parse(COMMENTED), {"convolutional.filters": 40, "region.thresh": .5, "net.batch": 3,
                                                "net.height": 8})
    assert parser.render(cfg) == COMMENTED.replace("batch = 4", "batch = 3").replace("width=8\n", "width=8\nheight=8\n") \
        .replace("filters = 15   # three", "filters = 40   # three").replace("num = 5\n", "num = 5\nthresh=0.5\n")


WORDS = st.sampled_from(["filters", "classes", "num", "new", "other"])


@given(st.dictionaries(WORDS, st.integers(-9, 10 ** 6)), st.dictionaries(WORDS, st.integers(0, 99)))
def test_what_is_rendered_reads_as_it_was_set(one, two):
    cfg = parser.override(parser.parse(COMMENTED), {f"region.{key}": value for key, value in one.items()})
    cfg = parser.override(cfg, {f"conv[0].{key}": value for key, value in two.items()})
    again = parser.parse(parser.render(cfg))
    before, after = ([(section.name, entry.key, entry.value.partition("#")[0]) for section in c.sections
                      for entry in section.entries] for c in (cfg, again))  # a comment after a number stays
    assert after == before and again.warnings == []


def test_with_classes_changes_head_and_filters():
    cfg = parser.with_classes(parser.read("cfg/yolov2-tiny.cfg"), 3)
    assert cfg.layers[15].get("classes") == "3" and cfg.layers[14].get("filters") == "40"
    assert cfg.layers[13].get("filters") == "512"
    cfg = parser.with_classes(parser.read("cfg/tiny.cfg"), 7)
    assert cfg.layers[19].get("filters") == "7" and cfg.layers[18].get("filters") == "128"
    cfg = parser.with_classes(parser.read("cfg/alexnet.cfg"), 7)
    assert cfg.layers[-2].get("output") == "7" and parser.classes_of(cfg) == 7
    cfg = parser.with_classes(parser.parse("[net]\n[conn]\noutput=9\n[cost]\n"), 4)
    assert cfg.layers[0].get("output") == "4" and parser.classes_of(parser.read("cfg/yolov3.cfg")) == 80
    cfg = parser.with_classes(parser.parse("[net]\n[conv]\n[dropout]\n[region]\nnum=2 # two\n"), 4)
    assert cfg.layers[0].get("filters") == "18"
    cfg = parser.with_classes(parser.read("cfg/yolov1.cfg"), 3)
    assert cfg.layers[31].get("classes") == "3" and cfg.layers[30].get("output") == str(7 * 7 * (3 * 5 + 3))
    cfg = parser.with_classes(parser.read("cfg/alexnet.cfg"), 7)
    assert cfg.layers[12].get("output") == "7" and cfg.layers[10].get("output") == "4096"
    cfg = parser.with_classes(parser.parse("[net]\n[conv]\n[detection]\ncoords=4\nnum=2\nside=5\n"), 4)
    assert cfg.layers[0].get("filters") == "14"


@pytest.mark.parametrize("text, told", [
    ("[net]\n[conv]\n", "has no head to fit to other classes"),
    ("[net]\n[region]\n", "my.cfg:2 [region] cannot be fitted to other classes: expected a [convolutional] or [connected]"),
    ("[net]\n[conv]\n[route]\nlayers=0\n[region]\n", "expected a [convolutional] or [connected] before it"),
    ("[net]\n[conv]\n[region]\nnum=five\n", "my.cfg:4 [region] num=five: expected a whole number"),
])
def test_with_classes_where_it_cannot(text, told):
    with pytest.raises(CfgError) as caught:
        parser.with_classes(parser.parse(text, "my.cfg"), 4)
    assert told in str(caught.value)
