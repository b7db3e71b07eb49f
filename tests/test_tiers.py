"""Scenes on the device, in memory or in a mapped file: the same tiles, and no more memory than there is."""

import errno
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from reliefseg.config import load_settings
from reliefseg.errors import InputError
from reliefseg.generate import GenerateSettings, generate_dataset
from reliefseg.raster import load_dataset
from reliefseg.tiles import Boxes, Normalisation, SceneArrays, SceneBank, TileSettings, tiers
from reliefseg.tiles.flat import Outline
from reliefseg.tiles.tiers import Tier, bank_key, choose_tier, lay_in
from reliefseg.workflow.preparing import prepare

CPU = torch.device("cpu")
SETTINGS = TileSettings(size=32, box=80, box_balance=0.5)


def scene(seed, height=90, width=130, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    high = 255 if dtype == np.uint8 else 40000
    return SceneArrays(
        bands=rng.integers(0, high, (3, height, width)).astype(dtype),
        valid=rng.random((height, width)) < 0.9,
        labels=rng.integers(0, 4, (height, width)).astype(np.uint8),
        depth=rng.random((height, width)).astype(np.float32),
    )


def bank_in(tier, scenes, folder, settings=SETTINGS):
    normalisation = Normalisation.of(scenes)
    key = bank_key([s.digest for s in scenes], normalisation)
    lay = lay_in(tier, folder, "pixels", key)
    return SceneBank(iter(scenes), 4, normalisation, settings, CPU, Outline.of(scenes), lay)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiles_are_the_same_bits_from_everywhere(tmp_path, dtype):
    scenes = [scene(0, dtype=dtype), scene(1, 60, 200, dtype)]
    batches = [bank_in(tier, scenes, tmp_path).random_tiles(3, 5, 8) for tier in Tier]
    for other in batches[1:]:
        assert torch.equal(other.bands, batches[0].bands)
        assert torch.equal(other.labels, batches[0].labels)
    assert batches[0].bands.std() > 0.3


def resident(path):
    """Bytes of a mapped file that this process has in memory."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    starts = [i for i, line in enumerate(lines) if line.endswith(str(path))]
    found = [line.split() for i in starts for line in lines[i : i + 6] if line.startswith("Rss")]
    return sum(1024 * int(words[1]) for words in found)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="what is in memory is known on Linux only")
def test_drawing_from_a_mapped_file_reads_no_more_than_tiles_touch(tmp_path):
    one = SceneArrays(
        np.zeros((3, 1500, 2000), np.uint8), np.ones((1500, 2000), bool), np.zeros((1500, 2000), np.uint8)
    )
    bank = bank_in(Tier.DISK, [one], tmp_path, TileSettings(size=32, box_factor=(1, 1)))
    mapped = next(tmp_path.glob("pixels-*")) / "bands"
    assert mapped.stat().st_size == 3 * 1500 * 2000
    assert resident(mapped) == 0
    bank.random_tiles(0, 0, 1)
    assert 32 * 4096 <= resident(mapped) < 0.5 * mapped.stat().st_size


@pytest.mark.parametrize("tier", Tier)
def test_scenes_are_laid_one_at_a_time(tmp_path, tier):
    """However many there are, no more than two are in memory: the one being laid and the next."""
    alive, most = weakref.WeakSet(), 0

    class Watched(SceneArrays):
        __hash__ = object.__hash__
        __eq__ = object.__eq__

    def read():
        nonlocal most
        for i in range(6):
            one = scene(i)
            watched = Watched(one.bands, one.valid, one.labels, one.depth)
            alive.add(watched)
            most = max(most, len(alive))
            yield watched
            del one, watched

    some = [scene(i) for i in range(6)]
    lay = lay_in(tier, tmp_path, "pixels", "key")
    SceneBank(read(), 4, Normalisation.of(some), SETTINGS, CPU, Outline.of(some), lay)
    assert 1 <= most <= 2


def folders(tmp_path):
    return {p.name: p.stat().st_ino for p in tmp_path.glob("pixels-*")}


def test_a_mapped_file_is_reused_while_scenes_stay_the_same_and_made_anew_when_one_changes(tmp_path):
    scenes = [scene(0), scene(1)]
    bank_in(Tier.DISK, scenes, tmp_path)
    before = folders(tmp_path)
    bank_in(Tier.DISK, scenes, tmp_path)
    assert folders(tmp_path) == before
    for change in (lambda s: s.bands, lambda s: s.labels, lambda s: s.valid, lambda s: s.depth):
        seen = folders(tmp_path)
        change(scenes[1])[..., 3, 4] = 1 - np.clip(change(scenes[1])[..., 3, 4], 0, 1)
        bank = bank_in(Tier.DISK, scenes, tmp_path)
        assert folders(tmp_path).keys().isdisjoint(seen)
        assert len(folders(tmp_path)) == 1
        fresh = SceneBank(scenes, 4, Normalisation.of(scenes), SETTINGS)
        assert torch.equal(bank.random_tiles(0, 0, 4).bands, fresh.random_tiles(0, 0, 4).bands)


def test_a_mapped_file_cut_short_is_made_anew(tmp_path):
    scenes = [scene(0)]
    expected = bank_in(Tier.DISK, scenes, tmp_path).random_tiles(0, 0, 4)
    path = next(tmp_path.glob("pixels-*")) / "bands"
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(bank_in(Tier.DISK, scenes, tmp_path).random_tiles(0, 0, 4).bands, expected.bands)


def test_where_the_disk_is_full_too_it_is_said_and_nothing_is_left(tmp_path, monkeypatch):
    def full(*rest):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tiers, "stored_labels", full)
    with pytest.raises(InputError, match=r"do not fit into memory.*0\.0 GB not on this disk.*--cache"):
        bank_in(Tier.DISK, [scene(0)], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "nbytes", "processes", "expected"),
    [
        (GPU, 39, 1, Tier.DEVICE),
        (GPU, 41, 1, Tier.MEMORY),
        (GPU, 399, 1, Tier.MEMORY),
        (GPU, 399, 2, Tier.DISK),
        (GPU, 401, 1, Tier.DISK),
        (CPU, 399, 1, Tier.DEVICE),
        (CPU, 401, 1, Tier.DISK),
        (CPU, 399, 2, Tier.DISK),
    ],
)
def test_the_fastest_place_that_has_room_is_chosen(monkeypatch, device, nbytes, processes, expected):
    monkeypatch.setattr(tiers, "free_memory", lambda where: 100 if where.type == "cuda" else 1000)
    assert choose_tier("auto", nbytes, device, processes) == expected
    assert choose_tier("disk", nbytes, device, processes) == "disk"


def test_a_place_without_room_is_refused(monkeypatch):
    monkeypatch.setattr(tiers, "free_memory", lambda where: 2 * 10**9)
    assert choose_tier("memory", 10**9, GPU) == "memory"
    with pytest.raises(InputError, match=r"tiles.bank: scenes take 3.0 GB, 2.0 GB are free in the device's memory"):
        choose_tier("device", 3 * 10**9, GPU)


def windows(height, width, size):
    return Boxes(np.array([0]), *(np.array([v]) for v in (0.0, 0.0, height, width)), *([np.array([False])] * 3)), size


@pytest.mark.parametrize(("height", "width"), [(64.0, 64.0), (16.0, 64.0), (64.0, 16.0)])
def test_a_box_shrunk_by_more_than_two_is_averaged_whichever_side_it_is(height, width):
    """By hand: lines of 0 and 200 px, one pixel wide, shrunk fourfold across, are 100 everywhere."""
    lines = np.tile(np.array([0, 200], np.uint8), (64, 32))
    lines = lines if width == 64 else lines.T
    one = SceneArrays(lines[None], np.ones((64, 64), bool), np.zeros((64, 64), np.uint8))
    bank = SceneBank([one], 1, Normalisation((0.0,), (1.0,)), TileSettings(size=32))
    assert (bank.tiles(*windows(height, width, 16)) == 100).all()


def test_a_tile_is_the_same_whatever_else_is_in_the_batch():
    """Boxes of one step are shrunk very differently; each is averaged by its own measure."""
    bank = SceneBank([scene(0, 200, 200)], 4, Normalisation.of([scene(0)]), TileSettings(size=32, box_factor=(0.5, 6)))
    whole = bank.random_tiles(1, 1, 8).bands
    for i in range(8):
        assert torch.equal(bank.random_tiles(1, 1, 1, first=i).bands[0], whole[i])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_dataset(generate_dataset(tmp_path_factory.mktemp("made") / "data", GenerateSettings(scenes=5, size=96)))


@pytest.mark.parametrize("blocks", ["true", "false"])
def test_a_run_prepared_from_the_disk_sees_what_one_in_memory_sees(data, blocks):
    more = [f"validation.blocks={blocks}", "pretrain.steps=1", "tiles.size=32"]
    memory, disk = (
        prepare(data, load_settings("debug", None, [*more, f"tiles.bank={b}"]), CPU) for b in ("auto", "disk")
    )
    assert (memory.tier, disk.tier) == (Tier.DEVICE, Tier.DISK)
    assert disk.spec == memory.spec
    assert torch.equal(memory.pixels.random_tiles(0, 0, 8).bands, disk.pixels.random_tiles(0, 0, 8).bands)
    assert torch.equal(memory.pixels.random_tiles(0, 0, 8).labels, disk.pixels.random_tiles(0, 0, 8).labels)
    assert torch.equal(memory.tiles.bank.scenes.bands, disk.tiles.bank.scenes.bands)
    if blocks == "false":
        assert torch.equal(memory.held_out.bank.scenes.bands, disk.held_out.bank.scenes.bands)
    assert len(memory.validation) == len(disk.validation) > 0
    for one, other in zip(memory.validation, disk.validation, strict=True):
        np.testing.assert_array_equal(one.arrays.bands, other.arrays.bands)
        np.testing.assert_array_equal(one.arrays.labels, other.arrays.labels)
    laid = {p.name.split("-")[0] for p in (data.cache / "bank").glob("*-*")}
    assert laid >= {"pixels", "tiles"} | ({"held_out"} if blocks == "false" else set())


def test_blocks_that_leave_nothing_to_learn_from_are_refused(data):
    with pytest.raises(InputError, match=r"validation.blocks: no scene can spare a quarter.*margin of 400 px"):
        prepare(data, load_settings("debug", None, ["validation.blocks=true", "tiles.box=400"]), CPU)
