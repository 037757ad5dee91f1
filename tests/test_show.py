"""`minidarknet cfg`: bundled texts to stdout, with changed values."""
import pytest

from minidarknet import cli, parser, paths, show
from minidarknet.network import Network


def run(capsys, *argv):
    code = cli.main(["cfg", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("name", ["yolov2-tiny", "cfg/yolov2-tiny.cfg", "voc.names", "voc.map"])
def test_the_text_as_it_is(capsys, name):
    assert run(capsys, name) == (0, paths.resolve(name).read_text(), "")


def test_without_a_name_it_lists(capsys):
    code, out, _ = run(capsys)
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == [f"cfg/{name}" for name in paths.bundled()]
    assert all(len(line) > 40 for line in out.splitlines() if ".cfg" in line)


def test_for_other_classes(capsys):
    code, out, _ = run(capsys, "yolov2-voc", "--classes", "3", "--set", "net.width=320", "net.height=320")
    net = Network(parser.parse(out), initialise=False)
    assert code == 0 and net.classes == 3 and net.layers[30].shape == (10, 10, 40)
    changed = [(a, b) for a, b in zip(out.split("\n"), show.text_of("yolov2-voc").split("\n"), strict=True) if a != b]
    assert changed == [("width=320", "width=416"), ("height=320", "height=416"), ("filters=40", "filters=125"),
                       ("classes=3", "classes=20")]


@pytest.mark.parametrize("argv, told", [
    (["yolov2-tinny"], "did you mean cfg/yolov2-tiny.cfg?"),
    (["voc.names", "--classes", "3"], "voc.names is no cfg: --classes and --set change cfgs only"),
    (["yolov2", "--set", "yolo.classes=3"], "has no [yolo]"),
    (["yolov2", "--classes", "0"], "whole number of at least 1"),
])
def test_wrong_input(capsys, argv, told):
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "") and told in err


def test_a_file_that_the_shell_emptied(capsys, tmp_path, monkeypatch):
    """`minidarknet cfg voc.names > voc.names`: the shell makes an empty file before we look for one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voc.names").write_text("")
    code, out, err = run(capsys, "voc.names")
    assert (code, out) == (2, "") and "ask for cfg/voc.names" in err
