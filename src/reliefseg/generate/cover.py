"""Covers the ground: terrain, lawns, streets, pavements, markings."""

from __future__ import annotations

from math import pi

import numpy as np
from jaxtyping import Bool, Float32, Int16

from reliefseg.generate.canvas import Canvas, Stencil
from reliefseg.generate.character import Character
from reliefseg.generate.looks import BlockKind
from reliefseg.generate.noise import value_noise
from reliefseg.generate.objects import Yard
from reliefseg.generate.plan import Town
from reliefseg.generate.spectra import BRICK_PAVING, PAINT, Material, Spectrum
from reliefseg.generate.streets import Lines, Nearest, StreetNet, nearest_line, tinted

Plane = Float32[np.ndarray, "height width"]
SEA_LEVEL_M = 120.0
"""Elevation of the lowest towns, metres."""
CORNER_M = 5.0
"""Radius of the kerb where streets meet, metres."""
WORN, TRACK_M = 0.05, 1.6
"""How much tyres darken or polish a carriageway, relative, and the distance of their tracks, metres."""
MARKED_M = 3.1
"""Streets whose carriageway reaches further to each side than this have markings."""
COVERS = {
    BlockKind.PARK: 1,
    BlockKind.WATER: 1,
    BlockKind.FIELDS: 1,
    BlockKind.FARMS: 1,
    BlockKind.WOOD: 1,
    BlockKind.HALLS: 2,
    BlockKind.PERIMETER: 3,
    BlockKind.SQUARE: 3,
    BlockKind.WASTE: 4,
}
"""Which of `_cover_blocks`'s covers lies in a block; 0, the scene's yards, in all others."""


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
    """Draws what lies flat on the ground everywhere: the blocks' cover, parcels of their own, the streets over both."""
    streets = town.streets
    p, q = streets.coordinates(*canvas.metres())
    across, along = nearest_line(streets.cross, p), nearest_line(streets.long, q)
    _cover_blocks(canvas, town, across.interval, along.interval, character)
    for yard in town.plan.yards:
        _lay_yard(canvas, yard, streets, p, q)
    np.copyto(across.distance, np.float32(1e6), where=streets.gone[across.line, along.interval])
    _lay_streets(canvas, streets, across, along, character)
    _mark_streets(canvas, streets, along, across, p, q)


def _cover_blocks(
    canvas: Canvas,
    town: Town,
    i: Int16[np.ndarray, "height width"],
    j: Int16[np.ndarray, "height width"],
    character: Character,
) -> None:
    """Lawn, sand, meadow, paving or asphalt, as each block's use asks for."""
    covers = [
        character.yard,
        (Material.MEADOW, character.meadow),
        (Material.ASPHALT, character.asphalt),
        (Material.PAVING, character.paving),
        (Material.SAND, character.sand),
    ]
    table = np.zeros((len(town.streets.cross.at), len(town.streets.long.at)), np.uint8)
    for (a, b), kind in town.kinds.items():
        table[a, b] = COVERS.get(kind, 0)
    cover = table[i, j]
    canvas.material[:] = np.array([material for material, _ in covers], np.uint8)[cover]
    for plane, values in zip(canvas.albedo, zip(*(canvas.pick(s) for _, s in covers), strict=True), strict=True):
        plane[:] = np.array(values, np.float32)[cover]


def _lay_yard(canvas: Canvas, yard: Yard, streets: StreetNet, p: Plane, q: Plane) -> None:
    """Covers all pixels within a yard's street coordinates."""
    corners = [streets.place(at_p, at_q) for at_p in (yard.p0, yard.p1) for at_q in (yard.q0, yard.q1)]
    bulge = 1 + 0.1 * max(yard.p1 - yard.p0, yard.q1 - yard.q0)
    top, left = canvas.pixel(min(c.down for c in corners) - bulge, min(c.right for c in corners) - bulge)
    bottom, right = canvas.pixel(max(c.down for c in corners) + bulge, max(c.right for c in corners) + bulge)
    at = slice(top, bottom + 1), slice(left, right + 1)
    half_p, half_q = (yard.p1 - yard.p0) / 2, (yard.q1 - yard.q0) / 2
    stencil = Stencil(*at, p[at] - np.float32(yard.p0 + half_p), q[at] - np.float32(yard.q0 + half_q))
    where = (np.abs(stencil.along) <= half_p) & (np.abs(stencil.across) <= half_q)
    canvas.paint(stencil, where, yard.material, yard.spectrum)


