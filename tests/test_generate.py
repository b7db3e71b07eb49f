"""Generated scenes: the same for the same seed, true to the sun, and a data set that loads."""

import hashlib
import tomllib
from functools import lru_cache
from math import hypot

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from reliefseg.errors import InputError
from reliefseg.generate import (
    BANDS,
    CLASSES,
    GenerateSettings,
    Sun,
    fitting_jobs,
    generate_dataset,
    generate_scene,
    split_counts,
)
from reliefseg.generate.canvas import blank_canvas
from reliefseg.generate.character import Lean, draw_character
from reliefseg.generate.cover import cover_ground
from reliefseg.generate.crowns import SHRUB_M, Noise, draw_tree
from reliefseg.generate.draft import Draft, Plot
from reliefseg.generate.drawing import draw_building
from reliefseg.generate.light import Ball, incidence, overshadowed, through_crowns
from reliefseg.generate.looks import LOOKS
from reliefseg.generate.noise import value_noise
from reliefseg.generate.objects import Building, Habit, Roof, Tree
from reliefseg.generate.plan import FILLERS, LONGEST_M, joined_blocks, plan_town
from reliefseg.generate.room import Box, Room, overlap
from reliefseg.generate.spectra import FLAT_ROOFS, GRASS_FRESH, LEAVES, TWIGS, Material
from reliefseg.generate.streets import Pose, draw_streets
from reliefseg.generate.view import leaning_view
from reliefseg.raster import load_dataset

RGB = ("red", "green", "blue")
PAVED, BUILDING, LOW, TREE, CAR = range(5)


@pytest.fixture(scope="module")
def scenes():
    return [generate_scene(7, index, 384, 0.25, RGB) for index in range(8)]


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


def test_a_scene_is_the_same_alone_and_in_any_order():
    there = [generate_scene(3, i, 96, 0.2, RGB) for i in (0, 1, 2)]
    back = [generate_scene(3, i, 96, 0.2, RGB) for i in (2, 1, 0)][::-1]
    assert all(same(a, b) for a, b in zip(there, back, strict=True))
    assert not same(there[0], there[1])
    assert not same(there[0], generate_scene(4, 0, 96, 0.2, RGB))


def test_shapes_types_and_bands():
    scene = generate_scene(0, 0, 80, 0.3, BANDS)
    assert scene.bands.shape == (4, 80, 80)
    assert scene.bands.dtype == np.uint8
    assert scene.labels.shape == scene.dsm.shape == scene.ground.shape == (80, 80)
    assert scene.dsm.dtype == scene.ground.dtype == np.float32
    assert set(np.unique(scene.labels)) <= {0, 1, 2, 3, 4, 255}


@pytest.mark.parametrize("gsd", [0.02, 0.05, 0.5, 2.0])
def test_small_scenes_at_any_ground_sampling_distance(gsd):
    scene = generate_scene(1, 5, 128, gsd, RGB)
    assert scene.bands.std() > 3
    assert np.isfinite(scene.dsm).all()
    assert np.isfinite(scene.ground).all()
    assert (scene.dsm - scene.ground).min() > -1


NOT_EUROPE = {"arid town", "edge of the desert", "southern city", "open country"}


def character_of(seed, index):
    return draw_character(np.random.default_rng(np.random.SeedSequence([seed, index]).spawn(1)[0]))


def look_of(seed, index):
    return character_of(seed, index).name


def test_a_data_set_shows_kinds_of_town_that_its_three_labelled_scenes_do_not():
    looks = [look_of(0, index) for index in range(36)]
    assert generate_scene(0, 5, 64, 0.3, RGB).look == looks[5]
    assert len(set(looks[3:]) - set(looks[:3])) >= 6
    assert {look_of(1, index) for index in range(300)} == set(LOOKS)


