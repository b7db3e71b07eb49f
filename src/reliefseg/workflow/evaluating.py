"""Honest figures of a trained model on the scenes of one split, with pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from reliefseg.config import Settings, read_settings
from reliefseg.errors import InputError
from reliefseg.evaluation import ReliabilityCounts, SplitEvaluation, calibration_figures, count_reliability
from reliefseg.evaluation.pictures import PanelTile, class_panels, photograph, scene_picture
from reliefseg.export import ModelSpec
from reliefseg.inference import ScenePredictor
from reliefseg.inference.blocks import most_probable
from reliefseg.learning.run_folder import RunLog, held, log_lines
from reliefseg.raster import IGNORE_INDEX, ClassTable, Dataset, Scene
from reliefseg.raster.files import read_json, read_json_if_whole, write_json
from reliefseg.tiles import SceneArrays
from reliefseg.workflow.making_depth import depth_rasters, taken_as
from reliefseg.workflow.models import Model, load_model
from reliefseg.workflow.record import DATA, classes_not_shown, known_to
from reliefseg.workflow.saying import SILENT, Sayer


class Shown(NamedTuple):
    """A scene as it was read, and what the model makes of it."""

    scene: Scene
    arrays: SceneArrays
    probabilities: Float32[np.ndarray, "classes h w"]
    predicted: UInt8[np.ndarray, "h w"]
    table: ClassTable


Show = Callable[[Shown, Path], None]
"""Draws what was seen of a scene into the folder of its split."""


def evaluate(run: Path, dataset: Dataset, split: str = "test", *, say: Sayer = SILENT) -> dict[str, Any]:
    """Scores a run's model on whole scenes of a split; writes `evaluation/<split>/` and returns its metrics.

    This and `measure` alone score a test split; how often they began to do so for this run is in the metrics as
    `readings`. Scenes that the run learnt from are in them as `learnt_from`, scenes of another split that it validated
    on as `picked_on`, and it is said.
    InputError: no such split, scenes without labels, bands or classes that are not the model's.
    """
    return _evaluated(run, dataset, split, _draw, say)


def measure(run: Path, dataset: Dataset, split: str, *, say: Sayer = SILENT) -> dict[str, Any]:
    """As `evaluate`, without pictures."""
    return _evaluated(run, dataset, split, lambda shown, folder: None, say)


def _evaluated(run: Path, dataset: Dataset, split: str, show: Show, say: Sayer) -> dict[str, Any]:
    refuse_unscored(dataset, split)
    scenes = dataset.split(split)
    model = _as_trained(run)
    with held(run):
        refuse_other_data(model.spec, dataset)
        effort = _effort(run)
        seen = [taken_as(scene, model.spec.reference_gsd) for scene in scenes]
        depth = depth_rasters(seen, model.spec.depth, dataset.cache, say)
        folder = run / "evaluation" / split
        readings = _one_more_reading(folder)
        learnt, validated = known_to(run, scenes)
        picked_on = [] if split == "validation" else validated
        doubts = [note for scene in scenes for note in model.doubts(scene)]
        for note in [*_warnings(learnt, picked_on, len(scenes)), *doubts]:
            say.note(note)
        began = time.monotonic()
        tally, reliability = SplitEvaluation(dataset.classes), ReliabilityCounts.none()
        with say.progress(f"evaluating on {split}") as tick:
            for i, scene in enumerate(scenes):
                found = _evaluate_scene(model.predictor, scene, depth.get(scene.name), tally, show, folder)
                reliability = reliability.plus(found)
                tick(i + 1, len(scenes))
        seconds = time.monotonic() - began
        calibration = calibration_figures(reliability, model.spec.temperature)
        metrics = {**tally.to_metrics(), "calibration": calibration, **effort}
        metrics |= {"split": split, "readings": readings, "learnt_from": learnt, "picked_on": picked_on}
        write_json(folder / "metrics.json", metrics)
        if unlearnt := [n for n in classes_not_shown(run) if n not in metrics["classes_without_truth"]]:
            say.note(f"No pixel-labelled scene shows {', '.join(unlearnt)}; what it scores is in the means.")
        log = RunLog(run)
        log.write("run", "timing", part=f"evaluation on {split}", seconds=round(seconds, 2))
        log.close()
    return metrics


def _warnings(learnt: Sequence[str], picked_on: Sequence[str], count: int) -> list[str]:
    """That figures say less than they seem to, of scenes that training or picking has read."""
    notes = []
    if learnt:
        notes.append(
            f"warning: the networks learnt from {len(learnt)} of these {count} scenes ({_some(learnt)}): the figures "
            "say how well they remember, nothing of new scenes"
        )
    if picked_on:
        notes.append(
            f"warning: checkpoint and temperature were chosen on {len(picked_on)} of these {count} scenes "
            f"({_some(picked_on)}): the figures flatter the model a little"
        )
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _as_trained(run: Path) -> Model:
    """The run's model on the device and in the precision it learnt with, as far as this machine has them."""
    file = run / "config.toml"
    settings = read_settings(file) if file.exists() else Settings()
    return load_model(
        run,
        "cpu" if settings.device == "cpu" else "auto",
        "float32" if settings.precision == "float32" else "auto",
    )


