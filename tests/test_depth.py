"""Depth as a band: sources, mosaic, cache. A tiny Depth Anything with random weights stands in for a trained one."""

import json
import shutil
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from safetensors.torch import load_file, save_file

from reliefseg.depth import (
    DepthSettings,
    Mosaic,
    Plan,
    depth_raster,
    depth_weights,
    make_depth,
    making,
    photo_bands,
    read_depth,
    resolve_source,
    survey_photo,
)
from reliefseg.depth.alignment import aligned_mosaic, fit_line, reconciled
from reliefseg.depth.mosaic import enlarged
from reliefseg.depth.network import DepthNetwork, load_network
from reliefseg.depth.store import PlaneStore
from reliefseg.errors import InputError
from reliefseg.raster import ClassSpec, ClassTable, Scene, SceneFiles, Window
from reliefseg.raster.scene import survey_scene

CLASSES = ClassTable((ClassSpec("house", (200, 10, 30)),))
PLACE = {"transform": Affine(0.5, 0, 500, 0, -0.5, 900), "crs": CRS.from_epsg(25832)}
RAMP = np.add.outer(np.arange(90), np.arange(120)).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP // 2, 255 - RAMP])


def save(path: Path, data: np.ndarray, **profile: Any) -> Path:
    planes = data if data.ndim == 3 else data[None]
    count, height, width = planes.shape
    shape = {"count": count, "height": height, "width": width, "dtype": data.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **shape, **(PLACE | profile)) as dataset:
            dataset.write(planes)
    return path


def scene_of(folder: Path, image: np.ndarray, bands: tuple[str, ...] = (), name: str = "s", **profile: Any) -> Scene:
    folder.mkdir(exist_ok=True)
    path = save(folder / f"{name}.tif", image, **profile)
    return opened(name, SceneFiles(path), bands or ("red", "green", "blue")[: 1 if image.ndim == 2 else len(image)])


def with_heights(scene: Scene, heights: np.ndarray, **files: Any) -> Scene:
    path = save(scene.image.with_suffix(".heights.tif"), heights, nodata=-9999)
    files = {"heights_are": "ndsm"} | files
    return opened(scene.name, SceneFiles(scene.image, heights=path, **files), scene.bands)


def opened(name: str, files: SceneFiles, bands: tuple[str, ...]) -> Scene:
    scene, faults = survey_scene(name, files, bands, CLASSES, None)
    assert scene is not None, faults
    assert faults == []
    return scene


class RedChannel:
    """A stand-in network whose relative depth is the photograph's red channel."""

    config = SimpleNamespace(model_type="depth_anything")

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        self.looks += 1
        return SimpleNamespace(predicted_depth=pixel_values[:, 0])


def plain_processor(images: list[np.ndarray], **_: Any) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()}


@pytest.fixture
def red(monkeypatch: pytest.MonkeyPatch) -> RedChannel:
    """Puts the stand-in in the place of every network that is loaded."""
    module = RedChannel()
    network = DepthNetwork(module, plain_processor, 1, torch.device("cpu"))
    monkeypatch.setattr("reliefseg.depth.relative.load_network", lambda folder, larger_is: network)
    return module


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Depth Anything of four layers of width 32, as transformers saves it."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    backbone = Dinov2Config(
        image_size=56, patch_size=14, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
        head_hidden_size=8,
    )  # fmt: skip
    network = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.normal_(0, 0.2)
        network.head.conv3.bias.fill_(5.0)
    network.save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 56, "width": 56}, ensure_multiple_of=14).save_pretrained(folder)
    return folder


def network_settings(model: Path, **changes: Any) -> DepthSettings:
    return DepthSettings(**{"source": "transformers", "model": str(model), "window": 56} | changes)


def copied(model: Path, folder: Path) -> Path:
    return Path(shutil.copytree(model, folder / "copy"))


# settings and the choice of a source


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError, match="windw"):
        DepthSettings(windw=3)


def dataset_of(*scenes: Scene, **splits: tuple[str, ...]) -> Any:
    from reliefseg.raster import Dataset

    by_name = {scene.name: scene for scene in scenes}
    return Dataset("d", Path("dataset.toml"), ("red",), CLASSES, by_name, splits, None, Path("cache"))


def test_auto_is_raster_where_every_used_scene_has_heights(tmp_path):
    high = with_heights(scene_of(tmp_path, COLOURS, name="a"), np.zeros(RAMP.shape, np.float32))
    low = scene_of(tmp_path, COLOURS, name="b")
    auto = DepthSettings()
    assert resolve_source(auto, dataset_of(high, low, pixel_labelled=("a",))) == "raster"
    assert resolve_source(auto, dataset_of(high, low, pixel_labelled=("a",), test=("b",))) == "builtin"
    assert resolve_source(auto, dataset_of(high, low)) == "builtin"
    assert resolve_source(DepthSettings(source="none"), dataset_of(high)) == "none"


def test_no_depth_makes_nothing(tmp_path):
    scene = scene_of(tmp_path, COLOURS)
    assert make_depth([scene], DepthSettings(source="none"), tmp_path / "cache") == {}
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ValueError, match="gives no depth raster"):
        depth_raster(scene, DepthSettings(source="none"), tmp_path)


