"""A scene: one orthophoto file and what belongs to it, read by windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import atan2, degrees, hypot
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from reliefseg.errors import InputError
from reliefseg.raster.classes import IGNORE_INDEX, ClassTable
from reliefseg.raster.grid import Grid, Window, coincide
from reliefseg.raster.heights import HeightsAre, above_ground
from reliefseg.raster.labels import (
    Reading,
    label_fault,
    list_counts,
    read_label_raster,
    unknown_values_message,
)
from reliefseg.raster.opening import (
    Header,
    has_palette,
    inside,
    measured,
    never_absent,
    opened,
    read_header,
    read_palette,
)
from reliefseg.raster.polygons import burn_polygons, is_polygons, polygon_fault


@dataclass(frozen=True)
class SceneFiles:
    """Where a scene's files lie and how its labels and heights are meant."""

    image: Path
    labels: Path | None = None
    heights: Path | None = None
    ground: Path | None = None
    heights_are: HeightsAre = "dsm"
    class_column: str | None = None
    unlabelled_is: str | None = None


@dataclass(frozen=True)
class Scene:
    """One orthophoto and what belongs to it; files are opened to read only, so scenes are free to share.

    `dtype` is the image file's. A window is given in pixels of the scene and must lie inside it
    (`ValueError`); None means all of it. Reads may come from any thread. A damaged file is an `InputError`.
    """

    name: str
    files: SceneFiles
    grid: Grid
    bands: tuple[str, ...]
    dtype: np.dtype
    classes: ClassTable

    @property
    def image(self) -> Path:
        """The orthophoto."""
        return self.files.image

    @property
    def labels(self) -> Path | None:
        """The label file: colours, ids or polygons."""
        return self.files.labels

    @property
    def heights(self) -> Path | None:
        """The surface model, absolute or above ground."""
        return self.files.heights

    @property
    def ground(self) -> Path | None:
        """The terrain model that makes an absolute surface model one above ground."""
        return self.files.ground

    @property
    def has_labels(self) -> bool:
        """Whether there is a label file; it may leave parts unlabelled."""
        return self.files.labels is not None

    @property
    def has_heights(self) -> bool:
        """Whether there is a surface model."""
        return self.files.heights is not None

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Windows of the image and the heights are read from files opened once, in the calling thread.

        Else a strip is decoded for every window that touches it, and a PNG from its top.
        """
        with ExitStack() as files:
            for path in filter(None, (self.image, self.heights, self.ground)):
                files.enter_context(opened(path))
            yield

    def read_bands(self, window: Window | None = None) -> Shaped[np.ndarray, "bands height width"]:
        """Image bands as the file holds them, in the data set's order, without alpha."""
        window = inside(window, self.grid)
        with opened(self.image) as dataset:
            return _read_image(dataset, window, len(self.bands))

    def read_valid(self, window: Window | None = None) -> Bool[np.ndarray, "height width"]:
        """Where the image was measured: False at nodata, outside a mask of the file, and where alpha is 0.

        In unsigned integer files nodata means all bands, in others any band (also nan and infinity).
        """
        window = inside(window, self.grid)
        with opened(self.image) as dataset:
            indexes = image_indexes(dataset, len(self.bands))
            if never_absent(dataset, indexes):
                return np.ones((window.height, window.width), bool)
            data = dataset.read(list(indexes), window=window.to_rasterio())
            return measured(dataset, window, indexes, data)

    def read(
        self, window: Window | None = None
    ) -> tuple[Shaped[np.ndarray, "bands height width"], Bool[np.ndarray, "height width"]]:
        """As `read_bands` and `read_valid`, the file being opened and decoded once."""
        with opened(self.image) as dataset:
            return read_measured(dataset, inside(window, self.grid), len(self.bands))

    def read_labels(self, window: Window | None = None) -> UInt8[np.ndarray, "height width"]:
        """Class indexes 0 … n−1; IGNORE_INDEX where ignored, unlabelled or not valid.

        Colours, ids or polygon values of no class are an `InputError` with their counts.
        """
        reading = self.inspect_labels(window)
        if reading.unknown:
            raise InputError(self.unknown_labels_message(reading.unknown))
        return reading.labels

    def inspect_labels(self, window: Window | None = None) -> Reading:
        """As `read_labels`, but unknown colours, ids or polygon values are ignored and counted."""
        window = inside(window, self.grid)
        if self.labels is None:
            raise InputError(f"scene {self.name}: has no labels; name a file in [files] labels or [scenes.{self.name}]")
        if is_polygons(self.labels):
            column = self.files.class_column or ""
            reading = burn_polygons(self.labels, self.grid, window, self.classes, column, self.files.unlabelled_is)
        else:
            reading = read_label_raster(self.labels, window, self.classes)
        labels = np.where(self.read_valid(window), reading.labels, np.uint8(IGNORE_INDEX))
        return Reading(labels, reading.unknown)

    def unknown_labels_message(self, unknown: Counter[str]) -> str:
        """One offence line for what `inspect_labels` counted as unknown."""
        assert self.labels is not None
        if is_polygons(self.labels):
            names = ", ".join(self.classes.names)
            return (
                f"scene {self.name}: {sum(unknown.values()):,} polygons of {self.labels} are of no class: "
                f"{list_counts(unknown)} in column {self.files.class_column!r}. Known: {names}"
            )
        return f"scene {self.name}: {unknown_values_message(unknown, self.classes, self.labels)}"

    def read_heights(self, window: Window | None = None) -> Float32[np.ndarray, "height width"]:
        """Metres above ground, nan where not measured; without a `ground` raster the terrain is estimated."""
        window = inside(window, self.grid)
        if self.heights is None:
            raise InputError(f"scene {self.name}: has no heights; name a file in [files] heights")
        return above_ground(self.heights, self.ground, self.files.heights_are, self.grid, window)


