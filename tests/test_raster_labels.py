"""Labels: colours, palettes, ids, polygons; nothing unknown becomes a class."""

import json
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform as transform_points

from reliefseg.errors import InputError
from reliefseg.raster import ClassSpec, ClassTable, Grid, Scene, SceneFiles, Window, list_label_values
from reliefseg.raster.contents import read_polygon_table
from reliefseg.raster.polygons import burn_polygons, unknown_values
from reliefseg.raster.scene import survey_scene

COLORS = ClassTable(
    (ClassSpec("house", (255, 0, 0)), ClassSpec("tree", (0, 255, 0)), ClassSpec("road", (255, 255, 255))), ((0, 0, 0),)
)
IDS = ClassTable(
    (ClassSpec("house", (9, 9, 9), 7), ClassSpec("tree", (8, 8, 8), 300)), ignore_ids=(0,), colors_stated=False
)
PLACE = {"transform": Affine(0.5, 0, 600000, 0, -0.5, 5700000), "crs": CRS.from_epsg(25832)}


def save(path: Path, data: np.ndarray, driver: str = "GTiff", palette: dict | None = None, **profile: Any) -> Path:
    count, height, width = data.shape
    size = {"count": count, "height": height, "width": width, "dtype": data.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver=driver, **size, **profile) as dataset:
            dataset.write(data)
            if palette is not None:
                dataset.write_colormap(1, palette)
    return path


def paint(indexes: np.ndarray, colors: list[tuple[int, int, int]]) -> np.ndarray:
    return np.moveaxis(np.array(colors, np.uint8)[indexes], -1, 0)


def scene_with(labels: Path, shape: tuple[int, int], classes: ClassTable, **files: Any) -> Scene:
    """A scene of grey pixels on the usual grid, with these labels; faults of its headers are raised."""
    image = labels.with_name("image.tif")
    if not image.exists():
        save(image, np.full((1, *shape), 50, np.uint8), **PLACE)
    scene, faults = survey_scene("s", SceneFiles(image, labels, **files), ("grey",), classes, None)
    if faults or scene is None:
        raise InputError(faults)
    return scene


@settings(max_examples=30)
@given(
    indexes=arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3)),
    data=st.data(),
)
def test_colours_become_classes_also_by_windows(
    tmp_path_factory: pytest.TempPathFactory, indexes: np.ndarray, data: st.DataObject
) -> None:
    height, width = indexes.shape
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(row, col, data.draw(st.integers(1, height - row)), data.draw(st.integers(1, width - col)))
    folder = tmp_path_factory.mktemp("c")
    painted = paint(indexes, [*COLORS.colors, (0, 0, 0)])
    expected = np.array([0, 1, 2, 255], np.uint8)[indexes]
    scene = scene_with(save(folder / "l.png", painted, "PNG"), indexes.shape, COLORS)
    np.testing.assert_array_equal(scene.read_labels(), expected)
    np.testing.assert_array_equal(scene.read_labels(window), expected[window.slices])


def test_of_a_palette_png_the_colours_count_not_the_numbers(tmp_path: Path) -> None:
    numbers = np.array([[[0, 1, 2, 3, 0]]], np.uint8)
    palette = {0: (0, 255, 0), 1: (0, 0, 0), 2: (255, 0, 0), 3: (255, 255, 255)}
    scene = scene_with(save(tmp_path / "l.png", numbers, "PNG", palette), (1, 5), COLORS)
    np.testing.assert_array_equal(scene.read_labels(), [[1, 255, 0, 2, 1]])
    values = list_label_values(tmp_path / "l.png", [Window(0, 0, 1, 2), Window(0, 2, 1, 3)])
    assert values == ("colors", Counter({"#00FF00": 2, "#000000": 1, "#FF0000": 1, "#FFFFFF": 1}))


def test_of_a_palette_the_numbers_count_where_classes_have_ids(tmp_path: Path) -> None:
    classes = replace(IDS, classes=(ClassSpec("house", (1, 1, 1), 3), ClassSpec("tree", (2, 2, 2), 1)))
    numbers = np.array([[[3, 1, 0]]], np.uint8)
    scene = scene_with(save(tmp_path / "l.png", numbers, "PNG", {1: (9, 9, 9), 3: (5, 5, 5)}), (1, 3), classes)
    np.testing.assert_array_equal(scene.read_labels(), [[0, 1, 255]])


