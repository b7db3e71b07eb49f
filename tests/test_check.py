"""`check`: every fault and warning is told, and a clean data set has none."""

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

import reliefseg.raster.inspection as inspection
import reliefseg.raster.polygons as polygon_labels
from reliefseg.errors import InputError
from reliefseg.raster import CheckReport, check_dataset, load_dataset

HEAD = 'name = "town"\nbands = ["red", "green", "blue"]\n'
CLASSES = '[[classes]]\nname = "house"\ncolor = "#C80000"\n[[classes]]\nname = "tree"\ncolor = "#00C800"\n'
FILES = '[files]\nimages = "images/{scene}.tif"\nlabels = "labels/{scene}.png"\n'
SPLITS = '[splits]\npixel_labelled = ["a"]\nvalidation = ["b"]\ntest = ["c"]\n'
TEXT = HEAD + CLASSES + FILES + SPLITS
HOUSE, TREE = (200, 0, 0), (0, 200, 0)


def save(path: Path, data: np.ndarray, driver: str = "GTiff", **profile: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = data.shape
    size = {"count": count, "height": height, "width": width, "dtype": data.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver=driver, **size, **profile) as dataset:
            dataset.write(data)
    return path


def place(number: int, gsd: float = 0.5) -> dict[str, Any]:
    """Georeferencing of a scene that overlaps no other number's."""
    return {"transform": Affine(gsd, 0, 600000 + 1000 * number, 0, -gsd, 5700000), "crs": CRS.from_epsg(25832)}


def noise(bands: int = 3, height: int = 40, width: int = 50) -> np.ndarray:
    return np.random.default_rng(3).integers(1, 255, (bands, height, width), np.uint8)


def half_half(height: int = 40, width: int = 50) -> np.ndarray:
    """Labels: the left half house, the right half tree."""
    labels = np.empty((3, height, width), np.uint8)
    labels[:, :, : width // 2] = np.array(HOUSE, np.uint8)[:, None, None]
    labels[:, :, width // 2 :] = np.array(TREE, np.uint8)[:, None, None]
    return labels


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A data set without a fault: three scenes a, b, c."""
    for number, name in enumerate("abc"):
        save(tmp_path / "images" / f"{name}.tif", noise(), **place(number))
        save(tmp_path / "labels" / f"{name}.png", half_half(), "PNG")
    (tmp_path / "dataset.toml").write_text(TEXT)
    return tmp_path


def only_error(report: CheckReport, match: str) -> None:
    assert len(report.errors) == 1, report.errors
    assert re.search(match, report.errors[0]), report.errors[0]


def only_warning(report: CheckReport, match: str) -> None:
    assert report.errors == ()
    assert len(report.warnings) == 1, report.warnings
    assert re.search(match, report.warnings[0]), report.warnings[0]


# ---------------------------------------------------------------- what is there


def test_a_clean_data_set(town: Path) -> None:
    report = check_dataset(town)
    assert (report.errors, report.warnings, report.tile_labels) == ((), (), 0)
    row = report.scenes[0]
    assert (row.name, row.height, row.width, row.crs, row.splits) == ("a", 40, 50, "EPSG:25832", ("pixel_labelled",))
    assert row.gsd == pytest.approx(0.5)
    assert (row.valid_px, row.class_px, row.has_heights) == (2000, (1000, 1000), False)
    assert report.shares("test") == {"house": 0.5, "tree": 0.5}


def test_the_text_shows_scenes_shares_and_the_price(town: Path) -> None:
    text = check_dataset(town).to_text()
    assert re.search(r"^a +40 × 50 +0\.5 +EPSG:25832 +uint8 +pixel_labelled +100\.0 % +100\.0 % +–$", text, re.M)
    assert re.search(r"^validation +1 +2,000 +50\.0 % +50\.0 %$", text, re.M)
    assert "Tile labels: 0" in text
    assert text.endswith("No errors.")


def test_the_text_lists_errors_before_the_verdict(town: Path) -> None:
    (town / "labels" / "b.png").unlink()
    text = check_dataset(town).to_text()
    assert "Errors (1):\n  scene b: is in the split validation, but has no labels" in text
    assert "No errors" not in text


def test_json_can_be_written_and_holds_everything(town: Path) -> None:
    content = json.loads(json.dumps(check_dataset(town).to_json(), allow_nan=False))
    assert content["splits"]["pixel_labelled"] == {
        "scenes": 1,
        "labelled_px": 2000,
        "shares": {"house": 0.5, "tree": 0.5},
    }
    assert [row["name"] for row in content["scenes"]] == ["a", "b", "c"]
    assert content["errors"] == content["warnings"] == []


def test_progress_is_told(town: Path) -> None:
    ticks: list[tuple[int, int]] = []
    check_dataset(town, lambda done, of: ticks.append((done, of)))
    assert ticks == [(1, 3), (2, 3), (3, 3)]


def test_strips_change_nothing(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "[tile_labels]\nfrom_labels = true\nsize = 16\n"
    (town / "dataset.toml").write_text(TEXT.replace("validation", "tile_labelled") + rule)
    labels = half_half()
    labels[:, 5:9, 7:30] = 77
    save(town / "labels" / "b.png", labels, "PNG")
    save(town / "images" / "c.tif", np.where(np.arange(40)[:, None] < 21, 0, noise()).astype(np.uint8), nodata=0)
    whole = check_dataset(town)
    monkeypatch.setattr(inspection, "STRIP_PIXELS", 7 * 50)
    assert len(inspection.strips(load_dataset(town).scenes["a"].grid)) == 6
    assert check_dataset(town) == whole
    assert whole.scenes[2].valid_px == 19 * 50
    only_error(whole, r"scene b: 92 px have colours of no class: #4D4D4D \(92\)")


@pytest.mark.parametrize("per_scene", ['"grid"', "3"])
def test_tile_labels_are_counted_as_they_are_used(town: Path, per_scene: str) -> None:
    rule = f"[tile_labels]\nfrom_labels = true\nsize = 16\nper_scene = {per_scene}\n"
    (town / "dataset.toml").write_text(HEAD + CLASSES + FILES + rule + '[splits]\ntile_labelled = ["b", "c"]\n')
    hidden = noise()
    hidden[:, :32, :16] = 0
    save(town / "images" / "b.tif", hidden, nodata=0, **place(1))
    report = check_dataset(town)
    assert report.errors == ()
    assert report.tile_labels == len(load_dataset(town).tile_labels()) > 0
    assert per_scene == "3" or report.tile_labels == 2 * 6 - 2


def test_tile_labels_of_a_table_are_counted(town: Path) -> None:
    (town / "tiles.csv").write_text("scene,row,col,height,width,house,tree\na,0,0,8,8,1,0\nb,0,0,8,8,1,0\n")
    rule = '[tile_labels]\nfile = "tiles.csv"\n[splits]\ntile_labelled = ["b"]\n'
    (town / "dataset.toml").write_text(HEAD + CLASSES + FILES + rule)
    assert check_dataset(town).tile_labels == 1


def test_real_scenes_check_clean(dubai: Path) -> None:
    report = check_dataset(dubai)
    assert report.errors == ()
    assert report.warnings == ()
    assert (len(report.scenes), report.tile_labels) == (54, 208)
    assert report.shares("test")["land"] == pytest.approx(0.611, abs=0.001)


# ---------------------------------------------------------------- errors


def test_without_a_data_set_file_nothing_can_be_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no dataset.toml; write one with: reliefseg init"):
        check_dataset(tmp_path)


def test_an_image_that_is_missing(town: Path) -> None:
    (town / "images" / "c.tif").unlink()
    report = check_dataset(town)
    assert any(
        re.search(r"labels .*c\.png: its scene c has no image; expected images/c\.tif", e) for e in report.errors
    )


def test_labels_that_are_missing(town: Path) -> None:
    (town / "labels" / "c.png").unlink()
    only_error(check_dataset(town), r"scene c: is in the split test, but has no labels")


@pytest.mark.parametrize("role", ["images/b.tif", "labels/b.png"])
@pytest.mark.parametrize("content", [b"", b"this is no raster"])
def test_files_that_cannot_be_opened(town: Path, role: str, content: bytes) -> None:
    (town / role).write_bytes(content)
    report = check_dataset(town)
    assert any(re.search(rf"scene b: (image|labels) .*{role}: cannot be read", e) for e in report.errors)


@pytest.mark.parametrize("profile", [{}, {"compress": "deflate"}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_a_truncated_image_is_read_to_its_end(town: Path, profile: dict[str, Any]) -> None:
    path = save(town / "images" / "b.tif", noise(height=400, width=50), **profile)
    save(town / "labels" / "b.png", half_half(400), "PNG")
    path.write_bytes(path.read_bytes()[:-3000])
    report = check_dataset(town)
    only_error(report, r"scene b: image .*b\.tif: cannot be read .*; is it truncated")
    assert report.scenes[1].valid_px is None
    assert report.warnings == ()


def test_a_truncated_jpeg(town: Path) -> None:
    (town / "dataset.toml").write_text(TEXT.replace("{scene}.tif", "{scene}.jpg"))
    for name in "abc":
        path = save(town / "images" / f"{name}.jpg", noise(height=400), "JPEG")
        save(town / "labels" / f"{name}.png", half_half(400), "PNG")
    path.write_bytes(path.read_bytes()[:-9000])
    only_error(check_dataset(town), r"scene c: image .*c\.jpg: cannot be read")


def test_truncated_labels_and_their_healthy_image(town: Path) -> None:
    path = save(town / "labels" / "b.png", noise(), "PNG")
    path.write_bytes(path.read_bytes()[:-2500])
    report = check_dataset(town)
    only_error(report, r"scene b: labels .*b\.png: the file ends early, it is truncated")
    assert (report.scenes[1].valid_px, report.scenes[1].class_px) == (2000, None)


def test_truncated_labels_of_another_size_are_both(town: Path) -> None:
    path = save(town / "labels" / "b.png", noise(height=39), "PNG")
    path.write_bytes(path.read_bytes()[:-2500])
    errors = "\n".join(check_dataset(town).errors)
    assert re.search(r"labels .*b\.png: the file ends early", errors)


@pytest.mark.parametrize("role", ["heights", "ground"])
def test_truncated_heights(town: Path, role: str) -> None:
    text = TEXT.replace("[splits]", 'heights = "h/{scene}.tif"\nground = "g/{scene}.tif"\n[splits]')
    (town / "dataset.toml").write_text(text)
    for name in "abc":
        for folder in "hg":
            save(town / folder / f"{name}.tif", noise(1).astype(np.float32))
    path = town / role[0] / "b.tif"
    path.write_bytes(path.read_bytes()[:-4000])
    only_error(check_dataset(town), rf"scene b: {role} .*b\.tif: cannot be read")


def test_labels_of_another_size(town: Path) -> None:
    save(town / "labels" / "b.png", half_half(39), "PNG")
    only_error(check_dataset(town), r"labels .*b\.png has 39 × 50 px, the image 40 × 50")


def test_labels_on_another_grid(town: Path) -> None:
    (town / "dataset.toml").write_text(TEXT.replace("{scene}.png", "{scene}.tif"))
    for number, name in enumerate("abc"):
        save(town / "labels" / f"{name}.tif", half_half(), **place(number if name != "b" else 7))
    only_error(check_dataset(town), r"scene b: labels .*b\.tif lies on another grid")


def test_unknown_colours_come_with_counts(town: Path) -> None:
    labels = half_half()
    labels[:, :3, :7] = np.array((0, 254, 1), np.uint8)[:, None, None]
    labels[:, 9, 9] = (253, 0, 2)
    save(town / "labels" / "b.png", labels, "PNG")
    match = (
        r"scene b: 22 px have colours of no class: #00FE01 \(21\), #FD0002 \(1\)\. Known: #C80000 house, #00C800 tree"
    )
    only_error(check_dataset(town), match)


def test_thousands_of_colours_are_named_as_blends(town: Path) -> None:
    grey = np.linspace(0, 1, 50)
    blend = np.stack(
        [np.outer(np.linspace(0, 255, 40), 1 - grey), np.outer(np.linspace(255, 0, 40), grey), 0 * noise(1)[0]]
    )
    save(town / "labels" / "b.png", blend.astype(np.uint8), "PNG")
    report = check_dataset(town)
    only_error(
        report, r"and 1,\d{3} more\..* 1,\d{3} different colours are blends, not classes: save .* without smoothing"
    )
    assert len(report.errors[0]) < 900


def test_a_scene_in_two_splits(town: Path) -> None:
    (town / "dataset.toml").write_text(TEXT.replace('test = ["c"]', 'test = ["c", "a"]'))
    errors = "\n".join(check_dataset(town).errors)
    assert re.search(r"scene a: stands in 2 splits, pixel_labelled and test", errors)


def test_footprints_that_overlap_across_splits(town: Path) -> None:
    shifted = place(0) | {"transform": place(0)["transform"] @ Affine.translation(25, 0)}
    save(town / "images" / "c.tif", noise(), **shifted)
    only_error(check_dataset(town), r"scenes a \(pixel_labelled\) and c \(test\) show the same ground \(4\d\.\d% ")


def test_another_number_of_bands(town: Path) -> None:
    save(town / "images" / "b.tif", noise(5), **place(1))
    report = check_dataset(town)
    assert any(re.search(r"scene b: the image has \d bands.*, expected are 3", e) for e in report.errors)


def test_tile_labels_outside_their_scene(town: Path) -> None:
    (town / "tiles.csv").write_text("scene,row,col,height,width,house,tree\nb,0,0,8,8,1,0\nb,33,0,8,8,1,0\n")
    rule = '[tile_labels]\nfile = "tiles.csv"\n[splits]\ntile_labelled = ["b"]\n'
    (town / "dataset.toml").write_text(HEAD + CLASSES + FILES + rule)
    report = check_dataset(town)
    only_error(report, r"tiles\.csv, line 3: the window row 33, .* lies outside scene b")
    assert report.tile_labels is None
    assert "Tile labels: cannot be counted" in report.to_text()


def test_links_that_lead_nowhere(town: Path) -> None:
    (town / "images" / "d.tif").symlink_to("elsewhere.tif")
    only_error(
        check_dataset(town), r"images .*d\.tif: is a link to elsewhere\.tif, which does not exist; mend or remove"
    )


def polygons(town: Path, values: list[str]) -> None:
    """Polygons for scene b that cover it from top to bottom, side by side."""
    t = place(1)["transform"]
    shapes = [shapely.box(*(t @ (10 * n, 40)), *(t @ (10 * n + 10, 0))) for n in range(len(values))]
    pyogrio.raw.write(
        town / "b.gpkg",
        shapely.to_wkb(np.array(shapes)),
        [np.array(values, object)],
        ["kind"],
        geometry_type="Polygon",
        crs="EPSG:25832",
    )
    text = TEXT + '[scenes.b]\nlabels = "b.gpkg"\nclass_column = "kind"\n'
    (town / "dataset.toml").write_text(text)
    (town / "labels" / "b.png").unlink()


def test_polygons_are_counted_once_however_many_strips(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polygons(town, ["house", "shed", "tree", "shed"])
    monkeypatch.setattr(inspection, "STRIP_PIXELS", 7 * 50)
    burn, rows = polygon_labels.rasterize, []

    def watched(shapes: Any, out: np.ndarray, **how: Any) -> None:
        rows.append(len(out))
        burn(shapes, out=out, **how)

    monkeypatch.setattr(polygon_labels, "rasterize", watched)
    report = check_dataset(town)
    only_error(report, r"scene b: 2 polygons of .*b\.gpkg are of no class: shed \(2\) in column 'kind'")
    assert max(rows) == 7  # never the whole scene
    assert report.scenes[1].class_px == (400, 400)


def test_all_faults_come_together(town: Path) -> None:
    save(town / "labels" / "b.png", half_half(39), "PNG")
    (town / "images" / "a.tif").write_bytes(b"")
    save(town / "labels" / "c.png", half_half() + np.uint8(1), "PNG")
    errors = "\n".join(check_dataset(town).errors)
    for match in ("scene a: image", "39 × 50 px", "scene c: 2,000 px have colours of no class"):
        assert match in errors


# ---------------------------------------------------------------- warnings


@pytest.mark.parametrize(("gsd", "warned"), [(0.76, True), (0.74, False)])
def test_gsd_that_differs(town: Path, gsd: float, warned: bool) -> None:
    save(town / "images" / "c.tif", noise(), **place(2, gsd))
    report = check_dataset(town)
    assert (report.errors, len(report.warnings)) == ((), int(warned))
    if warned:
        only_warning(report, r"the gsd differs by a factor 1\.5: 0\.5 m a pixel \(scene a\) to 0\.76 \(scene c\)")


def test_a_gsd_in_centimetres_is_told(town: Path) -> None:
    toml = (town / "dataset.toml").read_text()
    for name in "abc":
        save(town / "images" / f"{name}.tif", noise())
    (town / "dataset.toml").write_text(f"gsd = 9\n{toml}")
    only_warning(check_dataset(town), r"gsd of 3 of 3 scenes is not within 0\.01 to 2 m a pixel: a \(9 m\), b")


@pytest.mark.parametrize(("factor", "warned"), [(1.15, False), (1.25, True)])
def test_pixels_that_are_not_square(town: Path, factor: float, warned: bool) -> None:
    save(town / "images" / "b.tif", noise(), **place(1) | {"transform": Affine(0.5, 0, 601000, 0, -0.5 * factor, 5e6)})
    if not warned:
        assert check_dataset(town).warnings == ()
        return
    only_warning(
        check_dataset(town),
        r"the pixels of 1 of 3 scenes are not square on the ground: b \(0\.5 m wide, 0\.625 m high\); .*gdalwarp",
    )


def test_square_degrees_are_not_square(town: Path) -> None:
    for number, name in enumerate("abc"):
        transform = Affine(1e-5, 0, 11 + number, 0, -1e-5, 50)
        save(town / "images" / f"{name}.tif", noise(), transform=transform, crs=CRS.from_epsg(4326))
    only_warning(
        check_dataset(town), r"3 of 3 scenes are not square .*a \(0\.717 m wide, 1\.11 m high\), b .* projected"
    )


def test_data_types_that_differ(town: Path) -> None:
    save(town / "images" / "b.tif", noise().astype(np.uint16) * 257, **place(1))
    only_warning(
        check_dataset(town), r"different data types: uint8 \(2 scenes, as a\), uint16 \(1 scene, as b\); .*-scale"
    )


def test_polygons_that_lie_elsewhere(town: Path) -> None:
    polygons(town, ["house", "tree"])
    text = (town / "dataset.toml").read_text()
    (town / "dataset.toml").write_text(text.replace('validation = ["b"]\ntest = ["c"]', 'validation = ["b", "c"]'))
    save(town / "images" / "b.tif", noise(), **place(7))
    only_warning(
        check_dataset(town),
        r"scene b: is in the split validation, .*: none of its labels lie on valid pixels; is the CRS of .*b\.gpkg",
    )


def test_labels_that_are_all_ignored(town: Path) -> None:
    text = TEXT.replace("[files]", '[ignore]\ncolors = ["#000000"]\n[files]')
    (town / "dataset.toml").write_text(text.replace('test = ["c"]', 'test = ["c", "d"]'))
    save(town / "images" / "d.tif", noise(), **place(3))
    save(town / "labels" / "d.png", np.zeros_like(half_half()), "PNG")
    only_warning(check_dataset(town), r"scene d: is in the split test, .*: all of .*d\.png is ignored; are these its")
    (town / "dataset.toml").write_text(text.replace('["c"]', '["d"]'))
    only_warning(check_dataset(town), r"split test: no pixel has a class")  # not told twice


def test_classes_without_labels(town: Path) -> None:
    (town / "dataset.toml").write_text(
        TEXT.replace("[files]", '[[classes]]\nname = "pool"\ncolor = "#0000FF"\n[files]')
    )
    only_warning(check_dataset(town), r"classes without a labelled pixel in pixel_labelled: pool; networks cannot")


def test_classes_that_only_validation_and_test_show(town: Path) -> None:
    labels = half_half()
    labels[:, :, 25:] = labels[:, :, :25]
    save(town / "labels" / "a.png", labels, "PNG")
    report = check_dataset(town)
    assert len(report.warnings) == 2
    match = r"class tree: occurs in validation \(50\.0 %\) and test \(50\.0 %\), but no training scene has pixel labels"
    assert re.search(match, report.warnings[1])


def test_a_constant_scene(town: Path) -> None:
    save(town / "images" / "b.tif", np.full((3, 40, 50), 9, np.uint8), **place(1))
    only_warning(check_dataset(town), r"scene b: is constant, every valid pixel is 9, 9, 9")


def test_a_constant_band(town: Path) -> None:
    image = noise()
    image[1] = 4
    save(town / "images" / "b.tif", image, **place(1))
    only_warning(check_dataset(town), r"scene b: the band green is constant, 4 everywhere")


def test_an_empty_scene(town: Path) -> None:
    save(town / "images" / "b.tif", np.zeros((3, 40, 50), np.uint8), nodata=0, **place(1))
    unscored, empty = check_dataset(town).warnings
    assert unscored.startswith("split validation: no pixel has a class; nothing can be scored on it")
    assert empty.startswith("scene b: is empty, no pixel is valid")


def test_nothing_but_nan_is_empty(town: Path) -> None:
    save(town / "images" / "b.tif", np.full((3, 40, 50), np.nan, np.float32), **place(1))
    types, unscored, empty = check_dataset(town).warnings
    assert types.startswith("the scenes have different data types: uint8 (2 scenes, as a), float32 (1 scene, as b)")
    assert unscored.startswith("split validation: no pixel has a class; nothing can be scored on it")
    assert empty.startswith("scene b: is empty, no pixel is valid")


@pytest.mark.parametrize("value", [-9999, -32768, -99999, np.finfo(np.float32).min.item(), 1e38])
def test_nodata_that_the_images_do_not_declare(town: Path, value: float) -> None:
    for number, name in enumerate("abc"):
        image = noise().astype(np.float32)
        image[:, :4, :4] = value if name == "b" else 0
        save(town / "images" / f"{name}.tif", image, **place(number))
    stored = f"{np.float32(value).item():.17g}"
    only_warning(check_dataset(town), rf"scene b: .*b\.tif holds {re.escape(stored)} as if it were measured")
    image = noise().astype(np.float32)
    image[:, :4, :4] = value
    save(town / "images" / "b.tif", image, nodata=float(stored), **place(1))
    assert check_dataset(town).warnings == ()


@pytest.mark.parametrize(("role", "dtype"), [("heights", np.float32), ("ground", np.int16)])
def test_nodata_that_heights_do_not_declare(town: Path, role: str, dtype: type) -> None:
    files = 'heights = "heights/{scene}.tif"\nground = "ground/{scene}.tif"\n[splits]'
    (town / "dataset.toml").write_text(TEXT.replace("[splits]", files))
    for other in ("heights", "ground"):
        heights = noise(1).astype(dtype)
        heights[:, 5] = -9999 if other == role else 1
        for name in "abc":
            save(town / other / f"{name}.tif", heights if name == "b" else noise(1))
    only_warning(check_dataset(town), rf"scene b: .*{role}/b\.tif holds -9999 .* \(gdal_edit\.py -a_nodata -9999 /")


def test_heights_that_were_never_measured(town: Path) -> None:
    (town / "dataset.toml").write_text(TEXT.replace("[splits]", 'heights = "h/{scene}.tif"\n[splits]'))
    save(town / "h" / "b.tif", np.full((1, 40, 50), -9999, np.float32), nodata=-9999)
    only_warning(check_dataset(town), r"scene b: its heights are empty")


def test_a_pattern_that_nothing_fits(town: Path) -> None:
    (town / "dataset.toml").write_text(TEXT.replace("[splits]", 'heights = "dsm/{scene}.tif"\n[splits]'))
    only_warning(check_dataset(town), r"\[files\] heights: no file fits 'dsm/\{scene\}\.tif'; correct the pattern")


# ---------------------------------------------------------------- odd but right


@pytest.mark.parametrize("name", ["a b", "a{1}", "a[1-2]", "été", "a*", "a'\"b", ".."])
def test_strange_names(town: Path, name: str) -> None:
    name = name.replace("..", "x..y")
    (town / "images" / "c.tif").rename(town / "images" / f"{name}.tif")
    (town / "labels" / "c.png").rename(town / "labels" / f"{name}.png")
    quoted = json.dumps([name], ensure_ascii=False)
    (town / "dataset.toml").write_text(TEXT.replace('test = ["c"]', f"test = {quoted}"))
    report = check_dataset(town)
    assert (report.errors, report.warnings) == ((), ())
    assert name in {row.name for row in report.scenes}


def test_a_name_that_is_not_utf8_is_told(town: Path) -> None:
    image = (town / "images" / "c.tif").read_bytes()
    Path(os.fsdecode(os.fsencode(town) + b"/images/d\xff.tif")).write_bytes(image)
    report = check_dataset(town)
    only_error(report, r"images/d\ufffd\.tif: is left out, for its name is not UTF-8; rename it")
    report.to_text().encode()


def test_scenes_of_no_split_are_looked_at_too(town: Path) -> None:
    (town / "dataset.toml").write_text(TEXT.replace('test = ["c"]\n', ""))
    path = town / "images" / "c.tif"
    path.write_bytes(path.read_bytes()[:-2000])
    report = check_dataset(town)
    only_error(report, r"scene c: image .*c\.tif: cannot be read")
    assert report.scenes[2].splits == ()
