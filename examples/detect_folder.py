"""Find objects on every picture of a folder: python examples/detect_folder.py cfg/yolov2-tiny.cfg FILE.weights PICTURES

Writes the pictures with their boxes, and one JSON file with all that was found.
"""
import argparse
import json
from pathlib import Path

from minidarknet import Network, viz
from minidarknet.data.pictures import is_picture
from minidarknet.errors import DataError


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cfg")
    parser.add_argument("weights")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--thresh", type=float, default=0.25, help="least confidence (default: 0.25)")
    parser.add_argument("--limit", type=int, help="stop after so many pictures")
    parser.add_argument("--out", type=Path, default=Path("runs/detect_folder"))
    return parser.parse_args()


def main():
    """Detect, draw, write."""
    args = arguments()
    net = Network.from_cfg(args.cfg, weights=args.weights)
    args.out.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in args.folder.iterdir() if is_picture(path))[:args.limit]
    found = {}
    for path in files:
        try:
            detections = net.detect(path, thresh=args.thresh)
        except DataError as error:  # one broken picture does not stop the others
            print(error)
            continue
        found[path.name] = detections.to_records()
        viz.save_picture(detections.draw(), args.out / f"{path.name}.png")
        print(f"{path.name}: {detections}" if len(detections) else
              f"{path.name}: nothing above {args.thresh}, best score {detections.best_score:.3f}")
    (args.out / "found.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} of {len(files)} pictures done, see {args.out}")


if __name__ == "__main__":
    main()
