"""What the tests of whole commands share: a tiny drawn data set, a tiny cfg, and how to run a command."""
import os
import subprocess
import sys

TINY = """[net]
batch=8
subdivisions=2
width=64
height=64
channels=3
momentum=.9
decay=.0005
learning_rate=.001
burn_in=5
max_batches=500
policy=steps
steps=400
scales=.1
hue=.1
saturation=1.5
exposure=1.5

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=4
stride=4

[convolutional]
batch_normalize=1
filters=16
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=4
stride=4

[convolutional]
filters=51
size=1
stride=1
pad=1
activation=linear

[region]
anchors=1,1,1.5,2,2,1.2
classes=12
num=3
softmax=1
bias_match=1
rescore=1
object_scale=5
thresh=.6
jitter=.2
random=1
"""


def run(*arguments, cwd=None, env=None, timeout=300):
    """`python -m minidarknet ARGUMENTS` as a user runs it: subprocess.CompletedProcess with text output."""
    return subprocess.run([sys.executable, "-m", "minidarknet", *map(str, arguments)], capture_output=True, text=True,
                          cwd=cwd, env={**os.environ, **(env or {})}, timeout=timeout)
