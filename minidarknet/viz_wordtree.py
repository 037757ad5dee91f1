"""A WordTree as a picture: roots on the left, leaves on the right, the more probable the stronger."""
import numpy as np

from minidarknet.viz import PALETTE, _figure, _save
from minidarknet.wordtree import ROOT

LABELLED = 160   # rows up to which names are written
ROW = .21        # inches that a row with a name takes
TALLEST = 40     # inches


def places(tree, depth=None):
    """Where each node is drawn: (n, 2) float64, x its level from 0, y its row from above; NaN below level `depth`.

    tree: WordTree. depth: levels that are drawn, None: all. A node stands in the middle of its children.
    """
    shown = tree.depth <= (depth or tree.depth.max())
    place = np.full((len(tree), 2), np.nan)
    place[shown, 0] = tree.depth[shown] - 1
    row, left = 0, list(range(tree.borders[1]))[::-1]
    while left:
        node = left.pop()
        inside = [child for child in range(*tree.children[node]) if shown[child]]
        if not inside:
            place[node, 1] = row
            row += 1
        left += inside[::-1]
    for node in np.flatnonzero(shown)[::-1]:  # children come last
        inside = place[slice(*tree.children[node]), 1]
        if np.isnan(place[node, 1]):
            place[node, 1] = (inside[0] + inside[-1]) / 2
    return place


def wordtree_plot(tree, path, probability=None, names=None, marked=(), depth=None, title=None):
    """A WordTree as the PNG file `path`.

    tree: WordTree. probability: (n,) absolute, which makes lines thick and is written behind the names, or None.
    names: to be shown instead of the tree's. marked: nodes of a path, drawn in another colour. depth: levels that are
    drawn, None: all; the last of them says how much is below. title: a line above it, default what the tree is like.
    Names are left out where there is no room for them.
    """
    place, names = places(tree, depth), names or tree.names
    shown = np.flatnonzero(~np.isnan(place[:, 0]))
    rows = int(place[shown, 1].max()) + 1
    with_names = rows <= LABELLED
    levels = int(place[shown, 0].max()) + 1
    figure = _figure(2.2 * levels + 1, min(max(2.5, ROW * rows + .6), TALLEST) if with_names else 12)
    axes = figure.subplots()
    for node in shown:
        colour = PALETTE[5] if node in marked else PALETTE[4]
        strength = 1 if probability is None else float(np.clip(probability[node], 0, 1))
        x, y = place[node]
        if tree.parent[node] != ROOT:
            above = place[tree.parent[node]]
            axes.plot([above[0], x - .45, x], [above[1], y, y], color=colour, alpha=.3 + .7 * strength,
                      linewidth=.6 + (2.4 * strength if with_names else 0), solid_capstyle="round")
        if with_names:
            text = names[node] + ("" if probability is None else f"  {probability[node]:.3f}")
            hidden = int(depth is not None and not tree.is_leaf[node] and tree.depth[node] == depth)
            axes.annotate(text + " ..." * hidden, (x, y), (0, 2), textcoords="offset points", fontsize=7,
                          color=colour if node in marked else "#222222")
    axes.set(xlim=(-.1, levels), ylim=(rows, -1))
    axes.axis("off")
    axes.set_title(title or f"{len(tree)} nodes, {tree.groups} softmaxes, {int(tree.is_leaf.sum())} leaves", loc="left",
                   fontsize=10)
    _save(figure, path)
