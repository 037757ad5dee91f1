"""What a network is trained for: to find boxes (Detection) or to name pictures (Classification).

A task knows everything in which the two differ: how pictures are varied, what a batch's truth is, how the network is
scored, and how that is written down and drawn. The training itself (trainer.py) is the same.
"""
import numpy as np

from minidarknet import evaluate, parser, viz
from minidarknet.data import multiscale, pictures
from minidarknet.data.augment import MODES, Augmentation
from minidarknet.data.augment_class import MODES as CLASS_MODES
from minidarknet.data.augment_class import ClassAugmentation
from minidarknet.runs import COMMON
from minidarknet.tree_accuracy import leaves_only

COMMON_LEGEND = """what the progress bar and the columns of metrics.csv mean
  loss           the function that is differentiated, per image; falls, fast at first
  darknet_cost   sum of squared errors per image, the number that Darknet prints
  learning_rate  rises during burn-in, then follows the cfg's policy
"""


def task_of(cfg):
    """Detection or Classification, as the heads of a parser.Cfg say."""
    return Detection() if parser.detects(cfg) else Classification()


class Detection:
    """Finding boxes. scores: the columns that validation fills, the first ranks; shown: what the first is called."""

    classifies = False
    resize = None               # how pictures are fitted if the command does not say; None: as the cfg does
    scores, shown, axis = ("map_voc07",), "mAP", "validation mAP\nVOC07, IoU 0.5"
    columns = (*COMMON, *scores, "avg_iou", "class", "obj", "no_obj", "recall", "objects")
    final = "_final.weights"    # how Darknet names the weights at the end, behind the cfg's name
    legend = COMMON_LEGEND + """\
  map_voc07      mean average precision on the validation set: 0 useless, 1 perfect
  avg_iou        overlap of the responsible boxes with their objects: above .6 is good
  class          probability given to the right class: toward 1
  obj, no_obj    objectness where there is an object: above .6; where there is none: below .01
  recall         share of the objects whose box overlaps by more than half: toward 1
  objects        objects in the update; with none the five columns before are empty"""

    def augmentations(self, net):
        """dict mode -> how the loader varies pictures for `net`, the default first."""
        o = net.options
        return {mode: Augmentation(mode=mode, jitter=net.head.options.jitter, hue=o.hue, saturation=o.saturation,
                                   exposure=o.exposure, resize=net.resize_mode,
                                   mosaic=bool(o.mosaic) and mode != "none") for mode in MODES}

    def some_truth(self, net, count):
        """A truth for `count` pictures that nobody has looked at: one object in the middle of each."""
        return np.tile(np.array([.5, .5, .3, .3, 0], np.float32), (count, 1, 1))

    def multiscale(self, net):
        """(stride, multiscale.Scales) where the cfg asks for changing sizes, else None."""
        return (net.stride, multiscale.DETECTOR) if net.head.multiscale else None

    def one_size(self, net):
        """Overrides of the cfg that switch changing sizes off."""
        return {f"{net.head.name}.random": 0} if net.head.multiscale else {}

    def score(self, net, data, reader=None):
        """Score `net` on a Dataset: dict of `scores`. reader: as evaluate.detections."""
        return {"map_voc07": evaluate.score(net, data, reader).map_voc07}

    def measured(self, net, batch):
        """What a mini-batch that `net` was trained on tells, for `merged`."""
        return net.statistics

    def merged(self, measured):
        """Columns of metrics.csv from what was `measured` in the mini-batches of an update, weighted by objects."""
        if "count" not in measured[0]:
            return {}
        objects = sum(s["count"] for s in measured)

        def mean(key):
            return sum(s[key] * s["count"] for s in measured if s["count"]) / objects if objects else None
        return {"avg_iou": mean("avg_iou"), "class": mean("class_probability"), "obj": mean("obj"),
                "no_obj": sum(s["no_obj"] for s in measured) / len(measured), "recall": mean("recall"),
                "objects": objects}

    def draw_batch(self, batch, net):
        """A training batch as `net` sees it: PIL.Image."""
        return viz.training_batch(batch.x, net.head.in_nodes(batch.truth), net.names)

    def draw_probe(self, net, path):
        """The picture at `path` with what `net` says about it: (h, w, 3) uint8. Raises BrokenPicture."""
        return np.asarray(net.detect(pictures.read(path)).draw())

    def told(self, scores, best):
        """The last `scores` (dict) and the best of the first of them as one line."""
        return f"mAP (VOC07, IoU .5) {scores['map_voc07']:.4f}", f"best {best:.4f}"


