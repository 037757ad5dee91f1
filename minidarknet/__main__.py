"""python -m minidarknet: lists and runs the commands."""
import sys

from minidarknet.cli import main

if __name__ == "__main__":
    sys.exit(main())
