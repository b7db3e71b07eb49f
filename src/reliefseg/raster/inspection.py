"""A scene looked at pixel by pixel, strip by strip, so that memory stays bounded whatever its size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from reliefseg.errors import InputError
from reliefseg.raster.grid import Grid, Window, coincide
from reliefseg.raster.labels import label_fault
from reliefseg.raster.opening import opened, read_header
from reliefseg.raster.polygons import is_polygons, polygon_fault
from reliefseg.raster.scene import Scene

STRIP_PIXELS = 2**22
"""A strip has about so many pixels at most (labels take some 30 bytes a pixel while they are looked up)."""
STRIP_BYTES = 2**26
"""A strip of an image has about so many bytes at most."""
SMOOTHED = 40
"""More colours of no class than this are no forgotten classes but blends or noise of compression."""


@dataclass
class Inspection:
    """What all pixels of a scene say; filled strip by strip.

    `low` and `high` are each band's least and greatest value among the `valid_px` valid pixels, None while
    there are none. `class_px` counts the labels of each class, None without labels that can be read.
    `labelled_windows` says of each window asked about whether it holds a labelled pixel.
    """

    faults: list[str]
    valid_px: int = 0
    low: Shaped[np.ndarray, "bands"] | None = None
    high: Shaped[np.ndarray, "bands"] | None = None
    class_px: Int64[np.ndarray, "classes"] | None = None
    unknown: Counter[str] = field(default_factory=Counter)
    labelled_windows: Bool[np.ndarray, "windows"] | None = None
    has_measured_heights: bool = True


def strips(grid: Grid, bytes_a_pixel: int = 1) -> list[Window]:
    """A grid cut into windows of its whole width, a multiple of 256 rows high where that fits the bounds."""
    rows = min(STRIP_PIXELS, STRIP_BYTES // bytes_a_pixel) // grid.width
    step = max(1, rows - rows % 256 if rows >= 256 else rows)
    return [Window(row, 0, min(step, grid.height - row), grid.width) for row in range(0, grid.height, step)]


def inspect_scene(scene: Scene, windows: list[Window]) -> Inspection:
    """Reads every file of a scene to its end, each once; damage and values of no class become faults.

    `windows` are those whose tile labels are to be read off the labels. Files that do not lie on the scene's
    grid are read for damage only: `survey_dataset` has told the rest.
    """
    found = Inspection([])
    _inspect_image_and_labels(scene, windows, found)
    _inspect_heights(scene, found)
    return found


def damage(path: Path) -> list[str]:
    """The offences of reading a raster file to its end; none where it is whole."""
    try:
        with opened(path) as dataset:
            grid = Grid(dataset.height, dataset.width)
            for window in strips(grid, sum(np.dtype(d).itemsize for d in dataset.dtypes)):
                dataset.read(window=window.to_rasterio())
    except InputError as error:
        return error.offences
    return []


def labels_usable(scene: Scene) -> bool:
    """Whether the scene has labels whose header shows no fault, so that they can be read."""
    if scene.labels is None:
        return False
    if is_polygons(scene.labels):
        return _survives(lambda path: polygon_fault(path, scene.grid, scene.files.class_column) is None, scene.labels)
    return _on_grid(scene.labels, scene.grid) and label_fault(read_header(scene.labels), scene.classes) is None


def _survives(test, path: Path) -> bool:  # type: ignore[no-untyped-def]
    try:
        return bool(test(path))
    except InputError:
        return False


def _on_grid(path: Path, grid: Grid) -> bool:
    return _survives(lambda p: coincide(grid, read_header(p).grid), path)
