"""The demonstration: scenes of our own making, and the main job on them."""

from __future__ import annotations

from pathlib import Path

from reliefseg.config import load_settings
from reliefseg.generate import GenerateSettings, generate_dataset
from reliefseg.workflow.running import RunResult, run_all
from reliefseg.workflow.saying import SILENT, Sayer
from reliefseg.workflow.training import is_begun

SCENES = GenerateSettings(scenes=36, size=384, gsd=0.18, seed=0)


def run_demo(out: Path, *, say: Sayer = SILENT) -> RunResult:
    """Generates a small data set into OUT/data and runs everything on it into OUT/run, minutes on two cores."""
    with say.progress("generating scenes") as tick:
        dataset = generate_dataset(out / "data", SCENES, tick)
    run = out / "run"
    return run_all(dataset, run, load_settings("demo"), resume=is_begun(run), say=say)
