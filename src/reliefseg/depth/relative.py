"""Depth from monocular networks, which know it only up to scale and shift: mosaic, then the scene's own range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from reliefseg.depth.alignment import aligned_mosaic, brought_in_line
from reliefseg.depth.bands import Photo, survey_photo
from reliefseg.depth.hub import find_model, hash_model
from reliefseg.depth.mosaic import Mosaic, Plan
from reliefseg.depth.network import DepthNetwork, load_network, require_transformers
from reliefseg.depth.settings import DepthSettings
from reliefseg.depth.source import WEIGHTS, Block, Maker, Making, Step, blocks_of
from reliefseg.depth.store import PlaneStore
from reliefseg.errors import InputError
from reliefseg.raster import Scene, Window

RANGE_PERCENTILES = (1.0, 99.0)
"""These percentiles of a scene's relative depth become depth 0 and 1."""
SAMPLE = 1_000_000
"""They are taken over about so many pixels."""


class Range(NamedTuple):
    """Relative depth that is shown as 0 and as 1."""

    low: float
    high: float


@dataclass(frozen=True)
class TransformersSource:
    """A depth network in a folder, run by overlapping windows. `model` is what the user calls it."""

    settings: DepthSettings
    model: str
    folder: Path
    weights: str
    name: str = field(default="transformers", init=False)

    @property
    def recipe(self) -> Mapping[str, str | float]:
        """Weights by their hash, windows, and how the output is read."""
        kept = self.settings.model_dump(include={"window", "overlap", "larger_is", "turns"})
        return {**kept, "weights": self.weights}

    @property
    def tags(self) -> Mapping[str, str]:
        """The model's name and the hash of its weights."""
        return {"depth_model": self.model, WEIGHTS: self.weights}

    def files(self, scene: Scene) -> list[Path]:
        """The image alone."""
        return [scene.image]

    def steps(self, scene: Scene) -> int:
        """One for each window."""
        return len(self._plan(scene))

    def load(self) -> None:
        """The network; `InputError` where transformers is not installed or the folder holds no depth network."""
        require_transformers()
        _ = self._network

    def prepare(self, scene: Scene) -> Maker:
        """Refuses a scene without a valid pixel or of one colour."""
        photo = survey_photo(scene)
        return lambda step, scratch: self._make(photo, step, scratch)

    @cached_property
    def _network(self) -> DepthNetwork:
        return load_network(self.folder, self.settings.larger_is)

    def _plan(self, scene: Scene) -> Plan:
        overlap = ceil(self.settings.overlap * self.settings.window)
        return Plan(scene.grid.height, scene.grid.width, self.settings.window, min(overlap, self.settings.window // 2))

    def _make(self, photo: Photo, step: Step, scratch: Path) -> Making:
        planes, plan = PlaneStore(scratch / "planes", self.settings.window), self._plan(photo.scene)
        planes.fill(len(plan), lambda index: self._look(photo, plan[index]), step)
        mosaic = aligned_mosaic(plan, planes, photo.scene.read_valid)
        shown = range_of(mosaic, photo.scene)
        _refuse_flat(shown, photo.scene, self.model)
        tags = {"depth_relative_low": f"{shown.low:.9g}", "depth_relative_high": f"{shown.high:.9g}"}
        return Making(_blocks(mosaic, shown, photo.scene), tags)

    def _look(self, photo: Photo, window: Window) -> Float32[np.ndarray, "window window"]:
        """A window, averaged over quarter turns once they agree in scale and shift."""
        picture = photo.read(window)
        looks = [
            np.rot90(self._network.look(np.ascontiguousarray(np.rot90(picture, k))), -k)
            for k in range(self.settings.turns)
        ]
        others = [brought_in_line(look, looks[0]) for look in looks[1:]]
        seen = np.stack([looks[0], *others]).mean(axis=0)
        if not np.isfinite(seen).all():
            raise InputError(
                f"scene {photo.scene.name}: depth network {self.model} gives numbers that are not finite at row "
                f"{window.row}, col {window.col}; are its weights damaged?"
            )
        return seen


def open_transformers(settings: DepthSettings) -> TransformersSource:
    """The source for these settings, nothing of the network loaded yet; `InputError` where there is no usable model."""
    folder = find_model(settings.model, allow_download=settings.allow_download)
    return TransformersSource(settings, settings.model, folder, hash_model(folder))


def range_of(mosaic: Mosaic, scene: Scene) -> Range:
    """The scene's own range: robust percentiles over its valid pixels, of which there must be one."""
    every = max(1, ceil(scene.grid.height * scene.grid.width / SAMPLE))
    parts = [mosaic.read(window)[scene.read_valid(window)][::every].copy() for window in blocks_of(scene)]
    low, high = np.percentile(np.concatenate(parts), RANGE_PERCENTILES)
    return Range(float(low), float(high))


def _blocks(mosaic: Mosaic, shown: Range, scene: Scene) -> Iterator[Block]:
    for window in blocks_of(scene):
        depth = np.clip((mosaic.read(window) - shown.low) / (shown.high - shown.low), 0, 1)
        yield Block(window, np.where(scene.read_valid(window), depth, np.nan).astype(np.float32))


def _refuse_flat(shown: Range, scene: Scene, model: str) -> None:
    if shown.high - shown.low <= 1e-5 * max(abs(shown.low), abs(shown.high)):
        raise InputError(
            f"scene {scene.name}: depth network {model} sees no relief, its output is {shown.low:g} nearly everywhere; "
            f"expected a trained network; try another model, or --set depth.source=none"
        )
