"""Where a prediction's pixels come from: files read by windows, or a scene already in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Shaped
from rasterio.errors import RasterioError

from reliefseg.depth import read_depth
from reliefseg.errors import InputError
from reliefseg.raster import Scene, Window
from reliefseg.raster.opening import opened
from reliefseg.raster.scene import read_measured
from reliefseg.tiles import SceneArrays


class Pixels(NamedTuple):
    """A window of a scene: image bands in file units, validity, depth in [0, 1] (nan where unknown) if used."""

    bands: Shaped[np.ndarray, "bands h w"]
    valid: Bool[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"] | None


Read = Callable[[Window], Pixels]
"""Reads a window that lies inside the scene."""


@runtime_checkable
class Source(Protocol):
    """A scene to read windows of, by several threads at once."""

    def opened(self) -> AbstractContextManager[Read]:
        """For one thread, for as long as the context lasts."""


@dataclass(frozen=True)
class FileSource:
    """A scene's files: the model's bands of the image, by name, and the depth raster if there is one."""

    scene: Scene
    bands: tuple[str, ...]
    depth: Path | None

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """With one handle on the image, so that GDAL's cache serves neighbouring windows."""
        chosen = [self.scene.bands.index(name) for name in self.bands]
        with opened(self.scene.image) as dataset:

            def read(window: Window) -> Pixels:
                try:
                    bands, valid = read_measured(dataset, window, len(self.scene.bands))
                except RasterioError as error:
                    raise InputError(self._damage(window, error)) from error
                depth = None if self.depth is None else read_depth(self.depth, window)
                return Pixels(bands if chosen == list(range(len(bands))) else bands[chosen], valid, depth)

            yield read

    def _damage(self, window: Window, error: RasterioError) -> str:
        rows = f"rows {window.row}–{window.row + window.height - 1}"
        cols = f"columns {window.col}–{window.col + window.width - 1}"
        return (
            f"scene {self.scene.name}: {rows}, {cols} of {self.scene.image} cannot be read "
            f"({error.__cause__ or error}); does the file end early? Copy it again from where it came from; what is "
            "finished is kept"
        )


@dataclass(frozen=True)
class ArraySource:
    """A scene in memory."""

    arrays: SceneArrays

    def opened(self) -> AbstractContextManager[Read]:
        """Views of the arrays."""
        return nullcontext(self._read)

    def _read(self, window: Window) -> Pixels:
        cut = window.slices
        depth = None if self.arrays.depth is None else self.arrays.depth[cut]
        return Pixels(self.arrays.bands[(slice(None), *cut)], self.arrays.valid[cut], depth)
