"""Darknet's cfg files: text -> sections with line numbers -> typed options, and back with changed values.

    cfg = read("cfg/yolov2-tiny.cfg")
    cfg = override(cfg, {"net.batch": 8, "region.thresh": 0.5})
    options = typed(cfg, cfg.net, NetOptions)

The grammar is Darknet's (src/parser.c, src/utils.c, src/option_list.c): spaces mean nothing anywhere, # and ; begin
comment lines, of two equal keys the first holds. Carriage returns are dropped as well, as AlexeyAB's Darknet does.
"""
import codecs
import dataclasses
import difflib
import re
from pathlib import Path

from minidarknet.errors import CfgError, UsageError
from minidarknet.files import replacing
from minidarknet.grammar import ALIASES, SECTIONS, Cfg, Entry, Section, did_you_mean, error, place
from minidarknet.netoptions import keep_mini_batch
from minidarknet.options import convert, typed
from minidarknet.paths import resolve

__all__ = ["Cfg", "Entry", "Section", "error", "override", "parse", "place", "read", "render", "require_supported",
           "settings", "typed", "with_classes", "write_back"]

SETTING = re.compile(r"(\w+)(?:\[(-?\d+)\])?\.(\w+)", re.ASCII)
VALUE_IN_LINE = re.compile(r"(\s*[^=]*=\s*)([^#]*?)(\s*(?:#.*)?)")
DETECTORS = ("region", "yolo")  # the heads that find boxes
# Layers between the last convolution and a head that leave the number of channels as it is.
SAME_CHANNELS = ("activation", "avgpool", "batchnorm", "dropout", "maxpool")


def read(path):
    """The Cfg in the file `path` (str or Path: a file, or a bundled name such as "cfg/yolov2-tiny.cfg").

    Raises CfgError when there is no such file or it is not a cfg.
    """
    file = resolve(path)
    try:
        data = file.read_bytes()
    except OSError as problem:
        raise CfgError(f"{path}: cannot be read: {problem.strerror}") from None
    if b"\0" in data:
        raise CfgError(f"{path}: this is not text; expected a cfg file (were CFG and WEIGHTS swapped?)")
    return parse(data.decode(_encoding(data)), str(file))


