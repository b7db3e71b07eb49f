"""Verbs about data sets: init, check, generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reliefseg.cli.common import DataSet, Json, Quiet, Teller, result
from reliefseg.errors import InputError
from reliefseg.generate import GenerateSettings, fitting_jobs, generate_dataset
from reliefseg.raster import PROTOCOLS, check_dataset, init_dataset, init_protocol, write_template


def init(
    folder: Annotated[Path, typer.Argument(help="Folder with images and labels.")],
    protocol: Annotated[
        str | None, typer.Option("--protocol", help=f"A benchmark unpacked there: {', '.join(PROTOCOLS)}.")
    ] = None,
    template: Annotated[bool, typer.Option("--template", help="A file with every key explained, to fill in.")] = False,
    as_json: Json = False,
) -> None:
    """Write a dataset.toml from what lies in a folder, and say what it could not know."""
    if template and protocol is not None:
        raise InputError("--template and --protocol: take one of them")
    if template or protocol is not None:
        file = write_template(folder) if protocol is None else init_protocol(folder, protocol)
        result(as_json, {"file": str(file)}, str(file))
        return
    with Teller(quiet=as_json).progress("reading labels") as tick:
        proposal = init_dataset(folder, tick)
    result(as_json, proposal.to_json(), proposal.to_text())


def check(dataset: DataSet, as_json: Json = False) -> None:
    """Say what is there and what is wrong; exit status 1 where there are errors."""
    with Teller(quiet=as_json).progress("checking scenes") as tick:
        report = check_dataset(dataset, tick)
    result(as_json, report.to_json(), report.to_text())
    if report.errors:
        raise typer.Exit(1)


def generate(
    out: Annotated[Path, typer.Argument(help="Folder to write the data set into.")],
    scenes: Annotated[int, typer.Option("--scenes", help="How many scenes.")] = 36,
    size: Annotated[int, typer.Option("--size", help="Height and width of a scene, pixels.")] = 1500,
    gsd: Annotated[float, typer.Option("--gsd", help="Ground sampling distance, metres a pixel.")] = 0.09,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 0,
    bands: Annotated[str, typer.Option("--bands", help="'nir red green' or 'red green blue'.")] = "nir red green",
    label_shift: Annotated[int, typer.Option("--label-shift", help="Move labels by up to so many pixels.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Scenes made at once; 0: as many as pay.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a generated data set: towns with exact labels and heights."""
    settings = GenerateSettings.checked(
        scenes=scenes, size=size, gsd=gsd, seed=seed, bands=bands, label_shift=label_shift
    )
    with Teller(quiet).progress("generating scenes") as tick:
        path = generate_dataset(out, settings, tick, jobs or fitting_jobs(settings))
    result(as_json, {"dataset": str(path)}, str(path))
