"""The front door: exit codes, messages without tracebacks, help."""
import importlib
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest

from minidarknet import cli, detect
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


@pytest.mark.parametrize("kind, text, value", [
    (cli.positive, "3", 3), (cli.natural, "0", 0), (cli.fraction, ".5", .5), (cli.fraction, "1", 1),
    (cli.size, "416", (416, 416)), (cli.size, "416x320", (416, 320))])
def test_values_that_are_understood(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize("kind, text", [
    (cli.positive, "0"), (cli.positive, "x"), (cli.positive, "1.5"), (cli.positive, ""), (cli.natural, "-1"),
    (cli.fraction, "nan"), (cli.fraction, "-0.1"), (cli.fraction, "1.1"), (cli.fraction, "x"), (cli.size, "416x"),
    (cli.size, "x416"), (cli.size, "0"), (cli.size, "4x1x6")])
def test_values_that_are_refused(kind, text):
    with pytest.raises(ArgumentTypeError, match="is not a"):
        kind(text)


def test_outputs_that_cannot_be_written_are_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    for kind, path in ((cli.output, tmp_path), (cli.output, tmp_path / "file/x"), (cli.folder, tmp_path / "file")):
        with pytest.raises(ArgumentTypeError, match="expected a"):
            kind(str(path))
    assert cli.output(str(tmp_path / "new/x")) and cli.folder(str(tmp_path / "new/er"))
    assert not (tmp_path / "new").exists()


def test_system_errors_name_the_file(capsys):
    def command(argv):
        open("/nowhere/at/all")
    assert cli.run(command, []) == 1
    assert capsys.readouterr().err.startswith("error: /nowhere/at/all: No such file")


def test_long_lists_of_problems_are_cut(capsys):
    cli.warn([f"problem {n}" for n in range(12)])
    shown = capsys.readouterr().err
    assert shown.count("warning: problem") == 10 and "and 2 more" in shown


def test_commands_compute_in_the_threading_layer_that_kernels_choose():
    """Numba decides when its threads start, which `use_threads` makes happen: kernels must have chosen before."""
    code = ("from minidarknet import cli; cli.use_threads(); import numba; from minidarknet.kernels import _jit\n"
            "try: import numba.np.ufunc.omppool\nexcept ImportError: print('omp')\nelse: print(numba.threading_layer())")
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_THREADING_LAYER"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
    assert done.stdout.strip() == "omp", done.stderr


NETWORK = """
import threading, numba, numpy as np
from minidarknet import Network, cli
from small import TINY
print(cli.use_threads())
x = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
one, two = Network.from_string(TINY), Network.from_string(TINY)
expected = one.predict(x)
threads = [threading.Thread(target=lambda net=net: [net.predict(x) for _ in range(20)]) for net in (one, two)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert np.array_equal(one.predict(x), expected) and np.array_equal(two.predict(x), expected)
print(numba.threading_layer())
"""


@pytest.mark.parametrize("hidden, environment", [(True, {}), (False, {"NUMBA_THREADING_LAYER": "workqueue"})])
def test_other_threading_layers(hidden, environment):
    """Where Numba has no OpenMP its other layers work, two networks at once too, which workqueue does not survive."""
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_THREADING_LAYER"}
    tests = Path(__file__).parent
    env.update(NUMBA_NUM_THREADS="2", PYTHONPATH=os.pathsep.join((str(tests.parent), str(tests))), **environment)
    hide = "import sys; sys.modules['numba.np.ufunc.omppool'] = None\n" if hidden else ""
    done = subprocess.run([sys.executable, "-c", hide + NETWORK], capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    threads, layer = done.stdout.split()
    assert threads == "2" and layer in ({"tbb", "workqueue"} if hidden else {"workqueue"})


def test_the_user_decides_how_many_threads():
    code = ("from minidarknet import cli; import numba\n"
            "print(cli.use_threads(), cli.use_threads(2), cli.use_threads(9), numba.get_num_threads())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "NUMBA_NUM_THREADS": "3"})
    assert done.stdout.split() == ["3", "2", "3", "3"], done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
@pytest.mark.parametrize("seconds", [.15, .4, .8])
def test_ctrl_c_while_starting(seconds, tmp_path):
    """Whatever is being imported: one line, no traceback."""
    code = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests\n"
            "from minidarknet import cli; print(1, flush=True); sys.exit(cli.main(sys.argv[1:]))")
    process = subprocess.Popen([sys.executable, "-c", code, "warmup"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "MINIDARKNET_CACHE": str(tmp_path)})
    assert process.stdout.readline() == "1\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "interrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize("option, expected", [
    ([], {"fused": None, "strict_darknet_cpu": False}), (["--no-fuse"], {"fused": False, "strict_darknet_cpu": False}),
    (["--strict-darknet-cpu"], {"fused": None, "strict_darknet_cpu": True})])
@pytest.mark.parametrize("name, words", [("train", ["a.cfg"]), ("detect", ["a.cfg", "a.weights", "a.jpg"]),
                                         ("evaluate", ["a.cfg", "a.weights", "--data", "a"]), ("bench", ["a.cfg"]),
                                         ("warmup", [])])
def test_modes(name, words, option, expected):
    command = importlib.import_module(f"minidarknet.{name}")
    assert cli.modes(command.arguments().parse_args([*words, *option])) == expected


def test_strict_darknet_cpu_reaches_the_network(tmp_path, drawn, tiny_cfg):
    """A trained net scores the same classes another way: its batch norm divides by another number."""
    out = tmp_path / "run"
    words = [tiny_cfg, "--data", drawn, "--out", out, "--max-batches", "3", "--strict-darknet-cpu"]
    assert cli.main(["train", *map(str, words)]) == 0
    found = {}
    for option in ([], ["--strict-darknet-cpu"]):
        args = detect.arguments().parse_args([str(out / "model.cfg"), str(out / "weights/last.weights"), "a.jpg", *option])
        net = detect.load_network(args)
        found[net.strict] = net.predict(np.full((1, *net.input.shape), .5, np.float32))
    assert np.abs(found[True] - found[False]).max() > 0