# heights


def test_heights_are_clipped_to_the_range_and_nan_where_unknown(tmp_path):
    heights = np.tile(np.linspace(-5, 45, 120, dtype=np.float32), (90, 1))
    heights[3, 4] = -9999
    image = COLOURS.copy()
    image[:, 10, 20] = 0
    scene = with_heights(scene_of(tmp_path, image, nodata=0), heights)
    path = depth_raster(scene, DepthSettings(source="raster", range_m=30), tmp_path / "cache")
    with rasterio.open(path) as dataset:
        key = dataset.tags()["depth_key"]
    assert path == tmp_path / f"cache/depth/raster/s-{key[:12]}.tif"
    depth = read_depth(path)
    unknown = np.zeros(RAMP.shape, bool)
    unknown[3, 4] = unknown[10, 20] = True
    unknown |= ~scene.read_valid()
    np.testing.assert_array_equal(np.isnan(depth), unknown)
    np.testing.assert_allclose(depth[~unknown], np.clip(heights / 30, 0, 1)[~unknown], atol=1e-5)
    assert depth[~unknown].min() == 0
    assert depth[~unknown].max() == 1


def test_a_raster_lies_on_the_grid_of_its_scene_and_shows_its_range(tmp_path):
    scene = with_heights(scene_of(tmp_path, COLOURS), RAMP.astype(np.float32))
    path = depth_raster(scene, DepthSettings(source="raster", range_m=100), tmp_path)
    with rasterio.open(path) as dataset:
        assert (dataset.transform, dataset.crs) == (PLACE["transform"], PLACE["crs"])
        assert dataset.block_shapes == [(256, 256)]
        assert dataset.compression.name == "deflate"
        assert dataset.read(1)[50, 50] * dataset.scales[0] == pytest.approx(1.0)
        tags = dataset.tags()
    assert tags["depth_source"] == "raster"
    assert json.loads(tags["depth_recipe"]) == {"range_m": 100.0}
    assert tags["reliefseg_version"]


def test_windows_are_parts_of_the_whole(tmp_path):
    scene = with_heights(scene_of(tmp_path, COLOURS), RAMP.astype(np.float32))
    path = depth_raster(scene, DepthSettings(source="raster"), tmp_path)
    window = Window(13, 40, 20, 31)
    np.testing.assert_array_equal(read_depth(path, window), read_depth(path)[window.slices])
    with pytest.raises(ValueError, match="over the edge"):
        read_depth(path, Window(80, 0, 20, 20))
    with pytest.raises(InputError, match="no depth raster of reliefseg"):
        read_depth(scene.image)


def test_scenes_larger_than_a_block_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("reliefseg.depth.source.BLOCK", 64)
    scene = with_heights(scene_of(tmp_path, COLOURS), RAMP.astype(np.float32))
    ticks: list[tuple[int, int]] = []
    settings = DepthSettings(source="raster", range_m=255)
    paths = make_depth([scene], settings, tmp_path, lambda done, of: ticks.append((done, of)))
    np.testing.assert_allclose(read_depth(paths["s"]), RAMP / 255, atol=1e-5)
    assert ticks == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_every_scene_without_heights_is_named(tmp_path):
    scenes = [scene_of(tmp_path, COLOURS, name=name) for name in "ab"]
    with pytest.raises(InputError, match=r"scene a: .*no heights(.|\n)*scene b: .*no heights"):
        make_depth(scenes, DepthSettings(source="raster"), tmp_path / "cache")


def test_heights_that_know_nothing_are_refused(tmp_path):
    scene = with_heights(scene_of(tmp_path, COLOURS), np.full(RAMP.shape, -9999, np.float32))
    with pytest.raises(InputError, match="no valid pixel has a height"):
        depth_raster(scene, DepthSettings(source="raster"), tmp_path / "cache")
    assert not list(tmp_path.rglob("cache/**/*.tif"))


# what networks see


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("red", "green", "blue"), (0, 1, 2)),
        (("Blue", "Green", "Red", "NIR"), (2, 1, 0)),
        (("nir", "red", "green"), (0, 1, 2)),
        (("green", "red", "thermal", "nir"), (3, 1, 0)),
        (("b1", "b2", "b3", "b4"), (0, 1, 2)),
        (("grey", "nir"), (0, 1, 1)),
        (("grey",), (0, 0, 0)),
    ],
)
def test_bands_are_shown_by_their_names(names, shown):
    assert photo_bands(names) == shown


