"""One file per section of the cfg. LAYERS maps the section's name to its class."""
from minidarknet.layers.activation import Activation
from minidarknet.layers.avgpool import Avgpool
from minidarknet.layers.base import Layer, LayerOptions, Misfit, Param, Run, Stored
from minidarknet.layers.batchnorm import Batchnorm
from minidarknet.layers.connected import Connected
from minidarknet.layers.convolutional import Convolutional
from minidarknet.layers.cost import Cost
from minidarknet.layers.crop import Crop
from minidarknet.layers.detection import Detection
from minidarknet.layers.dropout import Dropout
from minidarknet.layers.input import Input
from minidarknet.layers.local import Local
from minidarknet.layers.maxpool import Maxpool
from minidarknet.layers.normalization import Normalization
from minidarknet.layers.region import Region
from minidarknet.layers.reorg import Reorg
from minidarknet.layers.route import Route
from minidarknet.layers.sam import Sam
from minidarknet.layers.scale_channels import ScaleChannels
from minidarknet.layers.shortcut import Shortcut
from minidarknet.layers.softmax import Softmax
from minidarknet.layers.upsample import Upsample
from minidarknet.layers.yolo import Yolo

LAYERS = {layer.name: layer for layer in (Activation, Avgpool, Batchnorm, Connected, Convolutional, Cost, Crop, Detection,
                                          Dropout, Local, Maxpool, Normalization, Region, Reorg, Route, Sam, ScaleChannels,
                                          Shortcut, Softmax, Upsample, Yolo)}

__all__ = ["LAYERS", "Convolutional", "Input", "Layer", "LayerOptions", "Maxpool", "Misfit", "Param", "Reorg", "Route",
           "Run", "Shortcut", "Stored", "Upsample"]
