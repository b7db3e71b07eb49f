"""Draws objects into a canvas: what each looks like from above and how high it is."""

from __future__ import annotations

from math import pi, sin

import numpy as np
from jaxtyping import Float32

from reliefseg.generate.canvas import Canvas, Stencil
from reliefseg.generate.crowns import Foliage, draw_crowns
from reliefseg.generate.noise import value_noise
from reliefseg.generate.objects import Blob, Building, Car, Patch, Roof, Surface, TownPlan
from reliefseg.generate.spectra import GLASS, TEXTURES, Material, Spectrum
from reliefseg.generate.streets import Pose

STREET = (Material.ASPHALT, Material.MARKING, Material.PAVEMENT)
PARAPET_M, PARAPET_WIDE_M = 0.25, 0.3
"""Height and width of the parapet about a flat roof, metres."""
FRAYED = {Material.SAND: 0.22, Material.LAWN: 0.15, Material.WATER: 0.03}
"""How far a blob's outline strays, relative to its size."""


def draw_town(canvas: Canvas, plan: TownPlan, rng: np.random.Generator) -> Foliage:
    """Draws everything that stands in the plan, crowns of trees last; gives back what these do to the light."""
    drift = value_noise(rng, canvas.shape, 5 / canvas.gsd) + 0.3 * value_noise(rng, canvas.shape, 0.8 / canvas.gsd)
    for blob in plan.blobs:
        draw_blob(canvas, blob, drift)
    for surface in plan.surfaces:
        draw_surface(canvas, surface)
    for car in plan.cars:
        draw_car(canvas, car)
    for building in plan.buildings:
        draw_building(canvas, building)
    return draw_crowns(canvas, plan.trees, rng)


def draw_surface(canvas: Canvas, surface: Surface) -> None:
    """A rectangle of another material, as high above the ground as it says."""
    stencil = canvas.stencil(surface.pose, surface.length / 2, surface.width / 2)
    if stencil is None or (surface.material is Material.MARKING and surface.width < canvas.gsd / 2):
        return
    where = _within(stencil, surface.length / 2, surface.width / 2)
    shade = _ripples(stencil.across, surface.rows, canvas.gsd)
    canvas.paint(stencil, where, surface.material, surface.spectrum, shade)
    canvas.lift(stencil, where, canvas.ground[stencil.at] + np.float32(surface.height))


def draw_blob(canvas: Canvas, blob: Blob, drift: Float32[np.ndarray, "height width"]) -> None:
    """A patch of another ground with a wavy, frayed outline; streets run over it."""
    stencil = canvas.stencil(blob.pose, blob.length / 2 * 1.4, blob.width / 2 * 1.4)
    if stencil is None:
        return
    along, across = stencil.along / np.float32(blob.length / 2), stencil.across / np.float32(blob.width / 2)
    bearing, (phase, swing) = np.arctan2(across, along), blob.lobes
    outline = 1 + swing * (np.sin(2 * bearing + phase) + 0.5 * np.sin(3 * bearing - 2 * phase))
    frayed = np.minimum(outline, 1.25) + FRAYED[blob.material] * drift[stencil.at]
    where = (np.hypot(along, across) < frayed) & ~np.isin(canvas.material[stencil.at], STREET)
    canvas.paint(stencil, where, blob.material, blob.spectrum)


def draw_building(canvas: Canvas, building: Building) -> None:
    """A roof of one shape over a rectangle, level on sloping ground, where nothing higher is; what lies on it."""
    half = building.length / 2, building.width / 2
    stencil = canvas.stencil(building.pose, *half)
    if stencil is None:
        return
    foot = building.foot or building.pose
    base = canvas.ground[canvas.pixel(foot.down, foot.right)]
    elevation = base + roof_heights(building, stencil, canvas.gsd)
    where = _within(stencil, *half) & (elevation > canvas.surface[stencil.at])
    canvas.paint(stencil, where, Material.ROOF, building.spectrum, _aged(building, stencil, canvas.gsd))
    canvas.lift(stencil, where, elevation)
    for patch in building.patches:
        _draw_patch(canvas, building.pose, patch)
    if building.chimney is not None:
        _draw_chimney(canvas, building, building.chimney, base)


