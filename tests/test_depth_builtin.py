"""The depth network of our own: weights, what it learns from, how it is trained, and depth from it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score

from reliefseg.cli import run
from reliefseg.config import load_settings
from reliefseg.depth import DepthSettings, depth_raster, make_depth, read_depth, survey_photo
from reliefseg.depth.builtin import SHIPPED, open_builtin
from reliefseg.depth.disguise import disguised, normalised
from reliefseg.depth.heights import (
    PIXELS,
    WORKING_GSD,
    HeightCard,
    HeightNetwork,
    load_heights,
    metres,
    read_card,
    save_heights,
)
from reliefseg.depth.looking import HeightLooker
from reliefseg.depth.losses import fitting_loss, gradient_matching, scale_invariant
from reliefseg.depth.pool import FittingScene, draw_tiles, grid_tiles, resampled
from reliefseg.depth.scoring import HeightScores, area_under_curve, score_heights
from reliefseg.errors import InputError
from reliefseg.generate import GenerateSettings, generate_dataset
from reliefseg.networks import U2NetOutput
from reliefseg.raster import Window, load_dataset
from reliefseg.workflow import depth_fitting
from reliefseg.workflow import fitting_scenes as scenes_to_fit
from reliefseg.workflow.depth_fitting import FitSettings, fit_depth
from test_depth import COLOURS, scene_of, with_heights


class RedHeights(HeightNetwork):
    """A stand-in that sees 10 m where red is brightest."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def forward(self, photos: torch.Tensor) -> U2NetOutput:
        heights = torch.log1p(10 * photos[:, :1].float().clamp(0, 1))
        return U2NetOutput(heights, (heights,))


def as_they_are(photos: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    return photos


@pytest.fixture
def red(monkeypatch: pytest.MonkeyPatch) -> RedHeights:
    """Puts the stand-in in the place of every network that is loaded, seeing photographs as they are."""
    network = RedHeights()
    loaded = (network, HeightCard(range_m=20.0, window=64))
    monkeypatch.setattr("reliefseg.depth.looking.load_heights", lambda file: loaded)
    monkeypatch.setattr("reliefseg.depth.looking.normalised", as_they_are)
    return network


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, for windows of 64 px."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "heights.safetensors"
    save_heights(path, HeightNetwork(), HeightCard(range_m=15.0, window=64, trained={"steps": 0}))
    return path


def builtin(weights: Path, **changes: Any) -> DepthSettings:
    return DepthSettings(**{"source": "builtin", "weights": str(weights)} | changes)


def with_gsd(scene: Any, gsd: float) -> Any:
    return replace(scene, grid=replace(scene.grid, stated_gsd=gsd))


def fitting_scene(size: int = 96, gsd: float = 0.25) -> FittingScene:
    rng = np.random.default_rng(0)
    heights = np.zeros((size, size), np.float16)
    heights[20:50, 30:70] = 8
    bands = rng.integers(40, 90, (4, size, size)).astype(np.uint8)
    bands[:, heights > 0] += 120
    return FittingScene(bands, heights, gsd, ((1, 2, 3), (0, 1, 2)))


# weights


def test_shipped_weights_are_small_and_whole():
    assert SHIPPED.stat().st_size < 5e6
    network, card = load_heights(SHIPPED)
    assert card.window == 256
    assert card.trained["correlation"] > 0.78
    assert card.trained["auc"] > 0.95
    assert sum(p.numel() for p in network.parameters()) < 2e6
    assert (SHIPPED.parent / "README.md").is_file()


def test_weights_come_back_as_half_precision(tmp_path):
    torch.manual_seed(1)
    network = HeightNetwork().eval()
    card = HeightCard(range_m=12.5, window=128, trained={"seed": 3})
    save_heights(tmp_path / "w.safetensors", network, card)
    (tmp_path / "usual").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "usual").stat().st_mode  # others may read it
    again, told = load_heights(tmp_path / "w.safetensors")
    assert told == card == read_card(tmp_path / "w.safetensors")
    photos = torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        one, other = network(photos), again(photos)
    assert one.fused.shape == (1, 1, 64, 32)
    assert len(one.sides) == 6
    torch.testing.assert_close(one.fused, other.fused, atol=0.02, rtol=0.02)