def labelled_scenes(dataset: Dataset, split: str) -> Sequence[Scene]:
    """The scenes of a split that a map can be compared with; InputError where there are none or labels are missing."""
    scenes = dataset.split(split) if split in dataset.splits else []
    if not scenes:
        stated = ", ".join(dataset.splits) or "none"
        raise InputError(f"data set {dataset.name}: no split {split!r}; stated are: {stated}")
    bare = [s.name for s in scenes if not s.has_labels]
    if bare:
        raise InputError(f"scene {name}: in splits.{split}, but has no labels to compare with" for name in bare)
    return scenes


def refuse_unscored(dataset: Dataset, split: str) -> None:
    """InputError where nothing could be scored on a split: as `labelled_scenes`, or all labels are ignored."""
    if all((scene.read_labels() == IGNORE_INDEX).all() for scene in labelled_scenes(dataset, split)):
        raise InputError(
            f"data set {dataset.name}: no pixel of split {split} has a class, all its labels are ignored; nothing can "
            "be scored on it. Label one of its scenes, or name others"
        )


def refuse_other_data(spec: ModelSpec, dataset: Dataset) -> None:
    """InputError where the data set's classes are not the model's, or it lacks a band."""
    mine, theirs = spec.class_table.names, dataset.classes.names
    missing = [band for band in spec.bands if band not in dataset.bands]
    if missing:
        raise InputError(f"data set {dataset.name}: no band {', '.join(missing)}; it has {', '.join(dataset.bands)}")
    if mine != theirs:
        raise InputError(f"data set {dataset.name}: classes {', '.join(theirs)}; the model knows {', '.join(mine)}")


def _evaluate_scene(
    predictor: ScenePredictor, scene: Scene, depth: Path | None, tally: SplitEvaluation, show: Show, folder: Path
) -> ReliabilityCounts:
    """Tallies and draws one scene; what its probabilities are worth is returned."""
    arrays = predictor.read(scene, depth, with_labels=True)
    probabilities = predictor.probabilities(arrays)
    predicted = np.where(arrays.valid, most_probable(probabilities), np.uint8(IGNORE_INDEX))
    tally.add(scene.name, arrays.labels, predicted)
    show(Shown(scene, arrays, probabilities, predicted, predictor.spec.class_table), folder)
    return count_reliability(arrays.labels, predicted, probabilities.max(axis=0))


def _draw(shown: Shown, folder: Path) -> None:
    scene, arrays, probabilities, predicted, table = shown
    photo = photograph(scene.read_bands(), scene.bands, arrays.valid)
    scene_picture(folder / "pictures" / f"{scene.name}.png", photo, arrays.depth, arrays.labels, predicted, table)
    panel = PanelTile(scene.name, photo, probabilities, arrays.labels)
    class_panels(folder / "panels" / f"{scene.name}.png", [panel], table)


def _one_more_reading(folder: Path) -> int:
    """How often the split was begun to be read, this time counted: also one that is broken off has shown something."""
    file = folder / "readings.json"
    readings = int((read_json_if_whole(file) or {}).get("readings", 0)) + 1
    write_json(file, {"readings": readings})
    return readings


def _effort(run: Path) -> dict[str, Any]:
    """Steps, tiles and labels the model has seen, the seconds it took and on what."""
    settings: Settings = read_settings(run / "config.toml")
    data = read_json(run / DATA)
    environment = read_json(run / "environment.json")
    lines = log_lines(run)
    seconds = sum(x["seconds"] for x in lines if x["event"] == "timing" and not x["part"].startswith("evaluation"))
    pretraining = settings.pretrain.steps if data["tile_labels"] else 0
    lessons = settings.train.lessons.batch * settings.train.accumulate if data["tile_labels"] else 0
    return {
        "seed": settings.seed,
        "steps": {"pretrain": pretraining, "train": settings.train.steps},
        "tiles_seen": {
            "pretrain": pretraining * settings.pretrain.batch,
            "train": settings.train.steps * settings.train.tiles_a_step,
            "lessons": settings.train.steps * lessons,
        },
        "labels": {"tile_labels": data["tile_labels"], "labelled_megapixels": data["labelled_megapixels"]},
        "seconds": round(seconds, 1),
        "device": environment["processor"],
    }
