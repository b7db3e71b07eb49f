"""Verbs that use a trained model: evaluate, quantise, predict, merge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from reliefseg import workflow
from reliefseg.cli.common import Cache, DataSet, Json, Quiet, Teller, result
from reliefseg.cli.figures import metrics_table
from reliefseg.errors import InputError
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


def quantise(run: Run, dataset: DataSet, cache: Cache = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Make the model's int8 network, for predict --engine openvino-int8, and measure what it costs in accuracy."""
    cost = workflow.quantise(run, load_dataset(dataset, cache), say=Teller(quiet))
    result(as_json, cost.model_dump(mode="json"), str(cost))


Scenes = Annotated[list[str], typer.Argument(help="Scenes: files, folders, globs or URLs.")]
ResultsOut = Annotated[Path, typer.Option("-o", "--out", help="Folder for the results, a folder for each scene.")]
Heights = Annotated[str | None, typer.Option("--heights", help="Surface models, as 'FOLDER/{scene}.tif'.")]
Ground = Annotated[str | None, typer.Option("--ground", help="Terrain models, likewise.")]
AboveGround = Annotated[bool, typer.Option("--ndsm", help="Heights are above ground already.")]
Gsd = Annotated[float | None, typer.Option("--gsd", help="Metres a pixel, for scenes that do not say.")]


EngineOption = Annotated[
    workflow.EngineName, typer.Option("--engine", help="What computes; auto: the fastest that agrees with torch.")
]
Polygons = Annotated[bool, typer.Option("--polygons", help="Also polygons.gpkg.")]
Probabilities = Annotated[bool, typer.Option("--probabilities", help="Also probabilities.tif.")]
Uncertainty = Annotated[bool, typer.Option("--uncertainty/--no-uncertainty", help="uncertainty.tif.")]
RunOrBundle = Annotated[Path, typer.Argument(help="Run folder or model bundle.")]


def predict(
    run: RunOrBundle,
    scenes: Scenes,
    out: ResultsOut,
    uncertainty: Uncertainty = True,
    probabilities: Probabilities = False,
    polygons: Polygons = False,
    engine: EngineOption = "auto",
    heights: Heights = None,
    ground: Ground = None,
    above_ground: AboveGround = False,
    gsd: Gsd = None,
    shard: Annotated[str | None, typer.Option("--shard", help="I/N: compute part I of N; then merge.")] = None,
    ray: Annotated[str | None, typer.Option("--ray", help="Address of a Ray cluster that computes; or auto.")] = None,
    cache: Cache = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Georeferenced results of whole scenes; after an interruption the same command goes on."""
    tallies = workflow.predict(
        run, workflow.find_scenes(scenes), out, workflow.Wanted(uncertainty, probabilities, polygons),
        engine=engine,
        shard=_shard(shard), ray=ray, heights=_height_files(heights, ground, above_ground), gsd=gsd, cache=cache,
        say=Teller(quiet),
    )  # fmt: skip
    _tell(as_json, tallies)


def merge(
    run: RunOrBundle,
    scenes: Scenes,
    out: ResultsOut,
    uncertainty: Uncertainty = True,
    probabilities: Probabilities = False,
    polygons: Polygons = False,
    engine: EngineOption = "auto",
    heights: Heights = None,
    ground: Ground = None,
    above_ground: AboveGround = False,
    gsd: Gsd = None,
    cache: Cache = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Results of scenes whose shards are done; takes the options of predict."""
    tallies = workflow.merge(
        run, workflow.find_scenes(scenes), out, workflow.Wanted(uncertainty, probabilities, polygons),
        engine=engine,
        heights=_height_files(heights, ground, above_ground), gsd=gsd, cache=cache, say=Teller(quiet),
    )  # fmt: skip
    _tell(as_json, tallies)


def _height_files(heights: str | None, ground: str | None, above_ground: bool) -> workflow.HeightFiles | None:
    if heights is None and (ground is not None or above_ground):
        raise InputError("--ground and --ndsm say more of --heights; give it too")
    return None if heights is None else workflow.HeightFiles(heights, ground, "ndsm" if above_ground else "dsm")


def _shard(text: str | None) -> workflow.Shard:
    if text is None:
        return workflow.Shard(1, 1)
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--shard {text!r}: expected I/N with I from 1 to N, for example 1/4")
    return workflow.Shard(int(found[1]), int(found[2]))


def _tell(as_json: bool, tallies: list[dict[str, Any]]) -> None:
    files = [file for tally in tallies for file in tally["files"].values()]
    result(as_json, {"scenes": tallies}, "\n".join(files))
