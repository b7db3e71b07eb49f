"""Trained models on scenes outside any data set: georeferenced results, block by block, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from math import isclose
from pathlib import Path
from typing import Any

from reliefseg.errors import InputError, each
from reliefseg.inference.choosing import INT8, EngineName, refuse_absent
from reliefseg.inference.kit import Kit
from reliefseg.inference.on_ray import connected, on_cluster
from reliefseg.inference.results import Wanted
from reliefseg.raster import Scene, probe_folder
from reliefseg.workflow.finding import HeightFiles, refuse_collisions
from reliefseg.workflow.models import Model, load_model
from reliefseg.workflow.saying import SILENT, Sayer
from reliefseg.workflow.scene_work import EVERYTHING, SceneWork, Shard, predict_scene, prepared
from reliefseg.workflow.writing import finished_files

USUAL = Wanted()
SAME = 0.01
"""Share by which two gsds may differ and still be taken for the same."""


def predict(
    run: Path,
    scenes: Sequence[Path],
    out: Path,
    wanted: Wanted = USUAL,
    *,
    engine: EngineName = "auto",
    shard: Shard = EVERYTHING,
    ray: str | None = None,
    heights: HeightFiles | None = None,
    gsd: float | None = None,
    cache: Path | None = None,
    say: Sayer = SILENT,
) -> list[dict[str, Any]]:
    """Writes results for every scene, on its own grid, into `OUT/<scene>/`; returns a tally of each.

    Scenes are read, computed and written piece by piece. Finished pieces lie in `OUT/.reliefseg-<scene>/` until the
    scene is done: after an interruption the same call goes on from them, to the same bytes. A `shard` computes its
    part and leaves the writing to `merge`. The Ray cluster at the address `ray` computes pieces to the same bytes;
    what a lost worker had to do is given to another. `gsd`, metres a pixel, is for scenes that do not say. All scenes
    are opened before the first is computed, so that wrong ones are told at once; what fails later (a damaged file, no
    depth of a single colour) is told at the end, when the others are done.
    """
    model = load_model(run, cache=cache)
    opened = open_scenes(model, scenes, out, engine, heights, gsd, say)

    def done(scene: Scene) -> dict[str, Any]:
        work = prepared(model, scene, out, wanted, engine, say)
        return predict_scene(model, work, shard, on_cluster if ray else Kit.here, say)

    with connected(ray) if ray else nullcontext():
        tallies, faults = each(opened, done)
    if faults:
        raise InputError(faults)
    return tallies


def merge(
    run: Path,
    scenes: Sequence[Path],
    out: Path,
    wanted: Wanted = USUAL,
    *,
    engine: EngineName = "auto",
    heights: HeightFiles | None = None,
    gsd: float | None = None,
    cache: Path | None = None,
    say: Sayer = SILENT,
) -> list[dict[str, Any]]:
    """Writes the results of scenes whose shards are all done; an InputError says which are not, and nothing is written.

    A scene of which no depth can be made has no shards: it is told at the end, when the others are written.
    """
    model = load_model(run, cache=cache)
    opened = open_scenes(model, scenes, out, engine, heights, gsd, say)
    works, faults = each(opened, lambda scene: prepared(model, scene, out, wanted, engine, say))
    refuse_unfinished(works)
    tallies, more = each(works, lambda work: predict_scene(model, work, EVERYTHING, Kit.here, say))
    if faults or more:
        raise InputError([*faults, *more])
    return tallies


def open_scenes(
    model: Model,
    paths: Sequence[Path],
    out: Path,
    engine: EngineName,
    heights: HeightFiles | None,
    gsd: float | None,
    say: Sayer,
) -> list[Scene]:
    """All scenes, or every reason why not; says what int8 costs. An engine that is not there is told first."""
    if engine != "auto":
        refuse_absent(engine)
    if engine == INT8:
        say.note(str(model.engines.int8_network().cost))
    opened, faults = each(paths, lambda path: model.open(path, heights, gsd))
    if faults:
        raise InputError(faults)
    refuse_collisions(paths, out)
    probe_folder(out)
    if heights is not None and model.spec.depth.source != "raster":
        say.note(f"--heights are not used: the model learnt with depth.source = {model.spec.depth.source}")
    if len(model.validation) < 2:
        say.note(
            f"areas have no intervals: they take two validation scenes, this model was evaluated on "
            f"{len(model.validation) or 'none'} (reliefseg evaluate RUN DATASET --split validation)"
        )
    for scene in opened:
        for note in [*_unused_gsd(scene), *model.doubts(scene)]:
            say.note(note)
    return opened


def _unused_gsd(scene: Scene) -> list[str]:
    """What there is to say where the file itself says another gsd than the one stated."""
    stated, own = scene.grid.stated_gsd, scene.grid.gsd
    if stated is None or own is None or isclose(stated, own, rel_tol=SAME):
        return []
    return [
        f"scene {scene.name}: --gsd {stated:g} is not used: by its georeferencing the pixels are {own:.3g} m; correct "
        "the file's CRS or transform where that is wrong"
    ]


def refuse_unfinished(works: Sequence[SceneWork]) -> None:
    """An InputError with what is missing of each scene."""
    faults = []
    for work in works:
        missing, pieces = work.folder.missing(work.plan), len(work.plan.pieces)
        if missing and not finished_files(work.results, work.made_by):
            numbers = ", ".join(str(p.number) for p in missing[:5]) + (", …" if len(missing) > 5 else "")
            faults.append(
                f"scene {work.scene.name}: {len(missing)} of {pieces} pieces are not there ({numbers}) in "
                f"{work.folder.folder}; run the missing shards with the same model and options, or predict without "
                "--shard"
            )
    if faults:
        raise InputError(faults)