def test_no_prediction_is_below_the_ground_or_above_all_houses():
    torch.testing.assert_close(metres(torch.tensor([-1.0, 0.0, np.log(4.0), 99.0])), torch.tensor([0.0, 0.0, 3.0, 150]))


@pytest.mark.parametrize("fault", ["missing", "text", "other", "cut", "newer", "fewer"])
def test_files_that_are_no_weights(tmp_path, weights, fault):
    path = tmp_path / "w.safetensors"
    metadata = {"reliefseg_heights": HeightCard(range_m=1, window=64).model_dump_json()}
    tensors = load_file(weights)
    if fault == "text":
        path.write_text("hello")
    elif fault == "other":
        save_file({"a": torch.zeros(3)}, path)
    elif fault == "cut":
        path.write_bytes(weights.read_bytes()[:9000])
    elif fault == "newer":
        save_file(tensors, path, {"reliefseg_heights": json.dumps({"format": 99})})
    elif fault == "fewer":
        save_file(dict(list(tensors.items())[5:]), path, metadata)
    messages = {
        "missing": "no such file", "text": "no weights of reliefseg depth fit", "newer": "format 99.*update reliefseg",
        "other": "no weights of reliefseg depth fit", "cut": "no weights of reliefseg|cannot be loaded",
        "fewer": "5 weights are missing or unknown",
    }  # fmt: skip
    with pytest.raises(InputError, match=messages[fault]):
        load_heights(path)


# what it learns from


def test_tiles_show_what_lies_in_their_box():
    scene = fitting_scene()
    tiles = grid_tiles(scene, 32, scene.gsd)
    assert tiles.photos.shape == (9, 3, 32, 32)
    np.testing.assert_allclose(tiles.photos[4].numpy(), scene.bands[1:, 32:64, 32:64] / np.float32(255), atol=1e-6)
    np.testing.assert_array_equal(tiles.metres[4].numpy(), scene.metres[32:64, 32:64])
    assert tiles.known.all()


def test_tiles_at_twice_the_gsd_are_means():
    scene = fitting_scene()
    tile = grid_tiles(scene, 48, 2 * scene.gsd)
    means = scene.metres.astype(np.float32).reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(tile.metres[0].numpy() - means).mean() < 0.1


def test_unknown_heights_are_not_known_in_tiles():
    scene = fitting_scene()
    scene.metres[:10] = np.nan
    tiles = draw_tiles([scene], 64, 6, np.random.default_rng(0))
    assert torch.isfinite(tiles.metres).all()
    assert not tiles.known.all()
    assert grid_tiles(scene, 32, scene.gsd).known[0, 10:].all()


def test_draws_depend_on_the_random_numbers_alone():
    scenes = [fitting_scene(), fitting_scene(80, 0.4)]

    def batch(seed: int) -> tuple[torch.Tensor, ...]:
        rng = np.random.default_rng([seed, 5])
        tiles = draw_tiles(scenes, 64, 4, rng)
        return disguised(tiles, rng), tiles.metres

    for one, other in zip(batch(1), batch(1), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(batch(1)[0], batch(2)[0])


def test_disguises_change_what_is_seen_but_not_where():
    rng = np.random.default_rng(0)
    tiles = draw_tiles([fitting_scene()] * 2, 64, 16, rng)
    seen = disguised(tiles, rng)
    assert seen.shape == tiles.photos.shape
    assert torch.isfinite(seen).all()
    edges = [np.abs(np.diff(z.mean(0).numpy(), axis=0)) for z in seen]
    true = [np.abs(np.diff(z.numpy(), axis=0)) > 2 for z in tiles.metres]
    shares = [e[t].mean() / e.mean() for e, t in zip(edges, true, strict=True) if t.any()]
    assert np.median(shares) > 1.2, "roofs' edges are still edges"


def test_normalising_takes_out_brightness_and_contrast():
    photos = torch.rand(2, 3, 8, 8)
    mean, deviation = photos.mean(dim=(2, 3)), photos.std(dim=(2, 3))
    again = 0.1 + 0.5 * photos
    torch.testing.assert_close(
        normalised(photos, mean, deviation), normalised(again, 0.1 + 0.5 * mean, 0.5 * deviation)
    )


# losses and figures


def planes(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, -1)


def test_the_scale_invariant_loss_forgives_half_of_a_common_error():
    known = torch.ones(1, 1, 3, dtype=torch.bool)
    truth = planes(1.0, 2.0, 3.0)
    assert scale_invariant(truth, truth, known) < 2e-3
    common = float(scale_invariant(truth + 1, truth, known))
    assert common == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert scale_invariant(truth + planes(1.0, -1.0, 1.0), truth, known) > common


def test_gradients_match_but_for_a_constant():
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.normal(size=(2, 32, 32)).astype(np.float32))
    known = torch.ones_like(truth, dtype=torch.bool)
    assert gradient_matching(truth + 3, truth, known) < 1e-5
    assert gradient_matching(truth * 0, truth, known) > 0.5