def test_greys_are_colours_where_classes_have_no_ids(tmp_path: Path) -> None:
    scene = scene_with(save(tmp_path / "l.png", np.array([[[255, 0]]], np.uint8), "PNG"), (1, 2), COLORS)
    np.testing.assert_array_equal(scene.read_labels(), [[2, 255]])


def test_one_bit_greys_are_black_and_white(tmp_path: Path) -> None:
    bits = save(tmp_path / "l.png", np.array([[[1, 0]]], np.uint8), "PNG", nbits=1)
    np.testing.assert_array_equal(scene_with(bits, (1, 2), COLORS).read_labels(), [[2, 255]])


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32])
def test_ids_need_not_be_consecutive_and_nodata_is_ignored(tmp_path: Path, dtype: type) -> None:
    ids = np.array([[[7, 300, 0, 999]]], dtype)
    scene = scene_with(save(tmp_path / "l.tif", ids, nodata=999, **PLACE), (1, 4), IDS)
    np.testing.assert_array_equal(scene.read_labels(), [[0, 1, 255, 255]])
    assert list_label_values(tmp_path / "l.tif", [Window(0, 0, 1, 4)]) == ("ids", Counter({"7": 1, "300": 1, "0": 1}))


def test_transparent_labels_are_ignored(tmp_path: Path) -> None:
    rgba = np.array([[[255, 0, 77]], [[0, 255, 1]], [[0, 0, 2]], [[255, 255, 0]]], np.uint8)
    scene = scene_with(save(tmp_path / "l.png", rgba, "PNG"), (1, 3), COLORS)
    np.testing.assert_array_equal(scene.read_labels(), [[0, 1, 255]])


def test_labels_where_the_image_is_not_valid_are_ignored(tmp_path: Path) -> None:
    image = np.full((1, 1, 3), 50, np.uint8)
    image[0, 0, 0] = 0
    save(tmp_path / "image.tif", image, nodata=0, **PLACE)
    scene = scene_with(save(tmp_path / "l.tif", np.array([[[7, 7, 300]]], np.int16), **PLACE), (1, 3), IDS)
    np.testing.assert_array_equal(scene.read_labels(), [[255, 0, 1]])


def test_unknown_colours_are_named_with_counts(tmp_path: Path) -> None:
    painted = paint(np.zeros((40, 60), np.uint8), list(COLORS.colors))
    painted[:, :35, 0] = np.array([[0], [0xFE], [1]])
    painted[:, :21, 1:60] = np.array([0, 0xFE, 1])[:, None, None]
    painted[:, 39, :13] = np.array([0xFD, 0, 2])[:, None]
    scene = scene_with(save(tmp_path / "l.png", painted, "PNG"), (40, 60), COLORS)
    count = 21 * 59 + 35
    with pytest.raises(InputError) as caught:
        scene.read_labels()
    assert str(caught.value) == (
        f"scene s: {count + 13:,} px have colours of no class: #00FE01 ({count:,}), #FD0002 (13). "
        "Known: #FF0000 house, #00FF00 tree, #FFFFFF road. Was the file saved as JPEG?"
    )
    reading = scene.inspect_labels()
    assert reading.unknown == Counter({"#00FE01": count, "#FD0002": 13})
    assert (reading.labels == 255).sum() == count + 13


def test_quite_other_colours_are_no_jpeg_and_only_eight_are_named(tmp_path: Path) -> None:
    painted = np.full((3, 1, 12), 100, np.uint8)
    painted[2, 0] = np.arange(12) + 90
    scene = scene_with(save(tmp_path / "l.png", painted, "PNG"), (1, 12), COLORS)
    with pytest.raises(
        InputError, match=r"12 px .*#64645A \(1\).* and 4 more\. .*Add them to the classes or to \[ignore\] colors\."
    ):
        scene.read_labels()


def test_unknown_ids_are_named_with_counts(tmp_path: Path) -> None:
    ids = np.array([[[7, 8, 8, 9]]], np.uint8)
    scene = scene_with(save(tmp_path / "l.tif", ids, **PLACE), (1, 4), IDS)
    with pytest.raises(
        InputError, match=r"3 px have ids of no class: 8 \(2\), 9 \(1\)\. Known: 7 house, 300 tree\. Add .*ids\."
    ):
        scene.read_labels()


