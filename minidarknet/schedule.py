"""What a training will do: the cfg's own schedule, a short one for the sample set, or one to memorise a few pictures.

Each function gives overrides of the cfg, so that model.cfg in the run folder tells the whole schedule.
"""
SHORT_MINUTES = 10    # a run on the sample set without limits takes no longer
SHORT_SHARE = 0.8     # of them for updates; the rest is for validation, pictures and a busy machine
MANY_UPDATES = 2000   # a short schedule lowers the batch until it makes at least this many updates
SHORT_SIDE = 224      # pixels
SHORT_RATE = 0.003
OVERFIT_BATCH = 8
OVERFIT_BURN_IN = 100


def overfit(options, pictures):
    """Overrides to learn `pictures` (int) pictures by heart at a constant rate. options: NetOptions."""
    return {"net.batch": min(OVERFIT_BATCH, pictures), "net.subdivisions": 1, "net.policy": "constant",
            "net.burn_in": min(options.burn_in, OVERFIT_BURN_IN)}


def short(options, seconds, head):
    """Overrides that fit a training into SHORT_MINUTES; {} where the cfg's own schedule fits.

    options: NetOptions. seconds: measured time for one mini-batch of batch // subdivisions pictures. head: the network's
    head. Few updates have to go far: large inputs are shrunk to SHORT_SIDE (the drawn pictures are no larger), one size
    for all, and the rate is SHORT_RATE at least and falls to nothing. It always begins with a burn-in: where the cfg has
    none, its own rates begin low instead (YOLOv1, which diverges otherwise).
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
            "net.width": width, "net.height": height, **({f"{head.name}.random": 0} if head.multiscale else {}),
            "net.learning_rate": max(options.learning_rate, SHORT_RATE), "net.burn_in": burn_in,
            "net.policy": "poly", "net.power": 1.5}
