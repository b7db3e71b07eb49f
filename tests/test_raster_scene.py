"""Reading orthophotos by windows: any format, 8 and 16 bit, nodata, masks and alpha."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy as copy_raster

from reliefseg.errors import InputError
from reliefseg.raster import ClassSpec, ClassTable, Window, open_scene
from reliefseg.raster.opening import quiet_georeferencing

CLASSES = ClassTable((ClassSpec("house", (200, 10, 30)), ClassSpec("tree", (0, 120, 0))))
RGB = ("red", "green", "blue")
PLACE = {"transform": Affine(0.2, 0, 500, 0, -0.2, 900), "crs": CRS.from_epsg(25832)}


def save(path: Path, data: np.ndarray, driver: str = "GTiff", **profile: Any) -> Path:
    """Writes a raster the way other programs do, not through reliefseg."""
    count, height, width = data.shape
    size = {"count": count, "height": height, "width": width, "dtype": data.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver=driver, **size, **profile) as dataset:
            dataset.write(data)
    return path


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("bands", [1, 4, 7])
def test_any_depth_and_number_of_bands(tmp_path: Path, dtype: type, bands: int) -> None:
    data = noise(bands, 9, 11, dtype=dtype) * (1 if dtype == np.uint8 else 100)
    scene = open_scene(save(tmp_path / "a.tif", data, **PLACE), bands=tuple("abcdefg"[:bands]), classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands(), data)
    assert (scene.dtype, scene.name, scene.grid.gsd) == (data.dtype, "a", pytest.approx(0.2))
    assert scene.read_valid().all()
    assert not scene.has_labels
    assert not scene.has_heights


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    data = noise(3, 70, 90)
    data[:, 20:30, 40:50] = 0
    save(folder / "a.png", data, "PNG")
    save(folder / "a.tif", data, tiled=True, blockxsize=32, blockysize=16, nodata=0, **PLACE)
    copy_raster(folder / "a.tif", folder / "cog.tif", driver="COG")
    copy_raster(folder / "a.tif", folder / "v.vrt", driver="VRT")
    return folder


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["a.png", "a.tif", "cog.tif", "v.vrt"]),
    rows=st.tuples(st.integers(0, 69), st.integers(0, 69)),
    cols=st.tuples(st.integers(0, 89), st.integers(0, 89)),
)
def test_a_window_is_a_part_of_the_whole(big: Path, name: str, rows: tuple[int, int], cols: tuple[int, int]) -> None:
    window = Window(min(rows), min(cols), abs(rows[0] - rows[1]) + 1, abs(cols[0] - cols[1]) + 1)
    scene = open_scene(big / name, bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands(window), scene.read_bands()[:, *window.slices])
    np.testing.assert_array_equal(scene.read_valid(window), scene.read_valid()[window.slices])


def test_jpeg_is_read_too(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.linspace(0, 250, 64).astype(np.uint8), (3, 40, 64)).copy()
    scene = open_scene(save(tmp_path / "a.jpg", smooth, "JPEG", quality=95), bands=RGB, classes=CLASSES)
    assert np.abs(scene.read_bands().astype(int) - smooth).max() < 12


def test_a_window_over_the_edge_is_a_programming_error(big: Path) -> None:
    with pytest.raises(ValueError, match="reaches over the edge of a scene of 70 × 90 px"):
        open_scene(big / "a.tif", bands=RGB, classes=CLASSES).read_bands(Window(60, 0, 11, 5))


def test_alpha_is_dropped_and_says_what_is_valid(tmp_path: Path) -> None:
    data = noise(4, 6, 8)
    data[3] = [0, 1, 2, 100, 255, 255, 0, 0]
    scene = open_scene(save(tmp_path / "a.png", data, "PNG"), bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands(), data[:3])
    np.testing.assert_array_equal(scene.read_valid(), data[3] > 0)
    assert scene.read_valid(Window(2, 1, 2, 5)).all()


def test_alpha_may_lie_first(tmp_path: Path) -> None:
    data = noise(4, 6, 8)
    data[0, :3] = 0
    path = save(tmp_path / "a.tif", data, **PLACE)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.alpha, ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    scene = open_scene(path, bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands(), data[1:])
    np.testing.assert_array_equal(scene.read_valid(), data[0] > 0)


def test_a_fourth_band_that_is_named_is_a_band_even_if_marked_as_alpha(tmp_path: Path) -> None:
    data = noise(4, 6, 8)
    data[3, 0, 0] = 0
    path = save(tmp_path / "a.tif", data, photometric="RGB", alpha="YES", **PLACE)
    scene = open_scene(path, bands=(*RGB, "nir"), classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands(), data)
    assert scene.read_valid().all()


def test_in_unsigned_files_nodata_means_all_bands(tmp_path: Path) -> None:
    data = noise(3, 6, 8, dtype=np.uint16)
    data[:, 0] = 0
    data[2, 1] = 0
    scene = open_scene(save(tmp_path / "a.tif", data, nodata=0, **PLACE), bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_valid()[:, 0], [False, True, True, True, True, True])


@pytest.mark.parametrize("nodata", [-9999, None, float("nan")])
def test_in_other_files_nodata_or_nan_in_any_band_counts(tmp_path: Path, nodata: float | None) -> None:
    data = noise(3, 6, 8, dtype=np.float32)
    data[1, 0] = np.nan if nodata is None else nodata
    data[0, 1] = np.inf
    scene = open_scene(save(tmp_path / "a.tif", data, nodata=nodata, **PLACE), bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_valid()[:, 3], [False, False, True, True, True, True])


def test_masks_inside_and_beside_the_file_count(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", noise(3, 6, 8), **PLACE)
    mask = np.full((6, 8), 255, np.uint8)
    mask[:, :2] = 0
    with rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    scene = open_scene(path, bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_valid(), mask > 0)


def test_palette_images_are_read_as_colours(tmp_path: Path) -> None:
    index = np.array([[[0, 1, 2, 1]] * 3], np.uint8)
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=3, width=4, dtype="uint8", **PLACE) as dataset:
        dataset.write(index)
        dataset.write_colormap(1, {0: (9, 8, 7), 1: (60, 50, 40), 2: (255, 0, 1)})
    scene = open_scene(path, bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands()[:, 0].T, [(9, 8, 7), (60, 50, 40), (255, 0, 1), (60, 50, 40)])

    with pytest.raises(InputError, match=r"has 3 bands \(of its palette\), expected are 1 \(grey\)"):
        open_scene(path, bands=("grey",), classes=CLASSES)


def test_transparent_colours_of_a_palette_were_not_measured(tmp_path: Path) -> None:
    path, size = tmp_path / "a.png", {"count": 1, "height": 3, "width": 4, "dtype": "uint8"}
    with quiet_georeferencing(), rasterio.open(path, "w", driver="PNG", **size) as dataset:
        dataset.write_colormap(1, {0: (9, 8, 7, 0), 1: (60, 50, 40, 0), 2: (255, 0, 1, 255)})
        dataset.write(np.array([[[0, 1, 2, 1]] * 3], np.uint8))
    scene = open_scene(path, bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_valid()[0], [False, False, True, False])
    np.testing.assert_array_equal(scene.read()[1], scene.read_valid())


def test_a_palette_may_have_an_alpha_band(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=2, height=1, width=3, dtype="uint8", **PLACE) as dataset:
        dataset.write(np.array([[[0, 1, 1]], [[255, 255, 0]]], np.uint8))
        dataset.colorinterp = [ColorInterp.palette, ColorInterp.alpha]
        dataset.write_colormap(1, {0: (9, 8, 7), 1: (60, 50, 40)})
    scene = open_scene(path, bands=RGB, classes=CLASSES)
    np.testing.assert_array_equal(scene.read_bands()[:, 0, :2].T, [(9, 8, 7), (60, 50, 40)])
    np.testing.assert_array_equal(scene.read_valid(), [[True, True, False]])


@pytest.mark.parametrize(("bands", "found"), [(2, "2 bands"), (5, "5 bands")])
def test_another_number_of_bands_is_told(tmp_path: Path, bands: int, found: str) -> None:
    path = save(tmp_path / "a.tif", noise(bands, 4, 4, dtype=np.uint16), **PLACE)
    with pytest.raises(InputError, match=rf"scene a: the image has {found}, expected are 3 \(red, green, blue\)"):
        open_scene(path, bands=RGB, classes=CLASSES)


def test_bands_of_different_types_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "rgb.tif", noise(3, 5, 6))
    save(tmp_path / "nir.tif", noise(1, 5, 6, dtype=np.uint16))
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource><SourceFilename relativeToVRT="1">{name}'
        f"</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (kind, name, band) in enumerate([("Byte", "rgb.tif", 1), ("UInt16", "nir.tif", 1)], 1)
    )
    vrt = tmp_path / "both.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="6" rasterYSize="5">{bands}</VRTDataset>', encoding="utf-8")
    with pytest.raises(InputError, match=r"bands are of different types \(uint8, uint16\).*gdal_translate -ot"):
        open_scene(vrt, bands=("red", "nir"), classes=CLASSES)


def test_complex_images_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", noise(3, 4, 4).astype(np.complex64), **PLACE)
    with pytest.raises(InputError, match="the image holds complex64 values; expected"):
        open_scene(path, bands=RGB, classes=CLASSES)


def test_a_missing_image_and_one_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no image")
    with pytest.raises(InputError, match=r"a\.tif: cannot be read \(.*\); is it truncated or of another format\?"):
        open_scene(tmp_path / "a.tif", bands=RGB, classes=CLASSES)
    with pytest.raises(InputError, match=r"scene b: image .*b\.tif: no such file"):
        open_scene(tmp_path / "b.tif", bands=RGB, classes=CLASSES)


@pytest.mark.parametrize(
    ("name", "driver", "profile"),
    [
        ("a.png", "PNG", {}),
        ("a.jpg", "JPEG", {}),
        ("a.tif", "GTiff", {"compress": "deflate"}),
        ("a.tif", "GTiff", {"tiled": True, "blockxsize": 64, "blockysize": 64}),
    ],
)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_file_never_reads_as_black(
    tmp_path: Path, name: str, driver: str, profile: dict[str, Any], kept: float
) -> None:
    path = save(tmp_path / name, noise(3, 200, 200), driver, **profile)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=r"truncated"):
        open_scene(path, bands=RGB, classes=CLASSES).read_bands()


def test_junk_behind_a_png_does_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", noise(3, 20, 20), "PNG")
    path.write_bytes(path.read_bytes() + b"appended by a camera")
    assert open_scene(path, bands=RGB, classes=CLASSES).read_bands().shape == (3, 20, 20)


def test_a_vrt_that_lost_its_source_is_told(big: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "s.tif", noise(3, 20, 20), **PLACE)
    copy_raster(source, tmp_path / "v.vrt", driver="VRT")
    source.unlink()
    with pytest.raises(InputError, match=r"v\.vrt: cannot be read"):
        open_scene(tmp_path / "v.vrt", bands=RGB, classes=CLASSES).read_bands()


def test_threads_read_the_same_scene(big: Path) -> None:
    scene = open_scene(big / "a.png", bands=RGB, classes=CLASSES)
    whole = scene.read_bands()
    windows = [Window(r, c, 20, 30) for r in range(0, 50, 5) for c in range(0, 60, 10)]
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(scene.read_bands, windows))
    assert all(np.array_equal(part, whole[:, *w.slices]) for part, w in zip(parts, windows, strict=True))


def test_what_is_kept_open_is_decoded_once(tmp_path: Path) -> None:
    """The file is changed underneath: who looks again sees it, who kept what was decoded does not."""
    image = save(tmp_path / "a.tif", noise(3, 40, 50), interleave="band", **PLACE)
    scene = open_scene(image, bands=RGB, classes=CLASSES)
    before = scene.read_bands()
    with scene.kept_open():
        scene.read_bands(Window(0, 0, 10, 10))
        content = scene.image.read_bytes()
        scene.image.write_bytes(content.replace(before[0, 3].tobytes(), bytes(50)))
        np.testing.assert_array_equal(scene.read_bands(Window(2, 5, 4, 9)), before[:, 2:6, 5:14])
    assert not scene.read_bands()[0, 3].any()


def test_what_a_scene_lacks_is_told(big: Path) -> None:
    scene = open_scene(big / "a.tif", bands=RGB, classes=CLASSES)
    with pytest.raises(InputError, match="scene a: has no labels"):
        scene.read_labels()
    with pytest.raises(InputError, match="scene a: has no heights"):
        scene.read_heights()
