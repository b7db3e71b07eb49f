"""The depth of a data set's scenes, for whatever a verb reads of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reliefseg.config import Settings
from reliefseg.depth import DepthSettings, make_depth, resolve_source
from reliefseg.raster import Dataset, Scene
from reliefseg.workflow.saying import SILENT, Sayer

TRAINING_SPLITS = ("pixel_labelled", "tile_labelled", "unlabelled")


def with_depth_resolved(settings: Settings, dataset: Dataset) -> Settings:
    """The settings with `depth.source = "auto"` decided for this data set."""
    source = resolve_source(settings.depth, dataset)
    return settings.model_copy(update={"depth": settings.depth.model_copy(update={"source": source})})


def taken_as(scene: Scene, gsd: float | None) -> Scene:
    """The scene at this gsd where its own is unknown: so a model's depth is made of scenes that it takes at its gsd."""
    return scene if scene.grid.gsd else replace(scene, grid=replace(scene.grid, stated_gsd=gsd))


def depth_rasters(
    scenes: Sequence[Scene], settings: DepthSettings, cache: Path, say: Sayer = SILENT
) -> Mapping[str, Path]:
    """Depth rasters by scene name, made or reused; empty without depth."""
    if settings.source == "none" or not scenes:
        return {}
    unknown = sum(not scene.grid.gsd for scene in scenes)
    if settings.source == "builtin" and unknown:
        say.note(
            f"depth: the gsd of {unknown:,} of {len(scenes):,} scenes is unknown; several are assumed. "
            f"Better: state gsd (metres a pixel) in dataset.toml"
        )
    with say.progress(f"depth ({settings.source})") as tick:
        return make_depth(scenes, settings, cache, tick)


def make_depth_rasters(dataset: Dataset, settings: Settings, say: Sayer = SILENT) -> Mapping[str, Path]:
    """Depth rasters of all scenes of a data set, by name; empty where the source comes out as `none`.

    Where depth comes from surface models, a scene that no split names may lack one: it is left out.
    """
    depth = with_depth_resolved(settings, dataset).depth
    named = {name for names in dataset.splits.values() for name in names}
    scenes = [s for s in dataset.scenes.values() if depth.source != "raster" or s.has_heights or s.name in named]
    return depth_rasters(scenes, depth, dataset.cache, say)


def make_training_depth(dataset: Dataset, settings: Settings, say: Sayer = SILENT) -> None:
    """Depth rasters of the training splits and validation scenes, where they are not there yet."""
    depth_rasters(read_by_training(dataset, settings), with_depth_resolved(settings, dataset).depth, dataset.cache, say)


def read_by_training(dataset: Dataset, settings: Settings) -> list[Scene]:
    """The scenes that training reads: those of the training splits, and those that validate."""
    splits = TRAINING_SPLITS if settings.validation.blocks else (*TRAINING_SPLITS, "validation")
    return [scene for name in splits for scene in dataset.split(name)]
