"""A scene looked at pixel by pixel, strip by strip, so that memory stays bounded whatever its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from reliefseg.errors import InputError
from reliefseg.raster.classes import IGNORE_INDEX
from reliefseg.raster.grid import Grid, Window, coincide
from reliefseg.raster.labels import Reading, label_fault, read_label_raster
from reliefseg.raster.opening import measured, opened, read_header
from reliefseg.raster.polygons import burn_polygons, is_polygons, polygon_fault, unknown_values
from reliefseg.raster.scene import Scene, image_indexes

STRIP_PIXELS = 2**22
"""A strip has about so many pixels at most (labels take some 30 bytes a pixel while they are looked up)."""
STRIP_BYTES = 2**26
"""A strip of an image has about so many bytes at most."""
NODATA_VALUES = (-9999, -32768, -99999)
"""What files hold where nothing was measured; so does every value of a magnitude above `NODATA_BEYOND`."""
NODATA_BEYOND = 1e30
SMOOTHED = 40
"""More colours of no class than this are no forgotten classes but blends or noise of compression."""


@dataclass
class Inspection:
    """What all pixels of a scene say; filled strip by strip.

    `low` and `high` are each band's least and greatest value among the `valid_px` valid pixels, None while
    there are none. `class_px` counts the labels of each class, None without labels that can be read.
    `labelled_windows` says of each window asked about whether it holds a labelled pixel. `undeclared` are values of
    images and heights that count as measured, though they usually mean nodata.
    """

    faults: list[str]
    valid_px: int = 0
    low: Shaped[np.ndarray, " bands"] | None = None
    high: Shaped[np.ndarray, " bands"] | None = None
    class_px: Int64[np.ndarray, " classes"] | None = None
    unknown: Counter[str] = field(default_factory=Counter)
    labelled_windows: Bool[np.ndarray, " windows"] | None = None
    has_measured_heights: bool = True
    undeclared: list[tuple[Path, float]] = field(default_factory=list)
    is_image_whole: bool = True


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


def _inspect_image_and_labels(scene: Scene, windows: list[Window], found: Inspection) -> None:
    usable = _labels_usable(scene)
    if scene.labels is not None and not usable and not is_polygons(scene.labels):
        found.faults += [f"scene {scene.name}: labels {offence}" for offence in damage(scene.labels)]
    if usable:
        found.class_px = np.zeros(len(scene.classes), np.int64)
        found.labelled_windows = np.zeros(len(windows), bool)
    for strip, valid in _read_image(scene, found):
        if usable:
            usable = _count_labels(scene, strip, valid, windows, found)
    if found.low is not None and found.high is not None:
        found.undeclared += _undeclared(scene.image, [*found.low.tolist(), *found.high.tolist()])
    if found.unknown:
        found.faults.append(_unknown_message(scene, found.unknown))


def _read_image(scene: Scene, found: Inspection) -> Iterator[tuple[Window, Bool[np.ndarray, "height width"]]]:
    """Each strip and where it is valid; strips behind a damage count as valid, so that labels are still seen."""
    left = strips(scene.grid, len(scene.bands) * scene.dtype.itemsize)[::-1]
    try:
        with opened(scene.image) as dataset:
            indexes = image_indexes(dataset, len(scene.bands))
            while left:
                data = dataset.read(list(indexes), window=left[-1].to_rasterio())
                valid = measured(dataset, left[-1], indexes, data)
                _widen(found, data[:, valid])
                yield left.pop(), valid
    except InputError as error:
        found.is_image_whole = False
        found.faults += [f"scene {scene.name}: image {offence}" for offence in error.offences]
    for strip in reversed(left):
        yield strip, np.ones((strip.height, strip.width), bool)


def _widen(found: Inspection, values: Shaped[np.ndarray, "bands pixels"]) -> None:
    """Takes more pixels into the number of valid ones and into each band's least and greatest value."""
    if values.shape[1] == 0:
        return
    low, high = values.min(axis=1), values.max(axis=1)
    found.valid_px += values.shape[1]
    found.low = low if found.low is None else np.minimum(found.low, low)
    found.high = high if found.high is None else np.maximum(found.high, high)


