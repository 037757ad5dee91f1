"""Text files with a thing on each line: lists of labels, trees, maps, WordNet's files."""
import re
from pathlib import Path

from minidarknet.errors import DataError
from minidarknet.files import replacing

NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")  # bytes that no text has


def read_text(path, what):
    """The text (str) in the UTF-8 file `path`, its lines ending in \\n whatever they end in there.

    what: what the file should be, for the error. Raises DataError, which names the line that is not UTF-8.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror}") from None
    if NO_TEXT.search(data):
        raise DataError(f"{path}: this is not text; expected {what}")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise DataError(f"{path}:{line} is not in UTF-8: it has the byte {problem.object[problem.start]:#x}; expected "
                        f"{what}, saved as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)") from None


def numbered_lines(path, what):
    """[(number, line)] of the text file `path` without empty lines, stripped, from 1.

    what: what the file should be, for the error. Raises DataError.
    """
    return [(number, line.strip()) for number, line in enumerate(read_text(path, what).split("\n"), 1) if line.strip()]


def write_lines(path, lines):
    """Write an iterable of lines to the file `path` in one piece."""
    with replacing(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
