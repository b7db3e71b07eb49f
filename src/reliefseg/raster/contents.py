"""What rasters and polygons hold, as far as it can be told without being told: bands, classes, heights."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyogrio
from jaxtyping import Shaped
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from reliefseg.errors import InputError
from reliefseg.raster.grid import Grid, Window
from reliefseg.raster.heights import HeightsAre, read_metres
from reliefseg.raster.labels import list_label_values
from reliefseg.raster.opening import has_palette, opened, read_header
from reliefseg.raster.polygons import column_text, reading_polygons
from reliefseg.raster.tile_labels import WINDOW_COLUMNS, csv_rows

FEW = 40
"""Labels have fewer different values than this, photographs more."""
SAMPLE = 512
"""Side of the window in the middle of a file that is looked at for a first impression, pixels."""


class BandGuess(NamedTuple):
    """Names for the bands of a file, and on what ground: `stated` by the file, or `guessed` from their number."""

    names: tuple[str, ...]
    ground: Literal["stated", "guessed"]


class PolygonTable(NamedTuple):
    """The column of a file of polygons that names their class, and its values with their counts."""

    column: str
    counts: Counter[str]
    numeric: bool


class TileTable(NamedTuple):
    """The classes and scenes that a CSV file of tile labels names."""

    classes: tuple[str, ...]
    scenes: tuple[str, ...]


def looks_like_labels(path: Path) -> bool:
    """Whether the middle of a raster holds few different whole-number values; False where it cannot be read."""
    try:
        header = read_header(path)
        bands = header.band_count - header.alpha_count
        if header.dtype.kind not in "uib" or bands not in (1, 3) or (bands == 3 and header.dtype != np.uint8):
            return False
        return len(list_label_values(path, [_middle(header.grid)]).counts) <= FEW
    except InputError:
        return False


def guess_bands(path: Path) -> BandGuess:
    """The bands of an image: what the file calls them, else red, green, blue and near infrared by their number."""
    with opened(path) as dataset:
        if has_palette(dataset):
            return BandGuess(("red", "green", "blue"), "stated")
        kept = _image_bands(dataset)
        described = [_slug(dataset.descriptions[i - 1] or "") for i in kept]
        meanings = [dataset.colorinterp[i - 1].name for i in kept]
    if all(described) and len(set(described)) == len(kept) and "alpha" not in described:
        return BandGuess(tuple(described), "stated")
    if len(kept) == 3 and _path_words(path) & {"irrg", "cir"}:
        return BandGuess(("nir", "red", "green"), "guessed")
    if len(kept) >= 3 and set(meanings[:3]) == {"red", "green", "blue"}:
        extra = ["nir", *(f"band_{n}" for n in range(5, len(kept) + 1))]
        return BandGuess((*meanings[:3], *extra[: len(kept) - 3]), "stated" if len(kept) == 3 else "guessed")
    return BandGuess(_by_number(len(kept)), "guessed")


def guess_heights_are(path: Path) -> HeightsAre:
    """Whether heights count from the ground, by name, else because hardly any lie far below or above 0."""
    words = _path_words(path)
    if words & {"ndsm", "chm", "ndom"}:
        return "ndsm"
    if words & {"dsm", "dom", "dsms"}:
        return "dsm"
    metres = read_metres(path, _middle(read_header(path).grid))
    known = metres[np.isfinite(metres)]
    return "ndsm" if known.size and abs(float(np.percentile(known, 2))) < 1 else "dsm"


def read_polygon_table(path: Path) -> PolygonTable | None:
    """The column that most likely names classes: few values that repeat, names before numbers; None without one."""
    with reading_polygons(path):
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        infos = [pyogrio.read_info(path, layer=name) for name in layers]
        tables = [table for name, info in zip(layers, infos, strict=True) for table in _columns(path, name, info)]
    return min(tables, key=_unlikeliness, default=None)


def read_tile_table(path: Path) -> TileTable | None:
    """The table of tile labels in a CSV file; None where it is none: other columns, or not readable."""
    try:
        rows = csv_rows(path)
        _, columns = next(rows, (0, []))
        if not set(WINDOW_COLUMNS) < set(columns):
            return None
        place = columns.index("scene")
        scenes = sorted({cells[place] for _, cells in rows if cells[place:] and cells[place]})
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    return TileTable(tuple(c for c in columns if c and c not in WINDOW_COLUMNS), tuple(scenes))


def _middle(grid: Grid) -> Window:
    row, col = max(0, (grid.height - SAMPLE) // 2), max(0, (grid.width - SAMPLE) // 2)
    return Window(row, col, SAMPLE, SAMPLE).clipped(grid.height, grid.width)


def _image_bands(dataset: DatasetReader) -> list[int]:
    """Band numbers without alpha. A fourth band that is called alpha but takes many values holds a measurement.

    GDAL calls the fourth band of 8-bit files so unless told otherwise.
    """
    alphas = [i for i, c in enumerate(dataset.colorinterp, 1) if c is ColorInterp.alpha]
    window = _middle(Grid(dataset.height, dataset.width)).to_rasterio()
    false = [i for i in alphas if dataset.driver != "PNG" and len(np.unique(dataset.read(i, window=window))) > FEW]
    return [i for i in range(1, dataset.count + 1) if i not in alphas or i in false]


def _slug(text: str) -> str:
    """A description as a band's name: small letters, words joined by `_`."""
    return "_".join(re.findall(r"\w+", text.lower()))


def _by_number(count: int) -> tuple[str, ...]:
    known = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "nir")}
    return known.get(count, tuple(f"band_{n}" for n in range(1, count + 1)))


def _path_words(path: Path) -> set[str]:
    """The words of a file's name and of its folder's, in small letters."""
    return set(re.findall(r"[a-z]+", f"{path.parent.name} {path.stem}".lower()))


def _columns(path: Path, layer: str, info: dict[str, Any]) -> list[PolygonTable]:
    names = [str(n) for n, t in zip(info["fields"], info["dtypes"], strict=True) if str(t)[:3] in ("obj", "int", "uin")]
    shape = info["geometry_type"] or "none"
    if not names or not ("Polygon" in shape or shape in ("Unknown", "GeometryCollection")):
        return []
    _, _, _, fields = pyogrio.raw.read(path, layer=layer, columns=names, read_geometry=False)
    order = [str(n) for n in info["fields"] if str(n) in names]
    return [_table(name, values) for name, values in zip(order, fields, strict=True) if len(values)]


def _table(name: str, values: Shaped[np.ndarray, " polygons"]) -> PolygonTable:
    """Codes with leading zeros are names, no numbers."""
    counts = Counter(column_text(v) for v in values.tolist() if v is not None and v == v and v != "")
    return PolygonTable(name, counts, all(re.fullmatch(r"0|-?[1-9][0-9]*", value) for value in counts))


def _unlikeliness(table: PolygonTable) -> tuple[bool, bool, bool, int]:
    spoken = table.column.lower().startswith(("class", "klass", "label", "type", "categor", "land", "name", "code"))
    repeats = 1 <= len(table.counts) <= FEW and (len(table.counts) < table.counts.total() or spoken)
    return not repeats, not spoken, table.numeric, len(table.counts)
