"""The names of Darknet's activation functions. Their formulas are in kernels/activations.py.

The position in the tuple is the code by which a kernel knows the function (Darknet: src/activations.h).
"""

ACTIVATIONS = ("linear", "leaky", "relu", "logistic", "loggy", "elu", "selu", "relie", "ramp", "tanh", "plse",
               "stair", "hardtan", "lhtan", "mish", "swish", "hard_mish", "relu6")

# Names that only AlexeyAB's Darknet knows.
LATER_ACTIVATIONS = ("gelu", "revleaky", "normalize_channels", "normalize_channels_softmax",
                     "normalize_channels_softmax_maxval")


def activation_code(name):
    """The kernel's code (int) of the activation `name` (str). Raises ValueError for a name that is not in ACTIVATIONS."""
    return ACTIVATIONS.index(name)


# Codes of the functions that fall and rise again: two inputs give the same output, so the output cannot tell the slope.
TOLD_BY_INPUT = frozenset(map(activation_code, ("mish", "swish", "hard_mish")))
