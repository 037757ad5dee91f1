"""READ: every operation of the network as plain Numba loops, forward and backward side by side.

Any float type, any memory layout, any machine, also with the JIT switched off. `engine` offers the same names.
"""
from minidarknet.kernels.activations import activation_backward, activation_forward
from minidarknet.kernels.avgpool import avgpool_backward, avgpool_forward
from minidarknet.kernels.batchnorm import (
    batchnorm_backward,
    batchnorm_backward_darknet,
    batchnorm_forward,
    batchnorm_statistics,
)
from minidarknet.kernels.convolutional import (
    bias_backward,
    bias_forward,
    convolutional_backward_data,
    convolutional_backward_weight,
    convolutional_forward,
)
from minidarknet.kernels.cost import cost_l1, cost_smooth, cost_sse, cost_wgan
from minidarknet.kernels.crop import crop_forward
from minidarknet.kernels.detection import detection_activate, detection_assign, detection_decode, detection_loss
from minidarknet.kernels.dropout import dropout_backward, dropout_forward
from minidarknet.kernels.image import distort, place, resize_darknet, window
from minidarknet.kernels.local import local_backward_data, local_backward_weight, local_forward
from minidarknet.kernels.maxpool import maxpool_backward, maxpool_forward
from minidarknet.kernels.normalization import (
    normalization_backward,
    normalization_backward_darknet,
    normalization_forward,
)
from minidarknet.kernels.region import region_absolute, region_activate, region_assign, region_decode, region_loss
from minidarknet.kernels.reorg import reorg_backward, reorg_forward
from minidarknet.kernels.route import route_backward, route_forward
from minidarknet.kernels.scale_channels import (
    scale_channels_backward_gate,
    scale_channels_backward_x,
    scale_channels_forward,
)
from minidarknet.kernels.sgd import sgd_update
from minidarknet.kernels.shortcut import shortcut_backward_source, shortcut_backward_x, shortcut_forward
from minidarknet.kernels.softmax import softmax_forward, softmax_loss
from minidarknet.kernels.upsample import upsample_backward, upsample_forward
from minidarknet.kernels.yolo import YoloHead, yolo_activate, yolo_assign, yolo_decode, yolo_loss

FRAMED = False  # these kernels need no margin around a picture: they test every bound themselves

__all__ = [
    "FRAMED", "YoloHead", "activation_backward", "activation_forward", "avgpool_backward", "avgpool_forward",
    "batchnorm_backward", "batchnorm_backward_darknet", "batchnorm_forward", "batchnorm_statistics", "bias_backward",
    "bias_forward", "convolutional_backward_data", "convolutional_backward_weight", "convolutional_forward",
    "cost_l1", "cost_smooth", "cost_sse", "cost_wgan", "crop_forward", "detection_activate", "detection_assign",
    "detection_decode", "detection_loss", "distort", "dropout_backward", "dropout_forward", "local_backward_data",
    "local_backward_weight", "local_forward", "maxpool_backward", "maxpool_forward", "normalization_backward",
    "normalization_backward_darknet", "normalization_forward", "place", "region_absolute", "region_activate",
    "region_assign", "region_decode", "region_loss", "reorg_backward", "reorg_forward", "resize_darknet", "route_backward",
    "route_forward", "scale_channels_backward_gate", "scale_channels_backward_x", "scale_channels_forward",
    "sgd_update", "shortcut_backward_source", "shortcut_backward_x", "shortcut_forward", "softmax_forward",
    "softmax_loss", "upsample_backward", "upsample_forward", "window", "yolo_activate", "yolo_assign", "yolo_decode",
    "yolo_loss",
]
