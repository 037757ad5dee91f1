"""Put changed values back into a cfg file; every other line, its encoding and its line ends stay as they are."""
import difflib
from pathlib import Path

from minidarknet.files import replacing
from minidarknet.parser import decoded, render


def write_back(cfg):
    """Put the overridden values of `cfg` into the file it was read from, in one piece; all other lines stay.

    Encoding and line ends stay, too. Returns the lines that changed: [(line number, old, new)], str or None where a
    line is new. Raises OSError.
    """
    text, encoding = decoded(Path(cfg.path).read_bytes())
    before, after = cfg.text.replace("\r", ""), render(cfg)
    with replacing(cfg.path) as file:
        file.write((after.replace("\n", "\r\n") if "\r\n" in text else after).encode(encoding))
    return _changes(before.split("\n"), after.split("\n"))


def _changes(before, after):
    """[(line number, old line or None, new line)] where two lists of lines differ."""
    found = []
    for kind, i, j, m, n in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            old = [*before[i:j], *[None] * (n - m)]
            found += [(m + k + 1, old[k], new) for k, new in enumerate(after[m:n])]
    return found