def test_class_shares_are_those_of_european_towns():
    """Ranges about the published shares of the ISPRS scenes; see docs/generator.md."""
    towns = [index for index in range(40) if look_of(9, index) not in NOT_EUROPE][:14]
    labels = np.stack([generate_scene(9, index, 192, 0.7, RGB).labels for index in towns])
    each = np.stack([np.bincount(plane.ravel(), minlength=256) / plane.size for plane in labels])
    for label, low, high in ((PAVED, 0.2, 0.45), (BUILDING, 0.15, 0.35), (LOW, 0.15, 0.45), (TREE, 0.06, 0.3)):
        assert low < each[:, label].mean() < high
        assert np.ptp(each[:, label]) > 0.15
    assert 0.005 < each[:, CAR].mean() < 0.03
    assert each[:, 255].mean() < 0.05


@lru_cache
def planned(seed):
    ways, layout, things = (np.random.default_rng([seed, stream]) for stream in range(3))
    character = draw_character(ways)
    return plan_town(things, draw_streets(layout, 80, character.look), character, 50)


def within(values, low, at_5, at_50, at_95, high):
    """Least and greatest in range, and the three percentiles each between two bounds."""
    assert low <= min(values) <= max(values) <= high
    for q, (least, most) in zip((5, 50, 95), (at_5, at_50, at_95), strict=True):
        assert least < np.percentile(values, q) < most


def test_buildings_streets_and_trees_have_published_sizes():
    """The ranges of docs/generator.md, in metres."""
    towns = [planned(seed) for seed in range(20)]
    houses = [b for town in towns for b in town.plan.buildings if b.foot is None and b.length * b.width > 25]
    trees = [t for town in towns for t in town.plan.trees if t.height > SHRUB_M]
    lines = [lines for town in towns for lines in (town.streets.long, town.streets.cross)]
    within([b.length * b.width for b in houses], 25, (30, 60), (70, 140), (250, 900), 9000)
    within([b.eave for b in houses], 2.2, (2.4, 4.5), (5, 10), (12, 25), 60)
    within([2 * t.radius for t in trees], 1.6, (2, 3.5), (4, 7), (7, 12), 13)
    within([t.height for t in trees], SHRUB_M, (3.5, 5.5), (5.5, 10), (10, 18), 24)
    within([2 * half for line in lines for half in line.half], 3.4, (4, 5.5), (5.5, 7.5), (8, 13), 22)
    within([width for line in lines for width in line.pavement], 0.2, (0.3, 1.2), (1.2, 2.5), (2, 4), 4)


def test_flat_ground_differs_from_parcel_to_parcel_and_is_as_large_and_as_red_as_roofs():
    yards = [yard for seed in range(20) for yard in planned(seed).plan.yards]
    grown = np.array([yard.spectrum for yard in yards if yard.material in (Material.LAWN, Material.MEADOW)])
    assert (grown.std(0) / grown.mean(0) > 0.15).all()
    paved = [yard for yard in yards if yard.material is Material.PAVING]
    areas = np.array([(yard.p1 - yard.p0) * (yard.q1 - yard.q0) for yard in paved])
    assert (areas > 60).mean() > 0.2
    redness = np.array([yard.spectrum.red / yard.spectrum.blue for yard in paved])
    assert (redness > 1.8).mean() > 0.05
    assert (redness < 1.1).mean() > 0.05


def test_yards_end_where_streets_begin():
    ways, layout, things = (np.random.default_rng([3, stream]) for stream in range(3))
    character = draw_character(ways)
    streets = draw_streets(layout, 80, character.look)
    town = plan_town(things, streets, character, 50)
    assert len(town.plan.yards) > 20
    drawn = []
    for plan in (town.plan, town.plan._replace(yards=[])):
        canvas = blank_canvas(np.zeros((200, 200), np.float32), 0.5, RGB)
        cover_ground(canvas, town._replace(plan=plan), character)
        drawn.append(canvas.material)
    street = np.isin(drawn[1], (Material.ASPHALT, Material.PAVEMENT, Material.MARKING))
    assert 0.1 < street.mean() < 0.7
    assert np.array_equal(drawn[0][street], drawn[1][street])
    assert (drawn[0] != drawn[1]).mean() > 0.05