def test_unknown_pixels_count_in_no_loss():
    torch.manual_seed(0)
    true, known = 9 * torch.rand(2, 32, 32), torch.rand(2, 32, 32) > 0.3
    seen = U2NetOutput(torch.rand(2, 1, 32, 32), (torch.rand(2, 1, 32, 32),))
    other = torch.where(known, true, torch.tensor(77.0))
    assert fitting_loss(seen, true, known) == fitting_loss(seen, other, known)
    assert torch.isfinite(fitting_loss(seen, true, known & False))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
@settings(max_examples=60)
def test_the_area_under_the_curve_is_that_of_scikit_learn(pairs):
    score, positive = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    if positive.all() or not positive.any():
        assert np.isnan(area_under_curve(score, positive))
    else:
        assert area_under_curve(score, positive) == pytest.approx(roc_auc_score(positive, score))


def test_scores_of_a_perfect_and_of_a_blind_network():
    scene = fitting_scene()

    class Bright(RedHeights):
        def forward(self, photos: torch.Tensor) -> U2NetOutput:
            heights = torch.where(photos[:, :1] > 1, np.log(9.0), 0.0).float()
            return U2NetOutput(heights, ())

    perfect = score_heights(Bright(), [scene], 32)
    assert perfect.correlation == pytest.approx(1, abs=1e-4)
    assert perfect.auc == pytest.approx(1, abs=1e-4)
    blind = score_heights(
        RedHeights().eval(), [FittingScene(scene.bands * 0 + 7, scene.metres, 0.25, ((0, 1, 2),))], 32
    )
    assert blind.auc == pytest.approx(0.5, abs=1e-4)
    assert blind.correlation == 0


# depth


def test_metres_become_depth_over_the_fixed_range(tmp_path, weights, red):
    scene = scene_of(tmp_path, COLOURS)
    settings = builtin(weights, range_m=10)
    assert scene.grid.gsd == 2 * WORKING_GSD
    path = depth_raster(scene, settings, tmp_path / "cache")
    assert path.parent == tmp_path / "cache/depth/builtin"
    np.testing.assert_allclose(read_depth(path), COLOURS[0] / 255, atol=0.01)
    with rasterio.open(path) as dataset:
        tags = dataset.tags()
    assert tags["depth_gsd"] == "0.5 known"
    assert tags["depth_range_m"] == "10"
    assert json.loads(tags["depth_recipe"])["weights"] == tags["depth_weights_sha256"]


def test_where_the_gsd_is_known_a_scene_is_seen_finely_and_coarsely(tmp_path, weights, red, monkeypatch):
    sides = []
    look = HeightLooker.look
    monkeypatch.setattr(HeightLooker, "look", lambda self, photo, at: sides.append(at.height) or look(self, photo, at))
    depth_raster(scene_of(tmp_path, COLOURS), builtin(weights), tmp_path / "cache")
    assert sorted({side * 0.5 / 64 for side in sides}) == pytest.approx([0.2, 0.375], rel=0.02)


