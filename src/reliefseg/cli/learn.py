"""Verbs that learn: pretrain, train, run, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reliefseg import workflow
from reliefseg.cli.common import (
    Assign,
    Cache,
    Config,
    DataSet,
    Devices,
    Json,
    Nodes,
    Preset,
    Quiet,
    Resume,
    RunOut,
    Teller,
    learning_settings,
    result,
    resumable,
)
from reliefseg.cli.figures import metrics_table


def pretrain(
    dataset: DataSet, out: RunOut, preset: Preset = None, config: Config = None, assign: Assign = None,
    devices: Devices = None, nodes: Nodes = None, resume: Resume = False,
    cache: Cache = None, as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Learn from tile labels alone: which classes does a tile show?"""
    teller = _speaker(quiet)
    settings = learning_settings(preset, config, assign, devices, nodes, out, resume, teller)
    with resumable(out / workflow.DATA):
        data = workflow.checked_dataset(dataset, cache, teller)
        encoder = workflow.pretrain(data, out, settings, resume=resume, say=teller)
    _told(as_json, {"run": str(out), "encoder": str(encoder)}, f"encoder: {encoder}")


def train(
    dataset: DataSet, out: RunOut, preset: Preset = None, config: Config = None, assign: Assign = None,
    devices: Devices = None, nodes: Nodes = None, resume: Resume = False,
    cache: Cache = None, as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Train: depth, pretraining and adversarial training, whatever is missing."""
    teller = _speaker(quiet)
    settings = learning_settings(preset, config, assign, devices, nodes, out, resume, teller)
    with resumable(out / workflow.DATA):
        data = workflow.checked_dataset(dataset, cache, teller)
        model = workflow.train(data, out, settings, resume=resume, say=teller)
    _told(as_json, {"run": str(out), "model": str(model)}, f"model: {model}")


def run(
    dataset: DataSet, out: RunOut, preset: Preset = None, config: Config = None, assign: Assign = None,
    devices: Devices = None, nodes: Nodes = None, resume: Resume = False,
    cache: Cache = None, as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Check, train, evaluate and report in one go."""
    teller = _speaker(quiet)
    settings = learning_settings(preset, config, assign, devices, nodes, out, resume, teller)
    with resumable(out / workflow.DATA):
        done = workflow.run_all(dataset, out, settings, cache=cache, resume=resume, say=teller)
    _tell_of(done, as_json)


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for scenes and run.")] = Path("demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generate scenes and do everything on them."""
    done = workflow.run_demo(out, say=_speaker(quiet))
    _tell_of(done, as_json)


def _speaker(quiet: bool) -> Teller:
    """Of processes that torchrun or SLURM started to learn together only the first speaks."""
    return Teller(quiet or not workflow.is_first_process())


def _told(as_json: bool, value: Any, text: str) -> None:
    if workflow.is_first_process():
        result(as_json, value, text)


def _tell_of(done: workflow.RunResult, as_json: bool) -> None:
    text = "\n".join(metrics_table(m) for m in done.metrics.values())
    _told(as_json, {"report": str(done.report), "metrics": done.metrics}, f"{text}\nreport: {done.report}")
