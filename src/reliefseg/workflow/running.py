"""The main job in one go: check, train, evaluate, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliefseg.config import Settings
from reliefseg.errors import InputError
from reliefseg.evaluation.report import write_report
from reliefseg.learning import is_first_process
from reliefseg.raster import check_dataset, load_dataset
from reliefseg.workflow.evaluating import evaluate, refuse_unscored
from reliefseg.workflow.saying import SILENT, Sayer
from reliefseg.workflow.training import train

CHECKED_SPLITS = ("test", "validation")


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
    refuse_errors(dataset, say)
    data = load_dataset(dataset, cache)
    scored = [split for split in CHECKED_SPLITS if data.split(split)]
    for split in scored:
        refuse_unscored(data, split)
    train(data, run, settings, resume=resume, say=say)
    if not is_first_process():
        return RunResult(run / "report.html", {})
    metrics = {split: evaluate(run, data, split, say=say) for split in scored}
    if not metrics:
        say.note("no split with labels to evaluate on: the report has no figures")
    return RunResult(write_report(run), metrics)


def refuse_errors(dataset: Path, say: Sayer = SILENT) -> None:
    """Raises the errors of `check` as one InputError; passes its warnings on."""
    with say.progress("checking scenes") as tick:
        report = check_dataset(dataset, tick)
    if report.errors:
        raise InputError(report.errors)
    for warning in report.warnings:
        say.note(f"warning: {warning}")
