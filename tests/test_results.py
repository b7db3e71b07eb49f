"""What a prediction leaves of a scene opens in GDAL in the right place, with names, colours and areas."""

import csv
import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.warp import transform as transform_points

from reliefseg.errors import InputError
from reliefseg.inference.areas import area_factors
from reliefseg.inference.blocks import NODATA, UNIT, Block
from reliefseg.inference.results import Wanted, write_results
from reliefseg.raster import ClassSpec, ClassTable, Grid, Window
from reliefseg.raster.ground_area import measure_ground
from reliefseg.raster.polygons import burn_polygons

CLASSES = ClassTable((ClassSpec("house", (200, 10, 30)), ClassSpec("tree & bush", (0, 120, 0))))
UTM = CRS.from_epsg(32632)
ALL = Wanted(uncertainty=True, probabilities=True, polygons=True)


class Blocks:
    """A finished map cut into blocks that can be read again."""

    def __init__(self, class_ids: np.ndarray, side: int = 512, classes: int = 2):
        self.class_ids, self.side, self.classes = class_ids, side, classes

    def __len__(self) -> int:
        height, width = self.class_ids.shape
        return -(-height // self.side) * -(-width // self.side)

    def __getitem__(self, number: int) -> Block:
        return list(self)[number]

    def __iter__(self) -> Iterator[Block]:
        height, width = self.class_ids.shape
        for row in range(0, height, self.side):
            for col in range(0, width, self.side):
                window = Window(row, col, self.side, self.side).clipped(height, width)
                ids = self.class_ids[window.slices]
                shares = np.where(ids == np.arange(self.classes)[:, None, None], 200, UNIT - 200).astype(np.uint8)
                shares[:, ids == NODATA] = NODATA
                yield Block(window, ids, shares, np.where(ids == NODATA, NODATA, 127).astype(np.uint8))


@pytest.fixture
def class_ids() -> np.ndarray:
    ids = np.zeros((700, 1100), np.uint8)
    rows, cols = np.indices(ids.shape)
    ids[(rows - 350) ** 2 + (cols - 512) ** 2 < 200**2] = 1
    ids[100:102, 100:102] = 1  # a hole too small to show
    ids[rows + cols < 150] = NODATA
    return ids


@pytest.fixture
def grid() -> Grid:
    return Grid(700, 1100, Affine(0.5, 0, 400000, 0, -0.5, 5600000), UTM)


def _areas(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "areas.csv").read_text().splitlines()))


def _small(*shape: int, crs: CRS | None = None, transform: Affine | None = None, gsd: float | None = None) -> Grid:
    return Grid(*shape, Affine.identity() if transform is None else transform, crs, gsd)


def test_rasters_lie_on_the_grid_with_colours_names_and_overviews(
    tmp_path: Path, class_ids: np.ndarray, grid: Grid
) -> None:
    paths = write_results(Blocks(class_ids), grid, CLASSES, tmp_path, ALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "areas.csv", "classes.qml", "classes.tif", "classes.tif.aux.xml", "polygons.gpkg", "polygons.qml",
        "probabilities.tif", "uncertainty.tif",
    ]  # fmt: skip
    for name in ("classes", "uncertainty", "probabilities"):
        with rasterio.open(paths[name]) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert (dataset.crs, dataset.transform, dataset.nodata) == (UTM, grid.transform, NODATA)
            assert (dataset.height, dataset.width, dataset.overviews(1)) == (700, 1100, [2, 4])
            np.testing.assert_array_equal(dataset.read_masks(1) == 0, class_ids == NODATA)
    with rasterio.open(paths["classes"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), class_ids)
        assert dataset.colormap(1)[1] == (0, 120, 0, 255)
        assert dataset.tags()["class_1"] == CLASSES.names[1]
        assert set(np.unique(dataset.read(1, out_shape=(350, 550)))) == {0, 1, NODATA}
    with rasterio.open(paths["probabilities"]) as dataset:
        assert dataset.descriptions == CLASSES.names
        np.testing.assert_array_equal(dataset.read(2) == 200, class_ids == 1)
        assert dataset.scales == (1 / UNIT, 1 / UNIT)
    with rasterio.open(paths["uncertainty"]) as dataset:
        assert set(np.unique(dataset.read(1))) == {127, NODATA}


def test_overviews_show_the_most_frequent_class(tmp_path: Path) -> None:
    ids = np.zeros((1024, 1024), np.uint8)
    ids[::2, ::2] = 1  # one of four
    paths = write_results(Blocks(ids), _small(1024, 1024), CLASSES, tmp_path)
    with rasterio.Env(), pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        dataset = rasterio.open(paths["classes"], overview_level=0)
    with dataset:
        assert not dataset.read(1).any()


