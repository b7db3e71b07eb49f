"""Metres above ground: given, made with a ground raster, or with an estimate of the terrain."""

import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from reliefseg.errors import InputError
from reliefseg.raster import ClassSpec, ClassTable, Scene, SceneFiles, Window
from reliefseg.raster.scene import survey_scene

CLASSES = ClassTable((ClassSpec("house", (200, 10, 30)),))
CRS_M = CRS.from_epsg(25832)


def save(path: Path, data: np.ndarray, gsd: float = 1.0, **profile: Any) -> Path:
    height, width = data.shape
    place = {"transform": Affine(gsd, 0, 500, 0, -gsd, 900), "crs": CRS_M}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=height, width=width, dtype=data.dtype, **place | profile
        ) as dataset:
            dataset.write(data, 1)
    return path


def scene_with(
    folder: Path, heights: np.ndarray, ground: np.ndarray | None = None, gsd: float = 1.0, **files: Any
) -> Scene:
    image = save(folder / "image.tif", np.zeros(heights.shape, np.uint8), gsd)
    dsm = save(folder / "dsm.tif", heights, gsd, nodata=-9999)
    dtm = None if ground is None else save(folder / "dtm.tif", ground, gsd)
    scene, faults = survey_scene("s", SceneFiles(image, None, dsm, dtm, **files), ("grey",), CLASSES, None)
    assert scene is not None
    assert faults == []
    return scene