def _lay_streets(canvas: Canvas, streets: StreetNet, across: Nearest, along: Nearest, character: Character) -> None:
    """Pavements first, then carriageways, round at the corners: the long streets run on top."""
    families = ((streets.cross, across, 0), (streets.long, along, len(streets.cross.at)))
    outer = [near.distance - _reaches(lines)[near.line] for lines, near, _ in families]
    edges = [near.distance - np.array(lines.half, np.float32)[near.line] for lines, near, _ in families]
    _fill(canvas, _union(outer[0], outer[1], CORNER_M - 1.5), Material.PAVEMENT, character.pavement)
    _fill(canvas, _union(edges[0], edges[1], CORNER_M), Material.ASPHALT, character.asphalt)
    for (lines, near, first), edge in zip(families, edges, strict=True):
        on_it = edge < 0
        mine = slice(first, first + len(lines.at))
        bricks = [character.asphalt.towards(BRICK_PAVING, share) for share in streets.bricks[mine]]
        shades = [canvas.pick(tinted(cover, tint)) for cover, tint in zip(bricks, streets.tints[mine], strict=True)]
        chosen = near.line[on_it]
        worn = 1 + np.float32(WORN) * np.cos(near.distance[on_it] * np.float32(2 * pi / TRACK_M))
        for band, plane in enumerate(canvas.albedo):
            plane[on_it] = np.array([shade[band] for shade in shades], np.float32)[chosen] * worn


def _union(
    one: Float32[np.ndarray, "height width"], other: Float32[np.ndarray, "height width"], radius: float
) -> Bool[np.ndarray, "height width"]:
    """Where either signed distance is negative, and in the corner between them as a kerb of this radius leaves it."""
    from_one, from_other = np.maximum(0, radius - one), np.maximum(0, radius - other)
    return (one < 0) | (other < 0) | (from_one * from_one + from_other * from_other > radius * radius)


def _mark_streets(canvas: Canvas, streets: StreetNet, near: Nearest, across: Nearest, p: Plane, q: Plane) -> None:
    """Marks the wider long streets."""
    half = np.array(streets.long.half, np.float32)
    rows, cols = np.nonzero((near.distance < half[near.line]) & (half > MARKED_M)[near.line])
    at = rows, cols
    crossing = across.distance[at] - _reaches(streets.cross)[across.line[at]]
    aside, half = near.distance[at], half[near.line[at]]
    lines = _lines(aside, half, p[at], max(0.07, canvas.gsd / 2)) & (crossing > 1)
    _paint(canvas, rows[lines], cols[lines], min(1.0, 0.14 / canvas.gsd))
    if canvas.gsd < 0.4:
        zebra = (crossing > 1.5) & (crossing < 5) & (np.mod(q[at], 1.0) < 0.5)
        zebra &= (across.line[at] * 7 + near.line[at] * 3) % 5 < 1
        _paint(canvas, rows[zebra], cols[zebra], 0.9)


def _lines(
    aside: Float32[np.ndarray, " n"], half: Float32[np.ndarray, " n"], p: Float32[np.ndarray, " n"], wide: float
) -> Bool[np.ndarray, " n"]:
    """Dashes 3 m long down the middle and between the lanes of broad roads, whole lines at their edges."""
    broad = half > 5.5
    dashed = (aside < wide) | (broad & (np.abs(aside - half / 2) < wide))
    return (dashed & (np.mod(p, 8) < 3)) | (broad & (np.abs(aside - half + 0.4) < wide))


def _paint(canvas: Canvas, rows: np.ndarray, cols: np.ndarray, share: float) -> None:
    """White paint that hides this share of the ground."""
    canvas.material[rows, cols] = Material.MARKING
    for plane, value in zip(canvas.albedo, canvas.pick(PAINT), strict=True):
        plane[rows, cols] += np.float32(share) * (value - plane[rows, cols])


def _reaches(lines: Lines) -> Float32[np.ndarray, " lines"]:
    return np.array([lines.reach(index) for index in range(len(lines.at))], np.float32)


def _fill(canvas: Canvas, where: Bool[np.ndarray, "height width"], material: Material, spectrum: Spectrum) -> None:
    canvas.material[where] = material
    for plane, value in zip(canvas.albedo, canvas.pick(spectrum), strict=True):
        plane[where] = value
