"""Covers the ground: terrain, lawns, streets, pavements, markings."""

from __future__ import annotations

from math import pi

import numpy as np
from jaxtyping import Bool, Float32, Int16

from reliefseg.generate.canvas import Canvas
from reliefseg.generate.character import Character
from reliefseg.generate.noise import value_noise
from reliefseg.generate.plan import PAVED_KINDS, BlockKind, Town
from reliefseg.generate.spectra import PAINT, Material, Spectrum
from reliefseg.generate.streets import Lines, Nearest, StreetNet, nearest_line, tinted

SEA_LEVEL_M = 120.0
"""Elevation of the lowest towns, metres."""


def draw_ground(
    rng: np.random.Generator, shape: tuple[int, int], gsd: float, relief_m: float
) -> Float32[np.ndarray, "height width"]:
    """The lie of the land, metres above sea level: hills of `relief_m` some 150 m wide, on a slope of up to 4 %."""
    hills = value_noise(rng, shape, 150 / gsd) + 0.2 * value_noise(rng, shape, 45 / gsd)
    towards, slope = rng.uniform(0, 2 * pi), rng.uniform(0, 0.04)
    down = np.arange(shape[0], dtype=np.float32)[:, None] * np.float32(gsd * slope * np.sin(towards))
    right = np.arange(shape[1], dtype=np.float32)[None, :] * np.float32(gsd * slope * np.cos(towards))
    base = SEA_LEVEL_M + rng.uniform(0, 200)
    return (np.float32(base) + np.float32(relief_m) * hills + down + right).astype(np.float32)


def cover_ground(canvas: Canvas, town: Town, character: Character) -> None:
    """Draws what lies flat on the ground everywhere: the blocks' cover, then the streets over it."""
    streets = town.streets
    p, q = streets.coordinates(*canvas.metres())
    across, along = nearest_line(streets.cross, p), nearest_line(streets.long, q)
    _cover_blocks(canvas, town, across.interval, along.interval, character)
    _lay_streets(canvas, streets, across, along, character)
    _mark_streets(canvas, streets, along, p, across)


def _cover_blocks(
    canvas: Canvas,
    town: Town,
    i: Int16[np.ndarray, "height width"],
    j: Int16[np.ndarray, "height width"],
    character: Character,
) -> None:
    """Lawn, meadow or asphalt, as each block's use asks for."""
    covers = [
        (Material.LAWN, character.lawn),
        (Material.MEADOW, character.meadow),
        (Material.ASPHALT, character.asphalt),
    ]
    table = np.zeros((len(town.streets.cross.at), len(town.streets.long.at)), np.uint8)
    for (a, b), kind in town.kinds.items():
        table[a, b] = 1 if kind is BlockKind.PARK else 2 if kind in PAVED_KINDS else 0
    cover = table[i, j]
    canvas.material[:] = np.array([material for material, _ in covers], np.uint8)[cover]
    for plane, values in zip(canvas.albedo, zip(*(canvas.pick(s) for _, s in covers), strict=True), strict=True):
        plane[:] = np.array(values, np.float32)[cover]


def _lay_streets(canvas: Canvas, streets: StreetNet, across: Nearest, along: Nearest, character: Character) -> None:
    """Pavements first, then carriageways: the long streets run on top."""
    families = ((streets.cross, across, 0), (streets.long, along, len(streets.cross.at)))
    for lines, near, _ in families:
        _fill(canvas, near.distance < _reaches(lines)[near.line], Material.PAVEMENT, character.pavement)
    for lines, near, first in families:
        on_it = near.distance < np.array(lines.half, np.float32)[near.line]
        _fill(canvas, on_it, Material.ASPHALT, character.asphalt)
        shades = [canvas.pick(tinted(character.asphalt, tint)) for tint in streets.tints[first : first + len(lines.at)]]
        chosen = near.line[on_it]
        for band, plane in enumerate(canvas.albedo):
            plane[on_it] = np.array([shade[band] for shade in shades], np.float32)[chosen]


def _mark_streets(
    canvas: Canvas, streets: StreetNet, near: Nearest, p: Float32[np.ndarray, "height width"], across: Nearest
) -> None:
    """Dashes 3 m long down the middle of the wider long streets, not on crossings; paler where pixels are coarse."""
    marked = np.array(streets.markings)[near.line] & (near.distance < max(0.07, canvas.gsd / 2))
    rows, cols = np.nonzero(marked)
    crossing = across.distance[rows, cols] < _reaches(streets.cross)[across.line[rows, cols]] + 1
    dashed = (np.mod(p[rows, cols], 8) < 3) & ~crossing
    rows, cols = rows[dashed], cols[dashed]
    share = np.float32(min(1.0, 0.14 / canvas.gsd))
    canvas.material[rows, cols] = Material.MARKING
    for plane, value in zip(canvas.albedo, canvas.pick(PAINT), strict=True):
        plane[rows, cols] += share * (value - plane[rows, cols])


def _reaches(lines: Lines) -> Float32[np.ndarray, " lines"]:
    return np.array([lines.reach(index) for index in range(len(lines.at))], np.float32)


def _fill(canvas: Canvas, where: Bool[np.ndarray, "height width"], material: Material, spectrum: Spectrum) -> None:
    canvas.material[where] = material
    for plane, value in zip(canvas.albedo, canvas.pick(spectrum), strict=True):
        plane[where] = value
