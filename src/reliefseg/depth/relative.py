"""Depth from monocular networks, which know it only up to scale and shift: mosaic, then the scene's own range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from reliefseg.depth.bands import Photo, survey_photo
from reliefseg.depth.hub import find_model, hash_model
from reliefseg.depth.mosaic import Plan, blend
from reliefseg.depth.network import DepthNetwork, load_network, require_transformers
from reliefseg.depth.settings import DepthSettings
from reliefseg.depth.source import Maker, Making, Step, Strip, strips_of
from reliefseg.errors import InputError
from reliefseg.raster import Scene, Window

RANGE_PERCENTILES = (1.0, 99.0)
"""These percentiles of a scene's relative depth become depth 0 and 1."""
SAMPLE = 4_000_000
"""They are taken over about so many pixels."""


class Range(NamedTuple):
    """Relative depth that is shown as 0 and as 1."""

    low: float
    high: float


@dataclass(frozen=True)
class TransformersSource:
    """A depth network in a folder, run by overlapping windows. `model` is what the user calls it."""

    settings: DepthSettings
    folder: Path
    weights: str
    name: str = field(default="transformers", init=False)

    @property
    def recipe(self) -> Mapping[str, str | float]:
        """Weights by their hash, windows, and how the output is read."""
        kept = self.settings.model_dump(include={"window", "overlap", "larger_is"})
        return {**kept, "weights": self.weights}

    @property
    def tags(self) -> Mapping[str, str]:
        """The model's name and the hash of its weights."""
        return {"depth_model": self.settings.model, "depth_weights_sha256": self.weights}

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
        return lambda step: self._make(photo, step)

    @cached_property
    def _network(self) -> DepthNetwork:
        return load_network(self.folder, self.settings.larger_is)

    def _plan(self, scene: Scene) -> Plan:
        overlap = ceil(self.settings.overlap * self.settings.window)
        return Plan(scene.grid.height, scene.grid.width, self.settings.window, min(overlap, self.settings.window // 2))

    def _make(self, photo: Photo, step: Step) -> Making:
        def look(window: Window) -> Float32[np.ndarray, "window window"]:
            seen = self._network.look(photo.read(window))
            _refuse_not_finite(seen, photo.scene, window, self.settings.model)
            step()
            return seen

        relative = blend(self._plan(photo.scene), look)
        shown = range_of(relative, photo.scene.read_valid())
        _refuse_flat(shown, photo.scene, self.settings.model)
        tags = {"depth_relative_low": f"{shown.low:.9g}", "depth_relative_high": f"{shown.high:.9g}"}
        return Making(_strips(relative, shown, photo.scene), tags)


def open_transformers(settings: DepthSettings) -> TransformersSource:
    """The source for these settings, nothing of the network loaded yet; `InputError` where there is no usable model."""
    folder = find_model(settings.model, allow_download=settings.allow_download)
    return TransformersSource(settings, folder, hash_model(folder))


def range_of(relative: Float32[np.ndarray, "height width"], valid: Bool[np.ndarray, "height width"]) -> Range:
    """The scene's own range: robust percentiles over its valid pixels, of which there must be one."""
    every = max(1, ceil(sqrt(relative.size / SAMPLE))) ** 2
    low, high = np.percentile(relative[valid][::every], RANGE_PERCENTILES)
    return Range(float(low), float(high))


def _strips(relative: Float32[np.ndarray, "height width"], shown: Range, scene: Scene) -> Iterator[Strip]:
    for window in strips_of(scene):
        depth = np.clip((relative[window.slices] - shown.low) / (shown.high - shown.low), 0, 1)
        yield Strip(window, np.where(scene.read_valid(window), depth, np.nan).astype(np.float32))


def _refuse_not_finite(seen: np.ndarray, scene: Scene, window: Window, model: str) -> None:
    if not np.isfinite(seen).all():
        raise InputError(
            f"scene {scene.name}: depth network {model} gives numbers that are not finite at row {window.row}, "
            f"col {window.col}; are its weights damaged?"
        )


def _refuse_flat(shown: Range, scene: Scene, model: str) -> None:
    if shown.high - shown.low <= 1e-5 * max(abs(shown.low), abs(shown.high)):
        raise InputError(
            f"scene {scene.name}: depth network {model} sees no relief, its output is {shown.low:g} nearly everywhere; "
            f"expected a trained network; try another model, or --set depth.source=none"
        )
