"""Single objects cut out of a data set, and short trainings of classifiers on them."""
import numpy as np

from minidarknet.data import pictures
from minidarknet.optimizer import SGD

TIGHTEST, WIDEST = 1.1, 1.7  # side of a cut-out in sides of its object


def crops(dataset, side=32, seed=0):
    """Square pictures of the objects of a Dataset, one of each: (x, truth).

    x: (n, side, side, 3) float32 in 0..1. truth: (n, classes) float32, 1 at the class. An object fills between 1/1.7 and
    1/1.1 of its picture; what lies beyond the border repeats the border's pixels. seed: of how much it fills.
    """
    rng, x, kinds = np.random.default_rng(seed), [], []
    for example in dataset.examples:
        picture = pictures.read(example.path)
        for (x0, y0, x1, y1), kind in zip(example.box_px - (1, 1, 0, 0), example.classes):
            reach = max(round(rng.uniform(TIGHTEST, WIDEST) * max(x1 - x0, y1 - y0) / 2), 1)
            column, row = round((x0 + x1) / 2), round((y0 + y1) / 2)
            padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), "edge")
            x.append(pictures.letterbox(padded[row:row + 2 * reach, column:column + 2 * reach], (side, side))[0])
            kinds.append(kind)
    return np.stack(x), np.eye(len(dataset.names), dtype=np.float32)[kinds]


def train_classifier(net, x, truth, updates, seed=0):
    """Train a classifier on random batches of (x, truth), as `crops` gives them: (updates,) float64, the losses.

    net: Network that ends in [softmax]; its cfg's schedule holds. seed: of the choice of pictures.
    """
    optimizer, rng, losses = SGD(net), np.random.default_rng(seed), np.empty(updates)
    for update in range(updates):
        chosen = rng.integers(0, len(x), net.options.batch)
        losses[update] = net.forward(x[chosen], truth[chosen], train=True)
        net.backward()
        optimizer.step()
    return losses


def balanced(few, many, ratio=1):
    """The items of `few` repeated until those of `many` are more by no more than `ratio` : 1, and these, as one list.

    few, many: lists, such as numbers of pictures. Paper: YOLO9000, section 4: "we balance the dataset by oversampling COCO
    so that ImageNet is only larger by a factor of 4:1".
    """
    times = max(-(-len(many) // (ratio * len(few))), 1)
    return [*few * times, *many]


def accuracy(net, x, truth, batch=64):
    """The share of pictures x whose most probable class is the right one: float."""
    parts = [net.predict(x[i:i + batch]).argmax(axis=1) for i in range(0, len(x), batch)]
    return float((np.concatenate(parts) == truth.argmax(axis=1)).mean())
