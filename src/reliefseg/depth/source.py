"""What a depth source must offer; adding one means writing these members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from reliefseg.raster import Scene, Window

BLOCK = 1024
"""Side of the part of a scene that is read or written at once; a multiple of the blocks of the rasters we write."""

WEIGHTS = "depth_weights_sha256"
"""Tag of what a depth network's weights hash to."""

Step = Callable[[], None]
"""Called once for each step of the work."""


class Block(NamedTuple):
    """Depth in [0, 1] of a window, nan where there is none."""

    window: Window
    depth: Float32[np.ndarray, "height width"]


class Making(NamedTuple):
    """Depth about to be written, block by block, and what the raster's tags shall say of this scene."""

    blocks: Iterable[Block]
    tags: Mapping[str, str]


Maker = Callable[[Step, Path], Making]
"""Makes the depth of one scene, the expensive part; in the folder given is what an interrupted call left there."""


@runtime_checkable
class DepthSource(Protocol):
    """A way to come by depth."""

    @property
    def name(self) -> str:
        """The word for it in settings and in the cache."""

    @property
    def recipe(self) -> Mapping[str, str | float]:
        """Everything but the scene that the result depends on: weights by their hash, settings."""

    @property
    def tags(self) -> Mapping[str, str]:
        """What a person wants to know of the source later."""

    def files(self, scene: Scene) -> list[Path]:
        """The scene's files that depth is made from; `InputError` where the scene lacks one."""

    def steps(self, scene: Scene) -> int:
        """How often `Maker` calls its step for this scene."""

    def load(self) -> None:
        """Loads what making needs, before any scene is read; not called where all depth is in the cache."""

    def prepare(self, scene: Scene) -> Maker:
        """Refuses, as `InputError`, a scene that no depth can be made of, before anything expensive runs."""


def blocks_of(scene: Scene) -> list[Window]:
    """The scene cut into windows of at most `BLOCK` pixels a side, row by row."""
    return scene.grid.window.blocks(BLOCK)
