"""The built-in sample set: what it promises about its pictures and boxes, and that it is written safely."""
import multiprocessing
import os
import time
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from minidarknet.data import drawing, sample
from minidarknet.errors import DataError


@pytest.fixture(scope="module")
def drawn():
    return [drawing.draw_picture(number) for number in range(1, 61)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and a set small enough to be drawn in a test."""
    monkeypatch.setenv("MINIDARKNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sample, "TRAIN", 4)
    monkeypatch.setattr(sample, "VAL", 2)
    monkeypatch.setattr(sample.write_sample, "__defaults__", (4, 2, 0))
    return tmp_path / "cache"


def iou(a, b):
    """IoU of two pixel boxes, from sets of pixels."""
    pixels = [{(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)} for box in (a, b)]
    return len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])


def test_names_are_the_leaves_of_the_tree_in_sorted_order():
    from minidarknet import paths
    assert len(drawing.NAMES) == len(set(drawing.NAMES)) == 12
    assert list(drawing.NAMES) == sorted(drawing.NAMES)
    assert paths.resolve("sample.names").read_text().split() == list(drawing.NAMES)
    assert not set(drawing.TREE) & set(drawing.NAMES)


def test_a_picture_depends_on_its_number_and_the_seed_alone():
    first, items = drawing.draw_picture(7)
    drawing.draw_picture(3)
    again, items_again = drawing.draw_picture(7)
    assert first.tobytes() == again.tobytes()
    assert [item[:3] for item in items] == [item[:3] for item in items_again]
    assert drawing.draw_picture(8)[0].tobytes() != first.tobytes()
    assert drawing.draw_picture(7, seed=1)[0].tobytes() != first.tobytes()


def test_annotations_are_the_same_everywhere():
    """Recorded once: with another version of numpy or pillow it must not move (a new VERSION records anew)."""
    text = repr([(item.name, item.box_px) for number in range(1, 21)
                 for item in drawing.lay_out(np.random.Generator(np.random.Philox(key=[0, number])))[1]])
    assert zlib.crc32(text.encode()) == 2294599692


def test_promises_about_objects(drawn):
    overlapping = total = 0
    for picture, items in drawn:
        assert 1 <= len(items) <= 6
        for item in items:
            x0, y0, x1, y1 = item.box_px
            assert 1 <= x0 < x1 <= picture.width and 1 <= y0 < y1 <= picture.height
            for share in ((x1 - x0 + 1) / picture.width, (y1 - y0 + 1) / picture.height):
                assert 0.08 <= share <= 0.60
            others = [other for other in items if other is not item]
            overlapping += any(iou(item.box_px, other.box_px) > 0.02 for other in others)
            total += 1
    assert 0.25 <= overlapping / total <= 0.60
    assert {item.name for _, items in drawn for item in items} == set(drawing.NAMES)


def test_boxes_are_tight(drawn):
    for _, items in drawn:
        for item in items:
            x0, y0, x1, y1 = item.box_px
            assert item.cover.shape == (y1 - y0 + 1, x1 - x0 + 1)
            solid = item.cover >= drawing.SOLID
            assert solid[0].any() and solid[-1].any() and solid[:, 0].any() and solid[:, -1].any()


def test_every_object_stays_recognisable(drawn):
    for picture, items in drawn:
        top = np.zeros((picture.height, picture.width), int)
        for i, item in enumerate(items, 1):
            top[item.where][item.cover >= drawing.SOLID] = i
        for i, item in enumerate(items, 1):
            assert (top == i).sum() >= drawing.LEAST_VISIBLE * (item.cover >= drawing.SOLID).sum()


def test_objects_stand_out_from_their_surroundings(drawn):
    """The pixels of an object differ from those just around it (median colours, 0..255)."""
    steps = []
    for picture, items in drawn:
        if len(items) == 1:
            pixels = np.asarray(picture, float)
            solid = items[0].cover > 0.99
            box = pixels[items[0].where]
            around = box[items[0].cover == 0]
            if len(around) > 20:
                steps.append(np.linalg.norm(np.median(box[solid], 0) - np.median(around, 0)))
    assert len(steps) >= 3 and min(steps) > 40


@pytest.mark.parametrize("name", drawing.NAMES)
def test_a_class_is_one_shape(name):
    """The filled share of the circle around the shape varies little within a class."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(12):
        points = drawing._OUTLINES[name](rng)
        around = np.linalg.norm(np.concatenate(points), axis=1).max()
        cover = drawing.rasterise([(outline / around + 1) * 40 for outline in points])
        shares.append(cover.sum() / (np.pi * 40 ** 2))
    assert np.ptp(shares) < 0.25


def test_rasterise_measures_area():
    square = np.array([[1, 1], [5, 1], [5, 5], [1, 5]], float)
    assert drawing.rasterise([square]).sum() == 16
    hole = np.array([[2, 2], [4, 2], [4, 4], [2, 4]], float)
    filled = drawing.rasterise([square, hole])
    assert filled.sum() == 12 and filled[2, 2] == 0 and filled[1, 1] == 1
    half = drawing.rasterise([np.array([[0, 0], [8.3, 0], [0, 8.1]])])
    assert half.sum() == pytest.approx(8.3 * 8.1 / 2, abs=0.3) and 0 < half[3, 4] < 1


def test_written_as_voc_writes_it(tmp_path):
    folder = sample.write_sample(tmp_path / "set", train=3, val=2)
    lists = {name: (folder / "ImageSets/Main" / f"{name}.txt").read_text().split()
             for name in ("train", "val", "trainval")}
    assert lists["train"] == ["000001", "000002", "000003"] and lists["val"] == ["000004", "000005"]
    assert lists["trainval"] == lists["train"] + lists["val"]
    for name in lists["trainval"]:
        root = ElementTree.parse(folder / "Annotations" / f"{name}.xml").getroot()
        with Image.open(folder / "JPEGImages" / root.findtext("filename")) as picture:
            assert picture.mode == "RGB"
            assert picture.size == (int(root.findtext("size/width")), int(root.findtext("size/height")))
        _, items = drawing.draw_picture(int(name))
        found = [(node.findtext("name"), tuple(int(node.findtext(f"bndbox/{key}"))
                                               for key in ("xmin", "ymin", "xmax", "ymax")))
                 for node in root.iter("object")]
        assert found == [(item.name, item.box_px) for item in items]
        assert {node.findtext("difficult") for node in root.iter("object")} == {"0"}


def test_ensure_draws_once(cache):
    folder = sample.ensure_sample()
    assert folder == cache / sample.VERSION and len(list((folder / "JPEGImages").iterdir())) == 6
    before = (folder / "JPEGImages" / "000001.jpg").stat().st_mtime_ns
    assert sample.ensure_sample() == folder
    assert (folder / "JPEGImages" / "000001.jpg").stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == [sample.VERSION]


def test_an_interrupted_build_leaves_nothing(cache, monkeypatch):
    def interrupted(number, seed):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(sample, "draw_picture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sample.ensure_sample()
    assert list(cache.iterdir()) == []
    killed = cache / f"{sample.VERSION}.building-abc"  # as kill -9 would leave it
    killed.mkdir()
    os.utime(killed, (time.time() - 7200,) * 2)
    sample.ensure_sample()
    assert not killed.exists()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork to inherit the cache")
def test_two_processes_at_once(cache):
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        folders = [pool.apply_async(sample.ensure_sample) for _ in range(2)]
        assert {result.get(60) for result in folders} == {cache / sample.VERSION}
    assert [path.name for path in cache.iterdir()] == [sample.VERSION]


def test_a_damaged_set_and_a_closed_cache_are_named(cache, monkeypatch):
    folder = sample.ensure_sample()
    (folder / "JPEGImages" / "000001.jpg").unlink()
    with pytest.raises(DataError, match="expected 6 files.*found 5.*delete"):
        sample.ensure_sample()
    (cache / "file").write_text("")
    monkeypatch.setenv("MINIDARKNET_CACHE", str(cache / "file" / "below"))
    with pytest.raises(DataError, match="MINIDARKNET_CACHE"):
        sample.ensure_sample()
