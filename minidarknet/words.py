"""Darknet's own words: `minidarknet detector test cfg/coco.data cfg/yolov3.cfg yolov3.weights dog.jpg -thresh .3`.

What people have typed for years becomes a command line of ours, which is printed on stderr and carried out. Words stand
in Darknet's order, flags with one hyphen anywhere; options of ours with two hyphens may follow behind all others.
Source: examples/darknet.c, detector.c, classifier.c, yolo.c; AlexeyAB's src/detector.c.
"""
import shlex
import sys
from pathlib import Path

from minidarknet import parser
from minidarknet.errors import DataError, UsageError
from minidarknet.grammar import did_you_mean
from minidarknet.paths import BUNDLED, resolve

VALUED = ("-thresh", "-nms", "-hier", "-out", "-t", "-iou_thresh", "-points", "-num_of_clusters", "-width", "-height",
          "-gpus", "-i", "-prefix", "-c", "-s", "-avg", "-mjpeg_port", "-json_port", "-http_port", "-out_filename")
SWITCHES = ("-clear", "-ext_output", "-letter_box", "-dont_show", "-map", "-nogpu", "-show", "-save_labels", "-fullscreen",
            "-benchmark_layers", "-chart", "-verbose")
SILENT = {  # flags that change nothing here, and why
    "-gpus": "there is no GPU code, all cores work", "-i": "there is no GPU code, all cores work", "-nogpu": None,
    "-dont_show": None, "-show": "no window opens", "-map": "training validates anyway",
    "-save_labels": "the run folder holds labels/*.txt"}
UNKNOWN = ("average", "cifar", "coco", "composite", "demo", "denormalize", "go", "imtest", "isegmenter", "lsd", "nightmare",
           "normalize", "oneoff", "ops", "rescale", "reset", "rgbgr", "rnn", "segmenter", "speed", "statistics", "super",
           "tag", "test", "visualize", "voxel", "writing", "3d")


class Words:
    """A Darknet command line taken apart. words: list of str without flags; used: how many of them name the command;
    rest: options of ours, to be handed on."""

    def __init__(self, argv):
        self.words, self._flags, self.rest, self.used = [], {}, [], 1
        for n, word in enumerate(argv):
            if word.startswith("--"):
                self.rest = argv[n:]
                argv = argv[:n]
                break
        argv = iter(argv)
        for word in argv:
            if word in VALUED:
                value = next(argv, None)
                if value is None:
                    raise UsageError(f"{word} needs a value behind it")
                self._flags[word] = value
            elif word in SWITCHES:
                self._flags[word] = ""
            elif word.startswith("-") and len(word) > 1:
                raise UsageError(f"Darknet has no flag {word}{did_you_mean(word, [*VALUED, *SWITCHES])}")
            else:
                self.words.append(word)

    def flag(self, name):
        """The value of a flag ("" of a switch), None where it was not given; it counts as understood."""
        return self._flags.pop(name, None)

    def options(self, **names):
        """[--name, value, ...] of ours for every flag that was given; names: ours="-theirs"."""
        found = [(f"--{ours}", self.flag(theirs)) for ours, theirs in names.items()]
        return [word for option, value in found if value is not None for word in (option, value)]

    def take(self, usage):
        """The words behind the command, by `usage` such as "DATA CFG [WEIGHTS]": list of str, None where one is left out.

        Raises UsageError where there are too few or too many.
        """
        names = usage.split()
        given = self.words[self.used:]
        if not sum(not name.startswith("[") for name in names) <= len(given) <= len(names):
            raise UsageError(f"expected `minidarknet {' '.join(self.words[:self.used])} {usage}`, found {len(given)} words "
                             f"behind {self.words[self.used - 1]!r}")
        return given + [None] * (len(names) - len(given))

    def leave(self):
        """Say which flags change nothing. Called when the command has taken those it understands."""
        for name in self._flags:
            why = SILENT.get(name, "it has no meaning for this command")
            if why:
                print(f"note: {name} is passed over: {why}", file=sys.stderr)


def spoken(argv):
    """Whether a command line (list of str) is in Darknet's words: bool. `detect` is, with flags of one hyphen."""
    if argv[:1] == ["detect"]:
        pair = len(argv) == 3 and not any(word.startswith("-") for word in argv)  # CFG WEIGHTS: the picture is asked for
        return pair or any(word in VALUED + SWITCHES for word in argv)
    return bool(argv) and argv[0] in (*COMMANDS, *UNKNOWN)


