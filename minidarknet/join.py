"""Joining without copying: in a prediction, the layers that a [route] reads write their results where it wants them.

    [route] layers=-1,-4    a pixel of the route's out    | c c c c c c c c | c c c c |
                                                           layer -1's out     layer -4's out: parts of the same array
    [route] layers=-9       the route's out is layer -9's out, of groups= a part of its channels

Nothing else changes: every layer's `out` can be looked at as before, and holds the same bits. A layer has one place only:
what a second route reads too is copied into that one, as is all that goes to a reader that wants its pixels side by side.
In training all is copied, since there the gradients of a layer's readers must be added up; so it is in predictions of as
many pictures right after it, which use training's arrays. Like fusion (fuse.py, which asks for it) it is left out in the
arithmetic of Darknet's CPU build and in kernels/.
"""
from minidarknet.layers import Convolutional, Maxpool, Reorg, Route, Shortcut, Upsample

ANYWHERE = (Convolutional, Maxpool, Reorg, Route, Shortcut, Upsample)  # write pixels that lie apart in memory, and read them


def join(net, readers):
    """Decide who writes where: `passes` of the routes of `net`, `home` of the layers that they read, and the margins.

    readers: dict, layer -> [the layers that read it].
    """
    routes = [layer for layer in net.layers if isinstance(layer, Route)]
    movable = {layer for layer in net.layers if isinstance(layer, ANYWHERE) and all(map(_takes_parts, readers[layer]))}
    for route in reversed(routes):
        route.passes = len(route.sources) == 1 and movable.issuperset((route, *route.sources))
        if route.passes:
            _widen(route.sources[0], route)
    for route in routes:
        if not route.passes and route.options.groups == 1:
            _move_in(route, movable)


def _takes_parts(reader):
    """Whether a layer may be given pixels that lie apart in memory."""
    return isinstance(reader, ANYWHERE) and getattr(reader, "takes_parts", True)


def _move_in(route, movable):
    """Give the sources of `route` a home in it, those of the set `movable` that have none."""
    for source, (start, _, _) in zip(route.sources, route.parts()):
        if source in movable and source.home is None and not getattr(source, "passes", False):
            source.home = route, start
            _widen(route, source)


def _widen(layer, other):
    """Let the margin around `layer` be at least as wide as that around `other`, of which the readers are now its own."""
    layer.out_margin = max(layer.out_margin, other.out_margin)
