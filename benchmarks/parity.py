"""The bundled networks in the original Darknet and here: same cfg, same random weights, same picture, strict mode.

    apt-get install darknet
    python benchmarks/parity.py [resnet18 yolov3-tiny ...]      default: all below; vgg-16 alone takes half a minute

One line of `minidarknet parity NAME --oracle darknet --strict-darknet-cpu` for each: the layer that is farthest away.
"""
import argparse

from minidarknet import oracles, parity

NETS = ("yolov2-tiny-voc", "darknet", "darknet19", "tiny", "extraction", "alexnet", "vgg-16", "darknet53",
        "resnet18", "resnet34", "resnet50", "yolov3-tiny", "yolov3-voc", "cifar", "yolov1-tiny", "yolov1")


def compare(name):
    """(layers compared, key of the farthest, its Difference) for the bundled cfg `name`."""
    args = parity.arguments().parse_args([name, "--oracle", "darknet", "--strict-darknet-cpu"])
    net = parity.load(args)
    x = parity.picture(net, None, 0)
    found = oracles.compare(oracles.outputs(net, x), parity.ask(net, x, args))
    worst = max(found, key=lambda key: found[key].relative)
    return len(net.layers), worst, found[worst]


def main():
    """Compare and print."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("names", nargs="*", default=NETS, metavar="NAME", help="bundled cfgs")
    for name in args.parse_args().names:
        layers, worst, difference = compare(name)
        print(f"{name:18} {layers:4} layers, the farthest {worst:9} largest number {difference.largest:8.2g}   "
              f"largest difference {difference.most:8.1e}   relative {difference.relative:8.1e}", flush=True)


if __name__ == "__main__":
    main()
