"""Label rasters, in colours or ids, as class indexes 0 … n−1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt8
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from reliefseg.raster.classes import IGNORE_INDEX, ClassTable, color_text, parse_color
from reliefseg.raster.grid import Window
from reliefseg.raster.opening import Header, has_palette, measured, opened, read_palette

LISTED = 8
"""How many unknown colours or ids a message names; the others are counted."""


class Reading(NamedTuple):
    """Class indexes (IGNORE_INDEX where ignored or unknown) and what was of no class, with its count."""

    labels: UInt8[np.ndarray, "height width"]
    unknown: Counter[str]


class LabelValues(NamedTuple):
    """What a label raster holds: colours (`#RRGGBB`) or ids (decimal), each with its number of pixels."""

    kind: Literal["colors", "ids"]
    counts: Counter[str]


class _Codes(NamedTuple):
    """One whole number a pixel: an id, or a colour as 0xRRGGBB; and where the file holds a value at all."""

    codes: Int[np.ndarray, "height width"]
    measured: Bool[np.ndarray, "height width"]


def kind_fault(header: Header) -> str | None:
    """What keeps a raster of this kind from being labels of any classes; None where nothing does."""
    if header.dtype.kind not in "uib":
        return f"holds {header.dtype} values; expected whole numbers (class ids) or 8-bit colours"
    bands = header.band_count - header.alpha_count
    if bands == 3 and header.dtype != np.uint8:
        return f"holds colours of {header.dtype}; expected 8 bits a band (gdal_translate -ot Byte)"
    if bands not in (1, 3):
        return f"has {bands} bands; expected one (ids or a palette) or three (red, green, blue)"
    return None


def label_fault(header: Header, classes: ClassTable) -> str | None:
    """What keeps a raster of this kind from being labels of these classes; None where nothing does."""
    if fault := kind_fault(header):
        return fault
    bands = header.band_count - header.alpha_count
    if bands == 3 and not classes.colors_stated:
        return 'holds colours, but the classes have ids only; add color = "#RRGGBB" to each [[classes]]'
    if classes.ids is None and not header.has_palette and bands == 1 and header.dtype != np.uint8:
        return f"has one band of {header.dtype}, but the classes have colours only; add an id to each"
    return None


def read_label_raster(path: Path, window: Window, classes: ClassTable) -> Reading:
    """The window of a label raster as class indexes.

    Three bands are colours. One band is ids where the classes have ids; else the colours of its palette, or
    greys without one. Nodata, masked and transparent pixels are ignored, also where `[ignore]` names nothing.
    """
    with opened(path) as dataset:
        by_id = classes.ids is not None and _label_bands(dataset) == (1,)
        found = _read_ids(dataset, window) if by_id else _read_colors(dataset, window)
    return _look_up(found, _known_ids(classes) if by_id else _known_colors(classes), by_id)


def list_label_values(path: Path, windows: Iterable[Window]) -> LabelValues:
    """Every colour or id in windows of a label raster with its count: colours with a palette or three bands, else ids.

    Nodata and transparent pixels are not counted.
    """
    counts: Counter[str] = Counter()
    with opened(path) as dataset:
        by_id = len(_label_bands(dataset)) == 1 and not has_palette(dataset)
        for window in windows:
            found = _read_ids(dataset, window) if by_id else _read_colors(dataset, window)
            counts += _count(found.codes[found.measured], by_id)
    return LabelValues("ids" if by_id else "colors", counts)


def unknown_values_message(unknown: Mapping[str, int], classes: ClassTable, source: Path) -> str:
    """The sentence for pixels of no class, without the scene's name; `unknown` is a `Reading`'s."""
    colored = all(value.startswith("#") for value in unknown)
    kind = "colours" if colored else "ids"
    known = [color_text(c) for c in classes.colors] if colored else [str(i) for i in classes.ids or ()]
    legend = ", ".join(f"{value} {name}" for value, name in zip(known, classes.names, strict=True))
    advice = f"Add them to the classes or to [ignore] {'colors' if colored else 'ids'}."
    if colored and (_nearly_known(unknown, classes) or source.suffix.lower() in (".jpg", ".jpeg")):
        advice = "Was the file saved as JPEG?"
    total = sum(unknown.values())
    return f"{total:,} px have {kind} of no class: {list_counts(unknown)}. Known: {legend}. {advice}"


def list_counts(counts: Mapping[str, int]) -> str:
    """`#00FE01 (2,100), #FD0002 (13)`, most frequent first; after `LISTED` of them `and 5 more`."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{value} ({count:,})" for value, count in ranked[:LISTED])
    return text + (f" and {len(ranked) - LISTED:,} more" if len(ranked) > LISTED else "")


