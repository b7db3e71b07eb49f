"""Pictures to judge a map by: image, depth, truth, prediction and errors of a scene; panels of its classes.

Everything is composed as plain 8-bit arrays on one sheet; matplotlib only sets the words. A picture says in
its PNG text (`sheet.PANELS_KEY`) where its panels lie, so that the report can take them out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8
from matplotlib import colormaps
from matplotlib.colors import LightSource
from PIL import Image

from reliefseg.evaluation.sheet import LINE, Picture, Sheet, legend_lines, swatch, write_legend
from reliefseg.raster.classes import IGNORE_INDEX, ClassTable, Color

Resized = UInt8[np.ndarray, "rows cols 3"]

PANEL_SIDE = 900
"""Longest side of a panel in pixels; larger scenes are reduced to it."""

IGNORED: Color = (172, 172, 172)
WRONG: Color = (196, 22, 56)
RIGHT: Color = (232, 236, 238)
STEEPER, SHADING = 8.0, 0.8
"""Relief is drawn as if a pixel were an eighth of the depth's range; how far light and shade change the colours."""
_SUN = LightSource(azdeg=315, altdeg=45)
_FLAT = np.float32(_SUN.direction[2])
_MARGIN, _GAP = 14, 10
_SMALLEST_PANEL = 240
_TILE_CELL, _SCENE_CELL = 150, 300
_GREYS = {"depth": "cividis", "probability": "gray"}
_BAND_CHOICES = (("red", "green", "blue"), ("nir", "red", "green"))


class PanelTile(NamedTuple):
    """One tile (or whole scene) of class panels; probabilities in [0, 1], truth None where there is none."""

    name: str
    photo: UInt8[np.ndarray, "height width 3"]
    probabilities: Float32[np.ndarray, "classes height width"]
    truth: UInt8[np.ndarray, "height width"] | None


def photograph(
    bands: Shaped[np.ndarray, "bands height width"],
    names: Sequence[str],
    valid: Bool[np.ndarray, "height width"],
) -> UInt8[np.ndarray, "height width 3"]:
    """A scene's bands as a person would look at them; grey where nothing was measured.

    Red, green and blue where the bands are called so, else near infrared, red and green as false colours, else
    the first three bands; with one or two bands the first one in grey. 8-bit bands stay as they are; others are
    stretched band by band from the 2nd to the 98th percentile of the valid pixels.
    """
    chosen = bands[_shown_bands(names)]
    if chosen.dtype != np.uint8:
        chosen = np.stack([_stretched(band, valid) for band in chosen])
    picture = np.moveaxis(np.broadcast_to(chosen, (3, *valid.shape)), 0, 2).copy()
    picture[~valid] = IGNORED
    return picture


def class_colours(
    class_ids: UInt8[np.ndarray, "height width"], classes: ClassTable
) -> UInt8[np.ndarray, "height width 3"]:
    """Class ids in their classes' colours; grey for ignored pixels (255) and for ids of no class."""
    palette = np.tile(np.array(IGNORED, np.uint8), (IGNORE_INDEX + 1, 1))
    palette[: len(classes)] = classes.colors
    return palette[class_ids]


