"""How much ground pixels show, in square metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from reliefseg.errors import InputError
from reliefseg.raster.ellipsoid import area_in_degrees, ground_of_pixels, near_plane
from reliefseg.raster.grid import Grid, Window

LATTICE = 9
"""Points along each side of a window at which a projection's stretch is taken; linear in between."""


@dataclass(frozen=True)
class GroundArea:
    """Measures the pixels of a grid on the plane of its projection, or on the ellipsoid.

    The ellipsoid holds where the CRS is in degrees, and where its projection is far from equal-area.
    """

    grid: Grid
    measure: Literal["plane", "ellipsoid"]

    def of_pixels(self, window: Window) -> Float64[np.ndarray, "h w"]:
        """Square metres of every pixel of a window."""
        shape = (window.height, window.width)
        if self.measure == "plane":
            gsd = self.grid.plane_gsd
            assert gsd is not None
            return np.broadcast_to(np.float64(gsd**2), shape)
        crs = self.grid.crs
        assert crs is not None
        if crs.is_geographic:
            return area_in_degrees(self.grid.at(window).transform, crs, *_centres(*shape))
        at = [np.linspace(0.5, length - 0.5, LATTICE) for length in shape]
        stretched = ground_of_pixels(self.grid.at(window).transform, crs, at[0][:, None], at[1][None, :])
        weights = [_hats(length) for length in shape]
        return weights[0] @ stretched @ weights[1].T


def measure_ground(grid: Grid) -> GroundArea:
    """The measure that suits a grid; `InputError` with the reason where its pixels have no known size."""
    crs = grid.crs
    if crs is None or not (crs.is_projected or crs.is_geographic):
        if grid.stated_gsd is None:
            raise InputError(
                "areas in m² are unknown: the scene has no CRS that says where it lies, and no gsd is stated; "
                "georeference it"
            )
        return GroundArea(grid, "plane")
    if crs.is_geographic:
        return GroundArea(grid, "ellipsoid")
    return GroundArea(grid, "plane" if _near_plane(grid) else "ellipsoid")


def _near_plane(grid: Grid) -> bool:
    """Whether areas on the projection's plane are those on the ground, all over the grid."""
    rows, cols = (np.array([0.0, 0.5, 1.0]) * length for length in (grid.height, grid.width))
    gsd = grid.plane_gsd
    assert gsd is not None
    assert grid.crs is not None
    return near_plane(ground_of_pixels(grid.transform, grid.crs, rows[:, None], cols[None, :]), gsd)


def _centres(height: int, width: int) -> tuple[Float64[np.ndarray, "h 1"], Float64[np.ndarray, "1 w"]]:
    return (np.arange(height) + 0.5)[:, None], (np.arange(width) + 0.5)[None, :]


def _hats(length: int) -> Float64[np.ndarray, "length lattice"]:
    """Weights that bring values at LATTICE points, the outer two on the first and last pixel, to all pixels."""
    at = np.linspace(0, LATTICE - 1, length) if length > 1 else np.zeros(1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(LATTICE)))