def _count_labels(
    scene: Scene, strip: Window, valid: Bool[np.ndarray, "height width"], windows: list[Window], found: Inspection
) -> bool:
    """Takes a strip's labels into the counts; False where the file is damaged: there is no use in going on."""
    assert found.class_px is not None
    assert found.labelled_windows is not None
    try:
        reading = _read_labels(scene, strip)
    except InputError as error:
        found.faults += [f"scene {scene.name}: labels {offence}" for offence in error.offences]
        found.class_px = None
        return False
    labels = np.where(valid, reading.labels, np.uint8(IGNORE_INDEX))
    found.class_px += np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1)[: len(scene.classes)]
    found.unknown += reading.unknown
    for number, window in enumerate(windows):
        if window.row < strip.row + strip.height and window.row + window.height > strip.row:
            seen = labels[window.shifted(-strip.row, 0).clipped(strip.height, strip.width).slices]
            found.labelled_windows[number] |= bool((seen != IGNORE_INDEX).any())
    return True


def _read_labels(scene: Scene, strip: Window) -> Reading:
    """A strip of labels; polygons of no class are counted with the first strip, for they may span several."""
    assert scene.labels is not None
    if not is_polygons(scene.labels):
        return read_label_raster(scene.labels, strip, scene.classes)
    column, background = scene.files.class_column or "", scene.files.unlabelled_is
    labels = burn_polygons(scene.labels, scene.grid, strip, scene.classes, column, background).labels
    unknown = Counter() if strip.row else unknown_values(scene.labels, scene.grid, scene.classes, column)
    return Reading(labels, unknown)


def _unknown_message(scene: Scene, unknown: Counter[str]) -> str:
    message = scene.unknown_labels_message(unknown)
    if len(unknown) <= SMOOTHED or not all(value.startswith("#") for value in unknown):
        return message
    return (
        f"{message} {len(unknown):,} different colours are blends, not classes: save the labels again without "
        "smoothing (anti-aliasing, resampling other than nearest) and without loss (PNG or GeoTIFF)"
    )


def _inspect_heights(scene: Scene, found: Inspection) -> None:
    """Reads heights and ground to their end; notes whether heights were measured anywhere and undeclared nodata."""
    for role, path in (("heights", scene.heights), ("ground", scene.ground)):
        if path is None or not path.is_file():
            continue
        try:
            extremes = _extremes(path)
        except InputError as error:
            found.faults += [f"scene {scene.name}: {role} {offence}" for offence in error.offences]
            continue
        if _on_grid(path, scene.grid):
            found.has_measured_heights &= bool(extremes)
            found.undeclared += _undeclared(path, extremes)


def _extremes(path: Path) -> list[float]:
    """The least and the greatest measured value of a file's first band, as stored; empty where there is none."""
    extremes: list[float] = []
    with opened(path) as dataset:
        for window in strips(Grid(dataset.height, dataset.width), 16):
            data = dataset.read([1], window=window.to_rasterio())
            values = data[0][measured(dataset, window, (1,), data)]
            extremes += [values.min().item(), values.max().item()] if values.size else []
    return [min(extremes), max(extremes)] if extremes else []


def _undeclared(path: Path, values: list[float]) -> list[tuple[Path, float]]:
    """Those of a file's extreme values that usually mean nodata, each once."""
    return [(path, v) for v in dict.fromkeys(values) if v in NODATA_VALUES or abs(v) > NODATA_BEYOND]


def _labels_usable(scene: Scene) -> bool:
    """Whether there are labels whose header shows no fault, so that they can be read."""
    if scene.labels is None:
        return False
    try:
        if is_polygons(scene.labels):
            return polygon_fault(scene.labels, scene.grid, scene.files.class_column) is None
        return _on_grid(scene.labels, scene.grid) and label_fault(read_header(scene.labels), scene.classes) is None
    except InputError:
        return False  # told by survey_dataset


def _on_grid(path: Path, grid: Grid) -> bool:
    try:
        return coincide(grid, read_header(path).grid)
    except InputError:
        return False
