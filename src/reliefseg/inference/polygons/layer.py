"""A class map in blocks written as a GeoPackage of polygons."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import shapely
from affine import Affine
from jaxtyping import Float64, Int32, Int64, Shaped

from reliefseg.inference.blocks import UNIT, Block
from reliefseg.inference.polygons.arcs import Arcs, all_arcs, stitch, trace
from reliefseg.inference.polygons.merging import Regions, join_regions
from reliefseg.inference.polygons.regions import OUTSIDE, Frontier, label_parts, survey_parts
from reliefseg.inference.polygons.rings import polygons
from reliefseg.inference.polygons.simplifying import TOLERANCE, simplified
from reliefseg.raster import ClassTable, Grid, Window, whole_file
from reliefseg.raster.ground_area import GroundArea

SMALLEST = 32
"""Regions of fewer pixels are merged into a neighbour."""
LAYER = "classes"


class Drawing(NamedTuple):
    """What there is to draw: the arcs between regions, and of each region its pixels, area (m²) and confidence.

    Areas and pixels are those before simplifying. Confidence is the mean probability of the region's class.
    """

    arcs: Arcs
    regions: Regions
    pixels: Int64[np.ndarray, " regions"]
    areas: Float64[np.ndarray, " regions"]
    confidence: Float64[np.ndarray, " regions"]


def write_polygons(
    path: Path, blocks: Iterable[Block], grid: Grid, classes: ClassTable, ground: GroundArea | None
) -> None:
    """Writes the regions of a class map as polygons that fit together: no gaps, no overlaps, no trace of blocks.

    Columns: class_id, class, pixels, area_m2 (left out where pixels have no known size), confidence (0 … 1).
    Without georeferencing x, y are columns and negative rows, as QGIS draws such images. Blocks are read twice.
    """
    drawing = draw(blocks, grid, ground)
    placed = grid.is_georeferenced or not grid.transform.is_identity
    transform = grid.transform if placed else Affine.scale(1, -1)
    done = 0
    with whole_file(path) as part, _pinned_date():
        for shapes in polygons(drawing.arcs, transform):
            some = slice(done, done + len(shapes))
            _write(part, shapely.to_wkb(shapes), _columns(drawing, some, classes, ground), grid, append=done > 0)
            done += len(shapes)
        if pyogrio.read_info(part, layer=LAYER, force_feature_count=True)["features"] != len(drawing.pixels):
            raise OSError("not all polygons are in the file")


def draw(
    blocks: Iterable[Block],
    grid: Grid,
    ground: GroundArea | None,
    smallest: int = SMALLEST,
    tolerance: float = TOLERANCE,
) -> Drawing:
    """Finds the regions of a class map, merges those below `smallest` pixels, and simplifies the borders."""
    parts = survey_parts(blocks, grid)
    regions = join_regions(parts, smallest)
    frontier = Frontier(grid.width, OUTSIDE, np.int32)
    sums = np.zeros((3, len(regions.class_ids)))
    whole, pieces, cuts = [], [], []
    for block, start in zip(blocks, parts.blocks, strict=True):
        local = label_parts(block.class_ids)
        own = regions.of_part[local + start]
        _add_sums(sums, local, own, block, regions, ground)
        arcs, cut = trace(_closed(frontier.framed(block.window, own), block.window, grid), *_corner(block.window))
        open_ = cut[:, 0] | cut[:, 1]
        whole.append(simplified(arcs.chosen(~open_), tolerance))
        pieces.append(arcs.chosen(open_))
        cuts.append(cut[open_])
    stitched = stitch(all_arcs(pieces), np.concatenate(cuts), grid.width)
    arcs = all_arcs([*whole, simplified(stitched, tolerance)])
    return Drawing(arcs, regions, sums[0].astype(np.int64), sums[1], sums[2] / sums[0] / UNIT)


def _corner(window: Window) -> tuple[int, int]:
    return window.row, window.col


def _closed(framed: Int32[np.ndarray, "_h _w"], window: Window, grid: Grid) -> Int32[np.ndarray, "_h2 _w2"]:
    """With a row and column of what is outside, where the block is the scene's last."""
    last = window.row + window.height == grid.height, window.col + window.width == grid.width
    return np.pad(framed, ((0, int(last[0])), (0, int(last[1]))), constant_values=OUTSIDE)


def _add_sums(
    sums: Float64[np.ndarray, "3 regions"],
    local: Int32[np.ndarray, "h w"],
    own: Int32[np.ndarray, "h w"],
    block: Block,
    regions: Regions,
    ground: GroundArea | None,
) -> None:
    """Adds a block's pixels, their area and their probability of the region's class to those of its regions."""
    valid = own != OUTSIDE
    part, region = local[valid], own[valid]
    probability = np.take_along_axis(block.probabilities[:, valid], regions.class_ids[region].astype(int)[None], 0)[0]
    areas = np.zeros(len(region)) if ground is None else ground.of_pixels(block.window)[valid]
    once, at = np.unique(part, return_index=True)
    found = np.stack([np.bincount(part, weights)[once] for weights in (None, areas, probability)])
    for total, more in zip(sums, found, strict=True):
        np.add.at(total, region[at], more)


def _columns(
    drawing: Drawing, some: slice, classes: ClassTable, ground: GroundArea | None
) -> dict[str, Shaped[np.ndarray, " polygons"]]:
    ids = drawing.regions.class_ids[some]
    areas = {} if ground is None else {"area_m2": drawing.areas[some].round(3)}
    return {
        "class_id": ids.astype(np.int32),
        "class": np.array(classes.names, object)[ids],
        "pixels": drawing.pixels[some],
        **areas,
        "confidence": drawing.confidence[some].round(4),
    }


def _write(part: Path, wkb: Any, columns: dict[str, Any], grid: Grid, *, append: bool) -> None:
    crs = None if grid.crs is None else grid.crs.to_wkt()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        pyogrio.raw.write(
            part, wkb, list(columns.values()), list(columns), layer=LAYER, driver="GPKG", geometry_type="Polygon",
            crs=crs, append=append, dataset_options={"VERSION": "1.2"},
        )  # fmt: skip


@contextmanager
def _pinned_date() -> Iterator[None]:
    """A GeoPackage holds the time of its last change; the same input is to give the same bytes."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
