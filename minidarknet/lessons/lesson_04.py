"""Lesson 04, high-resolution classifier: its schedule, what is handed on (notebooks/04_high_resolution_classifier.ipynb)."""
from minidarknet import weights
from minidarknet.lessons import exercise
from minidarknet.netoptions import NetOptions
from minidarknet.network import Network
from minidarknet.optimizer import learning_rate

IMAGENET = 1281167


def _epochs(batch, subdivisions, max_batches, pictures):
    return batch * max_batches / pictures


@exercise(
    right=_epochs,
    cases=[(128, 4, 100000, IMAGENET), (64, 8, 100000, IMAGENET), (128, 2, 800000, IMAGENET), (32, 1, 300, 2762)],
    slips=[(lambda b, s, m, p: m / p, "an update looks at `batch` pictures, not at one"),
           (lambda b, s, m, p: b * s * m / p, "`batch` counts the pictures of a whole update; subdivisions only say in how "
                                              "many parts they are passed"),
           (lambda b, s, m, p: b / s * m / p, "this counts one mini-batch per update; the gradients of all of them are "
                                              "added up before the weights change"),
           (lambda b, s, m, p: p / (b * m), "upside down: pictures looked at, divided by the pictures there are")],
    moral="Darknet's 100000 updates at 448 are 9.99 epochs of ImageNet: the paper's ten.")
def epochs(batch, subdivisions, max_batches, pictures):
    """How often a training looks at every picture: a number.

    batch, subdivisions, max_batches: of the cfg's [net]; max_batches counts updates. pictures: in the training set.
    """
    raise NotImplementedError


def _rate(seen, cleared, batch, rate, power, max_batches):
    """What the library uses."""
    options = NetOptions(batch=batch, learning_rate=rate, power=power, max_batches=max_batches, policy="poly")
    return learning_rate(options, 0 if cleared else seen // batch, 0)


def _poly(update, rate, power, max_batches):
    return rate * max(1 - update / max_batches, 0) ** power


@exercise(
    right=_rate,
    cases=[(0, False, 128, .001, 4, 100000), (6400000, False, 128, .001, 4, 100000),
           (102400000, False, 128, .001, 4, 100000), (102400000, True, 128, .001, 4, 100000)],
    slips=[(lambda s, c, b, r, p, m: _poly(s // b, r, p, m), "`cleared` was not looked at: with it the count begins at 0"),
           (lambda s, c, b, r, p, m: r, "the rate falls from the first update on; only at 0 pictures is it `rate`"),
           (lambda s, c, b, r, p, m: _poly(0 if c else s, r, p, m), "the schedule counts updates, a file of weights counts "
                                                                    "pictures: divide by batch"),
           (lambda s, c, b, r, p, m: r * max(1 - (0 if c else s // b) / m, 0), "the line (1 - b / max_batches) has to be "
                                                                               "raised to `power`"),
           (lambda s, c, b, r, p, m: r * (1 - (0 if c else s // b) / m) ** p,
            "after max_batches the line is negative, and an even power makes the rate rise again: cut it off at 0")],
    moral="Whoever fine-tunes without clearing `seen` trains with rate 0, and nothing complains.")
def first_rate(seen, cleared, batch, rate, power, max_batches):
    """The learning rate of the first update of a fine-tuning with policy=poly: a number.

    rate (1 - b / max_batches) ^ power, where b is the number of updates made before, and 0 from max_batches on. seen:
    pictures that the loaded file of weights counts. cleared: whether that count is set back to 0 (FILE:N, or Darknet's
    -clear). batch, max_batches: of the new cfg.
    """
    raise NotImplementedError


def _numbers(layers):
    """What the library finds in a file."""
    text = "[net]\nwidth=32\nheight=32\nchannels=3\n" + "".join(
        f"[convolutional]\nfilters={f}\nsize={k}\npad=1\nbatch_normalize={n}\nactivation=leaky\n" for f, k, n in layers)
    return sum(block.floats for block in weights.describe(Network.from_string(text, initialise=False).layers))


def _count(layers, of_layer):
    channels, total = 3, 0
    for f, k, n in layers:
        total += of_layer(f, k, n, channels)
        channels = f
    return total


@exercise(
    right=_numbers,
    cases=[([(16, 3, 1)],), ([(16, 3, 1), (32, 3, 1), (32, 1, 1)],), ([(32, 3, 1), (64, 3, 1), (128, 3, 1), (64, 1, 1)],),
           ([(8, 3, 0), (12, 1, 0)],)],
    slips=[(lambda layers: _count(layers, lambda f, k, n, c: k * k * c * f),
            "these are the weights alone: every filter also has a bias"),
           (lambda layers: _count(layers, lambda f, k, n, c: f + k * k * c * f),
            "batch norm keeps three more numbers for each filter: scale, rolling mean, rolling variance"),
           (lambda layers: _count(layers, lambda f, k, n, c: f * (1 + 3 * n) + k * k * f),
            "a filter has k x k weights for each channel that it reads"),
           (lambda layers: _count(layers, lambda f, k, n, c: f * (1 + 3 * n) + k * k * 3 * f),
            "only the first layer reads 3 channels; each other one reads the filters of the layer before"),
           (lambda layers: _count(layers, lambda f, k, n, c: f * (1 + 3 * n) + k * c * f),
            "the window is k pixels high as well as k wide")],
    moral="Count so for 23 layers of Darknet-19, and you get 79,327,124 bytes: the size of darknet19_448.conv.23.")
def numbers_handed_on(layers):
    """How many numbers the first layers of a classifier hand on to a detector: an int.

    layers: convolutions on a picture of 3 channels, one reading the other, as (filters, size, batch_normalize) with
    batch_normalize 0 or 1 (poolings between them have no numbers).
    """
    raise NotImplementedError
