"""The bundled cfgs against what is known of Darknet's: layers, parameters, work, schedules."""
import pytest

from minidarknet import info, parser, paths
from minidarknet.names import read_names
from minidarknet.netoptions import NetOptions
from minidarknet.network import Network
from minidarknet.optimizer import learning_rate
from minidarknet.weights_misfit import KNOWN

# layers, parameters in the file, GFLOP at the cfg's size, width
FACTS = {
    "yolov1": (32, 197328243, 40.42, 448),
    "yolov1-tiny": (16, 27099950, 3.22, 448),
    "cifar": (17, 7687050, 1.62, 28),
    "yolov2": (32, 50983561, 62.94, 608),
    "yolov2-voc": (32, 50676061, 29.36, 416),
    "yolov2-tiny": (16, 11237145, 5.41, 416),
    "yolov2-tiny-voc": (16, 15867885, 6.97, 416),
    "darknet19": (26, 20856776, 7.29, 256),
    "darknet19_448": (26, 20856776, 22.33, 448),
    "tiny": (22, 1046488, 0.98, 224),
    "alexnet": (14, 62378344, 2.27, 227),
    "darknet": (16, 7323480, 0.96, 256),
    "extraction": (27, 23455400, 8.52, 224),
    "darknet53": (78, 41645640, 18.57, 256),
    "darknet53_448": (78, 41645640, 56.87, 448),
    "vgg-16": (25, 138357544, 30.94, 256),
    "yolo9000": (25, 48807501, 49.06, 544),
    "darknet9000": (27, 29485226, 25.71, 448),
    "yolov3": (107, 62001757, 140.69, 608),
    "yolov3-voc": (107, 61678657, 65.43, 416),
    "yolov3-spp": (114, 63052381, 141.45, 608),
    "yolov3-tiny": (24, 8858734, 5.565, 416),
    "yolov4": (162, 64429405, 128.39, 608),
    "yolov4-tiny": (38, 6062814, 6.91, 416),
    "resnet18": (29, 11523496, 4.69, 256),
    "resnet34": (53, 21639080, 9.52, 256),
    "resnet50": (69, 22825896, 9.74, 256),
}
CFGS = [name for name in paths.bundled() if name.endswith(".cfg")]