def test_eight_bits_are_shown_as_they_are(tmp_path):
    photo = survey_photo(scene_of(tmp_path, COLOURS))
    np.testing.assert_array_equal(photo.read(Window(5, 6, 30, 40)), np.moveaxis(COLOURS, 0, -1)[5:35, 6:46])


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_other_types_fill_the_range(tmp_path, dtype):
    """A maximum of 300 in 16 bits, and single glints far above it."""
    image = np.stack([100 + 40 * (RAMP // 50)] * 3).astype(dtype)
    image[0] = 60 + RAMP.astype(dtype)
    image[:, 0, 0] = 30000
    shown = survey_photo(scene_of(tmp_path, image)).read(Window(0, 0, 90, 120))
    assert shown[..., 0].min() == 0
    assert shown[..., 0].max() == 255
    assert len(np.unique(shown[..., 0])) > 150


def test_one_band_is_repeated(tmp_path):
    shown = survey_photo(scene_of(tmp_path, RAMP, bands=("grey",))).read(Window(0, 0, 90, 120))
    assert (shown == RAMP[..., None]).all()


def test_nodata_shows_the_median_colour_and_edges_are_mirrored(tmp_path):
    image = COLOURS.copy()
    image[:, 20:30, 20:30] = 7
    photo = survey_photo(scene_of(tmp_path, image, nodata=7))
    window = Window(-10, -4, 110, 128)
    shown = photo.read(window)
    assert (shown[30:40, 24:34] == photo.fill).all()
    np.testing.assert_array_equal(photo.fill, np.median(image[:, photo.scene.read_valid()], axis=1).astype(np.uint8))
    np.testing.assert_array_equal(shown[10 - 3, 4 + 50], image[:, 3, 50])
    np.testing.assert_array_equal(shown[10 + 89 + 2, 4 + 50], image[:, 87, 50])


# the mosaic


@st.composite
def plans(draw: st.DrawFn, smallest_window: int = 2, smallest_overlap: int = 1, smallest_scene: int = 1) -> Plan:
    window = draw(st.integers(smallest_window, 40))
    overlap = draw(st.integers(smallest_overlap, window // 2))
    extents = st.integers(smallest_scene, 4 * window)
    return Plan(draw(extents), draw(extents), window, overlap)


def all_of(plan: Plan) -> Window:
    return Window(0, 0, plan.height, plan.width)


@given(plans())
@settings(max_examples=60)
def test_weights_sum_to_one_everywhere(plan):
    ones = [np.ones((plan.window, plan.window), np.float32)] * len(plan)
    np.testing.assert_allclose(Mosaic.as_they_are(plan, ones).read(all_of(plan)), 1, atol=1e-5)


@given(plans())
@settings(max_examples=60)
def test_neighbours_overlap_and_windows_stay_inside(plan):
    for starts, extent in ((plan.rows, plan.height), (plan.cols, plan.width)):
        assert all(later - earlier <= plan.window - plan.overlap for earlier, later in pairwise(starts))
        if extent >= plan.window:
            assert starts[0] == 0
            assert starts[-1] + plan.window == extent
        else:
            assert len(starts) == 1


def test_neighbours_are_beside_and_below():
    plan = Plan(30, 30, 16, 4)
    assert len(plan) == 9
    pairs = {(one, other) for one, other, _ in plan.neighbours()}
    assert {p for p in pairs if 4 in p} == {(4, 5), (4, 7), (1, 4), (3, 4)}
    assert len(pairs) == 12
    assert all(shared.height >= 4 and shared.width >= 4 for _, _, shared in plan.neighbours())


def field(height: int, width: int) -> np.ndarray:
    """Ground with houses on it and a little noise."""
    rng = np.random.default_rng(3)
    heights = rng.normal(0, 0.02, (height, width))
    for _ in range(1 + height * width // 150):
        r, c = rng.integers(0, height), rng.integers(0, width)
        heights[r : r + rng.integers(4, 12), c : c + rng.integers(4, 12)] += rng.uniform(1, 4)
    return heights.astype(np.float32)


def cut(heights: np.ndarray, plan: Plan) -> list[np.ndarray]:
    """What a network sees that sees just the heights; mirrored outside."""
    edge = plan.window
    padded = np.pad(heights, edge, mode="reflect")
    windows = (plan[index] for index in range(len(plan)))
    return [padded[w.row + edge :, w.col + edge :][: w.height, : w.width].copy() for w in windows]


def everywhere(window: Window) -> np.ndarray:
    return np.ones((window.height, window.width), bool)


@given(plans(smallest_window=16, smallest_overlap=4, smallest_scene=16), st.data())
@settings(max_examples=40)
def test_any_part_of_an_identity_mosaic_is_that_part_of_the_source(plan, data):
    heights = field(plan.height, plan.width)
    row, col = data.draw(st.integers(0, plan.height - 1)), data.draw(st.integers(0, plan.width - 1))
    part = Window(row, col, data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))).clipped(*heights.shape)
    mosaic = Mosaic.as_they_are(plan, cut(heights, plan))
    np.testing.assert_allclose(mosaic.read(part), heights[part.slices], atol=1e-5)


@given(st.integers(1, 20), st.integers(1, 60), st.data())
def test_planes_are_enlarged_as_torch_does(side, size, data):
    plane = np.random.default_rng(side).normal(size=(side, side)).astype(np.float32)
    row, col = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    part = Window(row, col, data.draw(st.integers(1, size)), data.draw(st.integers(1, size))).clipped(size, size)
    expected = torch.nn.functional.interpolate(torch.from_numpy(plane)[None, None], (size, size), mode="bilinear")[0, 0]
    np.testing.assert_allclose(enlarged(plane, size, part), expected.numpy()[part.slices], atol=1e-5)


def changed(planes: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Each window with a scale of 0.2 to 5 and a shift of its own."""
    scales = np.exp(rng.uniform(np.log(0.2), np.log(5), len(planes)))
    shifts = rng.uniform(-20, 20, len(planes))
    return [np.float32(s * plane + o) for s, plane, o in zip(scales, planes, shifts, strict=True)]


def steps_at_borders(plan: Plan, heights: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Greatest jumps across the borders of windows, of the map (in the field's units) and of the field itself."""
    slope = heights.std() / seen.std()
    rows = sorted({b for r in plan.rows for b in (r, r + plan.window) if 0 < b < plan.height})
    cols = sorted({b for c in plan.cols for b in (c, c + plan.window) if 0 < b < plan.width})
    jumps = [
        max(np.abs(np.diff(z, axis=0))[[r - 1 for r in rows]].max(), np.abs(np.diff(z))[:, [c - 1 for c in cols]].max())
        for z in (slope * seen, heights)
    ]
    return float(jumps[0]), float(jumps[1])


LAYOUTS = st.tuples(st.integers(100, 220), st.integers(100, 220), st.integers(40, 64), st.integers(12, 20))


@given(LAYOUTS, st.integers(0, 10_000))
@settings(max_examples=12)
def test_any_scales_and_shifts_of_windows_are_undone(layout, seed):
    plan, rng = Plan(*layout), np.random.default_rng(seed)
    heights = field(plan.height, plan.width)
    mosaic = aligned_mosaic(plan, changed(cut(heights, plan), rng), everywhere)
    seen = mosaic.read(all_of(plan))
    assert np.corrcoef(seen.ravel(), heights.ravel())[0, 1] >= 0.999
    jump, own = steps_at_borders(plan, heights, seen)
    assert jump <= own * 1.01


@given(LAYOUTS, st.integers(0, 10_000))
@settings(max_examples=10)
def test_a_tenth_of_the_samples_of_every_overlap_may_be_spoilt(layout, seed):
    """Spoilt pixels are compared nowhere: they are wrong in the windows themselves."""
    plan, rng = Plan(*layout), np.random.default_rng(seed)
    heights = field(plan.height, plan.width)
    planes, sound = cut(heights, plan), np.ones(heights.shape, bool)
    for index, plane in enumerate(planes):
        spoilt = rng.random(plane.shape) < 0.1
        plane[spoilt] = rng.uniform(-30, 30, spoilt.sum())
        inner = plan.inner(plan[index])
        sound[inner.slices] &= ~spoilt[inner.shifted(-plan[index].row, -plan[index].col).slices]
    seen = aligned_mosaic(plan, changed(planes, rng), everywhere).read(all_of(plan))
    assert np.corrcoef(seen[sound], heights[sound])[0, 1] >= 0.999


def spoilt_overlaps(plan: Plan, planes: list[np.ndarray], overlaps: Any, spoil: Any) -> np.ndarray:
    """Spoils what the first of two windows sees of each overlap; where nothing was spoilt."""
    sound = np.ones((plan.height, plan.width), bool)
    for index, _, shared in overlaps:
        part = planes[index][shared.shifted(-plan[index].row, -plan[index].col).slices]
        part[:] = spoil(part)
        sound[shared.slices] = False
    return sound


@given(st.integers(4, 6), st.integers(4, 6), st.integers(0, 10_000))
@settings(max_examples=12)
def test_a_tenth_of_whole_overlaps_may_be_spoilt(rows, cols, seed):
    """One of a window at most, so that every window keeps overlaps that hold."""
    plan, rng = Plan(16 + 32 * rows, 16 + 32 * cols, 48, 16), np.random.default_rng(seed)
    heights = field(plan.height, plan.width)
    planes, overlaps = cut(heights, plan), list(plan.neighbours())
    chosen: list[tuple[int, int, Window]] = []
    for i in rng.permutation(len(overlaps)):
        if not any({*pair[:2]} & {*overlaps[i][:2]} for pair in chosen) and len(chosen) < len(overlaps) // 10:
            chosen.append(overlaps[i])
    sound = spoilt_overlaps(plan, planes, chosen, lambda part: rng.normal(0, 5, part.shape))
    mosaic = aligned_mosaic(plan, changed(planes, rng), everywhere)
    assert np.corrcoef(mosaic.read(all_of(plan))[sound], heights[sound])[0, 1] >= 0.999
    assert mosaic.scales.min() > 0.02


def test_an_overlap_that_tells_another_story_is_outvoted():
    """Not on a corner window, which has two sides: nobody could say which one lies."""
    plan = Plan(16 + 32 * 4, 16 + 32 * 4, 48, 16)
    heights = field(plan.height, plan.width)
    for pair in (p for p in plan.neighbours() if not {0, 3, 12, 15} & set(p[:2])):
        planes = cut(heights, plan)
        sound = spoilt_overlaps(plan, planes, [pair], lambda part: 3 * part - 8)
        seen = aligned_mosaic(plan, planes, everywhere).read(all_of(plan))
        assert np.corrcoef(seen[sound], heights[sound])[0, 1] >= 0.999


def test_constant_shifts_leave_no_step_on_flat_ground():
    rng = np.random.default_rng(0)
    plan = Plan(120, 120, 40, 16)
    planes = [np.full((40, 40), rng.uniform(-9, 9), np.float32) for _ in range(len(plan))]
    mosaic = aligned_mosaic(plan, planes, everywhere)
    np.testing.assert_allclose(mosaic.scales, 1)
    assert np.ptp(mosaic.read(all_of(plan))) < 1e-2


def test_nodata_says_nothing():
    rng = np.random.default_rng(0)
    plan = Plan(120, 120, 48, 16)
    heights = field(120, 120)
    valid = rng.random(heights.shape) < 0.5
    planes = cut(np.where(valid, heights, rng.uniform(-99, 99, heights.shape)).astype(np.float32), plan)
    mosaic = aligned_mosaic(plan, changed(planes, rng), lambda window: valid[window.slices])
    assert np.corrcoef(mosaic.read(all_of(plan))[valid], heights[valid])[0, 1] > 0.999
    aligned_mosaic(plan, planes, lambda window: np.zeros((window.height, window.width), bool))


def test_unlike_overlaps_say_little_of_the_scale():
    one, other = np.random.default_rng(1).normal(0, 1, (2, 3600))
    assert fit_line(one, 100 * other).trust < 0.3
    assert fit_line(one, 100 * one + 0.1 * other).trust > 9


@given(st.floats(-1.6, 1.6), st.integers(0, 1000))
@settings(max_examples=30)
def test_lines_are_the_same_both_ways_and_do_not_shrink_with_noise(log_ratio, seed):
    rng = np.random.default_rng(seed)
    heights = field(50, 50).ravel()
    one = heights + rng.normal(0, 0.3, heights.shape)
    other = np.exp(log_ratio) * (heights + rng.normal(0, 0.3, heights.shape)) + 7
    there, back = fit_line(one, other), fit_line(other, one)
    assert there.log_ratio == pytest.approx(log_ratio, abs=0.07)
    assert back.log_ratio == pytest.approx(-there.log_ratio, abs=0.07)


def test_edges_that_contradict_all_others_count_little():
    truth = np.array([0.0, 1.0, -2.0, 0.5])
    edges = [(i, j, truth[i] - truth[j], 1.0) for i in range(4) for j in range(i)]
    edges[2] = (*edges[2][:2], 50.0, 1.0)
    values = reconciled(4, edges)
    np.testing.assert_allclose(values - values.mean(), truth - truth.mean(), atol=0.01)
    np.testing.assert_array_equal(reconciled(3, [(0, 1, 5.0, 0.0)]), 0)


def test_planes_on_disk_are_what_was_put_there(tmp_path):
    planes = np.random.default_rng(0).normal(size=(3, 5, 5)).astype(np.float32)
    steps: list[int] = []
    store = PlaneStore(tmp_path / "planes", 5)
    store.fill(2, planes.__getitem__, lambda: steps.append(1))
    del store
    with (tmp_path / "planes").open("ab") as file:
        file.write(b"cut short")
    store = PlaneStore(tmp_path / "planes", 5)
    looked: list[int] = []
    store.fill(3, lambda index: looked.append(index) or planes[index], lambda: steps.append(1))
    assert looked == [2], "the others are there"
    for index in (2, 0, 1):
        np.testing.assert_array_equal(store[index], planes[index])
    assert len(store) == 3
    assert len(steps) == 5
    with pytest.raises(IndexError):
        store[3]
    with pytest.raises(ValueError, match="expected a side of 5"):
        store.fill(4, lambda index: np.zeros((4, 4), np.float32), lambda: None)


# networks


def test_a_real_network_gives_depth(tmp_path, tiny):
    image = np.random.default_rng(0).integers(1, 256, (3, 90, 120), np.uint8)
    image[:, :5, :5] = 0
    scene = scene_of(tmp_path, image, nodata=0)
    ticks: list[tuple[int, int]] = []
    paths = make_depth([scene], network_settings(tiny), tmp_path, lambda done, of: ticks.append((done, of)))
    depth = read_depth(paths["s"])
    np.testing.assert_array_equal(np.isnan(depth), ~scene.read_valid())
    known = depth[np.isfinite(depth)]
    assert (known.min(), known.max()) == (0, 1)
    assert 0.005 < (known == 1).mean() < 0.02
    assert ticks[-1] == (6, 6)
    with rasterio.open(paths["s"]) as dataset:
        tags = dataset.tags()
    assert tags["depth_model"] == str(tiny)
    assert len(tags["depth_weights_sha256"]) == 64
    assert float(tags["depth_relative_low"]) < float(tags["depth_relative_high"])


def test_the_network_is_run_as_transformers_runs_it(tiny):
    from transformers import AutoModelForDepthEstimation
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    photo = np.random.default_rng(1).integers(0, 256, (56, 56, 3), np.uint8)
    network = load_network(tiny, "auto")
    module = AutoModelForDepthEstimation.from_pretrained(tiny).eval()
    pixels = DPTImageProcessorPil.from_pretrained(tiny)(images=[photo], return_tensors="pt")
    with torch.no_grad():
        expected = module(**pixels).predicted_depth[0].numpy()
    np.testing.assert_allclose(network.look(photo), expected, rtol=1e-4)
    assert network.look(photo[:40, :50]).shape == (40, 50)
    np.testing.assert_array_equal(load_network(tiny, "far").look(photo), -network.look(photo))


def test_distances_are_turned_round(tmp_path, tiny):
    folder = copied(tiny, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"depth_estimation_type": "metric", "max_depth": 80}))
    assert load_network(folder, "auto").sign == -1
    assert load_network(folder, "near").sign == 1
    assert load_network(tiny, "auto").sign == 1


def test_depth_of_an_identity_network_is_the_image_without_seams(tmp_path, tiny, red):
    scene = scene_of(tmp_path, COLOURS)
    depth = read_depth(depth_raster(scene, network_settings(tiny, window=40), tmp_path))
    low, high = np.percentile(RAMP, [1, 99])
    np.testing.assert_allclose(depth, np.clip((RAMP - low) / (high - low), 0, 1), atol=1e-4)
    assert red.looks == 12


def test_a_scene_smaller_than_the_window(tmp_path, tiny, red):
    scene = scene_of(tmp_path, COLOURS[:, :20, :30])
    depth = read_depth(depth_raster(scene, network_settings(tiny, window=64), tmp_path))
    assert depth.shape == (20, 30)
    assert np.corrcoef(depth.ravel(), RAMP[:20, :30].ravel())[0, 1] > 0.99


# the cache


def test_a_hit_runs_no_network(tmp_path, tiny, red):
    scene = scene_of(tmp_path, COLOURS)
    path = depth_raster(scene, network_settings(tiny), tmp_path / "cache")
    looks, stamp = red.looks, path.stat().st_mtime_ns
    (scene.image.parent / f"{scene.image.name}.aux.xml").write_text("<PAMDataset></PAMDataset>")
    ticks: list[tuple[int, int]] = []
    make_depth([scene], network_settings(tiny), tmp_path / "cache", lambda done, of: ticks.append((done, of)))
    assert (red.looks, path.stat().st_mtime_ns) == (looks, stamp)
    assert ticks == [(6, 6)]


def test_a_hit_does_not_import_transformers(tmp_path, tiny):
    scene = scene_of(tmp_path, COLOURS)
    depth_raster(scene, network_settings(tiny), tmp_path / "cache")
    script = f"""
import sys
from pathlib import Path
from reliefseg.depth import DepthSettings, make_depth
from reliefseg.raster import ClassTable, open_scene
scene = open_scene(Path({str(scene.image)!r}), bands=("red", "green", "blue"), classes=ClassTable(()))
settings = DepthSettings(source="transformers", model={str(tiny)!r}, window=56)
assert make_depth([scene], settings, Path({str(tmp_path / "cache")!r}))
assert not {{"transformers", "torch", "huggingface_hub"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_change_that_matters_is_noticed(tmp_path, tiny, red):
    scene, cache = scene_of(tmp_path, COLOURS), tmp_path / "cache"
    model = copied(tiny, tmp_path)

    def looks(scene: Scene, settings: DepthSettings) -> int:
        before = red.looks
        depth_raster(scene, settings, cache)
        return red.looks - before

    assert looks(scene, network_settings(tiny)) == 6
    assert looks(scene, network_settings(model)) == 0, "the same weights elsewhere"
    assert looks(scene, network_settings(tiny, allow_download=True, range_m=9)) == 0, "settings of other things"
    assert looks(scene, network_settings(tiny, overlap=0.5)) > 6
    assert looks(scene, network_settings(tiny)) == 0, "what was made otherwise lies beside it"
    assert looks(opened("s", scene.files, ("blue", "green", "red")), network_settings(tiny)) == 6
    weights = load_file(model / "model.safetensors")
    save_file({name: w + 1 for name, w in weights.items()}, model / "model.safetensors", {"format": "pt"})
    assert looks(scene, network_settings(model)) == 6
    changed = COLOURS.copy()
    changed[0, 0, 0] += 1
    assert looks(scene_of(tmp_path, changed), network_settings(model)) == 6
    moved = scene_of(tmp_path, changed, transform=Affine(0.5, 0, 600, 0, -0.5, 900))
    assert looks(moved, network_settings(model)) == 6


def test_changed_heights_are_noticed(tmp_path):
    scene = with_heights(scene_of(tmp_path, COLOURS), np.full(RAMP.shape, 6, np.float32))
    settings = DepthSettings(source="raster")
    assert read_depth(depth_raster(scene, settings, tmp_path))[4, 4] == pytest.approx(0.2, abs=1e-5)
    scene = with_heights(scene, np.full(RAMP.shape, 12, np.float32))
    assert read_depth(depth_raster(scene, settings, tmp_path))[4, 4] == pytest.approx(0.4, abs=1e-5)
    other = opened("s", SceneFiles(scene.image, heights=scene.heights, heights_are="dsm"), scene.bands)
    assert read_depth(depth_raster(other, settings, tmp_path))[4, 4] == pytest.approx(0, abs=1e-5)


def test_a_change_behind_a_vrt_is_noticed(tmp_path, tiny, red):
    part = save(tmp_path / "part.tif", COLOURS)
    band = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><SimpleSource><SourceFilename relativeToVRT="1">part.tif'
        f"</SourceFilename><SourceBand>{i}</SourceBand></SimpleSource></VRTRasterBand>"
        for i in (1, 2, 3)
    )
    (tmp_path / "s.vrt").write_text(f'<VRTDataset rasterXSize="120" rasterYSize="90">{band}</VRTDataset>')
    scene = opened("s", SceneFiles(tmp_path / "s.vrt"), ("red", "green", "blue"))
    depth_raster(scene, network_settings(tiny), tmp_path)
    looks = red.looks
    save(part, COLOURS[:, ::-1])
    depth_raster(scene, network_settings(tiny), tmp_path)
    assert red.looks == 2 * looks


def test_a_cut_raster_is_made_anew(tmp_path):
    noise = np.random.default_rng(0).uniform(0, 30, (700, 500)).astype(np.float32)
    scene = with_heights(scene_of(tmp_path, np.ones((3, 700, 500), np.uint8)), noise)
    path = depth_raster(scene, DepthSettings(source="raster"), tmp_path)
    whole = path.read_bytes()
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        depth_raster(scene, DepthSettings(source="raster"), tmp_path)
        np.testing.assert_allclose(read_depth(path), noise / 30, atol=1e-5)


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_no_broken_raster(tmp_path, tiny, red, monkeypatch, end):
    scenes = [scene_of(tmp_path, COLOURS, name=name) for name in "ab"]
    ticks: list[int] = []

    def tick(done: int, of: int) -> None:
        ticks.append(done)
        if done == 9:
            raise end

    cache = tmp_path / "cache"
    with pytest.raises(end):
        make_depth(scenes, network_settings(tiny), cache, tick)
    assert [path.name[:2] for path in cache.rglob("*.tif")] == ["a-"]
    for folder in cache.rglob(".b-*.windows"):
        (folder / ".b.0123456789ab.part.tif").touch()  # as a process that is killed leaves it
    looks = red.looks
    resumed = make_depth(scenes, network_settings(tiny), cache)
    assert red.looks == looks + 3, "the windows that were seen are not looked at again"
    assert not list(cache.rglob("*windows*"))
    assert not list(cache.rglob("*.part.tif"))
    at_once = make_depth(scenes, network_settings(tiny), tmp_path / "other")
    for name in "ab":
        np.testing.assert_array_equal(read_depth(resumed[name]), read_depth(at_once[name]))


def test_windows_seen_with_other_settings_are_kept_apart(tmp_path, tiny, red):
    scene, cache = scene_of(tmp_path, COLOURS), tmp_path / "cache"

    def tick(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_depth([scene], network_settings(tiny), cache, tick)
    looks = red.looks
    make_depth([scene], network_settings(tiny, turns=2), cache)
    assert red.looks == looks + 12
    make_depth([scene], network_settings(tiny), cache)
    assert red.looks == looks + 12 + 3
    assert not list(cache.rglob("*windows*"))


def test_other_settings_on_the_same_cache_leave_a_raster_in_use_as_it_is(tmp_path):
    scene = with_heights(scene_of(tmp_path, COLOURS), np.full(RAMP.shape, 6, np.float32))
    path = depth_raster(scene, DepthSettings(source="raster", range_m=30), tmp_path / "cache")
    depth_raster(scene, DepthSettings(source="raster", range_m=12), tmp_path / "cache")
    assert read_depth(path)[4, 4] == pytest.approx(0.2, abs=1e-5)


def test_an_interruption_while_writing_leaves_no_raster_and_the_others_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("reliefseg.depth.source.BLOCK", 64)
    scene = with_heights(scene_of(tmp_path, COLOURS), RAMP.astype(np.float32))
    path = depth_raster(scene, DepthSettings(source="raster"), tmp_path / "cache")
    before = path.read_bytes()

    def tick(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_depth([scene], DepthSettings(source="raster", range_m=5), tmp_path / "cache", tick)
    assert path.read_bytes() == before
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"] == [path.name]


# wrong input


def test_scenes_nothing_can_be_seen_in_are_all_named(tmp_path, tiny, red):
    grey = scene_of(tmp_path, np.full((3, 40, 40), 90, np.uint8), name="grey")
    empty = scene_of(tmp_path, np.zeros((3, 40, 40), np.uint8), name="empty", nodata=0)
    fine = scene_of(tmp_path, COLOURS, name="fine")
    with pytest.raises(InputError, match=r"scene grey: .*same colour(.|\n)*scene empty: no valid pixel"):
        make_depth([grey, empty, fine], network_settings(tiny), tmp_path / "cache")
    assert red.looks == 0


def test_a_network_that_sees_nothing_is_refused(tmp_path, tiny, red):
    image = COLOURS.copy()
    image[0] = 8
    with pytest.raises(InputError, match="sees no relief, its output is 8"):
        depth_raster(scene_of(tmp_path, image), network_settings(tiny), tmp_path / "cache")


def test_a_network_with_broken_weights_is_refused(tmp_path, tiny):
    model = copied(tiny, tmp_path)
    weights = load_file(model / "model.safetensors")
    weights["head.conv3.bias"].fill_(float("nan"))
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="not finite at row 0, col 0"):
        depth_raster(scene_of(tmp_path, COLOURS), network_settings(model), tmp_path / "cache")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/model", "no such folder"),
        ("nobody/depth-of-nothing", "copy is not on this machine; .*--set depth.allow_download=true"),
    ],
)
def test_a_model_that_is_not_here(tmp_path, model, message, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    settings = DepthSettings(source="transformers", model=model)
    with pytest.raises(InputError, match=message):
        make_depth([scene_of(tmp_path, COLOURS)], settings, tmp_path / "cache")


@pytest.mark.parametrize("fault", [ConnectionError("no route to host"), ValueError("bad id"), None])
def test_a_hub_that_cannot_be_reached(tmp_path, tiny, red, monkeypatch, fault):
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[bool] = []

    def download(model: str, *, local_files_only: bool = False, **_: Any) -> str:
        asked.append(local_files_only)
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        if fault:
            raise fault
        return str(tiny)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    settings = network_settings(Path("owner/name"), allow_download=True)
    scene = scene_of(tmp_path, COLOURS)
    if fault is None:
        assert depth_raster(scene, settings, tmp_path / "cache").is_file()
    else:
        with pytest.raises(InputError, match=f"cannot be fetched from the hub .{fault}"):
            depth_raster(scene, settings, tmp_path / "cache")
    assert asked == [True, False]


def test_folders_that_are_no_model(tmp_path, tiny):
    scene = scene_of(tmp_path, COLOURS)

    def message(model: Path) -> str:
        with pytest.raises(InputError) as error:
            depth_raster(scene, network_settings(model), tmp_path / "cache")
        return str(error.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    assert message(empty).count("\n") == 2
    assert "expected model.safetensors" in message(empty)
    model = copied(tiny, tmp_path)
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert "pytorch_model.bin only, which can run code" in message(model)
    (model / "pytorch_model.bin").rename(model / "model.safetensors")
    (model / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:2000])
    assert "cannot be loaded" in message(model)
    (model / "config.json").write_text('{"model_type": "bert"}')
    assert "cannot be loaded" in message(model)
    (model / "config.json").write_text("{")
    assert "cannot be loaded" in message(model)


def test_the_hash_of_the_weights_is_known_without_a_scene(tmp_path, tiny):
    assert depth_weights(network_settings(tiny)) == depth_weights(network_settings(copied(tiny, tmp_path)))
    assert depth_weights(DepthSettings(source="raster")) is None
    assert depth_weights(DepthSettings(source="none")) is None


def test_a_backbone_without_a_head_is_refused_but_unused_weights_may_be_missing(tmp_path, tiny):
    model = copied(tiny, tmp_path)
    weights = load_file(model / "model.safetensors")
    unused = {k: w for k, w in weights.items() if "fusion_stage.layers.0.residual_layer1" in k or "mask_token" in k}
    assert len(unused) == 5
    save_file({k: w for k, w in weights.items() if k not in unused}, model / "model.safetensors", {"format": "pt"})
    assert load_network(model, "auto").sign == 1
    backbone = {k: w for k, w in weights.items() if k.startswith("backbone")}
    save_file(backbone, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"weights are missing from its files .*not a backbone alone"):
        load_network(model, "auto")


def test_missing_packages_are_named(tmp_path, tiny, monkeypatch):
    scene = scene_of(tmp_path, COLOURS)
    monkeypatch.setattr("reliefseg.depth.network.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"transformers is not installed.*pip install 'reliefseg\[hub\]'"):
        depth_raster(scene, network_settings(tiny), tmp_path / "cache")
    monkeypatch.setattr("reliefseg.depth.hub.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"huggingface-hub, which is not installed.*pip install 'reliefseg\[hub\]'"):
        depth_raster(scene, network_settings(Path("owner/name")), tmp_path / "cache")


def test_of_several_processes_one_makes_the_depth(tmp_path, monkeypatch):
    """A second one that wants the same raster waits for it and takes it as it is."""
    scene, settings = with_heights(scene_of(tmp_path, COLOURS), RAMP.astype(np.float32)), DepthSettings(source="raster")
    made, write = [], making.write_depth

    def slowly(path, *rest):
        made.append(path)
        time.sleep(1)
        write(path, *rest)

    monkeypatch.setattr(making, "write_depth", slowly)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: depth_raster(scene, settings, tmp_path / "cache"), range(2)))
    assert len(made) == 1
    assert paths[0] == paths[1]
