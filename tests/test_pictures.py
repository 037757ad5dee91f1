"""data/pictures.py: every kind of file is read right or refused by name; letterbox and its way back are exact."""
from pathlib import Path

import naive_image as naive
import numpy as np
import pytest
from PIL import Image, ImageOps

from minidarknet.data import pictures
from minidarknet.errors import DataError

SHARED = Path(__file__).parents[2] / "shared"
COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 255], [0, 0, 0], [10, 100, 200]]], np.uint8)


@pytest.fixture
def photo():
    """A smooth 37 x 24 picture, for JPEG's sake."""
    y, x = np.mgrid[:24, :37]
    return np.stack([x * 6, y * 10, (x + y) * 4], -1).clip(0, 255).astype(np.uint8)


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode, palette=Image.Palette.ADAPTIVE) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("mode, suffix", [("RGB", "png"), ("RGB", "bmp"), ("RGB", "ppm"), ("RGB", "webp"),
                                          ("P", "png"), ("P", "gif"), ("RGBA", "png"), ("CMYK", "tif")])
def test_colour_pictures_of_every_mode(tmp_path, mode, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", COLOURS, mode, **options)
    got = pictures.read(path)
    assert got.dtype == np.uint8 and got.shape == (2, 3, 3) and got.flags.c_contiguous
    assert np.abs(got.astype(int) - COLOURS).max() <= (0 if mode != "CMYK" else 2)
    assert pictures.size(path) == (3, 2)


def test_cmyk_jpeg_keeps_its_colours(tmp_path, photo):
    path = saved(tmp_path / "a.jpg", photo, "CMYK", quality=95)
    assert np.abs(pictures.read(path).astype(int) - photo).mean() < 4


def test_alpha_is_dropped_not_blended(tmp_path):
    clear = np.dstack([COLOURS, np.zeros((2, 3), np.uint8)])
    assert np.array_equal(pictures.read(saved(tmp_path / "a.png", clear)), COLOURS)
    grey = np.dstack([COLOURS[:, :, 2], np.full((2, 3), 7, np.uint8)])
    got = pictures.read(saved(tmp_path / "b.png", grey))
    assert np.array_equal(got, COLOURS[:, :, [2, 2, 2]])
    palette = saved(tmp_path / "c.png", COLOURS, "P", transparency=bytes([0, 128, 255]))
    assert np.array_equal(pictures.read(palette), COLOURS)


def test_grey_and_one_bit(tmp_path):
    grey = COLOURS[:, :, 2]
    assert np.array_equal(pictures.read(saved(tmp_path / "a.png", grey)), np.dstack([grey] * 3))
    bit = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    got = pictures.read(saved(tmp_path / "b.png", bit, "1"))
    assert np.array_equal(got, np.dstack([bit] * 3))


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    deep = np.array([[0, 255, 256], [32768, 40000, 65535]], np.uint16)
    got = pictures.read(saved(tmp_path / f"a.{suffix}", deep))
    assert np.array_equal(got[:, :, 0], deep >> 8) and (got == got[:, :, :1]).all()


def test_float_tiff(tmp_path):
    got = pictures.read(saved(tmp_path / "a.tif", np.array([[0, .5, 1]], np.float32)))
    assert got[0, :, 0].tolist() == [0, 127, 255]
    got = pictures.read(saved(tmp_path / "b.tif", np.array([[0, 50, np.nan, 200]], np.float32)))
    assert got[0, :, 0].tolist() == [0, 50, 0, 200]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_exif_orientation_is_carried_out(tmp_path, photo, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a.{suffix}", photo, exif=exif)
    with Image.open(path) as image:
        want = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    got = pictures.read(path)
    assert np.array_equal(got, want)
    assert pictures.size(path) == got.shape[1::-1] == ((37, 24) if orientation < 5 else (24, 37))
    assert pictures.header(path)[1] == (orientation if suffix != "tif" else 1)  # pillow turns TIFFs itself


def test_nonsense_orientation_is_ignored(tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 77
    assert np.array_equal(pictures.read(saved(tmp_path / "a.png", photo, exif=exif)), photo)


def broken_files(folder, photo):
    """name -> (path, a word of the reason)."""
    whole = saved(folder / "whole.jpg", photo).read_bytes()
    png = saved(folder / "whole.png", photo).read_bytes()
    noise = bytearray(png)
    noise[60:70] = b"\x00" * 10
    contents = {"empty.jpg": (b"", "empty"), "cut.jpg": (whole[:len(whole) * 2 // 3], "cut off"),
                "cut.png": (png[:len(png) // 2], "cut off"), "head.jpg": (whole[:20], ""),
                "noise.png": (bytes(noise), ""),
                "page.jpg": (b"<!DOCTYPE html><html>404</html>", "web page"), "text.jpg": (b"hello", "not a picture"),
                "lfs.jpg": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
                "zeros.jpg": (bytes(5000), "not a picture")}
    for name, (data, word) in contents.items():
        (folder / name).write_bytes(data)
        yield name, (folder / name, word)
    yield "missing.jpg", (folder / "missing.jpg", "no such file")
    (folder / "folder.jpg").mkdir()
    yield "folder.jpg", (folder / "folder.jpg", "directory")


def test_broken_files_are_refused_by_name_and_reason(tmp_path, photo):
    for name, (path, word) in broken_files(tmp_path, photo):
        with pytest.raises(DataError) as caught:
            pictures.read(path)
        assert name in str(caught.value) and word in str(caught.value), str(caught.value)
        assert caught.value.exit_code == 3
        if name not in ("cut.jpg", "cut.png", "noise.png"):     # their headers are sound
            with pytest.raises(DataError, match=name):
                pictures.size(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [800, 100])
def test_decompression_bombs_are_refused(tmp_path, photo, monkeypatch, limit):
    path = saved(tmp_path / "a.png", photo)     # 888 pixels: above pillow's warning, then above its error
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match="refused"):
        pictures.read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert np.array_equal(pictures.read(path), photo)


def test_letterbox_places_as_darknet_does(photo):
    x, geometry = pictures.letterbox(photo, (40, 50))           # 37 x 24 -> 50 x 32, margins 4 and 4
    assert geometry == ((37, 24), (50, 40), (50, 32), (0, 4))
    assert x.shape == (40, 50, 3) and x.dtype == np.float32
    assert (x[:4] == .5).all() and (x[36:] == .5).all()
    assert np.allclose(x[4:36], naive.resize(photo / 255, 32, 50), atol=2e-6)
    tall, geometry = pictures.letterbox(photo.transpose(1, 0, 2), (33, 33))
    assert geometry.placed == (21, 33) and geometry.offset == (6, 0) and (tall[:, :6] == .5).all()


def test_letterbox_of_a_needle_keeps_at_least_one_pixel():
    x, geometry = pictures.letterbox(np.zeros((1, 1000, 3), np.uint8), (32, 32))
    assert geometry.placed == (32, 1) and (x == 0).sum() == 32 * 3
    x, geometry = pictures.letterbox(np.zeros((1000, 1, 3), np.uint8), (32, 32))
    assert geometry.placed == (1, 32)


def test_stretch_fills_everything(photo):
    x, geometry = pictures.fit(photo, (16, 20), "stretch")
    assert geometry == ((37, 24), (20, 16), (20, 16), (0, 0))
    assert np.allclose(x, naive.resize(photo / 255, 16, 20), atol=2e-6)


def test_undo_gives_darknets_numbers():
    geometry = pictures.letterbox(np.zeros((576, 768, 3), np.uint8), (416, 416))[1]
    x, y, w, h = 384, 134.4, 153.6, 76.8                        # spec, golden vector G4
    assert np.allclose(geometry.undo([[.5, .3, .2, .1]]), [[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], atol=1e-3)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize("picture", [(375, 500), (500, 333), (101, 37), (64, 64)])
def test_undo_takes_every_placed_pixel_back(picture, mode):
    _, geometry = pictures.fit(np.zeros((*picture, 3), np.uint8), (96, 128), mode)
    (w, h), (left, top) = geometry.placed, geometry.offset
    whole = [(left + w / 2) / 128, (top + h / 2) / 96, w / 128, h / 96]
    assert np.allclose(geometry.undo([whole]), [[0, 0, picture[1], picture[0]]])
    assert geometry.undo(np.empty((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the pictures and values that lie beside the project")
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(37, 24), (24, 37), (50, 50), (1, 300)])
def test_apply_then_undo_gives_the_box_back(size, mode, rng):
    geometry = pictures.placement(size, (41, 66), mode)
    boxes = rng.uniform(.1, .9, (20, 4))
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    np.testing.assert_allclose(geometry.undo(geometry.apply(boxes)), corners * np.tile(size, 2), atol=1e-9)
    whole = geometry.apply([[.5, .5, 1, 1]])[0]
    np.testing.assert_allclose((whole[:2] - whole[2:] / 2) * (66, 41), geometry.offset, atol=1e-9)
    np.testing.assert_allclose(whole[2:] * (66, 41), geometry.placed)


def test_letterbox_of_real_photographs_equals_the_real_darknets():
    seen = 0
    for file in sorted((SHARED / "data/reference/golden").glob("*.npz")):
        path = SHARED / "data/images" / (file.stem.split("__")[-1] + ".jpg")
        if path.exists():
            want = np.load(file)["x"].transpose(1, 2, 0)
            x, _ = pictures.letterbox(pictures.read(path), want.shape[:2])
            difference = np.abs(x - want)
            assert difference.max() < 8 / 255 and difference.mean() < .3 / 255, (file, difference.max())
            assert np.array_equal(x == .5, want == .5) or (x == want)[want == .5].mean() > .99
            seen += 1
    assert seen >= 10
