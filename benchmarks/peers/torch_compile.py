"""torch.compile: PyTorch's compiler (inductor), which writes C++; it needs a compiler."""
import os
import shutil

from peers import Absent, torch_eager


class Peer(torch_eager.Peer):
    """channels_last; for inference the weights are frozen, so that batch norm is folded and weights are packed."""

    name = "torch.compile"

    def inference(self, net, x, threads):
        """As eager, compiled with frozen weights."""
        import torch
        self._look_for_a_compiler()
        model, pictures, softmax = self._model(net, x, threads)
        torch._dynamo.reset()
        torch._inductor.config.freezing = True
        fast = torch.compile(model.eval(), dynamic=False)

        def predict():
            with torch.no_grad():  # inference_mode cannot be frozen
                out = fast(pictures)
                return out.flatten(1).softmax(1).numpy() if softmax else out.permute(0, 2, 3, 1).numpy()
        return predict

    def compiled(self, function):
        """Forward and loss as one program; its backward is compiled with it."""
        import torch
        self._look_for_a_compiler()
        torch._dynamo.reset()
        torch._inductor.config.freezing = False
        return torch.compile(function, dynamic=False)

    @staticmethod
    def _look_for_a_compiler():
        if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++")):
            raise Absent("needs a C++ compiler (g++ or clang++), and there is none")
