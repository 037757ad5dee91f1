"""The README is part of the product: its paths exist, its commands are known, its code runs."""
import re
import shlex
from pathlib import Path

import pytest

from minidarknet import cli
from minidarknet import words as darknets

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_commands_are_there():
    assert "\npip install . && python -m minidarknet.train cfg/yolov2-tiny.cfg\n" in TEXT
    assert '\npip install ".[test]" && pytest\n' in TEXT


def test_nothing_is_left_to_fill_in():
    assert "@@" not in TEXT


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists(), target


LINES = sorted(set(re.findall(r"^(?:\$ )?((?:minidarknet|python -m minidarknet)\b.*)$", TEXT, re.M)))


@pytest.mark.parametrize("line", LINES)
def test_commands_can_be_parsed(line, monkeypatch, capsys):
    """Every command line in the README is understood by the command's own parser."""
    words = shlex.split(line.split(" > ")[0].split(" && ")[0])
    words = words[1:] if words[0] == "minidarknet" else [words[2].removeprefix("minidarknet.")] + words[3:]
    if darknets.spoken(words):
        return      # Darknet's own words: tests/test_words.py
    assert words[0] in cli.COMMANDS, line
    module = __import__(f"minidarknet.{cli.COMMANDS[words[0]][0]}", fromlist=["arguments"])
    module.arguments().parse_args(words[1:])


def test_every_command_and_exit_code_is_told():
    for name in cli.COMMANDS:
        assert f"`{name} " in TEXT or f"minidarknet {name}" in TEXT, name
    assert "130 interrupted" in TEXT


def test_rooms_are_told():
    from test_rooms import PACKAGE, first_part, modules
    named = set(re.findall(r"`([a-z_0-9]+)/?`", TEXT))
    for path in modules():
        if first_part(path) in ("kernels", "engine", "layers", "data"):
            assert first_part(path) in named
    assert PACKAGE.exists()
