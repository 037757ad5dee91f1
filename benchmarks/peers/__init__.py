"""Everybody who computes the same: minidarknet and its peers, one file each.

A peer has a `name` and three methods:

    available()                              its version (str), or None where it is not installed; loads its libraries
    inference(net, x, threads)               a function without arguments that returns the raw output for the pictures x
    training(net, x, truth, threads)         a function without arguments that makes one training step and returns the
                                             loss per picture before it; or None: it does not train

net is a minidarknet Network, whose weights the peer copies; x (b, h, w, c). Outputs are (b, h, w, c) before the region
layer's activation, which minidarknet alone computes, of several heads the last one's, and (b, classes) for a classifier.
Everything that can be done once (building, compiling, bringing x into the peer's own layout) is done before the function
is returned.
"""
from importlib import import_module

NAMES = {"minidarknet": "ours", "OpenVINO": "openvino", "ONNX Runtime": "onnx_runtime", "torch.compile": "torch_compile",
         "PyTorch channels_last": "torch_eager", "PyTorch NCHW": "torch_nchw", "OpenCV 4": "opencv", "Darknet": "darknet"}


class Absent(Exception):
    """Why a peer cannot do a work: a few words."""


def peer(name):
    """The peer called `name`, a key of NAMES."""
    return import_module(f"peers.{NAMES[name]}").Peer()
