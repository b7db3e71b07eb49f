"""The cache of depth rasters: `depth/<source>/<scene>-<key>.tif` on the scene's grid, with its provenance."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt16

from reliefseg.depth.source import Block, DepthSource, Making
from reliefseg.errors import InputError
from reliefseg.raster import Grid, Scene, Window, coincide
from reliefseg.raster.disk import explained_writing
from reliefseg.raster.fingerprints import fingerprint
from reliefseg.raster.opening import opened
from reliefseg.raster.writers import new_raster

FORMAT = 1
"""Counted up when the same key would no longer mean the same raster, but for rounding."""
NODATA = 65535
UNIT = 65534
"""Depth 1 as it is stored; the raster's own scale, 1 / 65534, makes viewers show [0, 1]."""


def raster_tags(source: DepthSource, scene: Scene) -> dict[str, str]:
    """Provenance for the raster's tags. Equal `depth_key`: made from the same content by the same recipe."""
    image = fingerprint(source.files(scene))
    recipe = json.dumps(dict(source.recipe), sort_keys=True)
    parts = [FORMAT, source.name, recipe, image, scene.bands, _meaning(scene)]
    return {
        "depth_key": hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        "depth_source": source.name,
        "depth_recipe": recipe,
        "depth_input_sha256": image,
        "reliefseg_version": _version(),
        **source.tags,
    }


def raster_path(cache: Path, scene: Scene, tags: dict[str, str]) -> Path:
    """Where a scene's depth of this provenance lies; made from anything else it lies elsewhere."""
    return Path(cache) / "depth" / tags["depth_source"] / f"{scene.name}-{tags['depth_key'][:12]}.tif"


def is_fresh(path: Path, key: str, grid: Grid) -> bool:
    """Whether a whole raster made from just this key lies there; its last block is read, a cut file has none."""
    if not path.is_file():
        return False
    try:
        with opened(path) as dataset:
            there = Grid(dataset.height, dataset.width, dataset.transform, dataset.crs)
            if dataset.tags().get("depth_key") != key or not coincide(there, grid):
                return False
            dataset.read(1, window=Window(grid.height - 1, 0, 1, grid.width).to_rasterio())
    except InputError:
        return False
    return True


def write_depth(path: Path, grid: Grid, making: Making, tags: dict[str, str]) -> None:
    """Writes depth block by block, whole or not at all: uint16, nodata 65535 where it is nan."""
    with new_raster(path, grid, bands=1, dtype=np.dtype(np.uint16), nodata=NODATA) as dataset:
        dataset.scales = (1 / UNIT,)
        dataset.set_band_description(1, "depth")
        dataset.update_tags(**tags, **making.tags)
        for block in making.blocks:
            with explained_writing(path.parent):
                dataset.write(_stored(block), 1, window=block.window.to_rasterio())


def read_depth(path: Path, window: Window | None = None) -> Float32[np.ndarray, "height width"]:
    """Depth in [0, 1] of a window (None: all) of a raster from the cache, nan where there is none.

    A raster that is missing, damaged or not one of ours is an `InputError`; a window over the edge a `ValueError`.
    """
    with opened(path) as dataset:
        if dataset.dtypes != ("uint16",) or dataset.nodata != NODATA or "depth_key" not in dataset.tags():
            raise InputError(f"{path}: no depth raster of reliefseg; delete it, it will be made anew")
        scene = Window(0, 0, dataset.height, dataset.width)
        window = scene if window is None else window
        if window.clipped(scene.height, scene.width) != window:
            raise ValueError(f"{window} reaches over the edge of {scene.height} × {scene.width} px")
        stored = dataset.read(1, window=window.to_rasterio())
    return np.where(stored == NODATA, np.float32(np.nan), stored.astype(np.float32) / np.float32(UNIT))


def _stored(block: Block) -> UInt16[np.ndarray, "height width"]:
    known = np.isfinite(block.depth)
    units = np.rint(np.where(known, block.depth, 0).astype(np.float64) * UNIT)
    return np.where(known, units, NODATA).astype(np.uint16)


def _meaning(scene: Scene) -> str:
    """What the data set says of the scene that changes depth without changing a file: kind of heights, and gsd."""
    return f"{scene.files.heights_are} {scene.grid.gsd}"


def _version() -> str:
    try:
        return version("reliefseg")
    except PackageNotFoundError:
        return "unknown"
