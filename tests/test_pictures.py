"""Pictures: what is drawn where, in which colours, and what is left out."""

import json

import numpy as np
import pytest
from PIL import Image

from reliefseg.evaluation.pictures import (
    IGNORED,
    PANEL_SIDE,
    RIGHT,
    WRONG,
    PanelTile,
    class_colours,
    class_panels,
    depth_colours,
    error_map,
    photograph,
    scene_picture,
)
from reliefseg.evaluation.sheet import PANELS_KEY
from reliefseg.raster.classes import ClassSpec, ClassTable

CLASSES = ClassTable(
    (ClassSpec("roof $a$ <b>", (200, 30, 40)), ClassSpec("road", (10, 20, 30)), ClassSpec("tree", (0, 120, 0)))
)


def everywhere(height: int, width: int) -> np.ndarray:
    return np.ones((height, width), bool)


def ids(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, (height, width)).astype(np.uint8)


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.uint8)


def panels_of(path) -> dict[str, np.ndarray]:
    with Image.open(path) as picture:
        boxes = json.loads(picture.info[PANELS_KEY])
        page = np.asarray(picture.convert("RGB"))
    return {name: page[row : row + h, col : col + w] for name, (row, col, h, w) in boxes.items()}


def test_eight_bit_colours_are_shown_as_they_are_whatever_their_order():
    bands = np.random.default_rng(1).integers(0, 255, (4, 5, 7)).astype(np.uint8)
    shown = photograph(bands, ("nir", "Blue", "green", "red"), everywhere(5, 7))
    assert np.array_equal(shown, np.moveaxis(bands[[3, 2, 1]], 0, 2))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("nir", "red", "green"), [0, 1, 2]),
        (("green", "red", "nir"), [2, 1, 0]),
        (("a", "b", "c", "d"), [0, 1, 2]),
        (("pan",), [0, 0, 0]),
        (("pan", "other"), [0, 0, 0]),
    ],
)
def test_bands_without_blue_are_false_colours_and_few_bands_are_grey(names, expected):
    bands = np.random.default_rng(1).integers(0, 255, (len(names), 4, 4)).astype(np.uint8)
    assert np.array_equal(photograph(bands, names, everywhere(4, 4)), np.moveaxis(bands[expected], 0, 2))


def test_other_types_are_stretched_over_their_valid_pixels():
    band = np.linspace(1000, 2000, 101 * 101).reshape(101, 101)
    valid = everywhere(101, 101)
    band[0], valid[0] = 65535, False
    for dtype in (np.uint16, np.float32):
        shown = photograph(band[None].astype(dtype), ("pan",), valid)
        assert np.all(shown[0] == IGNORED)
        counted = shown[valid][:, 0]
        assert counted.min() == 0
        assert counted.max() == 255
        assert 120 < np.median(counted) < 135
        assert np.mean(counted == 255) == pytest.approx(0.02, abs=0.005)


def test_constant_nan_and_wholly_invalid_bands_do_not_break():
    constant = np.full((1, 3, 3), 7.0, np.float32)
    assert np.all(photograph(constant, ("pan",), everywhere(3, 3)) == 127)
    holes = np.array([[[0.0, np.nan], [1.0, np.inf]]], np.float32)
    assert photograph(holes, ("pan",), everywhere(2, 2))[:, :, 0].tolist() == [[0, 0], [255, 255]]
    assert np.all(photograph(constant, ("pan",), ~everywhere(3, 3)) == IGNORED)


def test_class_colours_are_the_classes_own_and_ignored_is_grey():
    shown = class_colours(np.array([[0, 2, 255, 9]], np.uint8), CLASSES)
    assert [tuple(one) for one in shown[0]] == [(200, 30, 40), (0, 120, 0), IGNORED, IGNORED]


def test_errors_are_strong_and_ignored_pixels_are_neither_right_nor_wrong():
    shown = error_map(np.array([[0, 0, 255]], np.uint8), np.array([[0, 1, 1]], np.uint8))
    assert [tuple(one) for one in shown[0]] == [RIGHT, WRONG, IGNORED]


def test_depth_is_lighter_where_it_is_higher():
    shown = depth_colours(np.array([[0.0, 0.5, 1.0, np.nan]], np.float32))[0].astype(int)
    assert list(shown[:3].sum(axis=1)) == sorted(shown[:3].sum(axis=1))
    assert tuple(shown[3]) == IGNORED


def test_flat_ground_keeps_its_colour_whatever_lies_beside_it():
    flat = np.full((20, 60), 0.5, np.float32)
    rise, fall = flat.copy(), flat.copy()
    rise[:, 40:] += np.linspace(0, 0.3, 20, dtype=np.float32)
    fall[:, 40:] -= np.linspace(0, 0.3, 20, dtype=np.float32)
    alone = depth_colours(flat)[10, 10]
    for beside in (rise, fall):
        assert np.array_equal(depth_colours(beside)[10, 10], alone)
        assert not np.array_equal(depth_colours(beside)[10, 50], depth_colours(flat + beside[10, 50] - 0.5)[10, 10])


