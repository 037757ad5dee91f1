"""A compiled function and all that it takes, decided beforehand: a layer that predicts does nothing else a second time.

    Call(function, arguments, bytes of memory)      made once: where everything lies, which algorithm, how it is cut up
             |
             v  for every picture
    function(*arguments, memory)

To find the arguments out takes Python some 10 us a layer, as long as Python's own code and objects are in the processor's
caches. In a network they are not: every layer's weights and pixels drive them out, and the same work takes 30 to 70 us.
"""
from typing import NamedTuple

from minidarknet.engine.memory import scratch


class Call(NamedTuple):
    """Calling it runs function(*arguments, memory).

    function: compiled; arguments: tuple; memory: a Scratch of `own` bytes for each thread and `shared` bytes for all, of
    undefined contents. The arguments hold addresses: whoever keeps a Call sees to it that what lies there stays. kept:
    arrays of which only the Call itself knows.
    """

    function: object
    arguments: tuple
    own: int = 0
    shared: int = 0
    kept: tuple = ()

    def __call__(self):
        self.function(*self.arguments, scratch(self.own, self.shared))
