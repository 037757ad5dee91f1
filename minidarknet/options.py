"""From the text of a section to typed options.

An Options class is a frozen dataclass whose fields are the section's keys, typed int, float, str, tuple[int, ...] or
tuple[float, ...]. Class attributes, gathered over the class and its bases, say what else is known:

    REQUIRED       keys that must be given
    IGNORED        keys that Darknet knows and that change nothing here: accepted silently
    LATER          keys that minidarknet does not support yet. A tuple, where the value 0 (switched off) is accepted,
                   or a dict key -> the value that changes nothing
    WITHOUT        keys of training that minidarknet does not support yet and that a trained network does not need: unless
                   the value is 0, a warning
    CHOICES        key -> the allowed values
    LATER_CHOICES  key -> values that Darknet knows and minidarknet does not support yet
    MINIMUM        key -> the smallest allowed value
    MAXIMUM        key -> the largest allowed value
    problem(self)  method: (key or None, message) when the values do not go together, else None

A field whose key is a Python keyword ends in an underscore (`from_` for `from`).
"""
import dataclasses
import re
import sys
import typing

from minidarknet.grammar import did_you_mean, error, likeness, nearest, place, shown

WHOLE = re.compile(r"[+-]?[0-9]+")
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MISSPELT = 0.8      # a key this much like a known one is taken for a slip, not for an unknown key

LARGEST = {int: 2 ** 31 - 1, float: sys.float_info.max}  # Darknet's whole numbers have 32 bits
EXPECTED = {
    int: "a whole number",
    float: "a number",
    tuple[int, ...]: "whole numbers with commas between them",
    tuple[float, ...]: "numbers with commas between them",
}


def _number(text, kind):
    """`text` as int or float. Raises ValueError. (Darknet's atoi reads 1e3 as 1 and junk as 0.)"""
    if not (WHOLE if kind is int else REAL).fullmatch(text):
        raise ValueError(text)
    value = kind(text)
    if abs(value) > LARGEST[kind]:
        raise ValueError(text)
    return value


def convert(text, kind):
    """The value of `text` as `kind` (one of the five field types); after a number, "# ..." is a comment.

    Raises ValueError.
    """
    if kind is str:
        return text
    text = text.partition("#")[0]
    if kind in (int, float):
        return _number(text, kind)
    return tuple(_number(item, typing.get_args(kind)[0]) for item in text.split(","))


def _gathered(Options, attribute):
    """The union of a class attribute (tuple or dict) over Options and its bases, as a dict."""
    union = {}
    for base in reversed(Options.__mro__):
        given = vars(base).get(attribute, ())
        union.update(given if isinstance(given, dict) else dict.fromkeys(given))
    return union


def _switched_off(text, harmless):
    """Whether the value of a key for later asks for nothing: it is `harmless`, or 0 where that is None."""
    try:
        return convert(text, float) == float(harmless or 0)
    except ValueError:
        return text == harmless


def _told(entry):
    """The entry as error messages show it."""
    return f"{shown(entry.key)}={shown(entry.value)}" + (" (overridden)" if entry.overridden else "")


def _unknown(cfg, section, entry, known):
    """Raise for a key that looks misspelt or that the user set on purpose; else warn, as Darknet does."""
    near = nearest(entry.key, known, 0)
    if entry.overridden or (near and likeness(entry.key, near) >= MISSPELT):
        raise error(cfg, section, f"{_told(entry)}: there is no key '{shown(entry.key)}' in [{section.name}]"
                    f"{did_you_mean(entry.key, known)}", entry.key)
    cfg.warn(f"{place(cfg, section, entry.key)} unknown key '{shown(entry.key)}' has no effect")


def _value(cfg, section, entry, kind, choices, later_choices, minimum, maximum):
    """The typed value of one entry. Raises CfgError."""
    try:
        value = convert(entry.value, kind)
    except ValueError:
        comma = ", without an empty one" if ",," in f",{entry.value}," and "," in entry.value else ""
        large = " of at most 32 bits" if kind is int and len(entry.value) > 9 else ""
        raise error(cfg, section, f"{_told(entry)}: expected {EXPECTED[kind]}{comma}{large}", entry.key) from None
    if later_choices and value in later_choices:
        raise error(cfg, section, f"{_told(entry)} is not supported yet; supported: {_listed(choices)}", entry.key)
    if choices and value not in choices:
        word = str(value).partition("#")[0]
        if word in choices:
            raise error(cfg, section, f"{_told(entry)}: Darknet has no comments after a word; put "
                        f"'#{entry.value.partition('#')[2]}' on a line of its own", entry.key)
        raise error(cfg, section, f"{_told(entry)}: expected one of {_listed(choices)}"
                    f"{did_you_mean(str(value), list(map(str, choices)))}", entry.key)
    if minimum is not None and any(v < minimum for v in (value if isinstance(value, tuple) else (value,))):
        raise error(cfg, section, f"{_told(entry)}: expected at least {minimum}", entry.key)
    if maximum is not None and value > maximum:
        raise error(cfg, section, f"{_told(entry)}: expected at most {maximum:,}", entry.key)
    return value


def _listed(choices):
    return ", ".join(map(str, choices or ()))


def typed(cfg, section, Options):
    """The section's values as an instance of Options (see the module's text); absent keys keep their defaults.

    Unknown keys become lines in cfg.warnings.

    Raises CfgError for a wrong type or value, a missing key, a key that looks misspelt, and for what is not
    supported yet.
    """
    kinds = typing.get_type_hints(Options)
    fields = {f.name.rstrip("_"): f for f in dataclasses.fields(Options)}
    ignored, later, without = (_gathered(Options, name) for name in ("IGNORED", "LATER", "WITHOUT"))
    choices, later_choices = _gathered(Options, "CHOICES"), _gathered(Options, "LATER_CHOICES")
    minimum, maximum = _gathered(Options, "MINIMUM"), _gathered(Options, "MAXIMUM")
    values = {}
    first = {}  # of duplicates the first one holds, and the parser has warned
    for entry in section.entries:
        first.setdefault(entry.key, entry)
    for entry in first.values():
        if entry.key in fields:
            f = fields[entry.key]
            values[f.name] = _value(cfg, section, entry, kinds[f.name], choices.get(entry.key),
                                    later_choices.get(entry.key), minimum.get(entry.key), maximum.get(entry.key))
        elif entry.key in later:
            if not _switched_off(entry.value, later[entry.key]):
                raise error(cfg, section, f"{_told(entry)} is not supported yet; without that line the rest works",
                            entry.key)
        elif entry.key in without:
            if not _switched_off(entry.value, None):
                cfg.warn(f"{place(cfg, section, entry.key)} {_told(entry)} is not supported yet: training goes without it")
        elif entry.key not in ignored:
            _unknown(cfg, section, entry, [*fields, *ignored, *later, *without])
    for key, f in fields.items():
        must = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if f.name not in values and (must or key in _gathered(Options, "REQUIRED")):
            raise error(cfg, section, f"has no {key}=; expected {EXPECTED.get(kinds[f.name], 'a word')}")
    options = Options(**values)
    problem = options.problem() if hasattr(options, "problem") else None
    if problem:
        key, message = problem
        raise error(cfg, section, message, key)
    return options
