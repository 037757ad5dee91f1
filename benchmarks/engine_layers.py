"""Milliseconds and GFLOP/s of every convolution of a network by each algorithm, and of the memory passes.

    python benchmarks/engine_layers.py [--cfg cfg/yolov2-tiny-voc.cfg] [--batch 1] [--size 416] [--threads 2]

Forward and both gradients; the star is at the algorithm that the engine chooses, whose GFLOP/s (operations of the
direct convolution) follow. Where PyTorch is installed, its time for the same work is compared, measured in turns in
the same run (channels_last, eager): trust the ratio, not the milliseconds. Equal layers are measured once.
"""
import argparse
import os
import time
from functools import partial

import numpy as np

ALGORITHMS = ("direct", "winograd")


def shapes(cfg, size):
    """{layer index: (h, w, channels, filters, k, stride, pad)} of the different convolutions of a cfg."""
    from minidarknet import Network
    net = Network.from_cfg(cfg, overrides={"net.width": size, "net.height": size}, initialise=False)
    found = {}
    for layer in net.layers:
        if layer.name == "convolutional" and layer.options.groups == 1:
            (h, w, c), o = layer.sources[0].shape, layer.options
            found.setdefault((h, w, c, o.filters, o.size, o.stride, layer.pad), layer.index)
    return {index: shape for shape, index in found.items()}


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


def peers(x, weight, grad, stride, pad, torch):
    """The same three operations in PyTorch, or nothing where it is not installed."""
    if torch is None:
        return [None] * 3
    tx, tg = (torch.tensor(np.ascontiguousarray(a)).permute(0, 3, 1, 2) for a in (x, grad))  # channels_last
    tw = torch.tensor(weight).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

    def gradient(wanted):
        return partial(torch.ops.aten.convolution_backward, tg, tx, tw, None, [stride] * 2, [pad] * 2, [1, 1], False,
                       [0, 0], 1, wanted)
    return [partial(torch.nn.functional.conv2d, tx, tw, stride=stride, padding=pad), gradient([True, False, False]),
            gradient([False, True, False])]


def operations(engine, batch, shape, torch):
    """For forward, data gradient, weight gradient: (function of an algorithm, PyTorch's or None, the engine's choice)."""
    from minidarknet.engine.algorithm import use_winograd, winograd_possible
    h, w, c, f, k, stride, pad = shape
    oh, ow = ((n + 2 * pad - k) // stride + 1 for n in (h, w))
    rng = np.random.default_rng(0)
    x, grad_x = (framed(rng, (batch, h, w, c), pad) for _ in range(2))
    out = framed(rng, (batch, oh, ow, f), max(k - 1 - pad, 0))
    weight = rng.standard_normal((k, k, c, f), np.float32)
    ours = [partial(engine.convolutional_forward, x, weight, out, stride, pad, 1),
            partial(engine.convolutional_backward_data, out, weight, grad_x, stride, pad, 1, False),
            partial(engine.convolutional_backward_weight, x, out, np.zeros_like(weight), stride, pad, 1)]
    sizes = [(*x.shape, f), (*out.shape, c), (*x.shape, f)]
    for function, other, size in zip(ours, peers(x, weight, out, stride, pad, torch), sizes):
        usable = ALGORITHMS if winograd_possible(k, stride, pad, 1) else ALGORITHMS[:1]
        choice = ALGORITHMS[use_winograd("auto", k, stride, pad, 1, *size)]
        yield {name: partial(function, algorithm=name) for name in usable}, other, choice


def convolutions(engine, arguments, torch, shapes):
    """Print a line per convolution and the sums of what the engine chooses."""
    print(f"{'':27}" + "".join(f"  {name + ':':9}{'direct':>6} {'winograd':>9}  GF/s x torch"
                               for name in ("forward", "data", "weight")))
    total, work = np.zeros((3, 2)), np.zeros(3)
    for index, shape in shapes.items():
        h, w, c, f, k, stride, _ = shape
        gflop = 2e-9 * arguments.batch * (h // stride) * (w // stride) * c * f * k * k
        line = f"{index:3} {w:4}x{h:<4}{c:4}->{f:<5}{k}x{k}{f'/{stride}' if stride > 1 else '':2}"
        for i, (ours, other, choice) in enumerate(operations(engine, arguments.batch, shape, torch)):
            times = best_of(arguments.repeats, *ours.values(), *([other] if other else []))
            found = dict(zip(ours, times))
            shown = "".join(f"{found[name]:9.2f}{'*' if name == choice else ' '}" if name in found else f"{'-':>9} "
                            for name in ALGORITHMS)
            theirs = times[-1] if other else np.nan
            line += f"{'':8}{shown}{gflop / found[choice] * 1e3:5.0f}" \
                + (f"{theirs / found[choice]:8.2f}" if other else f"{'-':>8}")
            if i != 1 or index:  # nobody needs the gradient of the picture
                total[i] += found[choice], theirs
                work[i] += gflop
        print(line, flush=True)
    print(f"{'chosen, all':27}" + "".join(f"{'':8}{mine:19.2f} {gflop / mine * 1e3:5.0f}" + (
        f"{theirs / mine:8.2f}" if torch else f"{'-':>8}") for gflop, (mine, theirs) in zip(work, total)))


def passes(engine, arguments, shapes):
    """Print milliseconds and GB/s of the passes over memory behind each convolution."""
    rng = np.random.default_rng(0)
    names = ("statistics", "normalise", "normalise back", "leaky", "leaky back", "pool", "pool back")
    print(f"\n{'':6}{'picture':>16}" + "".join(f"{name:>16} GB/s" for name in names))
    total = np.zeros(len(names))
    for index, (h, w, _, f, _, stride, _) in shapes.items():
        h, w = h // stride, w // stride
        x, out, grad = (framed(rng, (arguments.batch, h, w, f), 1) for _ in range(3))
        small, small_grad = (framed(rng, (arguments.batch, -(-h // 2), -(-w // 2), f), 1) for _ in range(2))
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
        line = f"{index:3} {w:5}x{h:<5}x{f:<5}  "
        for i, function in enumerate(functions):
            (mine,) = best_of(arguments.repeats, function)
            total[i] += mine
            line += f"{mine:16.2f}{touched[i] * x.size * 4e-6 / mine:5.0f}"
        print(line, flush=True)
    print(f"{'all':22}" + "".join(f"{mine:16.2f}{'':5}" for mine in total))


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", default="cfg/yolov2-tiny-voc.cfg")
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
    found = shapes(arguments.cfg, arguments.size)
    convolutions(engine, arguments, torch, found)
    if not arguments.no_passes:
        passes(engine, arguments, found)


if __name__ == "__main__":
    main()
