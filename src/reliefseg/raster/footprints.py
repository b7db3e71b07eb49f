"""Where scenes lie on the ground, and whether scenes of different splits show the same ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from reliefseg.raster.grid import Grid, converts
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
    return [
        _offence(placed[a], placed[b], share)
        for (a, b), share in shared_ground([scenes[n].grid for _, n in placed]).items()
        if placed[a][0] != placed[b][0]
    ]


def shared_ground(grids: Sequence[Grid]) -> dict[tuple[int, int], float]:
    """Pairs of grids, as their places in the list, that show the same ground, with its share of the smaller one.

    Grids whose CRS cannot be converted into each other are not compared.
    """
    pairs: dict[tuple[int, int], float] = {}
    left = list(range(len(grids)))
    while left:
        common = next((grids[n].crs for n in left if grids[n].crs is not None), None)
        comparable = [n for n in left if converts(grids[n].crs, common)]
        outlines = [footprint(grids[n], common) for n in comparable]
        for a, b in shapely.STRtree(outlines).query(outlines, predicate="intersects").T.tolist():
            area = outlines[a].intersection(outlines[b]).area if a < b else 0
            if area > 0:
                pairs[comparable[a], comparable[b]] = area / min(outlines[a].area, outlines[b].area)
        left = [n for n in left if n not in set(comparable)]
    return pairs


def is_placed(grid: Grid) -> bool:
    """Whether a grid lies somewhere: in a CRS, or by a world file that gives more than the pixels' size."""
    return grid.crs is not None or (grid.transform.c, grid.transform.f) != (0, 0)


def _offence(one: tuple[str, str], other: tuple[str, str], share: float) -> str:
    return (
        f"scenes {one[1]} ({one[0]}) and {other[1]} ({other[0]}) show the same ground ({share:.1%} of the smaller "
        "one); put both into one split, or cut one of them"
    )
