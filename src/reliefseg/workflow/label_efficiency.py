"""The curve of accuracy over labelled scenes, with tile labels and without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reliefseg.config import Settings
from reliefseg.errors import InputError
from reliefseg.evaluation.ablation_page import LABEL_KINDS, write_labels_page
from reliefseg.evaluation.comparison import FIGURES
from reliefseg.evaluation.confusion import mean_of
from reliefseg.evaluation.label_efficiency import worth
from reliefseg.evaluation.verdicts import answered, notes_on_evidence
from reliefseg.learning.run_folder import held
from reliefseg.raster import Dataset
from reliefseg.raster.files import write_json
from reliefseg.workflow.ablation_factors import changed
from reliefseg.workflow.ablation_runs import (
    Job,
    Metrics,
    finish,
    notes_on_picking,
    refuse_split,
    surroundings,
)
from reliefseg.workflow.contents import contents_of
from reliefseg.workflow.making_depth import with_depth_resolved
from reliefseg.workflow.record import classes_not_shown
from reliefseg.workflow.saying import SILENT, Sayer

ALONE, BOTH = LABEL_KINDS


@dataclass(frozen=True)
class LabelCurve:
    """What is asked: numbers of pixel-labelled scenes (None: all there are), seeds, and the split that scores."""

    numbers: tuple[int | None, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    split: str = "validation"


def label_curve(
    dataset: Dataset, out: Path, settings: Settings, asked: LabelCurve, *, say: Sayer = SILENT
) -> dict[str, Any]:
    """Trains on growing sets of labelled scenes, each with tile labels and without; writes `labels.json` and `.html`.

    The sets are nested: the pixel-labelled scenes in their order, then the tile-labelled ones that have label files,
    in an order of their own. With tile labels the tile-labelled scenes beyond the set keep theirs. Runs are kept as
    by `ablate`. InputError: more scenes than have labels, a split without labels.
    """
    with held(out):
        refuse_split(dataset, asked.split)
        settings = with_depth_resolved(settings, dataset)
        pool = pool_of(dataset)
        numbers = _numbers(asked.numbers, pool)
        variants = {n: _variants(dataset, pool, n, settings) for n in numbers}
        contents = contents_of(dataset, asked.split, say)

        def job(n: int, kind: str, data: Dataset, seed: int) -> Job:
            folder = out / "runs" / f"labels-{n}{'-tiles' if kind == BOTH else ''}" / f"seed{seed}"
            own = changed(settings, {"seed": seed})
            return Job(f"{n} labelled, {kind}, seed {seed}", data, own, folder, asked.split, contents)

        jobs = {
            (n, kind): [job(n, kind, data, seed) for seed in asked.seeds]
            for n, kinds in variants.items()
            for kind, data in kinds.items()
        }
        metrics = finish([job for seed in zip(*jobs.values(), strict=True) for job in seed], say)
        runs = {place: [metrics[job.name] for job in one] for place, one in jobs.items()}
        folders = {n: jobs[n, ALONE][0].folder for n in numbers}
        found = _told(dataset, settings, asked, runs, folders)
        write_json(out / "labels.json", found)
        write_labels_page(out / "labels.html", found)
    return found


def pool_of(dataset: Dataset) -> list[str]:
    """The scenes that could be pixel-labelled, in the order they are added."""
    first = [scene.name for scene in dataset.split("pixel_labelled")]
    others = [scene.name for scene in dataset.split("tile_labelled") if scene.has_labels]
    return [*first, *(others[i] for i in np.random.default_rng(0).permutation(len(others)))]


def _numbers(asked: Sequence[int | None], pool: Sequence[str]) -> list[int]:
    numbers = sorted({len(pool) if n is None else n for n in asked})
    too_many = [n for n in numbers if not 1 <= n <= len(pool)]
    if too_many:
        raise InputError(
            f"--labels {n}: {len(pool)} scenes of splits pixel_labelled and tile_labelled have label files; "
            f"take 1 … {len(pool)}, or all"
            for n in too_many
        )
    return numbers


def _variants(dataset: Dataset, pool: Sequence[str], n: int, settings: Settings) -> dict[str, Dataset]:
    """The data set with n scenes labelled: without tile labels and, where some are left to be used, with them."""
    splits = {name: scenes for name, scenes in dataset.splits.items() if name != "tile_labelled"}
    splits["pixel_labelled"] = tuple(sorted(pool[:n]))
    left = tuple(name for name in dataset.splits.get("tile_labelled", ()) if name not in pool[:n])
    found = {ALONE: replace(dataset, splits=splits)}
    if left and settings.uses_tile_labels:
        found[BOTH] = replace(dataset, splits={**splits, "tile_labelled": left})
    return found


def _told(
    dataset: Dataset,
    settings: Settings,
    asked: LabelCurve,
    runs: Mapping[tuple[int, str], list[Metrics]],
    folders: Mapping[int, Path],
) -> dict[str, Any]:
    numbers = [n for n, kind in runs if kind == ALONE]
    curve = {n: mean_of([one["mean_iou"] for one in runs[n, ALONE]]) for n in numbers}
    both = [n for n in numbers if (n, BOTH) in runs]
    answers = answered([[(runs[n, BOTH], runs[n, ALONE])] for n in both])
    gains = dict(zip(both, answers, strict=True))
    known = {n: score for n, score in curve.items() if score is not None}
    some = runs[numbers[0], ALONE][0]
    return {
        **surroundings(dataset, asked.split, asked.seeds, some),
        "points": [
            {
                "labelled": n,
                "not_shown": classes_not_shown(folders[n]),
                "tile_labels": runs[n, BOTH][0]["labels"]["tile_labels"] if n in gains else 0,
                ALONE: _scores(runs[n, ALONE]),
                BOTH: _scores(runs[n, BOTH]) if n in gains else None,
                "differences": gains.get(n),
                "worth": _worth(known, n, runs[n, BOTH]) if n in gains else None,
            }
            for n in numbers
        ],
        "notes": notes_on_evidence(some, len(asked.seeds)) + notes_on_picking(settings, asked.split),
    }


def _worth(curve: Mapping[int, float], n: int, runs: Sequence[Metrics]) -> str | None:
    score = mean_of([one["mean_iou"] for one in runs])
    return None if score is None or not curve else worth(curve, n, score)


def _scores(runs: Sequence[Metrics]) -> dict[str, list[float | None]]:
    """By seed, with how often the split was read for each."""
    return {figure: [one[figure] for one in runs] for figure in (*FIGURES, "readings")}
