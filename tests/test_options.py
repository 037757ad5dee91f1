"""Typed options: conversions, choices, and what is said about values and keys that do not fit."""
from dataclasses import dataclass

import pytest

from minidarknet import parser
from minidarknet.errors import CfgError


@dataclass(frozen=True, kw_only=True)
class Base:
    learning_rate: float = 1.0

    IGNORED = ("smooth",)
    LATER = ("truth",)


@dataclass(frozen=True, kw_only=True)
class Options(Base):
    filters: int = 1
    alpha: float = .5
    activation: str = "logistic"
    layers: tuple[int, ...] = ()
    anchors: tuple[float, ...] = (.5,)
    from_: int = 0
    softmax: int = 0

    IGNORED = ("dot",)
    LATER = {"tree": None, "dilation": "1", "kind": "plain"}
    CHOICES = {"activation": ("linear", "leaky"), "softmax": (0, 1)}
    LATER_CHOICES = {"activation": ("mish",), "softmax": (2,)}
    MINIMUM = {"filters": 1, "anchors": 0}


@dataclass(frozen=True, kw_only=True)
class Strict:
    layers: tuple[int, ...] = ()
    size: int
    name: str = ""

    REQUIRED = ("layers",)

    def problem(self):
        return ("size", f"size={self.size} is odd") if self.size % 2 else None


def read(lines, options=Options):
    cfg = parser.parse(f"[net]\n[conv]\n{lines}\n", "my.cfg")
    return parser.typed(cfg, cfg.layers[0], options), cfg


def refusal(lines, options=Options):
    with pytest.raises(CfgError) as caught:
        read(lines, options)
    return str(caught.value)


def test_defaults():
    assert read("")[0] == Options()


@pytest.mark.parametrize("line, key, value", [
    ("filters=16", "filters", 16), ("filters = 16 # wide", "filters", 16), ("filters=+7", "filters", 7),
    ("alpha=2", "alpha", 2.0), ("alpha=.1", "alpha", .1), ("alpha=-5.", "alpha", -5.0), ("alpha=1e-3", "alpha", 1e-3),
    ("alpha=1E3#x", "alpha", 1000.0), ("activation=leaky", "activation", "leaky"), ("from=-3", "from_", -3),
    ("layers=-1, 8", "layers", (-1, 8)), ("layers=4", "layers", (4,)),
    ("anchors = 1,.5,  2.25,3 # four", "anchors", (1.0, .5, 2.25, 3.0)), ("learning_rate=.1", "learning_rate", .1),
])
def test_values(line, key, value):
    options, cfg = read(line)
    assert getattr(options, key) == value and type(getattr(options, key)) is type(value)
    assert cfg.warnings == []


@pytest.mark.parametrize("line, told", [
    ("filters=abc", "my.cfg:3 [conv] filters=abc: expected a whole number"),
    ("filters=1e3", "expected a whole number"),        # Darknet: 1
    ("filters=2.0", "expected a whole number"),
    ("filters=1_000", "expected a whole number"),
    ("filters=1,2", "expected a whole number"),
    ("filters=#16", "filters=#16: expected a whole number"),
    ("filters=\u0665", "expected a whole number"),     # a digit, but not Darknet's
    ("filters=0", "filters=0: expected at least 1"),
    ("anchors=1,-2", "expected at least 0"),
    ("alpha=.", "alpha=.: expected a number"), ("alpha=nan", "expected a number"), ("alpha=inf", "expected a number"),
    ("alpha=0x1", "expected a number"),
    ("layers=1,2.5", "expected whole numbers with commas between them"),
    ("anchors=1,x", "expected numbers with commas between them"),
    ("anchors=1,2,", "expected numbers with commas between them, without an empty one"),
    ("anchors=1,,2", "without an empty one"),
    ("activation=leeky", "activation=leeky: expected one of linear, leaky; did you mean leaky?"),
    ("activation=xyz", "expected one of linear, leaky."),
    ("activation=leaky # soft", "activation=leaky#soft: Darknet has no comments after a word; put '#soft' on a line"),
    ("activation=mish", "activation=mish is not supported yet; supported: linear, leaky"),
    ("softmax=2", "softmax=2 is not supported yet; supported: 0, 1"),
    ("softmax=3", "softmax=3: expected one of 0, 1"),
    ("tree=9k.tree", "my.cfg:3 [conv] tree=9k.tree is not supported yet"),
    ("truth=1", "truth=1 is not supported yet"), ("dilation=2", "dilation=2 is not supported yet"),
    ("fliters=3", "my.cfg:3 [conv] fliters=3: there is no key 'fliters' in [convolutional]; did you mean filters?"),
    ("Filters=3", "did you mean filters?"),
    ("lerning_rate=3", "did you mean learning_rate?"),
])
def test_values_and_keys_that_do_not_fit(line, told):
    assert told in refusal(line)


@pytest.mark.parametrize("line", ["dot=1", "smooth=.3", "tree=0", "truth=0", "dilation=1", "dilation=1 # none",
                                  "kind=plain"])
def test_keys_that_change_nothing(line):
    options, cfg = read(line)
    assert options == Options() and cfg.warnings == []


def test_an_unknown_key_is_a_warning_said_once():
    options, cfg = read("mother=3\nfilters=2")
    parser.typed(cfg, cfg.layers[0], Options)
    assert options.filters == 2
    assert cfg.warnings == ["my.cfg:3 [conv] unknown key 'mother' has no effect"]


def test_of_duplicates_the_first_is_typed():
    assert read("filters=2\nfilters=abc")[0].filters == 2


def test_an_empty_value_leaves_the_default():
    options, cfg = read("filters=\nanchors")
    assert options == Options() and len(cfg.warnings) == 2


def test_an_unknown_key_from_outside_is_an_error():
    cfg = parser.override(parser.parse("[net]\n[conv]\nfilters=2", "my.cfg"), {"conv.mother": 3})
    with pytest.raises(CfgError, match=r"my.cfg:2 \[conv\] mother=3 \(overridden\): there is no key 'mother'"):
        parser.typed(cfg, cfg.layers[0], Options)


def test_an_overridden_value_is_told_as_such():
    cfg = parser.override(parser.parse("[net]\n[conv]\nfilters=2", "my.cfg"), {"conv.filters": "many"})
    with pytest.raises(CfgError, match=r"my.cfg:3 \[conv\] filters=many \(overridden\): expected a whole number"):
        parser.typed(cfg, cfg.layers[0], Options)


def test_required_keys_and_problems():
    assert read("size=2\nlayers=1", Strict)[0] == Strict(size=2, layers=(1,))
    assert refusal("layers=1", Strict) == "my.cfg:2 [conv] has no size=; expected a whole number"
    assert refusal("size=2", Strict) == \
        "my.cfg:2 [conv] has no layers=; expected whole numbers with commas between them"
    assert refusal("layers=1\nsize=3", Strict) == "my.cfg:4 [conv] size=3 is odd"
