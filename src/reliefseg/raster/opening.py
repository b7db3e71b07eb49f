"""How raster files are opened: one handle a read, quiet about missing georeferencing, strict about damage."""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from jaxtyping import Bool, Shaped, UInt8
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from reliefseg.errors import InputError, first_line
from reliefseg.raster.grid import Grid, Window

GDAL_OPTIONS = {"GDAL_ERROR_ON_LIBJPEG_WARNING": "YES"}
"""A JPEG that ends early is an error, not grey pixels."""
os.environ.setdefault("GDAL_CACHEMAX", "256")
"""At most 256 MB of decoded blocks in a process, unless the environment says otherwise. Not an option for rasterio: it
takes the number for bytes, and sets it anew, for all threads, wherever one opens a file."""

SIDE_FILES = (".aux.xml", ".ovr")
"""Written beside a raster by viewers; what they say of nodata is in the header."""
_FILTERS = threading.Lock()  # the warning filters belong to the whole process


class Header(NamedTuple):
    """What a raster file says before a pixel is read; `band_count` contains the alpha bands."""

    grid: Grid
    band_count: int
    alpha_count: int
    has_palette: bool
    dtypes: tuple[str, ...]

    @property
    def dtype(self) -> np.dtype:
        """The type that holds the values of all bands."""
        return np.result_type(*self.dtypes)


def is_data(name: str) -> bool:
    """Whether a file is more than what a look in QGIS leaves beside a raster."""
    return not name.lower().endswith(SIDE_FILES)


@contextmanager
def quiet_georeferencing() -> Iterator[None]:
    """Opens files without rasterio's warning that they are not georeferenced: most PNGs are not."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def opened(path: Path) -> Iterator[DatasetReader]:
    """A raster file open for one read, in the calling thread alone.

    Missing, unreadable and truncated files are an `InputError`, also where the damage shows inside the block. URLs and
    GDAL's virtual file systems are read as GDAL reads them. Opened again inside the block, the file shares what GDAL
    has decoded of it.
    """
    if not is_remote(path) and not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        with rasterio.Env(**GDAL_OPTIONS):
            with quiet_georeferencing():
                dataset = rasterio.open(gdal_name(path), sharing=True)
            with dataset:
                if dataset.driver == "PNG" and not is_remote(path):
                    _refuse_cut_png(Path(path))
                yield dataset
    except RasterioError as error:
        raise InputError(
            f"{path}: cannot be read ({first_line(error.__cause__ or error)}); is it truncated or of another format?"
        ) from error


def is_remote(path: Path) -> bool:
    """Whether a path stands for a URL (`https://…`, `s3://…`) or a place in a virtual file system (`/vsis3/…`)."""
    return re.match(r"/vsi|[a-z][a-z0-9+]*:/", Path(path).as_posix()) is not None


def gdal_name(path: Path) -> str:
    """A path as GDAL wants it: `Path` makes one slash of a URL's two."""
    return re.sub(r"^((?:/vsi\w+/)?[a-z][a-z0-9+]*:)/+", r"\1//", Path(path).as_posix())


def read_header(path: Path, stated_gsd: float | None = None) -> Header:
    """Size, georeferencing, bands and type of a raster file; `InputError` where it cannot be opened."""
    with opened(path) as dataset:
        grid = Grid(dataset.height, dataset.width, dataset.transform, dataset.crs, stated_gsd)
        if dataset.count == 0:
            raise InputError(f"{path}: holds no raster bands of its own; name one of the rasters inside it")
        alpha = sum(c is ColorInterp.alpha for c in dataset.colorinterp)
        return Header(grid, dataset.count, alpha, has_palette(dataset), dataset.dtypes)


def has_palette(dataset: DatasetReader) -> bool:
    """Whether the pixels are numbers of colours in a table; alpha bands may follow (gdalwarp -dstalpha)."""
    first, *others = dataset.colorinterp
    return first is ColorInterp.palette and all(c is ColorInterp.alpha for c in others)


def read_palette(dataset: DatasetReader) -> UInt8[np.ndarray, "entries 4"]:
    """The colour table as red, green, blue, alpha; numbers it does not name are black and opaque."""
    entries = dataset.colormap(1)
    table = np.zeros((max(256, max(entries) + 1), 4), np.uint8)
    table[:, 3] = 255
    for number, color in entries.items():
        table[number] = color
    return table


def inside(window: Window | None, grid: Grid) -> Window:
    """The window, all of the grid for None; a `ValueError` where it reaches over the edge: clip it first."""
    if window is None:
        return grid.window
    if window.clipped(grid.height, grid.width) != window:
        raise ValueError(f"{window} reaches over the edge of a scene of {grid.height} × {grid.width} px")
    return window


def measured(
    dataset: DatasetReader,
    window: Window,
    indexes: tuple[int, ...],
    data: Shaped[np.ndarray, "bands height width"],
) -> Bool[np.ndarray, "height width"]:
    """Where `data`, just read from the bands `indexes`, was measured: no nodata, not masked, not transparent.

    Unsigned integers: a pixel is nodata where all bands are (0 in one band of a shadow is a measurement).
    Other types: where any band is nodata or not finite. Masks inside or beside the file count; alpha counts
    from 1, that of a palette's colours too.
    """
    absent = [_is_nodata(band, dataset.nodatavals[i - 1]) for band, i in zip(data, indexes, strict=True)]
    combine = np.logical_and if data.dtype.kind in "ub" else np.logical_or
    valid = ~combine.reduce(absent)
    alphas = [i for i, c in enumerate(dataset.colorinterp, 1) if c is ColorInterp.alpha and i not in indexes]
    for i in alphas:
        valid &= dataset.read(i, window=window.to_rasterio()) > 0
    flags = dataset.mask_flag_enums[indexes[0] - 1]
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
        valid &= dataset.read_masks(indexes[0], window=window.to_rasterio()) > 0
    if transparent := _transparent(dataset):
        valid &= ~np.isin(data[0], transparent)
    return valid


def never_absent(dataset: DatasetReader, indexes: tuple[int, ...]) -> bool:
    """Whether the header alone says that every pixel was measured, so that none need be read to know."""
    plain = all(dataset.mask_flag_enums[i - 1] == [MaskFlags.all_valid] for i in indexes)
    no_alpha = all(c is not ColorInterp.alpha for i, c in enumerate(dataset.colorinterp, 1) if i not in indexes)
    return plain and no_alpha and not _transparent(dataset) and all(np.dtype(d).kind in "uib" for d in dataset.dtypes)


def _transparent(dataset: DatasetReader) -> list[int]:
    """The numbers of a palette's transparent colours."""
    if not has_palette(dataset):
        return []
    return [number for number, color in dataset.colormap(1).items() if color[3] == 0]


def _is_nodata(band: Shaped[np.ndarray, "height width"], nodata: float | None) -> Bool[np.ndarray, "height width"]:
    absent = ~np.isfinite(band) if band.dtype.kind == "f" else np.zeros(band.shape, bool)
    return absent if nodata is None else absent | (band == nodata)


def _refuse_cut_png(path: Path) -> None:
    """GDAL reads a PNG that ends early as zeros without a word, so its chunks are followed to the last."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and file.tell() + int.from_bytes(head[:4]) + 4 <= size:
            if head[4:] == b"IEND":
                return
            file.seek(int.from_bytes(head[:4]) + 4, 1)
    raise InputError(f"{path}: the file ends early, it is truncated; copy it again from where it came from")
