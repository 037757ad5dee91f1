"""One step of stochastic gradient descent with momentum and weight decay.

Darknet: src/convolutional_layer.c, the update function.
"""
from minidarknet.kernels._jit import parallel, prange


@parallel
def sgd_update(value, grad, velocity, rate, momentum, decay, images):
    """Roll downhill: v <- momentum v + grad / images + decay value;  value <- value - rate v;  grad <- 0.

    value (n,) float, *written*: the weights; grad (n,) float: dL/dvalue summed over the images since the last step,
    *written* to zero for the next; velocity (n,) float, *written*; rate, momentum, decay floats; images int: how many
    pictures grad sums over.
    Darknet: src/convolutional_layer.c (which carries -images * v instead of v, and takes the same step).
    """
    for i in prange(value.size):
        velocity[i] = momentum * velocity[i] + grad[i] / images + decay * value[i]
        value[i] -= rate * velocity[i]
        grad[i] = 0
