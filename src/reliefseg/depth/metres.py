"""Depth from heights: metres above ground over a fixed range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from reliefseg.depth.source import Block, Maker, Making, Step, blocks_of
from reliefseg.errors import InputError
from reliefseg.raster import Scene, Window


@dataclass(frozen=True)
class RasterSource:
    """Heights of the data set. A roof has the same depth in every scene, however the scene was cut."""

    range_m: float
    name: str = "raster"

    @property
    def recipe(self) -> Mapping[str, str | float]:
        """The range."""
        return {"range_m": self.range_m}

    @property
    def tags(self) -> Mapping[str, str]:
        """Nothing beyond the recipe."""
        return {}

    def files(self, scene: Scene) -> list[Path]:
        """Image (for its nodata), heights, and the terrain where it is given."""
        if scene.heights is None:
            raise InputError(
                f"scene {scene.name}: depth source `raster`, but the scene has no heights; "
                f"name them in [files] heights, or use --set depth.source=none"
            )
        return [scene.image, scene.heights, *([scene.ground] if scene.ground else [])]

    def steps(self, scene: Scene) -> int:
        """One for each block."""
        return len(blocks_of(scene))

    def load(self) -> None:
        """Nothing to load."""

    def prepare(self, scene: Scene) -> Maker:
        """Refuses a scene in which no pixel has both an image and a height."""
        if not any(np.isfinite(_valid_heights(scene, window)).any() for window in blocks_of(scene)):
            raise InputError(
                f"scene {scene.name}: no valid pixel has a height in {scene.heights}; is its nodata value right?"
            )
        return lambda step, scratch: Making(self._blocks(scene, step), {})

    def _blocks(self, scene: Scene, step: Step) -> Iterator[Block]:
        for window in blocks_of(scene):
            yield Block(window, depth_of_metres(_valid_heights(scene, window), self.range_m))
            step()


def depth_of_metres(
    heights: Float32[np.ndarray, "height width"], range_m: float
) -> Float32[np.ndarray, "height width"]:
    """Metres above ground as depth: 0 at the ground and below, 1 at `range_m` and above; nan stays nan."""
    return np.clip(heights / np.float32(range_m), 0, 1)


def _valid_heights(scene: Scene, window: Window) -> Float32[np.ndarray, "height width"]:
    """Metres above ground, nan also where the image is not valid."""
    return np.where(scene.read_valid(window), scene.read_heights(window), np.float32(np.nan))
