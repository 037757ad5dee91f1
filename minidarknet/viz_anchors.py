"""The chart of `minidarknet anchors`: how well k anchors fit the boxes of a data set, and where they lie among them."""
import numpy as np

from minidarknet import figures
from minidarknet.viz import PALETTE

LINES = {"iou, mean": (PALETTE[4], "o-", "k-means, 1 - IoU, mean"), "iou, median": (PALETTE[1], "o-", "... median"),
         "euclid": (PALETTE[5], "o-", "k-means, Euclidean")}
POINTS = {"iou": PALETTE[4], "euclid": PALETTE[5], "hand-picked": "#666666"}


def clusters_chart(rows, paper, anchors, shapes, unit, title=None):
    """Average IoU over k, and the chosen anchors among all boxes: a matplotlib Figure.

    rows: objects with k, method ("iou, mean", "iou, median", "euclid", "hand-picked") and average_iou. paper: dict
    (k, method) -> average IoU, drawn as stars. anchors: (k, 2) widths and heights, shapes: (n, 2) of the boxes, both in
    `unit` (str). title: default how many there are.
    """
    figure = figures.blank(11, 5)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for method, (colour, style, label) in LINES.items():
        line = [(row.k, row.average_iou) for row in rows if row.method == method]
        left.plot(*np.transpose(line), style, color=colour, markersize=4, linewidth=1.6, label=label)
    for row in rows:
        if row.method == "hand-picked":
            left.plot(row.k, row.average_iou, "D", color=POINTS["hand-picked"], markersize=6, label="hand-picked")
    for (k, method), value in paper.items():
        left.plot(k, value, "*", color=POINTS[method], markersize=13, markeredgecolor="white", zorder=3,
                  label="the paper's, of the same colour" if method == "iou" and k == 5 else None)
    left.legend(frameon=False, loc="lower right", fontsize=9)
    left.xaxis.get_major_locator().set_params(integer=True)
    figures.plain(left, "k, number of anchors", "average IoU of a box with its closest anchor", "How well k anchors fit")
    draw_shapes(right, anchors, shapes, unit)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def draw_shapes(axes, anchors, shapes, unit):
    """The boxes as points of width and height, the anchors as rectangles among them, on a matplotlib axes.

    axes: to draw on. anchors: (k, 2). shapes: (n, 2). unit: their unit, for the labels.
    """
    anchors, shapes = np.asarray(anchors, float), np.asarray(shapes, float)
    axes.scatter(shapes[:, 0], shapes[:, 1], s=8, alpha=.45, color=PALETTE[1], linewidths=0, label="boxes")
    axes.scatter(anchors[:, 0], anchors[:, 1], s=90, marker="X", color=PALETTE[5], edgecolor="white", label="anchors")
    for w, h in anchors:
        axes.plot([0, w, w], [h, h, 0], color=PALETTE[5], linewidth=.8, alpha=.6)
        axes.annotate(f"{w:.3g}, {h:.3g}", (w, h), (6, 6), textcoords="offset points", fontsize=8)
    axes.set(xlim=(0, None), ylim=(0, None), aspect="equal")
    figures.plain(axes, f"width ({unit})", f"height ({unit})", f"{len(anchors)} anchors, {len(shapes)} boxes")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
