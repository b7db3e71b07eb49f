"""Pieces computed: windows through the engine, blended, by several workers at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain, groupby
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt16

from reliefseg.inference.engines import Engine
from reliefseg.inference.plan import Piece, Plan
from reliefseg.inference.sampling import WorkingImage, working_image
from reliefseg.inference.source import Read, Source
from reliefseg.tiles import Normalisation

STEPS = 65535
"""Probability 1 as pieces keep it: sums of what overlapping pieces keep are exact, in whatever order."""


class Computed(NamedTuple):
    """What is kept of a piece.

    `probabilities`: weighted by the windows' weights, in steps of 1 / STEPS, over the piece's area; None where no
    window sees a valid pixel. `valid`: over the piece's core. `windows` is how many were computed.
    """

    probabilities: UInt16[np.ndarray, "classes rows cols"] | None
    valid: Bool[np.ndarray, "h w"]
    windows: int


Compute = Callable[[Piece], Computed]
"""Computes one piece."""
Calls = Callable[[Engine, Iterable[np.ndarray]], Iterable[np.ndarray]]
"""Calls the engine for each batch of windows; results come in order, wherever they are computed."""
AHEAD = 3
"""While one batch of a piece is waited for, so many more are with the helpers."""


@runtime_checkable
class Computing(Protocol):
    """Whoever computes pieces of a scene."""

    @property
    def workers(self) -> int:
        """How many threads should ask for pieces at once."""

    def begun(self, helpers: Executor) -> AbstractContextManager[Compute]:
        """For one thread, for as long as the context lasts; `helpers` are threads that all of them share."""


class Job(NamedTuple):
    """All it takes to compute any piece of a scene in this process."""

    plan: Plan
    source: Source
    engine: Engine
    normalisation: Normalisation

    @property
    def workers(self) -> int:
        """As many as the engine wants."""
        return self.engine.workers

    @contextmanager
    def begun(self, helpers: Executor) -> Iterator[Compute]:
        """See `Computing`. The helpers run the engine: to the last piece, all of them have something to do."""
        with self.source.opened() as read:
            yield lambda piece: self.compute(piece, read, partial(called_by, helpers))

    def compute(self, piece: Piece, read: Read, calls: Calls = map) -> Computed:
        """One piece, from nothing but the source; `calls` has the engine called for each batch of windows."""
        image = working_image(self.plan, piece, self.normalisation, read)
        core = piece.core.shifted(-image.read.row, -image.read.col)
        needed = [w for w in self.plan.windows(piece) if _shows_something(self.plan, image, *w)]
        found = blended(self.plan, piece, image, needed, self.engine, calls) if needed else None
        return Computed(None if found is None else _in_steps(found), image.valid[core.slices], len(needed))


def blended(
    plan: Plan, piece: Piece, image: WorkingImage, windows: list[tuple[int, int]], engine: Engine, calls: Calls = map
) -> Float32[np.ndarray, "classes rows cols"]:
    """What these windows of a piece contribute to its area: probabilities times weights, added up in their order."""
    batches = (windows[first : first + plan.batch] for first in range(0, len(windows), plan.batch))
    outputs = chain.from_iterable(calls(engine, (_tiles(plan, image, batch) for batch in batches)))
    total: np.ndarray | None = None
    for window, found in zip(windows, outputs, strict=True):
        if total is None:
            total = np.zeros((len(found), piece.area.height, piece.area.width), np.float32)
        kept = plan.kept(*window)
        inside = kept.clipped(plan.rows, plan.cols)
        part = inside.shifted(-kept.row, -kept.col).slices
        place = inside.shifted(-piece.area.row, -piece.area.col).slices
        total[(slice(None), *place)] += found[(slice(None), *part)] * plan.weights(*window)[part]
    assert total is not None
    return total


def called_by(helpers: Executor, engine: Engine, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """What the engine makes of each batch, in order; the helpers are `AHEAD` of whoever asks."""
    waiting: deque[Future[np.ndarray]] = deque()
    try:
        for batch in batches:
            waiting.append(helpers.submit(engine, batch))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _in_steps(probabilities: Float32[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """Rounded, in the memory that is at hand."""
    probabilities *= np.float32(STEPS)
    return np.rint(probabilities, out=probabilities).astype(np.uint16)


def _tiles(
    plan: Plan, image: WorkingImage, windows: list[tuple[int, int]]
) -> Float32[np.ndarray, "n bands window window"]:
    seen = [plan.kept(*w).expanded(plan.margin).shifted(-image.seen.row, -image.seen.col) for w in windows]
    return np.stack([image.bands[(slice(None), *w.slices)] for w in seen])


def _shows_something(plan: Plan, image: WorkingImage, i: int, j: int) -> bool:
    """Whether any valid pixel of the scene depends on the window."""
    near = plan.to_scene(plan.kept(i, j).expanded(1).clipped(plan.rows, plan.cols))
    read = near.shifted(-image.read.row, -image.read.col).clipped(*image.valid.shape)  # without margin less is read
    return bool(image.valid[read.slices].any())


def first_windows(
    plan: Plan, source: Source, normalisation: Normalisation
) -> Float32[np.ndarray, "n bands window window"] | None:
    """The scene's first batch of windows with something valid in them; None where nothing is valid."""
    with source.opened() as read:
        for piece in plan.pieces:
            image = working_image(plan, piece, normalisation, read)
            needed = [w for w in plan.windows(piece) if _shows_something(plan, image, *w)]
            if needed:
                return _tiles(plan, image, needed[: plan.batch])
    return None


