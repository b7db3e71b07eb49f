"""Boxes, sampling, jitter and the bank."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reliefseg.raster import IGNORE_INDEX, Window
from reliefseg.tiles import (
    Boxes,
    BoxLayout,
    Normalisation,
    SceneArrays,
    SceneBank,
    TileSettings,
    draw_boxes,
    jittered,
    oversampling,
    turned,
)
from reliefseg.tiles.sampling import sample_bands, sample_labels


def scene(height=60, width=90, bands=3, dtype=np.uint8, depth=False, classes=4, gsd=1.0):
    rng = np.random.default_rng(0)
    high = 255 if dtype == np.uint8 else 4000
    values = rng.integers(0, high, (bands, height, width)).astype(dtype)
    return SceneArrays(
        bands=values,
        valid=np.ones((height, width), bool),
        labels=rng.integers(0, classes, (height, width)).astype(np.uint8),
        depth=rng.random((height, width)).astype(np.float32) if depth else None,
        relative_gsd=gsd,
    )


def bank_of(*scenes, settings=None, classes=4, normalise=True):
    norm = Normalisation.of(scenes)
    if not normalise:
        norm = Normalisation((0.0,) * len(norm.mean), (1.0,) * len(norm.std))
    return SceneBank(scenes, classes, norm, settings or TileSettings(size=32))


def exactly(row, col, height, width, flips=(False, False, False)):
    one = [np.array([float(v)]) for v in (row, col, height, width)]
    return Boxes(np.array([0]), *one, *(np.array([f]) for f in flips))


def test_a_box_of_the_tile_size_is_the_scenes_own_pixels():
    one = scene()
    bank = bank_of(one, normalise=False)
    tiles = bank.tiles(exactly(5, 7, 32, 32), 32)
    np.testing.assert_array_equal(tiles[0].numpy(), one.bands[:, 5:37, 7:39])
    labels = sample_labels(bank.scenes, exactly(5, 7, 32, 32), 32)
    np.testing.assert_array_equal(labels[0].numpy(), one.labels[5:37, 7:39])


@settings(max_examples=30)
@given(
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    row=st.floats(0, 20), col=st.floats(0, 40), side=st.floats(10, 40),
)  # fmt: skip
def test_turning_the_box_is_turning_the_tile(flips, row, col, side):
    """Sampling a flipped or transposed box equals flipping or transposing the sample: bands and labels alike."""
    bank = bank_of(scene(), normalise=False)
    straight, other = exactly(row, col, side, side), exactly(row, col, side, side, flips)
    for sample in (sample_bands, sample_labels):
        expected = sample(bank.scenes, straight, 24)
        axes = [-2] * flips[0] + [-1] * flips[1]
        expected = torch.flip(expected, axes) if axes else expected
        expected = expected.transpose(-1, -2) if flips[2] else expected
        torch.testing.assert_close(sample(bank.scenes, other, 24), expected, rtol=0, atol=0)


@pytest.mark.parametrize("side", [24, 31, 48])  # shrunk by two, every position lies between two pixels
def test_a_mirrored_scene_gives_mirrored_tiles(side):
    one = scene()
    mirrored = replace(one, bands=one.bands[:, ::-1].copy(), labels=one.labels[::-1].copy())
    box, same = exactly(4, 7, side, side), exactly(60 - 4 - side, 7, side, side)
    for sample in (sample_bands, sample_labels):
        expected = torch.flip(sample(bank_of(one, normalise=False).scenes, box, 24), [-2])
        torch.testing.assert_close(sample(bank_of(mirrored, normalise=False).scenes, same, 24), expected)


def test_all_eight_orientations_occur_equally_often():
    boxes = turned(Boxes.of_windows([0] * 4000, [Window(0, 0, 8, 8)] * 4000), seed=1, step=0)
    code = boxes.flip_rows * 4 + boxes.flip_cols * 2 + boxes.transpose
    assert np.bincount(code, minlength=8).min() > 400


def test_a_linear_ramp_is_sampled_without_a_shift():
    """Bilinear and nearest lie on one grid: a ramp of labels and a ramp of bands agree to half a pixel."""
    ramp = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    one = SceneArrays(ramp[None], np.ones(ramp.shape, bool), ramp)
    bank = bank_of(one, normalise=False, classes=200)
    box = exactly(20.3, 11.7, 150, 150)
    bands = sample_bands(bank.scenes, box, 64)[0, 0]
    labels = sample_labels(bank.scenes, box, 64)[0].float()
    expected = 11.7 + 150 * (torch.arange(64) + 0.5) / 64 - 0.5
    torch.testing.assert_close(bands[0], expected.float(), atol=1e-3, rtol=0)
    assert (bands - labels).abs().max() <= 0.5 + 1e-3
    assert abs((bands - labels).mean()) < 0.05


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, :-4] = np.repeat(np.arange(63) % 2 * 200, 4)
    stripes = np.roll(stripes, 1, axis=1)[:, np.random.default_rng(0).permutation(256)]
    bank = bank_of(SceneArrays(stripes[None], np.ones(stripes.shape, bool), stripes * 0), normalise=False)
    box = exactly(0, 0, 256, 256)
    assert oversampling(8) == 4
    assert (
        sample_bands(bank.scenes, box, 32, oversampling(8)).std() < 45 < 60 < sample_bands(bank.scenes, box, 32).std()
    )


def test_beyond_the_edge_the_scene_is_mirrored_however_far():
    one = scene(height=10, width=12)
    bank = bank_of(one, normalise=False)
    tile = bank.tiles(exactly(-15, -20, 50, 50), 50)[0].numpy()
    mirrored = np.pad(one.bands, ((0, 0), (15, 25), (20, 18)), mode="symmetric")
    np.testing.assert_array_equal(tile, mirrored)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_bank_keeps_every_type_of_file(dtype):
    one = scene(dtype=dtype, depth=True)
    if dtype == np.uint16:
        one.bands[0, 10, 10] = 65535
    bank = bank_of(one, normalise=False)
    tile = bank.tiles(exactly(0, 0, 60, 60), 60)[0].numpy()
    np.testing.assert_allclose(tile[:3], one.bands[:, :60, :60], rtol=1e-6)
    steps = {np.uint8: 255, np.uint16: 65535, np.float32: 1e7}[dtype]
    np.testing.assert_allclose(tile[3], one.depth[:60, :60], atol=0.51 / steps)


def test_pixels_that_are_not_valid_are_zero_for_the_network_and_ignored():
    one = scene(depth=True)
    one.valid[10:30, 10:30] = False
    one.depth[40, 40] = np.nan
    bank = bank_of(one)
    tile = bank.tiles(exactly(10, 10, 20, 20), 20)[0]
    assert tile.abs().max() < 0.01
    assert (sample_labels(bank.scenes, exactly(10, 10, 20, 20), 20) == IGNORE_INDEX).all()
    assert bank.tiles(exactly(40, 40, 1, 1), 1)[0, 3].abs() < 0.02


def test_normalised_tiles_have_mean_zero_and_deviation_one():
    scenes = [scene(200, 220, depth=True), scene(150, 100, depth=True)]
    norm = Normalisation.of(scenes)
    values = np.concatenate([s.bands.reshape(3, -1) for s in scenes], axis=1)
    np.testing.assert_allclose(norm.mean[:3], values.mean(axis=1))
    np.testing.assert_allclose(norm.std[:3], values.std(axis=1))
    assert 0.4 < norm.mean[3] < 0.6


def test_a_constant_band_does_not_divide_by_zero():
    flat = SceneArrays(np.full((1, 40, 40), 7, np.uint8), np.ones((40, 40), bool), np.zeros((40, 40), np.uint8))
    assert Normalisation.of([flat]).std == (1.0,)
    assert torch.isfinite(bank_of(flat).random_tiles(0, 0, 2).bands).all()


def test_a_band_in_tiny_units_is_not_constant():
    values = np.linspace(0, 1e-6, 1600, dtype=np.float32).reshape(1, 40, 40)
    tiny = SceneArrays(values, np.ones((40, 40), bool), np.zeros((40, 40), np.uint8))
    assert Normalisation.of([tiny]).std[0] == pytest.approx(values.std(dtype=float), rel=1e-3)
    for constant in (0, 0.1, 1e-7, -3e6):
        flat = SceneArrays(np.full_like(values, constant), tiny.valid, tiny.labels)
        assert Normalisation.of([flat]).std == (1.0,)


def test_depth_alone_is_enough():
    one = scene(bands=3, depth=True)
    bare = SceneArrays(one.bands[:0], one.valid, one.labels, one.depth)
    batch = bank_of(bare).random_tiles(0, 0, 2)
    assert batch.bands.shape == (2, 1, 32, 32)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31), step=st.integers(0, 10**6),
    sizes=st.lists(st.tuples(st.integers(20, 200), st.integers(20, 200)), min_size=1, max_size=4),
    box=st.floats(8, 300), balance=st.floats(0, 1),
)  # fmt: skip
def test_boxes_lie_inside_their_scenes(seed, step, sizes, box, balance):
    labels = [np.full(size, i % 3, np.uint8) for i, size in enumerate(sizes)]
    layout = BoxLayout(labels, 3, [1.0] * len(sizes))
    boxes = draw_boxes(layout, TileSettings(size=64, box=box, box_balance=balance), seed, step, 16)
    height, width = layout.sizes[boxes.scene].T
    assert (boxes.top >= -1e-9).all()
    assert (boxes.left >= -1e-9).all()
    assert (boxes.top + boxes.height <= height + 1e-9).all()
    assert (boxes.left + boxes.width <= width + 1e-9).all()
    np.testing.assert_array_equal(boxes.height, boxes.width)


def test_boxes_are_a_function_of_seed_step_and_index():
    layout = BoxLayout([scene(300, 300).labels], 4, [1.0])
    few, many = (draw_boxes(layout, TileSettings(size=64), 3, 5, n) for n in (4, 9))
    for name in Boxes.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:4])
    other = draw_boxes(layout, TileSettings(size=64), 3, 6, 4)
    assert (few.top + few.left != other.top + other.left).all()


def test_the_factor_is_log_uniform_around_the_box():
    layout = BoxLayout([np.zeros((2000, 2000), np.uint8)], 1, [1.0])
    boxes = draw_boxes(layout, TileSettings(size=128, box=100, box_factor=(0.5, 2.0)), 0, 0, 4000)
    logs = np.log2(boxes.height / 100)
    assert logs.min() >= -1
    assert logs.max() <= 1
    assert abs(logs.mean()) < 0.05
    assert abs(logs.std() - 2 / np.sqrt(12)) < 0.03


def test_a_scene_of_finer_gsd_gets_larger_boxes_in_pixels():
    layout = BoxLayout([np.zeros((900, 900), np.uint8)], 1, [0.5])
    boxes = draw_boxes(layout, TileSettings(size=128, box=100, box_factor=(1, 1)), 0, 0, 4)
    np.testing.assert_allclose(boxes.height, 200)


def test_boxes_with_too_little_labelled_area_are_drawn_again():
    labels = np.full((512, 512), IGNORE_INDEX, np.uint8)
    labels[:256, :256] = 1
    labels[400, 400] = 1
    layout = BoxLayout([labels], 3, [1.0])
    boxes = draw_boxes(layout, TileSettings(size=64, box_factor=(1, 1), min_valid=0.5), 0, 0, 500)
    share = [
        (labels[int(t) : int(t) + 64, int(le) : int(le) + 64] == 1).mean()
        for t, le in zip(boxes.top, boxes.left, strict=True)
    ]
    assert np.mean(np.array(share) > 0.35) > 0.98


def test_rare_classes_are_drawn_more_often_when_asked():
    labels = np.zeros((1000, 1000), np.uint8)
    labels[480:496, 480:496] = 1
    layout = BoxLayout([labels], 2, [1.0])

    def hits(balance):
        b = draw_boxes(layout, TileSettings(size=64, box_factor=(1, 1), box_balance=balance), 0, 0, 400)
        return np.mean((b.top < 496) & (b.top > 416) & (b.left < 496) & (b.left > 416))

    assert hits(0.0) < 0.05
    assert 0.4 < hits(1.0) < 0.6


def test_jitter_changes_image_bands_only_and_repeats():
    tiles = torch.ones(3, 4, 8, 8)
    once, again = (jittered(tiles, 0.3, 3, seed=1, step=2) for _ in range(2))
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    torch.testing.assert_close(once[:, 3], tiles[:, 3], rtol=0, atol=0)
    assert (once[:, :3] != 1).all()
    assert jittered(tiles, 0.0, 3, seed=1, step=2) is tiles


def test_the_bank_takes_no_more_than_its_bytes():
    bank = bank_of(*[scene(100, 130, bands=4) for _ in range(3)])
    assert bank.nbytes == 3 * 100 * 130 * 5


def test_a_factor_the_wrong_way_round_is_refused():
    with pytest.raises(ValueError, match="smallest, largest"):
        TileSettings(box_factor=(2.0, 1.0))
