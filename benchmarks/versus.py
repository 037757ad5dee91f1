"""minidarknet, PyTorch (eager) and Debian's darknet on the same network, weights and input, in turns in one run.

    python benchmarks/versus.py [--cfg cfg/yolov2-tiny-voc.cfg] [--threads 2] [--repeats 5]

Prints milliseconds (medians) and ratios: inference with batch 1, and a training step with batch 8 (for PyTorch with a
squared error in place of the region loss, which favours it). Peers that are not installed are left out.
"""
import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from minidarknet import Network, cli, paths, weights
from minidarknet.optimizer import SGD


def torch_network(net, torch):
    """The convolutions and poolings of a minidarknet network as a PyTorch module with the same weights."""
    parts = []
    for layer in net.layers[:-1]:
        o = layer.options
        if layer.name == "maxpool":
            parts += [torch.nn.ZeroPad2d((0, 1, 0, 1)) if o.stride == 1 else torch.nn.Identity(),
                      torch.nn.MaxPool2d(layer.size, o.stride)]
            continue
        conv = torch.nn.Conv2d(layer.weight.shape[2], o.filters, o.size, o.stride, layer.pad, bias=layer.norm is None)
        conv.weight.data = torch.from_numpy(layer.weight.transpose(3, 2, 0, 1).copy())
        parts.append(conv)
        if layer.norm:
            parts += [torch.nn.BatchNorm2d(o.filters), torch.nn.LeakyReLU(.1, inplace=True)]
        else:
            conv.bias.data = torch.from_numpy(layer.bias.copy())
    return torch.nn.Sequential(*parts).to(memory_format=torch.channels_last)


def torch_work(net, x1, x8, threads):
    """(inference, training step) as functions, or None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    model = torch_network(net, torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=.9, weight_decay=5e-4)
    one, eight = (torch.from_numpy(x.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
                  for x in (x1, x8))

    def predict():
        model.eval()
        with torch.inference_mode():
            model(one)

    def train():
        model.train()
        optimizer.zero_grad()
        (model(eight) ** 2).sum().backward()
        optimizer.step()
    return predict, train


def darknet_seconds(cfg, file, folder):
    """Seconds of one prediction by Debian's darknet as it prints them, or None where it is not installed."""
    if not shutil.which("darknet"):
        return None
    (folder / "x.names").write_text("".join(f"{i}\n" for i in range(20)))
    (folder / "x.data").write_text(f"classes=20\nnames={folder / 'x.names'}\n")
    text = re.sub(r"(?m)^(batch|subdivisions)=.*$", r"\1=1", cfg.read_text())
    (folder / "x.cfg").write_text(text)
    from PIL import Image
    Image.fromarray(np.zeros((416, 416, 3), np.uint8)).save(folder / "x.png")
    done = subprocess.run(["darknet", "detector", "test", "x.data", "x.cfg", str(file), "x.png", "-out", "y"],
                          cwd=folder, capture_output=True, text=True,
                          env={"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin"})
    found = re.search(r"Predicted in ([\d.]+) seconds", done.stdout)
    return float(found[1]) if found else None


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cfg", default="cfg/yolov2-tiny-voc.cfg")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    threads = cli.use_threads(args.threads)
    net, trained = Network.from_cfg(args.cfg), Network.from_cfg(args.cfg)
    rng, size = np.random.default_rng(0), net.input.shape
    x1, x8 = (rng.random((b, *size), np.float32) for b in (1, 8))
    truth = np.tile(np.array([.5, .5, .3, .3, 0], np.float32), (8, 1, 1))
    sgd = SGD(trained)

    def train():
        trained.forward(x8, truth, train=True)
        trained.backward()
        sgd.step()
    work = {"minidarknet": (lambda: net.predict(x1), train), "PyTorch eager": torch_work(net, x1, x8, threads)}
    work = {name: functions for name, functions in work.items() if functions}
    times = {name: ([], []) for name in work}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.weights"
        weights.save(net, file)
        for turn in range(args.repeats + 1):
            for name, functions in work.items():
                for function, measured in zip(functions, times[name]):
                    function()  # wakes its threads and fills the caches, which the one before has emptied
                    began = time.perf_counter()
                    function()
                    if turn:  # the first turn compiles
                        measured.append((time.perf_counter() - began) * 1e3)
            seconds = darknet_seconds(paths.resolve(args.cfg), file, Path(folder))
            if turn and seconds:
                times.setdefault("Darknet (Debian, CPU)", ([], []))[0].append(seconds * 1e3)
    print(f"{Path(args.cfg).stem}, {size[1]} x {size[0]}, {threads} threads, medians of {args.repeats} turns")
    ours = [statistics.median(measured) for measured in times["minidarknet"]]
    for name, measured in times.items():
        cells = [f"{statistics.median(m):8.1f} ms {statistics.median(m) / own:5.2f}x" if m else f"{'-':>17}"
                 for m, own in zip(measured, ours)]
        print(f"{name:24}inference, batch 1 {cells[0]}   training step, batch 8 {cells[1]}")


if __name__ == "__main__":
    main()
