"""Darknet's .data files and the lists they name.

A .data file has lines key=value:

    classes   how many there are                          train, valid   files with a picture path a line
    names     a file with a class name a line             labels         classifiers: a file with a text a line; the one
    top       classifiers: so many guesses are allowed                   that occurs in a picture's path is its class
    backup    folder for weights                          results, eval  folder and form (voc, coco) of detections
    tree, map, leaves: what belongs to label trees

Darknet: src/option_list.c, read_data_cfg (which deletes every space; here paths may hold spaces).
"""
from collections import Counter
from pathlib import Path

from minidarknet.data.example import Problem
from minidarknet.errors import CfgError, DataError
from minidarknet.grammar import did_you_mean, nearest
from minidarknet.paths import resolve

KEYS = {"train": "train", "val": "valid", "valid": "valid"}  # split -> key of the .data file
KNOWN = ("classes", "train", "valid", "names", "labels", "top", "backup", "results", "eval", "tree", "map", "leaves")
MISSPELT = 0.75     # a key this much like a known one is taken for a slip
BLANK = " \t\r\n\v\f\0\xa0\u200b\ufeff"                       # also what cannot be seen: no-break and zero-width spaces


def lines(path):
    """The lines of a text file without line ends, byte order mark and hidden spaces at the ends: list of str.

    path: str or Path. Raises DataError where it cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return [line.strip(BLANK) for line in text.split("\n")]


def read_data(path):
    """Read the .data file `path`: dict key -> (value, line). Of equal keys the first counts; # and ; begin a comment.

    Raises DataError naming the line that is not key=value.
    """
    options = {}
    for number, line in enumerate(lines(path), 1):
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise DataError(f"{path}:{number}: expected key=value, found {line[:60]!r}; a .data file holds "
                            "classes=, names=, train=, valid=")
        options.setdefault(key.strip(), (value.strip(), number))
    return options


def find(value, folders):
    """The file that `value` (str) means, looked for in each of the folders (Paths) in turn: Path or None."""
    return next((path for path in (Path(folder, value) for folder in folders) if path.is_file()), None)


class DataFile:
    """A .data file: its keys and the files they name, looked for beside it and in the current folder.

    path: Path. options: dict key -> (value, line). problems: list of Problem, keys that look misspelt. Raises DataError
    as read_data does.
    """

    def __init__(self, path):
        self.path, self.problems = Path(path), []
        self.options = read_data(path)
        for key, (_, line) in self.options.items():
            near = nearest(key, KNOWN, MISSPELT)
            if key not in KNOWN and near and near not in self.options:
                self.problems.append(Problem(str(path), line, f"there is no key {key!r}; did you mean {near}?"))

    def value(self, key, default=None):
        """The text of `key`, or `default` where it is missing or empty."""
        return self.options.get(key, ("", 0))[0] or default

    def place(self, key):
        """Where `key` stands, as "my.data:3: names=my.names", for error messages."""
        value, line = self.options[key]
        return f"{self.path}:{line}: {key}={value}"

    def number(self, key):
        """The whole number from 1 that `key` holds, or None without that key. Raises DataError."""
        value = self.value(key)
        if key not in self.options:
            return None
        if not (value or "").isdigit() or not int(value):
            raise DataError(f"{self.place(key)}: a number from 1 is expected")
        return int(value)

    def file(self, key, bundled=False):
        """The Path that `key` names. bundled: a file of that name in minidarknet/cfg will do (Darknet's data/voc.names).

        Raises DataError.
        """
        found = find(self.value(key), (self.path.parent, Path()))
        if found is None and bundled:
            try:
                found = resolve(Path(self.value(key)).name)
            except CfgError:
                pass
        if found is None:
            raise DataError(f"{self.place(key)}: no such file, neither in {self.path.parent} nor in {Path().absolute()}")
        return found

    def texts(self, key, what, different=True, first=False):
        """The lines of the file that `key` names, as many as classes= says: tuple of str.

        what: of what there is one a line, for messages. different: whether all must differ (bool); else those that do not
        are a problem. first: whether the file may hold more, of which the first count (bool). Raises DataError.
        """
        told, file = self.number("classes"), self.file(key, bundled=True)
        found = lines(file)
        while found and not found[-1]:
            found.pop()
        if first and told:
            found = found[:told]
        if not found or "" in found:
            raise DataError(f"{file}:{found.index('') + 1 if found else 1}: a {what} is expected, the line is empty")
        twice = [text for text, count in Counter(found).items() if count > 1]
        if twice and different:
            raise DataError(f"{file}: {twice[0]!r} stands there twice; every {what} must differ")
        if twice:
            one, other, *_ = [line for line, text in enumerate(found, 1) if text == twice[0]]
            self.problems.append(Problem(str(file), other, f"{twice[0]!r} stands there in line {one} already: such "
                                         f"classes are told apart by number alone (names that repeat: {len(twice)})"))
        if told not in (None, len(found)):
            raise DataError(f"{self.path}:{self.options['classes'][1]}: classes={told}, but {file} holds {len(found)} "
                            f"{key}; set classes={len(found)} or correct the {key}")
        return tuple(found)

    def names(self, first=False):
        """Class names as names= and classes= say, numbers where there are no names: tuple of str. Raises DataError.

        Two classes may have one name, as among the 9418 of Darknet's 9k.names: a violin's bow and a ship's. first: as in
        `texts`.
        """
        if self.value("names"):
            return self.texts("names", "class name", different=False, first=first)
        told = self.number("classes")
        if told is None:
            raise DataError(f"{self.path}: neither names= nor classes=: give names=FILE with one class name per line")
        return tuple(str(number) for number in range(told))

    def splits(self):
        """The splits that the file names, as `pictures` takes them: list of str."""
        return [split for split in ("train", "val") if self.value(KEYS[split])]

    def pictures(self, split, problems):
        """What the list of a split names: list of (id, Path, line as it stands).

        split: train, val, or another key of the file. problems: list, gets a Problem for every picture that is not
        there. Pictures are looked for beside the list, beside the .data file, in the current folder (Darknet: only
        there). id: the name without extension; where two pictures share it, the path without extension.
        Raises DataError for a missing key or list, and where not one picture is there.
        """
        key = KEYS.get(split, split)
        if not self.value(key):
            raise DataError(f"{self.path}: no {key}= for the split {split!r}{did_you_mean(key, self.options)} "
                            f"The file has {', '.join(self.options) or 'no key'}")
        try:
            list_file = self.file(key)
        except DataError as missing:
            raise DataError(f"{missing}; it should list one picture path per line") from None
        folders = list(dict.fromkeys((list_file.parent, self.path.parent, Path())))
        found = []
        for number, line in enumerate(lines(list_file), 1):
            path = line and (find(line, folders) or find(line.replace("\\", "/"), folders))
            if path:
                found.append((path, line))
            elif line:
                problems.append(Problem(str(list_file), number, f"{line!r}: there is no such picture (looked for in "
                                                                f"{', '.join(str(folder) for folder in folders)})"))
        if not found:
            raise DataError(str(problems[0]) if problems else f"{list_file}: the list names no picture")
        paths = {}
        for path, _ in found:
            paths.setdefault(path.stem, set()).add(path)
        return [(path.stem if len(paths[path.stem]) == 1 else path.with_suffix("").as_posix(), path, line)
                for path, line in found]
