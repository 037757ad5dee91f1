"""Darknet's YOLOv2 in NumPy and Numba, readable from the nested loop to the trained detector."""
from importlib import import_module

__version__ = "0.1.0"

_WHERE = {"Network": "network", "Detections": "detections", "SGD": "optimizer", "resolve": "paths"}
__all__ = ["Detections", "Network", "SGD", "__version__", "resolve"]


def __getattr__(name):
    """Import the public names when they are first used, so that `--help` and `info` start at once."""
    if name in _WHERE:
        return getattr(import_module(f"minidarknet.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'minidarknet' has no attribute {name!r}")
