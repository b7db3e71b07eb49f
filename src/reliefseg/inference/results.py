"""What a prediction leaves of a scene: rasters, polygons, a table of areas, and styles for QGIS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from rasterio.io import DatasetWriter

from reliefseg.errors import InputError
from reliefseg.inference.areas import AreaTally, write_areas
from reliefseg.inference.blocks import UNIT, Block
from reliefseg.inference.polygons.layer import write_polygons
from reliefseg.inference.styles import polygon_style, raster_style
from reliefseg.raster import ClassTable, Grid, write_text
from reliefseg.raster.cog import new_class_cog, new_cog
from reliefseg.raster.disk import explained_writing
from reliefseg.raster.ground_area import GroundArea, measure_ground

Validation = Sequence[Int64[np.ndarray, "classes classes"]]
"""One confusion matrix (rows true) for each validation scene."""


@dataclass(frozen=True)
class Wanted:
    """Which results to write beside `classes.tif`, `classes.qml` and `areas.csv`."""

    uncertainty: bool = True
    probabilities: bool = False
    polygons: bool = False

    def bytes_a_pixel(self, classes: int) -> int:
        """Of the rasters, not compressed."""
        return 1 + self.uncertainty + classes * self.probabilities


def write_results(
    blocks: Iterable[Block],
    grid: Grid,
    classes: ClassTable,
    folder: Path,
    wanted: Wanted = Wanted(),
    validation: Validation = (),
) -> dict[str, Path]:
    """Writes a scene's results into its folder and returns them by name; memory does not grow with the scene.

    `classes.tif` has class indexes, `uncertainty.tif` entropy and `probabilities.tif` a band a class, both in
    0 … 254 with the scale in the file; nodata is 255 in all. They are COGs on the scene's own grid. Blocks come
    row by row and cover the scene; polygons go through them twice more. Equal blocks give equal bytes.
    `InputError` where the files cannot be written.
    """
    ground = _ground(grid)
    tally = AreaTally(len(classes), ground)
    with explained_writing(folder):
        paths = _write_rasters(blocks, grid, classes, folder, wanted, tally)
        paths["style"] = folder / "classes.qml"
        write_text(paths["style"], raster_style(classes))
        paths["areas"] = folder / "areas.csv"
        write_areas(paths["areas"], classes, tally, validation)
        if wanted.polygons:
            paths["polygons"] = folder / "polygons.gpkg"
            write_polygons(paths["polygons"], blocks, grid, classes, ground)
            paths["polygon_style"] = folder / "polygons.qml"
            write_text(paths["polygon_style"], polygon_style(classes))
    return paths


def why_no_areas(grid: Grid) -> str | None:
    """Why areas in m² will be left empty; None where they are known."""
    try:
        measure_ground(grid)
    except InputError as error:
        return str(error)
    return None


def _ground(grid: Grid) -> GroundArea | None:
    return None if why_no_areas(grid) else measure_ground(grid)


def _write_rasters(
    blocks: Iterable[Block], grid: Grid, classes: ClassTable, folder: Path, wanted: Wanted, tally: AreaTally
) -> dict[str, Path]:
    names = ["classes", *(name for name in ("uncertainty", "probabilities") if getattr(wanted, name))]
    paths = {name: folder / f"{name}.tif" for name in names}
    covered = 0
    with ExitStack() as stack:
        maps = {name: stack.enter_context(_new(name, path, grid, classes)) for name, path in paths.items()}
        for block in blocks:
            _write_block(block, maps)
            tally.add(block)
            covered += block.class_ids.size
        if covered != grid.height * grid.width:
            raise ValueError(f"blocks have {covered:,} px, the scene {grid.height * grid.width:,}")
    return paths


@contextmanager
def _new(name: str, path: Path, grid: Grid, classes: ClassTable) -> Iterator[DatasetWriter]:
    """An empty raster for one of the results, with what it says about itself."""
    if name == "classes":
        with new_class_cog(path, grid, classes) as dataset:
            yield dataset
        return
    bands = classes.names if name == "probabilities" else ("uncertainty",)
    with new_cog(path, grid, bands=len(bands), overviews="average") as dataset:
        dataset.scales = [1 / UNIT] * len(bands)
        for number, band in enumerate(bands, 1):
            dataset.set_band_description(number, band)
        yield dataset


def _write_block(block: Block, maps: dict[str, DatasetWriter]) -> None:
    window = block.window.to_rasterio()
    maps["classes"].write(block.class_ids, 1, window=window)
    if "uncertainty" in maps:
        maps["uncertainty"].write(block.uncertainty, 1, window=window)
    if "probabilities" in maps:
        maps["probabilities"].write(block.probabilities, window=window)
