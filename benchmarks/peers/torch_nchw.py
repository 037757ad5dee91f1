"""Eager PyTorch in its default layout, (b, c, h, w)."""
from peers import torch_eager


class Peer(torch_eager.Peer):
    """As torch_eager, the other layout."""

    name = "PyTorch NCHW"
    layout = "contiguous_format"
