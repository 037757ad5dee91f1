"""Pictures for people: boxes on photographs, training curves, feature maps.

Boxes are drawn with Pillow, curves with matplotlib, which is imported inside the functions that need it and used
without a window system. Files are replaced in one piece.
"""
import colorsys
import csv
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minidarknet.data.example import NO_BOX
from minidarknet.figures import blank as _figure
from minidarknet.figures import plain as _plain
from minidarknet.figures import save as _save
from minidarknet.files import replacing

# Okabe and Ito's colours, told apart with any kind of colour vision (Okabe & Ito 2008, "Color Universal Design").
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def class_colour(class_id):
    """The fixed RGB colour (three ints 0..255) of class `class_id`: Okabe-Ito's, then hues a golden angle apart."""
    if class_id < len(PALETTE):
        value = PALETTE[class_id]
        return tuple(int(value[i:i + 2], 16) for i in (1, 3, 5))
    # 0.618 turns between neighbours keep any number of hues well spread; three kinds of colour separate close hues.
    # The start 0.85 and the kinds keep the first twenty (VOC's) farthest apart, Okabe-Ito's included.
    saturation, brightness = ((0.6, 0.75), (0.9, 0.5), (0.9, 1.0))[class_id % 3]
    rgb = colorsys.hsv_to_rgb((0.85 + class_id * 0.618034) % 1, saturation, brightness)
    return tuple(int(255 * value + 0.5) for value in rgb)


def _ink(colour):
    """Black or white, whichever reads better on an RGB colour (by its luminance, Rec. 709 weights)."""
    r, g, b = colour
    return (0, 0, 0) if 0.2126 * r + 0.7152 * g + 0.0722 * b > 130 else (255, 255, 255)


def _font(size):
    """Pillow's own font at `size` pixels; its fixed bitmap font where Pillow was built without FreeType."""
    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


def draw_boxes(picture, xyxy, class_id, confidence=None, names=()):
    """Boxes with labels on a copy of a picture: PIL.Image RGB.

    picture: (h, w, 3) uint8 RGB, or a PIL image. xyxy: (n, 4) float pixels left, top, right, bottom, 0-based,
    continuous; what lies outside the picture is cut off. class_id: (n,) int. confidence: (n,) 0..1, or None.
    names: class names by id; the number is shown where there is none. The most confident box lies on top.
    """
    image = Image.fromarray(np.asarray(picture)).convert("RGB")
    draw, font = ImageDraw.Draw(image), _font(max(10, round(min(image.size) / 32)))
    line = max(2, round(min(image.size) / 220))
    order = np.arange(len(xyxy)) if confidence is None else np.argsort(confidence, kind="stable")
    for i in order:
        x0, y0, x1, y1 = _inside(xyxy[i], image.size)
        # A dark hairline on both sides keeps the box visible on a ground of its own colour.
        for grow, width, edge in ((1, line + 2, (0, 0, 0)), (0, line, class_colour(int(class_id[i])))):
            draw.rectangle([x0 - grow, y0 - grow, max(x0, x1) + grow, max(y0, y1) + grow], None, edge, width)
    taken = []
    for i in order[::-1]:  # labels last, so that no box crosses one; the most confident chooses its place first
        kind = int(class_id[i])
        label = (names[kind] if kind < len(names) else str(kind)) + (
            "" if confidence is None else f" {confidence[i]:.2f}")
        left, top, right, bottom = draw.textbbox((0, 0), label, font)
        place = _label_place(_inside(xyxy[i], image.size), (right - left + 6, bottom - top + 6), image.size, taken)
        if len(taken) < 64:  # among the thousands of boxes of an untrained network nothing can be read anyway
            taken.append(place)
        draw.rectangle(place, class_colour(kind))
        draw.text((place[0] + 3 - left, place[1] + 3 - top), label, _ink(class_colour(kind)), font)
    return image


def _label_place(box, label, size, taken):
    """Where a label goes: above its box, else inside its top, below or inside its bottom, the first that is free.

    box: pixels, inclusive. label, size: (w, h) of the label and of the picture. taken: the places given already.
    Returns pixels (x0, y0, x1, y1), inclusive, inside the picture where the label fits into it.
    """
    (x0, y0, _, y1), (w, h) = box, label
    x = max(0, min(x0, size[0] - w))
    places = [(x, y, x + w - 1, y + h - 1) for y in (y0 - h, y0, y1 + 1, y1 - h) if 0 <= y <= size[1] - h]
    for x0, y0, x1, y1 in places:
        if not any(x0 <= right and left <= x1 and y0 <= bottom and top <= y1 for left, top, right, bottom in taken):
            return x0, y0, x1, y1
    return places[0] if places else (x, 0, x + w - 1, h - 1)


