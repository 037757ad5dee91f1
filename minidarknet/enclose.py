"""A cfg that takes with it the files it names: label trees and maps, copied beside it."""
from pathlib import Path

from minidarknet import parser
from minidarknet.files import replacing

KEYS = ("tree", "map")  # options that name a file, and how the copy's name ends


def enclosed(cfg, path):
    """The Cfg as it is to be written to `path`, with copies of its files beside that: model.cfg, model.tree, model.map.

    cfg: parser.Cfg; its sections find their files as parser.find_file says. path: where it will stand; the copies are
    called like it, of several of a kind the others STEM-2.tree, STEM-3.tree ... Raises CfgError for a file that is not
    there.
    """
    path, copies, values = Path(path), {}, {}
    for section in cfg.layers:
        for key in filter(section.get, KEYS):
            file = parser.find_file(cfg, section, key).resolve()
            same = [name for (kind, _), name in copies.items() if kind == key]
            name = copies.setdefault((key, file), f"{path.stem}{f'-{len(same) + 1}' * bool(same)}.{key}")
            values[f"{section.name}[{section.number}].{key}"] = name
    for (_, file), name in copies.items():
        data = file.read_bytes()  # read before it is written: it may be its own copy
        with replacing(path.parent / name) as copy:
            copy.write(data)
    return parser.override(cfg, values)