@pytest.mark.parametrize(
    ("data", "classes", "fault"),
    [
        (np.zeros((1, 4, 4), np.float32), IDS, "holds float32 values; expected whole numbers"),
        (np.zeros((3, 4, 4), np.uint16), COLORS, "holds colours of uint16; expected 8 bits"),
        (np.zeros((3, 4, 4), np.uint8), IDS, "holds colours, but the classes have ids only"),
        (np.zeros((2, 4, 4), np.uint8), IDS, "has 2 bands; expected one .* or three"),
        (np.zeros((1, 4, 4), np.uint16), COLORS, "has one band of uint16, but the classes have colours only"),
        (np.zeros((1, 4, 5), np.uint8), IDS, r"has 4 × 5 px, the image 4 × 4 \(height × width\)"),
    ],
)
def test_what_cannot_be_labels_shows_in_the_header(
    tmp_path: Path, data: np.ndarray, classes: ClassTable, fault: str
) -> None:
    labels = save(tmp_path / "l.tif", data, photometric="MINISBLACK", **PLACE)
    with pytest.raises(InputError, match=rf"scene s: labels .*l\.tif {fault}"):
        scene_with(labels, (4, 4), classes)


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ({"crs": CRS.from_epsg(25833)}, "lies in EPSG:25833, the image in EPSG:25832; reproject"),
        (
            {"transform": PLACE["transform"] @ Affine.translation(3, 0)},
            "lies on another grid: .* x 600001.5, .*gdalwarp",
        ),
        ({"transform": PLACE["transform"] @ Affine.rotation(30)}, r"0\.5 × 0\.5, rotated by -30°, the image's at"),
        ({"transform": PLACE["transform"] @ Affine.scale(1, -1)}, r"0\.5 × 0\.5, south-up, the image's at"),
    ],
)
def test_labels_that_lie_elsewhere_show_in_the_header(tmp_path: Path, place: dict[str, Any], fault: str) -> None:
    labels = save(tmp_path / "l.tif", np.full((1, 4, 4), 7, np.uint8), **PLACE | place)
    with pytest.raises(InputError, match=fault):
        scene_with(labels, (4, 4), IDS)


def test_a_million_pixels_of_colours_are_fast(tmp_path: Path) -> None:
    indexes = np.random.default_rng(0).integers(0, 3, (1000, 1000))
    scene = scene_with(save(tmp_path / "l.png", paint(indexes, list(COLORS.colors)), "PNG"), (1000, 1000), COLORS)
    start = perf_counter()
    scene.read_labels()
    assert perf_counter() - start < 3.0  # some 0.2 on an idle core


# ---------------------------------------------------------------- polygons

SHAPE = (20, 30)
SUFFIX_DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON"}


def box(row: int, col: int, height: int, width: int) -> shapely.Polygon:
    """A rectangle of pixels on the ground."""
    left, top = PLACE["transform"] @ (col, row)
    right, bottom = PLACE["transform"] @ (col + width, row + height)
    return shapely.box(left, bottom, right, top)


def save_polygons(
    path: Path,
    shapes: list[shapely.Polygon],
    values: list[Any],
    crs: str | None = "EPSG:25832",
    encoding: str = "UTF-8",
) -> Path:
    field = np.array(values, object if isinstance(values[0], str) else None)
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes)),
        [field],
        ["kind"],
        driver=SUFFIX_DRIVERS[path.suffix],
        geometry_type="Polygon",
        crs=crs,
        encoding=encoding,
    )
    return path


def to_degrees(shape: shapely.Polygon) -> shapely.Polygon:
    return shapely.transform(
        shapely.segmentize(shape, 1.0),
        lambda xy: np.column_stack(transform_points(PLACE["crs"], CRS.from_epsg(4326), *xy.T)),
    )


def expected_labels(background: int = 255) -> np.ndarray:
    labels = np.full(SHAPE, background, np.uint8)
    labels[2:10, 3:9] = 0
    labels[5:12, 6:20] = 1
    return labels


