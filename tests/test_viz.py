"""Pictures for people: what is drawn where, and that files are whole."""
import numpy as np
import pytest
from PIL import Image

from minidarknet import viz


@pytest.fixture
def grey():
    return np.full((200, 300, 3), 128, np.uint8)


def changed(before, after):
    """(h, w) bool: the pixels that differ."""
    return (np.asarray(after) != before).any(2)


def test_a_box_is_drawn_on_a_copy_and_only_at_its_place(grey):
    before = grey.copy()
    image = viz.draw_boxes(grey, np.array([[100.0, 80, 200, 160]]), [2], [0.9], ("a", "b", "c"))
    assert (grey == before).all() and image.size == (300, 200) and image.mode == "RGB"
    pixels = np.asarray(image)
    assert tuple(pixels[120, 100]) == tuple(pixels[159, 150]) == tuple(pixels[120, 199]) == viz.class_colour(2)
    touched = changed(grey, image)
    assert not touched[120, 110:190].any()       # the inside stays
    assert not touched[:, :98].any() and not touched[162:].any() and not touched[:60].any()


@pytest.mark.parametrize("box", [[-50, -50, 60, 60], [280, 150, 400, 300], [0, 0, 300, 200], [295, 0, 299, 4],
                                 [-9, -9, -5, -5], [np.nan, 10, 50, 60]])
def test_labels_stay_inside_the_picture(grey, box):
    """The label's own ground is drawn whole, wherever the box lies."""
    middle, image = (np.asarray(viz.draw_boxes(grey, np.array([corners], float), [1], [0.5], ("x", "long name")))
                     for corners in ([100.0, 80, 101, 81], box))
    ground = [(pixels == viz.class_colour(1)).all(2).sum() for pixels in (middle, image)]
    assert ground[1] >= ground[0] - 20 > 300
    x0, y0, x1, y1 = viz._label_place(viz._inside(box, (300, 200)), (60, 14), (300, 200), [])
    assert 0 <= x0 and 0 <= y0 and x1 < 300 and y1 < 200


def test_labels_keep_clear_of_each_other():
    taken = []
    for _ in range(3):
        place = viz._label_place((50, 50, 120, 90), (60, 14), (300, 200), taken)
        assert not any(place[1] <= other[3] and other[1] <= place[3] for other in taken)
        taken.append(place)
    assert taken[0] == (50, 36, 109, 49)


def test_no_boxes_and_grey_pictures(grey):
    assert not changed(grey, viz.draw_boxes(grey, np.zeros((0, 4)), [])).any()
    assert viz.draw_boxes(grey[:, :, 0], np.array([[10.0, 50, 60, 90]]), [0]).mode == "RGB"


def test_colours_are_fixed_and_distinct():
    colours = [viz.class_colour(i) for i in range(80)]
    assert len(set(colours)) == 80 and colours == [viz.class_colour(i) for i in range(80)]
    distance = np.linalg.norm(np.array(colours[:20])[:, None] - np.array(colours[:20]), axis=2)
    assert distance[~np.eye(20, dtype=bool)].min() > 60
    assert viz._ink((255, 255, 0)) == (0, 0, 0) and viz._ink((0, 0, 160)) == (255, 255, 255)


def test_contact_sheet_places_pictures_in_rows(grey):
    sheet = viz.contact_sheet([grey] * 5, columns=3, gap=4)
    assert sheet.size == (3 * 300 + 8, 2 * 200 + 4)
    assert sheet.getpixel((650, 100)) == (128, 128, 128) and sheet.getpixel((650, 300)) == (255, 255, 255)
    with pytest.raises(ValueError, match="at least one"):
        viz.contact_sheet([])


def test_training_batch_draws_the_truth_rows():
    x = np.full((2, 64, 96, 3), 0.5, np.float32)
    truth = np.zeros((2, 3, 5), np.float32)
    truth[1, 0] = 0.5, 0.5, 0.5, 0.5, 1
    sheet = np.asarray(viz.training_batch(x, truth, ("a", "b"), columns=2))
    first, second = sheet[:, :96], sheet[:, 100:]
    assert (first == 128).all()
    assert tuple(second[40, 24]) == tuple(second[40, 71]) == viz.class_colour(1)


def test_grid_overlay(grey):
    pixels = np.asarray(viz.grid_overlay(grey, (4, 6), mark=(1, 2))).astype(int)
    assert pixels[25, 50].min() > 200 and pixels[50, 25].min() > 200   # lines
    assert (pixels[25, 25] == 128).all()                               # a cell
    assert pixels[75, 125, 0] > pixels[75, 125, 2] + 30                # the marked cell


ROWS = [{"step": i, "images": 8 * i, "loss": 50.0 / i, "darknet_cost": 70.0 / i, "learning_rate": 1e-3,
         "images_per_s": 90, "map_voc07": 0.01 * i if i % 10 == 0 else ""} for i in range(1, 41)]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[:5], [], [dict(ROWS[0], loss="nan")]],
                         ids=["whole", "one", "unvalidated", "empty", "nan"])
def test_loss_chart(rows, tmp_path):
    viz.loss_chart(rows, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as image:
        image.load()
        assert image.format == "PNG" and image.width > 600
    assert [path.name for path in tmp_path.iterdir()] == ["chart.png"]


def test_loss_chart_from_a_file(tmp_path):
    lines = [",".join(ROWS[0])] + [",".join(str(value) for value in row.values()) for row in ROWS]
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    read, given = viz._columns(tmp_path / "metrics.csv"), viz._columns(ROWS)
    for key in read:
        np.testing.assert_array_equal(read[key], given[key])
    assert np.isfinite(given["map_voc07"]).sum() == 4
    viz.loss_chart(tmp_path / "metrics.csv", tmp_path / "chart.png")


def test_smooth_is_a_mean_of_neighbours():
    values = np.arange(40.0)
    np.testing.assert_allclose(viz._smooth(values)[2:-2], values[2:-2])
    assert viz._smooth(np.ones(3)).tolist() == [1, 1, 1] and viz._smooth(np.array([7.0])).tolist() == [7]


def test_other_plots_are_written(tmp_path):
    recall = np.linspace(0, 0.9, 20)
    curves = {f"class {i}": (recall, 1 - recall ** 3, 0.9 - 0.01 * i) for i in range(30)}
    curves["empty"] = np.zeros(0), np.zeros(0), np.nan
    viz.precision_recall_plot(curves, tmp_path / "pr.png")
    viz.precision_recall_plot({}, tmp_path / "none.png")
    for name in ("pr.png", "none.png"):
        with Image.open(tmp_path / name) as image:
            image.load()
            assert np.asarray(image.convert("L")).std() > 1


def test_feature_maps_show_one_axes_per_channel():
    figure = viz.feature_maps(np.random.default_rng(0).random((7, 9, 10)), columns=4, limit=6)
    assert sum(len(axes.images) for axes in figure.axes) == 6
    assert "6 of 10 channels" in figure.get_suptitle()


def test_a_picture_is_replaced_in_one_piece(tmp_path, grey):
    image = Image.fromarray(grey)
    for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG")):
        viz.save_picture(image, tmp_path / name)
        with Image.open(tmp_path / name) as written:
            assert written.format == kind
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(OSError):
        viz.save_picture(Image.new("F", (4, 4)), tmp_path / "a.png")  # PNG holds no floats
    assert (tmp_path / "a.png").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".part", ".tmp")]
