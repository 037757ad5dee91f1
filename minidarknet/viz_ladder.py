"""The chart of `minidarknet ablate`: our rungs beside those of the paper."""
import numpy as np

from minidarknet import figures
from minidarknet.viz import PALETTE


def ladder_chart(found, data):
    """Two panels over the same rungs: mAP measured here, with every seed and the standard deviation, and the paper's mAP.

    found: list of (ladder.Rung, maps (seeds,), recalls (seeds,)) from the lowest rung. data: name of the data set (str).
    Returns a matplotlib Figure.
    """
    figure = figures.blank(11, .42 * len(found) + 1.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    for place, (rung, maps, recalls) in enumerate(found):
        left.barh(place, 100 * maps.mean(), color=PALETTE[4], alpha=.75, height=.62, label="mAP" * (place == 0))
        left.text(1, place - .2, f"{100 * maps.mean():.1f}", va="center", fontsize=8)
        if len(maps) > 1:
            left.errorbar(100 * maps.mean(), place, xerr=100 * maps.std(ddof=1), color="black", capsize=4, linewidth=1.2,
                          label="standard deviation" * (place == 0))
        left.plot(100 * maps, np.full(len(maps), place), ".", color="black", markersize=5, label="a seed" * (place == 0))
        left.plot(100 * recalls.mean(), place, "D", color=PALETTE[5], markersize=5, label="recall" * (place == 0))
        if rung.paper is not None:
            right.barh(place, rung.paper, color="#888888", height=.62)
            right.text(rung.paper - .3, place, f"{rung.paper:.1f}", va="center", ha="right", fontsize=9, color="white")
        else:
            right.text(60.4, place, "told together with the next", va="center", fontsize=8, color="#666666")
    left.set_yticks(range(len(found)), [rung.title for rung, *_ in found])
    left.set(xlim=(0, 100), ylim=(-.6, len(found) - .4))
    right.set_xlim(60, 80)
    figures.plain(left, f"%, {data}, {max(len(maps) for _, maps, _ in found)} seeds", None, "Measured here, at half size")
    figures.plain(right, "mAP %, VOC 2007 test; the axis begins at 60", None, "Paper, table 2")
    left.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