@pytest.mark.parametrize("turned", [0.0, 0.3, 0.8, 1.3])
@pytest.mark.parametrize(("roof", "gsd", "tones"), [(Roof.FLAT, 0.1, 1), (Roof.FLAT, 0.3, 1), (Roof.GABLE, 0.1, 2)])
def test_each_face_of_a_roof_is_lit_alike_up_to_its_eaves(turned, roof, gsd, tones):
    """No dotted parapets and eaves: steps of a pixel have no light of their own."""
    canvas = blank_canvas(np.zeros((200, 200), np.float32), gsd, RGB)
    house = Building(Pose(0, 0, turned), 12, 8, 6, roof, 0.6, FLAT_ROOFS[0])
    draw_building(canvas, house)
    light = incidence(canvas.surface, canvas.gsd, Sun(150, 40))
    on_roof = light[canvas.material == Material.ROOF]
    faces = [light[canvas.pixel(*house.pose.moved(0, side)[:2])] for side in (-2, 2)[:tones]]
    lit_so = np.min([np.abs(on_roof - face) for face in faces], axis=0) < 0.02
    assert lit_so.mean() > 0.96


def box_of(thing):
    return Box(thing.pose, thing.length / 2, thing.width / 2, hypot(thing.length, thing.width) / 2)


def covers(building, car):
    """Whether a building stands on a car's middle."""
    return overlap(box_of(building), Box(car.pose, 0.5, 0.5, 0.7))


def test_cars_stand_neither_in_cars_nor_under_houses():
    for seed in range(12):
        plan = planned(seed).plan
        cars = [box_of(car) for car in plan.cars]
        assert not any(overlap(car, other) for k, car in enumerate(cars) for other in cars[:k])
        assert sum(covers(house, car) for house in plan.buildings for car in plan.cars) == 0


def test_houses_keep_off_the_carriageways():
    on_it, corners = 0, 0
    for seed in range(12):
        town = planned(seed)
        for house in town.plan.buildings:
            ends = [(a * house.length / 2, b * house.width / 2) for a in (-0.9, 0.9) for b in (-0.9, 0.9)]
            on_it += sum(town.streets.on_street(*house.pose.moved(*end)[:2]) for end in ends)
            corners += len(ends)
    assert on_it < 0.005 * corners


@settings(max_examples=60)
@given(angle=st.floats(0, 7), aside=st.floats(0, 9), size=st.tuples(st.floats(0.5, 9), st.floats(0.5, 9)))
def test_ground_is_free_where_no_box_was_put(angle, aside, size):
    room, long, wide = Room(), *size
    room.take(Pose(3, 4, angle), 8, 2)
    beside = Pose(3, 4, angle).moved(0, aside)
    assert room.free(beside, long, wide) == (aside >= 1 + wide / 2)
    assert room.free(Pose(3, 4, angle).moved(4.01 + long / 2, 0), long, wide)


def test_yards_within_kerbs_lie_on_no_bay_and_under_no_car():
    for seed in range(12):
        town = planned(seed)
        cars = [(car.pose.down, car.pose.right) for car in town.plan.cars]
        for yard in town.plan.yards:
            if yard.material is Material.PAVING and min(yard.p1 - yard.p0, yard.q1 - yard.q0) > 3.3:
                middle = town.streets.place((yard.p0 + yard.p1) / 2, (yard.q0 + yard.q1) / 2)
                assert all(hypot(middle.down - down, middle.right - right) > 1 for down, right in cars)


def test_crowns_are_whole_and_cars_are_not_cut_by_roofs():
    """Straight from above, at 12 cm a pixel."""
    scenes = [scene for scene in (generate_scene(2, i, 400, 0.12, RGB) for i in range(8)) if not any(scene.lean)]
    cut = number = 0
    for scene in scenes:
        crowns = np.bincount(ndimage.label(scene.labels == TREE)[0].ravel())[1:] * 0.12**2
        assert (crowns < 0.3).sum() <= 2 + 0.05 * len(crowns)
        roof, (cars, count) = scene.labels == BUILDING, ndimage.label(scene.labels == CAR)
        edge = np.bincount(cars[ndimage.binary_dilation(roof) & (cars > 0)], minlength=count + 1)
        cut, number = cut + (edge > 16).sum(), number + count
    assert len(scenes) >= 2
    assert cut <= 0.02 * number


