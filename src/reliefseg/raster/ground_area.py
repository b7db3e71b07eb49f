"""How much ground pixels show, in square metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points

from reliefseg.errors import InputError
from reliefseg.raster.grid import Grid, Window

SEMI_MAJOR, FLATTENING = 6_378_137.0, 1 / 298.257223563
"""The ellipsoid WGS 84. Others in use differ by less than 0.03 % in area."""
PLANE_ENOUGH = 0.01
"""A map projection that stretches areas by more is not measured on the plane (Web Mercator: 130 % at 49° N)."""
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
            gsd = self.grid.gsd
            assert gsd is not None
            return np.broadcast_to(np.float64(gsd**2), shape)
        crs = self.grid.crs
        assert crs is not None
        if crs.is_geographic:
            return _density_in_degrees(self.grid.at(window), *_centres(*shape))
        at = [np.linspace(0.5, length - 0.5, LATTICE) for length in shape]
        stretched = _density_projected(self.grid.at(window), at[0][:, None], at[1][None, :])
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
    """Whether areas on the projection's plane are those on the ground; taken so where PROJ knows no way back."""
    rows, cols = (np.array([0.0, 0.5, 1.0]) * length for length in (grid.height, grid.width))
    gsd = grid.gsd
    assert gsd is not None
    try:
        found = _density_projected(grid, rows[:, None], cols[None, :])
    except CRSError:
        return True
    return not np.isfinite(found).all() or bool((np.abs(found / gsd**2 - 1) < PLANE_ENOUGH).all())


def _centres(height: int, width: int) -> tuple[Float64[np.ndarray, "h 1"], Float64[np.ndarray, "1 w"]]:
    return (np.arange(height) + 0.5)[:, None], (np.arange(width) + 0.5)[None, :]


def _density_in_degrees(
    grid: Grid, rows: Float64[np.ndarray, "h 1"], cols: Float64[np.ndarray, "1 w"]
) -> Float64[np.ndarray, "h w"]:
    """Square metres a pixel around points of a grid in longitude and latitude."""
    assert grid.crs is not None
    radians = grid.crs.units_factor[1]
    _, latitude = _place(grid, rows, cols)
    area = abs(grid.transform.determinant) * radians**2 * _square_metres(latitude * radians)
    return np.broadcast_to(area, (len(rows), cols.size))


def _density_projected(
    grid: Grid, rows: Float64[np.ndarray, "h 1"], cols: Float64[np.ndarray, "1 w"]
) -> Float64[np.ndarray, "h w"]:
    """Square metres a pixel around points of a projected grid, by differences over 8 pixels."""
    rows, cols = np.broadcast_arrays(rows, cols)
    right, left = _lon_lat(grid, rows, cols + 4), _lon_lat(grid, rows, cols - 4)
    down, up = _lon_lat(grid, rows + 4, cols), _lon_lat(grid, rows - 4, cols)
    (x_lon, x_lat), (y_lon, y_lat) = _difference(right, left), _difference(down, up)
    latitude = np.radians((right[1] + left[1]) / 2)
    return np.radians(1) ** 2 * np.abs(x_lon * y_lat - y_lon * x_lat) / 64 * _square_metres(latitude)


def _lon_lat(
    grid: Grid, rows: Float64[np.ndarray, "h w"], cols: Float64[np.ndarray, "h w"]
) -> Float64[np.ndarray, "2 h w"]:
    xs, ys = _place(grid, rows, cols)
    found = transform_points(grid.crs, CRS.from_epsg(4326), xs.ravel(), ys.ravel())
    return np.array(found, np.float64).reshape(2, *rows.shape)


def _place(
    grid: Grid, rows: Float64[np.ndarray, "..."], cols: Float64[np.ndarray, "..."]
) -> tuple[Float64[np.ndarray, "h w"], Float64[np.ndarray, "h w"]]:
    a, b, c, d, e, f = grid.transform[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def _difference(one: Float64[np.ndarray, "2 h w"], other: Float64[np.ndarray, "2 h w"]) -> Float64[np.ndarray, "2 h w"]:
    """Degrees from one to the other, the short way round."""
    return (one - other + 180) % 360 - 180


def _square_metres(latitude: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Square metres a square radian of longitude and latitude (radians): M N cos φ.

    Source: Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395 (1987), eq. 4-18 to 4-20.
    """
    squared = FLATTENING * (2 - FLATTENING)
    inner = 1 - squared * np.sin(latitude) ** 2
    return SEMI_MAJOR**2 * (1 - squared) * np.cos(latitude) / inner**2


def _hats(length: int) -> Float64[np.ndarray, "length lattice"]:
    """Weights that bring values at LATTICE points, the outer two on the first and last pixel, to all pixels."""
    at = np.linspace(0, LATTICE - 1, length) if length > 1 else np.zeros(1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(LATTICE)))
