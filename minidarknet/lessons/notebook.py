"""What the notebooks share: their look, the library's source on the page, and the paper's table with a rung lit."""
import ast
import inspect
import textwrap

from minidarknet.viz import PALETTE

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = PALETTE
GREY = "#999999"

# Table 2 of YOLO9000 (arXiv 1612.08242): what was added, and the mAP on VOC 2007 with it.
LADDER = (("YOLO", 63.4), ("batch norm", 65.8), ("hi-res classifier", 69.5), ("convolutional, anchor boxes", 69.2),
          ("new network", 69.6), ("dimension priors,\nlocation prediction", 74.4), ("passthrough", 75.4),
          ("multi-scale", 76.8), ("hi-res detector", 78.6))


def style():
    """Set matplotlib's look for the notebooks."""
    import matplotlib.pyplot as plt
    plt.rcParams.update({"figure.dpi": 88, "font.size": 9, "axes.titlesize": 9.5, "axes.titlelocation": "left",
                         "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
                         "grid.color": "#dddddd", "legend.frameon": False, "figure.constrained_layout.use": True})


def source(thing, docstring=False):
    """Print the source of a function or class of the library, without its docstring unless it is asked for.

    thing: also a compiled kernel, a method or a property.
    """
    thing = inspect.unwrap(thing.fget if isinstance(thing, property) else thing)
    text = textwrap.dedent(inspect.getsource(thing))
    if not docstring:
        body = next(node for node in ast.parse(text).body).body
        if isinstance(body[0], ast.Expr) and isinstance(getattr(body[0].value, "value", None), str):
            lines = text.splitlines()
            del lines[body[0].lineno - 1:body[0].end_lineno]
            text = "\n".join(lines)
    print(text.strip("\n"))


def ladder(*lit):
    """Draw the paper's way from YOLO to YOLOv2 with some rungs lit: a matplotlib Figure.

    lit: numbers of the rungs, from 0, this lesson is about.
    """
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(7.4, 2.7))
    names, values = zip(*LADDER)
    colours = [ORANGE if i in lit else "#d4d4d4" for i in range(len(values))]
    axes.barh(range(len(values)), values, color=colours)
    for i, value in enumerate(values):
        gain = f"{value - values[i - 1]:+.1f}" if i else ""
        axes.text(value + .2, i, f"{value:.1f}   {gain}", va="center", fontweight="bold" if i in lit else "normal")
    axes.set(yticks=range(len(values)), yticklabels=names, xlim=(60, 82), xlabel="mAP on VOC 2007 (the axis begins at 60)",
             title="From YOLO to YOLOv2, each row on top of the one above. YOLO9000, table 2")
    axes.tick_params(axis="y", labelsize=8)
    axes.invert_yaxis()
    return figure