def test_gdal_names_the_categories(tmp_path: Path, class_ids: np.ndarray, grid: Grid) -> None:
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed")
    paths = write_results(Blocks(class_ids), grid, CLASSES, tmp_path)
    told = subprocess.run(["gdalinfo", str(paths["classes"])], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Categories:\s+0: house\s+1: tree & bush", told)
    assert "LAYOUT=COG" in told


def test_equal_blocks_give_equal_bytes(tmp_path: Path, class_ids: np.ndarray, grid: Grid) -> None:
    for name in "ab":
        write_results(Blocks(class_ids), grid, CLASSES, tmp_path / name, ALL)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_polygons_lie_on_their_pixels(tmp_path: Path, class_ids: np.ndarray, grid: Grid) -> None:
    paths = write_results(Blocks(class_ids), grid, CLASSES, tmp_path, ALL)
    burnt = burn_polygons(paths["polygons"], grid, grid.window, CLASSES, "class", None).labels
    different = burnt != class_ids
    different[95:107, 95:107] = False  # the hole that was filled
    assert different.mean() < 0.001
    assert (burnt[100:102, 100:102] == 0).all()
    assert pyogrio.read_info(paths["polygons"])["crs"] == "EPSG:32632"
    _, _, wkb, (ids, names, pixels, areas, confidence) = pyogrio.raw.read(paths["polygons"])
    assert names.tolist() == [CLASSES.names[i] for i in ids]
    np.testing.assert_allclose(areas, pixels * 0.25)
    np.testing.assert_allclose(areas, shapely.area(shapely.from_wkb(wkb)), rtol=0.005)
    assert pixels.sum() == (class_ids != NODATA).sum()
    assert confidence[1] == pytest.approx(200 / 254, abs=1e-4)


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(uncertainty=False)])
def test_only_what_is_wanted_is_written(tmp_path: Path, wanted: Wanted) -> None:
    paths = write_results(Blocks(np.zeros((3, 4), np.uint8)), _small(3, 4), CLASSES, tmp_path, wanted)
    assert set(paths) == {"classes", "style", "areas"} | ({"uncertainty"} if wanted.uncertainty else set())


def test_without_georeferencing_polygons_lie_as_qgis_draws_the_image(tmp_path: Path) -> None:
    ids = np.repeat(np.array([[0, 1], [1, 0]], np.uint8), 40, axis=0).repeat(30, axis=1)
    grid = _small(80, 60)
    paths = write_results(Blocks(ids, 32), grid, CLASSES, tmp_path, ALL)
    shapes = shapely.from_wkb(pyogrio.raw.read(paths["polygons"])[2])
    assert shapely.total_bounds(shapes).tolist() == [0, -80, 60, 0]
    found = burn_polygons(paths["polygons"], grid, grid.window, CLASSES, "class", None).labels
    np.testing.assert_array_equal(found, ids)
    assert "area_m2" not in pyogrio.read_info(paths["polygons"])["fields"]
    assert [row["area_m2"] for row in _areas(tmp_path)] == ["", ""]
    assert [row["pixels"] for row in _areas(tmp_path)] == ["2400", "2400"]


def test_a_stated_gsd_gives_areas(tmp_path: Path) -> None:
    write_results(Blocks(np.zeros((10, 10), np.uint8)), _small(10, 10, gsd=0.2), CLASSES, tmp_path)
    assert _areas(tmp_path)[0]["area_m2"] == "4.00"


@pytest.mark.parametrize("ids", [np.full((20, 30), NODATA, np.uint8), np.zeros((1, 1), np.uint8)])
def test_scenes_of_nothing_and_of_one_pixel(tmp_path: Path, ids: np.ndarray) -> None:
    transform = Affine(0.5, 0, 400000, 0, -0.5, 5600000)
    grid = _small(*ids.shape, crs=UTM, transform=transform)
    paths = write_results(Blocks(ids, 16), grid, CLASSES, tmp_path, ALL)
    assert pyogrio.read_info(paths["polygons"])["features"] == (ids == 0).any()
    assert float(_areas(tmp_path)[0]["area_m2"]) == 0.25 * (ids == 0).sum()
    with rasterio.open(paths["classes"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), ids)