def roof_heights(building: Building, stencil: Stencil, gsd: float) -> Float32[np.ndarray, "height width"]:
    """Metres from a building's foot to its roof; a parapet counts by its share of a pixel, if not much narrower."""
    inwards = building.width / 2 - np.abs(stencil.across)
    if building.roof is Roof.FLAT:
        if gsd > PARAPET_WIDE_M / 2:
            return np.full_like(inwards, building.eave)
        edge = np.minimum(inwards, building.length / 2 - np.abs(stencil.along))
        return (building.eave + PARAPET_M * np.clip(0.5 + (PARAPET_WIDE_M - edge) / gsd, 0, 1)).astype(np.float32)
    if building.roof is Roof.HIP:
        inwards = np.minimum(inwards, building.length / 2 - np.abs(stencil.along))
    return (building.eave + building.pitch * np.maximum(inwards, 0)).astype(np.float32)


def _ripples(
    across: Float32[np.ndarray, "height width"], rows: float, gsd: float
) -> Float32[np.ndarray, "height width"] | None:
    """The light and dark of rows so many metres apart, where pixels are small enough to show them."""
    if gsd > rows / 2.5:
        return None
    return 1 + np.float32(0.06) * np.sin(across * np.float32(2 * pi / rows))


def _aged(building: Building, stencil: Stencil, gsd: float) -> Float32[np.ndarray, "height width"] | None:
    """Light and dark of a pitched roof: rows, stains that run down its slopes, its ridge; None for a flat one."""
    if building.roof is Roof.FLAT:
        return None
    own = building.pose.down * 7 + building.pose.right * 3
    stains = np.sin(stencil.along * np.float32(2.3) + np.float32(own))
    stains *= np.sin(stencil.along * np.float32(0.71) + np.float32(2 * own))
    shade = 1 + np.float32(0.09 * abs(sin(own))) * stains
    ridge = np.abs(stencil.across) < max(0.16, 0.4 * gsd)
    shade[ridge] *= np.float32(1 + 0.2 * sin(5 * own))
    rows = _ripples(stencil.across, building.rows, gsd)
    return shade if rows is None else shade * rows


def _draw_patch(canvas: Canvas, house: Pose, patch: Patch) -> None:
    """Something on a roof, lifted above what is there."""
    half = patch.length / 2, patch.width / 2
    stencil = canvas.stencil(house.moved(patch.along, patch.across), *half)
    if stencil is None:
        return
    where = _within(stencil, *half) & (canvas.material[stencil.at] == Material.ROOF)
    canvas.paint(stencil, where, Material.ROOF, patch.spectrum)
    canvas.lift(stencil, where, canvas.surface[stencil.at] + np.float32(patch.rise))


def _draw_chimney(canvas: Canvas, building: Building, at: float, base: np.float32) -> None:
    pose = building.pose.moved(at * building.length * (building.roof is Roof.GABLE), 0.7)
    stencil = canvas.stencil(pose, 0.45, 0.35)
    if stencil is None:
        return
    where = _within(stencil, 0.45, 0.35)
    canvas.paint(stencil, where, Material.ROOF, building.spectrum.towards(Spectrum(0.2, 0.16, 0.13, 0.12), 0.7))
    top = base + np.float32(building.eave + building.pitch * building.width / 2 + 0.6)
    canvas.lift(stencil, where, np.full_like(stencil.along, top))


def draw_car(canvas: Canvas, car: Car) -> None:
    """Bonnet, windows and roof; on whatever lies there."""
    half = car.length / 2, car.width / 2
    stencil = canvas.stencil(car.pose, *half)
    if stencil is None:
        return
    ahead, aside = np.abs(stencil.along) / half[0], np.abs(stencil.across) / half[1]
    where = (ahead**4 + aside**4 < 1.15) & (ahead < 1) & (aside < 1)
    canvas.paint(stencil, where, Material.CAR, car.spectrum)
    position = stencil.along / half[0]
    cabin = (position > -0.82) & (position < 0.35) & (aside < 0.9)
    roof = (position > -0.55) & (position < 0.05) & (aside < 0.78)
    canvas.paint(stencil, where & cabin & ~roof, Material.CAR, GLASS)
    height = np.where(roof, 1.48, np.where(cabin, 1.25, 0.92)).astype(np.float32)
    canvas.lift(stencil, where, canvas.ground[stencil.at] + height)


def weather(canvas: Canvas, rng: np.random.Generator) -> None:
    """Gives each material its texture: fine grain, patches of half a metre, patches of several metres."""
    factor = np.ones(canvas.shape, np.float32)
    for strength, cell_m in zip(TEXTURES.T, (0.12, 0.6, 7.0), strict=True):
        factor += strength[canvas.material] * value_noise(rng, canvas.shape, cell_m / canvas.gsd)
    canvas.albedo[:] *= np.maximum(factor, 0.3)


def _within(stencil: Stencil, half_along: float, half_across: float) -> np.ndarray:
    return (np.abs(stencil.along) <= half_along) & (np.abs(stencil.across) <= half_across)
