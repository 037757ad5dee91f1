"""Stochastic gradient descent with momentum and weight decay, and Darknet's learning-rate policies (src/network.c)."""
import math

import numpy as np


def learning_rate(options, update, seed=0):
    """The rate (float) of update number `update` (1 is the first) under the policy of the [net] section.

    options: NetOptions. update: int. seed: int, for policy random alone.

    While update < burn_in: learning_rate * (update / burn_in) ** power. After it, with b = update:
    constant: lr. step: lr * scale^(b // step). steps: lr times every scales[i] with steps[i] <= b. exp: lr * gamma^b.
    poly: lr * (1 - b / max_batches)^power. sigmoid: lr / (1 + e^(gamma * (b - step))). random: lr * U(0, 1)^power,
    the draw being a function of (seed, b). sgdr: from lr down to learning_rate_min along half a cosine, again and again,
    each sgdr_mult times longer than the one before.
    Darknet: get_current_rate. Where Darknet compares a negative step with an unsigned number, we compare signed ones.
    """
    o, b, lr = options, update, options.learning_rate
    if b < o.burn_in:
        return lr * (b / o.burn_in) ** o.power
    if o.policy == "step":
        return lr * o.scale ** (b // o.step)
    if o.policy == "steps":
        return lr * math.prod(scale for step, scale in zip(o.steps, o.scales) if step <= b)
    if o.policy == "exp":
        return lr * o.gamma ** b
    if o.policy == "poly":
        return lr * max(1 - b / o.max_batches, 0) ** o.power if o.max_batches else lr
    if o.policy == "sigmoid":
        return lr / (1 + math.exp(min(o.gamma * (b - o.step), 700)))
    if o.policy == "random":
        return lr * np.random.default_rng((seed, b)).random() ** o.power
    if o.policy == "sgdr":
        cycle, done = o.sgdr_cycle or o.max_batches, b
        while done >= cycle:
            done, cycle = done - cycle, cycle * o.sgdr_mult
        return o.learning_rate_min + (lr - o.learning_rate_min) * (1 + math.cos(math.pi * done / cycle)) / 2
    return lr


class SGD:
    """velocity = momentum * velocity + grad / images + decay * value;  value = value - rate * velocity.

    The gradients are sums over the images passed since the last step; `images`, their number, is the divisor. Weights
    decay, biases and scales do not. Darknet: update_convolutional_layer (src/convolutional_layer.c), which keeps the
    opposite sign and the factor images inside its buffers.
    """

    def __init__(self, net, options=None):
        """net: Network. options: a [net] section (NetOptions) to take the schedule from; default: the net's own."""
        self.net, self.options = net, options or net.options
        self.images_per_update = self.options.batch // self.options.subdivisions * self.options.subdivisions
        self.velocities = [np.zeros_like(param.value) for param in net.params]
        self.seen = net.seen  # images at the last step

    @property
    def update(self):
        """Number of the update that the images seen so far belong to, as Darknet counts: seen // images per update."""
        return self.net.seen // self.images_per_update

    @property
    def rate(self):
        """The learning rate that `step` would use now (float)."""
        return learning_rate(self.options, self.update, self.net.seed)

    def step(self):
        """Make one update from the gradients accumulated since the last one, clear them, and return the rate used.

        Raises ValueError where no image was passed forward with train=True in between.
        """
        images = self.net.seen - self.seen
        if images <= 0:
            raise ValueError("step() needs images: call net.forward(x, truth, train=True) and net.backward() first")
        rate, o = self.rate, self.options
        for param, velocity in zip(self.net.params, self.velocities):
            self.net.ops.sgd_update(param.value.reshape(-1), param.grad.reshape(-1), velocity.reshape(-1),
                                    float(rate * param.rate), o.momentum, o.decay if param.decay else 0.0, float(images))
        self.seen = self.net.seen
        return rate
