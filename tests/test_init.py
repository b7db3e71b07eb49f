"""`init`: what lies in a folder becomes a data-set file that loads and checks, and nothing is passed over."""

import json
import os
import re
import shutil
import tomllib
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from reliefseg.errors import InputError
from reliefseg.raster import Dataset, Grid, Proposal, check_dataset, init_dataset, load_dataset
from reliefseg.raster.names import pair_files, settle_roles
from reliefseg.raster.proposing import propose_splits


def save(path: Path, data: np.ndarray, driver: str | None = None, **profile: Any) -> Path:
    """A raster whose format its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    by_suffix = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
    count, height, width = data.shape
    size = {"count": count, "height": height, "width": width, "dtype": data.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        driver = driver or by_suffix.get(path.suffix.lower(), "GTiff")
        with rasterio.open(path, "w", driver=driver, **size, **profile) as dataset:
            dataset.write(data)
    return path


def place(number: int, gsd: float = 0.2) -> dict[str, Any]:
    return {"transform": Affine(gsd, 0, 600000 + 1000 * number, 0, -gsd, 5700000), "crs": CRS.from_epsg(25832)}


def photo(bands: int = 3, height: int = 30, width: int = 40) -> np.ndarray:
    return np.random.default_rng(1).integers(1, 255, (bands, height, width), np.uint8)


def ids(*values: int, height: int = 30, width: int = 40) -> np.ndarray:
    """One band in stripes of these ids, as wide as each other."""
    stripes = np.arange(width) * len(values) // width
    return np.broadcast_to(np.array(values, np.uint8)[stripes], (1, height, width)).copy()


def colors(*values: tuple[int, int, int], height: int = 30, width: int = 40) -> np.ndarray:
    stripes = np.arange(width) * len(values) // width
    row = np.array(values, np.uint8)[stripes].T
    return np.broadcast_to(row[:, None], (3, height, width)).copy()


RED, GREEN = (200, 0, 0), (0, 200, 0)


def clean(root: Path) -> tuple[Proposal, Dataset]:
    """What is proposed; the file must load and check without an error."""
    proposal = init_dataset(root)
    assert proposal.faults == (), proposal.faults
    assert check_dataset(root).errors == ()
    dataset = load_dataset(root)
    assert set(dataset.scenes) == set(proposal.scenes)
    assert {s: list(n) for s, n in dataset.splits.items()} == proposal.splits
    json.dumps(proposal.to_json(), allow_nan=False)
    assert f"Wrote {root / 'dataset.toml'}" in proposal.to_text()
    return proposal, dataset


def pairs_of(root: Path, role: str = "labels") -> dict[str, str | None]:
    """Image to companion, relative to the folder, as the written file means it."""
    _, dataset = clean(root)
    found = {s.image: getattr(s, role) for s in dataset.scenes.values()}
    return {str(i.relative_to(root)): c and str(c.relative_to(root)) for i, c in found.items()}


def says(lines: tuple[str, ...], match: str) -> bool:
    return any(re.search(match, line) for line in lines)


# ---------------------------------------------------------------- usual folders


def test_a_few_real_scenes(dubai: Path, tmp_path: Path) -> None:
    for name in ("tile2_part004", "tile4_part003", "tile5_part007"):
        for source in (dubai / "images" / f"{name}.jpg", dubai / "masks" / f"{name}.png"):
            (tmp_path / source.parent.name).mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / source.parent.name)
    proposal, _ = clean(tmp_path)
    assert proposal.files == {"images": "images/{scene}.jpg", "labels": "masks/{scene}.png"}
    assert {c.color for c in proposal.classes} >= {"#3C1098", "#8429F6", "#6EC1E4", "#FEDD3A", "#E2A929"}
    assert proposal.bands == ("red", "green", "blue")
    assert sorted(map(len, proposal.splits.values())) == [1, 1, 1]
    assert says(proposal.unknown, "the gsd")


def test_geotiffs_with_ids(tmp_path: Path) -> None:
    for n in range(5):
        save(tmp_path / "img" / f"town_{n}.tif", photo(), **place(n))
        save(tmp_path / "gt" / f"town_{n}.tif", ids(7, 0, 7, 255), **place(n))
    proposal, _ = clean(tmp_path)
    assert proposal.files == {"images": "img/{scene}.tif", "labels": "gt/{scene}.tif"}
    assert [(c.name, c.id, c.count, c.share) for c in proposal.classes] == [
        ("class_1", 0, 1500, 0.25),
        ("class_2", 7, 3000, 0.5),
        ("class_3", 255, 1500, 0.25),
    ]
    assert {s: len(n) for s, n in proposal.splits.items()} == {"pixel_labelled": 3, "validation": 1, "test": 1}
    assert says(proposal.unknown, "whether the id 255 is a class or means unlabelled")
    assert not says(proposal.unknown, "gsd")


def test_counts_stand_in_the_file_as_comments(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photo())
    save(tmp_path / "labels" / "a.png", colors(RED, RED, GREEN, (0, 0, 0)))
    clean(tmp_path)
    text = (tmp_path / "dataset.toml").read_text()
    assert '# 600 px (50.0 %)\nname = "class_1"\ncolor = "#C80000"' in text
    assert "# * whether black (#000000) is a class or means unlabelled" in text
    assert "# * the names of the classes: rename class_1" in text


def test_files_without_labels(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / f"{name}.tif", photo(), **place(ord(name)))
    proposal, _ = clean(tmp_path)
    assert (proposal.files, proposal.splits) == ({"images": "{scene}.tif"}, {"unlabelled": ["a", "b"]})
    assert says(proposal.unknown, "the classes: there are no labels")


def test_scenes_without_labels_are_unlabelled(tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / "images" / f"{name}.png", photo())
    save(tmp_path / "labels" / "b.png", ids(1, 2))
    proposal, _ = clean(tmp_path)
    assert proposal.splits == {"pixel_labelled": ["b"], "unlabelled": ["a", "c", "d"]}
    assert says(proposal.unknown, "one place with labels only, so no test scene")


def test_heights_and_ground(tmp_path: Path) -> None:
    for n in range(3):
        save(tmp_path / "ortho" / f"{n}.tif", photo(), **place(n))
        save(tmp_path / "dsm" / f"{n}.tif", photo(1).astype(np.float32) + 90, **place(n))
        save(tmp_path / "dtm" / f"{n}.tif", np.full((1, 30, 40), 80, np.float32), **place(n))
    proposal, _ = clean(tmp_path)
    assert proposal.files == {
        "images": "ortho/{scene}.tif",
        "heights": "dsm/{scene}.tif",
        "ground": "dtm/{scene}.tif",
        "heights_are": "dsm",
    }


@pytest.mark.parametrize(
    ("name", "offset", "expected"), [("ndsm", 50, "ndsm"), ("height", 0, "ndsm"), ("height", 300, "dsm")]
)
def test_heights_are(tmp_path: Path, name: str, offset: float, expected: str) -> None:
    save(tmp_path / "a_rgb.tif", photo(), **place(1))
    save(tmp_path / f"a_{name}.tif", np.linspace(0, 20, 1200, dtype=np.float32).reshape(1, 30, 40) + offset, **place(1))
    proposal, dataset = clean(tmp_path)
    assert proposal.files["heights_are"] == expected
    assert next(iter(dataset.scenes.values())).has_heights


def test_terrain_alone_and_coloured_heights_are_left_out(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.tif", photo(), **place(1))
    save(tmp_path / "dtm" / "a.tif", photo(1).astype(np.float32), **place(1))
    save(tmp_path / "dsm" / "a.tif", photo(3), **place(1))
    save(tmp_path / "previews" / "a.png", photo(3))
    proposal, _ = clean(tmp_path)
    assert says(proposal.left_out, r"dtm/a\.tif: is left out, for terrain without a surface model")
    assert says(proposal.left_out, r"dsm/a\.tif: is left out, for heights have one band, and this has 3")
    assert says(proposal.left_out, r"previews/a\.png: is left out, for its name says")


# ---------------------------------------------------------------- bands


@pytest.mark.parametrize(("count", "expected"), [(1, "grey"), (3, "red green blue"), (4, "red green blue nir")])
def test_bands_by_their_number(tmp_path: Path, count: int, expected: str) -> None:
    save(tmp_path / "a.tif", photo(count), photometric="minisblack", **place(0))
    assert clean(tmp_path)[0].bands == tuple(expected.split())


def test_a_fourth_band_that_gdal_calls_alpha_is_near_infrared(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", photo(4), **place(0))
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.colorinterp[3] is ColorInterp.alpha
    assert clean(tmp_path)[0].bands == ("red", "green", "blue", "nir")


def test_real_alpha_is_no_band(tmp_path: Path) -> None:
    image = photo(4)
    image[3] = np.where(image[3] > 50, 255, 0)
    save(tmp_path / "a.tif", image, **place(0))
    save(tmp_path / "b.png", photo(4))
    assert clean(tmp_path)[0].bands == ("red", "green", "blue")


def test_bands_as_the_file_calls_them(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", photo(3).astype(np.uint16), **place(0))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("NIR", "Red Edge", "red")
    proposal, _ = clean(tmp_path)
    assert proposal.bands == ("nir", "red_edge", "red")
    assert says(proposal.unknown, "as the files call them")


def test_a_name_that_says_infrared(tmp_path: Path) -> None:
    save(tmp_path / "IRRG" / "a.tif", photo(), **place(0))
    assert clean(tmp_path)[0].bands == ("nir", "red", "green")


def test_an_image_with_other_bands_is_told(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.tif", photo(1 if name == "b" else 3), **place(ord(name)))
    proposal = init_dataset(tmp_path)
    assert says(proposal.unknown, r"1 images seem to have other bands: b\.tif \(grey\)")
    assert says(proposal.faults, "scene b: the image has 1 bands")


# ---------------------------------------------------------------- how files are named

PAIRED = {
    "suffix in one folder": {"a.tif": "a_label.tif", "b.tif": "b_label.tif"},
    "prefix in one folder": {"a.tif": "gt_a.tif", "b.tif": "gt_b.tif"},
    "both with suffixes": {"x/top_2_10_RGB.tif": "y/top_2_10_gt.tif", "x/top_2_11_RGB.tif": "y/top_2_11_gt.tif"},
    "folder a scene": {"s1/ortho.tif": "s1/mask.png", "s2/ortho.tif": "s2/mask.png"},
    "scene in folder and name": {"s1/s1_rgb.tif": "s1/s1_gt.tif", "s2/s2_rgb.tif": "s2/s2_gt.tif"},
    "train and test": {"train/images/1.png": "train/masks/1.png", "test/images/1.png": "test/masks/1.png"},
    "capitals": {"IMG/A.TIF": "LABELS/A.PNG", "IMG/B.TIF": "LABELS/B.PNG"},
    "mixed suffixes": {"img/a.jpg": "gt/a.png", "img/b.png": "gt/b.png", "img/c.TIF": "gt/c.tif"},
    "zeros": {"images/p_2_1.png": "labels/p_02_01.png", "images/p_2_12.png": "labels/p_02_12.png"},
    "numbers alike": {"img/top_area1.tif": "gt/ground_truth_x_area1.tif", "img/top_area11.tif": "gt/x_area11.tif"},
    "image in both": {"images/image_01.jpg": "masks/image_01.png", "images/image_02.jpg": "masks/image_02.png"},
    "nested": {"d/images/x/a.png": "d/labels/a.png", "d/images/y/b.png": "d/labels/b.png"},
    "brackets": {"my images/a [1].png": "my labels/a [1].png", "my images/a {2}.png": "my labels/a {2}.png"},
    "letters inside words": {"a.png": "label_a.png", "b.png": "label_b.png", "l.png": "label_l.png"},
    "one within another": {"a.tif": "a_mask.tif", "a_1.tif": "a_1_mask.tif", "a_1_1.tif": "a_1_1_mask.tif"},
    "dots": {"images/a.v1.png": "labels/a.v1.png", "images/a.v2.png": "labels/a.v2.png"},
    "percent and quotes": {"images/50%'\"\\.png": "labels/50%'\"\\.png"},
}


@pytest.mark.parametrize("pairs", PAIRED.values(), ids=PAIRED.keys())
def test_files_are_paired_by_name(tmp_path: Path, pairs: dict[str, str]) -> None:
    for image, labels in pairs.items():
        save(tmp_path / image, photo())
        save(tmp_path / labels, ids(1, 2))
    assert pairs_of(tmp_path) == pairs


def test_contents_say_which_are_labels(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.jpg", photo())
        save(tmp_path / f"{name}.png", colors(RED, GREEN))
    assert pairs_of(tmp_path) == {f"{n}.jpg": f"{n}.png" for n in "abc"}


def test_two_folders_of_unknown_meaning(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "x" / f"{name}.tif", photo(), **place(ord(name)))
        save(tmp_path / "y" / f"{name}.tif", ids(0, 3), **place(ord(name)))
    assert pairs_of(tmp_path) == {f"x/{n}.tif": f"y/{n}.tif" for n in "abc"}


def test_names_that_pair_in_several_ways(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "images" / f"{name}.tif", photo(), **place(ord(name)))
        save(tmp_path / "labels" / f"{name}.png", ids(1, 2))
    save(tmp_path / "masks" / "a.png", ids(5, 6))
    save(tmp_path / "images" / "b.jpg", photo())
    proposal, _ = clean(tmp_path)
    assert proposal.files == {"images": "images/{scene}.tif", "labels": "labels/{scene}.png"}
    assert says(proposal.left_out, r"masks/a\.png: is left out, for images/a\.tif has labels/a\.png as its labels")
    assert says(proposal.left_out, r"images/b\.jpg: is left out, for it shows the same scene as images/b\.tif")
    assert {c.id for c in proposal.classes} == {1, 2}


def test_labels_that_fit_two_images_go_to_neither(tmp_path: Path) -> None:
    for image in ("x/a.tif", "y/a.tif"):
        save(tmp_path / image, photo(), **place(len(image) + ord(image[0])))
    save(tmp_path / "labels" / "a.png", ids(1, 2))
    proposal, dataset = clean(tmp_path)
    assert len(dataset.scenes) == 2
    assert says(proposal.left_out, r"labels/a\.png: is left out, for no one image goes with these labels")


def test_labels_without_an_image(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / f"{name}.png", photo())
        save(tmp_path / f"{name}_label.png", ids(1, 2))
    save(tmp_path / "z_label.png", ids(1, 2))
    proposal, dataset = clean(tmp_path)
    assert sorted(dataset.scenes) == ["a", "b"]
    assert all(scene.has_labels for scene in dataset.scenes.values())
    assert says(proposal.left_out, r"z_label\.png: is left out")


def test_pairs_by_numbers_alone_are_doubted(tmp_path: Path) -> None:
    for n in (1, 2):
        save(tmp_path / "images" / f"north{n}.png", photo())
        save(tmp_path / "labels" / f"drawn{n}.png", ids(1, 2))
    proposal, _ = clean(tmp_path)
    assert says(proposal.unknown, r"whether 2 files are paired well, only by a number or so: labels/drawn1\.png")


WORD = st.text("ab1_-. ", min_size=1, max_size=6).filter(lambda text: text.strip(". ") == text)


@settings(max_examples=60)
@given(st.sets(WORD, min_size=1, max_size=6), st.sampled_from(["{}_mask", "gt_{}", "{}"]))
def test_every_scene_finds_its_own_labels(names: set[str], shape: str) -> None:
    images = {n: PurePosixPath(f"images/{n}.png") for n in names}
    labels = {n: PurePosixPath(f"labels/{shape.format(n)}.png") for n in names}
    named = settle_roles([*images.values(), *labels.values()], lambda path: False)
    assert pair_files(named).scenes == {images[n]: {"labels": labels[n]} for n in names}


# ---------------------------------------------------------------- labels that are none


def test_labels_saved_as_jpeg(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "images" / f"{name}.jpg", photo(height=64, width=64))
        save(tmp_path / "labels" / f"{name}.jpg", colors(RED, GREEN, (10, 20, 250), height=64, width=64), quality=60)
    proposal = init_dataset(tmp_path)
    assert says(
        proposal.unknown, r"WARNING: 3 label files are JPEG \(a\.jpg, b\.jpg, c\.jpg\): its compression changes"
    )
    assert "# * WARNING: 3 label files are JPEG" in (tmp_path / "dataset.toml").read_text()


def test_thousands_of_colours(tmp_path: Path) -> None:
    labels = colors(RED, GREEN, height=120, width=160)
    labels[:, :, 40:80] = photo(3, 120, 40)
    save(tmp_path / "images" / "a.png", photo(height=120, width=160))
    save(tmp_path / "labels" / "a.png", labels)
    proposal = init_dataset(tmp_path)
    assert says(proposal.unknown, r"WARNING: the labels hold 4,\d{3} different colors: .* no classes but blends")
    assert [c.color for c in proposal.classes] == ["#00C800", "#C80000"]
    assert says(check_dataset(tmp_path).errors, "different colours are blends")


def test_a_photograph_as_labels(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photo(height=120, width=160))
    save(tmp_path / "labels" / "a.png", photo(height=120, width=160))
    proposal = init_dataset(tmp_path)
    assert says(proposal.unknown, "WARNING")
    assert len(proposal.classes) <= 64


def test_colours_and_ids_together(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "images" / f"{name}.png", photo())
        save(tmp_path / "labels" / f"{name}.png", ids(1, 2) if name == "c" else colors(RED, GREEN))
    proposal = init_dataset(tmp_path)
    assert says(proposal.unknown, r"labels of two kinds: most hold colors, but not c\.png")


def test_rasters_that_can_be_no_labels_are_passed_over(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "images" / f"{name}.tif", photo())
        labels = colors(RED, GREEN)
        save(tmp_path / "labels" / f"{name}.tif", labels if name == "a" else labels.astype(np.uint16) * 257)
    proposal = init_dataset(tmp_path)
    assert says(proposal.unknown, r"labels b\.tif are passed over: the file holds colours of uint16; expected 8 bits")
    assert {c.color for c in proposal.classes} == {"#00C800", "#C80000"}


# ---------------------------------------------------------------- polygons and tables


def save_polygons(path: Path, columns: dict[str, list[Any]], numbers: list[int], driver: str | None = None) -> None:
    """A polygon for each scene number, over the middle of the scene."""
    boxes = [shapely.box(600000 + 1000 * n + 1, 5700000 - 5, 600000 + 1000 * n + 5, 5700000 - 1) for n in numbers]
    fields = [np.array(v, object if isinstance(v[0], str) else np.int64) for v in columns.values()]
    wkb = shapely.to_wkb(np.array(boxes))
    crs = "EPSG:25832"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(path, wkb, fields, list(columns), geometry_type="Polygon", crs=crs, driver=driver)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
def test_one_file_of_polygons_for_all_scenes(tmp_path: Path, suffix: str) -> None:
    for n in range(4):
        save(tmp_path / f"{n}.tif", photo(), **place(n))
    columns = {"nr": [10, 11, 12, 13], "kind": ["house", "tree", "house", "tree"]}
    save_polygons(tmp_path / f"drawn{suffix}", columns, [0, 0, 1, 1])
    proposal, dataset = clean(tmp_path)
    assert proposal.files == {"images": "{scene}.tif", "labels": f"drawn{suffix}", "class_column": "kind"}
    assert [(c.name, c.count) for c in proposal.classes] == [("house", 2), ("tree", 2)]
    assert sorted([*proposal.splits["pixel_labelled"], *proposal.splits["test"]]) == ["0", "1"]
    assert proposal.splits["unlabelled"] == ["2", "3"]
    assert (dataset.scenes["1"].read_labels() < 2).any()


def test_polygons_for_each_scene_with_numbers(tmp_path: Path) -> None:
    for n in range(2):
        save(tmp_path / "images" / f"s{n}.tif", photo(), **place(n))
    (tmp_path / "labels").mkdir()
    for n in range(2):
        save_polygons(tmp_path / "labels" / f"s{n}.gpkg", {"class_id": [3, 5, 3]}, [n, n, n])
    proposal, _ = clean(tmp_path)
    assert proposal.files["labels"] == "labels/{scene}.gpkg"
    assert [(c.name, c.id, c.count) for c in proposal.classes] == [("class_1", 3, 4), ("class_2", 5, 2)]


def test_codes_with_leading_zeros_are_names(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", photo(), **place(0))
    save_polygons(tmp_path / "a.gpkg", {"class": ["010", "021", "010"]}, [0, 0, 0])
    proposal, dataset = clean(tmp_path)
    assert [(c.name, c.id, c.count) for c in proposal.classes] == [("010", 1, 2), ("021", 2, 1)]
    assert (dataset.scenes["a"].read_labels() < 2).any()


def test_polygons_drawn_over_a_large_image_without_georeferencing(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(height=20, width=1500))
    square = shapely.geometry.mapping(shapely.box(1200, -18, 1300, -2))  # rows count downwards from 0, as QGIS has them
    features = [{"type": "Feature", "properties": {"class": "house"}, "geometry": square}]
    (tmp_path / "drawn.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    proposal, dataset = clean(tmp_path)
    assert proposal.splits == {"pixel_labelled": ["a"]}
    assert (dataset.scenes["a"].read_labels() == 0).sum() == 1600


def test_polygons_without_a_column_of_classes(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", photo(), **place(0))
    pyogrio.raw.write(
        tmp_path / "area.gpkg", shapely.to_wkb(np.array([shapely.box(0, 0, 1, 1)])), [], [],
        geometry_type="Polygon", crs="EPSG:25832",
    )  # fmt: skip
    proposal, _ = clean(tmp_path)
    assert says(proposal.left_out, r"area\.gpkg: is left out, for no column of its polygons names classes")


@pytest.mark.parametrize("file", ["labels.gpkg", "labels/a.gpkg"])
def test_several_layers_with_the_same_column(tmp_path: Path, file: str) -> None:
    save(tmp_path / "images" / "a.tif", photo(), **place(0))
    (tmp_path / file).parent.mkdir(exist_ok=True)
    square = shapely.to_wkb(np.array([shapely.box(600001, 5699995, 600005, 5699999)] * 2))
    for number, layer in enumerate(("buildings", "roads")):
        pyogrio.raw.write(
            tmp_path / file, square, [np.array(["x", "x"], object)], ["class"], layer=layer,
            geometry_type="Polygon", crs="EPSG:25832", append=number > 0,
        )  # fmt: skip
    proposal, _ = clean(tmp_path)
    told = r"\.gpkg: several layers have the column 'class' \(buildings, roads\); expected one"
    assert says(proposal.left_out, told)
    assert [row.name for row in proposal.classes] == ["class_1"]


def test_a_table_of_tile_labels(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "images" / f"{name}.png", photo())
    (tmp_path / "tiles.csv").write_text("scene,row,col,height,width,house,tree\na,0,0,8,8,1,0\nc,0,0,8,8,0,1\n")
    proposal, dataset = clean(tmp_path)
    assert proposal.tile_labels == "tiles.csv"
    assert dataset.classes.names == ("house", "tree")
    assert proposal.splits == {"tile_labelled": ["a", "c"], "unlabelled": ["b"]}
    assert len(dataset.tile_labels()) == 2


def test_a_table_of_tile_labels_as_excel_writes_it(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photo())
    rows = "scene;row;col;height;width;house;tree\r\na ;0;0;8;8;1;0\r\n;;;;;;\r\n"
    (tmp_path / "tiles.csv").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    proposal, dataset = clean(tmp_path)
    assert proposal.tile_labels == "tiles.csv"
    assert proposal.splits == {"tile_labelled": ["a"]}
    assert dataset.classes.names == ("house", "tree")


def test_a_table_of_tile_labels_beside_labels(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photo())
    save(tmp_path / "labels" / "a.png", ids(1, 2))
    (tmp_path / "tiles.csv").write_text("scene,row,col,height,width,house,tree\na,0,0,8,8,1,0\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    proposal, _ = clean(tmp_path)
    assert says(proposal.left_out, r"tiles\.csv: is left out, for its columns name classes \(house, tree\)")
    assert not says(proposal.left_out, "other")


# ---------------------------------------------------------------- splits


def test_scenes_that_overlap_stay_together(tmp_path: Path) -> None:
    for n in range(12):
        save(tmp_path / "images" / f"{n}.tif", photo(), **place(n // 2))
        if n != 11:
            save(tmp_path / "labels" / f"{n}.tif", ids(1, 2), **place(n // 2))
    proposal, _ = clean(tmp_path)
    assert says(proposal.unknown, "no split holds 11: they show ground of labelled scenes")
    assert len(proposal.splits["test"]) == 2 or "10" in proposal.splits["test"]


@settings(max_examples=60)
@given(st.integers(0, 40), st.integers(0, 40))
def test_splits_share_nothing_and_lose_nothing(count: int, labelled: int) -> None:
    grids = {f"s{n}": Grid(8, 8) for n in range(count)}
    named = {f"s{n}" for n in range(min(count, labelled))}
    proposed = propose_splits(grids, named)
    assert sorted(n for names in proposed.splits.values() for n in names) == sorted(grids)
    assert proposed == propose_splits(grids, named)
    assert set(proposed.splits.get("unlabelled", [])) == set(grids) - named
    assert ("test" in proposed.splits) == (len(named) >= 2)
    assert ("validation" in proposed.splits) == (len(named) >= 3)
    assert len(proposed.splits.get("pixel_labelled", [])) >= len(named) / 3


# ---------------------------------------------------------------- bad input


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no images; expected GeoTIFF, VRT, PNG or JPEG"):
        init_dataset(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_labels_alone(tmp_path: Path) -> None:
    save(tmp_path / "masks" / "a.png", ids(1, 2))
    with pytest.raises(InputError, match=r"holds no images, only what is labels by its name \(masks/a\.png\)"):
        init_dataset(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder; expected one with images"):
        init_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("is_link", [False, True])
def test_an_existing_file_is_never_overwritten(tmp_path: Path, is_link: bool) -> None:
    save(tmp_path / "a.png", photo())
    if is_link:
        (tmp_path / "dataset.toml").symlink_to("elsewhere.toml")
    else:
        (tmp_path / "dataset.toml").write_text("mine")
    with pytest.raises(InputError, match=r"dataset\.toml: is there already and is never overwritten"):
        init_dataset(tmp_path)
    assert is_link or (tmp_path / "dataset.toml").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo())
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write into this folder"):
        init_dataset(tmp_path)


@pytest.mark.parametrize("role", ["images", "labels", "dsm"])
def test_empty_files_are_told(tmp_path: Path, role: str) -> None:
    for name in "ab":
        save(tmp_path / "images" / f"{name}.tif", photo(), **place(ord(name)))
        save(tmp_path / "labels" / f"{name}.tif", ids(1, 2), **place(ord(name)))
        save(tmp_path / "dsm" / f"{name}.tif", photo(1).astype(np.float32), **place(ord(name)))
    (tmp_path / role / "a.tif").write_bytes(b"")
    proposal = init_dataset(tmp_path)
    assert says(proposal.faults, rf"scene a: .*{role}/a\.tif: cannot be read")
    assert "Errors that check will tell:" in proposal.to_text()


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", photo())
    (tmp_path / "images" / "b.png").symlink_to("gone.png")
    proposal = init_dataset(tmp_path)
    assert says(proposal.left_out, r"images/b\.png: is left out, for it is no file \(a link that leads nowhere\?\)")
    assert says(check_dataset(tmp_path).errors, r"b\.png: is a link to gone\.png")


def test_linked_folders_and_circles(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "a.png", photo())
    root = tmp_path / "root"
    root.mkdir()
    (root / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "again").symlink_to(root)
    assert list(clean(root)[1].scenes) == ["a"]


def test_companions_of_gdal_and_hidden_files_are_no_scenes(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "images" / f"{name}.jpg", photo())
        (tmp_path / "images" / f"{name}.jgw").write_text("0.2\n0\n0\n-0.2\n500\n900\n")
        (tmp_path / "images" / f"{name}.jpg.aux.xml").write_text("<PAMDataset></PAMDataset>")
    (tmp_path / "images" / "readme.txt").write_text("hello")
    save(tmp_path / ".hidden" / "c.png", photo())
    save(tmp_path / "images" / ".d.jpg", photo())
    assert sorted(clean(tmp_path)[1].scenes) == ["a", "b"]


@pytest.mark.parametrize("has_labels", [True, False])
def test_what_this_program_wrote_is_no_data(tmp_path: Path, has_labels: bool) -> None:
    scenes = "abcd"
    for number, name in enumerate(scenes):
        save(tmp_path / "images" / f"{name}.tif", photo(), **place(number))
        save(tmp_path / "prediction" / name / "classes.tif", ids(0, 1, 2), **place(number))
        (tmp_path / "prediction" / name / "prediction.json").write_text("{}")
    if has_labels:
        save(tmp_path / "labels" / "a.tif", ids(1, 2), **place(0))
    save(tmp_path / "run" / "evaluation" / "test" / "a_labels.png", ids(1, 2))
    save(tmp_path / "net" / "a_labels.png", ids(1, 2))
    for file in ("run/config.toml", "run/log.jsonl", "net/config.json", "net/model.safetensors"):
        (tmp_path / file).write_text("")
    proposal, dataset = clean(tmp_path)
    assert sorted(dataset.scenes) == list(scenes)
    assert [name for name, scene in dataset.scenes.items() if scene.labels] == (["a"] if has_labels else [])
    told = "left out, for these are"
    assert says(proposal.left_out, f"prediction/a, prediction/b, prediction/c and 1 more: {told} predictions")
    assert says(proposal.left_out, f"run: {told} runs that reliefseg wrote")
    assert says(proposal.left_out, f"net: {told} models")
    assert len(proposal.left_out) == 3


def test_names_that_cannot_be_written_down(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo())
    save(tmp_path / "{scene}.png", photo())
    shutil.copy(tmp_path / "a.png", os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.png"))
    proposal = init_dataset(tmp_path)
    assert says(proposal.left_out, r"\{scene\}\.png: is left out, for its name contains \{scene\}; rename it")
    assert says(proposal.left_out, "b\ufffd\\.png: is left out, for its name is not UTF-8")
    proposal.to_text().encode()


def test_a_name_that_cannot_be_written_down_decides_no_other(tmp_path: Path) -> None:
    for folder, content in (("images", photo()), ("labels", ids(0, 1))):
        save(tmp_path / folder / "s1.png", content)
        strange = os.fsdecode(os.fsencode(tmp_path / folder) + b"/k\xf6ln.png")
        shutil.copy(tmp_path / folder / "s1.png", strange)
    proposal = init_dataset(tmp_path)
    assert proposal.scenes == ("s1",)
    assert proposal.files["images"] == "images/{scene}.png"


def test_control_characters_stay_out_of_comments(tmp_path: Path) -> None:
    for name in ("a\nb", "c\x7fd"):
        save(tmp_path / "images" / f"{name}.png", photo())
    save(tmp_path / "labels" / "q\n[files]\n.png", ids(1, 2))
    proposal, dataset = clean(tmp_path)
    assert sorted(dataset.scenes) == ["a\nb", "c\x7fd"]
    assert "\n[files]\n " not in proposal.to_text()


def test_progress_is_told(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "images" / f"{name}.png", photo())
        save(tmp_path / "labels" / f"{name}.png", ids(1, 2))
    ticks: list[tuple[int, int]] = []
    init_dataset(tmp_path, lambda done, of: ticks.append((done, of)))
    assert ticks == [(1, 2), (2, 2)]


def test_the_file_is_plain_toml(tmp_path: Path) -> None:
    for n in range(30):
        save(tmp_path / "images" / f"a rather long name of a scene {n}.png", photo(height=8, width=8))
    clean(tmp_path)
    content = tomllib.loads((tmp_path / "dataset.toml").read_text())
    assert content["bands"] == ["red", "green", "blue"]
    assert len(content["splits"]["unlabelled"]) == 30
    assert max(map(len, (tmp_path / "dataset.toml").read_text().splitlines())) < 160
