"""ONNX Runtime on its CPU provider, with all its graph optimisations (which fold batch norm)."""
import numpy as np


def pixels_last(out):
    """(b, c, h, w) -> a (b, h, w, c) view; (b, classes) as it is."""
    return out.transpose(0, 2, 3, 1) if out.ndim == 4 else out


class Peer:
    """Inference only."""

    name = "ONNX Runtime"

    def available(self):
        """onnxruntime.__version__, or None without it or without the package onnx."""
        try:
            import onnx  # noqa: F401
            import onnxruntime
        except ImportError:
            return None
        return onnxruntime.__version__

    def inference(self, net, x, threads):
        """session.run."""
        import onnxruntime

        from minidarknet import onnx_export
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        model = onnx_export.model(net, batch=len(x))
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        pictures = {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
        return lambda: pixels_last(session.run(None, pictures)[-1])

    def training(self, net, x, truth, threads):
        """It does not train."""
        return None
