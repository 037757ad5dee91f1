"""What all layers share: options, buffers in frames, parameters, and the four verbs.

A layer is one section of the cfg. It remembers (options, parameters, buffers) and delegates the arithmetic to `ops`,
the package `kernels` or the package `engine`, which hold functions of the same names.
"""
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Misfit(Exception):
    """A layer that cannot stand where the cfg puts it: `message` says what was found, expected and what to do.

    key: the option of the section that is to blame (str or None); the network adds file, line and section.
    """

    def __init__(self, message, key=None):
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """The keys that every layer section may have (Darknet: src/parser.c)."""

    learning_rate: float = 1.0  # multiplies the network's rate for this layer
    stopbackward: int = 0       # 1: the backward pass ends before this layer
    dontload: int = 0           # 1: skip this layer when weights are read
    dontsave: int = 0           # 1: skip this layer when weights are written
    onlyforward: int = 0        # Darknet reads it and ignores it outside its GPU build
    smooth: float = 0.0         # Darknet reads it and ignores it outside its GPU build

    IGNORED = ()    # keys that Darknet knows and that have no effect there
    # Keys that minidarknet does not support yet.
    LATER = ("truth", "numload", "dontloadscales", "dont_update", "burnin_update", "train_only_bn")
    CHOICES = {}    # key -> the allowed values
    LATER_CHOICES = {}  # key -> values that minidarknet does not support yet


class Param(NamedTuple):
    """A trained array: `value` and `grad` (+dL/dvalue, summed over images) of the same shape.

    decay: whether weight decay applies (weights yes; biases and scales no). rate: the layer's own learning_rate factor.
    """

    name: str
    value: np.ndarray
    grad: np.ndarray
    decay: bool
    rate: float = 1.0


class Stored(NamedTuple):
    """An array in the .weights file.

    order "kkcf": held as (k, k, c, f), filed as (f, c, k, k); "connected": held as (1, 1, n, f), filed as (f, n), in old
    files as (n, f); "local": held as (oh, ow, k, k, c, f), filed as (oh, ow, f, c, k, k); "hwc": held as (h, w, c), filed
    as (c, h, w); "": filed as it is.
    """

    name: str
    array: np.ndarray
    order: str = ""


@dataclass
class Run:
    """What a pass knows and a layer may read or add to.

    train: bool. truth: (b, t, 5) rows x y w h class in fractions, or (b, classes), or None. seen: images, this batch
    included. loss: the differentiated loss, darknet_cost: what Darknet prints, both summed over the batch's images.
    strict: reproduce Darknet's CPU build. rng: numpy Generator for dropout. statistics: means for the progress line.
    """

    train: bool = False
    truth: np.ndarray | None = None
    seen: int = 0
    strict: bool = False
    rng: np.random.Generator | None = None
    loss: float = 0.0
    darknet_cost: float = 0.0
    statistics: dict = field(default_factory=dict)


class Buffer:
    """Storage that only grows, seen as a (b, h, w, c) picture inside a margin of zeros.

    The margin lets a padded convolution read outside the picture without a test and without a copy.
    """

    ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register

    def __init__(self, dtype=np.float32):
        self.dtype = np.dtype(dtype)
        self._bytes = np.zeros(0, np.uint8)
        self.frame = None  # the last view with its margin

    def view(self, shape, margin=0):
        """The inner (b, h, w, c) view with `margin` zero pixels on every side; the contents inside are undefined."""
        b, h, w, c = shape
        framed = (b, h + 2 * margin, w + 2 * margin, c)
        size = int(np.prod(framed)) * self.dtype.itemsize
        if self._bytes.size < size + self.ALIGNMENT:
            self._bytes = np.zeros(size + self.ALIGNMENT, np.uint8)
        start = -self._bytes.ctypes.data % self.ALIGNMENT
        self.frame = frame = self._bytes[start:start + size].view(self.dtype).reshape(framed)
        inner = frame[:, margin:margin + h, margin:margin + w]
        if margin:
            frame[:, :margin] = frame[:, margin + h:] = 0
            frame[:, :, :margin] = frame[:, :, margin + w:] = 0
        return inner


