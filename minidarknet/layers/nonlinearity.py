"""The function at the end of a layer, as its key `activation` names it; the formulas are in kernels/activations.py."""
from minidarknet.activations import TOLD_BY_INPUT, activation_code


class Nonlinearity:
    """out <- f(out), and the way back.

    The slope is told from the output, which a layer has anyway. Where the output cannot tell (mish and its kin fall and
    rise again), what came in is kept beside it in training.

    code: the kernels' number of the function.
    """

    def __init__(self, name):
        """name: of the function, as the cfg says it."""
        self.code = activation_code(name)
        self._input = None

    def allocate(self, layer, batch, train):
        """Make what `layer` (Layer) must keep for its backward pass with `batch` pictures."""
        keep = train and self.code in TOLD_BY_INPUT
        self._input = layer.buffer("before activation", (batch, *layer.shape)) if keep else None

    def forward(self, ops, out):
        """out (b, h, w, c) <- f(out), in place. ops: the package of the operations."""
        if self._input is not None:
            self._input[...] = out
        ops.activation_forward(out, self.code)

    def backward(self, ops, out, grad):
        """grad (b, h, w, c), dL/dout, to dL/dx in place; out: what `forward` left. ops: the package of the operations."""
        ops.activation_backward(out if self._input is None else self._input, grad, self.code)