class Classification:
    """Naming pictures. The attributes and methods are those of Detection."""

    classifies = True
    resize = "crop"
    scores, shown, axis = ("top1", "topk"), "top-1", "validation accuracy\ntop-1 and top-5"
    columns = (*COMMON, *scores, "train_top1")
    final = ".weights"
    legend = COMMON_LEGEND + """\
  top1, topk     share of the validation pictures whose class is the first guess, or among the first 5: toward 1
                 (with a tree of labels the leaves are what can be guessed)
  train_top1     the same as top1 for the varied pictures of the update"""

    def augmentations(self, net):
        """As Detection. The default is "center" where the cfg says center=1."""
        o = net.options
        low, high = o.min_crop or o.width, o.max_crop or 2 * o.width
        options = {"min_ratio": o.min_ratio or low / o.width, "max_ratio": o.max_ratio or high / o.width}
        modes = sorted(CLASS_MODES, key=lambda mode: mode != "center") if o.center else CLASS_MODES
        return {mode: ClassAugmentation(net.classes, **options, angle=o.angle, aspect=o.aspect, hue=o.hue,
                                        saturation=o.saturation, exposure=o.exposure, mode=mode, resize=net.resize_mode)
                for mode in modes}

    def some_truth(self, net, count):
        """As Detection: all pictures are of class 0."""
        return np.eye(1, net.classes, dtype=np.float32).repeat(count, axis=0)

    def multiscale(self, net):
        """As Detection; a cfg whose sides are no multiples of 32 has no stride to be kept."""
        stride = 1 if any(side % 32 for side in net.input.shape[:2]) else 32
        return (stride, multiscale.CLASSIFIER) if net.options.random else None

    def one_size(self, net):
        """As Detection."""
        return {"net.random": 0}

    def score(self, net, data, reader=None):
        """As Detection."""
        result = evaluate.accuracy(net, data, quiet=True, reader=reader)
        return {"top1": result.top1, "topk": result.topk}

    def measured(self, net, batch):
        """Share of the batch's pictures that `net` named right while it learnt them: float."""
        said = leaves_only(net.tree, net.head.out.reshape(len(batch.x), -1))
        return float((said.argmax(axis=1) == batch.truth.argmax(axis=1)).mean())

    def merged(self, measured):
        """As Detection."""
        return {"train_top1": float(np.mean(measured))}

    def draw_batch(self, batch, net):
        """As Detection."""
        truth = np.zeros((len(batch.x), 1, 5))
        truth[:, 0] = [[.5, .5, 1, 1, k] for k in batch.truth.argmax(axis=1)]
        return viz.training_batch(batch.x, truth, net.names)

    def draw_probe(self, net, path):
        """As Detection."""
        picture = pictures.read(path)
        said = leaves_only(net.tree, net.predict(pictures.fit(picture, net.input.shape[:2], net.resize_mode)[0][None]))[0]
        best, (h, w, _) = int(said.argmax()), picture.shape
        return np.asarray(viz.draw_boxes(picture, np.array([[0, 0, w, h]]), np.array([best]), said[[best]], net.names))

    def told(self, scores, best):
        """As Detection."""
        return f"top-1 {scores['top1']:.4f}, top-5 {scores['topk']:.4f}", f"best {best:.4f}"
