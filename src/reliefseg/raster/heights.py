"""Metres above ground: a surface model minus the terrain, given as a raster or estimated."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32
from scipy import ndimage

from reliefseg.raster.grid import Grid, Window
from reliefseg.raster.opening import is_remote, measured, opened

HeightsAre = Literal["dsm", "ndsm"]

US_FOOT = 1200 / 3937
METRES_OF = {"cm": 0.01, **dict.fromkeys(("ft", "foot", "feet"), 0.3048), "us-ft": US_FOOT, "us survey foot": US_FOOT}
"""Metres in a unit that a file states; any other is taken for metres."""
TERRAIN_REACH_M = 60.0
"""Nothing that stands on the ground is taken to be wider than this, metres."""
TERRAIN_CELLS = 256
"""The terrain is estimated on a reduced grid of at most so many cells a side."""


def above_ground(
    heights: Path, ground: Path | None, heights_are: HeightsAre, grid: Grid, window: Window
) -> Float32[np.ndarray, "height width"]:
    """Heights of a window in metres above ground, nan where nothing was measured.

    An nDSM is taken as it is. A DSM loses the `ground` raster where there is one, else the estimate of
    `terrain_of`, which looks at the whole scene: windows agree with each other.
    """
    surface = read_metres(heights, window)
    if heights_are == "ndsm":
        return surface
    if ground is not None:
        return surface - read_metres(ground, window)
    reach = TERRAIN_REACH_M / grid.gsd if grid.gsd else min(grid.height, grid.width) / 4
    changed_ns = 0 if is_remote(heights) else heights.stat().st_mtime_ns
    terrain = terrain_of(heights, changed_ns, grid.height, grid.width, reach)
    return surface - _enlarged(terrain, grid, window)


def read_metres(path: Path, window: Window) -> Float32[np.ndarray, "height width"]:
    """The first band of a raster, its scale, offset and unit applied; nan where nodata, masked or not finite."""
    with opened(path) as dataset:
        data = dataset.read([1], window=window.to_rasterio())
        known = measured(dataset, window, (1,), data)
        unit = METRES_OF.get((dataset.units[0] or "").strip().lower(), 1.0)
        metres = (data[0].astype(np.float64) * dataset.scales[0] + dataset.offsets[0]) * unit
    return np.where(known, metres, np.nan).astype(np.float32)


@lru_cache(maxsize=8)
def terrain_of(path: Path, changed_ns: int, height: int, width: int, reach: float) -> Float[np.ndarray, "rows cols"]:
    """The ground under a surface model, metres, on a reduced grid of at most `TERRAIN_CELLS` cells a side.

    The lowest point of each cell, freed of single pits and of the scene's general slope, is opened with a
    window of `reach` pixels, which removes what is narrower than it, and smoothed. An estimate: hilltops
    narrower than `reach` count as things that stand, blocks wider than it as ground. All nan where nothing
    was measured. `changed_ns`, the file's time of change (0 of a remote file), keeps an older file's terrain from
    being taken.
    """
    step = max(1, -(-max(height, width) // TERRAIN_CELLS))
    return estimate_terrain(_lowest(path, height, width, step), reach / step)


def estimate_terrain(lowest: Float[np.ndarray, "rows cols"], reach: float) -> Float[np.ndarray, "rows cols"]:
    """The ground under `lowest`, the lowest height of each cell (nan: unknown); `reach` in cells."""
    if np.isnan(lowest).all():
        return lowest
    filled = ndimage.median_filter(_filled(lowest), size=3, mode="nearest")
    slope = _lower_plane(filled)
    size = 2 * max(1, round(reach / 2)) + 1
    opened_up = ndimage.grey_opening(filled - slope, size=(size, size), mode="nearest")
    return ndimage.gaussian_filter(opened_up, sigma=size / 4, mode="nearest") + slope


def _lowest(path: Path, height: int, width: int, step: int) -> Float[np.ndarray, "rows cols"]:
    """The lowest height of each cell of `step` × `step` pixels, read strip by strip."""
    strips = range(0, height, step * 16)
    windows = [Window(row, 0, min(step * 16, height - row), width) for row in strips]
    return np.concatenate([_cell_minima(read_metres(path, w), step) for w in windows])


def _cell_minima(metres: Float[np.ndarray, "height width"], step: int) -> Float[np.ndarray, "rows cols"]:
    padding = [(0, -size % step) for size in metres.shape]
    padded = np.pad(metres.astype(np.float64), padding, constant_values=np.nan)
    cells = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.fmin.reduce(np.fmin.reduce(cells, axis=3), axis=1)


def _filled(values: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """Unknown cells get the value of the nearest known one."""
    nearest = ndimage.distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def _lower_plane(values: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """A plane through the lower cells: least squares, each time on what lay not far above the last plane."""
    rows, cols = np.indices(values.shape) / max(values.shape)
    design = np.stack([np.ones(values.size), rows.ravel(), cols.ravel()], axis=1)
    flat = values.ravel()
    kept = np.ones(values.size, bool)
    for _ in range(4):
        plane = design @ np.linalg.lstsq(design[kept], flat[kept], rcond=None)[0]
        kept = flat <= plane + 0.5
    return plane.reshape(values.shape)


def _enlarged(
    terrain: Float[np.ndarray, "rows cols"], grid: Grid, window: Window
) -> Float32[np.ndarray, "height width"]:
    """The terrain at each pixel of a window, linear between the centres of the cells."""
    step = max(1, -(-max(grid.height, grid.width) // TERRAIN_CELLS))
    rows = (np.arange(window.row, window.row + window.height) + 0.5) / step - 0.5
    cols = (np.arange(window.col, window.col + window.width) + 0.5) / step - 0.5
    along = ndimage.map_coordinates(terrain, np.meshgrid(rows, cols, indexing="ij"), order=1, mode="nearest")
    return along.astype(np.float32)