def _encoding(data):
    """The encoding of a cfg's bytes: UTF-8 with or without its mark, else Latin-1 (keys and values are ASCII)."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"    # comments of another age
    return "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"


def parse(text, path="<string>"):
    """The Cfg in `text`; `path` names it in messages.

    Raises CfgError for text that is no cfg and for sections that no Darknet knows.
    """
    sections, entries, warnings, seen = [], [], [], {}
    if text.lstrip()[:1] == "<":
        raise CfgError(f"{path}: this looks like a web page, not a cfg; was the download link wrong?")
    for number, raw in enumerate(text.split("\n"), 1):
        line = "".join(raw.split())
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            section = _section(line, number, path, seen, bool(sections))
            entries = []
            sections.append((section, entries))
        elif not sections:
            raise CfgError(f"{path}:{number} '{line}' stands before the first section; a cfg begins with [net]")
        else:
            entry = _entry(line, number, sections[-1][0], entries, path, warnings)
            if entry:
                entries.append(entry)
    if not sections:
        raise CfgError(f"{path}: no sections; a cfg begins with [net] and has one [section] for each layer")
    if len(sections) == 1:
        raise CfgError(f"{path}: [net] alone makes no network; expected sections such as [convolutional] after it")
    return Cfg(path, tuple(dataclasses.replace(s, entries=tuple(e)) for s, e in sections), text, warnings)


def _section(line, number, path, seen, later):
    """The Section that `line` opens. seen: name -> how often so far; later: whether it is not the first."""
    name, bracket, rest = line[1:].partition("]")
    where = f"{path}:{number}"
    if not bracket:
        raise CfgError(f"{where} '{line}' has no closing ]")
    if rest:
        raise CfgError(f"{where} '{rest}' follows [{name}]; put it on a line of its own")
    canonical = ALIASES.get(name, name)
    if canonical not in SECTIONS or name == "gaussian_yolo":
        known = [*(s for s in SECTIONS if s != "gaussian_yolo"), *ALIASES]
        raise CfgError(f"{where} unknown section [{name}]{did_you_mean(name, known)}")
    if not later and canonical != "net":
        raise CfgError(f"{where} the first section is [{name}]; expected [net]")
    if later and canonical == "net":
        raise CfgError(f"{where} a second [{name}]; expected one, at the top: join the two")
    seen[canonical] = seen.get(canonical, -1) + 1
    return Section(canonical, number, (), name, seen[canonical])


def _entry(line, number, section, entries, path, warnings):
    """The Entry in `line`, or None with a warning where Darknet drops the line."""
    where = f"{path}:{number} [{section.written_name}]"
    key, equals, value = line.partition("=")
    if not (equals and key and value):
        missing = "value" if key and equals else "key" if equals else "'='"
        warnings.append(f"{where} '{line}' has no {missing}: the line has no effect")
        return None
    first = next((e for e in entries if e.key == key), None)
    if first and first.value != value:
        warnings.append(f"{where} {key} is given twice: {key}={first.value} of line {first.line} holds, as in Darknet")
    return Entry(key, value, number)


def require_supported(cfg, names):
    """Raise CfgError if the cfg has a layer section that is not among `names` (long names)."""
    for section in cfg.layers:
        if section.name not in names:
            raise error(cfg, section, "this section of Darknet's is not supported yet; "
                        f"supported: {', '.join(sorted(names))}")


def settings(arguments):
    """["SECTION.KEY=VALUE", ...] as --set gives them -> {"SECTION.KEY": "VALUE"}; of equals the last holds.

    Raises UsageError.
    """
    pairs = {}
    for argument in arguments or ():
        name, equals, value = argument.partition("=")
        if not (equals and value.strip() and SETTING.fullmatch(name.strip())):
            raise UsageError(f"--set {argument}: expected SECTION.KEY=VALUE, such as net.batch=8 "
                             "or convolutional[-1].filters=40")
        pairs[name.strip()] = value
    return pairs


def override(cfg, values):
    """A Cfg with other values: {"net.batch": 8, "region.classes": 3, "convolutional[-1].filters": 40, ...}.

    An index counts the sections of that name from 0, or from the end below 0; without one all of that name are meant.
    Values: str, number, or a sequence of numbers for lists. Whether a section has such a key `typed` decides.
    net.batch without net.subdivisions keeps the mini-batch (see keep_mini_batch); a line in cfg.warnings says so.

    Raises CfgError for a section that the cfg does not have.
    """
    sections, warnings = list(cfg.sections), list(cfg.warnings)
    values, line = keep_mini_batch(cfg, values)
    if line:
        warnings.append(line)
    for name, value in values.items():
        for i, key in _targets(cfg, name):
            sections[i] = _with(sections[i], key, _text(value, name))
    return dataclasses.replace(cfg, sections=tuple(sections), warnings=warnings)


def _targets(cfg, name):
    """[(index in cfg.sections, key)] that the setting `name` means."""
    match = SETTING.fullmatch(name)
    if not match:
        raise CfgError(f"'{name}' names no option: expected SECTION.KEY, such as net.batch or region[-1].thresh")
    word, index, key = match.groups()
    kind = ALIASES.get(word, word)
    indices = [i for i, section in enumerate(cfg.sections) if section.name == kind]
    if not indices:
        present = list(dict.fromkeys(section.name for section in cfg.sections))
        raise CfgError(f"'{name}': {cfg.path} has no [{word}]{did_you_mean(word, present)} It has {', '.join(present)}")
    if index is None:
        return [(i, key) for i in indices]
    if not -len(indices) <= int(index) < len(indices):
        raise CfgError(f"'{name}': {cfg.path} has {len(indices)} [{kind}]; expected an index from 0 to "
                       f"{len(indices) - 1}, or from -1 down to -{len(indices)}")
    return [(indices[int(index)], key)]


def _text(value, name):
    """A value as cfg text."""
    if isinstance(value, bool):
        value = int(value)
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        value = ",".join(map(str, value))
    text = "".join(str(value).split())
    if not text:
        raise CfgError(f"'{name}' is set to nothing; expected a value")
    return text


def _with(section, key, value):
    """The section with `key` set to `value`; a new key counts as standing on the section's own line."""
    old = section.entry(key)
    new = Entry(key, value, old.line if old else section.line, overridden=True)
    entries = tuple(new if e is old else e for e in section.entries) if old else (*section.entries, new)
    return dataclasses.replace(section, entries=entries)


