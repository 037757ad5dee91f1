"""RUN: the operations that dominate the time, a register of numbers at a time, in float32; the rest are the kernels.

The names are those of `kernels`, which says what each function means and holds this package to it in the tests.
Activations lie in frames of zeros (FRAMED): a padded convolution reads outside the picture and finds nothing there.
With the JIT switched off (NUMBA_DISABLE_JIT=1) there are no registers, and every function is the kernel's.
"""
import numba

from minidarknet.kernels import *
from minidarknet.kernels import __all__ as _kernels

if not numba.config.DISABLE_JIT:
    from minidarknet.engine.activations import activation_backward, activation_forward
    from minidarknet.engine.batchnorm import batchnorm_backward, batchnorm_forward, batchnorm_statistics
    from minidarknet.engine.bias import bias_backward, bias_forward
    from minidarknet.engine.convolutional import (
        convolutional_backward_data,
        convolutional_backward_weight,
        convolutional_forward,
        convolutional_measure,
        convolutional_prediction,
    )
    from minidarknet.engine.fused import fused_forward
    from minidarknet.engine.fused_gradient import fused_backward, fused_bias_backward
    from minidarknet.engine.maxpool import maxpool_backward, maxpool_forward, maxpool_prediction
    from minidarknet.engine.prepare import prepare, restore
    from minidarknet.engine.region import region_activate, region_prediction
    from minidarknet.engine.reorg import reorg_backward, reorg_forward
    from minidarknet.engine.route import route_backward, route_forward
    from minidarknet.engine.sgd import sgd_update
    from minidarknet.engine.shortcut import shortcut_backward_source, shortcut_backward_x, shortcut_forward
    from minidarknet.engine.yolo import yolo_activate

FRAMED = True  # layers give these functions pictures inside margins of zeros
CHOOSES = not numba.config.DISABLE_JIT  # convolutions take the keyword `algorithm`

__all__ = [  # noqa: PLE0604 (names of kernels, which are strings)
    *_kernels, "activation_backward", "activation_forward", "batchnorm_backward", "batchnorm_forward",
    "batchnorm_statistics", "bias_backward", "bias_forward", "convolutional_backward_data",
    "convolutional_backward_weight", "convolutional_forward", "maxpool_backward", "maxpool_forward", "region_activate",
    "reorg_backward", "reorg_forward", "route_backward", "route_forward", "sgd_update", "shortcut_backward_source",
    "shortcut_backward_x", "shortcut_forward", "yolo_activate",
]
if not numba.config.DISABLE_JIT:  # several of the kernels' functions in one pass, for fuse.py; and predictions
    __all__ += ["convolutional_measure", "convolutional_prediction", "fused_backward", "fused_bias_backward",
                "fused_forward", "maxpool_prediction", "prepare", "region_prediction", "restore"]
