"""Where the layers find their operations: in kernels/, or in engine/ with kernels/ behind it."""
from importlib import import_module

BACKENDS = ("engine", "kernels")


class Ops:
    """The package `kernels` or `engine`, imported when its first function is called: reading a cfg needs no Numba."""

    def __init__(self, backend):
        if backend not in BACKENDS:
            raise ValueError(f"backend {backend!r} is unknown: use one of {', '.join(BACKENDS)}")
        self._package = f"minidarknet.{backend}"

    def __getattr__(self, name):
        value = getattr(import_module(self._package), name)
        setattr(self, name, value)
        return value