def translate(argv):
    """A command line of ours (list of str) that does what one in Darknet's words asks for; it is shown on stderr.

    Raises UsageError for what Darknet would not understand either or what minidarknet does not do, DataError for a .data
    file that is not there.
    """
    name = argv[0]
    if name in UNKNOWN:
        raise UsageError(f"minidarknet does not do Darknet's `{name}`; it does {', '.join(COMMANDS)}")
    words, command = Words(argv), COMMANDS[name]
    if isinstance(command, dict):
        action = (words.words + [""])[1]
        if action not in command:
            raise UsageError(f"minidarknet {name} {action}: expected one of {', '.join(command)}"
                             f"{did_you_mean(action, list(command))}")
        command, words.used = command[action], 2
    ours = command(words) + words.rest
    words.leave()
    print(f"in minidarknet's words: minidarknet {shlex.join(ours)}", file=sys.stderr)
    return ours


def _data(path):
    """The DataFile of a .data file as given, or the bundled one of that name. Raises DataError."""
    from minidarknet.data.data_file import DataFile
    try:
        return DataFile(resolve(path))
    except UsageError as error:
        raise DataError(f"{error}. A .data file has lines classes=80, names=FILE, train=LIST, valid=LIST") from None


def _shown(path):
    """A file as a person would name it: bundled ones as cfg/NAME."""
    return f"cfg/{path.name}" if path.parent == BUNDLED else str(path)


def _names(data):
    """The option that gives a detector's names, [] where the .data file has none."""
    return ["--names", _shown(data.file("names", bundled=True))] if data.value("names") else []


def _image(image):
    return "-" if image is None else image


def _style(words):
    return ["--style", "darknet" if words.flag("-ext_output") is None else "boxes"]


def _tree(data):
    """The label tree that the .data file gives to a classifier."""
    return ["--set", f"softmax.tree={data.file('tree')}"] if data.value("tree") else []


def _map_of(data):
    """The map in a .data file, from classes to the nodes of a detector's tree, as arguments."""
    return ["--set", f"region.map={data.file('map')}"] if data.value("map") else []


def _test(words):
    data, cfg, weights, image = words.take("DATA CFG WEIGHTS [IMAGE]")
    return _found(words, cfg, weights, image, _names(_data(data)))


def _detect(words):
    cfg, weights, image = words.take("CFG WEIGHTS [IMAGE]")
    coco = parser.detects(cfg_ := parser.read(cfg)) and parser.classes_of(cfg_) == 80
    return _found(words, cfg, weights, image, ["--names", "cfg/coco.names"] if coco else [])


def _found(words, cfg, weights, image, names):
    """What `detector test` does: thresh .5, the picture with its boxes as predictions.jpg."""
    thresh = words.options(thresh="-thresh") or ["--thresh", "0.5"]
    out = words.flag("-out") or "predictions"
    return ["detect", cfg, weights, _image(image), *names, *thresh, *words.options(nms="-nms", hier="-hier"),
            *_style(words), "--picture", f"{out}.jpg"]


def _train(words):
    """Of a detector or a classifier; weights count on unless -clear is given."""
    path, cfg, weights = words.take("DATA CFG [WEIGHTS]")
    data = _data(path)
    ours, clear = ["train", cfg, "--data", _shown(data.path)], words.flag("-clear") is not None
    if weights:
        start = _whole_or_part(cfg, weights)
        ours += ["--weights", start, *([] if clear or start != weights else ["--keep-seen"])]
    try:
        data.file("valid")
    except (DataError, KeyError):
        ours += ["--val-split", "train"]     # Darknet trains without validating
    return [*ours, *(["--backup", data.value("backup")] if data.value("backup") else []), *_tree(data)]


def _whole_or_part(cfg, weights):
    """FILE, or FILE:N where it ends after the first N layers, as darknet19_448.conv.23 does: Darknet reads what is there."""
    from minidarknet import weights as weights_file
    from minidarknet.network import Network
    if weights_file.parse_argument(weights)[1] is not None or not Path(weights).is_file():
        return weights
    net = Network(parser.read(cfg), initialise=False)
    blocks = weights_file.describe(net.layers, weights_file.read_header(weights).size)
    size = Path(weights).stat().st_size
    part = next((block for block in blocks[:-1] if block.end == size), None)
    return f"{weights}:{part.index + 1}" if part else weights


