"""How much ground pixels of a map projection show, by the way back from the map to the ellipsoid."""

from __future__ import annotations

from functools import lru_cache
from math import pi, sqrt

import numpy as np
from affine import Affine
from jaxtyping import Float64
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points

SEMI_MAJOR, FLATTENING = 6_378_137.0, 1 / 298.257223563
"""The ellipsoid WGS 84. Others in use differ by less than 0.03 % in area."""
PLANE_ENOUGH = 0.01
"""A map projection that stretches areas by more is not measured on the plane (Web Mercator: 130 % at 49° N)."""


@lru_cache(maxsize=4096)
def ground_gsd(transform: Affine, crs: CRS, row: float, col: float) -> float:
    """Metres a pixel at a point of a projected grid: on the map's plane where that is near the ground there."""
    plane = plane_gsd(transform, crs)
    area = ground_of_pixels(transform, crs, np.array([[row]]), np.array([[col]]))
    return plane if near_plane(area, plane) else sqrt(area.item())


def plane_gsd(transform: Affine, crs: CRS) -> float:
    """Metres a pixel on the plane of a map."""
    return sqrt(abs(transform.determinant)) * float(crs.linear_units_factor[1])


def gsd_in_degrees(transform: Affine, crs: CRS, row: float, col: float) -> float | None:
    """Metres a pixel at a point of a grid in longitude and latitude, the root of a pixel's area; None off the globe."""
    area = area_in_degrees(transform, crs, np.array([[row]]), np.array([[col]])).item()
    return sqrt(area) if area > 0 else None


def area_in_degrees(
    transform: Affine, crs: CRS, rows: Float64[np.ndarray, "h 1"], cols: Float64[np.ndarray, "1 w"]
) -> Float64[np.ndarray, "h w"]:
    """Square metres a pixel around points of a grid in longitude and latitude; nan off the globe."""
    radians = crs.units_factor[1]
    latitude = radians * places(transform, rows, cols)[1]
    area = abs(transform.determinant) * radians**2 * square_metres(latitude)
    return np.broadcast_to(np.where(np.abs(latitude) < pi / 2, area, np.nan), (len(rows), cols.size))


def near_plane(ground: Float64[np.ndarray, "h w"], gsd: float) -> bool:
    """Whether a map stretches none of these areas by `PLANE_ENOUGH`; taken so where they are not known."""
    return not np.isfinite(ground).all() or bool((np.abs(ground / gsd**2 - 1) < PLANE_ENOUGH).all())


def ground_of_pixels(
    transform: Affine, crs: CRS, rows: Float64[np.ndarray, "h 1"], cols: Float64[np.ndarray, "1 w"]
) -> Float64[np.ndarray, "h w"]:
    """Square metres a pixel around points of a projected grid, by differences over 8 pixels; nan where PROJ knows no
    way back."""
    rows, cols = np.broadcast_arrays(rows, cols)
    right, left = _lon_lat(transform, crs, rows, cols + 4), _lon_lat(transform, crs, rows, cols - 4)
    down, up = _lon_lat(transform, crs, rows + 4, cols), _lon_lat(transform, crs, rows - 4, cols)
    (x_lon, x_lat), (y_lon, y_lat) = _difference(right, left), _difference(down, up)
    latitude = np.radians((right[1] + left[1]) / 2)
    return np.radians(1) ** 2 * np.abs(x_lon * y_lat - y_lon * x_lat) / 64 * square_metres(latitude)


def sides_of_pixels(transform: Affine, crs: CRS, row: float, col: float) -> tuple[float, float] | None:
    """Metres along a row and along a column of one pixel at a point of a grid, by differences over 8 pixels.

    On the map's plane where PROJ knows no way back from it; None where degrees lie off the globe.
    """
    rows, cols = np.array([[row, row, row - 4, row + 4]]), np.array([[col - 4, col + 4, col, col]])
    if crs.is_geographic:
        lon, lat = np.degrees(crs.units_factor[1]) * np.array(places(transform, rows, cols))
        if (np.abs(lat) > 90).any():
            return None
    else:
        lon, lat = _lon_lat(transform, crs, rows, cols)
    left, right, up, down = _positions(lon[0], lat[0])
    if np.isfinite([left, right, up, down]).all():
        return float(np.linalg.norm(right - left)) / 8, float(np.linalg.norm(down - up)) / 8
    factor = float(crs.linear_units_factor[1])
    return factor * abs(complex(transform.a, transform.d)), factor * abs(complex(transform.b, transform.e))


def _positions(lon: Float64[np.ndarray, " n"], lat: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 3"]:
    """Metres from the centre of the earth, of points of the ellipsoid in degrees.

    Source: Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395 (1987), eq. 4-20 for the radius.
    """
    squared, lon, lat = FLATTENING * (2 - FLATTENING), np.radians(lon), np.radians(lat)
    radius = SEMI_MAJOR / np.sqrt(1 - squared * np.sin(lat) ** 2)
    across = radius * np.cos(lat)
    return np.stack([across * np.cos(lon), across * np.sin(lon), (1 - squared) * radius * np.sin(lat)], axis=1)


def _lon_lat(
    transform: Affine, crs: CRS, rows: Float64[np.ndarray, "h w"], cols: Float64[np.ndarray, "h w"]
) -> Float64[np.ndarray, "2 h w"]:
    """Degrees; nan where PROJ knows no way to WGS 84, as from a site's own CRS or another planet's."""
    xs, ys = places(transform, rows, cols)
    try:
        found = transform_points(crs, CRS.from_epsg(4326), xs.ravel(), ys.ravel())
    except (CRSError, CPLE_BaseError):
        return np.full((2, *rows.shape), np.nan)
    return np.array(found, np.float64).reshape(2, *rows.shape)


def places(
    transform: Affine, rows: Float64[np.ndarray, "..."], cols: Float64[np.ndarray, "..."]
) -> tuple[Float64[np.ndarray, "h w"], Float64[np.ndarray, "h w"]]:
    """x and y of points given by row and column."""
    a, b, c, d, e, f = transform[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def _difference(one: Float64[np.ndarray, "2 h w"], other: Float64[np.ndarray, "2 h w"]) -> Float64[np.ndarray, "2 h w"]:
    """Degrees from one to the other, the short way round."""
    return (one - other + 180) % 360 - 180


def square_metres(latitude: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Square metres a square radian of longitude and latitude (radians): M N cos φ.

    Source: Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395 (1987), eq. 4-18 to 4-20.
    """
    squared = FLATTENING * (2 - FLATTENING)
    inner = 1 - squared * np.sin(latitude) ** 2
    return SEMI_MAJOR**2 * (1 - squared) * np.cos(latitude) / inner**2