class Layer:
    """One section of the cfg. Abstract: subclasses are final and override only what this class leaves open.

    sources: the layers whose `out` it reads. shape: own (h, w, c), network_shape: the input's, set by the network. out,
    grad: (b, h, w, c) views, grad is +dL/dout; both None in a convolution that is fused with the pooling behind it, out in
    predictions with the shortcut behind it (see fuse.py). accumulate[i]: whether the gradient of source i is added to (True)
    or overwritten.
    """

    name = ""              # the section's name in the cfg
    Options = LayerOptions
    margin = 0             # zero pixels this layer needs around the `out` of its sources
    grad_margin = 0        # zero pixels this layer needs around its own `grad`
    trains_from_truth = False  # True for heads: with a truth, forward adds to run.loss
    detects = False        # True for heads that find boxes (detector.py)
    overwrites = False     # True: Darknet's CPU build writes its source's gradient over what later readers put there
    multiscale = False     # True for heads that ask for training at changing sizes

    def __init__(self, options, sources, ops, dtype=np.float32):
        self.options, self.sources, self.ops, self.dtype = options, sources, ops, np.dtype(dtype)
        self.shape = self.network_shape = None
        self.section = None     # where in the cfg it stands, for error messages
        self.out = self.grad = None
        self.out_margin = 0
        self.home = None        # (route, first channel): in predictions `out` is a part of that route's (join.py)
        self.index = None       # position in the network
        self.wants_grad = True  # False: nobody needs dL/dout (the picture, frozen layers, layers nobody reads)
        self.accumulate = [False] * len(sources)
        self._buffers = {}

    @classmethod
    def source_indices(cls, options, index):
        """Indices of the layers that layer `index` reads; -1 is the network's input."""
        return [index - 1]

    def out_shape(self, *shapes):
        """(h, w, c) of each source -> own (h, w, c). Raises Misfit."""
        return shapes[0]

    def open_files(self, find):
        """Read the files that the options name. Called once before the first pass, not where a network is only looked at.

        find: function, key of an option -> Path of the file it names; raises CfgError. Raises Misfit, DataError.
        """

    def build(self):
        """Make the arrays of parameters, by np.zeros or np.ones of self.dtype; shapes are known.

        Called twice: first with a dtype of no bytes, to see how large they would be before they take memory (limits.py).
        """

    def initialise(self, rng):
        """Draw the initial weights from `rng` (numpy Generator)."""

    @property
    def params(self):
        """[Param]: the arrays an optimizer changes."""
        return []

    @property
    def stored(self):
        """[Stored]: the arrays of the .weights file, in its order, rolling statistics included."""
        return []

    def operations(self):
        """Floating point operations of one picture's forward pass (multiplication and addition counted apart)."""
        return 0

    @property
    def grid(self):
        """(rows, columns) of the cells that the picture is divided into."""
        return self.shape[:2]

    def window(self):
        """(size, stride) of the sliding window, for the receptive field; (1, 1) where there is none."""
        return 1, 1

    @property
    def plans(self):
        """Whether a prediction is decided once (planned.py): in the engine."""
        return getattr(self.ops, "CHOOSES", False)

    def resize(self, batch, train):
        """Make the buffers for `batch` pictures of the present shape. Buffers only grow."""
        self.make_output(batch, train, self.grad_margin)
        self.allocate(batch, train)

    def make_output(self, batch, train, grad_margin):
        """Make `out` and, where it is wanted, `grad` with `grad_margin` zero pixels around it."""
        self.out = self.place(batch, train)
        if train and self.wants_grad:
            self.grad = self.buffer("grad", (batch, *self.shape), grad_margin if self._framed else 0)

    def place(self, batch, train):
        """The (b, h, w, c) array that `out` is to be: its own, or in a prediction the part of a route's that is its home."""
        if self.home is None or train:
            return self.buffer("out", (batch, *self.shape), self.out_margin if self._framed else 0)
        route, first = self.home
        return route.place(batch, train)[..., first:first + self.shape[2]]

    @property
    def _framed(self):
        """Whether the operations want zeros around their pictures: the engine's."""
        return getattr(self.ops, "FRAMED", False)

    def allocate(self, batch, train):
        """Make further buffers (winners, values before activation). Default: nothing."""

    def buffer(self, name, shape, margin=0, dtype=None):
        """A grow-only (b, h, w, c) array under `name`, inside a margin of zeros."""
        if name not in self._buffers:
            self._buffers[name] = Buffer(dtype or self.dtype)
        return self._buffers[name].view(shape, margin)

    def forward(self, run):
        """sources' out -> self.out. A head with run.truth also adds to run.loss and keeps the gradient."""
        raise NotImplementedError

    def backward(self, run):
        """self.grad -> every source's grad (written or accumulated) and every param's grad (accumulated)."""
        raise NotImplementedError

    def source_grads(self):
        """(i, source, accumulate) of each source that wants a gradient."""
        return [(i, s, self.accumulate[i]) for i, s in enumerate(self.sources) if s.wants_grad]
