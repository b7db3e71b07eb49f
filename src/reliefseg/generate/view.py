"""What is seen from above: straight from above, or a little aside, where what stands up shows a façade."""

from __future__ import annotations

from math import cos, hypot, radians, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from reliefseg.generate.canvas import Canvas
from reliefseg.generate.character import Character, Lean
from reliefseg.generate.crowns import Foliage
from reliefseg.generate.light import incidence, openness, overshadowed, sunlit, through_crowns
from reliefseg.generate.spectra import GLASS, Material

FLOOR_M = 3.0
"""From window to window up a façade, metres."""
SCATTER = {Material.CROWN: 0.3, Material.TWIGS: 0.8}
"""Share of a crown's sunlight that does not depend on its slope: leaves hang at all angles, twigs show the ground."""


class Seen(NamedTuple):
    """What the camera sees of a scene: light thrown back, light received, material, metres above the ground."""

    albedo: Float32[np.ndarray, "bands height width"]
    sunlight: Float32[np.ndarray, "height width"]
    skylight: Float32[np.ndarray, "height width"]
    material: UInt8[np.ndarray, "height width"]
    above: Float32[np.ndarray, "height width"]


class View(NamedTuple):
    """For each pixel the place of the plan that it shows, how high above the ground, and whether a side of it."""

    rows: Int32[np.ndarray, "height width"]
    cols: Int32[np.ndarray, "height width"]
    above: Float32[np.ndarray, "height width"]
    side: Bool[np.ndarray, "height width"]


def view_from_above(canvas: Canvas, foliage: Foliage, character: Character, inner: tuple[slice, slice]) -> Seen:
    """The part of a canvas that is the scene, as the scene's light and camera show it."""
    surface, gsd, sun = canvas.surface, canvas.gsd, character.sun
    lit = sunlit(overshadowed(foliage.solid, surface, gsd, sun))
    lit *= through_crowns(canvas, foliage.balls, foliage.grain, sun)
    facing = incidence(surface, gsd, sun)
    for material, share in SCATTER.items():
        crowns = canvas.material == material
        facing[crowns] = facing[crowns] * np.float32(1 - share) + np.float32(share)
    sunlight, skylight = lit * facing, openness(surface, gsd)
    above = surface - canvas.ground
    if not any(character.lean):
        return Seen(canvas.albedo[:, *inner], sunlight[inner], skylight[inner], canvas.material[inner], above[inner])
    whole = leaning_view(above, gsd, character.lean)
    view = View(whole.rows[inner], whole.cols[inner], whole.above[inner], whole.side[inner])
    at = view.rows, view.cols
    seen = Seen(canvas.albedo[:, *at], sunlight[at], skylight[at], canvas.material[at], view.above)
    _show_sides(seen, view, canvas, character)
    return seen


def leaning_view(above: Float32[np.ndarray, "height width"], gsd: float, lean: Lean) -> View:
    """Follows the view's rays down from the highest roof, a pixel aside at a time, to what stops them.

    `above` are metres above the ground. A ray that meets a column below its top sees its side; the ground itself
    stays where it is. Exact to half a pixel.
    """
    per_pixel = gsd / hypot(*lean)
    steps = int(float(above.max()) / per_pixel + 0.5)
    stopped_at = np.zeros(above.shape, np.int16)
    shifts = np.rint(np.arange(steps + 1)[:, None] * (per_pixel / gsd) * np.array(lean)).astype(np.int32)
    for step in range(1, steps + 1):
        here, there = _overlap(above.shape, shifts[step])
        np.copyto(stopped_at[here], np.int16(step), where=above[there] >= (step - 0.5) * per_pixel)
    down = np.arange(above.shape[0], dtype=np.int32)[:, None]
    right = np.arange(above.shape[1], dtype=np.int32)[None, :]
    rows, cols = down - shifts[stopped_at, 0], right - shifts[stopped_at, 1]
    ray, top = stopped_at * np.float32(per_pixel), above[rows, cols]
    side = top > ray + np.float32(0.5 * per_pixel + 1.5 * gsd)
    return View(rows, cols, np.where(side, ray, top).astype(np.float32), side)


def _overlap(shape: tuple[int, ...], shift: np.ndarray) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that a shift brings onto the plane, and those that it takes them from."""
    here = [slice(max(0, s), min(n, n + s)) for n, s in zip(shape, shift.tolist(), strict=True)]
    there = [slice(max(0, -s), min(n, n - s)) for n, s in zip(shape, shift.tolist(), strict=True)]
    return (here[0], here[1]), (there[0], there[1])


def _show_sides(seen: Seen, view: View, canvas: Canvas, character: Character) -> None:
    """Gives the sides of buildings a façade with windows, and all sides the light that falls on them."""
    walls = view.side & (seen.material == Material.ROOF)
    windows = _windows(view, canvas.gsd, character.lean)[walls]
    for plane, wall, glass in zip(seen.albedo, canvas.pick(character.facade), canvas.pick(GLASS), strict=True):
        front = np.float32(0.65) * wall + np.float32(0.35) * plane[walls]
        plane[walls] = np.where(windows, np.float32(0.3) * front + np.float32(0.7) * glass, front)
    sun, lean = character.sun, character.lean
    facing = -(lean.down * sun.down + lean.right * sun.right) / hypot(*lean)
    steep = max(0.0, facing) * cos(radians(sun.elevation)) / sin(radians(sun.elevation))
    seen.sunlight[walls] = np.float32(steep)
    seen.skylight[walls] = np.float32(0.6)


def _windows(view: View, gsd: float, lean: Lean) -> Bool[np.ndarray, "height width"]:
    """Where a façade has its windows, floor by floor."""
    aside = (view.cols * np.float32(lean.down) - view.rows * np.float32(lean.right)) * np.float32(gsd / hypot(*lean))
    floor = np.mod(view.above, FLOOR_M)
    return (floor > 1) & (floor < 2.4) & (np.mod(aside, 2.6) < 1.3)
