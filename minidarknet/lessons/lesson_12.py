"""Lesson 12, faster: Darknet-19, bottlenecks and global average pooling (notebooks/12_darknet19.ipynb)."""
import numpy as np

from minidarknet.lessons import exercise
from minidarknet.network import Network

_rng = np.random.default_rng(12)


def _operations(side, k, c, f):
    """What the library counts."""
    text = (f"[net]\nwidth={side}\nheight={side}\nchannels={c}\n"
            f"[convolutional]\nfilters={f}\nsize={k}\npad=1\nactivation=linear\n")
    return Network.from_string(text, initialise=False).layers[0].operations()


@exercise(
    right=_operations,
    cases=[(14, 3, 256, 512), (7, 1, 1024, 512), (224, 3, 3, 32), (13, 5, 4, 6)],
    slips=[(lambda s, k, c, f: k * k * c * f * s * s,
            "these are multiplications; the additions count as well, so twice as many"),
           (lambda s, k, c, f: 2 * c * f * s * s, "a window has k x k places, each with a weight of its own"),
           (lambda s, k, c, f: 2 * k * k * c * s * s, "every filter looks at the picture: multiply by f"),
           (lambda s, k, c, f: 2 * k * k * c * f * s, "the picture has side x side places"),
           (lambda s, k, c, f: 2 * k * k * c * f, "this is for one place; the filters are laid on every place")],
    moral="Sum it over 19 layers at 224 x 224 and you have the paper's 5.58 billion.")
def operations(side, k, c, f):
    """Multiplications and additions of a convolution, stride 1, that keeps the picture's size: an int.

    side: the picture is side x side. k: side of the window. c: channels in. f: filters, the channels out.
    """
    raise NotImplementedError


def _share(c, squeezed):
    return (_operations(13, 1, c, squeezed) + _operations(13, 3, squeezed, c)) / _operations(13, 3, c, c)


@exercise(
    right=_share,
    cases=[(512, 256), (1024, 512), (64, 16), (32, 32)],
    slips=[(lambda c, s: _operations(13, 3, s, c) / _operations(13, 3, c, c),
            "the 1 x 1 convolution is cheap, but not free: add its operations"),
           (lambda c, s: 1 - _share(c, s), "this is what is saved; asked for is what remains"),
           (lambda c, s: 1 / _share(c, s), "upside down: the pair's operations divided by those of the single one"),
           (lambda c, s: (s / c) ** 2, "only one side of each convolution is narrow: the 3 x 3 one still makes c channels")],
    moral="Squeezed to half, 5/9 of the work remain, and there is one more activation in between.")
def bottleneck_share(c, squeezed):
    """How much work a bottleneck leaves: the operations of a pair divided by those of one 3 x 3 convolution, a number.

    The pair: 1 x 1 from c to `squeezed` channels, then 3 x 3 back to c. The single one: 3 x 3 from c to c channels.
    All on pictures of the same size.
    """
    raise NotImplementedError


def _softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _probabilities(maps):
    """The library's [avgpool] and [softmax]."""
    h, w, c = maps.shape
    net = Network.from_string(f"[net]\nwidth={w}\nheight={h}\nchannels={c}\n[avgpool]\n[softmax]\n",
                              backend="kernels", dtype=np.float64)
    return net.predict(maps[None])[0]


@exercise(
    right=_probabilities,
    cases=[(_rng.normal(0, 2, (3, 4, 5)),), (_rng.normal(0, 3, (7, 7, 2)),), (_rng.normal(0, 1, (1, 1, 4)),)],
    slips=[(lambda maps: _softmax(maps).mean(axis=(0, 1)), "the places voted, each with its own softmax; take the mean of "
                                                           "the raw numbers first, the softmax of it after"),
           (lambda maps: _softmax(maps.max(axis=(0, 1))), "this is the largest number of each map; asked for is the mean"),
           (lambda maps: _softmax(maps.sum(axis=(0, 1))),
            "the sum grows with the picture, and the softmax becomes surer with it: take the mean"),
           (lambda maps: maps.mean(axis=(0, 1)), "the mean is right; the softmax behind it makes it probabilities")],
    moral="No weights at all, and any size of picture will do: it replaces the 124 million weights of VGG-16's last layers.")
def class_probabilities(maps):
    """Darknet-19's last two layers: one map for each class -> probabilities, (h, w, classes) -> (classes,).

    Global average pooling, then softmax: e^m_k / sum over j of e^m_j, with m_k the mean of map k. maps: (h, w, classes).
    """
    raise NotImplementedError
