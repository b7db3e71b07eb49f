"""The main job in one go: check, train, evaluate, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliefseg.config import Settings
from reliefseg.errors import InputError
from reliefseg.evaluation.report import write_report
from reliefseg.export import bundle_hash
from reliefseg.learning.processes import is_first_process
from reliefseg.raster import Dataset, check_dataset, load_dataset
from reliefseg.raster.files import hash_file, read_json_if_whole, write_json
from reliefseg.workflow.contents import scored_contents
from reliefseg.workflow.evaluating import evaluate, refuse_unscored
from reliefseg.workflow.saying import SILENT, Sayer
from reliefseg.workflow.training import train

SCORED_SPLITS = ("validation", "test")


@dataclass(frozen=True)
class RunResult:
    """Where the report is, and the figures by split."""

    report: Path
    metrics: dict[str, dict[str, Any]]


def run_all(
    dataset: Path,
    run: Path,
    settings: Settings,
    *,
    cache: Path | None = None,
    resume: bool = False,
    say: Sayer = SILENT,
) -> RunResult:
    """Checks the data set, trains, evaluates on validation and, once, on test scenes, and writes the report.

    Of processes that torchrun or SLURM started only the first goes on after training.
    """
    data = checked_dataset(dataset, cache, say)
    scored = [split for split in SCORED_SPLITS if data.split(split)]
    for split in scored:
        refuse_unscored(data, split)
    train(data, run, settings, resume=resume, say=say)
    if not is_first_process():
        return RunResult(run / "report.html", {})
    metrics = {split: _figures(run, data, split, say) for split in scored}
    if not metrics:
        say.note("no split with labels to evaluate on: the report has no figures")
    return RunResult(write_report(run), metrics)


def _figures(run: Path, data: Dataset, split: str, say: Sayer) -> dict[str, Any]:
    """The metrics of a split: those of an earlier call where model and scenes are the same, else measured now."""
    note = run / "evaluation" / split / "scored.json"
    asked = {"model": bundle_hash(run), "contents": scored_contents(data, split, say)}
    file = note.with_name("metrics.json")
    found = read_json_if_whole(file)
    if found is not None and read_json_if_whole(note) == asked | {"metrics": hash_file(file)}:
        say.note(f"{split} is scored already, with this model on these scenes: its figures stay")
        return found
    metrics = evaluate(run, data, split, say=say)
    write_json(note, asked | {"metrics": hash_file(file)})
    return metrics


def checked_dataset(dataset: Path, cache: Path | None = None, say: Sayer = SILENT) -> Dataset:
    """The data set, if `check` finds no errors: one InputError names them all. Warnings are passed on."""
    with say.progress("checking scenes") as tick:
        report = check_dataset(dataset, tick)
    if report.errors:
        raise InputError(report.errors)
    for warning in report.warnings:
        say.note(f"warning: {warning}")
    return load_dataset(dataset, cache)