def numbers_in_file(cfg):
    """How many numbers the .weights file holds, counted from the text of the cfg alone."""
    channels, total, side = [], 0, int(cfg.net.get("width"))
    before = int(cfg.net.get("channels"))
    for i, section in enumerate(cfg.layers):  # a shortcut has the previous layer's channels
        if section.name == "convolutional":
            f, k = int(section.get("filters")), int(section.get("size"))
            total += f * (1 + 3 * int(section.get("batch_normalize", 0)) + k * k * before)
            before = f
            side = (side + 2 * (k // 2) * int(section.get("pad", 0)) - k) // int(section.get("stride", 1)) + 1
        elif section.name == "maxpool":
            k, stride = int(section.get("size")), int(section.get("stride"))
            side = (side + int(section.get("padding", k - 1)) - k) // stride + 1
        elif section.name == "local":
            f, k = int(section.get("filters")), int(section.get("size"))
            total += side ** 2 * f * (1 + k * k * before)  # size 3, stride 1, pad 1: the side stays
            before = f
        elif section.name == "crop":
            side = int(section.get("crop_width"))
        elif section.name == "connected":
            f = int(section.get("output"))
            total += f * (1 + side ** 2 * before)
            before, side = f, 1
        elif section.name == "route":
            before = sum(channels[n if n >= 0 else i + n] for n in map(int, section.get("layers").split(",")))
            before //= int(section.get("groups", 1))
        elif section.name == "reorg":
            before *= int(section.get("stride")) ** 2
        channels.append(before)
    return total


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    layers, parameters, gflop, width = FACTS[name]
    cfg = parser.read(f"cfg/{name}.cfg")
    assert len(cfg.layers) == layers
    assert numbers_in_file(cfg) == parameters
    assert cfg.net.get("width") == cfg.net.get("height") == str(width)
    assert name in KNOWN[parameters]
    totals = info.totals(Network.from_cfg(f"cfg/{name}.cfg", initialise=False))
    assert totals["parameters"] == parameters
    assert totals["weights_bytes"] == 20 + 4 * parameters
    assert totals["gflop"] == pytest.approx(gflop, abs=.006)


@pytest.mark.parametrize("name", CFGS)
def test_every_bundled_cfg_builds_without_a_warning(name, capsys):
    net = Network.from_cfg(f"cfg/{name}", initialise=False)
    assert net.cfg.warnings == [] and capsys.readouterr().err == ""
    assert net.cfg.text.startswith("# ") and net.cfg.text.isascii()


@pytest.mark.parametrize("name", FACTS)
def test_training_values(name):
    cfg = parser.read(f"cfg/{name}.cfg")
    o = parser.typed(cfg, cfg.net, NetOptions)
    batch, subdivisions = {"cifar": (128, 1), "darknet9000": (128, 4), "darknet19": (128, 16), "darknet19_448": (128, 16),
                           "yolov3": (64, 16), "yolov3-voc": (64, 16), "yolov3-spp": (64, 16)}.get(name, (64, 8))
    momentum = .949 if name == "yolov4" else .9
    assert (o.batch, o.subdivisions, o.momentum, o.decay) == (batch, subdivisions, momentum, .0005)


@pytest.mark.parametrize("name, values", [
    ("yolov1", {"policy": "steps", "learning_rate": .0005, "max_batches": 40000, "burn_in": 0,
              "steps": (200, 400, 600, 20000, 30000), "scales": (2.5, 2, 2, .1, .1), "saturation": 1.5, "exposure": 1.5}),
    ("yolov1-tiny", {"policy": "steps", "learning_rate": .0005, "max_batches": 40000, "saturation": .75, "exposure": .75,
              "steps": (200, 400, 600, 800, 20000, 30000), "scales": (2.5, 2, 2, 2, .1, .1), "hue": .1}),
    ("cifar", {"policy": "poly", "learning_rate": .4, "power": 4, "max_batches": 5000, "max_crop": 32, "min_crop": 32}),
    ("yolov2", {"policy": "steps", "burn_in": 1000, "max_batches": 500200,
              "steps": (400000, 450000), "scales": (.1, .1)}),
    ("yolov2-tiny", {"policy": "steps", "burn_in": 1000, "max_batches": 500200,
              "steps": (400000, 450000), "scales": (.1, .1)}),
    ("yolov2-voc", {"policy": "steps", "burn_in": 1000, "max_batches": 80200,
              "steps": (40000, 60000), "learning_rate": .001}),
    ("yolov2-tiny-voc", {"burn_in": 0, "max_batches": 40200,
              "steps": (-1, 100, 20000, 30000), "scales": (.1, 10, .1, .1)}),
    ("darknet19", {"policy": "poly", "learning_rate": .1, "power": 4, "max_batches": 800000, "burn_in": 1000,
              "min_crop": 128}),
    ("darknet19_448", {"policy": "poly", "learning_rate": .001, "power": 4, "max_batches": 100000, "max_crop": 512}),
    ("tiny", {"policy": "poly", "learning_rate": .1, "max_batches": 1600000, "max_crop": 320,
              "angle": 7, "aspect": .75}),
])
def test_schedules(name, values):
    cfg = parser.read(f"cfg/{name}.cfg")
    options = parser.typed(cfg, cfg.net, NetOptions)
    assert {key: getattr(options, key) for key in values} == values


@pytest.mark.parametrize("name, epochs", [("darknet19", 80), ("darknet19_448", 10)])
def test_the_papers_schedules_of_darknet_19(name, epochs):
    """YOLO9000, section 3, "Training for classification": rate .1, power 4, decay .0005, momentum .9, 160 epochs (Darknet's
    own cfg: half of them); at 448 x 448 10 epochs at .001."""
    cfg = parser.read(f"cfg/{name}.cfg")
    o = parser.typed(cfg, cfg.net, NetOptions)
    assert o.max_batches * o.batch / 1281167 == pytest.approx(epochs, rel=.01)
    assert learning_rate(o, o.burn_in) == pytest.approx(o.learning_rate, rel=.01)
    assert learning_rate(o, o.max_batches // 2) == pytest.approx(o.learning_rate / 16)
    assert learning_rate(o, o.max_batches) == 0


@pytest.mark.parametrize("name, first, last, rescore, jitter", [
    ("yolov2", .57273, 9.16828, 1, .3), ("yolov2-tiny", .57273, 9.16828, 0, .2),
    ("yolov2-voc", 1.3221, 10.0071, 1, .3), ("yolov2-tiny-voc", 1.08, 10.52, 1, .2),
])
def test_heads(name, first, last, rescore, jitter):
    o = Network.from_cfg(f"cfg/{name}.cfg", initialise=False).head.options
    assert (o.anchors[0], o.anchors[-1], len(o.anchors)) == (first, last, 10)
    assert (o.rescore, o.jitter, o.softmax, o.bias_match, o.thresh, o.object_scale) == (rescore, jitter, 1, 1, .6, 5)
    assert (o.noobject_scale, o.class_scale, o.coord_scale, o.random) == (1, 1, 1, 1)


@pytest.mark.parametrize("name, masks, grids", [
    ("yolov3", [(6, 7, 8), (3, 4, 5), (0, 1, 2)], [19, 38, 76]),
    ("yolov3-voc", [(6, 7, 8), (3, 4, 5), (0, 1, 2)], [13, 26, 52]),
    ("yolov3-spp", [(6, 7, 8), (3, 4, 5), (0, 1, 2)], [19, 38, 76]), ("yolov3-tiny", [(3, 4, 5), (0, 1, 2)], [13, 26])])
def test_heads_of_yolov3(name, masks, grids):
    net = Network.from_cfg(f"cfg/{name}.cfg", initialise=False)
    assert [head.options.mask for head in net.heads] == masks
    assert [head.shape[0] for head in net.heads] == grids
    o = net.head.options
    assert (o.anchors[:2], o.anchors[-2:]) == (((10, 14), (344, 319)) if "tiny" in name else ((10, 13), (373, 326)))
    assert (o.ignore_thresh, o.truth_thresh, o.random, o.jitter) == (.5 if "voc" in name else .7, 1, 1, .3)


@pytest.mark.parametrize("name, masks, grids, scales", [
    ("yolov4", [(0, 1, 2), (3, 4, 5), (6, 7, 8)], [76, 38, 19], [1.2, 1.1, 1.05]),
    ("yolov4-tiny", [(3, 4, 5), (1, 2, 3)], [13, 26], [1.05, 1.05])])
def test_heads_of_yolov4(name, masks, grids, scales):
    net = Network.from_cfg(f"cfg/{name}.cfg", initialise=False)
    assert [head.options.mask for head in net.heads] == masks
    assert [head.shape[0] for head in net.heads] == grids
    assert [head.options.scale_x_y for head in net.heads] == scales
    o = net.head.options
    assert (o.anchors[:2], o.anchors[-2:]) == (((10, 14), (344, 319)) if "tiny" in name else ((12, 16), (459, 401)))
    assert (o.ignore_thresh, o.iou_loss, o.iou_normalizer, o.nms_kind, o.beta_nms) == (.7, "ciou", .07, "greedynms", .6)
    assert net.resize_mode == "stretch" and net.head.nms_penalty == .6


def test_yolov4_joins_features_of_all_sizes():
    net = Network.from_cfg("cfg/yolov4.cfg", initialise=False)
    kinds = [layer.name for layer in net.layers]
    counts = {"convolutional": 110, "route": 21, "shortcut": 23, "maxpool": 3, "upsample": 2, "yolo": 3}
    assert {kind: kinds.count(kind) for kind in kinds} == counts
    activations = [layer.options.activation for layer in net.layers if layer.name == "convolutional"]
    assert [activations.count(kind) for kind in ("mish", "leaky", "linear")] == [72, 35, 3]
    assert [net.layers[i].shape[2] for i in (54, 85, 104, 113)] == [256, 512, 1024, 2048]
    joined = {i: [source.index for source in layer.sources] for i, layer in enumerate(net.layers) if layer.name == "route"}
    assert [joined[i] for i in (113, 119, 121, 129, 131, 142, 153)] == [
        [112, 110, 108, 107], [85], [120, 118], [54], [130, 128], [141, 126], [152, 116]]


@pytest.mark.parametrize("name, num", [("yolov1", 3), ("yolov1-tiny", 2)])
def test_heads_of_yolov1(name, num):
    net = Network.from_cfg(f"cfg/{name}.cfg", initialise=False)
    o = net.head.options
    assert (net.head.grid, net.head.per_cell, net.classes, net.stride) == ((7, 7), num, 20, 64)
    assert (o.coords, o.sqrt, o.rescore, o.softmax, o.forced, o.random, o.jitter) == (4, 1, 1, 0, 0, 0, .2)
    assert (o.coord_scale, o.object_scale, o.noobject_scale, o.class_scale) == (5, 1, .5, 1)


def test_yolov1_begins_as_extraction():
    """So that training may start from its weights, as FILE:24."""
    ours, theirs = (parser.read(f"cfg/{name}.cfg").layers for name in ("yolov1", "extraction"))
    same = [[(s.name, sorted((e.key, e.value) for e in s.entries)) for s in layers[:24]] for layers in (ours, theirs)]
    assert same[0] == same[1]


def test_the_tree_of_words():
    net = Network.from_cfg("cfg/yolo9000.cfg", initialise=False)
    o = net.head.options
    assert (o.tree, o.map, o.classes, o.num, o.jitter, o.rescore) == ("data/9k.tree", "data/coco9k.map", 9418, 3, .2, 1)
    assert o.anchors == (.77871, 1.14074, 3.00525, 4.31277, 9.22725, 9.61974) and net.layers[23].options.filters == 28269
    *_, softmax, cost = Network.from_cfg("cfg/darknet9000.cfg", initialise=False).layers
    assert softmax.options.tree == "data/9k.tree" and cost.options.type == "masked" and softmax.shape == (1, 1, 9418)


def test_yolov2_joins_fine_and_coarse_features():
    net = Network.from_cfg("cfg/yolov2-voc.cfg", initialise=False)
    assert [source.index for source in net.layers[25].sources] == [16]
    assert net.layers[16].shape == (26, 26, 512) and net.layers[27].shape == (13, 13, 256)
    assert [source.index for source in net.layers[28].sources] == [27, 24]


def test_the_small_net_is_small():
    net = Network.from_cfg("cfg/yolov2-nano.cfg", initialise=False)
    totals = info.totals(net)
    assert net.input.shape == (224, 224, 3) and net.classes == 12
    assert .3e6 <= totals["parameters"] <= .6e6 and totals["gflop"] <= .6


@pytest.mark.parametrize("name, count, first, last", [("voc", 20, "aeroplane", "tvmonitor"),
                                                      ("coco", 80, "person", "toothbrush")])
def test_names(name, count, first, last):
    names = paths.resolve(f"cfg/{name}.names").read_text().split("\n")
    assert names.pop() == "" and len(set(names)) == count and (names[0], names[-1]) == (first, last)


def test_tiny_darknet_lends_its_layers_to_a_detector():
    classifier, detector = (Network.from_cfg(f"cfg/{name}.cfg", initialise=False) for name in
                            ("tiny", "yolov2-tinydarknet-voc"))
    shapes = [[(layer.name, [stored.array.shape for stored in layer.stored]) for layer in net.layers[:18]]
              for net in (classifier, detector)]
    assert shapes[0] == shapes[1] and classifier.layers[18].name != detector.layers[18].name


def test_the_small_classifier_over_a_tree_is_the_other_with_a_number_for_each_node():
    flat, tree = (Network.from_cfg(f"cfg/classifier-nano{end}.cfg") for end in ("", "-tree"))
    assert [layer.shape for layer in flat.layers[:-3]] == [layer.shape for layer in tree.layers[:-3]]
    assert (flat.classes, tree.classes, len(tree.tree)) == (12, 15, 15)
    leaves = {name for name, leaf in zip(tree.tree.names, tree.tree.is_leaf) if leaf}
    assert leaves == set(read_names(paths.BUNDLED / "sample.names"))
