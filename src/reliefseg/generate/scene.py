"""Makes one scene: town → objects → class ids and heights → light → bands."""

from __future__ import annotations

from math import ceil, hypot
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from reliefseg.errors import InputError
from reliefseg.generate.canvas import blank_canvas
from reliefseg.generate.character import Lean, Sun, draw_character
from reliefseg.generate.cover import cover_ground, draw_ground
from reliefseg.generate.drawing import draw_town, weather
from reliefseg.generate.plan import plan_town
from reliefseg.generate.sensor import expose
from reliefseg.generate.spectra import BANDS, LABELS
from reliefseg.generate.streets import draw_streets
from reliefseg.generate.view import view_from_above
from reliefseg.raster import nearest

MARGIN_M = 14.0
"""The town goes on so far beyond the scene: its shadows and crowns reach in."""


class GeneratedScene(NamedTuple):
    """A scene that was never photographed, and the truth about it, all on one grid.

    `labels` are class ids in the order of `CLASSES`, 255 on clutter; `dsm` and `ground` are metres above sea level.
    `look` is the name of its kind of town. Where the view leans, labels and heights are those of what is seen: the
    side of a building is building, as high as it is there.
    """

    bands: UInt8[np.ndarray, "bands height width"]
    labels: UInt8[np.ndarray, "height width"]
    dsm: Float32[np.ndarray, "height width"]
    ground: Float32[np.ndarray, "height width"]
    sun: Sun
    lean: Lean
    look: str


def generate_scene(
    seed: int, index: int, size: int, gsd: float, bands: tuple[str, ...], label_shift: int = 0
) -> GeneratedScene:
    """Makes scene number `index` of a seed, `size` pixels a side at `gsd` metres a pixel.

    `bands` are any of nir, red, green, blue, in the order wanted; others are an `InputError`. Each scene has its
    own town, light and season; it is the same whichever scenes were made before. Its labels lie up to `label_shift`
    pixels off, as those drawn over another image do; all else stays in place.
    """
    _refuse_unknown(bands)
    streams = np.random.SeedSequence([seed, index]).spawn(7)
    ways, layout, things, land, textures, camera, hand = (np.random.default_rng(s) for s in streams)
    character = draw_character(ways)
    margin = ceil(MARGIN_M / gsd)
    shape = (size + 2 * margin, size + 2 * margin)
    half_m = shape[0] * gsd / 2
    streets = draw_streets(layout, hypot(half_m, half_m), character.look)
    town = plan_town(things, streets, character, half_m)
    canvas = blank_canvas(draw_ground(land, shape, gsd, character.relief_m), gsd, bands)
    cover_ground(canvas, town, character)
    foliage = draw_town(canvas, town.plan, textures)
    weather(canvas, textures)
    inner = slice(margin, margin + size), slice(margin, margin + size)
    seen = view_from_above(canvas, foliage, character, inner)
    image = expose(seen.albedo, seen.sunlight, seen.skylight, bands, character, camera)
    ground = canvas.ground[inner].copy()
    labels = moved(LABELS[seen.material], hand.integers(-label_shift, label_shift + 1, 2))
    return GeneratedScene(image, labels, ground + seen.above, ground, character.sun, character.lean, character.name)


def moved(labels: UInt8[np.ndarray, "height width"], shift: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """Labels moved by whole pixels down and right; the outermost ones are repeated."""
    rows, cols = (np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(labels.shape, shift.tolist(), strict=True))
    return labels[rows[:, None], cols[None, :]]


def _refuse_unknown(bands: tuple[str, ...]) -> None:
    unknown = [band for band in bands if band not in BANDS]
    if unknown or not bands:
        hints = [f"bands: {band!r} cannot be generated; {nearest(band, BANDS)}" for band in unknown]
        raise InputError(hints or f"bands: none given; expected some of {', '.join(BANDS)}")
