"""minidarknet itself, as a user calls it: net.predict, and net.forward, net.backward, sgd.step."""

class Peer:
    """The engine in its default settings."""

    name = "minidarknet"

    def available(self):
        """The version; loads Numba and the engine."""
        import minidarknet.engine  # noqa: F401
        return minidarknet.__version__

    def inference(self, net, x, threads):
        """net.predict; the output is copied, and a detector's also activated."""
        from minidarknet import cli
        cli.use_threads(threads)

        def predict():
            out = net.predict(x)
            return net.head.sources[0].out if net.detects else out
        return predict

    def training(self, net, x, truth, threads):
        """A step of net and its optimizer."""
        from minidarknet import cli
        from minidarknet.optimizer import SGD
        cli.use_threads(threads)
        sgd = SGD(net)

        def step():
            loss = net.forward(x, truth, train=True)
            net.backward()
            sgd.step()
            return loss
        return step