def open_scene(image: Path, *, bands: tuple[str, ...], classes: ClassTable, stated_gsd: float | None = None) -> Scene:
    """A scene outside any data set, named after its file, without labels or heights; reads the header only."""
    scene, faults = survey_scene(Path(image).stem, SceneFiles(Path(image)), bands, classes, stated_gsd)
    if scene is None or faults:
        raise InputError(faults)
    return scene


def survey_scene(
    name: str, files: SceneFiles, bands: tuple[str, ...], classes: ClassTable, stated_gsd: float | None
) -> tuple[Scene | None, list[str]]:
    """The scene, None where its image is no use, and every fault that the headers of its files show."""
    try:
        header = read_header(files.image, stated_gsd)
    except InputError as error:
        return None, [f"scene {name}: image {offence}" for offence in error.offences]
    faults = _image_faults(header, bands) + _companion_faults(files, header.grid, classes)
    scene = Scene(name, files, header.grid, bands, header.dtype, classes)
    usable = not _image_faults(header, bands)
    return scene if usable else None, [f"scene {name}: {fault}" for fault in faults]


def image_indexes(dataset: DatasetReader, bands: int) -> tuple[int, ...]:
    """The file's band numbers that make up the image: all where the count fits, else all but alpha."""
    if dataset.count == bands:
        return tuple(range(1, dataset.count + 1))
    return tuple(i for i, c in enumerate(dataset.colorinterp, 1) if c is not ColorInterp.alpha)


def read_measured(
    dataset: DatasetReader, window: Window, bands: int
) -> tuple[Shaped[np.ndarray, "bands height width"], Bool[np.ndarray, "height width"]]:
    """As `Scene.read_bands` and `Scene.read_valid` in one pass over an open file."""
    indexes = image_indexes(dataset, bands)
    data = dataset.read(list(indexes), window=window.to_rasterio())
    if never_absent(dataset, indexes):
        valid = np.ones((window.height, window.width), bool)
    else:
        valid = measured(dataset, window, indexes, data)
    return _in_colour(dataset, data, bands), valid


def _read_image(dataset: DatasetReader, window: Window, bands: int) -> Shaped[np.ndarray, "bands height width"]:
    data = dataset.read(list(image_indexes(dataset, bands)), window=window.to_rasterio())
    return _in_colour(dataset, data, bands)


def _in_colour(
    dataset: DatasetReader, data: Shaped[np.ndarray, "stored height width"], bands: int
) -> Shaped[np.ndarray, "bands height width"]:
    if has_palette(dataset) and bands == 3:
        return np.moveaxis(read_palette(dataset)[data[0], :3], -1, 0)
    return data


def _image_faults(header: Header, bands: tuple[str, ...]) -> list[str]:
    if header.dtype.kind not in "uif":
        return [f"the image holds {header.dtype} values; expected integers or floating-point numbers"]
    if len(kinds := dict.fromkeys(header.dtypes)) > 1:
        return [f"its bands are of different types ({', '.join(kinds)}); bring them to one (gdal_translate -ot)"]
    counts = (3,) if header.has_palette else (header.band_count - header.alpha_count, header.band_count)
    if len(bands) in counts:
        return []
    note = " (without alpha)" if header.alpha_count else " (of its palette)" if header.has_palette else ""
    expected = f"{len(bands)} ({', '.join(bands)})"
    mend = "correct the file, or `bands` of the data set"
    return [f"the image has {counts[0]} bands{note}, expected are {expected}; {mend}"]


def _companion_faults(files: SceneFiles, grid: Grid, classes: ClassTable) -> list[str]:
    faults = []
    for role, path in (("labels", files.labels), ("heights", files.heights), ("ground", files.ground)):
        if path is None:
            continue
        try:
            fault = _companion_fault(role, path, grid, files, classes)
        except InputError as error:
            faults += [f"{role} {offence}" for offence in error.offences]
        else:
            faults += [] if fault is None else [f"{role} {path} {fault}"]
    return faults


def _companion_fault(role: str, path: Path, grid: Grid, files: SceneFiles, classes: ClassTable) -> str | None:
    if role == "labels" and is_polygons(path):
        return polygon_fault(path, grid, files.class_column)
    header = read_header(path)
    if not coincide(grid, header.grid):
        return _grid_fault(grid, header.grid)
    if role == "labels":
        return label_fault(header, classes)
    return None if header.band_count == 1 else f"has {header.band_count} bands; expected one, metres"


def _grid_fault(image: Grid, other: Grid) -> str:
    if (image.height, image.width) != (other.height, other.width):
        sizes = f"{other.height} × {other.width} px, the image {image.height} × {image.width}"
        return f"has {sizes} (height × width); cut or resample it to the image's pixels"
    if image.crs != other.crs:
        return f"lies in {_crs_name(other)}, the image in {_crs_name(image)}; reproject it onto the image's grid"
    origins = f"its top-left corner lies at {_origin(other)}, the image's at {_origin(image)}"
    return f"lies on another grid: {origins}; warp it onto the image's grid (gdalwarp -te … -tr …)"


def _crs_name(grid: Grid) -> str:
    return "no CRS" if grid.crs is None else grid.crs.to_string()


def _origin(grid: Grid) -> str:
    t = grid.transform
    turned = f", rotated by {degrees(atan2(t.d, t.a)):.6g}°" if t.b or t.d else ", south-up" if t.e > 0 else ""
    sides = f"{hypot(t.a, t.d):.6g} × {hypot(t.b, t.e):.6g}"
    return f"x {t.c:.10g}, y {t.f:.10g} with pixels of {sides}{turned}"
