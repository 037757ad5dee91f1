"""What a layer does in a prediction, decided once and done again and again (engine/call.py says why)."""
from operator import is_not


class Planned:
    """A Call of the engine, and what it was made of: made anew when any of that is another object.

    Numbers may change in their arrays; they are read anew every time. parts: what it was made of, () if there is no Call.
    """

    def __init__(self):
        self.forget()

    def run(self, decide, *parts):
        """Call what decide() returned when it was last called with these very objects, or now.

        decide: function without arguments -> Call; parts: all that the Call depends on. Where decide fails, nothing is run,
        and it is asked again the next time.
        """
        if len(parts) != len(self.parts) or any(map(is_not, parts, self.parts)):
            self.forget()
            self._call = decide()
            self.parts = parts  # while we keep them, nobody else is taken for them
        self._call()

    def forget(self):
        """Let go of the parts: others will take their place."""
        self.parts, self._call = (), None
