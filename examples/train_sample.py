"""Train a detector with a loop of your own, on the drawn sample set: python examples/train_sample.py --steps 300

`python -m minidarknet.train cfg/yolov2-nano.cfg` does the same with validation, checkpoints and charts; here is the
road itself: batch -> forward -> backward -> step.
"""
import argparse
from pathlib import Path

from minidarknet import Network, viz, weights
from minidarknet.data import annotations, pictures
from minidarknet.data.loader import Loader
from minidarknet.optimizer import SGD


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cfg", default="cfg/yolov2-nano.cfg")
    parser.add_argument("--data", default="sample", help="sample, a VOC folder or a .data file with the cfg's classes")
    parser.add_argument("--steps", type=int, default=1000, help="updates of the weights (default: 1000)")
    parser.add_argument("--batch", type=int, default=16, help="pictures per update (default: 16)")
    parser.add_argument("--out", type=Path, default=Path("runs/train_sample"), help="folder for weights and pictures")
    return parser.parse_args()


def main():
    """Train, save the weights, and draw what the network now finds on four pictures it has never seen."""
    args = arguments()
    net = Network.from_cfg(args.cfg)
    train, val = annotations.load(args.data, "train"), annotations.load(args.data, "val")
    if len(train.names) != net.classes:
        raise SystemExit(f"{args.data} has {len(train.names)} classes, {args.cfg} {net.classes}: "
                         "the command minidarknet.train would rebuild the head")
    net.names = train.names
    optimizer = SGD(net)
    size = net.input.shape[1::-1]
    args.out.mkdir(parents=True, exist_ok=True)

    with Loader(train, args.batch, seed=0, first_step=0, size_of_step=lambda step: size) as loader:
        for step in range(1, args.steps + 1):
            batch = next(loader)
            loss = net.forward(batch.x, batch.truth, train=True)
            net.backward()
            rate = optimizer.step()
            if step == 1:
                viz.save_picture(viz.training_batch(batch.x, batch.truth, net.names), args.out / "batch.jpg")
            if step % 20 == 0 or step == args.steps:
                print(f"step {step:5d}  loss {loss:8.3f}  learning rate {rate:.3g}", flush=True)

    weights.save(net, args.out / "nano.weights")
    found = [net.detect(pictures.read(example.path)) for example in val.examples[:4]]
    viz.save_picture(viz.contact_sheet([one.draw() for one in found]), args.out / "found.jpg")
    print(f"weights and pictures are in {args.out}")


if __name__ == "__main__":
    main()