SHAPES = [box(2, 3, 8, 6), box(5, 6, 7, 14)]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson"])
def test_polygons_are_burnt_later_ones_above(tmp_path: Path, suffix: str) -> None:
    in_degrees = suffix == ".geojson"
    shapes = [to_degrees(s) for s in SHAPES] if in_degrees else SHAPES
    crs = "EPSG:4326" if in_degrees else "EPSG:25832"
    path = save_polygons(tmp_path / f"l{suffix}", shapes, ["house", "tree"], crs)
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    np.testing.assert_array_equal(scene.read_labels(), expected_labels())


@settings(max_examples=30)
@given(rows=st.tuples(st.integers(0, 19), st.integers(0, 19)), cols=st.tuples(st.integers(0, 29), st.integers(0, 29)))
def test_polygons_by_windows(
    tmp_path_factory: pytest.TempPathFactory, rows: tuple[int, int], cols: tuple[int, int]
) -> None:
    window = Window(min(rows), min(cols), abs(rows[0] - rows[1]) + 1, abs(cols[0] - cols[1]) + 1)
    path = save_polygons(tmp_path_factory.mktemp("p") / "l.gpkg", SHAPES, ["house", "tree"])
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    np.testing.assert_array_equal(scene.read_labels(window), expected_labels()[window.slices])


