"""The ladder from YOLO to YOLOv2: the rungs of the paper's table, each a cfg that differs from the one below in one trick.

Everything is the paper's at half its size: pretraining at 112 x 112 (224) and 224 x 224 (448), YOLO's 7 x 7 cells at
224 x 224 (448), YOLOv2's 13 x 13 at 208 x 208 (416), sizes of 160..304 (320..608), a detector of 272 x 272 (544).
Paper: YOLO9000 (arXiv 1612.08242), section 2, "Better", table 2. `minidarknet ablate` trains them (ablate.py).
"""
from typing import NamedTuple

LAYERS = 15         # how many layers pretraining hands on: all but the classifier's last convolution
PRETRAINED = 800    # updates of pretraining, of as many pictures as the classifiers' cfgs say
FINE_TUNED = 160    # updates of fine-tuning at the detector's resolution
FINE_TUNING = {     # paper: 10 epochs at 448, at a hundredth of the rate. Here the epochs are few: a tenth.
    "net.width": 224, "net.height": 224, "net.min_crop": 224, "net.max_crop": 256, "net.learning_rate": .005}
ANCHORS = 5         # of the rungs with dimension priors
GRID = 13           # cells across of the rungs with anchors


class Rung(NamedTuple):
    """A row of the paper's table. name: for --rungs. title: for people. cfg: file in cfg/ladder. paper: mAP there, None
    where it is not told. classifier: the cfg whose layers it begins with. fine_tuned: whether that was trained at the
    detector's resolution, too. priors: whether its anchors come from the training boxes. weights_of: the rung whose
    weights it takes as they are, being no training of its own, or None.
    """

    name: str
    title: str
    cfg: str
    paper: float
    classifier: str
    fine_tuned: bool = True
    priors: bool = False
    weights_of: str = None


RUNGS = (
    Rung("yolo", "YOLO", "yolo.cfg", 63.4, "classifier-yolo.cfg", fine_tuned=False),
    Rung("batch-norm", "batch norm", "batch-norm.cfg", 65.8, "classifier-batch-norm.cfg", fine_tuned=False),
    Rung("high-resolution-classifier", "hi-res classifier", "batch-norm.cfg", 69.5, "classifier-batch-norm.cfg"),
    Rung("anchors", "convolutional, anchor boxes", "anchors.cfg", 69.2, "classifier-batch-norm.cfg"),
    Rung("new-network", "new network", "new-network.cfg", 69.6, "classifier-new-network.cfg"),
    Rung("dimension-priors", "dimension priors", "dimension-priors.cfg", None, "classifier-new-network.cfg", priors=True),
    Rung("location-prediction", "location prediction", "location-prediction.cfg", 74.4, "classifier-new-network.cfg",
         priors=True),
    Rung("passthrough", "passthrough", "passthrough.cfg", 75.4, "classifier-new-network.cfg", priors=True),
    Rung("multi-scale", "multi-scale", "multi-scale.cfg", 76.8, "classifier-new-network.cfg", priors=True),
    Rung("high-resolution-detector", "hi-res detector", "high-resolution.cfg", 78.6, "classifier-new-network.cfg",
         priors=True, weights_of="multi-scale"),
)


class Step(NamedTuple):
    """One training. folder: its run folder's name within the ladder's. cfg: file in cfg/ladder. settings: dict for --set.
    crops: whether it learns to name the objects' cut-out pictures. needs: folder of the step it begins with, or None.
    updates, batch: pictures are updates * batch. seed: of all its draws."""

    folder: str
    cfg: str
    settings: dict
    crops: bool
    needs: str
    updates: int
    batch: int
    seed: int


class Work(NamedTuple):
    """How much every step trains. images: pictures for each rung, the same for all. batch: of the detectors, and of the
    classifiers. pretrained, fine_tuned: updates."""

    images: int
    batch: int
    class_batch: int
    pretrained: int = PRETRAINED
    fine_tuned: int = FINE_TUNED


def chosen(names=None):
    """The Rungs called `names` (list of str, None: all), from the lowest to the highest. Raises KeyError: no such rung."""
    known = {rung.name: rung for rung in RUNGS}
    wanted = {known[name] for name in names} if names else set(RUNGS)
    return [rung for rung in RUNGS if rung in wanted]


def trained(rung):
    """The Rung whose training gives the weights of `rung`: itself, but for the high-resolution detector."""
    return next(r for r in RUNGS if r.name == (rung.weights_of or rung.name))


def folder(rung, seed):
    """Name (str) of the run folder in which the weights of a Rung are."""
    return f"seed-{seed}/{trained(rung).name}"


def steps(rungs, seeds, work, anchors):
    """What is to be trained for some Rungs: list of Step, each behind the one it needs.

    seeds: of every seed one pretraining for all rungs with the same layers. work: Work. anchors: text of the priors.
    """
    found = {}

    def add(step):
        found.setdefault(step.folder, step)
        return step.folder

    for seed in seeds:
        for rung in map(trained, rungs):
            begun = f"seed-{seed}/{rung.classifier.removesuffix('.cfg')}"
            low = add(Step(begun, rung.classifier, {}, True, None, work.pretrained, work.class_batch, seed))
            if rung.fine_tuned:
                low = add(Step(f"{begun}-224", rung.classifier, FINE_TUNING, True, low, work.fine_tuned, work.class_batch,
                               seed))
            settings = {"region.anchors": anchors} if rung.priors else {}
            add(Step(folder(rung, seed), rung.cfg, settings, False, low, work.images // work.batch, work.batch, seed))
    return list(found.values())