def _valid(words):
    path, cfg, weights = words.take("DATA CFG WEIGHTS")
    data, out = _data(path), words.flag("-out")
    folder, form = data.value("results", "results"), data.value("eval", "voc")
    if words.flag("-hier") is not None:
        print("note: -hier is passed over: scores are taken at every level of a label tree", file=sys.stderr)
    if form == "imagenet":
        raise UsageError(f"{data.place('eval')}: ImageNet's detection files are not written; expected voc or coco")
    files = ["--coco", str(Path(folder, f"{out or 'coco_results'}.json"))] if form == "coco" else \
        ["--comp4", folder, *(["--comp4-prefix", out] if out else [])]
    return ["evaluate", cfg, weights, "--data", _shown(data.path), "--split", "valid", *files,
            *words.options(thresh="-thresh", nms="-nms"), *_map_of(data)]


def _map(words):
    path, cfg, weights = words.take("DATA CFG WEIGHTS")
    ours = ["evaluate", cfg, weights, "--data", _shown(_data(path).path), "--split", "valid"]
    ours += words.options(iou="-iou_thresh", nms="-nms")
    ours += ["--metric", "coco"] if words.flag("-points") == "101" else []
    # AlexeyAB's Darknet, whose command this is, stretches pictures unless told otherwise.
    return ours + (["--resize", "stretch"] if words.flag("-letter_box") is None else [])


def _recall(words):
    path, cfg, weights = words.take("DATA CFG WEIGHTS")
    return ["evaluate", cfg, weights, "--data", _shown(_data(path).path), "--split", "valid", "--thresh", "0.001", "--nms",
            "0.4", *words.options(iou="-iou_thresh")]


def _anchors(words):
    path, = words.take("DATA")
    size = words.flag("-width"), words.flag("-height")
    if None in size and any(size):
        raise UsageError("-width and -height belong together: give both")
    return ["anchors", "--data", _shown(_data(path).path), "-k", words.flag("-num_of_clusters") or "5",
            *([] if None in size else ["--size", "x".join(size)])]


def _demo(words):
    raise UsageError("demo watches a camera or a video, which minidarknet does not; make pictures of the video, for example "
                     "with `ffmpeg -i video.mp4 frames/%05d.jpg`, and give detector test, or detect, the folder")


def _classifier_predict(words):
    path, cfg, weights, image = words.take("DATA CFG WEIGHTS [IMAGE]")
    data = _data(path)
    key = "names" if data.value("names") else "labels"
    names = ["--names", _shown(data.file(key, bundled=True))] if data.value(key) else []
    top = words.flag("-t") or str(data.number("top") or 1)
    return ["detect", cfg, weights, _image(image), *names, "--top", top, "--style", "darknet", *_tree(data)]


def _classify(words):
    cfg, weights, image = words.take("CFG WEIGHTS [IMAGE]")
    return ["detect", cfg, weights, _image(image), "--top", words.flag("-t") or "5", "--style", "darknet"]


def _classifier_valid(words):
    path, cfg, weights = words.take("DATA CFG WEIGHTS")
    data = _data(path)
    return ["evaluate", cfg, weights, "--data", _shown(data.path), "--split", "valid", "--top",
            words.flag("-t") or str(data.number("top") or 1), *_tree(data)]


def _yolo_test(words):
    cfg, weights, image = words.take("CFG WEIGHTS [IMAGE]")
    thresh = words.options(thresh="-thresh") or ["--thresh", "0.2"]
    return ["detect", cfg, weights, _image(image), "--names", "cfg/voc.names", *thresh, "--nms", "0.4", "--resize",
            "stretch", *_style(words), "--picture", f"{words.flag('-out') or 'predictions'}.jpg"]


def _yolo_train(words):
    cfg, weights = words.take("CFG [WEIGHTS]")
    start = ["--weights", _whole_or_part(cfg, weights)] if weights else []
    return ["train", cfg, "--data", "cfg/voc.data", *start, "--augmentation", "crop", "--resize", "stretch", "--backup",
            "backup"]


def _yolo_valid(words):
    cfg, weights = words.take("CFG WEIGHTS")
    return ["evaluate", cfg, weights, "--data", "cfg/voc.data", "--split", "valid", "--comp4", "results", "--thresh",
            "0.001", "--nms", "0.5", "--resize", "stretch"]


def _partial(words):
    cfg, weights, out, count = words.take("CFG WEIGHTS OUT N")
    return ["convert", cfg, f"{weights}:{count}", out, "--to", "weights"]


COMMANDS = {
    "detector": {"test": _test, "train": _train, "valid": _valid, "map": _map, "recall": _recall, "calc_anchors": _anchors,
                 "demo": _demo},
    "classifier": {"train": _train, "predict": _classifier_predict, "valid": _classifier_valid},
    "yolo": {"test": _yolo_test, "train": _yolo_train, "valid": _yolo_valid, "recall": _yolo_valid},
    "detect": _detect, "classify": _classify, "partial": _partial,
}