def test_what_no_polygon_covers_can_be_a_class(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", SHAPES, ["house", "tree"])
    scene = scene_with(path, SHAPE, COLORS, class_column="kind", unlabelled_is="road")
    np.testing.assert_array_equal(scene.read_labels(), expected_labels(background=2))


def test_the_column_may_hold_ids(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", SHAPES, [7, 300])
    scene = scene_with(path, SHAPE, IDS, class_column="kind")
    np.testing.assert_array_equal(scene.read_labels(), expected_labels())


def test_polygon_values_of_no_class_are_counted(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", [*SHAPES, SHAPES[0]], ["house", "hose", "hose"])
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    with pytest.raises(
        InputError, match=r"2 polygons of .* are of no class: hose \(2\) in column 'kind'. Known: house, tree, road"
    ):
        scene.read_labels()


def test_polygons_for_an_image_without_georeferencing_are_in_pixels(tmp_path: Path) -> None:
    save(tmp_path / "image.tif", np.full((1, *SHAPE), 50, np.uint8))
    for name, sign in (("down", 1), ("up", -1)):
        rings = [[[3, 2], [9, 2], [9, 10], [3, 10], [3, 2]], [[6, 5], [20, 5], [20, 12], [6, 12], [6, 5]]]
        features = [
            {
                "type": "Feature",
                "properties": {"kind": kind},
                "geometry": {"type": "Polygon", "coordinates": [[[x, sign * y] for x, y in ring]]},
            }
            for kind, ring in zip(["house", "tree"], rings, strict=True)
        ]
        path = tmp_path / f"{name}.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        scene = scene_with(path, SHAPE, COLORS, class_column="kind")
        np.testing.assert_array_equal(scene.read_labels(), expected_labels())


@pytest.mark.parametrize(
    ("column", "crs", "fault"),
    [
        (None, "EPSG:25832", r"holds polygons; say which column names the class"),
        ("class", "EPSG:25832", r"has no column 'class'; there are kind"),
        ("kind", None, r"has no CRS, but the image has \(EPSG:25832\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_polygon_files_that_cannot_be_labels(tmp_path: Path, column: str | None, crs: str | None, fault: str) -> None:
    path = save_polygons(tmp_path / "l.gpkg", SHAPES, ["house", "tree"], crs)
    with pytest.raises(InputError, match=fault):
        scene_with(path, SHAPE, COLORS, class_column=column)


def test_many_polygons_keep_their_order(tmp_path: Path) -> None:
    """A GeoPackage gives those in a box in the order of its index, which differs once there are many."""
    rng = np.random.default_rng(0)
    places = [(int(rng.integers(16)), int(rng.integers(24)), 4, 6) for _ in range(500)]
    names = [COLORS.names[i] for i in rng.integers(0, 3, len(places))]
    path = save_polygons(tmp_path / "l.gpkg", [box(*place) for place in places], names)
    expected = np.full(SHAPE, 255, np.uint8)
    for (row, col, height, width), name in zip(places, names, strict=True):
        expected[row : row + height, col : col + width] = COLORS.names.index(name)
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    np.testing.assert_array_equal(scene.read_labels(), expected)


def save_features(path: Path, *geometries: shapely.Geometry) -> Path:
    features = [
        {"type": "Feature", "properties": {"kind": "house"}, "geometry": shapely.geometry.mapping(geometry)}
        for geometry in geometries
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_in_pixels_one_polygon_may_stray_over_the_edge(tmp_path: Path) -> None:
    save(tmp_path / "image.tif", np.full((1, *SHAPE), 50, np.uint8))
    path = save_features(tmp_path / "l.geojson", shapely.box(3, -10, 9, 2), shapely.box(6, -12, 20, -5))
    labels = scene_with(path, SHAPE, COLORS, class_column="kind").read_labels()
    expected = np.full(SHAPE, 255, np.uint8)
    expected[:10, 3:9] = 0
    expected[5:12, 6:20] = 0
    np.testing.assert_array_equal(labels, expected)


def test_polygons_in_degrees_may_reach_round_the_world(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", [shapely.box(-180, -90, 180, 90)], ["tree"], "EPSG:4326")
    assert (scene_with(path, SHAPE, COLORS, class_column="kind").read_labels() == 1).all()


def test_a_long_edge_along_a_parallel_bends_with_it(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", [shapely.box(8.6, 50.9, 9.4, 51)], ["tree"], "EPSG:4326")
    _, (y,) = transform_points(CRS.from_epsg(4326), CRS.from_epsg(25832), [9], [51])
    grid = Grid(120, 36_000, Affine(1, 0, 482_000, 0, -1, y + 60), CRS.from_epsg(25832))
    labels = burn_polygons(path, grid, grid.window, COLORS, "kind", None).labels
    rows, cols = np.mgrid[:120, :36_000:500].reshape(2, -1)
    xs, ys = grid.transform @ (cols + 0.5, rows + 0.5)
    above = (np.array(transform_points(grid.crs, CRS.from_epsg(4326), xs, ys)[1]) - 51) * 111_000
    clear = np.abs(above) > 0.2
    np.testing.assert_array_equal((labels[rows, cols] == 1)[clear], (above < 0)[clear])
    part = Window(50, 9_000, 30, 5_000)
    np.testing.assert_array_equal(burn_polygons(path, grid, part, COLORS, "kind", None).labels, labels[part.slices])


SITE = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')


@pytest.mark.filterwarnings("ignore:.crs. was not provided")
def test_polygons_of_a_site_with_a_crs_of_its_own(tmp_path: Path) -> None:
    save(tmp_path / "image.tif", np.full((1, *SHAPE), 50, np.uint8), **PLACE | {"crs": SITE})
    path = save_polygons(tmp_path / "l.gpkg", SHAPES, ["house", "tree"], None)
    labels = scene_with(path, SHAPE, COLORS, class_column="kind").read_labels()
    np.testing.assert_array_equal(labels, expected_labels())
    path = save_polygons(tmp_path / "m.gpkg", SHAPES, ["house", "tree"])
    with pytest.raises(InputError, match=r"lies in EPSG:25832, which cannot be converted into the image's CRS"):
        scene_with(path, SHAPE, COLORS, class_column="kind")


def test_a_spike_is_no_polygon_and_a_line_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "image.tif", np.full((1, *SHAPE), 50, np.uint8))
    spiked = shapely.Polygon([(2, 2), (8, 2), (8, 5), (25, 5), (8, 5), (8, 8), (2, 8)])
    path = save_features(tmp_path / "l.geojson", spiked)
    assert (scene_with(path, SHAPE, COLORS, class_column="kind").read_labels() == 0).sum() == 36
    save_features(path, spiked, shapely.LineString([(0, 0), (9, 9)]))
    with pytest.raises(InputError, match="holds 1 LineString besides polygons"):
        scene_with(path, SHAPE, COLORS, class_column="kind").read_labels()


def test_a_damaged_polygon_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "l.gpkg").write_bytes(b"SQLite format 3\0 and then nothing")
    with pytest.raises(InputError, match=r"l\.gpkg: cannot be read"):
        scene_with(tmp_path / "l.gpkg", SHAPE, COLORS, class_column="kind")


def save_rings(path: Path, *rings: list[tuple[float, float]]) -> Path:
    """Rings as scripts write them, closed or not, in the usual place's columns and rows."""
    rings_there = [[PLACE["transform"] @ corner for corner in ring] for ring in rings]
    features = [
        {"type": "Feature", "properties": {"kind": "tree"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for ring in rings_there
    ]
    crs = {"type": "name", "properties": {"name": "EPSG:25832"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return path


@pytest.mark.filterwarnings("ignore:Non closed ring detected")
def test_rings_that_are_not_closed_are_closed_also_over_the_edge(tmp_path: Path) -> None:
    inside, over = [(3, 2), (9, 2), (9, 10), (3, 10)], [(20, 5), (90, 5), (90, 12), (20, 12)]
    path = save_rings(tmp_path / "l.geojson", inside, over)
    expected = np.full(SHAPE, 255, np.uint8)
    expected[2:10, 3:9] = expected[5:12, 20:] = 1
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    np.testing.assert_array_equal(scene.read_labels(), expected)
    part = Window(4, 5, 3, 20)
    np.testing.assert_array_equal(scene.read_labels(part), expected[part.slices])


@pytest.mark.filterwarnings("ignore:Non closed ring detected")
@pytest.mark.parametrize("ring", [[(3, 2)], [(3, 2), (3, 2)], [(3, 2), (9, float("nan")), (9, 10), (3, 2)]])
def test_rings_that_cannot_be_closed_are_told(tmp_path: Path, ring: list[tuple[float, float]]) -> None:
    path = save_rings(tmp_path / "l.geojson", [(3, 2), (9, 2), (9, 10), (3, 2)], ring)
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    with pytest.raises(InputError, match=r"l\.geojson: shapes that have rings of fewer .*: 1 \(feature 1\)"):
        scene.read_labels()


@pytest.mark.parametrize("suffix", [".shp", ".dbf"])
def test_a_shapefile_that_is_half_copied_is_told(tmp_path: Path, suffix: str) -> None:
    path = save_polygons(tmp_path / "l.shp", SHAPES * 20, ["house", "tree"] * 20)
    part = path.with_suffix(suffix)
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    with pytest.raises(InputError, match=r"l\.shp: cannot be read .*; is it damaged"):
        scene.read_labels()


def test_a_geopackage_with_a_damaged_shape_is_told(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", SHAPES, ["house", "tree"])
    content = path.read_bytes()
    at = content.rfind(b"GP\0") + 8
    path.write_bytes(content[:at] + b"\xff" * 52 + content[at + 52 :])
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    with pytest.raises(InputError, match=r"l\.gpkg: cannot be read \(Unable to read geometry\)"):
        scene.read_labels()


def test_an_empty_geojson_is_all_background(tmp_path: Path) -> None:
    path = tmp_path / "l.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    scene = scene_with(path, SHAPE, COLORS, class_column="kind", unlabelled_is="road")
    assert (scene.read_labels() == 2).all()
    assert not unknown_values(path, scene.grid, COLORS, "kind")


ENCODING = "its text is not in the encoding it claims, UTF-8"


def test_text_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.shp", SHAPES, ["house", "straße"], encoding="ISO-8859-1")
    (tmp_path / "l.cpg").write_text("UTF-8")
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    with pytest.raises(InputError, match=rf"l\.shp: {ENCODING} .*state its encoding \(ISO-8859-1, say\) in l\.cpg"):
        scene.read_labels()
    with pytest.raises(InputError, match=rf"l\.shp: {ENCODING}"):
        read_polygon_table(path)


def test_columns_named_in_another_encoding_are_told(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.geojson", SHAPES, ["house", "tree"])
    path.write_bytes(path.read_bytes().replace(b"kind", "größe".encode("latin-1")))
    for read in (lambda: scene_with(path, SHAPE, COLORS, class_column="kind"), lambda: read_polygon_table(path)):
        with pytest.raises(InputError, match=rf"l\.geojson: {ENCODING} .*save it as UTF-8 or as GeoPackage"):
            read()


def test_a_file_without_polygons_labels_nothing(tmp_path: Path) -> None:
    path = save_polygons(tmp_path / "l.gpkg", [shapely.box(0, 0, 1, 1)], ["house"])
    scene = scene_with(path, SHAPE, COLORS, class_column="kind")
    assert (scene.read_labels() == 255).all()