def test_the_shadow_of_a_crown_is_round_and_lies_off_its_trunk():
    canvas = blank_canvas(np.zeros((200, 200), np.float32), 0.1, RGB)
    ball = Ball(0.0, 0.0, 5.0, 2.0, 2.0, 0.0, 2.0)
    light = through_crowns(canvas, [ball], np.zeros((200, 200), np.float32), Sun(180, 45))
    rows, cols = np.nonzero(light < 0.9)
    assert light[canvas.pixel(-5, 0)] < 0.03
    assert light[canvas.pixel(-5, 1.9)] > 0.3
    assert light[canvas.pixel(-1.5, 0.5)] == 1
    assert light[canvas.pixel(4, 0)] == 1
    assert np.ptp(cols) * 0.1 == pytest.approx(4, abs=0.3)
    shadow = rows * 0.1 - 10
    assert shadow[np.abs(cols * 0.1 - 10) > 0.3].min() == pytest.approx(-5 - 8**0.5, abs=0.3)


@pytest.mark.parametrize("kind", list(FILLERS))
def test_any_block_can_be_filled_at_any_size(kind):
    for seed, (length, depth) in enumerate([(8, 8), (9, 60), (60, 9), (20, 25), (250, 40), (90, 160)]):
        rng = np.random.default_rng(seed)
        character = draw_character(rng)
        draft = Draft(rng, character, draw_streets(rng, 150, character.look), 150)
        FILLERS[kind](draft, Plot(-length / 2, length / 2, -depth / 2, depth / 2))
        assert all(min(b.length, b.width) > 1 for b in draft.plan.buildings)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_blocks_fill_their_row_and_stay_short_enough_to_walk_round(seed):
    rng = np.random.default_rng(seed)
    streets = draw_streets(rng, 200, draw_character(rng).look)
    for j in range(len(streets.long.at) - 1):
        blocks = list(joined_blocks(streets, j))
        assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
        assert blocks[-1][1] == len(streets.cross.at) - 1
        for start, stop in blocks:
            assert stop == start + 1 or streets.cross.at[stop] - streets.cross.at[start] <= LONGEST_M
            assert streets.gone[start + 1 : stop, j].all()
        assert not any(streets.gone[stop, j] for _, stop in blocks[:-1])


def test_a_box_seen_aside_shows_its_roof_moved_and_its_side():
    above = np.zeros((40, 60), np.float32)
    above[10:20, 20:30] = 10.0
    view = leaning_view(above, 0.5, Lean(0.0, 0.2))
    assert (view.above[10:20, 24:34] == 10).all()
    assert not view.side[10:20, 24:34].any()
    assert view.side[10:20, 20:24].all()
    assert np.allclose(view.above[10:20, 20:24], [0.0, 2.5, 5.0, 7.5])
    assert view.side.sum() == 40
    assert np.array_equal(above[view.rows, view.cols] > 0, (view.above > 0) | view.side)


def test_the_ground_stays_where_it_is_in_a_leaning_view():
    rng = np.random.default_rng(4)
    above = np.where(rng.random((50, 50)) < 0.05, rng.uniform(1, 6, (50, 50)), 0).astype(np.float32)
    view = leaning_view(above, 0.5, Lean(-0.1, 0.17))
    rows, cols = np.nonzero(above[view.rows, view.cols] == 0)
    assert np.array_equal(view.rows[rows, cols], rows)
    assert np.array_equal(view.cols[rows, cols], cols)


def test_shifted_labels_are_the_same_labels_elsewhere():
    straight = [generate_scene(3, index, 96, 0.4, RGB) for index in range(1, 5)]
    shifted = [generate_scene(3, index, 96, 0.4, RGB, label_shift=5) for index in range(1, 5)]
    offsets = set()
    for one, other in zip(straight, shifted, strict=True):
        assert np.array_equal(one.bands, other.bands)
        assert np.array_equal(one.dsm, other.dsm)
        inner = other.labels[5:-5, 5:-5]
        tries = [(r, c) for r in range(11) for c in range(11)]
        offsets |= {(r, c) for r, c in tries if np.array_equal(one.labels[r : r + 86, c : c + 86], inner)}
    assert 3 <= len(offsets) <= 4


