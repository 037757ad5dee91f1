"""[sam], spatial attention module: an earlier layer's output times the previous one's (AlexeyAB: src/sam_layer.c)."""
from minidarknet.layers.gated import Gated, GatedOptions


class Sam(Gated):
    """out = act(picture * gate), number by number; gate: the previous layer's output, of the picture's shape.

    AlexeyAB's CPU build writes the picture's gradient where it should add it; ours adds.
    """

    name = "sam"
    Options = GatedOptions

    def gate_shape(self, h, w, c):
        """See Gated."""
        return (h, w, c), "the same shape"
