"""Milliseconds and GFLOP/s of every convolution of a network, forward and both gradients, and of the memory passes.

    python benchmarks/engine_layers.py [--batch 1] [--size 416] [--threads 2] [--repeats 7]

The shapes are those of yolov2-tiny-voc. Where PyTorch is installed its time for the same work stands beside ours,
measured in turns with it in the same run (channels_last, eager): trust the ratio, not the milliseconds.
"""
import argparse
import os
import time
from functools import partial
from itertools import pairwise

import numpy as np

CHANNELS = [3, 16, 32, 64, 128, 256, 512, 1024, 1024]
POOLED = 5  # the first five layers are followed by a max pooling of stride 2


def shapes(size):
    """(name, input side, channels, filters, kernel) of the convolutions of yolov2-tiny-voc."""
    for i, (c, f) in enumerate(pairwise(CHANNELS)):
        yield f"conv{i + 1}", size >> min(i, POOLED), c, f, 3
    yield "head", size >> POOLED, CHANNELS[-1], 125, 1


def best_of(repeats, *functions):
    """Least milliseconds of each function, called in turns."""
    times = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, measured in zip(functions, times):
            start = time.perf_counter()
            function()
            measured.append((time.perf_counter() - start) * 1e3)
    return [min(measured[1:]) for measured in times]


def framed(rng, shape, margin):
    """Random (b, h, w, c) float32 inside a margin of zeros."""
    from minidarknet.layers.base import Buffer
    view = Buffer().view(shape, margin)
    view[...] = rng.standard_normal(shape, np.float32)
    return view


def peers(x, weight, grad, pad, torch):
    """The same three operations in PyTorch, or nothing where it is not installed."""
    if torch is None:
        return []
    tx, tg = (torch.tensor(np.ascontiguousarray(a)).permute(0, 3, 1, 2) for a in (x, grad))  # channels_last
    tw = torch.tensor(weight).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

    def gradient(wanted):
        return partial(
            torch.ops.aten.convolution_backward, tg, tx, tw, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, wanted)
    return [partial(torch.nn.functional.conv2d, tx, tw, padding=pad), gradient([True, False, False]),
            gradient([False, True, False])]


def convolutions(engine, arguments, torch):
    """Print a line per convolution and the sums."""
    rng = np.random.default_rng(0)
    operations = ("forward", "data", "weight")
    print(f"{'':6}{'picture':>16}" + "".join(f"{name:>12} ms  GF/s  x torch" for name in operations))
    total = np.zeros((3, 2))
    work = np.zeros(3)
    for name, side, c, f, k in shapes(arguments.size):
        x = framed(rng, (arguments.batch, side, side, c), k // 2)
        out = framed(rng, (arguments.batch, side, side, f), k // 2)
        grad_x = framed(rng, x.shape, k // 2)
        weight = rng.standard_normal((k, k, c, f), np.float32)
        grad_weight = np.zeros_like(weight)
        ours = [partial(engine.convolutional_forward, x, weight, out, 1, k // 2, 1),
                partial(engine.convolutional_backward_data, out, weight, grad_x, 1, k // 2, 1, False),
                partial(engine.convolutional_backward_weight, x, out, grad_weight, 1, k // 2, 1)]
        theirs = peers(x, weight, out, k // 2, torch)
        gflop = 2e-9 * arguments.batch * side * side * c * f * k * k
        line = f"{name:6}{side:5}x{side}x{c:<5}"
        for i, function in enumerate(ours):
            mine, *other = best_of(arguments.repeats, function, *theirs[i:i + 1])
            line += f"{mine:12.2f}{gflop / mine * 1e3:9.0f}" + (f"{other[0] / mine:9.2f}" if other else f"{'-':>9}")
            if i != 1 or name != "conv1":  # nobody needs the gradient of the picture
                total[i] += mine, other[0] if other else np.nan
                work[i] += gflop
        print(line, flush=True)
    print(f"{'all':22}" + "".join(f"{mine:12.2f}{gflop / mine * 1e3:9.0f}{other / mine:9.2f}"
                                  for gflop, (mine, other) in zip(work, total)))


def passes(engine, arguments):
    """Print milliseconds and GB/s of the passes over memory behind each convolution."""
    rng = np.random.default_rng(0)
    operations = ("statistics", "normalise", "normalise back", "leaky", "leaky back", "pool", "pool back")
    print(f"\n{'':6}{'picture':>16}" + "".join(f"{name:>16} GB/s" for name in operations))
    total = np.zeros(len(operations))
    for name, side, _, f, _ in shapes(arguments.size):
        x, out, grad = (framed(rng, (arguments.batch, side, side, f), 1) for _ in range(3))
        small, small_grad = (framed(rng, (arguments.batch, -(-side // 2), -(-side // 2), f), 1) for _ in range(2))
        winner = np.zeros(small.shape, np.int32)
        mean, variance, inverse, scale, bias = np.ones((5, f), np.float32)
        grad_scale, grad_bias = np.zeros((2, f), np.float32)
        functions = [
            partial(engine.batchnorm_statistics, x, mean, variance),
            partial(engine.batchnorm_forward, x, mean, inverse, scale, bias, out),
            partial(engine.batchnorm_backward, x, mean, inverse, scale, grad, grad_scale, grad_bias, grad),
            partial(engine.activation_forward, x, 1),
            partial(engine.activation_backward, out, grad, 1),
            partial(engine.maxpool_forward, x, small, winner, 2, 2, 0),
            partial(engine.maxpool_backward, small_grad, winner, grad, 2, 2, 0, False)]
        touched = (1, 2, 5, 2, 3, 1.5, 1.5)  # times the picture's bytes are read or written
        line = f"{name:6}{side:5}x{side}x{f:<5}"
        for i, function in enumerate(functions):
            (mine,) = best_of(arguments.repeats, function)
            total[i] += mine
            line += f"{mine:16.2f}{touched[i] * x.size * 4e-6 / mine:5.0f}"
        print(line, flush=True)
    print(f"{'all':22}" + "".join(f"{mine:16.2f}{'':5}" for mine in total))


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1, help="pictures")
    parser.add_argument("--size", type=int, default=416, help="side of the picture in pixels, a multiple of 32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="measurements, of which the best counts")
    parser.add_argument("--no-torch", action="store_true", help="do not measure PyTorch")
    parser.add_argument("--no-passes", action="store_true", help="only the convolutions")
    arguments = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before Numba starts
    torch = None
    if not arguments.no_torch:
        try:
            import torch
            torch.set_num_threads(arguments.threads)
            torch.set_grad_enabled(False)
        except ImportError:
            print("PyTorch is not installed: its columns stay empty")
    from minidarknet import engine
    convolutions(engine, arguments, torch)
    if not arguments.no_passes:
        passes(engine, arguments)


if __name__ == "__main__":
    main()