def town(height: int, width: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights above ground of some houses and trees, and the sloping, gently rolling ground under them."""
    rng = np.random.default_rng(1)
    rows, cols = np.indices((height, width))
    ground = 300 + slope * cols - 0.6 * slope * rows + 1.5 * np.sin(cols / 90)
    above = np.zeros((height, width))
    for _ in range(25):
        r, c = rng.integers(0, height - 30), rng.integers(0, width - 30)
        above[r : r + rng.integers(8, 28), c : c + rng.integers(8, 28)] = rng.uniform(4, 20)
    return above.astype(np.float32), (ground + rng.normal(0, 0.03, ground.shape)).astype(np.float32)


def test_an_ndsm_is_taken_as_it_is(tmp_path: Path) -> None:
    data = np.arange(12, dtype=np.float32).reshape(3, 4) - 2
    np.testing.assert_array_equal(scene_with(tmp_path, data, heights_are="ndsm").read_heights(), data)


def test_a_dsm_loses_the_ground_raster(tmp_path: Path) -> None:
    above, ground = town(60, 80, 0.1)
    heights = scene_with(tmp_path, above + ground, ground).read_heights()
    np.testing.assert_allclose(heights, above, atol=1e-3)


def test_what_was_not_measured_is_nan(tmp_path: Path) -> None:
    data = np.full((3, 4), 5, np.float32)
    data[0, 0], data[1, 1], data[2, 2] = -9999, np.nan, np.inf
    missing = np.isnan(scene_with(tmp_path, data, heights_are="ndsm").read_heights())
    assert np.argwhere(missing).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_whole_numbers_with_a_scale_become_metres(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, np.array([[100, 250]], np.int16), heights_are="ndsm")
    with rasterio.open(tmp_path / "dsm.tif", "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01,), (2.0,)
    np.testing.assert_allclose(scene.read_heights(), [[3.0, 4.5]])


@pytest.mark.parametrize(("unit", "metres"), [("", 30.0), ("m", 30.0), ("ft", 9.144), ("US survey foot", 9.14402)])
def test_the_unit_of_heights_counts(tmp_path: Path, unit: str, metres: float) -> None:
    scene = scene_with(tmp_path, np.array([[30.0, 0.0]], np.float32), heights_are="ndsm")
    with rasterio.open(tmp_path / "dsm.tif", "r+") as dataset:
        dataset.units = (unit,)
    np.testing.assert_allclose(scene.read_heights(), [[metres, 0.0]], rtol=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.15])
@pytest.mark.parametrize("gsd", [0.5, 2.0])
def test_without_ground_the_terrain_is_estimated(tmp_path: Path, slope: float, gsd: float) -> None:
    above, ground = town(400, 500, slope)
    surface = above + ground
    surface[200:230, 100:180] = -9999
    error = np.abs(scene_with(tmp_path, surface, gsd=gsd).read_heights() - above)
    known = ~np.isnan(error)
    assert known.sum() == error.size - 30 * 80
    assert np.median(error[known]) < 0.4
    assert np.percentile(error[known], 95) < 1.5


@settings(max_examples=10)
@given(row=st.integers(0, 260), col=st.integers(0, 350), size=st.integers(1, 50))
def test_windows_agree_with_the_whole(tmp_path_factory: pytest.TempPathFactory, row: int, col: int, size: int) -> None:
    above, ground = town(310, 400, 0.1)
    scene = scene_with(tmp_path_factory.mktemp("h"), above + ground)
    window = Window(row, col, size, size)
    np.testing.assert_allclose(scene.read_heights(window), scene.read_heights()[window.slices], atol=1e-4)


def test_a_single_pit_digs_no_hole(tmp_path: Path) -> None:
    surface = np.full((300, 300), 100, np.float32)
    surface[150, 150] = 20
    heights = scene_with(tmp_path, surface).read_heights()
    heights[150, 150] = 0
    assert np.abs(heights).max() < 0.1


def test_a_surface_model_written_anew_is_read_anew(tmp_path: Path) -> None:
    above, ground = town(100, 100, 0.0)
    scene = scene_with(tmp_path, above + ground)
    first = scene.read_heights()
    save(tmp_path / "dsm.tif", above + ground + 500, nodata=-9999)
    os.utime(tmp_path / "dsm.tif", ns=(1, 1))
    np.testing.assert_allclose(scene.read_heights(), first, atol=1e-2)


def test_a_surface_model_in_an_archive_has_heights_too(tmp_path: Path) -> None:
    above, ground = town(100, 100, 0.0)
    scene = scene_with(tmp_path, above + ground)
    archive = shutil.make_archive(str(tmp_path.with_name("dsm")), "zip", tmp_path)
    packed = replace(scene, files=replace(scene.files, heights=Path(f"/vsizip/{{{archive}}}/dsm.tif")))
    np.testing.assert_array_equal(packed.read_heights(), scene.read_heights())


def test_nothing_measured_is_nothing_known(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, np.full((20, 20), -9999, np.float32))
    assert np.isnan(scene.read_heights()).all()


def test_scenes_without_gsd_have_heights_too(tmp_path: Path) -> None:
    above, ground = town(300, 300, 0.05)
    image = save(tmp_path / "i.tif", np.zeros((300, 300), np.uint8), crs=None, transform=Affine.identity())
    dsm = save(tmp_path / "d.tif", above + ground, crs=None, transform=Affine.identity())
    scene, faults = survey_scene("s", SceneFiles(image, None, dsm), ("grey",), CLASSES, None)
    assert scene is not None
    assert faults == []
    assert np.median(np.abs(scene.read_heights() - above)) < 0.5


def test_heights_of_another_size_or_with_bands_are_told(tmp_path: Path) -> None:
    image = save(tmp_path / "i.tif", np.zeros((20, 30), np.uint8))
    small = save(tmp_path / "small.tif", np.zeros((10, 30), np.float32))
    with rasterio.open(image) as dataset:
        profile = dataset.profile | {"count": 2}
    with rasterio.open(tmp_path / "two.tif", "w", **profile):
        pass
    _, faults = survey_scene("s", SceneFiles(image, None, small, tmp_path / "two.tif"), ("grey",), CLASSES, None)
    text = str(InputError(faults))
    assert "scene s: heights" in text
    assert "small.tif has 10 × 30 px, the image 20 × 30 (height × width)" in text
    assert "two.tif has 2 bands; expected one, metres" in text
