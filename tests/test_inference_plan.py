"""The plan: what windows keep covers a scene, weights sum to one, a network that returns its input gives the scene."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reliefseg.inference.assembly import Blocks
from reliefseg.inference.computing import AHEAD, STEPS, Job, Workers, blended, called_by
from reliefseg.inference.plan import Piece, Plan
from reliefseg.inference.sampling import upsampled, working_image
from reliefseg.inference.source import ArraySource
from reliefseg.inference.store import FolderStore, MemoryStore
from reliefseg.inference.windows import Axis
from reliefseg.raster import Window
from reliefseg.tiles import Boxes, Normalisation, SceneArrays, SceneBank, TileSettings

extents = st.integers(1, 250)
shapes = st.tuples(st.integers(16, 64), st.integers(0, 16)).filter(lambda s: s[0] - 2 * s[1] >= 8)


class Mirror:
    """An engine that returns its input as if it were probabilities."""

    name, workers = "mirror", 2

    def __init__(self, margin):
        self.margin, self.batches = margin, []

    def __call__(self, windows):
        self.batches.append(windows.shape)
        keep = slice(self.margin, windows.shape[-1] - self.margin)
        return windows[:, :, keep, keep].copy()


def as_it_is(bands):
    return Normalisation((0.0,) * bands, (1.0,) * bands)


def arrays_of(bands, valid=None, depth=None):
    valid = np.ones(bands.shape[1:], bool) if valid is None else valid
    return SceneArrays(bands, valid, np.full(bands.shape[1:], 255, np.uint8), depth)


def shares(rng, classes, height, width):
    """Whole-number bands that sum to 255 everywhere, like probabilities in bytes."""
    cuts = np.sort(rng.integers(0, 256, (classes - 1, height, width)), axis=0)
    bounds = np.concatenate([np.zeros((1, height, width), int), cuts, np.full((1, height, width), 255)])
    return np.diff(bounds, axis=0).astype(np.uint8)


@settings(max_examples=60)
@given(extents, shapes)
def test_kept_parts_cover_the_extent_and_weights_sum_to_one(extent, shape):
    axis = Axis(extent, *shape)
    total, alone = np.zeros(extent), np.zeros(extent, int)
    for place, weights in zip(axis.kept, axis.weights, strict=True):
        for k, weight in enumerate(weights):
            if 0 <= place + k < extent:
                total[place + k] += weight
                alone[place + k] += 1
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert (total[alone == 1] == 1).all()
    assert (axis.weights > 0).all()


def test_a_margin_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves nothing of a window of 32; at most 15"):
        Axis(100, 32, 16)


@settings(max_examples=40)
@given(extents, extents, shapes, st.sampled_from([1.0, 0.5, 0.37, 2.0]))
def test_pieces_take_every_window_once_and_their_cores_tile_the_scene(height, width, shape, scale):
    plan = Plan.of(height, width, scale, window=shape[0], margin=shape[1], batch=4)
    windows = [w for piece in plan.pieces for w in plan.windows(piece)]
    assert len(windows) == len(set(windows)) == len(plan.down.kept) * len(plan.across.kept)
    covered = np.zeros((height, width), int)
    for piece in plan.pieces:
        covered[piece.core.slices] += 1
        assert piece.core.height > 0
        for i, j in plan.windows(piece):
            inside = plan.kept(i, j).clipped(plan.rows, plan.cols)
            assert piece.area.shared(inside) == inside
    assert (covered == 1).all()


@settings(max_examples=40)
@given(extents, extents, shapes, st.integers(0, 2**32 - 1))
def test_a_network_that_returns_its_input_gives_the_scene(height, width, shape, seed):
    bands = shares(np.random.default_rng(seed), 3, height, width)
    plan = Plan.of(height, width, 1.0, window=shape[0], margin=shape[1], batch=3)
    job = Job(plan, ArraySource(arrays_of(bands)), Mirror(shape[1]), as_it_is(3))
    total, windows_at = np.zeros(bands.shape), np.zeros((height, width), int)
    with job.source.opened() as read:
        for piece in plan.pieces:
            image = working_image(plan, piece, job.normalisation, read)
            found = blended(plan, piece, image, list(plan.windows(piece)), job.engine)
            total[(slice(None), *piece.area.slices)] += found
    for i, j in ((i, j) for piece in plan.pieces for i, j in plan.windows(piece)):
        windows_at[plan.kept(i, j).clipped(height, width).slices] += 1
    np.testing.assert_allclose(total, bands, rtol=1e-6, atol=0)
    assert (total == bands)[:, windows_at == 1].all()


@settings(max_examples=15)
@given(extents, extents, shapes, st.sampled_from([1.0, 0.5, 0.37, 2.0, 0.19]), st.integers(0, 2**32 - 1))
def test_windows_hold_what_training_shows_the_network(height, width, shape, scale, seed):
    rng = np.random.default_rng(seed)
    valid = rng.random((height, width)) < 0.9
    depth = np.where(rng.random((height, width)) < 0.9, rng.random((height, width)), np.nan).astype(np.float32)
    arrays = arrays_of(rng.integers(0, 256, (2, height, width), dtype=np.uint8), valid, depth)
    normalisation = Normalisation((100.3, 90.0, 0.4), (40.0, 35.5, 0.2))
    plan = Plan.of(height, width, scale, window=shape[0], margin=shape[1], batch=4)
    bank = SceneBank([arrays], 2, normalisation, TileSettings(size=32))
    with ArraySource(arrays).opened() as read:
        for piece in plan.pieces[:1] + plan.pieces[-1:]:
            image = working_image(plan, piece, normalisation, read)
            for i, j in list(plan.windows(piece))[-2:]:
                seen = plan.kept(i, j).expanded(plan.margin)
                box = Boxes.of_windows([0], [seen])
                for name, step in (("top", plan.row_step), ("height", plan.row_step)):
                    object.__setattr__(box, name, getattr(box, name) * step)
                for name in ("left", "width"):
                    object.__setattr__(box, name, getattr(box, name) * plan.col_step)
                tile = bank.tiles(box, plan.window)[0].numpy()
                place = seen.shifted(-image.seen.row, -image.seen.col)
                np.testing.assert_allclose(image.bands[(slice(None), *place.slices)], tile, atol=2e-5)


@settings(max_examples=20)
@given(extents, extents, st.sampled_from([0.5, 0.37, 2.0]), st.integers(0, 2**32 - 1))
def test_probabilities_come_back_to_the_scene_as_torch_would_bring_them(height, width, scale, seed):
    plan = Plan.of(height, width, scale, window=32, margin=4, batch=4)
    at_scale = np.random.default_rng(seed).random((2, plan.rows, plan.cols)).astype(np.float32)
    whole = Window(0, 0, height, width)
    found = upsampled(at_scale, Window(0, 0, plan.rows, plan.cols), plan, whole)
    expected = torch.nn.functional.interpolate(torch.from_numpy(at_scale)[None], (height, width), mode="bilinear")
    np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-5)


@pytest.fixture
def holey():
    """A scene with a hole, a strip without any valid pixel, and shares for bands."""
    rng = np.random.default_rng(5)
    valid = np.ones((150, 210), bool)
    valid[20:40, 30:33] = valid[:, 120:] = False
    return arrays_of(shares(rng, 4, 150, 210), valid)


def blocks_of(arrays, store, *, scale=1.0, engine=None):
    plan = Plan.of(*arrays.valid.shape, scale, window=32, margin=4, batch=4)
    engine = engine or Mirror(4)
    normalisation = Normalisation((0.0,) * 4, (255.0,) * 4)
    workers = Workers(Job(plan, ArraySource(arrays), engine, normalisation), plan.pieces, store.keep)
    with workers.running():
        return list(Blocks(plan, store, 4, workers.wait, temperature=1.0))


def test_the_scene_comes_out_of_finished_files_to_the_bit(holey, tmp_path):
    (block,) = blocks_of(holey, FolderStore(tmp_path))
    expected = np.where(holey.valid, holey.bands.argmax(axis=0), 255)
    np.testing.assert_array_equal(block.class_ids, expected)
    exact = np.where(holey.valid, np.floor(holey.bands / 255 * 254 + 0.5), 255)
    np.testing.assert_array_equal(block.probabilities, exact)
    assert (block.uncertainty[~holey.valid] == 255).all()
    assert block.uncertainty[holey.valid].max() <= 254
    (same,) = blocks_of(holey, MemoryStore())
    for one, other in zip(block[1:], same[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_margin_the_scene_comes_out_of_several_pieces():
    bands = shares(np.random.default_rng(6), 4, 700, 720)
    plan = Plan.of(700, 720, 1.0, window=64, margin=0, batch=4)
    assert len(plan.pieces) > 1
    store, as_shares = MemoryStore(), Normalisation((0.0,) * 4, (255.0,) * 4)
    workers = Workers(Job(plan, ArraySource(arrays_of(bands)), Mirror(0), as_shares), plan.pieces, store.keep)
    with workers.running():
        found = Blocks(plan, store, 4, workers.wait, temperature=1.0).probabilities(Window(0, 0, 700, 720))
    np.testing.assert_allclose(found, bands / 255, atol=1e-3)


def test_windows_without_a_valid_pixel_skip_the_network(holey):
    engine, everything = Mirror(4), Mirror(4)
    blocks_of(holey, MemoryStore(), engine=engine)
    blocks_of(arrays_of(holey.bands), MemoryStore(), engine=everything)
    assert sum(n for n, *_ in engine.batches) < 0.7 * sum(n for n, *_ in everything.batches)


def test_every_batch_is_the_same_whenever_it_is_computed(holey):
    once, again = Mirror(4), Mirror(4)
    blocks_of(holey, MemoryStore(), engine=once)
    blocks_of(holey, MemoryStore(), engine=again)
    assert sorted(once.batches) == sorted(again.batches)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_all_threads_help_with_the_last_piece(holey):
    class Together(Mirror):
        meeting, calls = threading.Barrier(2, timeout=20), count()

        @property
        def workers(self):
            return torch.get_num_threads()  # which is 1 while they work

        def __call__(self, windows):
            if next(self.calls) < 2:
                self.meeting.wait()
            return super().__call__(windows)

    plan = Plan.of(*holey.valid.shape, 1.0, window=32, margin=4, batch=1)
    job = Job(plan, ArraySource(holey), Together(4), Normalisation((0.0,) * 4, (255.0,) * 4))
    workers = Workers(job, plan.pieces[:1], MemoryStore().keep)
    torch.set_num_threads(2)
    with workers.running():
        workers.wait_for_all()
    assert len(job.engine.batches) > 2


def test_few_batches_are_made_before_they_are_needed():
    made = []
    batches = (made.append(i) or np.full((1, 1, 2, 2), i) for i in range(20))
    with ThreadPoolExecutor(1) as helpers:
        outputs = called_by(helpers, Mirror(0), batches)
        assert next(outputs).max() == 0
        assert len(made) == AHEAD + 1
        assert [int(one.max()) for one in outputs] == list(range(1, 20))


def test_a_fault_in_one_batch_gives_up_those_behind_it():
    class Broken(Mirror):
        def __call__(self, windows):
            self.batches.append(windows.shape)
            raise MemoryError("no more")

    engine = Broken(0)
    with ThreadPoolExecutor(1) as helpers, pytest.raises(MemoryError):
        list(called_by(helpers, engine, (np.full((1, 1, 2, 2), i) for i in range(20))))
    assert len(engine.batches) <= AHEAD + 1


def test_a_fault_in_a_worker_reaches_whoever_waits(holey):
    class Broken(Mirror):
        def __call__(self, windows):
            raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        blocks_of(holey, MemoryStore(), engine=Broken(4))


def test_sums_of_what_pieces_keep_are_exact():
    assert np.float32(4 * STEPS) + np.float32(1) == 4 * STEPS + 1


def test_a_piece_says_where_it_is():
    plan = Plan.of(100, 100, 1.0, window=32, margin=4, batch=4)
    assert isinstance(plan.pieces[0], Piece)
    assert [p.number for p in plan.contributing(Window(0, 0, 1, 1))] == [0]
    assert [p.number for p in plan.answering(Window(99, 99, 1, 1))] == [len(plan.pieces) - 1]
