"""OpenVINO's CPU device, set to float32 and to the least time for one request."""
import numpy as np

from peers.onnx_runtime import pixels_last


class Peer:
    """Inference only. Left alone it would compute in bfloat16 where the processor has AMX."""

    name = "OpenVINO"

    def available(self):
        """OpenVINO's version, or None without it or without the package onnx."""
        try:
            import onnx  # noqa: F401
            import openvino
        except ImportError:
            return None
        return openvino.__version__.split("-")[0]

    def inference(self, net, x, threads):
        """request.infer, without copies of input and output."""
        import openvino

        from minidarknet import onnx_export
        core = openvino.Core()
        model = core.read_model(onnx_export.model(net, batch=len(x)))
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        pictures = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        last = len(model.outputs) - 1
        return lambda: pixels_last(request.infer([pictures], share_inputs=True, share_outputs=True)[last])

    def training(self, net, x, truth, threads):
        """It does not train."""
        return None
