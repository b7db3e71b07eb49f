"""Tile labels, from a CSV file or read off label rasters."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.errors import NotGeoreferencedWarning

from reliefseg.errors import InputError
from reliefseg.raster import Dataset, Grid, TileLabel, Window, load_dataset, survey_dataset
from reliefseg.raster.tile_labels import drawn_windows, grid_windows, shown_classes

HEAD = """
bands = ["grey"]
[[classes]]
name = "house"
id = 1
[[classes]]
name = "tree"
id = 2
[ignore]
ids = [0]
[files]
images = "{scene}.tif"
labels = "{scene}.png"
[splits]
tile_labelled = ["a", "b"]
validation = ["v"]
"""
COLUMNS = "scene,row,col,height,width,house,tree\n"


def make(root: Path, rule: str, csv: str | None = None) -> Path:
    """Scenes a, b and v of 20 × 30 px: the left third ignored, then houses, one tree pixel at row 2, col 29."""
    labels = np.ones((20, 30), np.uint8)
    labels[:, :10] = 0
    labels[2, 29] = 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        for name in "abv":
            for suffix, driver in ((".tif", "GTiff"), (".png", "PNG")):
                with rasterio.open(
                    root / f"{name}{suffix}", "w", driver=driver, count=1, height=20, width=30, dtype="uint8"
                ) as dataset:
                    dataset.write(labels, 1)
    (root / "dataset.toml").write_text(HEAD + "[tile_labels]\n" + rule)
    if csv is not None:
        (root / "t.csv").write_text(csv)
    return root


def from_labels(root: Path, rest: str) -> Dataset:
    return load_dataset(make(root, "from_labels = true\n" + rest))


def test_the_grid_starts_top_left_and_leaves_the_rest(tmp_path: Path) -> None:
    data = from_labels(tmp_path, "size = 8\nmin_share = 0.01\n")
    labels = [label for label in data.tile_labels() if label.scene == "a"]
    assert labels == [
        TileLabel("a", Window(0, 8, 8, 8), (True, False)),
        TileLabel("a", Window(0, 16, 8, 8), (True, False)),
        TileLabel("a", Window(8, 8, 8, 8), (True, False)),
        TileLabel("a", Window(8, 16, 8, 8), (True, False)),
    ]
    assert {label.scene for label in data.tile_labels()} == {"a", "b"}


@pytest.mark.parametrize(("share", "shown"), [(0.01, True), (0.011, False)])
def test_a_class_counts_from_its_share_of_the_labelled_pixels(tmp_path: Path, share: float, shown: bool) -> None:
    data = from_labels(tmp_path, f"size = 10\nmin_share = {share}\n")
    by_window = {label.window: label.shown for label in data.tile_labels() if label.scene == "a"}
    assert by_window[Window(0, 20, 10, 10)] == (True, shown)
    assert Window(0, 0, 10, 10) not in by_window


def test_any_scene_with_labels_can_have_them_by_the_same_rule(tmp_path: Path) -> None:
    data = from_labels(tmp_path, "size = 10\n")
    labels = data.tile_labels_of(data.split("validation"))
    assert [label.window.col for label in labels] == [10, 20, 10, 20]
    assert {label.scene for label in labels} == {"v"}


def test_a_number_of_windows_is_drawn_once(tmp_path: Path) -> None:
    data = from_labels(tmp_path, "size = 6\nper_scene = 3\n")
    first = data.tile_labels()
    assert first == data.tile_labels()
    assert 1 <= len([label for label in first if label.scene == "a"]) <= 3
    assert data.tile_labels_of([data.scenes["b"]]) == [label for label in first if label.scene == "b"]


grids = st.builds(Grid, st.integers(1, 60), st.integers(1, 60))


@given(grids, st.integers(1, 40))
def test_grid_windows_are_apart_inside_and_as_many_as_fit(grid: Grid, size: int) -> None:
    windows = grid_windows(grid, size)
    seen = np.zeros((grid.height, grid.width), int)
    for window in windows:
        assert window.clipped(grid.height, grid.width) == window
        seen[window.slices] += 1
    assert seen.max() == 1
    assert len(windows) == max(1, grid.height // size) * max(1, grid.width // size)


@given(grids, st.integers(1, 40), st.integers(1, 6), st.integers(0, 9))
def test_drawn_windows_are_inside_and_as_many_as_asked(grid: Grid, size: int, count: int, seed: int) -> None:
    windows = drawn_windows(grid, size, count, np.random.default_rng(seed))
    assert len(windows) == count
    assert all(w.clipped(grid.height, grid.width) == w for w in windows)


@given(arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 255])), st.floats(0, 1))
def test_what_is_shown_does_not_depend_on_where(labels: np.ndarray, share: float) -> None:
    shuffled = np.random.default_rng(0).permutation(labels.ravel()).reshape(labels.shape)
    shown = shown_classes(labels, 3, share)
    assert shown == shown_classes(shuffled, 3, share)
    known = labels[labels != 255]
    assert shown == (
        tuple(bool(((known == c).mean() >= share) & (known == c).any()) for c in range(3)) if known.size else None
    )


# ---------------------------------------------------------------- CSV


def test_a_csv_is_read_in_any_order_of_columns(tmp_path: Path) -> None:
    csv = "tree,house,scene,row,col,height,width\n1,0,a,0,1,5,6\n0,0,b,15,24,5,6\n1,1,v,0,0,4,4\n"
    data = load_dataset(make(tmp_path, 'file = "t.csv"\n', csv))
    assert data.tile_labels() == [
        TileLabel("a", Window(0, 1, 5, 6), (False, True)),
        TileLabel("b", Window(15, 24, 5, 6), (False, False)),
    ]
    windows = [label.window for label in data.tile_labels_of(data.split("validation"))]
    assert windows[0].height == windows[0].width == 5


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_csv_may_have_other_marks_blank_lines_and_spaces(tmp_path: Path, mark: str) -> None:
    csv = "\n" + COLUMNS + ",,,,,,\n a ,0,1,5,6, 1,0\n  \nb,15,24,5,6,0,1 \n\n"
    data = load_dataset(make(tmp_path, 'file = "t.csv"\n', csv.replace(",", mark)))
    assert data.tile_labels() == [
        TileLabel("a", Window(0, 1, 5, 6), (True, False)),
        TileLabel("b", Window(15, 24, 5, 6), (False, True)),
    ]


def test_an_empty_csv_lacks_every_column(tmp_path: Path) -> None:
    make(tmp_path, 'file = "t.csv"\n', "")
    with pytest.raises(InputError, match="the column 'scene' is missing"):
        load_dataset(tmp_path)


def test_all_faults_of_a_csv_come_at_once(tmp_path: Path) -> None:
    windows = "a,0,0,5,5,1,0\na,16,0,5,5,1,0\na,-1,0,5,5,1,0\nx,0,0,5,5,1,0\n"
    rows = windows + "a,0,0,five,5,1,0\nb,0,0,5,5,yes,0\na,0,0,0,5,1,0\n\na,0,0,5,5,1,0,1\n"
    make(tmp_path, 'file = "t.csv"\n', COLUMNS + rows)
    with pytest.raises(InputError) as caught:
        load_dataset(tmp_path)
    text = [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]
    outside = "lies outside scene a, which has 20 × 30 px"
    assert text == [
        f"t.csv, line 3: the window row 16, col 0, height 5, width 5 {outside}",
        f"t.csv, line 4: the window row -1, col 0, height 5, width 5 {outside}",
        "t.csv, line 5: there is no scene 'x'; known: a, b, v",
        "t.csv, line 6: height is 'five'; expected a whole number",
        "t.csv, line 7: house is 'yes'; expected 0 or 1",
        f"t.csv, line 8: the window row 0, col 0, height 0, width 5 {outside}",
        "t.csv, line 10: has 8 cells; expected 7, one a column",
    ]


def test_rows_that_contradict_each_other(tmp_path: Path) -> None:
    rows = "a,0,0,5,5,1,0\nb,0,0,5,5,0,1\na,0,0,5,5,1,0\na,0,0,5,6,0,1\n"
    make(tmp_path, 'file = "t.csv"\n', COLUMNS + rows)
    assert len(load_dataset(tmp_path).tile_labels()) == 4  # the same twice is no contradiction
    (tmp_path / "t.csv").write_text(COLUMNS + rows + "a,0,0,5,5,1,1\n")
    with pytest.raises(
        InputError, match=r"t\.csv, lines 2 and 6: show other classes in the same window of scene a \(the"
    ):
        load_dataset(tmp_path)


def test_columns_that_are_missing_or_unknown(tmp_path: Path) -> None:
    make(tmp_path, 'file = "t.csv"\n', "scene,row,col,height,width,hause,tree\n")
    with pytest.raises(
        InputError, match=r"the column 'house' is missing\n.*the column 'hause' is unknown; did you mean 'house'"
    ):
        load_dataset(tmp_path)


def test_a_column_that_stands_twice_and_a_row_without_a_scene(tmp_path: Path) -> None:
    make(tmp_path, 'file = "t.csv"\n', "scene,row,col,height,width,house,tree,house\n")
    with pytest.raises(InputError, match="the column 'house' stands there twice"):
        load_dataset(tmp_path)
    (tmp_path / "t.csv").write_text("row,col,height,width,house,tree,scene\n0,0,5,5,1,0,a\n0,0,5\n")
    with pytest.raises(InputError, match="line 3: has 3 cells; expected 7, one a column"):
        load_dataset(tmp_path)


def test_a_csv_that_is_not_there_or_cut(tmp_path: Path) -> None:
    make(tmp_path, 'file = "t.csv"\n')
    with pytest.raises(InputError, match=r"t\.csv: cannot be read"):
        load_dataset(tmp_path)
    (tmp_path / "t.csv").write_text(COLUMNS + "a,0,0,5,5,1,0\nb,0,0,5\n")
    with pytest.raises(InputError, match="line 3: has 4 cells; expected 7, one a column"):
        load_dataset(tmp_path)


def test_a_tile_labelled_scene_without_rows_is_told(tmp_path: Path) -> None:
    make(tmp_path, 'file = "t.csv"\n', COLUMNS + "a,0,0,5,5,1,0\n")
    with pytest.raises(
        InputError, match=r"scene b: is tile_labelled, but .*t\.csv has no row for it; move it to unlabelled"
    ):
        load_dataset(tmp_path)


def test_rows_of_a_scene_that_cannot_be_opened_are_not_told_twice(tmp_path: Path) -> None:
    make(tmp_path, 'file = "t.csv"\n', COLUMNS + "a,0,0,5,5,1,0\nb,0,0,5,5,1,0\n")
    (tmp_path / "b.tif").write_text("no image")
    faults = survey_dataset(tmp_path).faults
    assert len(faults) == 1
    assert "scene b: image" in faults[0]
