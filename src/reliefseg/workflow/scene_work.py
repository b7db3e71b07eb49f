"""The work on one scene: its plan, what is done already, and its results written as pieces are finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from reliefseg.inference.assembly import Blocks
from reliefseg.inference.choosing import INT8, EngineMaker, EngineName
from reliefseg.inference.computing import Computed, Computing, Workers, first_windows
from reliefseg.inference.kit import Kit
from reliefseg.inference.layout import Layout
from reliefseg.inference.plan import Piece, Plan
from reliefseg.inference.results import Wanted, why_no_areas, write_results
from reliefseg.inference.source import FileSource
from reliefseg.inference.work import Recipe, WorkFolder, source_hash
from reliefseg.raster import Scene
from reliefseg.workflow.models import Model
from reliefseg.workflow.saying import Sayer, Tick, in_words
from reliefseg.workflow.writing import finished_files, fresh_folder, hand_over

Where = Callable[[Kit], AbstractContextManager[Computing]]
"""Where pieces are computed: in this process, or by others."""


class Shard(NamedTuple):
    """Part `number` (from 1) of `of` parts of the work on every scene."""

    number: int
    of: int

    def share(self, pieces: Sequence[Piece]) -> list[Piece]:
        """This shard's pieces: neighbours, so that it reads one part of the scene."""
        first, last = (len(pieces) * i // self.of for i in (self.number - 1, self.number))
        return list(pieces[first:last])


EVERYTHING = Shard(1, 1)


@dataclass(frozen=True)
class SceneWork:
    """One scene about to be predicted."""

    scene: Scene
    plan: Plan
    source: FileSource
    folder: WorkFolder
    wanted: Wanted
    validation: str
    """Of the validation scenes that intervals of areas rest on."""

    @cached_property
    def layout(self) -> Layout:
        """How the scene's file is laid out."""
        return Layout.of(self.scene.image)

    @property
    def made_by(self) -> dict[str, Any]:
        """What equal results are made by."""
        return {
            "key": self.folder.recipe.key,
            "wanted": asdict(self.wanted),
            "validation": self.validation,
            "gsd": self.scene.grid.gsd,
        }

    @property
    def megapixels(self) -> float:
        """Pixels of the scene, in millions."""
        return self.plan.height * self.plan.width / 1e6

    @property
    def results(self) -> Path:
        """Where the scene's files go."""
        return self.folder.out / self.scene.name


def prepared(model: Model, scene: Scene, out: Path, wanted: Wanted, engine: EngineName, say: Sayer) -> SceneWork:
    """The scene's plan and work folder; its depth is made where it is not there yet."""
    depth = None
    if model.spec.uses_depth:
        with say.progress(f"{scene.name}, depth") as tick:
            depth = model.depth(scene, tick)
    plan = model.plan(scene)
    int8 = model.engines.int8_network().cost.network if engine == INT8 else ""
    recipe = Recipe(model.hash, source_hash(scene, depth), asdict(plan), engine, int8)
    source = FileSource(scene, model.spec.bands, depth)
    return SceneWork(scene, plan, source, WorkFolder(out, scene.name, recipe), wanted, model.validation_hash)


def predict_scene(model: Model, work: SceneWork, shard: Shard, where: Where, say: Sayer) -> dict[str, Any]:
    """Computes what is missing of a shard's pieces; of all pieces also writes the results. Returns the tally."""
    if files := finished_files(work.results, work.made_by):
        work.folder.remove()  # left over where the process was killed while it removed it
        say.note(f"{work.scene.name}: is there already, made by the same model from the same source")
        return {"scene": work.scene.name, "megapixels": work.megapixels, "seconds": 0.0, "files": files}
    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(work.folder.used())
        if shard == EVERYTHING:
            stack.enter_context(work.folder.written_alone())
        todo = _begin(work, len(model.spec.classes), shard, say)
        name = work.folder.begin(work.folder.engine() or _chosen(model.engines, work, say))
        tick = stack.enter_context(say.progress(f"{work.scene.name}, megapixels"))
        computing = stack.enter_context(where(Kit(model.engines, name, work.plan, work.source, work.layout)))
        workers = Workers(computing, todo, _keeper(work, todo, tick))
        stack.enter_context(workers.running())
        if shard != EVERYTHING:
            workers.wait_for_all()
            return _tally(work, name, shard, todo, time.monotonic() - began, {}, say)
        blocks = Blocks(work.plan, work.folder.store, len(model.spec.classes), workers.wait, model.spec.temperature)
        growing = fresh_folder(work.folder.results)
        paths = write_results(blocks, work.scene.grid, model.classes, growing, work.wanted, model.validation)
        files = hand_over(paths, work.results, {**work.made_by, "engine": name})
    tally = _tally(work, name, shard, todo, time.monotonic() - began, files, say)
    work.folder.remove()
    return tally


def _begin(work: SceneWork, classes: int, shard: Shard, say: Sayer) -> list[Piece]:
    """The pieces to compute, in the order that suits the file; says what is reused and what is not."""
    folder, plan, name = work.folder, work.plan, work.scene.name
    if shard == EVERYTHING:
        changed = folder.unlike()
        folder.forget_others()
        if changed:
            say.note(f"{name}: unfinished work was made with another {' and '.join(changed)}; starting afresh")
    missing = folder.missing(plan)
    if len(missing) < len(plan.pieces):
        say.note(f"{name}: going on; {len(plan.pieces) - len(missing)} of {len(plan.pieces)} pieces are finished")
    folder.refuse_small_disk(plan, classes, work.wanted.bytes_a_pixel(classes))
    if reason := why_no_areas(work.scene.grid):
        say.note(f"{name}: {reason}, or state --gsd METRES")
    if missing and (advice := work.layout.advice(work.scene.image, plan)):
        say.note(f"{name}: {advice}")
    numbers = {piece.number for piece in missing}
    return [piece for piece in shard.share(work.layout.in_order(plan.pieces)) if piece.number in numbers]


def _chosen(maker: EngineMaker, work: SceneWork, say: Sayer) -> str:
    """The engine asked for, or the fastest here that agrees with torch on the first windows that show something."""
    asked = work.folder.recipe.engine
    if asked != "auto":
        return maker.full_name(asked)
    if maker.best is None and len(maker.candidates()) > 1:
        windows = first_windows(work.plan, work.source, maker.spec.normalisation)
        for choice in [] if windows is None else maker.tried(windows):
            agreed = f"{choice.agreement:.2%} of the classes as with torch"
            say.note(f"{choice.engine.name}: {choice.seconds:.2f} s, {agreed}")
    return maker.best or maker.candidates()[0]


def _keeper(work: SceneWork, todo: list[Piece], tick: Tick) -> Callable[[Piece, Computed], None]:
    """Keeps a finished piece and tells the megapixels done."""
    store, done = work.folder.store, [0]
    total = max(1, round(sum(p.core.height * p.core.width for p in todo) / 1e6))

    def keep(piece: Piece, computed: Computed) -> None:
        store.keep(piece, computed)
        done[0] += piece.core.height * piece.core.width
        tick(done[0] // 10**6, total)

    return keep


def _tally(
    work: SceneWork,
    engine: str,
    shard: Shard,
    todo: list[Piece],
    seconds: float,
    files: dict[str, str],
    say: Sayer,
) -> dict[str, Any]:
    """What was done in this call, in figures; said aloud too."""
    store, share = work.folder.store, shard.share(work.plan.pieces)
    pixels = sum(p.core.height * p.core.width for p in todo)
    windows = sum(store.windows(p) for p in todo)
    planned = sum((p.rows[1] - p.rows[0]) * (p.cols[1] - p.cols[0]) for p in todo)
    rate = pixels / 1e6 / seconds
    computed = (
        f"{pixels / 1e6:,.1f} megapixels in {in_words(seconds)}, {rate:.2f} a second, with {engine}; "
        f"{windows:,} windows computed, {planned - windows:,} without a valid pixel skipped"
    )
    say.note(f"{work.scene.name}: {computed if todo else f'nothing left to compute; done in {in_words(seconds)}'}")
    return {
        "scene": work.scene.name, "megapixels": pixels / 1e6, "seconds": round(seconds, 3),
        "megapixels_per_second": rate, "engine": engine, "windows": windows, "windows_skipped": planned - windows,
        "pieces": len(todo), "pieces_reused": len(share) - len(todo), "files": files,
    }  # fmt: skip
