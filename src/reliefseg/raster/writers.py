"""Rasters written whole or not at all, on a scene's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from jaxtyping import Shaped
from rasterio.io import DatasetWriter

from reliefseg.raster.disk import explained_writing
from reliefseg.raster.files import whole_file
from reliefseg.raster.grid import Grid
from reliefseg.raster.opening import GDAL_OPTIONS, quiet_georeferencing

BLOCK = 256
"""Side of a block in files we write, pixels."""


def created(
    path: Path,
    grid: Grid,
    *,
    bands: int,
    dtype: np.dtype,
    nodata: float | int | None = None,
    interleave: Literal["pixel", "band"] = "pixel",
    level: int = 6,
) -> DatasetWriter:
    """An empty tiled, deflated GeoTIFF on a grid, open to write windows to.

    Write each block (`BLOCK` pixels a side) once, else the file grows. A grid without georeferencing gives a
    plain GeoTIFF. Blocks hold one band or, by pixel, all. `level` is deflate's: 1 is up to
    six times as fast as 6, for files that are up to 1.4 times as large (class maps; uncertainty is as large).
    """
    dtype = np.dtype(dtype)
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": grid.height, "width": grid.width, "count": bands, "dtype": dtype.name,
        "nodata": nodata, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
        "compress": "deflate", "zlevel": level, "predictor": 3 if dtype.kind == "f" else 1,
        "BIGTIFF": "IF_SAFER", "interleave": interleave,
    }  # fmt: skip
    if grid.crs is not None or not grid.transform.is_identity:
        profile |= {"crs": grid.crs, "transform": grid.transform}
    with quiet_georeferencing():
        return rasterio.open(path, "w", **profile)


@contextmanager
def new_raster(
    path: Path, grid: Grid, *, bands: int, dtype: np.dtype, nodata: float | int | None = None
) -> Iterator[DatasetWriter]:
    """A GeoTIFF as `created`; it appears under its name when the block ends well.

    It is read back before: an `InputError` where the disk did not take all of it.
    """
    with (
        whole_file(path) as part,
        rasterio.Env(**GDAL_OPTIONS),
        closing(created(part, grid, bands=bands, dtype=dtype, nodata=nodata)) as dataset,
    ):
        yield dataset
        with explained_writing(path.parent):
            dataset.close()
            read_back(part)


def read_back(path: Path) -> None:
    """GDAL does not always say that the disk was full when it closed a file: reading tells, by an error."""
    with quiet_georeferencing():
        dataset = rasterio.open(path)
    with dataset:
        for _, window in dataset.block_windows(1):
            dataset.read(window=window)


def write_raster(
    path: Path,
    data: Shaped[np.ndarray, "bands height width"] | Shaped[np.ndarray, "height width"],
    grid: Grid,
    *,
    nodata: float | int | None = None,
    tags: Mapping[str, str] | None = None,
    descriptions: Sequence[str] = (),
) -> None:
    """Writes one band or several as a GeoTIFF on a grid, whole or not at all; `descriptions` names the bands.

    `InputError`: the disk is full or fails.
    """
    _refuse_other_size(data, grid)
    planes = data if data.ndim == 3 else data[None]
    new = new_raster(path, grid, bands=len(planes), dtype=planes.dtype, nodata=nodata)
    with explained_writing(path.parent), new as dataset:
        dataset.update_tags(**(tags or {}))
        for band, description in enumerate(descriptions, 1):
            dataset.set_band_description(band, description)
        dataset.write(planes)


def _refuse_other_size(data: Shaped[np.ndarray, "*shape"], grid: Grid) -> None:
    if data.shape[-2:] != (grid.height, grid.width):
        raise ValueError(f"data of {data.shape[-2:]} px do not fit a grid of {grid.height} × {grid.width} px")
