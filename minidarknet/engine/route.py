"""Route a register of channels at a time; kernels/route.py says what it is."""
from minidarknet.engine.blend import ONE, blend, scale
from minidarknet.engine.memory import picture
from minidarknet.engine.vector import FLOAT


def _channels(array, first, count):
    """The Picture of `count` channels of `array`, from `first` on."""
    whole = picture(array)
    return whole._replace(address=whole.address + FLOAT * first, c=count)


def route_forward(x, out, start, first, count):
    """Copy some channels of one source into the output: out[y, x, start + c] = x[y, x, first + c], c = 0 .. count - 1.

    x (b, h, w, c) float32; out (b, h, w, channels) float32, channels start .. start + count - 1 *written*, the others
    left; start, first, count ints. Darknet: src/route_layer.c; first and count: AlexeyAB's groups.
    """
    scale(_channels(x, first, count), ONE, _channels(out, start, count))


def route_backward(grad_out, grad_x, start, first, count, accumulate):
    """Hand one source its channels of the gradient: grad_x[y, x, first + c] = grad_out[y, x, start + c], 0 elsewhere.

    grad_out (b, h, w, channels) float32; grad_x (b, h, w, c) float32, *accumulated* if accumulate (bool) else *written*;
    start, first, count ints as in the forward pass. Darknet: src/route_layer.c.
    """
    source, target = _channels(grad_out, start, count), _channels(grad_x, first, count)
    if accumulate:
        blend(target, ONE, source, ONE, target)
    else:
        grad_x[..., :first] = grad_x[..., first + count:] = 0
        scale(source, ONE, target)