def test_heights_belong_to_their_classes(scenes):
    built = [scene for scene in scenes if (scene.labels == BUILDING).any()]
    assert len(built) >= 6
    for scene in built:
        height = scene.dsm - scene.ground
        assert height[scene.labels == BUILDING].max() < 62
        assert not (scene.labels == TREE).any() or np.median(height[scene.labels == TREE]) > 2
        assert np.abs(height[scene.labels == PAVED]).max() < 0.01
        assert height[scene.labels == CAR].max() < 1.6
        assert height[scene.labels == LOW].max() < SHRUB_M
        if not any(scene.lean):
            assert np.percentile(height[scene.labels == BUILDING], 0.1) > 2
            assert height[scene.labels == CAR].min() > 0.8


def test_cars_have_the_size_of_cars():
    labels = np.stack([generate_scene(2, i, 400, 0.12, RGB).labels for i in range(3)])
    sizes = [
        np.bincount(ndimage.label(plane == CAR)[0].ravel())[1:] * 0.12**2 for plane in labels if (plane == CAR).any()
    ]
    assert 6 < np.percentile(np.concatenate(sizes), 75) < 10


def test_shadows_lie_on_the_side_away_from_the_sun(scenes):
    """Ground a few metres beyond a building is darker away from the sun than towards it."""
    upright = [scene for scene in scenes if not any(scene.lean) and (scene.labels == BUILDING).mean() > 0.05]
    assert len(upright) >= 2
    for scene in upright:
        brightness = scene.bands.mean(0)
        building = scene.labels == BUILDING
        flat = np.abs(scene.dsm - scene.ground) < 0.1
        step = 2.0 / 0.25
        rows, cols = round(step * scene.sun.down), round(step * scene.sun.right)
        lit = np.roll(building, (rows, cols), (0, 1)) & flat
        dark = np.roll(building, (-rows, -cols), (0, 1)) & flat
        both = lit & dark
        assert brightness[dark & ~both].mean() < 0.85 * brightness[lit & ~both].mean()


@settings(max_examples=25)
@given(azimuth=st.floats(0, 360), elevation=st.floats(20, 70))
def test_a_mast_casts_its_shadow_where_the_sun_puts_it(azimuth, elevation):
    sun = Sun(azimuth, elevation)
    surface = np.zeros((121, 121), np.float32)
    surface[60:63, 60:63] = 6.0
    rows, cols = np.nonzero((overshadowed(surface, surface, 0.25, sun) > 0.3) & (surface == 0))
    away = (61 - rows) * sun.down + (61 - cols) * sun.right
    aside = (61 - rows) * sun.right - (61 - cols) * sun.down
    assert away.min() > 0
    assert np.abs(aside).max() < 3.5
    reach = 6 / sun.rise / 0.25
    inside = 60 / max(abs(sun.down), abs(sun.right))
    assert away.max() == pytest.approx(min(reach * 0.95, inside), abs=3.5)


def test_scenes_differ_in_light_and_colour(scenes):
    suns = np.array([scene.sun for scene in scenes])
    assert np.ptp(suns[:, 0]) > 20
    assert np.ptp(suns[:, 1]) > 5
    lawns = np.array([scene.bands[:, scene.labels == LOW].mean(1) for scene in scenes])
    assert (np.ptp(lawns, axis=0) > 12).all()


def test_vegetation_shines_in_near_infrared():
    scene = generate_scene(5, 0, 256, 0.25, ("nir", "red", "green"))
    nir, red, _ = scene.bands.astype(float)
    index = (nir - red) / (nir + red)
    assert index[scene.labels == TREE].mean() > index[scene.labels == PAVED].mean() + 0.15


