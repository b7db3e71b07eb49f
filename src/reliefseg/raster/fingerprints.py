"""What files hold, in short: fingerprints that notice every change that matters."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path

from rasterio.io import DatasetReader

from reliefseg.raster.files import hash_file
from reliefseg.raster.grid import Window
from reliefseg.raster.opening import is_data, is_remote, opened
from reliefseg.raster.polygons import is_polygons

GLIMPSE = 256
"""Side of the part of a remote file without overviews that stands for all of it, pixels."""


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 over rasters and files of polygons: the bytes of all they are made of, and how their headers are read.

    The parts of a VRT, world files and masks count; overviews and statistics that viewers write do not. Names and
    times of change do not count either. Of a remote file `glimpse` stands for the bytes. A file that is missing or
    cannot be opened is an `InputError`.
    """
    facts = [fact for path in paths for fact in _facts(Path(path))]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def glimpse(dataset: DatasetReader) -> str:
    """SHA-256 of what can be had cheaply of a remote raster: its smallest overview, or a part in its middle."""
    factors = dataset.overviews(1)
    if factors:
        height, width = (ceil(length / factors[-1]) for length in dataset.shape)
        pixels = dataset.read(out_shape=(dataset.count, height, width))
    else:
        row, col = ((length - GLIMPSE) // 2 for length in dataset.shape)
        middle = Window(row, col, GLIMPSE, GLIMPSE).clipped(*dataset.shape)
        pixels = dataset.read(window=middle.to_rasterio())
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def files_of(path: Path) -> list[Path]:
    """All files that a raster is made of, in order; also those of a VRT inside a VRT, which GDAL does not list."""
    with opened(path) as dataset:
        parts = _parts(dataset)
    return [*parts, *(file for part in parts if _is_inner_vrt(part, path) for file in files_of(part))]


def _parts(dataset: DatasetReader) -> list[Path]:
    return sorted(Path(part) for part in dataset.files)


def _is_inner_vrt(part: Path, path: Path) -> bool:
    return part.suffix.lower() == ".vrt" and part.resolve() != path.resolve()


def _facts(path: Path) -> Iterator[object]:
    if is_polygons(path):
        yield from _vector_facts(path)
        return
    with opened(path) as dataset:
        parts = _parts(dataset)
        crs = None if dataset.crs is None else dataset.crs.to_wkt()
        yield [dataset.height, dataset.width, list(dataset.transform), crs, list(dataset.dtypes)]
        yield [repr(dataset.nodatavals), repr(dataset.scales), repr(dataset.offsets)]
        yield [[c.name for c in dataset.colorinterp], repr(dataset.mask_flag_enums)]
        if is_remote(path):
            yield glimpse(dataset)
            return
    for part in parts:
        if part.resolve() == path.resolve() or _matters(part):
            yield hash_file(part)
        if _is_inner_vrt(part, path):
            yield from _facts(part)


def _vector_facts(path: Path) -> Iterator[str]:
    """A shapefile is three files and more."""
    beside = path.parent.glob(f"{glob.escape(path.stem)}.*") if path.suffix.lower() == ".shp" else ()
    parts = {part.suffix.lower(): part for part in sorted(beside)}
    yield from (hash_file(part) for part in (path, parts.get(".dbf"), parts.get(".prj")) if part and part.exists())


def _matters(part: Path) -> bool:
    return part.is_file() and is_data(part.name)
