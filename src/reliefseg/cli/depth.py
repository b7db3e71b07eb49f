"""Verbs about depth: make the depth rasters of a data set; train the depth network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from reliefseg import workflow
from reliefseg.cli.common import (
    Assign,
    Cache,
    Config,
    DataSet,
    Json,
    Preset,
    Quiet,
    Teller,
    result,
    resumable,
    settings_for,
)
from reliefseg.raster import load_dataset

MAKE = "make"
Preview = Annotated[bool, typer.Option("--preview", help="A PNG of photograph and depth beside each raster.")]


class _MakeUnlessNamed(TyperGroup):
    """`reliefseg depth DATASET` is short for `reliefseg depth make DATASET`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the verb in where none is given; a data set called `fit` is `./fit`."""
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named or not args else [MAKE, *args])


app = typer.Typer(
    cls=_MakeUnlessNamed,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, or reuse, the depth rasters of all scenes: reliefseg depth DATASET. Or train the depth network: fit.",
)


@app.command(MAKE)
def make(
    dataset: DataSet, preset: Preset = None, config: Config = None, assign: Assign = None,
    preview: Preview = False, cache: Cache = None, as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Make, or reuse, the depth rasters of all scenes (the word `make` may be left out)."""
    teller = Teller(quiet)
    settings = settings_for(preset, config, assign, teller)
    data = load_dataset(dataset, cache)
    rasters = workflow.make_depth_rasters(data, settings, say=teller)
    if preview:
        workflow.preview_depth(data, rasters, teller)
    listed = {name: str(path) for name, path in rasters.items()}
    result(as_json, listed, "\n".join(listed.values()) or "depth source: none; nothing to make")


@app.command()
def fit(
    out: Annotated[Path, typer.Argument(help="File for the weights, *.safetensors.")],
    dataset: Annotated[
        Path | None,
        typer.Argument(help="Train on its training scenes with heights. [default: generated scenes]"),
    ] = None,
    scenes: Annotated[int, typer.Option("--scenes", help="Generated scenes, or most pieces of 1024 px.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Seed of scenes and training.")] = 0,
    steps: Annotated[int, typer.Option("--steps", help="Training steps.")] = 4000,
    minutes: Annotated[float | None, typer.Option("--minutes", help="End after so many minutes of training.")] = None,
    batch: Annotated[int, typer.Option("--batch", help="Tiles a step.")] = 8,
    tile: Annotated[int, typer.Option("--tile", help="Side of a tile, pixels.")] = 256,
    lr: Annotated[float, typer.Option("--lr", help="Highest learning rate.")] = 2e-3,
    threads: Annotated[int, typer.Option("--threads", help="Processor threads; 0: by this machine.")] = 0,
    start: Annotated[Path | None, typer.Option("--start", help="Weights to start from: fine-tuning.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training that lies beside OUT.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the depth network on generated scenes, or on a data set's training scenes that have heights."""
    settings = workflow.FitSettings.checked(
        scenes=scenes, seed=seed, steps=steps, minutes=minutes, batch=batch, tile=tile, lr=lr, threads=threads
    )
    data = None if dataset is None else load_dataset(dataset)
    with resumable(out.parent / f"{out.stem}.fit" / workflow.FIT_SETTINGS):
        scores = workflow.fit_depth(out, settings, data, start=start, resume=resume, say=Teller(quiet))
    text = f"{out}: {scores.in_words()} on scenes it never saw"
    result(as_json, {"weights": str(out), **scores._asdict()}, text)
