"""What all our charts share: a figure that needs no screen, plain axes, files in one piece."""
import re
import sys
import warnings

from minidarknet.files import replacing

NO_GLYPH = re.compile(r"Glyph (\d+) .*missing")  # how matplotlib's warning begins


def blank(width, height):
    """A matplotlib figure of width x height inches that needs no screen, and leaves pyplot's state alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axes, x=None, y=None, title=None):
    """Label a matplotlib axes and take away what carries no information."""
    axes.set(xlabel=x or "", ylabel=y or "")
    axes.set_title(title or "", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure, path):
    """Write a figure as PNG in one piece; characters that the font does not have are told on stderr."""
    with replacing(path) as file, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        figure.savefig(file, format="png")
    missing = [NO_GLYPH.match(str(warning.message)) for warning in told]
    if any(missing):
        letters = "".join(sorted({chr(int(match[1])) for match in missing if match}))
        print(f"warning: {path} shows boxes for characters that the font does not have: {letters[:20]}", file=sys.stderr)
    for warning in (warning for warning, match in zip(told, missing) if not match):
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
