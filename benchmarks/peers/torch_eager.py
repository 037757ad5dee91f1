"""PyTorch as one writes it, layer by layer, in its faster layout (channels_last)."""
from peers import Absent


class Peer:
    """Eager PyTorch. layout: name of the torch.memory_format of activations and weights."""

    name = "PyTorch channels_last"
    layout = "channels_last"

    def available(self):
        """torch.__version__, or None."""
        try:
            import torch
        except ImportError:
            return None
        return torch.__version__

    def inference(self, net, x, threads):
        """The module in evaluation mode, without recording gradients."""
        import torch
        model, pictures, softmax = self._model(net, x, threads)
        model.eval()

        def predict():
            with torch.inference_mode():
                out = model(pictures)
                return out.flatten(1).softmax(1).numpy() if softmax else out.permute(0, 2, 3, 1).numpy()
        return predict

    def training(self, net, x, truth, threads):
        """forward, loss, backward, SGD with momentum and decay (weights only), fused into one pass over each array."""
        import torch

        from peers.torch_loss import loss_of
        model, pictures, _ = self._model(net, x, threads)
        o, loss_function, truth = net.options, loss_of(net), torch.from_numpy(truth)
        model.train()
        groups = [{"params": [p for p in model.parameters() if (p.dim() == 4) == weights],
                   "weight_decay": o.decay if weights else 0} for weights in (True, False)]
        sgd = torch.optim.SGD(groups, lr=o.learning_rate, momentum=o.momentum, fused=True)
        loss_of_pictures = self.compiled(lambda x, truth: loss_function(model(x), truth))

        def step():
            sgd.zero_grad()
            loss = loss_of_pictures(pictures, truth)
            loss.backward()
            sgd.step()
            return loss.item()
        return step

    def compiled(self, function):
        """What torch.compile would change; here nothing."""
        return function

    def _model(self, net, x, threads):
        """(module, pictures in its layout, whether a softmax follows)."""
        import torch

        from peers.torch_network import TorchNetwork
        torch.set_num_threads(threads)
        layout = getattr(torch, self.layout)
        softmax = net.head.name == "softmax"
        if softmax and (net.head.options.groups, net.head.options.temperature) != (1, 1):
            raise Absent("softmax with groups or a temperature is not built")
        pictures = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        return TorchNetwork(net, layout), pictures, softmax
