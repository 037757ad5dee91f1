"""The picture of `minidarknet trace`: an object, its cell, its anchor, what pulls at it, and what is pushed down."""
import numpy as np

from minidarknet import figures
from minidarknet.viz import PALETTE

TRUTH, OURS, IGNORED, PUSHED, GREY = PALETTE[2], PALETTE[0], PALETTE[1], PALETTE[5], "#777777"
DRAWN = 12  # boxes of each kind, the strongest


def trace_figure(found, x, names):
    """An explained object in four panels: a matplotlib Figure.

    found: explain.Explanation. x: (h, w, 3) float 0..1, the network's input. names: class names by id.
    """
    figure = figures.blank(11, 9.2)
    (one, two), (three, four) = figure.subplots(2, 2)
    _responsible(one, found, x, names)
    _bystanders(two, found, x)
    _deltas(three, found, names)
    _shares(four, found)
    return figure


def _show(axes, x, title):
    """The picture, paled, with coordinates in fractions of it."""
    axes.imshow(.55 * x + .45, extent=(0, 1, 1, 0), aspect=x.shape[0] / x.shape[1], interpolation="nearest")
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))
    axes.set_title(title, loc="left", fontsize=10)


def _frame(axes, box, colour, style="-", width=2, label=None):
    """A centre-form box (x, y, w, h)."""
    x, y, w, h = box[:4]
    axes.plot(np.array([-w, w, w, -w, -w]) / 2 + x, np.array([-h, -h, h, h, -h]) / 2 + y, style, color=colour,
              linewidth=width, label=label, solid_joinstyle="miter")


def _responsible(axes, found, x, names):
    """Panel 1: grid and cell, the truth, the anchors on it, the responsible box as it is now."""
    (rows, columns), (row, column, _) = found.grid, found.cell
    _show(axes, x, f"{names[int(found.truth[4])]}: row {row}, column {column} of {rows} x {columns}; "
                   f"IoU with the truth {found.iou:.2f}")
    for i in range(1, columns):
        axes.axvline(i / columns, color="white", linewidth=.5)
    for i in range(1, rows):
        axes.axhline(i / rows, color="white", linewidth=.5)
    axes.fill([column / columns, (column + 1) / columns, (column + 1) / columns, column / columns],
              [row / rows, row / rows, (row + 1) / rows, (row + 1) / rows], color=PALETTE[3], alpha=.5, linewidth=0)
    for anchor in found.anchors:
        w, h = np.array(anchor.shape) / found.extent
        chosen = anchor.responsible
        _frame(axes, (*found.truth[:2], w, h), OURS if chosen else GREY, "--", 2 if chosen else .8,
               "its anchor, laid on the truth" if chosen else None)
    _frame(axes, found.truth, TRUTH, width=2.6, label="truth")
    _frame(axes, found.box, OURS, width=2.2, label="responsible box now")
    axes.plot(*found.truth[:2], "o", color=TRUTH, markersize=5)
    axes.legend(loc="lower left", fontsize=8, frameon=True, framealpha=.85)


def _bystanders(axes, found, x):
    """Panel 2: the boxes that overlap the object and answer for none."""
    _show(axes, x, f"{len(found.ignored)} ignored (IoU > {found.thresh:g}), {len(found.pushed)} pushed down")
    for boxes, colour, label in ((found.pushed, PUSHED, 'told "no object here"'), (found.ignored, IGNORED, "ignored")):
        strongest = max([abs(box.gradient) for box in boxes[:DRAWN]] or [0]) or 1
        for i, box in enumerate(boxes[:DRAWN]):
            width = 1.6 if colour == IGNORED else .5 + 1.8 * abs(box.gradient) / strongest
            _frame(axes, box.box, colour, width=width, label=label if i == 0 else None)
    _frame(axes, found.truth, TRUTH, width=2.6, label="truth")
    axes.legend(loc="lower left", fontsize=8, frameon=True, framealpha=.85)


def _deltas(axes, found, names):
    """Panel 3: prediction and target of every number, and the gradient that is passed back."""
    kind = int(found.truth[4])
    asks = [*found.asks[:5], found.asks[5 + kind]]
    y = np.arange(len(asks))
    for i, ask in enumerate(asks):
        axes.annotate("", (ask.target, i), (ask.out, i), arrowprops={"arrowstyle": "->", "color": GREY, "linewidth": 1.2})
    axes.plot([ask.out for ask in asks], y, "o", color=OURS, label="out")
    axes.plot([ask.target for ask in asks], y, "D", color=TRUTH, label="target")
    low, high = axes.get_xlim()
    for i, ask in enumerate(asks):
        axes.text(high + .04 * (high - low), i, f"{ask.weight:.2f}   {ask.gradient:+.3f}", va="center", fontsize=9,
                  family="monospace")
    axes.text(high + .04 * (high - low), -.8, "weight gradient", fontsize=8, family="monospace")
    axes.set(yticks=y, yticklabels=[*(ask.entry for ask in asks[:5]), f"class {names[kind]}"],
             xlim=(low, high + .5 * (high - low)), ylim=(len(asks) - .5, -1.1))
    figures.plain(axes, "logistic x, y, objectness, class; w and h are logarithms", None, "What each number was asked for")
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)


def _shares(axes, found):
    """Panel 4: what the loss of the whole picture is made of."""
    names, values = list(found.shares), list(found.shares.values())
    colours = [OURS] * 3 + [GREY] * (len(names) - 3)
    axes.barh(names, values, color=colours)
    for i, value in enumerate(values):
        axes.text(value, i, f" {value:.3f}", va="center", fontsize=9)
    axes.set_xlim(0, 1.18 * max(values) or 1)
    axes.invert_yaxis()
    figures.plain(axes, "loss", None, f"The picture's loss, {sum(values):.2f}; this object's part in orange")