def render(cfg):
    """The cfg as text with its overridden values in place: comments stay, new keys follow their section's last."""
    lines = cfg.text.replace("\r", "").split("\n")
    added = {}
    for old, new in zip(parse(cfg.text, cfg.path).sections, cfg.sections):
        end = max([old.line, *(entry.line for entry in old.entries)])
        for entry in new.entries:
            if entry.overridden and old.entry(entry.key):
                head, _, comment = VALUE_IN_LINE.fullmatch(lines[entry.line - 1]).groups()
                lines[entry.line - 1] = head + entry.value + comment
            elif entry.overridden:
                added.setdefault(end, []).append(f"{entry.key}={entry.value}")
    return "\n".join(text for number, line in enumerate(lines, 1) for text in (line, *added.get(number, ())))


def write_back(cfg):
    """Put the overridden values of `cfg` into the file it was read from, in one piece; all other lines stay.

    Encoding and line ends stay, too. Returns the lines that changed: [(line number, old, new)], str or None where a
    line is new. Raises OSError.
    """
    data, before, after = Path(cfg.path).read_bytes(), cfg.text.replace("\r", ""), render(cfg)
    with replacing(cfg.path) as file:
        file.write((after.replace("\n", "\r\n") if b"\r\n" in data else after).encode(_encoding(data)))
    return _changes(before.split("\n"), after.split("\n"))


def _changes(before, after):
    """[(line number, old line or None, new line)] where two lists of lines differ."""
    found = []
    for kind, i, j, m, n in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            old = [*before[i:j], *[None] * (n - m)]
            found += [(m + k + 1, old[k], new) for k, new in enumerate(after[m:n])]
    return found


def _count(cfg, section, key, default):
    """The whole number that `key` holds in the section. Raises CfgError."""
    try:
        return convert(section.get(key, str(default)), int)
    except ValueError:
        raise error(cfg, section, f"{key}={section.get(key)}: expected a whole number", key) from None


def with_classes(cfg, classes):
    """A Cfg whose heads tell `classes` (int) classes apart: their `classes` and the filters that feed each of them.

        region: filters = num * (coords + 1 + classes)        softmax: filters = classes
        yolo: filters = len(mask) * (4 + 1 + classes)

    Raises CfgError when there is no head, or no convolution before it to change.
    """
    values = {}
    for i, head in enumerate(cfg.layers):
        if head.name not in (*DETECTORS, "softmax"):
            continue
        j = i - 1
        while j >= 0 and cfg.layers[j].name in SAME_CHANNELS:
            j -= 1
        if j < 0 or cfg.layers[j].name != "convolutional":
            raise error(cfg, head, f"cannot be fitted to {classes} classes: expected a [convolutional] before it")
        filters = classes
        if head.name in DETECTORS:
            values[f"{head.name}[{head.number}].classes"] = classes
            mask = head.get("mask") if head.name == "yolo" else None
            anchors = mask.count(",") + 1 if mask else _count(cfg, head, "num", 1)
            filters = anchors * (_count(cfg, head, "coords", 4) + 1 + classes)
        values[f"convolutional[{cfg.layers[j].number}].filters"] = filters
    if not values:
        raise CfgError(f"{cfg.path}: has no head to fit to {classes} classes; expected a [region], [yolo] or "
                       "[softmax] section")
    return override(cfg, values)
