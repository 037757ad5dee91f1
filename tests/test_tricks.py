"""README's table of the paper's tricks: every key, function, notebook, test and number in it is there."""
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

from minidarknet import Network, lessons
from minidarknet.layers import LAYERS
from minidarknet.lessons.notebook import LADDER
from minidarknet.netoptions import NetOptions

ROOT = Path(__file__).parents[1]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The tricks of the paper\n")[2].partition("\n## ")[0]
HEAD, _, *ROWS = [[cell.strip() for cell in line.strip("|").split("|")]
                  for line in SECTION.splitlines() if line.startswith("|")]
TRICKS = [dict(zip(HEAD, row, strict=True)) for row in ROWS]
GAINS = {name: after - before for (_, before), (name, after) in zip(LADDER, LADDER[1:])}

each = pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick["trick"])


def code(cell):
    """What stands in a cell between backquotes: list of str."""
    return re.findall("`([^`]+)`", cell)


def notebook(trick):
    path, = re.findall(r"\((notebooks/[^)]+)\)", trick["notebook"])
    return path


def numbers(text):
    return {float(number) for number in re.findall(r"\d*\.?\d+", text)}


def test_every_row_of_table_2_is_there_and_in_its_order():
    """Dimension priors and location prediction share a row of the paper's."""
    names = [name for joined in GAINS for name in re.split(r",\n", joined)]
    assert [trick["trick"] for trick in TRICKS] == names


@each
def test_the_papers_gain_is_that_of_its_ladder(trick):
    gain = next(gain for name, gain in GAINS.items() if trick["trick"] in name)
    assert trick["paper"].split()[0] == f"{gain:+.1f}"


@each
def test_yolov2_knows_the_key_and_builds_with_its_value(trick):
    key, _, value = code(trick["cfg"])[0].partition("=")
    section, _, name = key.partition(".")
    options = NetOptions if section == "net" else LAYERS[section].Options
    assert name in {field.name for field in fields(options)}
    if value:
        Network.from_cfg("cfg/yolov2-voc.cfg", initialise=False, overrides={key: value})


@each
def test_the_function_is_there(trick):
    one, = code(trick["function"])
    *parts, name = one.split(".")
    classes = [part for part in parts if part[0].isupper()]
    thing = import_module(".".join(["minidarknet", *parts[:len(parts) - len(classes)]]))
    for part in (*classes, name):
        thing = getattr(thing, part)
    assert callable(thing) and thing.__doc__


@each
def test_the_test_is_there(trick):
    file, _, name = code(trick["test"])[0].partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@each
def test_the_notebook_tells_it_with_an_exercise_and_measured_these_numbers(trick):
    path = notebook(trick)
    told = nbformat.read(ROOT / path, as_version=4)
    outputs = [output.get("text", "") for cell in told.cells for output in cell.get("outputs", [])]
    texts = outputs + [cell.source for cell in told.cells if cell.cell_type == "markdown"]
    assert numbers(trick["measured here"]) <= numbers("\n".join(texts))
    assert Path(path).name[:2] == re.match(r"\[(\d+)\]", trick["notebook"])[1] in lessons.lessons()
