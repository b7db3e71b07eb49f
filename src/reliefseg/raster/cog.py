"""Rasters as cloud-optimised GeoTIFFs (COG): any part, at any scale, is read without the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as xml

import numpy as np
import rasterio
from rasterio.io import DatasetWriter
from rasterio.shutil import copy

from reliefseg.raster.classes import IGNORE_INDEX, ClassTable
from reliefseg.raster.files import whole_file, write_text
from reliefseg.raster.grid import Grid
from reliefseg.raster.opening import GDAL_OPTIONS, quiet_georeferencing
from reliefseg.raster.writers import created, read_back

TILE = 512
"""Side of a tile of a COG, pixels."""
COG_OPTIONS = {
    "driver": "COG", "blocksize": TILE, "compress": "deflate", "bigtiff": "if_safer", "num_threads": "all_cpus"
}  # fmt: skip
"""All cores write the same bytes as one."""


@contextmanager
def new_cog(path: Path, grid: Grid, *, bands: int, overviews: Literal["mode", "average"]) -> Iterator[DatasetWriter]:
    """An empty raster of uint8 with nodata 255 to write windows to; a COG under its name when the block ends well.

    Overviews, halved until a tile holds all, have the most frequent value of the pixels they stand for, or
    their mean. A COG can only be copied, so a plain GeoTIFF lies beside it for as long as it is written.
    """
    with whole_file(path) as part:
        plain = part.with_suffix(".plain.tif")
        try:
            kind, nodata = np.dtype(np.uint8), IGNORE_INDEX
            with rasterio.Env(**GDAL_OPTIONS):
                # By band: from blocks of all bands GDAL makes overviews in a time that grows with the bands squared.
                fast = created(plain, grid, bands=bands, dtype=kind, nodata=nodata, interleave="band", level=1)
                with closing(fast) as dataset:
                    yield dataset
                with quiet_georeferencing():
                    copy(plain, part, overviews="ignore_existing", overview_resampling=overviews, **COG_OPTIONS)
                read_back(part)
        finally:
            plain.unlink(missing_ok=True)


@contextmanager
def new_class_cog(path: Path, grid: Grid, classes: ClassTable) -> Iterator[DatasetWriter]:
    """An empty class map as `new_cog`, with the classes' colours, and their names in `PATH.aux.xml` for GDAL."""
    with new_cog(path, grid, bands=1, overviews="mode") as dataset:
        _describe(dataset, classes)
        yield dataset
    write_text(path.with_name(f"{path.name}.aux.xml"), category_names(classes))


def _describe(dataset: DatasetWriter, classes: ClassTable) -> None:
    """The classes' colours, and their names as tags `class_0`, `class_1`, …"""
    table = {index: (*color, 255) for index, color in enumerate(classes.colors)}
    dataset.write_colormap(1, table | {IGNORE_INDEX: (0, 0, 0, 0)})
    dataset.update_tags(**{f"class_{index}": name for index, name in enumerate(classes.names)})


def category_names(classes: ClassTable) -> str:
    """What GDAL reads a band's category names from. Source: GDAL, Persistent Auxiliary Metadata."""
    root = xml.Element("PAMDataset")
    band = xml.SubElement(root, "PAMRasterBand", band="1")
    names = xml.SubElement(band, "CategoryNames")
    for name in classes.names:
        xml.SubElement(names, "Category").text = name
    xml.indent(root)
    return xml.tostring(root, encoding="unicode") + "\n"
