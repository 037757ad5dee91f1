"""A WordTree as a page with a slider: move the threshold, and see the label climb to a surer word and come down again.

The page is one file without scripts or pictures from elsewhere. Its script decides nothing: which label holds from which
threshold on is worked out here, by WordTree.predict, and looked up there.
"""
import base64
import html
import io
import json

import numpy as np

from minidarknet.files import replacing
from minidarknet.viz import PALETTE
from minidarknet.viz_wordtree import places
from minidarknet.wordtree import ROOT, WordTree

ALL = 60         # nodes of a tree that is shown as a whole; of a larger one the way down with the likeliest siblings
SIBLINGS = 8     # so many of them
ROW, GAP, LETTER = 22, 44, 7.5   # pixels: height of a row, between columns, of a letter
SIDE = 160                     # pixels of the picture

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px/1.4 sans-serif; color: #222; margin: 12px; }}
#top {{ display: flex; gap: 20px; align-items: center; flex-wrap: wrap; }}
#label {{ font-size: 26px; font-weight: bold; color: {lit}; min-height: 36px; }}
input {{ width: 320px; vertical-align: middle; }}
svg {{ margin-top: 8px; max-width: 100%; height: auto; }}
text {{ font-size: 12px; fill: #222; }}
path {{ stroke: {dim}; }}
.on path {{ stroke: {lit}; }}
.on text {{ fill: {lit}; font-weight: bold; }}
table {{ border-collapse: collapse; font-size: 13px; }}
td, th {{ padding: 1px 12px 1px 0; text-align: left; }}
.now {{ color: {lit}; font-weight: bold; }}
</style></head><body>
<div id="top">{picture}<div><div id="label"></div><label>threshold <input id="threshold" type="range" min="0" max="1"
step="0.001" value="{threshold}"> <output id="value"></output></label><div id="why"></div></div>
<table><tr><th>threshold</th><th>label</th></tr>{table}</table></div>
{svg}
<script>
const stops = {stops}, has = "{has}";
{script}
</script></body></html>
"""

SCRIPT = """function labelAt(stops, threshold) {
  let at = 0;
  while (at + 1 < stops.length && threshold < stops[at].below) at += 1;
  return at;
}
function show() {
  const threshold = Number(document.getElementById("threshold").value), at = labelAt(stops, threshold);
  const now = stops[at];
  document.getElementById("value").textContent = threshold.toFixed(3);
  document.getElementById("label").textContent = now.name + "  " + now.probability.toFixed(3);
  const next = stops[at + 1];
  document.getElementById("why").textContent = !(now.value > threshold) ? "not even the best root is above it" :
    next ? next.name + has + next.value.toFixed(3) + ", not above it" : "as exact as it can be";
  document.querySelectorAll("[data-step]").forEach(one => one.classList.toggle("on", Number(one.dataset.step) <= at));
  document.querySelectorAll("[data-row]").forEach(one => one.classList.toggle("now", Number(one.dataset.row) === at));
}
if (typeof document !== "undefined") { document.getElementById("threshold").addEventListener("input", show); show(); }"""


def stops(tree, absolute, names=None, double_count=False):
    """The labels that WordTree.predict gives to one picture, from the vaguest to the most exact: list of dicts.

    absolute: (n,) from tree.absolute. Each has node (int), name, probability, value, which the threshold is compared with
    (the probability, with double_count the product of all on the way, as in Darknet), and below: at thresholds less than
    it the next one holds; that is the next one's value, 0 for the last. names: to be shown instead of the tree's.
    """
    absolute = np.asarray(absolute, np.float64)
    way = tree.path_to_root(int(tree.predict(absolute, 0, double_count)))[::-1]
    value = absolute[way].cumprod() if double_count else absolute[way]
    least = np.minimum.accumulate(value).tolist()  # a product never grows on the way down, but for its rounding
    return [{"node": node, "name": (names or tree.names)[node], "probability": float(absolute[node]), "value": float(own),
             "below": below} for node, own, below in zip(way, value, [*least[1:], 0.0])]


def shown_part(tree, absolute, most=SIBLINGS):
    """Numbers of the nodes worth showing, (m,) int64: those beside the way down, of each group the `most` likeliest.

    absolute: (n,). The way down itself is among them.
    """
    keep = []
    for node in (ROOT, *tree.path_to_root(int(tree.predict(absolute, 0)))):
        first, last = (0, tree.borders[1]) if node == ROOT else tree.children[node]
        keep += (first + np.argsort(-absolute[first:last], kind="stable")[:most]).tolist()
    return np.sort(np.array(keep, np.int64))


def wordtree_html(tree, absolute, path=None, names=None, picture=None, title="Where the way down ends", threshold=.5,
                  double_count=False):
    """The page as text (str), written to the file `path` as well where one is given.

    tree: WordTree. absolute: (n,), of one picture. names: to be shown instead of the tree's. picture: (h, w, 3) uint8 of
    what was looked at, or None. threshold: where the slider begins. double_count: whether the walk is Darknet's.
    """
    absolute, names = np.asarray(absolute, np.float64), tuple(names or tree.names)
    way = stops(tree, absolute, names, double_count)
    steps = {one["node"]: step for step, one in enumerate(way)}
    keep = np.arange(len(tree)) if len(tree) <= ALL else shown_part(tree, absolute)
    part = WordTree([tree.names[node] for node in keep],
                    [ROOT if tree.parent[node] == ROOT else np.searchsorted(keep, tree.parent[node]) for node in keep])
    # A </script> in a name would end the script: < is written in another way.
    page = PAGE.format(title=html.escape(title), lit=PALETTE[5], dim=PALETTE[4], threshold=threshold, script=SCRIPT,
                       has=", all on the way multiplied, has " * double_count or " has ",
                       stops=json.dumps(way).replace("<", "\\u003c"), table=_table(way), picture=_picture(picture),
                       svg=_svg(part, absolute[keep], [names[node] for node in keep],
                                [steps.get(node) for node in keep.tolist()]))
    if path is not None:
        with replacing(path, "w", encoding="utf-8") as file:
            file.write(page)
    return page


def framed(page, height=420):
    """The page as an <iframe> (str), to be shown in a notebook, where it keeps to itself. height: pixels."""
    return (f'<div><iframe srcdoc="{html.escape(page)}" width="100%" height="{height}" style="border:1px solid #ddd" '
            'title="tree of labels with a slider"></iframe></div>')


def _table(way):
    """The rows of the table: from which threshold to which each label holds."""
    rows = []
    for step, one in enumerate(way):
        high = 1.0 if step == 0 else way[step - 1]["below"]
        if one["below"] < high or step == 0:
            rows.append(f'<tr data-row="{step}"><td>{one["below"]:.3f} to {high:.3f}</td>'
                        f'<td>{html.escape(one["name"])}</td></tr>')
    return "".join(rows[::-1])


def _picture(picture):
    """An <img> with the picture in it, "" for None."""
    if picture is None:
        return ""
    from PIL import Image
    file, image = io.BytesIO(), Image.fromarray(picture)
    image.thumbnail((2 * SIDE, 2 * SIDE))
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="the picture" style="max-width:{SIDE}px;max-height:{SIDE}px" src="data:image/png;base64,{data}">'


def _svg(tree, absolute, names, steps):
    """The tree as an <svg>: a line from each parent, the thicker the likelier. steps: of nodes on the way, or None."""
    texts = [f"{name} {value:.3f}" for name, value in zip(names, absolute)]
    column = LETTER * max(map(len, texts)) + GAP
    place = places(tree) * (column, ROW) + (10, 20)
    width, height = int(place[:, 0].max()) + column, int(place[:, 1].max()) + 12
    parts = []
    for node, (x, y) in enumerate(place):
        line = ""
        if tree.parent[node] != ROOT:
            left, top = place[tree.parent[node]] + (LETTER * len(texts[tree.parent[node]]), 0)
            middle = x - GAP / 2
            line = (f'<path fill="none" d="M{left:.0f} {top:.1f}H{x - GAP:.0f}C{middle:.0f} {top:.1f} {middle:.0f} {y:.1f} '
                    f'{x - 4:.0f} {y:.1f}" stroke-width="{.6 + 5 * absolute[node]:.2f}"/>')
        mark = "" if steps[node] is None else f' data-step="{steps[node]}"'
        parts.append(f'<g{mark}>{line}<text x="{x:.0f}" y="{y + 4:.1f}">{html.escape(texts[node])}</text></g>')
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(parts)}</svg>'
