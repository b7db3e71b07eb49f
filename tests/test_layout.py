"""How files are laid out: the order that suits them, how often blocks are decoded, and what is advised."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.shutil import copy

from reliefseg.errors import InputError
from reliefseg.inference import layout as layouts
from reliefseg.inference.computing import Computed, Job, Workers
from reliefseg.inference.layout import Layout
from reliefseg.inference.plan import Plan
from reliefseg.inference.sampling import read_window
from reliefseg.inference.source import FileSource
from reliefseg.raster import ClassSpec, ClassTable, open_scene
from reliefseg.tiles import Normalisation
from reliefseg.workflow import predict
from test_predicting import Notes, contents, save_model, write_scene

STRIPS = {"tiled": False, "blockxsize": None, "blockysize": 1}
BIG = 3000


class Reading(Job):
    """A job that only reads."""

    def compute(self, piece, read, calls=map):
        read(read_window(self.plan, piece))
        return Computed(None, np.ones((piece.core.height, piece.core.width), bool), 0)


class Idle:
    name, workers = "idle", 2


def plan_of(height, width, **changes):
    return Plan.of(height, width, 1.0, **({"window": 256, "margin": 32, "batch": 4} | changes))


def striped(path, **size):
    return write_scene(path, **{k: v for k, v in (STRIPS | size).items() if v is not None})


def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_striped_file_is_read_once(tmp_path):
    path = striped(tmp_path / "city.tif", height=BIG, width=BIG)
    scene = open_scene(path, bands=("red", "green"), classes=ClassTable((ClassSpec("any", (1, 1, 1), 0),)))
    plan, source, layout = plan_of(BIG, BIG), FileSource(scene, ("red", "green"), None), Layout.of(path)
    before = bytes_read()
    with layout.reading(source, plan) as suited:
        job = Reading(plan, suited, Idle(), Normalisation((0.0,) * 2, (1.0,) * 2))
        workers = Workers(job, layout.in_order(plan.pieces), lambda *_: None)
        with workers.running():
            workers.wait_for_all()
    assert 0.99 < (bytes_read() - before) / path.stat().st_size < 1.2


@pytest.mark.parametrize("profile", [STRIPS, {"blockxsize": 256, "blockysize": 128}])
def test_the_layout_is_what_the_file_says(tmp_path, profile):
    profile = {k: v for k, v in profile.items() if v is not None}
    path = write_scene(tmp_path / "a.tif", height=300, width=500, **profile)
    expected = Layout(1, 500, 2) if "blockxsize" not in profile else Layout(128, 256, 2)
    assert Layout.of(path) == expected
    copy(path, tmp_path / "mosaic.vrt", driver="VRT")
    assert Layout.of(tmp_path / "mosaic.vrt") == expected


def test_strips_and_small_tiles_keep_the_plans_order():
    plan = plan_of(5000, 5000)
    for layout in (Layout(1, 5000, 4), Layout(256, 256, 4), Layout(512, 512, 4)):
        assert layout.in_order(plan.pieces) == list(plan.pieces)


def test_large_blocks_are_finished_one_after_the_other():
    plan = plan_of(9000, 9000)
    order = Layout(4096, 4096, 4).in_order(plan.pieces)
    assert sorted(order) == sorted(plan.pieces)
    blocks = [(p.core.row // 4096, p.core.col // 4096) for p in order]
    changes = sum(a != b for a, b in pairwise(blocks))
    assert changes == len(set(blocks)) - 1


@settings(max_examples=30)
@given(st.integers(64, 700), st.integers(64, 900), st.integers(300, 2500), st.integers(300, 2500), st.integers(1, 8))
def test_decoding_is_counted_as_a_list_would(block_height, block_width, height, width, room):
    layout, plan = Layout(block_height, block_width, 4), plan_of(height, width, window=64, margin=8)
    kept, seen, decoded = [], set(), 0
    for piece in layout.in_order(plan.pieces):
        part = read_window(plan, piece)
        for row in range(part.row // block_height, (part.row + part.height - 1) // block_height + 1):
            for col in range(part.col // block_width, (part.col + part.width - 1) // block_width + 1):
                if (row, col) in kept:
                    kept.remove((row, col))
                else:
                    decoded += 1
                seen.add((row, col))
                kept = [*kept, (row, col)][-room:]
    block = block_height * min(block_width, width) * 4
    assert layout.times_decoded(plan, room * block) == decoded / len(seen)
    assert layout.times_decoded(plan, 10**12) == 1


def test_a_file_too_wide_for_any_cache_is_better_copied_and_that_is_said():
    wide, image = plan_of(4000, 200_000), Path("/data/river.tif")
    advice = Layout(1, 200_000, 8).advice(image, wide)
    assert "1 × 200000 px (height × width), each about 214 times" in advice
    assert "gdal_translate -of COG -co COMPRESS=DEFLATE -co BIGTIFF=IF_SAFER /data/river.tif /data/river_cog" in advice
    assert Layout(512, 512, 8).advice(image, wide) is None
    assert Layout(1, 8192, 4).advice(image, plan_of(8192, 8192)) is None


def test_the_cache_grows_only_as_far_as_a_file_needs():
    assert Layout(1, 8192, 4).cache(plan_of(8192, 8192)) == layouts.USUAL_CACHE
    assert Layout(1, 60_000, 4).cache(plan_of(8192, 60_000)) == 3 * layouts.USUAL_CACHE


def test_predict_says_it_and_gives_what_a_tiled_file_gives(tmp_path, monkeypatch):
    monkeypatch.setattr("reliefseg.inference.plan.PIECE", 40)
    model, notes = save_model(tmp_path / "model"), Notes()
    (tmp_path / "tiles").mkdir()
    size = {"height": 90, "width": 100}
    predict(model, [write_scene(tmp_path / "tiles" / "city.tif", **size)], tmp_path / "a", say=notes)
    scene = striped(tmp_path / "city.tif", **size)
    predict(model, [scene], tmp_path / "b", say=notes)
    assert not notes.said("gdal_translate")
    for name in ("USUAL_CACHE", "LARGEST_CACHE"):
        monkeypatch.setattr(layouts, name, 2000)
    predict(model, [scene], tmp_path / "c", say=notes)
    assert notes.said("gdal_translate")
    a, b, c = (contents(tmp_path / name) for name in "abc")
    for name in a.keys() - {"city/prediction.json"}:
        assert a[name] == b[name] == c[name]


def test_a_striped_file_that_ends_early_is_told_by_threads_that_share_it(tmp_path):
    path = striped(tmp_path / "cut.tif", height=900, width=900)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    scene = open_scene(path, bands=("red", "green"), classes=ClassTable((ClassSpec("any", (1, 1, 1), 0),)))
    plan, source = plan_of(900, 900), FileSource(scene, ("red", "green"), None)
    with Layout.of(path).reading(source, plan) as suited:
        workers = Workers(
            Reading(plan, suited, Idle(), Normalisation((0.0,) * 2, (1.0,) * 2)), plan.pieces, lambda *_: None
        )
        with workers.running(), pytest.raises(InputError, match="does the file end early"):
            workers.wait_for_all()
