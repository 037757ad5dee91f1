"""Where files are: the bundled networks and the user's cache."""
import os
from pathlib import Path, PurePath

from minidarknet.errors import CfgError
from minidarknet.grammar import did_you_mean

BUNDLED = Path(__file__).parent / "cfg"
SUFFIXES = (".cfg", ".names", ".data", ".tree")


def bundled():
    """The file names (tuple of str, sorted) in minidarknet/cfg."""
    return tuple(sorted(p.name for p in BUNDLED.iterdir() if p.suffix in SUFFIXES))


def resolve(name):
    """The file that `name` (str or path) means, as a Path: as given if it exists, else the bundled one.

    Bundled files answer to `cfg/NAME` and to `NAME`, with or without `.cfg`; any other folder must exist as given,
    so that a slip in a folder's name does not quietly pick another network.

    Raises CfgError, which lists what is bundled, when there is no such file.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise CfgError(f"{name} is a folder; expected a file in it")
    known = bundled()
    if PurePath(name).parent.parts in ((), ("cfg",), ("minidarknet", "cfg")):
        for file in (path.name, path.name + ".cfg"):
            if file in known:
                return BUNDLED / file
    wanted = path.name if path.suffix in SUFFIXES else path.name + ".cfg"
    same_kind = [file for file in known if PurePath(file).suffix == PurePath(wanted).suffix]
    raise CfgError(f"{name}: no such file, nor is it bundled{did_you_mean(wanted, same_kind, 'cfg/')} "
                   f"Bundled: {', '.join('cfg/' + file for file in same_kind)}")


def cache_folder():
    """The folder (Path, perhaps not there yet) for what minidarknet makes once and keeps.

    MINIDARKNET_CACHE if set, else XDG_CACHE_HOME/minidarknet, else ~/.cache/minidarknet.
    """
    own = os.environ.get("MINIDARKNET_CACHE")
    if own:
        return Path(own).expanduser()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "minidarknet"