def test_some_towns_are_seen_before_the_leaves_come_but_none_on_sand():
    green, dry = [], []
    for character in (character_of(1, index) for index in range(300)):
        (dry if character.yard[0] is Material.SAND else green).append(character.bare)
    assert 0.3 < np.mean(green) < 0.5
    assert not any(dry)


def test_trees_of_one_town_shine_less_in_near_infrared_before_the_leaves_come(monkeypatch):
    shine = []
    for share in (1.0, 0.0):
        monkeypatch.setattr("reliefseg.generate.character.LEAFLESS_SHARE", share)
        scene = generate_scene(0, 12, 200, 0.25, ("nir", "red", "green"))
        nir, red, _ = scene.bands.astype(float)
        shine.append(((nir - red) / (nir + red))[scene.labels == TREE].mean())
    assert shine[0] < shine[1] - 0.15


@pytest.mark.parametrize("bare", [True, False])
def test_the_ground_shows_through_a_bare_crown_alone(bare):
    """A tree over lawn to the left and white paving to the right: labelled tree and as high on both sides."""
    canvas = blank_canvas(np.zeros((100, 100), np.float32), 0.1, BANDS)
    canvas.albedo[:, :, :50] = np.array(GRASS_FRESH, np.float32)[:, None, None]
    canvas.albedo[:, :, 50:] = 0.6
    smooth = Noise(*(np.zeros((100, 100), np.float32) for _ in range(3)))
    spectrum = TWIGS if bare else LEAVES
    (ball,) = draw_tree(canvas, Tree(0, 0, 3.0, 8.0, Habit.ROUND, (0.0, 0.0), spectrum, bare), smooth)
    crown = canvas.surface > 0
    assert crown.sum() * 0.1**2 == pytest.approx(np.pi * 3**2, rel=0.02)
    assert set(canvas.material[crown]) == {Material.TWIGS if bare else Material.CROWN}
    assert canvas.surface.max() == pytest.approx(8, abs=0.05)
    red = canvas.albedo[BANDS.index("red")]
    left, right = red[:, :50][crown[:, :50]].mean(), red[:, 50:][crown[:, 50:]].mean()
    assert right - left == (pytest.approx(0.3, abs=0.1) if bare else pytest.approx(0, abs=1e-6))
    assert ball.density == pytest.approx(0.45 if bare else 1.5)


def test_noise_keeps_its_deviation():
    rng = np.random.default_rng(0)
    for cell in (0.5, 4.0, 11.3):
        assert value_noise(rng, (300, 200), cell).std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("scenes", "expected"),
    [
        (36, (3, 23, 3, 7)),
        (12, (1, 8, 1, 2)),
        (72, (6, 46, 6, 14)),
        (4, (1, 1, 1, 1)),
        (3, (1, 1, 0, 1)),
        (2, (1, 0, 0, 1)),
        (1, (1, 0, 0, 0)),
    ],
)
def test_splits_mirror_the_original(scenes, expected):
    assert tuple(split_counts(scenes).values()) == expected
    assert list(split_counts(scenes)) == ["pixel_labelled", "tile_labelled", "validation", "test"]


SMALL = GenerateSettings(scenes=5, size=96, gsd=0.4, seed=11, bands="red green blue")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    told = []
    out = generate_dataset(tmp_path_factory.mktemp("generated") / "a", SMALL, lambda done, of: told.append((done, of)))
    assert told == [(i, 5) for i in range(1, 6)]
    return out


def test_the_same_settings_give_the_same_bytes(dataset, tmp_path):
    before = digest(dataset)
    assert len(before) == 5 * 4 + 1
    assert digest(generate_dataset(tmp_path / "b", SMALL)) == before
    assert digest(generate_dataset(dataset, SMALL)) == before