def _label_bands(dataset: DatasetReader) -> tuple[int, ...]:
    return tuple(i for i, c in enumerate(dataset.colorinterp, 1) if c is not ColorInterp.alpha)


def _read_ids(dataset: DatasetReader, window: Window) -> _Codes:
    data = dataset.read([1], window=window.to_rasterio())
    return _Codes(data[0].astype(np.int64), measured(dataset, window, (1,), data))


def _read_colors(dataset: DatasetReader, window: Window) -> _Codes:
    """Colours packed into one number each; a palette is applied, one plain band is read as greys."""
    bands = _label_bands(dataset)
    data = dataset.read(list(bands), window=window.to_rasterio())
    known = measured(dataset, window, bands, data)
    if has_palette(dataset):
        colors = read_palette(dataset)
        return _Codes(pack(np.moveaxis(colors[:, :3], -1, 0))[data[0]], known)
    return _Codes(pack(data if len(bands) == 3 else np.repeat(data[:1] * _grey_step(dataset), 3, axis=0)), known)


def _grey_step(dataset: DatasetReader) -> np.uint8:
    """What one step of grey means in 8 bits: files of 1, 2 or 4 bits count from 0 to 1, 3 or 15."""
    bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))
    return np.uint8(255 // (2 ** min(bits, 8) - 1))


def pack(colors: UInt8[np.ndarray, " 3 *shape"]) -> Int[np.ndarray, "*shape"]:
    """Red, green and blue as one number, 0xRRGGBB."""
    red, green, blue = colors.astype(np.int32)
    return red << 16 | green << 8 | blue


def _look_up(found: _Codes, known: dict[int, int], by_id: bool) -> Reading:
    """Class indexes of codes, by a search in the sorted list of the known ones."""
    keys = np.array(sorted(known), found.codes.dtype)
    values = np.array([known[int(key)] for key in keys], np.uint8)
    places = np.minimum(np.searchsorted(keys, found.codes), len(keys) - 1)
    is_known = keys[places] == found.codes
    labels = np.where(is_known & found.measured, values[places], np.uint8(IGNORE_INDEX))
    return Reading(labels, _count(found.codes[~is_known & found.measured], by_id))


def _count(codes: Shaped[np.ndarray, " pixels"], by_id: bool) -> Counter[str]:
    values, counts = np.unique(codes, return_counts=True)
    names = [str(v) if by_id else f"#{v:06X}" for v in values.tolist()]
    return Counter(dict(zip(names, counts.tolist(), strict=True)))


def _known_ids(classes: ClassTable) -> dict[int, int]:
    return dict.fromkeys(classes.ignore_ids, IGNORE_INDEX) | {i: n for n, i in enumerate(classes.ids or ())}


def _known_colors(classes: ClassTable) -> dict[int, int]:
    ignored = {_code(c): IGNORE_INDEX for c in classes.ignore_colors}
    return ignored | {_code(c): index for index, c in enumerate(classes.colors)}


def _code(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _nearly_known(unknown: Mapping[str, int], classes: ClassTable) -> bool:
    """Whether most unknown pixels are almost of a class's colour, as after lossy compression."""
    known = np.array(classes.colors)
    near = [c for value, c in unknown.items() if np.abs(known - parse_color(value)).max(axis=1).min() <= 12]
    return sum(near) > sum(unknown.values()) / 2
