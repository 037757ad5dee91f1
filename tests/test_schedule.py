"""Short schedules and memorising."""
import pytest

from minidarknet import parser, schedule
from minidarknet.netoptions import NetOptions
from minidarknet.optimizer import learning_rate

BIG = NetOptions(width=416, height=416, channels=3, batch=64, subdivisions=8, max_batches=500200, burn_in=1000,
                 policy="steps", steps=(400000,), scales=(.1,), learning_rate=.001)


def applied(changes):
    text = ("[net]\nwidth=8\nheight=8\nchannels=3\nbatch=64\nsubdivisions=8\nlearning_rate=.001\n"
            "[convolutional]\nfilters=7\n[region]\nclasses=2\n")
    cfg = parser.override(parser.parse(text), changes)
    return parser.typed(cfg, cfg.net, NetOptions)


@pytest.mark.parametrize("seconds", [.01, .1, .5, 2, 30])
def test_the_short_schedule_fits_into_its_minutes(seconds):
    options = applied(schedule.short(BIG, seconds))
    shrunk = options.width * options.height / (BIG.width * BIG.height)
    assert options.max_batches * options.subdivisions * seconds * shrunk <= max(schedule.SHORT_MINUTES * 60, 10 * seconds)
    assert (options.width, options.height) == (224, 224)
    assert options.batch // options.subdivisions == 8
    assert options.burn_in <= options.max_batches / 10
    rates = [learning_rate(options, b) for b in (options.max_batches // 8, options.max_batches)]
    assert rates[0] == pytest.approx(schedule.SHORT_RATE * (1 - 1 / 8) ** 1.5, rel=.1) and rates[1] == 0


def test_a_schedule_that_fits_is_left_alone():
    assert schedule.short(NetOptions(width=8, height=8, channels=3, batch=8, max_batches=100), .1) == {}


@pytest.mark.parametrize("burn_in, found", [(1000, 60), (5, 5), (0, 60)])
def test_the_rate_always_begins_low(burn_in, found):
    """YOLOv1 has no burn-in: its own schedule begins at a low rate, which the short one raises."""
    options = NetOptions(width=224, height=224, channels=3, batch=8, max_batches=40000, burn_in=burn_in)
    changes = schedule.short(options, .8)
    assert (changes["net.max_batches"], changes["net.burn_in"]) == (600, found)


def test_an_endless_schedule_is_shortened():
    assert schedule.short(NetOptions(width=8, height=8, channels=3, batch=8), .1)["net.max_batches"] > 0


def test_overfit_is_constant_and_small():
    options = applied(schedule.overfit(BIG, 16))
    assert (options.batch, options.subdivisions, options.policy, options.burn_in) == (8, 1, "constant", 100)
    assert applied(schedule.overfit(BIG, 3)).batch == 3
