"""Debian's package darknet: the original program of 2018 on the CPU. It is a command and says itself how long it took."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from minidarknet import parser, weights
from peers import Absent


class Command:
    """Calls the program in a folder of its own; `seconds` is what it printed last."""

    def __init__(self, net, threads):
        self.folder = tempfile.TemporaryDirectory()
        path, self.seconds = Path(self.folder.name), None
        detector = net.detects
        self.words = ["darknet", *(("detector", "test") if detector else ("classifier", "predict")),
                      "x.data", "x.cfg", "x.weights", "x.png", *(("-out", "y") if detector else ())]
        self.environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": str(threads)}
        (path / "x.names").write_text("".join(f"{i}\n" for i in range(net.classes)))
        (path / "x.data").write_text(f"classes={net.classes}\nnames=x.names\ntop=1\n")
        (path / "x.cfg").write_text(parser.render(net.cfg))
        weights.save(net, path / "x.weights")
        from PIL import Image
        Image.fromarray(np.zeros((*net.input.shape[:2], 3), np.uint8)).save(path / "x.png")

    def __call__(self):
        done = subprocess.run(self.words, cwd=self.folder.name, capture_output=True, text=True, env=self.environment)
        found = re.search(r"Predicted in ([\d.]+) seconds", done.stdout)
        if not found:
            raise Absent("it printed no time")
        self.seconds = float(found[1])


class Peer:
    """Inference of one picture; its CPU build cannot train a detector. Its output is not compared, only its time told."""

    name = "Darknet"

    def available(self):
        """The version of Debian's package, or "installed", or None."""
        if not shutil.which("darknet"):
            return None
        try:
            asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "darknet"], capture_output=True, text=True)
        except OSError:
            return "installed"
        return asked.stdout or "installed"

    def inference(self, net, x, threads):
        """The command on a black picture."""
        if len(x) > 1:
            raise Absent("takes one picture at a time")
        return Command(net, threads)

    def training(self, net, x, truth, threads):
        """Its CPU build has no gradient of the region layer."""
        return None