def test_where_the_gsd_is_unknown_several_are_assumed_and_the_range_is_the_training_scenes(tmp_path, weights, red):
    scene = scene_of(tmp_path, COLOURS, crs=None)
    path = depth_raster(scene, builtin(weights), tmp_path / "cache")
    with rasterio.open(path) as dataset:
        tags = dataset.tags()
    assert tags["depth_gsd"] == "0.15 0.3 0.6 assumed"
    assert tags["depth_range_m"] == "20"
    np.testing.assert_allclose(read_depth(path), COLOURS[0] / 255 / 2, atol=0.01)


def test_nodata_has_no_depth_and_scenes_smaller_than_a_window_are_seen(tmp_path, weights):
    image = COLOURS[:, :40, :50].copy()
    image[:, :5] = 0
    scene = scene_of(tmp_path, image, nodata=0)
    depth = read_depth(depth_raster(scene, builtin(weights), tmp_path / "cache"))
    np.testing.assert_array_equal(np.isnan(depth), ~scene.read_valid())


def test_quarter_turns_are_averaged(tmp_path, weights):
    scene = scene_of(tmp_path, COLOURS)
    photo, window = survey_photo(scene), Window(0, 0, 32, 32)
    looker = HeightLooker.load(weights, 4)
    turned = scene_of(tmp_path / "turned", np.rot90(COLOURS, axes=(1, 2)).copy())
    other = survey_photo(turned)
    seen = looker.look(photo, window)
    across = looker.look(other, Window(turned.grid.height - 32, 0, 32, 32))
    np.testing.assert_allclose(np.rot90(seen), across, atol=0.03)
    single = HeightLooker.load(weights, 1)
    assert np.abs(single.look(photo, window) - seen).max() > 0


def test_every_change_that_matters_is_noticed(tmp_path, weights):
    small = COLOURS[:, :40, :40]
    scene, cache = scene_of(tmp_path, small), tmp_path / "cache"

    def key(scene: Any, settings: DepthSettings) -> str:
        with rasterio.open(depth_raster(scene, settings, cache)) as dataset:
            return dataset.tags()["depth_key"]

    first = key(scene, builtin(weights))
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    assert key(scene, builtin(copy, window=99, larger_is="far")) == first, "same weights, settings of other sources"
    torch.manual_seed(5)
    save_heights(copy, HeightNetwork(), HeightCard(range_m=15.0, window=64))
    changes = [builtin(copy), builtin(weights, turns=2), builtin(weights, range_m=9), builtin(weights, overlap=0.5)]
    assert len({first, *(key(scene, change) for change in changes)}) == 5
    plain = scene_of(tmp_path / "plain", small, crs=None)
    keys = {
        key(plain, builtin(weights)),
        key(with_gsd(plain, 0.3), builtin(weights)),
        key(with_gsd(plain, 0.4), builtin(weights)),
    }
    assert len(keys) == 3, "a gsd that the data set states"


def test_a_hit_loads_no_network(tmp_path, weights, monkeypatch):
    scene = scene_of(tmp_path, COLOURS)
    ticks: list[tuple[int, int]] = []
    make_depth([scene], builtin(weights), tmp_path / "cache", lambda done, of: ticks.append((done, of)))
    assert ticks[-1] == (100, 100)
    monkeypatch.setattr("reliefseg.depth.looking.load_heights", None)
    make_depth([scene], builtin(weights), tmp_path / "cache")


def test_bad_input_is_said(tmp_path, weights, monkeypatch):
    with pytest.raises(InputError, match=r"depth.weights .*nowhere: no such file"):
        make_depth([scene_of(tmp_path, COLOURS)], builtin(tmp_path / "nowhere"), tmp_path)
    monkeypatch.setattr("reliefseg.depth.builtin.SHIPPED", tmp_path / "gone")
    with pytest.raises(InputError, match="the package came without its weights"):
        make_depth([scene_of(tmp_path, COLOURS)], DepthSettings(source="builtin"), tmp_path)
    grey = scene_of(tmp_path, np.full((3, 40, 40), 90, np.uint8), name="grey")
    empty = scene_of(tmp_path, np.zeros((3, 40, 40), np.uint8), name="empty", nodata=0)
    with pytest.raises(InputError, match=r"scene grey: .*same colour(.|\n)*scene empty: no valid pixel"):
        make_depth([grey, empty], builtin(weights), tmp_path / "cache")


