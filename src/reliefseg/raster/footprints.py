"""Where scenes lie on the ground, and whether scenes of different splits show the same ground."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from reliefseg.raster.grid import Grid
from reliefseg.raster.scene import Scene


def footprint(grid: Grid, crs: CRS | None) -> shapely.Polygon:
    """The outline of a grid's pixels, less half a pixel on each side, in a CRS (the grid's own for None)."""
    inner = (0.5, grid.width - 0.5), (0.5, grid.height - 0.5)
    along = np.linspace(0, 1, 9)[:-1]
    left, right = inner[0]
    top, bottom = inner[1]
    cols = np.concatenate(
        [left + along * (right - left), np.full(8, right), right - along * (right - left), np.full(8, left)]
    )
    rows = np.concatenate(
        [np.full(8, top), top + along * (bottom - top), np.full(8, bottom), bottom - along * (bottom - top)]
    )
    t = grid.transform
    xs, ys = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    if crs is not None and grid.crs is not None and grid.crs != crs:
        xs, ys = transform_points(grid.crs, crs, xs, ys)
    return shapely.Polygon(np.column_stack([xs, ys]))


def overlaps_across_splits(scenes: Mapping[str, Scene], splits: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One offence for each pair of scenes in different splits that show the same ground.

    Neighbours that share a strip of less than a pixel do not overlap. Scenes without
    georeferencing lie nowhere.
    """
    placed = [(split, n) for split, names in splits.items() for n in names if is_placed(scenes[n].grid)]
    if len(placed) < 2:
        return []
    common = next((scenes[n].grid.crs for _, n in placed if scenes[n].grid.crs is not None), None)
    outlines = [footprint(scenes[n].grid, common) for _, n in placed]
    pairs = shapely.STRtree(outlines).query(outlines, predicate="intersects").T
    return [
        _offence(placed[a], placed[b], outlines[a], outlines[b])
        for a, b in pairs.tolist()
        if a < b and placed[a][0] != placed[b][0] and outlines[a].intersection(outlines[b]).area > 0
    ]


def is_placed(grid: Grid) -> bool:
    """Whether a grid lies somewhere: in a CRS, or by a world file that gives more than the pixels' size."""
    return grid.crs is not None or (grid.transform.c, grid.transform.f) != (0, 0)


def _offence(one: tuple[str, str], other: tuple[str, str], outline: shapely.Polygon, another: shapely.Polygon) -> str:
    share = outline.intersection(another).area / min(outline.area, another.area)
    return (
        f"scenes {one[1]} ({one[0]}) and {other[1]} ({other[0]}) show the same ground ({share:.1%} of the smaller "
        "one); put both into one split, or cut one of them"
    )
