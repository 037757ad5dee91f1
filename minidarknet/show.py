"""`minidarknet cfg NAME`: print a bundled cfg for a user to edit, with values or the number of classes changed."""
import sys

from minidarknet import cli, parser
from minidarknet.errors import UsageError
from minidarknet.paths import SUFFIXES, bundled, resolve


def arguments():
    """The command's ArgumentParser."""
    args = cli.command("cfg", "Print a cfg (or another bundled text), to be saved and edited:\n"
                              "  minidarknet cfg yolov2-tiny --classes 3 > my.cfg\n"
                              "Without a name: list what is bundled.")
    args.add_argument("name", nargs="?", metavar="NAME", help="a bundled name such as yolov2-tiny, or a file")
    args.add_argument("--classes", type=cli.positive, metavar="N", help="fit the head to N classes")
    cli.add_set(args)
    return args


def main(argv=None):
    """Run the command; returns the exit code."""
    args = arguments().parse_args(argv)
    if args.name is None:
        print(listing())
        return 0
    print(text_of(args.name, args.classes, cli.overrides(args)), end="")
    return 0


def listing():
    """One line for each bundled file: its name and, for a cfg, its own first comment (str)."""
    lines = []
    for name in bundled():
        first = resolve(name).read_text(encoding="utf-8").split("\n", 1)[0]
        lines.append(f"cfg/{name:<22} {first.lstrip('# ') if name.endswith('.cfg') else ''}".rstrip())
    return "\n".join(lines)


def text_of(name, classes=None, values=None):
    """The text of the file that `name` means; a cfg with another number of `classes` and other `values` if given.

    values: as for parser.override. Raises UsageError, CfgError.
    """
    file = resolve(name)
    if not file.stat().st_size:
        raise UsageError(f"{name} is empty. If `> {name}` was to fill it, the shell emptied it first: write to another "
                         f"name, or ask for cfg/{file.name}")
    if file.suffix in SUFFIXES and file.suffix != ".cfg":
        if classes or values:
            raise UsageError(f"{name} is no cfg: --classes and --set change cfgs only")
        return file.read_text(encoding="utf-8")
    cfg = parser.read(file)
    if classes:
        cfg = parser.with_classes(cfg, classes)
    return parser.render(parser.override(cfg, values or {}))


if __name__ == "__main__":
    sys.exit(cli.run(main))
