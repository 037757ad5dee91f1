"""The activation functions in ONNX's operators. What they compute is in kernels/activations.py."""

def activate(graph, name, x):
    """Add the nodes of the activation `name` of the value `x` -> the name of the result."""
    return WRITERS[name](graph, x)


def _loggy(g, x):
    return g.node("Sub", g.node("Mul", g.node("Sigmoid", x), 2.0), 1.0)


def _bent(low, high, slope, scale, shift):
    """scale * t + shift + slope * (x - t), where t is x held within low..high: three straight lines."""
    def write(g, x):
        t = g.node("Clip", x, low, high)
        inside = g.node("Add", g.node("Mul", t, scale), shift)
        return g.node("Add", inside, g.node("Mul", g.node("Sub", x, t), slope))
    return write


def _stair(g, x):
    """floor(x / 2), and x - floor(x) more where floor(x) is odd."""
    floor, half = g.node("Floor", x), g.node("Floor", g.node("Mul", x, .5))
    odd = g.node("Sub", floor, g.node("Mul", g.node("Floor", g.node("Mul", floor, .5)), 2.0))
    return g.node("Add", half, g.node("Mul", odd, g.node("Sub", x, floor)))


def _gated(gate):
    """x times a gate between 0 and 1, `gate` (graph, x) -> the gate."""
    return lambda g, x: g.node("Mul", x, gate(g, x))


def _hard_mish(g, x):
    """x * clip(x + 2, 0, 2) / 2; AlexeyAB's formula is the same in three pieces."""
    return g.node("Mul", x, g.node("Mul", g.node("Clip", g.node("Add", x, 2.0), 0.0, 2.0), .5))


WRITERS = {
    "linear": lambda g, x: x,
    "leaky": lambda g, x: g.node("LeakyRelu", x, alpha=.1),
    "relu": lambda g, x: g.node("Relu", x),
    "logistic": lambda g, x: g.node("Sigmoid", x),
    "loggy": _loggy,
    "elu": lambda g, x: g.node("Elu", x, alpha=1.0),
    "selu": lambda g, x: g.node("Selu", x, alpha=1.6732, gamma=1.0507),
    "relie": lambda g, x: g.node("LeakyRelu", x, alpha=.01),
    "ramp": lambda g, x: g.node("Add", g.node("Relu", x), g.node("Mul", x, .1)),
    "tanh": lambda g, x: g.node("Tanh", x),
    "plse": _bent(-4.0, 4.0, .01, .125, .5),
    "stair": _stair,
    "hardtan": lambda g, x: g.node("Clip", x, -1.0, 1.0),
    "lhtan": _bent(0.0, 1.0, .001, 1.0, 0.0),
    "mish": _gated(lambda g, x: g.node("Tanh", g.node("Softplus", x))),
    "swish": _gated(lambda g, x: g.node("Sigmoid", x)),
    "hard_mish": _hard_mish,
    "relu6": lambda g, x: g.node("Clip", x, 0.0, 6.0),
}