@pytest.mark.parametrize(
    ("gsd", "message"),
    [
        (25, r"scene s: gsd 25 m: is it centimetres\?; .* takes 0.01 to 2 m a pixel"),
        (0.001, "s: gsd 0.001 m; the"),
    ],
)
def test_a_gsd_that_cannot_be_meant_is_refused_before_anything_is_seen(tmp_path, weights, monkeypatch, gsd, message):
    monkeypatch.setattr(HeightLooker, "look", None)
    scene = with_gsd(scene_of(tmp_path, COLOURS, crs=None), gsd)
    with pytest.raises(InputError, match=message):
        make_depth([scene], builtin(weights), tmp_path / "cache")


@pytest.mark.parametrize("kind", ["one band", "16 bits with a maximum of 300"])
def test_odd_images_have_depth(tmp_path, weights, kind):
    image = COLOURS[0] if kind == "one band" else COLOURS.astype(np.uint16) + 45
    depth = read_depth(depth_raster(scene_of(tmp_path, image), builtin(weights), tmp_path / "cache"))
    assert np.isfinite(depth).all()


def test_eight_and_sixteen_bits_and_false_colours_agree(tmp_path):
    """The shipped network on a made scene: the same photograph in other clothes."""
    from reliefseg.generate import generate_scene

    made = generate_scene(11, 0, 384, 0.25, ("nir", "red", "green", "blue"))
    images = {
        "8 bits": made.bands[1:],
        "16 bits": made.bands[1:].astype(np.uint16) * 40 + 300,
        "false colours": made.bands[:3],
    }
    seen = []
    for name, image in images.items():
        bands = ("nir", "red", "green") if name == "false colours" else ("red", "green", "blue")
        folder = tmp_path / name.replace(" ", "_")
        scene = scene_of(folder, np.ascontiguousarray(image), bands, transform=rasterio.Affine(0.25, 0, 0, 0, -0.25, 0))
        seen.append(read_depth(depth_raster(scene, DepthSettings(source="builtin"), folder)).ravel())
    assert np.corrcoef(seen).min() > 0.7


# training


TINY = FitSettings(scenes=2, steps=4, batch=2, tile=64, threads=1)


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes_to_fit, "_generated", lambda seed, count, say: [fitting_scene(), fitting_scene(80, 0.3)])
    monkeypatch.setattr(depth_fitting, "use_processor", lambda threads: None)


def test_training_writes_the_best_weights_and_a_log(tmp_path, few_scenes):
    out = tmp_path / "w.safetensors"
    scores = fit_depth(out, TINY)
    card = read_card(out)
    assert card.trained["correlation"] == pytest.approx(scores.correlation)
    assert card.range_m == pytest.approx(8)
    assert card.window == 64
    lines = [json.loads(line) for line in (tmp_path / "w.fit/log.jsonl").read_text().splitlines()]
    looks = [line["correlation"] for line in lines if line["event"] == "score"]
    assert max(looks) == pytest.approx(scores.correlation)
    with pytest.raises(InputError, match="holds a training already"):
        fit_depth(out, TINY)
    with pytest.raises(InputError, match="nothing to resume"):
        fit_depth(tmp_path / "other.safetensors", TINY, resume=True)


