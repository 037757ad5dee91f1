"""OpenCV 4's dnn module, whose own importer reads our cfg and weights files (OpenCV 5 no longer has it)."""
import tempfile
from pathlib import Path

import numpy as np

from minidarknet import parser, weights
from peers.onnx_runtime import pixels_last


class Peer:
    """Inference only."""

    name = "OpenCV 4"

    def available(self):
        """cv2.__version__, or None where it is not installed or too new."""
        try:
            import cv2
        except ImportError:
            return None
        return cv2.__version__ if hasattr(cv2.dnn, "readNetFromDarknet") else None

    def inference(self, net, x, threads):
        """setInput and forward, up to the layer before the region layer."""
        import cv2
        cv2.setNumThreads(threads)
        with tempfile.TemporaryDirectory() as folder:
            cfg, file = Path(folder) / "net.cfg", Path(folder) / "net.weights"
            cfg.write_text(parser.render(net.cfg))
            weights.save(net, file)
            other = cv2.dnn.readNetFromDarknet(str(cfg), str(file))
        last = [name for name in other.getLayerNames() if not name.startswith(("permute", "detection"))][-1]
        pictures = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        softmax = net.head.name == "softmax"

        def predict():
            other.setInput(pictures)
            out = pixels_last(other.forward(last))
            return out.reshape(len(out), -1) if softmax else out
        return predict

    def training(self, net, x, truth, threads):
        """It does not train."""
        return None
