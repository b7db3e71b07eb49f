"""Verbs that use a trained model: evaluate, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reliefseg import workflow
from reliefseg.cli.common import Cache, DataSet, Json, Quiet, Teller, result
from reliefseg.cli.figures import metrics_table
from reliefseg.evaluation.report import write_report
from reliefseg.raster import load_dataset

Run = Annotated[Path, typer.Argument(help="Run folder.")]


def evaluate(
    run: Run,
    dataset: DataSet,
    split: Annotated[str, typer.Option("--split", help="Which scenes: test or validation.")] = "test",
    cache: Cache = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Figures and pictures on the scenes of a split."""
    metrics = workflow.evaluate(run, load_dataset(dataset, cache), split, say=Teller(quiet))
    report = write_report(run)
    result(as_json, metrics, f"{metrics_table(metrics)}\nreport: {report}")


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder or model bundle.")],
    scenes: Annotated[list[str], typer.Argument(help="Scenes: files, folders or globs.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the class maps.")],
    heights: Annotated[str | None, typer.Option("--heights", help="Surface models, as 'FOLDER/{scene}.tif'.")] = None,
    ground: Annotated[str | None, typer.Option("--ground", help="Terrain models, likewise.")] = None,
    above_ground: Annotated[bool, typer.Option("--ndsm", help="Heights are above ground already.")] = False,
    cache: Cache = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Georeferenced class maps of whole scenes."""
    files = None
    if heights is not None:
        files = workflow.HeightFiles(heights, ground, "ndsm" if above_ground else "dsm")
    found = workflow.find_scenes(scenes)
    maps = workflow.predict(run, found, out, heights=files, cache=cache, say=Teller(quiet))
    result(as_json, {"maps": [str(m) for m in maps]}, "\n".join(str(m) for m in maps))
