"""The front door: exit codes, messages without tracebacks, help."""
import subprocess
import sys

import pytest

from minidarknet import cli
from minidarknet.errors import DataError, DivergedError, UsageError, WeightsError


@pytest.mark.parametrize("error, code", [(UsageError, 2), (DataError, 3), (WeightsError, 4), (DivergedError, 6),
                                         (ZeroDivisionError, 1)])
def test_exit_codes(error, code, capsys):
    def command(argv):
        raise error("what went wrong")
    assert cli.run(command, []) == code
    shown = capsys.readouterr().err
    assert "what went wrong" in shown and "Traceback" not in shown


def test_debug_shows_where(capsys):
    def command(argv):
        raise DataError("what went wrong")
    assert cli.run(command, ["--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_130(capsys):
    def command(argv):
        raise KeyboardInterrupt
    assert cli.run(command, []) == 130


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    assert cli.main([name, "--help"]) == 0
    assert name in capsys.readouterr().out


def test_front_page_lists_the_commands(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in cli.COMMANDS)


def test_unknown_command_is_usage(capsys):
    assert cli.main(["trian"]) == 2


def test_python_m_works():
    for module in ("minidarknet", "minidarknet.train", "minidarknet.check"):
        done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "usage" in done.stdout


@pytest.mark.parametrize("setting", ["batch=8", "net.batch", "net.batch="])
def test_a_setting_must_be_one(setting):
    parser = cli.command("x", "test")
    cli.add_set(parser)
    with pytest.raises(UsageError, match="SECTION.KEY=VALUE"):
        cli.overrides(parser.parse_args(["--set", setting]))