def windows_over(
    plan: Plan, source: Source, normalisation: Normalisation, most: int
) -> Iterator[Float32[np.ndarray, "bands window window"]]:
    """At most so many windows, spread over the scene; those without a valid pixel are left out."""
    every = [(piece, window) for piece in plan.pieces for window in plan.windows(piece)]
    step = -(-len(every) // most)
    with source.opened() as read:
        for piece, some in groupby(every[step // 2 :: step], key=lambda one: one[0]):
            image = working_image(plan, piece, normalisation, read)
            for needed in [w for _, w in some if _shows_something(plan, image, *w)]:
                yield from _tiles(plan, image, [needed])


class Workers:
    """Threads that have pieces computed in order while others wait for them, or do something else."""

    def __init__(self, job: Computing, pieces: Iterable[Piece], keep: Callable[[Piece, Computed], None]):
        self._job, self._keep, self._todo = job, keep, list(pieces)
        self._done: dict[int, Future[None]] = {piece.number: Future() for piece in self._todo}
        self._lock, self._stopped = threading.Lock(), threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Lets them work; they stop, each after its piece, when the context ends."""
        workers = self._job.workers
        count = max(1, min(workers, len(self._todo)))
        with one_thread_each(), ThreadPoolExecutor(workers) as helpers, ThreadPoolExecutor(count) as pool:
            try:
                for _ in range(count):
                    pool.submit(self._work, helpers)
                yield
            finally:
                self._stopped.set()

    def wait(self, number: int) -> None:
        """Until a piece is done; raises what kept it from being done. Pieces that were not to do are done."""
        if number in self._done:
            self._done[number].result()

    def wait_for_all(self) -> None:
        """Until every piece is done; raises what kept one from being done."""
        for future in self._done.values():
            future.result()

    def _work(self, helpers: Executor) -> None:
        try:
            with self._job.begun(helpers) as compute:
                while (piece := self._next()) is not None:
                    self._keep(piece, compute(piece))
                    self._finish(piece)
        except BaseException as error:
            self._fail(error)

    def _next(self) -> Piece | None:
        with self._lock:
            return self._todo.pop(0) if self._todo and not self._stopped.is_set() else None

    def _finish(self, piece: Piece) -> None:
        with self._lock:
            if not self._done[piece.number].done():
                self._done[piece.number].set_result(None)

    def _fail(self, error: BaseException) -> None:
        self._stopped.set()
        with self._lock:
            waiting = [future for future in self._done.values() if not future.done()]
            for future in waiting:
                future.set_exception(error)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Threads that start inside compute with one torch thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