def test_a_training_that_goes_on_keeps_the_weights_it_was_begun_from(tmp_path, few_scenes, monkeypatch):
    torch.manual_seed(7)
    start = tmp_path / "start.safetensors"
    save_heights(start, HeightNetwork(), HeightCard(range_m=15.0, window=64))
    begun = []

    def not_run(self: Any, *_: Any) -> HeightScores:
        begun.append(self.network.state_dict())
        return HeightScores(0.0, None)

    monkeypatch.setattr(depth_fitting._Fitting, "run", not_run)
    (tmp_path / "damaged.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="no weights of reliefseg depth fit"):
        fit_depth(tmp_path / "w.safetensors", TINY, start=tmp_path / "damaged.safetensors")
    fit_depth(tmp_path / "w.safetensors", TINY, start=start)  # nothing was begun
    fit_depth(tmp_path / "w.safetensors", TINY, resume=True)  # no checkpoint was written yet
    assert all(torch.equal(begun[0][name], begun[1][name]) for name in begun[0])
    save_heights(tmp_path / "other.safetensors", HeightNetwork(), HeightCard(range_m=15.0, window=64))
    with pytest.raises(InputError, match=r"was not begun from .*other\.safetensors; leave --start out"):
        fit_depth(tmp_path / "w.safetensors", TINY, start=tmp_path / "other.safetensors", resume=True)


def test_a_training_that_goes_on_ends_where_it_would_have(tmp_path, few_scenes, monkeypatch):
    fit_depth(tmp_path / "whole.safetensors", TINY)
    step = depth_fitting._Fitting._one_step

    def interrupted(self: Any) -> float:
        if self.step == 2:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(depth_fitting._Fitting, "_one_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_depth(tmp_path / "parts.safetensors", TINY)
    monkeypatch.setattr(depth_fitting._Fitting, "_one_step", step)
    towns = load_dataset(generate_dataset(tmp_path / "towns", GenerateSettings(scenes=1, size=96)))
    with pytest.raises(InputError, match=r"was begun on generated scenes, not .*dataset\.toml; name that again"):
        fit_depth(tmp_path / "parts.safetensors", TINY, towns, resume=True)
    fit_depth(tmp_path / "parts.safetensors", TINY, resume=True)
    states = []
    for name in ("whole", "parts"):
        newest = sorted((tmp_path / f"{name}.fit/checkpoints").glob("fit-*"))[-1]
        states.append(load_file(newest / "state.safetensors"))
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_training_learns(tmp_path, few_scenes):
    settings = TINY.model_copy(update={"steps": 12, "batch": 4})
    assert fit_depth(tmp_path / "w.safetensors", settings).auc > 0.75


def test_a_data_set_is_learnt_from_by_its_training_scenes_alone(tmp_path):

    generate_dataset(tmp_path / "data", GenerateSettings(scenes=6, size=96, gsd=0.2))
    dataset = load_dataset(tmp_path / "data")
    held = {s.name for split in ("validation", "test") for s in dataset.split(split)}
    (count,) = {len(scenes_to_fit.fitting_scenes(0, 50, dataset))}
    assert count == 6 - len(held) > 0
    assert len(scenes_to_fit.held_out_scenes(0, dataset)) == len(dataset.split("validation")) > 0
    for name in held - {s.name for s in dataset.split("validation")}:
        for folder in ("images", "heights", "ground"):
            (tmp_path / "data" / folder / f"{name}.tif").write_bytes(b"unreadable")
    pieces = scenes_to_fit.fitting_scenes(0, TINY.scenes, dataset)
    assert all(piece.gsd == pytest.approx(0.2) for piece in pieces)


def test_scenes_that_nothing_can_be_learnt_from(tmp_path):
    from test_depth import dataset_of

    plain = scene_of(tmp_path, COLOURS, name="plain")
    with pytest.raises(InputError, match=r"no scene of splits pixel_labelled.* has heights"):
        scenes_to_fit.fitting_scenes(0, TINY.scenes, dataset_of(plain, pixel_labelled=("plain",)))
    nowhere = with_heights(
        scene_of(tmp_path, COLOURS, name="n", crs=None),
        np.ones((90, 120), np.float32),
    )
    with pytest.raises(InputError, match="scene n: heights, but no gsd"):
        scenes_to_fit.fitting_scenes(0, TINY.scenes, dataset_of(nowhere, pixel_labelled=("n",)))


def test_a_start_without_heights_stands_in_no_way(tmp_path, few_scenes):
    from test_depth import dataset_of

    plain = dataset_of(scene_of(tmp_path, COLOURS, name="plain"), pixel_labelled=("plain",))
    with pytest.raises(InputError, match="has heights"):
        fit_depth(tmp_path / "w.safetensors", TINY, plain)
    fit_depth(tmp_path / "w.safetensors", TINY)


def test_heights_that_are_nowhere_known_are_refused(tmp_path):
    from test_depth import dataset_of

    empty = with_heights(scene_of(tmp_path, COLOURS, name="e"), np.full((90, 120), np.nan, np.float32))
    with pytest.raises(InputError, match="scene e: no pixel has a height"):
        scenes_to_fit.fitting_scenes(0, TINY.scenes, dataset_of(empty, pixel_labelled=("e",)))


def test_where_nothing_is_high_one_figure_is_undefined(tmp_path, few_scenes, monkeypatch):
    low = [replace(scene, metres=np.minimum(scene.metres, 1)) for scene in scenes_to_fit.held_out_scenes(0, None)]
    monkeypatch.setattr(depth_fitting, "held_out_scenes", lambda *arguments: low)
    scores = fit_depth(tmp_path / "w.safetensors", TINY)
    assert scores.auc is None
    assert "AUC above 2.5 m not defined" in scores.in_words()
    assert "auc" not in load_heights(tmp_path / "w.safetensors")[1].trained


# the command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scene_of(tmp_path / "data", COLOURS, name="one")
    (tmp_path / "data/dataset.toml").write_text(
        'name = "d"\nbands = ["red", "green", "blue"]\n[[classes]]\nname = "house"\ncolor = "#112233"\n'
        '[files]\nimages = "{scene}.tif"\n'
    )
    return tmp_path / "data"


def test_depth_is_made_by_the_network_of_our_own_and_shown(folder, capsys):
    assert run(["depth", str(folder), "--json", "--quiet", "--preview"]) == 0
    (path,) = json.loads(capsys.readouterr().out).values()
    assert Path(path).parent == folder / ".reliefseg/depth/builtin"
    assert Path(path).name.startswith("one-")
    picture = np.asarray(Image.open(Path(path).with_suffix(".png")))
    assert picture.shape == (90, 120 + 8 + 120, 3)
    np.testing.assert_array_equal(picture[:, :120], np.moveaxis(COLOURS, 0, -1))


def test_large_scenes_are_shown_small(folder, monkeypatch, capsys):
    monkeypatch.setattr("reliefseg.workflow.depth_previews.SIDE", 50)
    monkeypatch.setattr("reliefseg.depth.source.BLOCK", 64)
    assert run(["depth", str(folder), "--json", "--quiet", "--preview"]) == 0
    (path,) = json.loads(capsys.readouterr().out).values()
    picture = np.asarray(Image.open(Path(path).with_suffix(".png")))
    np.testing.assert_array_equal(picture[:, :40], np.moveaxis(COLOURS, 0, -1)[::3, ::3])


def test_wrong_usage_of_fit_is_said(tmp_path, capsys):
    assert run(["depth", "fit", str(tmp_path / "w.safetensors"), "--tile", "100", "--batch", "1"]) == 2
    told = capsys.readouterr().err
    assert "tile" in told
    assert "batch" in told
    assert run(["depth", str(tmp_path / "nothing")]) == 2


def test_squares_of_pixels_become_channels_and_come_back():
    photo = torch.arange(48.0).reshape(1, 3, 4, 4)
    squares = torch.nn.functional.pixel_unshuffle(photo, PIXELS)
    assert squares.shape == (1, 12, 2, 2)
    assert resampled(photo[0], 4) is photo[0] or torch.equal(resampled(photo[0], 4), photo[0])


def test_the_originals_preset_runs_offline_with_our_own_network():
    """Its `depth.model` names a network on a hub; the source `builtin` does not read that."""
    settings = load_settings("original", None, ["depth.source=builtin"]).depth
    assert settings.model == "Intel/dpt-large"
    assert open_builtin(settings).file == SHIPPED
