"""The options of the [net] section."""
from dataclasses import dataclass

from minidarknet.limits import MOST
from minidarknet.options import convert

POLICIES = ("constant", "step", "steps", "exp", "poly", "sigmoid", "random", "sgdr")


@dataclass(frozen=True, kw_only=True)
class NetOptions:
    """The keys of [net] with Darknet's defaults (Darknet: src/parser.c)."""

    batch: int = 1              # pictures for one update of the weights
    subdivisions: int = 1       # mini-batches an update is made from: each passes batch // subdivisions pictures
    width: int = 0              # of the network's input, pixels
    height: int = 0
    channels: int = 0           # 3 for colour
    inputs: int = 0             # 0, or height * width * channels
    learning_rate: float = 0.001
    momentum: float = 0.9       # share of the last step in the next
    decay: float = 0.0001       # weight decay; biases and scales do not decay
    policy: str = "constant"    # how the rate changes with the number b of the update; see optimizer.py
    burn_in: int = 0            # while b < burn_in: rate * (b / burn_in) ^ power
    power: float = 4.0          # policies poly and random, and burn-in
    step: int = 1               # policy step: times `scale` every `step` updates; policy sigmoid: its middle
    scale: float = 1.0
    steps: tuple[int, ...] = ()     # policy steps: from update steps[i] on, times scales[i]
    scales: tuple[float, ...] = ()
    gamma: float = 1.0          # policies exp and sigmoid
    max_batches: int = 0        # updates until training ends
    angle: float = 0.0          # augmentation of classification pictures: turn by up to so many degrees
    aspect: float = 1.0         # change width : height by up to this factor
    saturation: float = 1.0     # augmentation: colour strength times or divided by up to this
    exposure: float = 1.0       # the same for brightness
    hue: float = 0.0            # shift of the colour by up to this share of the circle
    max_crop: int = 0           # classification: the shorter side is scaled to min_crop..max_crop; 0: 2 * width
    min_crop: int = 0           # 0: width
    max_ratio: float = 0.0      # the same as shares of the width; 0: max_crop / width
    min_ratio: float = 0.0      # 0: min_crop / width
    center: int = 0             # classification: 1 cuts out the middle, without augmentation
    random: int = 0             # classification: 1 trains at changing sizes
    letter_box: int = -1        # AlexeyAB: 1: letterbox, 0: stretch; not given: as the Darknet that the cfg is for
    learning_rate_min: float = 1e-5     # AlexeyAB, policy sgdr: where each cosine ends,
    sgdr_cycle: int = 0                 # how many updates the first one takes; 0: max_batches,
    sgdr_mult: int = 2                  # and how many times longer each is than the one before
    mosaic: int = 0                     # AlexeyAB, detectors: 1 puts four training pictures together

    CHOICES = {"policy": POLICIES, "letter_box": (-1, 0, 1)}
    # In the original without effect on a CPU or read for adam only; in AlexeyAB's about speed or display.
    IGNORED = ("notruth", "seen", "B1", "B2", "eps", "seq_scales", "mosaic_bound", "resize_step", "augment_speed",
               "sequential_subdivisions", "try_fix_nan", "loss_scale", "optimized_memory", "workspace_size_limit_MB",
               "max_chart_loss", "show_receptive_field", "num_steps", "track", "cudnn_half", "attention")
    LATER = {"time_steps": "1", "flip": "1", "adam": None, "clip": None}
    # AlexeyAB's ways to vary pictures and to average or distrust what was learnt.
    WITHOUT = ("blur", "gaussian_noise", "mixup", "cutmix", "label_smooth_eps", "contrastive",
               "contrastive_jit_flip", "contrastive_color", "unsupervised", "ema_alpha", "equidistant_point",
               "weights_reject_freq", "badlabels_rejection_percentage", "badlabels_reject_threshold", "dynamic_minibatch",
               "adversarial_lr")
    MINIMUM = {"batch": 1, "subdivisions": 1, "width": 1, "height": 1, "channels": 1, "inputs": 0, "max_batches": 0,
               "burn_in": 0, "sgdr_cycle": 0, "sgdr_mult": 1, "learning_rate": 0, "momentum": 0, "decay": 0,
               "saturation": 0, "exposure": 0, "hue": 0, "max_crop": 0, "min_crop": 0}

    def problem(self):
        """(key or None, message) of values that do not go together, or None."""
        missing = [key for key in ("width", "height", "channels") if not getattr(self, key)]
        if missing:
            return None, (f"has no {'=, '.join(missing)}=; expected the input's size, such as "
                          "width=416 height=416 channels=3")
        numbers = self.width * self.height * self.channels
        if numbers > MOST:
            return None, (f"width={self.width} height={self.height} channels={self.channels} make pictures of {numbers:,} "
                          f"numbers; expected at most {MOST:,}, which is as far as Darknet counts")
        if self.subdivisions > self.batch:
            return "subdivisions", (f"subdivisions={self.subdivisions} parts of batch={self.batch} would be empty; "
                                    f"expected 1 to {self.batch}")
        if self.inputs not in (0, self.height * self.width * self.channels):
            return "inputs", (f"inputs={self.inputs} is not height x width x channels = "
                              f"{self.height * self.width * self.channels}; other inputs are not supported yet")
        if self.momentum >= 1:
            return "momentum", f"momentum={self.momentum:g} never forgets a step; expected 0 up to below 1"
        return self._policy_problem()

    def _policy_problem(self):
        """What the policy lacks, as in `problem`."""
        if self.policy == "steps":
            steps, scales = len(self.steps), len(self.scales)
            if not steps:
                return "policy", "policy=steps needs steps=, such as steps=400000,450000"
            if steps != scales:
                return ("scales" if scales else "steps",
                        f"steps has {steps} numbers and scales {scales}; expected one scale for each step")
        if self.policy == "step" and self.step < 1:
            return "step", f"step={self.step}: policy=step expects at least 1"
        if self.policy == "poly" and self.max_batches < 1:
            return "policy", "policy=poly needs max_batches=, the update at which the rate reaches 0"
        if self.policy == "sgdr" and not (self.sgdr_cycle or self.max_batches):
            return "policy", "policy=sgdr needs sgdr_cycle= or max_batches=, the updates that the first cosine takes"
        return None


def keep_mini_batch(cfg, values):
    """Overrides that set net.batch without net.subdivisions, completed so that the mini-batch stays the cfg's.

    values: {"net.batch": ...} as for parser.override.
    Returns (values, line): subdivisions = ceil(batch / (cfg's batch // subdivisions)), and a line to print, or None.
    """
    if "net.batch" not in values or "net.subdivisions" in values:
        return values, None
    try:
        batch = convert(str(values["net.batch"]), int)
        old = convert(cfg.net.get("batch", "1"), int)
        mini = old // convert(cfg.net.get("subdivisions", "1"), int)
    except (ValueError, ZeroDivisionError):
        return values, None     # `typed` says what is wrong with them
    if batch < 1 or mini < 1:
        return values, None
    subdivisions = -(-batch // mini)
    if subdivisions == convert(cfg.net.get("subdivisions", "1"), int):
        return values, None
    line = (f"net.batch={batch}: subdivisions={subdivisions}, so that a mini-batch keeps at most {mini} pictures "
            f"(choose another with --set net.subdivisions=N)")
    return {**values, "net.subdivisions": subdivisions}, line
