"""The command parity: what it prints and when it says that a layer departs."""
import numpy as np
import pytest
from PIL import Image
from small import HEAD, TINY, small_network

from minidarknet import Network, cli, oracles, parity, weights
from minidarknet.errors import DataError


@pytest.fixture
def files(tmp_path):
    """cfg and weights of a detector with a passthrough, as words of a command line."""
    net = small_network()
    parity.draw(net, np.random.default_rng(3))
    (tmp_path / "net.cfg").write_text(net.cfg.text)
    weights.save(net, tmp_path / "net.weights")
    return [str(tmp_path / "net.cfg"), str(tmp_path / "net.weights")]


def run(*words):
    return cli.main(["parity", *map(str, words)])


def test_what_one_machine_saved_another_repeats(files, tmp_path, capsys):
    assert run(*files, "--save", tmp_path / "a.npz", "--seed", "4") == 0
    with np.load(tmp_path / "a.npz") as file:
        assert np.array_equal(file["x"], np.random.default_rng(4).random((3, 16, 16), np.float32))
    capsys.readouterr()
    assert run(*files, "--oracle", tmp_path / "a.npz", "--backend", "kernels") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 13 + 1 and lines[1].split()[:7] == ["0", "[convolutional]", *"16 x 16 x 6".split()]
    assert lines[-1].startswith("agrees: 13 of 13 layers compared, the largest difference is ")


def test_the_first_layer_that_departs_is_named(files, tmp_path, capsys):
    assert run(*files, "--save", tmp_path / "a.npz") == 0
    found = oracles.from_file(tmp_path / "a.npz")
    found["layer_6"][3, 1, 2] += 2e-4 * np.abs(found["layer_6"]).max()
    found["layer_9"][0, 0, 0] += 1
    oracles.save(tmp_path / "a.npz", found)
    capsys.readouterr()
    assert run(*files, "--oracle", tmp_path / "a.npz") == 1
    shown = capsys.readouterr().out
    assert "departs: layer 6 [reorg] is the first that differs by more than 0.0001 of its largest number" in shown
    assert shown.count(" departs\n") == 2 and "--strict-darknet-cpu computes as Darknet" in shown
    assert run(*files, "--oracle", tmp_path / "a.npz", "--tolerance", "1") == 0


def test_the_networks_output_alone_is_enough(files, tmp_path, capsys):
    """As in the golden files of Darknet: x and y. The size of x is the network's then."""
    net = Network.from_cfg(*files)
    net.resize((48, 32))
    x = np.random.default_rng(0).random((3, 32, 48), np.float32)
    y = oracles.outputs(net, x)["y"]
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert run(*files, "--oracle", tmp_path / "a.npz") == 0
    shown = capsys.readouterr().out
    assert "agrees: 1 of 13 layers" in shown and "12 [region]" in shown and "12 x 8 x 16" in shown
    y[5] += .1
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert run(*files, "--oracle", tmp_path / "a.npz") == 1
    assert "departs: layer 12 [region]" in capsys.readouterr().out


def test_strict_darknet_cpu_is_another_network(files, tmp_path):
    assert run(*files, "--save", tmp_path / "a.npz") == 0
    assert run(*files, "--oracle", tmp_path / "a.npz", "--tolerance", "1e-6") == 0
    assert run(*files, "--oracle", tmp_path / "a.npz", "--tolerance", "1e-6", "--strict-darknet-cpu") == 1


def test_oracles_get_the_users_file_and_the_picture(files, tmp_path, monkeypatch):
    """The very file that was named, not one that we wrote; but FILE:N is a part of it, which only we know."""
    asked = []

    def stand_in(net, x, file=None, library=None):
        asked.append((x, file, library))
        return oracles.outputs(net, x)
    Image.new("RGB", (16, 16), (255, 0, 51)).save(tmp_path / "a.png")
    monkeypatch.setattr(oracles, "darknet", stand_in)
    monkeypatch.setattr(oracles, "opencv", stand_in)
    assert run(*files, "--oracle", "darknet", "--library", "here.so", "--image", tmp_path / "a.png") == 0
    assert run(files[0], files[1] + ":3", "--oracle", "opencv") == 0
    assert run(files[0], "--oracle", "opencv") == 0
    assert [call[1:] for call in asked] == [(files[1], "here.so"), (None, None), (None, None)]
    np.testing.assert_allclose(asked[0][0].mean(axis=(1, 2)), (1, 0, .2), atol=1e-6)
    assert np.array_equal(asked[1][0], np.random.default_rng(0).random((3, 16, 16), np.float32))


def test_opencv_by_the_command(files, capsys):
    pytest.importorskip("cv2")
    assert run(*files, "--oracle", "opencv") == 0
    assert "(boxes)" in capsys.readouterr().out


@pytest.mark.parametrize("words, told", [
    ([], "--oracle darknet, opencv or FILE.npz"), (["--oracle", "drknet"], "drknet: No such file"),
    (["--oracle", "a.npz", "--seed", "1"], "brings its own"), (["--oracle", "a.npz"], "has 1 channels, but the network"),
    (["--oracle", "b.npz"], "y: we give 256 numbers, the oracle 3"),
    (["--oracle", "darknet", "--library", "nowhere.so"], "nowhere.so: cannot be loaded"),
    (["--oracle", "opencv", "--library", "nowhere.so"], "--library is for --oracle darknet")])
def test_refusals(words, told, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=np.zeros((1, 16, 16)), y=np.zeros(3))
    np.savez("b.npz", x=np.zeros((3, 16, 16)), y=np.zeros(3))
    assert run(*files, *words) in (2, 3)
    assert told in capsys.readouterr().err


def test_a_picture_has_three_channels(tmp_path, capsys):
    (tmp_path / "a.cfg").write_text(HEAD.replace("channels=3", "channels=1") + "[avgpool]\n[softmax]\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert run(tmp_path / "a.cfg", "--save", tmp_path / "a.npz", "--image", tmp_path / "a.png") == 2
    assert "--image gives 3 channels, but the network takes 1: use --seed" in capsys.readouterr().err


def test_drawn_networks_show_differences():
    """Statistics are not those of a new network, so that the epsilon of batch norm shows."""
    net = Network.from_string(TINY, seed=1)
    parity.draw(net, np.random.default_rng(1))
    assert net.layers[0].norm.rolling_variance.std() > .1 and net.layers[4].bias.std() > .05


def test_pictures_that_are_none(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match="a.jpg"):
        parity.picture(Network.from_string(TINY), tmp_path / "a.jpg", 0)
