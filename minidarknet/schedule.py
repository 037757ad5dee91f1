"""What a training will do: the cfg's own schedule, a short one for the sample set, or one to memorise a few pictures.

`overfit` and `short` give overrides of the cfg, so that model.cfg in the run folder tells the whole schedule.
"""
import time

import numpy as np

SHORT_MINUTES = 10    # a run on the sample set without limits takes no longer
SHORT_SHARE = 0.8     # of them for updates; the rest is for validation, pictures and a busy machine
MANY_UPDATES = 2000   # a short schedule lowers the batch until it makes at least this many updates
SHORT_SIDE = 224      # pixels
SHORT_RATE = 0.003
OVERFIT_BATCH = 8
OVERFIT_BURN_IN = 100
MULTISCALE_COST = 1.25  # mean area of the sizes 320, 352, ..., 608 over that of 416


def overfit(options, pictures):
    """Overrides to learn `pictures` (int) pictures by heart at a constant rate. options: NetOptions."""
    return {"net.batch": min(OVERFIT_BATCH, pictures), "net.subdivisions": 1, "net.policy": "constant",
            "net.burn_in": min(options.burn_in, OVERFIT_BURN_IN)}


def short(options, seconds):
    """Overrides that fit a training into SHORT_MINUTES; {} where the cfg's own schedule fits.

    options: NetOptions. seconds: measured time for one mini-batch of batch // subdivisions pictures. Few updates have
    to go far: large inputs are shrunk to SHORT_SIDE (the drawn pictures are no larger), and the rate is SHORT_RATE at
    least and falls to nothing. It always begins with a burn-in: where the cfg has none, its own rates begin low instead
    (YOLOv1, which diverges otherwise).
    """
    mini = options.batch // options.subdivisions
    mini_batches = SHORT_SHARE * SHORT_MINUTES * 60 / seconds
    if 0 < options.max_batches * options.subdivisions <= mini_batches:
        return {}
    width, height = (min(side, SHORT_SIDE) for side in (options.width, options.height))
    mini_batches *= options.width * options.height / (width * height)
    subdivisions = options.subdivisions
    while subdivisions > 1 and mini_batches / subdivisions < MANY_UPDATES:
        subdivisions //= 2
    updates = max(int(mini_batches / subdivisions), 10)
    burn_in = min(options.burn_in or updates, updates // 10)
    return {"net.batch": mini * subdivisions, "net.subdivisions": subdivisions, "net.max_batches": updates,
            "net.width": width, "net.height": height,
            "net.learning_rate": max(options.learning_rate, SHORT_RATE), "net.burn_in": burn_in,
            "net.policy": "poly", "net.power": 1.5}


def measure(net, truth):
    """Seconds for one mini-batch, measured on noise; compiles the kernels. The network is left as it was.

    net: Network. truth: function (net, count) -> a truth for so many pictures.
    """
    o = net.options
    x = np.random.default_rng(0).random((o.batch // o.subdivisions, *net.input.shape), np.float32)
    norms = [layer.norm for layer in net.layers if getattr(layer, "norm", None)]
    kept = [(array, array.copy()) for norm in norms for array in (norm.rolling_mean, norm.rolling_variance)]
    updates = [norm.updates for norm in norms]
    seen, times = net.seen, []
    for _ in range(2):
        began = time.monotonic()
        net.forward(x, truth(net, len(x)), train=True)
        net.backward()
        times.append(time.monotonic() - began)
    for array, copy in kept:
        array[...] = copy
    for norm, count in zip(norms, updates):
        norm.updates = count
    for param in net.params:
        param.grad[...] = 0
    net.seen = seen
    return times[-1]


def duration(seconds):
    """Seconds as a person says them: "0.4 s", "12 s", "3.5 min", "2.1 h", "12 days", "no end" for None."""
    if seconds is None:
        return "no end"
    for limit, unit, name in ((10, 1, "s"), (100, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if limit == 100 else 1 + (seconds < 1)}f} {name}"
    return f"{seconds / 86400:.0f} days"