def test_as_many_classes_as_there_may_be(tmp_path: Path) -> None:
    classes = ClassTable(tuple(ClassSpec(f"class {i}", (i, 255 - i, 7)) for i in range(254)))
    ids = np.arange(254, dtype=np.uint8).repeat(2)[None].repeat(17, axis=0)
    paths = write_results(Blocks(ids, 512, 254), _small(17, 508, crs=UTM, transform=Affine.scale(1, -1)), classes,
                          tmp_path, ALL)  # fmt: skip
    with rasterio.open(paths["probabilities"]) as dataset:
        assert dataset.count == 254
    with rasterio.open(paths["classes"]) as dataset:
        assert dataset.colormap(1)[253] == (253, 2, 7, 255)
    assert pyogrio.read_info(paths["polygons"])["features"] == 254


def test_rotated_grids_keep_their_place(tmp_path: Path) -> None:
    transform = Affine.translation(400000, 5600000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
    ids = np.zeros((60, 40), np.uint8)
    ids[:, 20:] = 1
    grid = _small(60, 40, crs=UTM, transform=transform)
    paths = write_results(Blocks(ids, 32), grid, CLASSES, tmp_path, ALL)
    with rasterio.open(paths["classes"]) as dataset:
        assert dataset.transform.almost_equals(transform)
    shapes = shapely.from_wkb(pyogrio.raw.read(paths["polygons"])[2])
    np.testing.assert_allclose(shapely.area(shapes), 300)
    assert shapes[1].covers(shapely.Point(transform @ (30, 30)))


def test_blocks_that_do_not_cover_the_scene_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"blocks have 12 px, the scene 20"):
        write_results(Blocks(np.zeros((3, 4), np.uint8)), _small(5, 4), CLASSES, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_message_and_leaves_nothing(
    tmp_path: Path, class_ids: np.ndarray, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RasterioIOError("No space left on device")

    monkeypatch.setattr("reliefseg.raster.cog.copy", full)
    with pytest.raises(InputError, match=r"cannot write results here \(No space left on device\); .* MB are free"):
        write_results(Blocks(class_ids), grid, CLASSES, tmp_path, ALL)
    assert not list(tmp_path.iterdir())


def test_files_that_may_not_grow_are_a_message(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: GDAL itself fails to write."""
    ids = np.random.default_rng(0).integers(0, 2, (600, 600)).astype(np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(InputError, match="cannot write results here"):
            write_results(Blocks(ids), _small(600, 600), CLASSES, tmp_path, ALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_folder_without_permission_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot write into this folder"):
        write_results(Blocks(np.zeros((3, 4), np.uint8)), _small(3, 4), CLASSES, tmp_path)


def test_the_ellipsoid_has_its_known_area() -> None:
    world = _small(720, 1440, crs=CRS.from_epsg(4326), transform=Affine(0.25, 0, -180, 0, -0.25, 90))
    total = measure_ground(world).of_pixels(world.window).sum()
    assert total == pytest.approx(510_065_621.724e6, rel=1e-5)


def test_a_projection_far_from_equal_area_is_measured_on_the_ellipsoid() -> None:
    mercator = _small(64, 64, crs=CRS.from_epsg(3857), transform=Affine(0.5, 0, 850000, 0, -0.5, 6570000))
    assert measure_ground(mercator).measure == "ellipsoid"
    areas = measure_ground(mercator).of_pixels(mercator.window)
    equal_area = CRS.from_epsg(6933)
    corners = [mercator.transform @ corner for corner in ((0, 0), (64, 0), (64, 64), (0, 64))]
    xs, ys = transform_points(mercator.crs, equal_area, *zip(*corners, strict=True))
    assert areas.sum() == pytest.approx(shapely.Polygon(np.column_stack([xs, ys])).area, rel=1e-5)


def test_utm_is_measured_on_its_plane_and_feet_are_feet() -> None:
    utm = _small(4, 4, crs=UTM, transform=Affine(0.5, 0, 400000, 0, -0.5, 5600000))
    assert measure_ground(utm).measure == "plane"
    assert measure_ground(utm).of_pixels(utm.window)[0, 0] == 0.25
    feet = _small(4, 4, crs=CRS.from_epsg(2263), transform=Affine(1, 0, 980000, 0, -1, 200000))
    assert measure_ground(feet).of_pixels(feet.window)[0, 0] == pytest.approx(0.3048006096**2)


def test_pixels_of_unknown_size_are_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"no CRS that says where it lies, and no gsd is stated"):
        measure_ground(_small(4, 4))


def test_intervals_come_from_drawing_validation_scenes() -> None:
    one, two = np.array([[80, 20], [0, 100]]), np.array([[60, 0], [40, 100]])
    factor, low, high = area_factors([one, two])
    np.testing.assert_allclose(factor, [160 / 180, 240 / 220])
    wider = 12.7062 / 1.95996 * 2**0.5  # Student's t of one degree of freedom over the normal's
    np.testing.assert_allclose(low, factor * (np.array([60 / 100, 100 / 120]) / factor) ** wider, rtol=1e-4)
    np.testing.assert_allclose(high, factor * (np.array([100 / 80, 140 / 100]) / factor) ** wider, rtol=1e-4)
    assert area_factors([one]) is None


def test_a_class_that_a_few_draws_lack_has_an_interval_one_that_many_lack_has_none() -> None:
    often, seldom = np.diag([50, 50, 0]), np.diag([50, 50, 50])
    factor, low, high = area_factors([often, *[seldom] * 4])
    np.testing.assert_allclose([factor, low, high], 1)
    factor, low, high = area_factors([seldom, *[often] * 4])
    assert np.isnan([low[2], high[2]]).all()
    np.testing.assert_allclose([factor, np.r_[low[:2], 1]], 1)


@pytest.mark.parametrize("scenes", [3, 30])
def test_intervals_cover_what_they_should(monkeypatch: pytest.MonkeyPatch, scenes: int) -> None:
    monkeypatch.setattr("reliefseg.inference.areas.DRAWS", 400)
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(60):
        bias = rng.normal(1, 0.1, scenes)  # true over shown, scene by scene
        matrices = [np.array([[900, round(1000 * (b - 0.9))], [100, 5000]]) for b in bias]
        found = area_factors(matrices)
        inside += found[1, 0] <= 1 <= found[2, 0]
    assert 53 <= inside <= 60


def test_areas_have_intervals_only_with_validation(tmp_path: Path, class_ids: np.ndarray, grid: Grid) -> None:
    matrices = [np.array([[90, 10], [5, 95]]), np.array([[80, 20], [5, 95]])]
    write_results(Blocks(class_ids), grid, CLASSES, tmp_path / "with", validation=matrices)
    write_results(Blocks(class_ids), grid, CLASSES, tmp_path / "without")
    house = _areas(tmp_path / "with")[0]
    assert float(house["area_m2"]) == 0.25 * (class_ids == 0).sum()
    assert float(house["adjusted_m2"]) == pytest.approx(float(house["area_m2"]) * 200 / 180, abs=0.01)
    assert float(house["low_m2"]) < float(house["adjusted_m2"]) < float(house["high_m2"])
    assert (house["scenes"], house["measure"]) == ("2", "plane")
    assert {_areas(tmp_path / "without")[0][key] for key in ("adjusted_m2", "low_m2", "high_m2", "scenes")} == {""}


def test_a_class_the_validation_maps_never_show_has_no_interval(
    tmp_path: Path, class_ids: np.ndarray, grid: Grid
) -> None:
    matrices = [np.array([[90, 0], [5, 0]]), np.array([[80, 0], [5, 0]])]
    write_results(Blocks(class_ids), grid, CLASSES, tmp_path, validation=matrices)
    assert _areas(tmp_path)[1]["adjusted_m2"] == _areas(tmp_path)[1]["high_m2"] == ""


def test_of_a_class_the_validation_truth_lacks_nothing_is_known() -> None:
    """Maps that show some of it, wrongly, do not make its area 0."""
    found = area_factors([np.array([[900, 0, 30], [0, 500, 20], [0, 0, 0]])] * 5)
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(found[:, :2]).all()


def test_qgis_opens_all_in_the_right_place_and_colours(tmp_path: Path, class_ids: np.ndarray, grid: Grid) -> None:
    python = "/usr/bin/python3"
    if not Path(python).exists() or subprocess.run([python, "-c", "import qgis.core"], capture_output=True).returncode:
        pytest.skip("the system's Python has no PyQGIS")
    write_results(Blocks(class_ids), grid, CLASSES, tmp_path, ALL)
    command = [python, str(Path(__file__).with_name("qgis_opens.py")), str(tmp_path), str(tmp_path / "map.png")]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for name in ("classes", "uncertainty", "probabilities", "polygons"):
        assert told[name]["valid"]
        assert told[name]["crs"] == "EPSG:32632"
        assert told[name]["extent"] == [400000, 5599650, 400550, 5600000]
    for name in ("classes", "polygons"):
        legend = [(int(value), color, label) for value, color, label in told[name]["legend"]]
        assert legend == [(0, "#c80a1e", "house"), (1, "#007800", "tree & bush")]
        assert told[name]["drawn"] == ["#007800", "#c80a1e", "#ffffff"]
    assert told["polygons"]["features"] == 2