def test_the_data_set_loads_and_says_what_was_made(dataset):
    loaded = load_dataset(dataset)
    assert loaded.bands == RGB
    assert loaded.classes == CLASSES
    assert {name: len(scenes) for name, scenes in loaded.splits.items()} == {
        "pixel_labelled": 1,
        "tile_labelled": 2,
        "validation": 1,
        "test": 1,
    }
    for index, (name, scene) in enumerate(loaded.scenes.items()):
        made = generate_scene(11, index, 96, 0.4, RGB)
        assert name == f"town_{index:03d}"
        assert scene.grid.gsd == pytest.approx(0.4)
        assert scene.grid.crs.to_epsg() == 25832
        assert np.array_equal(scene.read_bands(), made.bands)
        assert np.array_equal(scene.read_labels(), made.labels)
        assert np.allclose(scene.read_heights(), made.dsm - made.ground)
    assert len(loaded.tile_labels()) == 2


def test_footprints_never_touch(dataset):
    centres = []
    for path in sorted((dataset / "images").iterdir()):
        with rasterio.open(path) as image:
            assert image.profile["tiled"]
            centres.append((image.bounds.left + image.bounds.right, image.bounds.top + image.bounds.bottom))
    apart = [hypot(a[0] - b[0], a[1] - b[1]) / 2 for i, a in enumerate(centres) for b in centres[:i]]
    assert min(apart) >= 2 * 96 * 0.4


def test_one_scene_and_many_are_made_alike(dataset, tmp_path):
    fewer = generate_dataset(tmp_path / "c", SMALL.model_copy(update={"scenes": 2}))
    made, before = digest(fewer), digest(dataset)
    assert all(made[name] == before[name] for name in made if name.endswith(".tif"))


def test_processes_side_by_side_make_the_same_bytes(dataset, tmp_path):
    told = []
    beside = generate_dataset(tmp_path / "d", SMALL, lambda done, of: told.append(done), jobs=2)
    assert told == [1, 2, 3, 4, 5]
    assert digest(beside) == digest(dataset)


def test_small_data_sets_are_made_by_one_process():
    assert fitting_jobs(SMALL) == 1
    assert 1 <= fitting_jobs(GenerateSettings()) <= 4


def test_an_interruption_leaves_nothing_under_a_final_name(tmp_path):
    def stop(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_dataset(tmp_path, SMALL, stop)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"town_000.tif", "town_001.tif"}
    generate_dataset(tmp_path, SMALL)
    assert tomllib.loads((tmp_path / "dataset.toml").read_text())["tile_labels"]["size"] == 96


def test_a_folder_with_something_else_is_refused(dataset, tmp_path):
    before = digest(dataset)
    with pytest.raises(InputError, match=r"holds another data set \(dataset.toml differs\)"):
        generate_dataset(dataset, SMALL.model_copy(update={"seed": 12}))
    assert digest(dataset) == before
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.tif").touch()
    with pytest.raises(InputError, match=r"files of something else: images/mine\.tif; give a new or an empty folder"):
        generate_dataset(tmp_path, SMALL)
    with pytest.raises(InputError, match="is a file; give a new or an empty folder"):
        generate_dataset(tmp_path / "images" / "mine.tif", SMALL)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scenes": 0}, r"generate: scenes: 0: should be greater than or equal to 1"),
        ({"size": 20}, r"generate: size: 20: should be greater than or equal to 64"),
        ({"gsd": 3.0}, r"generate: gsd: 3.0: should be less than or equal to 2"),
        ({"seed": -1}, r"generate: seed: -1: should be greater than or equal to 0"),
        ({"label_shift": 99}, r"generate: label_shift: 99: should be less than or equal to 32"),
        ({"bands": "red"}, r"generate: bands: 'red': .*'nir red green' or 'red green blue'"),
        ({"szie": 100}, r"generate: szie: unknown key; did you mean 'size'\?"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(InputError, match=message):
        GenerateSettings.checked(**values)


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(InputError) as told:
        GenerateSettings.checked(scenes=0, size="large", colour=1)
    assert len(told.value.offences) == 3


def test_settings_take_no_other_key():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        GenerateSettings(roofs=3)


def test_unknown_bands_are_named():
    with pytest.raises(InputError, match="bands: 'gren' cannot be generated; did you mean 'green'"):
        generate_scene(0, 0, 64, 0.3, ("red", "gren"))
    with pytest.raises(InputError, match="bands: none given; expected some of nir, red, green, blue"):
        generate_scene(0, 0, 64, 0.3, ())
