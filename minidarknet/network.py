"""A network: the layers of a cfg in their order, and the two loops that run them forward and backward."""
import sys
from functools import partial

import numpy as np

from minidarknet import fuse, limits, parser
from minidarknet import weights as weights_file
from minidarknet.layers import LAYERS, Input, Misfit, Run
from minidarknet.names import names_beside, names_of
from minidarknet.netoptions import NetOptions
from minidarknet.ops import Ops


class Network:
    """The layers of a Darknet cfg. `layers[i]` is Darknet's layer i; `input` holds the picture.

    steps: what forward and backward run, layers or objects that stand for several (see fuse.py). options: the [net] section.
    seen: images trained on. names: class names or (). loss, darknet_cost: of the last forward pass with a truth, per image;
    spent: whether backward was called after it. statistics: what the heads measured in it. resize_mode: "letterbox" or
    "stretch", how `detect` fits a picture into the network: as [net] letter_box says, else as the cfg's own Darknet would.
    """

    def __init__(self, cfg, batch=1, backend="engine", strict_darknet_cpu=False, dtype=np.float32, seed=0,
                 initialise=True, fused=None, arrays=True):
        """cfg: parser.Cfg. dtype: float64 needs backend="kernels". seed: of the initial weights and of dropout.

        initialise: False leaves the weights zero (they are about to be loaded, or not needed). fused: False runs layer
        after layer, so that every layer's `out` can be looked at; default: fused where the backend can (fuse.py).
        arrays: False makes weights that have a shape but no memory, to be counted only.
        Raises CfgError where the sections do not make a network, and where its weights would not fit into memory.
        """
        if np.dtype(dtype) != np.float32 and backend == "engine":
            raise ValueError('the engine works in float32 only: use backend="kernels" for other precisions')
        possible = fuse.possible(backend, strict_darknet_cpu)
        if fused and not possible:
            raise ValueError('fused=True needs backend="engine", Numba\'s JIT, and not strict_darknet_cpu')
        self.cfg, self.backend, self.strict, self.seed = cfg, backend, strict_darknet_cpu, seed
        self.options = parser.typed(cfg, cfg.net, NetOptions)
        self.ops, self.dtype = Ops(backend), np.dtype(dtype)
        self.input = Input(self.options, self.ops, dtype)
        self.layers = []
        parser.require_supported(cfg, LAYERS)
        for section in cfg.layers:
            self._append(section)
        self._check_heads()
        self._plan_backward()
        self.steps = self.layers if fused is False or not possible else fuse.fuse(self)
        limits.check_weights(self)
        for layer in self.layers if arrays else ():
            layer.build()
        for layer in self.layers if arrays and initialise else ():
            layer.initialise(np.random.default_rng((seed, layer.index)))
        self.batch, self.seen, self.names, self.resize_mode = batch, 0, (), self._own_resize_mode()
        self.run, self.loss, self.darknet_cost, self.statistics = Run(), 0.0, 0.0, {}
        self._allocated, self.spent, self._opened = None, False, False

    @classmethod
    def from_cfg(cls, path, weights=None, batch=1, backend="engine", strict_darknet_cpu=False, overrides={},
                 dtype=np.float32, seed=0, initialise=True, fused=None):
        """Build the network of the cfg file `path` (a path or the name of a bundled cfg).

        weights: "FILE" or "FILE:N" (the first N layers), or None. overrides: {"section.key": value}, as --set. The
        others as __init__.
        Warnings about unknown keys go to stderr. Raises CfgError, WeightsError.
        """
        cfg = parser.override(parser.read(path), overrides)
        file, layers = weights_file.parse_argument(weights) if weights else (None, None)
        whole = file is not None and layers is None and not any(s.entry("dontload") for s in cfg.layers)
        net = cls(cfg, batch, backend, strict_darknet_cpu, dtype, seed, initialise and not whole, fused)
        for line in cfg.warnings:
            print(line, file=sys.stderr)
        if initialise:
            net.open_files()
        if file is not None:
            weights_file.load(net, file, layers)
        net.names = net.names_beside(file)
        return net

    @classmethod
    def from_string(cls, text, **kwargs):
        """Build the network of the cfg `text`; keywords as __init__."""
        return cls(parser.parse(text), **kwargs)

    @property
    def classes(self):
        """How many classes the head tells apart."""
        return self.head.options.classes if self.detects else self.head.shape[2]

    @property
    def head(self):
        """The layer whose output is the network's, of several the last one: the last layer that is not [cost]."""
        return next(layer for layer in reversed(self.layers) if layer.name != "cost")

    @property
    def heads(self):
        """All layers whose outputs are the network's, in order: of a detector every head that finds boxes."""
        return [layer for layer in self.layers if layer.detects] if self.detects else [self.head]

    @property
    def detects(self):
        """Whether the network finds boxes; else it classifies."""
        return self.head.detects

    @property
    def tree(self):
        """The WordTree of which the head's classes are the nodes, None where they have none or it was not opened yet."""
        return self.head.tree if getattr(self.head.options, "tree", "") else None

    @property
    def stride(self):
        """Pixels of the input that a cell of the head is wide, of several heads the coarsest."""
        return self.input.shape[1] // min(head.grid[1] for head in self.heads)

    @property
    def params(self):
        """[Param] of all layers that are not frozen by stopbackward, in order."""
        return [param for layer in self.layers if not layer.frozen or self.strict for param in layer.params]

    def names_beside(self, weights=None):
        """The classes' names (tuple of str) beside the file `weights` or the cfg, or of the tree; () if there are none.

        Raises DataError where tree and names do not fit.
        """
        nodes = getattr(self.head.options, "tree", "")
        return names_beside(self.classes, weights, self.cfg.path, fitting=not nodes) or names_of(self.tree)

    def open_files(self):
        """Read the files that the cfg names, such as label trees; the first pass would do it. Raises CfgError, DataError."""
        for layer in () if self._opened else self.layers:
            try:
                layer.open_files(partial(parser.find_file, self.cfg, layer.section))
            except Misfit as misfit:
                raise parser.error(self.cfg, layer.section, str(misfit), misfit.key) from None
        self._opened = True

    def resize(self, size):
        """Change the input to `size` = (width, height) pixels; weights stay. Raises CfgError where a layer cannot."""
        self.input.shape = (size[1], size[0], self.input.shape[2])
        for layer in self.layers:
            self._shape(layer)
        self._allocated = None

    def predict(self, x):
        """x (b, h, w, c) float in 0..1, of the network's size -> the head's activated output, a new array.

        Detectors: (b, gh, gw, anchors of a cell * (4 + 1 + classes)) with raw tw, th, or a [detection]'s row (b, 1, 1, n);
        of a network with several heads a tuple of such arrays, in the order of `heads`. `boxes` makes boxes of any.
        Classifiers: (b, classes).
        """
        self._forward(x, Run(strict=self.strict, seen=self.seen))
        if self.head.shape[:2] == (1, 1) and not self.detects:
            return self.head.out.reshape(len(x), -1).copy()
        outs = tuple(head.out.copy() for head in self.heads)
        return outs if len(outs) > 1 else outs[0]

    def boxes(self, out):
        """What `predict` gave -> (boxes, objectness, probability) of all heads, one behind the other.

        boxes: (b, n, 4) centre form (x, y, w, h) in fractions of the network's input. objectness: (b, n). probability:
        (b, n, classes), with a tree the absolute ones. Within a head by row, column and anchor.
        """
        outs = out if isinstance(out, tuple) else (out,)
        found = [head.boxes(one) for head, one in zip(self.heads, outs, strict=True)]
        return found[0] if len(found) == 1 else tuple(np.concatenate(parts, axis=1) for parts in zip(*found))

    def forward(self, x, truth=None, train=False):
        """x (b, h, w, c) through all layers; returns the differentiated loss per image (float; 0 without truth).

        truth: (b, t, 5) rows x y w h class in fractions of the picture, rows of zeros being ignored; for classifiers
        (b, classes). train: use the batch's statistics, drop, and count the images in `seen`.
        `darknet_cost`, what Darknet would print for the same pass, and `statistics` are left in the network.
        """
        if truth is not None:
            truth = np.asarray(truth, self.dtype)
            if len(truth) != len(x):
                raise ValueError(f"truth is for {len(truth)} pictures, x holds {len(x)}")
        if train:
            self.seen += len(x)
        rng = np.random.default_rng((self.seed, self.seen)) if train else None
        self._forward(x, Run(train=train, truth=truth, seen=self.seen, strict=self.strict, rng=rng))
        heads = sum(layer.trains_from_truth for layer in self.layers) or 1
        self.loss = float(self.run.loss) / len(x)
        self.darknet_cost = float(self.run.darknet_cost) / len(x) / heads
        self.statistics = self.run.statistics
        return self.loss

    def backward(self, grad=None):
        """Accumulate dL/dparam, summed over the images of the last forward pass, into every param.grad.

        grad: dL/dout of the last layer (b, h, w, c), for a loss of your own; default: the heads' own losses.
        """
        if not self.run.train:
            raise ValueError("backward needs a forward pass with train=True before it")
        if self.spent:
            raise ValueError("backward was called already for this forward pass, and has written gradients over what it "
                             "needs: call forward(x, truth, train=True) again")
        if grad is not None:
            last = self.layers[-1]
            if last.grad is None:
                raise ValueError(f"the last layer is [{last.name}], which brings its own loss: "
                                 "end the cfg before it to use a loss of your own")
            last.grad[...] = grad
        elif self.run.truth is None:
            raise ValueError("backward needs a forward pass with a truth before it, or the gradient of your own loss")
        self.spent = True
        for step in reversed(self.steps):
            if step.frozen:
                break
            if step.active:
                step.backward(self.run)

    def detect(self, image, thresh=.25, nms=.45, resize=None, hier=.5, nodes=None):
        """Find objects: image (path, PIL picture, or (h, w, 3) uint8 RGB array) -> Detections in its pixels.

        thresh: least objectness * class probability. nms: IoU above which the lesser box of a class is dropped.
        resize: "letterbox" or "stretch"; default `resize_mode`. hier: with a tree, the least probability of a class on
        the way down (WordTree.predict); the confidence is then the objectness. nodes: (n,) ints, nodes of the tree that are
        the only classes, 0 to n - 1, each with its own probability. Raises UsageError for a classifier, DataError.
        Darknet: get_region_detections, whose `map` is `nodes`.
        """
        from minidarknet.data import pictures  # the one import upstairs: a convenience
        from minidarknet.detections import select
        from minidarknet.errors import UsageError
        if not self.detects:
            raise UsageError(f"the network ends in [{self.head.name}], it classifies: use net.predict")
        picture = pictures.as_array(image)
        x, geometry = pictures.fit(picture, self.input.shape[:2], resize or self.resize_mode)
        boxes, objectness, probability = self.boxes(self.predict(x[None]))
        names = self.names or tuple(str(i) for i in range(self.classes))
        if nodes is not None:
            probability, names = probability[..., nodes], tuple(names[node] for node in nodes)
        elif self.tree is not None:
            probability = self.tree.decide(probability, hier)
        return select(boxes[0], objectness[0], probability[0], thresh, nms, geometry, names, picture, self.head.nms_penalty)

    def _append(self, section):
        cls = LAYERS[section.name]
        options = parser.typed(self.cfg, section, cls.Options)
        index = len(self.layers)
        try:
            sources = [self.layers[i] if i >= 0 else self.input for i in cls.source_indices(options, index)]
        except Misfit as misfit:
            raise parser.error(self.cfg, section, str(misfit), misfit.key) from None
        layer = cls(options, sources, self.ops, self.dtype)
        layer.section, layer.index = section, index
        self._shape(layer)
        self.layers.append(layer)

    def _shape(self, layer):
        layer.network_shape = self.input.shape
        try:
            layer.shape = layer.out_shape(*(source.shape for source in layer.sources))
            h, w, c = layer.shape
            if h * w * c > limits.MOST:
                raise Misfit(f"would give {w} x {h} x {c} = {w * h * c:,} numbers; expected at most {limits.MOST:,}, "
                             "which is as far as Darknet counts")
        except Misfit as misfit:
            raise parser.error(self.cfg, layer.section, str(misfit), misfit.key) from None

    def _own_resize_mode(self):
        if self.options.letter_box == -1:
            return "stretch" if self.detects and self.head.stretches else "letterbox"
        return "letterbox" if self.options.letter_box else "stretch"

    def _check_heads(self):
        if all(layer.name == "cost" for layer in self.layers):
            raise parser.error(self.cfg, self.cfg.layers[-1], "measures the output of the network, but no layer stands "
                               "before it")
        for head in self.heads[:-1]:
            if head.options.classes != self.classes:
                raise parser.error(self.cfg, head.section, f"has classes={head.options.classes}, but the last head, "
                                   f"[{self.head.name}] at line {self.head.section.line}, has classes={self.classes}: "
                                   "all heads must tell the same classes apart", "classes")

    def _plan_backward(self):
        """Decide once who takes part in the backward pass, who writes each gradient first, and the margins.

        The last reader of a layer comes first in the backward pass: it overwrites the gradient, the others add to it,
        except that in strict mode some overwrite always, as they do in Darknet.
        """
        stops = [layer.index for layer in self.layers if layer.options.stopbackward]
        frozen = max(stops, default=-1)
        useful = {self.layers[-1], *(layer for layer in self.layers if layer.trains_from_truth)}
        written = set()
        for layer in reversed(self.layers):
            layer.frozen = layer.index <= frozen
            layer.active = layer in useful
            own_loss = layer is self.layers[-1] and not layer.trains_from_truth
            layer.wants_grad = layer.active and not layer.frozen and (layer in written or own_loss)
            for i, source in enumerate(layer.sources):
                source.out_margin = max(source.out_margin, layer.margin)
                if layer.active:
                    useful.add(source)
                    layer.accumulate[i] = source in written and not (self.strict and layer.overwrites)
                    written.add(source)

    def _forward(self, x, run):
        x = np.asarray(x)
        if x.ndim != 4 or x.shape[1:] != self.input.shape:
            h, w, c = self.input.shape
            raise ValueError(f"the network takes (b, h, w, c) = (b, {h}, {w}, {c}), not {x.shape}: "
                             "fit the picture first (data.pictures.fit) or call net.resize((width, height))")
        if x.dtype.kind != "f":
            raise ValueError(f"the network takes floats in 0..1, not {x.dtype}: divide by 255")
        self._allocate(len(x), run.train)
        self.run, self.spent = run, False
        self.input.out[...] = x
        for step in self.steps:
            step.forward(run)

    def _allocate(self, batch, train):
        if self._allocated in ((batch, True), (batch, train)):
            return
        limits.check_batch(self, batch, train)
        self.open_files()
        self._allocated = None  # until all is done: it may be interrupted
        for step in (self.input, *self.steps):
            step.resize(batch, train)
        self._allocated = (batch, train)
