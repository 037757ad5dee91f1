"""The words of a cfg file: its sections, lines and values, and how an error in them is told.

Darknet: src/parser.c, src/option_list.c.
"""
import difflib
from dataclasses import dataclass, field

from minidarknet.errors import CfgError

LONGEST_WORD = 60       # characters of a word that are shown, and that are looked at for a slip of the keyboard
MOST_WARNINGS = 1000    # a file with more lines without effect is no cfg

# Every section that some Darknet knows (the original, then AlexeyAB's), by its long name.
SECTIONS = ("net", "activation", "avgpool", "batchnorm", "connected", "convolutional", "cost", "crnn", "crop",
            "deconvolutional", "detection", "dropout", "gru", "iseg", "l2norm", "local", "logistic", "lstm", "maxpool",
            "normalization", "region", "reorg", "rnn", "route", "shortcut", "softmax", "upsample", "yolo",
            "contrastive", "conv_lstm", "empty", "gaussian_yolo", "history", "implicit", "local_avgpool", "reorg3d",
            "sam", "scale_channels")

ALIASES = {"network": "net", "conv": "convolutional", "deconv": "deconvolutional", "conn": "connected",
           "max": "maxpool", "avg": "avgpool", "lrn": "normalization", "soft": "softmax",
           "local_avg": "local_avgpool", "Gaussian_yolo": "gaussian_yolo", "silence": "empty"}


@dataclass(frozen=True)
class Entry:
    """One `key=value` line. overridden: the value came from --set or overrides={}, not from that line."""

    key: str
    value: str
    line: int
    overridden: bool = False


@dataclass(frozen=True)
class Section:
    """One `[section]`: its long name, line, entries (tuple of Entry), the name as written, and which of its name."""

    name: str
    line: int
    entries: tuple = ()
    written_name: str = ""
    number: int = 0     # 0 for the first section of this name, 1 for the second ...

    def entry(self, key):
        """The Entry of `key`, or None. Of duplicates the first holds, as in Darknet."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def get(self, key, default=None):
        """The text of `key`'s value, or `default`."""
        entry = self.entry(key)
        return default if entry is None else entry.value


@dataclass(frozen=True)
class Cfg:
    """A network file: where it came from, its sections, its text as read, and the warnings met so far."""

    path: str
    sections: tuple
    text: str
    warnings: list = field(default_factory=list)

    @property
    def net(self):
        """The [net] section."""
        return self.sections[0]

    @property
    def layers(self):
        """The sections after [net] (tuple of Section); layers[i] is Darknet's layer i."""
        return self.sections[1:]

    def warn(self, message):
        """Keep one warning line, once. Raises CfgError where they become too many to be those of a cfg."""
        if message not in self.warnings:
            self.warnings.append(message)
        check_warnings(self.path, self.warnings)


def check_warnings(path, warnings):
    """Raise CfgError where the list `warnings` of the file `path` is too long to be that of a cfg."""
    if len(warnings) > MOST_WARNINGS:
        raise CfgError(f"{path}: more than {MOST_WARNINGS:,} lines have no effect, so this is no cfg of ours; "
                       f"the first: {warnings[0]}")


def shown(text):
    """`text` as an error message shows it: its first characters only where it is too long to be meant."""
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}... ({len(text):,} characters)"


def place(cfg, section, key=None):
    """Where in the file, as "cfg/my.cfg:88 [region]": the line of `key` if the section has it, else the section's."""
    entry = section.entry(key) if key else None
    line = entry.line if entry else section.line
    return f"{cfg.path}:{line} [{section.written_name or section.name}]"


def error(cfg, section, message, key=None):
    """A CfgError (to be raised) that says "cfg/my.cfg:88 [region] `message`"."""
    return CfgError(f"{place(cfg, section, key)} {message}")


def likeness(word, other):
    """How alike two words are, 0 to 1, whatever their case; one too long to be a word is like none."""
    if max(len(word), len(other)) > LONGEST_WORD:
        return 0.0
    return difflib.SequenceMatcher(None, word.lower(), other.lower()).ratio()


def nearest(word, words, least=0.6):
    """The one of `words` most like `word`, or None if none is alike by `least`."""
    best = max(words, key=lambda other: likeness(word, other), default=None)
    return best if best is not None and likeness(word, best) >= least else None


def did_you_mean(word, words, prefix=""):
    """The end of an error's sentence: "; did you mean `nearest`?", or "." when nothing is near."""
    near = nearest(word, words)
    return f"; did you mean {prefix}{near}?" if near else "."