def _inside(box, size):
    """The pixels (x0, y0, x1, y1), inclusive, that a continuous box covers inside a picture of size (w, h)."""
    x0, y0, x1, y1 = (float(value) for value in np.nan_to_num(box))
    w, h = size
    return (round(min(max(x0, 0), w - 1)), round(min(max(y0, 0), h - 1)),
            round(min(max(x1 - 1, 0), w - 1)), round(min(max(y1 - 1, 0), h - 1)))


def contact_sheet(pictures, columns=4, gap=4):
    """Pictures side by side in rows, each scaled down to the same cell: PIL.Image RGB on white.

    pictures: list of PIL images or (h, w, 3) uint8 arrays. columns: per row. gap: white pixels between them.
    """
    images = [picture if isinstance(picture, Image.Image) else Image.fromarray(picture) for picture in pictures]
    if not images:
        raise ValueError("a contact sheet needs at least one picture")
    columns = min(columns, len(images))
    w, h = max(image.width for image in images), max(image.height for image in images)
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (w + gap) - gap, rows * (h + gap) - gap), "white")
    for i, image in enumerate(images):
        x, y = i % columns * (w + gap), i // columns * (h + gap)
        sheet.paste(image.convert("RGB"), (x + (w - image.width) // 2, y + (h - image.height) // 2))
    return sheet


def training_batch(x, truth, names=(), columns=4):
    """A training batch with its boxes, as the network sees it: PIL.Image.

    x: (b, h, w, 3) float 0..1. truth: (b, t, 5) rows x y w h class, centre form in fractions; zero rows are skipped, a
    class without a box stands around the whole picture.
    names: class names by id. columns: pictures per row.
    """
    size = np.array([x.shape[2], x.shape[1]] * 2)
    pictures = []
    for picture, rows in zip(x, truth):
        rows = rows[(rows[:, 2] > 0) & (rows[:, 3] > 0)]
        rows = np.where(rows[:, :1] == NO_BOX, [.5, .5, 1, 1, 0] + rows * [0, 0, 0, 0, 1], rows)
        xyxy = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1) * size
        pixels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        pictures.append(draw_boxes(pixels, xyxy, rows[:, 4].astype(int), None, names))
    return contact_sheet(pictures, columns)


def grid_overlay(picture, grid, mark=None):
    """A picture with the head's grid of cells over it: PIL.Image RGB.

    picture: (h, w, 3) uint8 or PIL image. grid: (rows, columns). mark: (row, column) of a cell to light up, or None.
    """
    image = Image.fromarray(np.asarray(picture)).convert("RGB")
    (rows, columns), (w, h) = grid, image.size
    xs, ys = np.linspace(0, w, columns + 1), np.linspace(0, h, rows + 1)
    over = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(over)
    if mark is not None:
        row, column = mark
        draw.rectangle([xs[column], ys[row], xs[column + 1], ys[row + 1]], (230, 159, 0, 110))
    for width, colour in ((3, (0, 0, 0, 120)), (1, (255, 255, 255, 220))):
        for ends in [[x, 0, x, h] for x in xs[1:-1]] + [[0, y, w, y] for y in ys[1:-1]]:
            draw.line(ends, colour, width)
    return Image.alpha_composite(image.convert("RGBA"), over).convert("RGB")


def save_picture(picture, path, **options):
    """Write a PIL image to a file in one piece.

    picture: PIL image. path: its suffix is the format, PNG without one. options: for Pillow's save, such as quality=95.
    Raises OSError where the folder cannot be written or the format does not hold such a picture.
    """
    kind = Image.registered_extensions().get(Path(path).suffix.lower(), "PNG")
    with replacing(path) as file:
        picture.save(file, kind, **options)


def _columns(metrics, keys):
    """The columns `keys` of metrics.csv (path) or of its rows (dicts): dict of float64 arrays, NaN where one is empty."""
    if isinstance(metrics, (str, Path)):
        with open(metrics, newline="", encoding="utf-8") as file:
            metrics = list(csv.DictReader(file))

    def number(value):
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan

    return {key: np.array([number(row.get(key)) for row in metrics]) for key in keys}


def _smooth(values, share=0.05):
    """Running mean of (n,) values over about `share` of them on either side; it never looks beyond the ends."""
    reach = max(1, int(share * len(values)))
    total = np.concatenate([[0.0], np.cumsum(values)])
    i = np.arange(len(values))
    low, high = np.maximum(i - reach, 0), np.minimum(i + reach + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def loss_chart(metrics, path, title=None, scores=("map_voc07",), axis="validation mAP\nVOC07, IoU 0.5"):
    """Loss, learning rate and validation scores over the steps of a run, one above the other, as the PNG file `path`.

    metrics: path of metrics.csv, or its rows as dicts with the columns step, loss, darknet_cost, learning_rate and
    `scores` (names of columns, the most important first); empty values are skipped. The loss is drawn raw and smoothed,
    on a logarithmic axis if it falls far. title: a line above it, or None. axis: what the scores are.
    """
    from matplotlib import ticker

    run = _columns(metrics, ("step", "loss", "darknet_cost", "learning_rate", *scores))
    figure = _figure(8, 7)
    top, middle, bottom = figure.subplots(3, sharex=True, height_ratios=(3, 1, 1.6))
    for key, colour, label in (("darknet_cost", PALETTE[0], "Darknet's cost"), ("loss", PALETTE[4], "loss")):
        seen = np.isfinite(run[key])
        if seen.any():
            step, value = run["step"][seen], run[key][seen]
            top.plot(step, value, color=colour, alpha=0.25, linewidth=0.8)
            top.plot(step, _smooth(value), color=colour, linewidth=1.8, label=label)
    values = np.concatenate([run[key][np.isfinite(run[key])] for key in ("loss", "darknet_cost")])
    if len(values) and values.min() > 0 and values.max() > 8 * values.min():
        top.set_yscale("log")
        top.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        top.yaxis.set_major_formatter("{x:g}")  # 20, not 2 x 10^1
        top.yaxis.set_minor_formatter(ticker.NullFormatter())
    if len(values):
        top.legend(frameon=False)
    _plain(top, y="per image", title=title or "Training")
    seen = np.isfinite(run["learning_rate"])
    middle.plot(run["step"][seen], run["learning_rate"][seen], color=PALETTE[2], linewidth=1.5)
    middle.set_ylim(bottom=0)
    middle.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    _plain(middle, y="learning rate")
    for score, colour in reversed(list(zip(scores, (PALETTE[5], PALETTE[1], PALETTE[3])))):
        seen, value = np.isfinite(run[score]), run[score]
        bottom.plot(run["step"][seen], value[seen], "o-", color=colour, linewidth=1.5, markersize=4)
    if seen.any():  # of the first score
        best = np.flatnonzero(seen)[np.argmax(value[seen])]
        bottom.annotate(f"best {value[best]:.3f}", (run["step"][best], value[best]),
                        (-6, 8 if value[best] < 0.85 else -14), textcoords="offset points", ha="right", fontsize=9)
    else:
        bottom.text(0.5, 0.5, "not validated yet", transform=bottom.transAxes, ha="center", va="center", color="#777777")
    bottom.set_ylim(0, 1)
    _plain(bottom, x="step (updates of the weights)", y=axis)
    _save(figure, path)


def precision_recall_plot(curves, path, title=None):
    """Precision over recall, one line per class, as the PNG file `path`.

    curves: dict name -> (recall (n,), precision (n,), AP), all in 0..1, in the order of falling confidence; a class
    without detections (n = 0) has no line, one without truth (AP is NaN) no share in the mean.
    title: default "mAP" and the mean.
    """
    figure = _figure(7.5, 5.2)
    axes = figure.subplots()
    mean = np.mean([ap for _, _, ap in curves.values() if not math.isnan(ap)] or [0])
    curves = sorted(((name, *curve) for name, curve in curves.items() if len(curve[0])),
                    key=lambda curve: -np.nan_to_num(curve[3]))
    for i, (name, recall, precision, ap) in enumerate(curves):
        # Seven colours told apart by anyone; the style of the line tells the eighth class from the first.
        axes.plot(np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision]), linewidth=1.5,
                  color=PALETTE[i % len(PALETTE)], linestyle=("-", "--", ":", "-.")[i // len(PALETTE) % 4],
                  label=f"{name}  {ap:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _plain(axes, "recall (share of the objects that were found)", "precision (share of the detections that are right)",
           title or f"mAP {mean:.3f}")
    if curves:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8, ncols=-(-len(curves) // 24), title="class  AP")
    _save(figure, path)


def feature_maps(activations, columns=8, limit=32, title=None):
    """The first `limit` channels of a layer's output, each on its own grey scale: a matplotlib Figure.

    activations: (h, w, c) float. columns: maps per row. title: default how many there are.
    """
    activations = np.asarray(activations)
    shown = min(limit, activations.shape[2])
    columns = min(columns, shown)
    rows = -(-shown // columns)
    figure = _figure(1.2 * columns, 1.2 * rows * activations.shape[0] / activations.shape[1] + 0.4)
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if i < shown:
            axes.imshow(activations[:, :, i], cmap="gray", interpolation="nearest")
            axes.set_title(str(i), fontsize=7, pad=2)
    figure.suptitle(title or f"{shown} of {activations.shape[2]} channels, {activations.shape[0]} x "
                             f"{activations.shape[1]}", fontsize=9)
    return figure
