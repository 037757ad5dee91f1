"""Make the golden files of this folder with the original Darknet: for every NAME.cfg its NAME.weights and NAME.npz.

    apt-get install darknet        # Debian's package: the original of 2018, its build for CPUs
    python tests/golden/make_golden.py [NAME ...]

The weights are drawn. x: (c, h, w) float32 in 0..1, y: Darknet's network_predict, a flat float32 array in its own order
(c, h, w).
"""
import sys
from pathlib import Path

import numpy as np

from minidarknet import Network, libdarknet, weights
from minidarknet.parity import draw, picture

HERE = Path(__file__).parent


def main(names):
    """Write the files of `names`, or of all cfgs."""
    for cfg in sorted(HERE.glob("*.cfg")):
        if names and cfg.stem not in names:
            continue
        net = Network.from_cfg(cfg, seed=2017)
        draw(net, np.random.default_rng(2017))
        weights.save(net, cfg.with_suffix(".weights"))
        x = picture(net, None, 2017)
        y = libdarknet.in_child(cfg, cfg.with_suffix(".weights"), x)["y"]
        np.savez_compressed(cfg.with_suffix(".npz"), x=x, y=y)


if __name__ == "__main__":
    main(sys.argv[1:])