def test_a_scene_picture_has_every_panel_exactly_where_it_says(tmp_path):
    image, truth, predicted = photo(250, 300), ids(250, 300), ids(250, 300)
    depth = np.tile(np.linspace(0, 1, 300, dtype=np.float32), (250, 1))
    path = tmp_path / "new" / "scene $1$.png"
    scene_picture(path, image, depth, truth, predicted, CLASSES)
    panels = panels_of(path)
    assert list(panels) == ["image", "depth", "truth", "prediction", "errors"]
    assert np.array_equal(panels["image"], image)
    assert np.array_equal(panels["truth"], class_colours(truth, CLASSES))
    assert np.array_equal(panels["prediction"], class_colours(predicted, CLASSES))
    assert np.array_equal(panels["errors"], error_map(truth, predicted))
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_without_depth_its_panel_is_left_out(tmp_path):
    scene_picture(tmp_path / "a.png", photo(40, 30), None, ids(40, 30), ids(40, 30), CLASSES)
    panels = panels_of(tmp_path / "a.png")
    assert list(panels) == ["image", "truth", "prediction", "errors"]
    assert panels["image"].shape[0] >= 200, "a tiny scene is enlarged"


def test_a_scene_without_any_labelled_pixel_is_drawn(tmp_path):
    truth = np.full((30, 30), 255, np.uint8)
    scene_picture(tmp_path / "a.png", photo(30, 30), None, truth, ids(30, 30), CLASSES)
    assert np.all(panels_of(tmp_path / "a.png")["errors"] == IGNORED)


def test_large_scenes_are_reduced_and_maps_keep_their_own_colours(tmp_path):
    truth = ids(1100, 2750)
    scene_picture(tmp_path / "a.png", photo(1100, 2750), None, truth, truth, CLASSES)
    panels = panels_of(tmp_path / "a.png")
    assert {one.shape for one in panels.values()} == {(360, PANEL_SIDE, 3)}
    colours = {tuple(one) for one in np.unique(panels["truth"].reshape(-1, 3), axis=0)}
    assert colours == set(CLASSES.colors)
    assert np.all(panels["errors"] == RIGHT)


def tile(name: str, height: int = 64, width: int = 48) -> PanelTile:
    truth = np.zeros((height, width), np.uint8)
    truth[:, width // 2 :] = 1
    sure = np.stack([truth == index for index in range(3)]).astype(np.float32)
    return PanelTile(name, np.full((height, width, 3), 90, np.uint8), sure, truth)


def test_a_perfect_tile_looks_the_same_in_both_rows(tmp_path):
    class_panels(tmp_path / "a.png", [tile("t", 300, 300)], CLASSES)
    page = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    black = np.all(page == 0, axis=2).sum(axis=1)
    rows = np.flatnonzero(black > 500)
    upper, lower = black[rows[0] : rows[0] + 298], black[rows[-1] - 297 : rows[-1] + 1]
    assert np.array_equal(upper, lower)
    assert upper[100] == pytest.approx(2 * 150 + 300, abs=6), "half of two classes and all of the third"


def test_several_tiles_of_any_shape_with_and_without_truth_make_one_figure(tmp_path):
    unlabelled = tile("no truth")._replace(truth=None)
    tiles = [tile("a"), tile("b", 20, 90), unlabelled, tile("d")._replace(truth=np.full((64, 48), 255, np.uint8))]
    class_panels(tmp_path / "four.png", tiles, CLASSES)
    class_panels(tmp_path / "one.png", tiles[:1], CLASSES)
    with Image.open(tmp_path / "four.png") as four, Image.open(tmp_path / "one.png") as one:
        assert four.width > one.width / 2
        assert four.height > 2 * 150


def test_many_classes_do_not_fall_off_the_page(tmp_path):
    many = ClassTable(tuple(ClassSpec(f"a class with a long name {i}", (i, i, i)) for i in range(20)))
    probabilities = np.full((20, 8, 8), 0.05, np.float32)
    one = PanelTile("t", photo(8, 8), probabilities, ids(8, 8))
    class_panels(tmp_path / "a.png", [one, one], many)
    scene_picture(tmp_path / "b.png", photo(8, 8), None, ids(8, 8), ids(8, 8), many)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 21 * 150
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.height > 240 + 24 * 10, "the legend goes on over several lines"


def test_an_interrupted_picture_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scene_picture(tmp_path / "a.png", photo(9, 9), None, ids(9, 9), ids(9, 9), CLASSES)
    assert list(tmp_path.iterdir()) == []