def error_map(
    truth: UInt8[np.ndarray, "height width"], predicted: UInt8[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Where a map is wrong: strong red; faint where it is right, grey where the truth is ignored (255)."""
    picture = np.array((WRONG, RIGHT), np.uint8)[(truth == predicted).astype(np.intp)]
    picture[truth == IGNORE_INDEX] = IGNORED
    return picture


def depth_colours(depth: Float32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Depth in [0, 1] from dark (lowest) to light (highest), lit from the upper left so that relief shows.

    Flat ground keeps its colour whatever its depth; grey where depth is nan.
    """
    picture = _coloured(depth, "depth").astype(np.float32)
    if min(depth.shape) > 1:
        shade = SHADING * (_lit(np.nan_to_num(depth)) - _FLAT)[..., None]
        picture += np.where(shade > 0, (255 - picture) * shade, picture * shade)
        picture[np.isnan(depth)] = IGNORED
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _lit(depth: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """The cosine between a surface's normal and the sun; `LightSource.hillshade` stretches it scene by scene."""
    down, right = np.gradient(np.float32(STEEPER) * depth)
    normal = np.stack([-right, down, np.ones_like(depth)], axis=-1)
    lit = normal @ _SUN.direction.astype(np.float32) / np.linalg.norm(normal, axis=-1)
    return np.clip(lit, 0, 1)


def scene_picture(
    path: Path,
    photo: UInt8[np.ndarray, "height width 3"],
    depth: Float32[np.ndarray, "height width"] | None,
    truth: UInt8[np.ndarray, "height width"],
    predicted: UInt8[np.ndarray, "height width"],
    classes: ClassTable,
) -> None:
    """Image, depth (where there is any), truth, prediction and errors of a scene in one PNG, with a legend.

    A panel is at most `PANEL_SIDE` pixels a side; scenes of a few pixels are enlarged. The scene is called as the file
    is.
    """
    size = _panel_size(*predicted.shape)
    scale = max(1.0, max(size) / 450)
    line, gap, margin = round(LINE * scale), round(_GAP * scale), round(_MARGIN * scale)
    panels = _scene_panels(photo, depth, truth, predicted, classes, size)
    width = max(margin * 2 + len(panels) * (size[1] + gap) - gap, round(480 * scale))
    legend = legend_lines(_legend(classes), width - 2 * margin, scale)
    top = margin + 2 * line
    sheet = Sheet(top + size[0] + gap + line * len(legend) + margin, width, scale)
    sheet.write(margin + line // 2, margin, path.stem, fontweight="bold")
    for index, (name, panel) in enumerate(panels.items()):
        col = margin + index * (size[1] + gap)
        sheet.write(top - line // 2, col, _panel_title(name, truth, predicted))
        sheet.paste(top, col, panel)
        sheet.boxes[name] = (top, col, *size)
    write_legend(sheet, top + size[0] + gap, margin, legend)
    sheet.save(path)


def class_panels(path: Path, tiles: Sequence[PanelTile], classes: ClassTable) -> None:
    """Panels of all classes side by side in one PNG: what the network gives a class, above where it is true.

    Probability 0 is black and 1 is white; truth is white where the class is and grey where it is ignored, so
    that a perfect map's two rows look the same. The first column has the image above the truth in class colours.
    One tile (a scene) is drawn large; several stand in a block each. Needs at least one tile.
    """
    cell = _SCENE_CELL if len(tiles) == 1 else _TILE_CELL
    sizes = [_cell_size(tile, cell) for tile in tiles]
    columns = len(classes) + 1
    abreast = max(1, min(len(tiles), 14 // columns))
    high = 2 * LINE + 2 * (max(height for height, _ in sizes) + 4) + _GAP
    wide = LINE + columns * (max(width for _, width in sizes) + 4) + 2 * _GAP
    sheet = Sheet(2 * _MARGIN - _GAP - 4 + -(-len(tiles) // abreast) * high, 2 * _MARGIN + abreast * wide, 1.35)
    for index, (tile, size) in enumerate(zip(tiles, sizes, strict=True)):
        _draw_tile(sheet, _MARGIN + index // abreast * high, _MARGIN + index % abreast * wide, tile, classes, size)
    sheet.save(path)


def _shown_bands(names: Sequence[str]) -> list[int]:
    """Positions of the three bands to show (one, if there are fewer than three)."""
    lowered = [name.lower() for name in names]
    for choice in _BAND_CHOICES:
        if all(name in lowered for name in choice):
            return [lowered.index(name) for name in choice]
    return [0, 1, 2] if len(names) >= 3 else [0]


def _stretched(
    band: Shaped[np.ndarray, "height width"], valid: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width"]:
    """A band stretched to 8 bits, 2nd to 98th percentile of its valid pixels; mid grey if constant."""
    values = band.astype(np.float32)
    counted = values[valid & np.isfinite(values)]
    low, high = np.percentile(counted, (2, 98)) if counted.size else (0.0, 0.0)
    if high <= low:
        return np.full(band.shape, 127, np.uint8)
    share = np.nan_to_num((values - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    return (255 * np.clip(share, 0, 1)).round().astype(np.uint8)


def _coloured(values: Float32[np.ndarray, "height width"], quantity: str) -> UInt8[np.ndarray, "height width 3"]:
    """Values in [0, 1] in the quantity's colour map; grey where they are nan."""
    picture = colormaps[_GREYS[quantity]](np.nan_to_num(values, nan=0.0), bytes=True)[..., :3]
    picture[np.isnan(values)] = IGNORED
    return picture


def _panel_size(height: int, width: int) -> tuple[int, int]:
    """Size of a scene's panel: reduced to `PANEL_SIDE`, or enlarged a whole number of times if it is tiny."""
    longest = max(height, width)
    if longest > PANEL_SIDE:
        return max(1, round(height * PANEL_SIDE / longest)), max(1, round(width * PANEL_SIDE / longest))
    zoom = max(1, _SMALLEST_PANEL // longest)
    return height * zoom, width * zoom


def _smooth(picture: Picture, size: tuple[int, int]) -> Resized:
    """A picture at another size (height, width), averaged over the pixels it covers: images, errors."""
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BOX))


def _crisp(picture: Picture, size: tuple[int, int]) -> Resized:
    """A picture at another size (height, width) in its own colours only: class maps."""
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.NEAREST))


def _scene_panels(
    photo: Picture,
    depth: np.ndarray | None,
    truth: np.ndarray,
    predicted: np.ndarray,
    classes: ClassTable,
    size: tuple[int, int],
) -> dict[str, Resized]:
    """A scene's panels by name in the order they are shown."""
    panels = {"image": _smooth(photo, size)}
    if depth is not None:
        panels["depth"] = _smooth(depth_colours(depth), size)
    panels["truth"] = _crisp(class_colours(truth, classes), size)
    panels["prediction"] = _crisp(class_colours(predicted, classes), size)
    panels["errors"] = _smooth(error_map(truth, predicted), size)
    return panels


def _panel_title(name: str, truth: np.ndarray, predicted: np.ndarray) -> str:
    """The panel's name; for errors also which share of the counted pixels is wrong."""
    if name != "errors":
        return name
    counted = truth != IGNORE_INDEX
    if not counted.any():
        return "errors: no pixel is labelled"
    return f"errors: {100 * np.mean(predicted[counted] != truth[counted]):.1f} % of pixels"


def _legend(classes: ClassTable) -> list[tuple[str, Color]]:
    """What the colours mean: classes, ignored and wrong."""
    return [*zip(classes.names, classes.colors, strict=True), ("ignored, nodata", IGNORED), ("wrong", WRONG)]


def _cell_size(tile: PanelTile, cell: int) -> tuple[int, int]:
    """Height and width of a tile's cells, the longer one `cell` pixels."""
    height, width = tile.probabilities.shape[1:]
    longest = max(height, width)
    return max(3, round(cell * height / longest)), max(3, round(cell * width / longest))


def _draw_tile(sheet: Sheet, row: int, col: int, tile: PanelTile, classes: ClassTable, size: tuple[int, int]) -> None:
    """A tile's block: its name, image and truth, then a column a class under its name and colour."""
    upper, lower = row + 2 * LINE, row + 2 * LINE + size[0] + 4
    sheet.write(row + LINE // 2, col, tile.name, fontweight="bold")
    sheet.paste(upper, col, _framed(_smooth(tile.photo, size)))
    sheet.write(upper + size[0] // 2, col + size[1] + 4 + LINE // 2, "predicted", rotation=90, ha="center")
    if tile.truth is not None:
        sheet.paste(lower, col, _framed(_crisp(class_colours(tile.truth, classes), size)))
        sheet.write(lower + size[0] // 2, col + size[1] + 4 + LINE // 2, "true", rotation=90, ha="center")
    for index, spec in enumerate(classes.classes):
        at = col + LINE + 4 + (index + 1) * (size[1] + 4)
        sheet.write(upper - LINE // 2 - 4, at, _shortened(spec.name, size[1]))
        sheet.paste(upper - 5, at, swatch(spec.color, 3, size[1]))
        sheet.paste(upper, at, _framed(_smooth(_coloured(tile.probabilities[index], "probability"), size)))
        if tile.truth is not None:
            sheet.paste(lower, at, _framed(_crisp(_mask_picture(tile.truth, index), size)))


def _framed(picture: Picture) -> Picture:
    """The picture with a grey line around it, so that white ones end somewhere."""
    framed = np.full_like(picture, IGNORED[0])
    framed[1:-1, 1:-1] = picture[1:-1, 1:-1]
    return framed


def _mask_picture(truth: np.ndarray, index: int) -> Picture:
    """White where the truth is this class, black where it is another, grey where it is ignored."""
    picture = np.repeat((truth == index)[..., None].astype(np.uint8) * 255, 3, axis=2)
    picture[truth == IGNORE_INDEX] = IGNORED
    return picture


def _shortened(text: str, width: int) -> str:
    """The text cut to about `width` pixels, with an ellipsis where it was cut."""
    letters = max(4, width // 12)
    return text if len(text) <= letters else text[: letters - 1] + "…"
