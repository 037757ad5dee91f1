"""The [net] section: defaults, impossible values, and keeping the mini-batch."""
import pytest

from minidarknet import parser
from minidarknet.errors import CfgError
from minidarknet.netoptions import NetOptions, keep_mini_batch

SIZE = "width=32\nheight=32\nchannels=3\n"


def read(lines):
    cfg = parser.parse(f"[net]\n{SIZE}{lines}\n[route]", "my.cfg")
    return parser.typed(cfg, cfg.net, NetOptions), cfg


def refusal(lines):
    with pytest.raises(CfgError) as caught:
        read(lines)
    return str(caught.value)


def test_defaults_are_darknets():
    o, _ = read("")
    assert (o.batch, o.subdivisions, o.learning_rate, o.momentum, o.decay) == (1, 1, .001, .9, .0001)
    assert (o.policy, o.power, o.burn_in, o.max_batches, o.gamma, o.step, o.scale) == ("constant", 4, 0, 0, 1, 1, 1)
    assert (o.angle, o.aspect, o.saturation, o.exposure, o.hue) == (0, 1, 1, 1, 0)


def test_values():
    o, cfg = read("policy=steps\nsteps=-1,100\nscales=.1,10\nbatch=64\nsubdivisions=8 # each 8\nadam=0\nmosaic=0\n"
                  "letter_box=1\nseen=5\ntime_steps=1\ninputs=3072")
    assert o.steps == (-1, 100) and o.scales == (.1, 10.0) and o.subdivisions == 8
    assert cfg.warnings == []


def test_a_way_to_train_does_not_stop_a_trained_network():
    _, cfg = read("mixup=1\nblur=0\nema_alpha=.9998")
    assert cfg.warnings == [f"my.cfg:{line} [net] {entry} is not supported yet: training goes without it"
                            for line, entry in ((5, "mixup=1"), (7, "ema_alpha=.9998"))]


@pytest.mark.parametrize("lines, told", [
    ("batch=0", "my.cfg:5 [net] batch=0: expected at least 1"),
    ("subdivisions=0", "subdivisions=0: expected at least 1"),
    ("batch=2\nsubdivisions=3", "my.cfg:6 [net] subdivisions=3 parts of batch=2 would be empty; expected 1 to 2"),
    ("max_batches=-1", "max_batches=-1: expected at least 0"),
    ("burn_in=-1", "expected at least 0"),
    ("learning_rate=-.1", "expected at least 0"),
    ("momentum=1", "momentum=1 never forgets"),
    ("policy=stepps", "my.cfg:5 [net] policy=stepps: expected one of constant, step, steps, exp, poly"),
    ("policy=stepps", "did you mean step"),
    ("policy=sgdr", "policy=sgdr needs sgdr_cycle= or max_batches="), ("letter_box=2", "expected one of -1, 0, 1"),
    ("policy=steps", "policy=steps needs steps="),
    ("policy=steps\nsteps=1,2\nscales=.1", "my.cfg:7 [net] steps has 2 numbers and scales 1"),
    ("policy=steps\nsteps=1,2", "my.cfg:6 [net] steps has 2 numbers and scales 0"),
    ("policy=step\nstep=0", "step=0: policy=step expects at least 1"),
    ("policy=poly", "policy=poly needs max_batches="),
    ("inputs=7", "inputs=7 is not height x width x channels = 3072"),
    ("adam=1", "adam=1 is not supported yet"),
    ("flip=0", "flip=0 is not supported yet"), ("time_steps=3", "time_steps=3 is not supported yet"),
    ("bach=3", "did you mean batch?"),
])
def test_impossible_values(lines, told):
    assert told in refusal(lines)


def test_the_size_is_needed():
    cfg = parser.parse("[net]\nwidth=32\n[route]", "my.cfg")
    with pytest.raises(CfgError, match=r"my.cfg:1 \[net\] has no height=, channels=; expected the input's size"):
        parser.typed(cfg, cfg.net, NetOptions)
    cfg = parser.parse("[net]\nwidth=0\nheight=32\nchannels=3\n[route]", "my.cfg")
    with pytest.raises(CfgError, match="width=0: expected at least 1"):
        parser.typed(cfg, cfg.net, NetOptions)


@pytest.mark.parametrize("batch, subdivisions", [(8, 1), (9, 2), (1, 1), ("16", 2), (65, 9)])
def test_keep_mini_batch(batch, subdivisions):
    cfg = parser.parse("[net]\nbatch=64\nsubdivisions=8\n[route]")
    values, line = keep_mini_batch(cfg, {"net.batch": batch, "region.thresh": .5})
    assert values == {"net.batch": batch, "region.thresh": .5, "net.subdivisions": subdivisions}
    assert f"subdivisions={subdivisions}" in line


@pytest.mark.parametrize("values", [{}, {"net.batch": 8, "net.subdivisions": 2}, {"net.batch": "x"}, {"net.batch": 0},
                                    {"net.batch": 64}])
def test_mini_batches_that_are_left_alone(values):
    cfg = parser.parse("[net]\nbatch=64\nsubdivisions=8\n[route]")
    assert keep_mini_batch(cfg, values) == (values, None)
