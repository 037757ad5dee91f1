"""What all our charts share: a figure that needs no screen, plain axes, files in one piece."""
from minidarknet.files import replacing


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
    """Write a figure as PNG in one piece."""
    with replacing(path) as file:
        figure.savefig(file, format="png")
