"""Finding bundled files and the cache folder."""
from pathlib import Path

import pytest

from minidarknet import paths
from minidarknet.errors import CfgError


def test_what_is_bundled():
    names = paths.bundled()
    assert {"yolov2-tiny.cfg", "yolov2-nano.cfg", "voc.names", "coco.names"} <= set(names)
    assert list(names) == sorted(names)


@pytest.mark.parametrize("name", ["cfg/yolov2-tiny.cfg", "yolov2-tiny.cfg", "yolov2-tiny", "cfg/yolov2-tiny",
                                  "./cfg/yolov2-tiny.cfg", "minidarknet/cfg/yolov2-tiny.cfg",
                                  Path("cfg/yolov2-tiny.cfg")])
def test_bundled_files_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.resolve(name) == paths.BUNDLED / "yolov2-tiny.cfg"


def test_a_file_that_is_there_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Path("cfg/yolov2-tiny.cfg")
    own.parent.mkdir()
    own.write_text("[net]")
    assert paths.resolve("cfg/yolov2-tiny.cfg") == own
    assert paths.resolve(own.absolute()) == own.absolute()


def test_other_folders_are_not_replaced_by_the_bundle():
    with pytest.raises(CfgError, match="my/yolov2-tiny.cfg: no such file.*did you mean cfg/yolov2-tiny.cfg"):
        paths.resolve("my/yolov2-tiny.cfg")


def test_the_error_lists_what_is_bundled(tmp_path):
    with pytest.raises(CfgError) as caught:
        paths.resolve("cfg/yolov2-tinny.cfg")
    assert "did you mean cfg/yolov2-tiny.cfg?" in str(caught.value)
    assert all(f"cfg/{name}" in str(caught.value) for name in paths.bundled() if name.endswith(".cfg"))
    with pytest.raises(CfgError, match="did you mean cfg/coco.names"):
        paths.resolve("cocco.names")
    with pytest.raises(CfgError, match="is a folder"):
        paths.resolve(tmp_path)


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDARKNET_CACHE", str(tmp_path / "own"))
    assert paths.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("MINIDARKNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.cache_folder() == tmp_path / "minidarknet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")    # to be ignored, says the standard
    assert paths.cache_folder() == Path.home() / ".cache" / "minidarknet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert paths.cache_folder() == Path.home() / ".cache" / "minidarknet"
