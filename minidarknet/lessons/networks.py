"""Small networks for experiments: the nano detector and classifier with other options, and a head all by itself."""
import numpy as np

from minidarknet import parser
from minidarknet.network import Network


def nano(side=128, updates=500, anchors=None, classes=1, seed=0, text=None, rate=None, **region):
    """yolov2-nano with a short schedule: Network. Two with the same seed begin with the same weights.

    side: of the input in pixels; a cell has 16. updates: of the whole schedule. anchors: (k, 2) in cells, or None: the
    cfg's. classes: how many. text: another cfg (str) in its place. rate: the learning rate, or None: the cfg's. region:
    keys of its [region], such as rescore=0.
    """
    cfg = parser.parse(text) if text else parser.read("cfg/yolov2-nano.cfg")
    values = {"net.width": side, "net.height": side, "net.max_batches": updates,
              **{f"region.{key}": value for key, value in region.items()}}
    if rate is not None:
        values["net.learning_rate"] = rate
    if anchors is not None:
        values |= {"region.num": len(anchors), "region.anchors": [f"{value:.4f}" for value in np.ravel(anchors)]}
    return Network(parser.with_classes(parser.override(cfg, values), classes), seed=seed)


def nano_classifier(classes, updates, tree=None, seed=0, side=48):
    """classifier-nano with a short schedule, over a tree of labels or without: Network.

    classes: how many; with a tree its nodes. updates: of the whole schedule. tree: the file, such as "sample.tree", or
    None. side: of the input in pixels.
    """
    cfg = parser.override(parser.read("cfg/classifier-nano.cfg"), {
        "net.max_batches": updates, "net.width": side, "net.height": side, "net.min_crop": side,
        "net.max_crop": side + side // 12, **({"softmax.tree": tree} if tree else {})})
    net = Network(parser.with_classes(cfg, classes), seed=seed)
    net.resize_mode = "crop"
    net.open_files()
    return net


def head_alone(grid, anchors, classes=12, **region):
    """A [region] that reads its raw numbers where others read a picture: Network, in float64 for gradient checks.

    Its input is (b, grid, grid, k * (5 + classes)). grid: cells per side. anchors: (k, 2) in cells. classes: how many.
    region: further keys of [region]; those not given are YOLOv2's.
    """
    keys = {"classes": classes, "num": len(anchors), "anchors": ",".join(f"{value:.6f}" for value in np.ravel(anchors)),
            "softmax": 1, "bias_match": 1, "rescore": 1, "object_scale": 5, "thresh": .6, **region}
    text = (f"[net]\nwidth={grid}\nheight={grid}\nchannels={len(anchors) * (5 + classes)}\n[region]\n"
            + "".join(f"{key}={value}\n" for key, value in keys.items()))
    return Network.from_string(text, backend="kernels", dtype=np.float64)
