"""Where files are: the bundled networks and the user's cache."""
import os
from pathlib import Path, PurePath

from minidarknet.errors import CfgError
from minidarknet.grammar import did_you_mean

BUNDLED = Path(__file__).parent / "cfg"
BUNDLES = {(): BUNDLED, ("cfg",): BUNDLED, ("minidarknet", "cfg"): BUNDLED,     # folders as a user writes them
           ("cfg", "ladder"): BUNDLED / "ladder", ("minidarknet", "cfg", "ladder"): BUNDLED / "ladder"}
SUFFIXES = (".cfg", ".names", ".data", ".tree", ".map")
DARKNET = Path("/usr/share/darknet")  # where Debian's package keeps the original's files


def bundled():
    """The file names (tuple of str, sorted) in minidarknet/cfg."""
    return tuple(sorted(p.name for p in BUNDLED.iterdir() if p.suffix in SUFFIXES))


def resolve(name):
    """The file that `name` (str or path) means, as a Path: as given if it exists, else the bundled one.

    Bundled files answer to `cfg/NAME` and to `NAME`, with or without `.cfg`, those of the ladder to `cfg/ladder/NAME`;
    any other folder must exist as given, so that a slip in a folder's name does not quietly pick another network.

    Raises CfgError, which lists what is bundled, when there is no such file.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise CfgError(f"{name} is a folder; expected a file in it")
    known = bundled()
    within = BUNDLES.get(PurePath(name).parent.parts)
    for file in (path.name, path.name + ".cfg"):
        if within is not None and (within / file).suffix in SUFFIXES and (within / file).is_file():
            return within / file
    wanted = path.name if path.suffix in SUFFIXES else path.name + ".cfg"
    same_kind = [file for file in known if PurePath(file).suffix == PurePath(wanted).suffix]
    raise CfgError(f"{name}: no such file, nor is it bundled{did_you_mean(wanted, same_kind, 'cfg/')} "
                   f"Bundled: {', '.join('cfg/' + file for file in same_kind)}")


def find(name, cfg=None):
    """The file (Path) that an option of a cfg means by `name`, such as data/9k.tree: the first of these that exists.

        beside the cfg, or beside its folder (Darknet's layout: cfg/, data/);  in the working folder;
        in /usr/share/darknet, where Debian's package darknet keeps the original's files;  among the bundled ones.

    cfg: the cfg's path, None where the user gave `name` by hand. Raises CfgError, which says where it was looked for.
    """
    given = Path(name).expanduser()
    beside = [] if cfg is None else [Path(cfg).parent, Path(cfg).parent.parent]
    for folder in (*beside, Path(), DARKNET, DARKNET / "data"):
        if (folder / given).is_file():
            return folder / given
    if given.name in bundled() and given.parent.parts in ((), ("cfg",)):
        return BUNDLED / given.name
    if any((folder / given).is_dir() for folder in (*beside, Path())):
        raise CfgError(f"{name} is a folder; expected a file in it")
    looked = " and ".join(dict.fromkeys(str(folder) for folder in (*beside, Path.cwd(), DARKNET)))
    raise CfgError(f"{name}: there is no such file in {looked}")


def cache_folder():
    """The folder (Path, perhaps not there yet) for what minidarknet makes once and keeps.

    MINIDARKNET_CACHE if set, else XDG_CACHE_HOME/minidarknet, else ~/.cache/minidarknet.
    """
    own = os.environ.get("MINIDARKNET_CACHE")
    if own:
        return Path(own).expanduser()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "minidarknet"
