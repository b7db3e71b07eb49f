"""Puts houses into a draft with what is found on their roofs: dormers, wings, solar panels, air conditioners."""

from __future__ import annotations

from math import pi

from reliefseg.generate.draft import Draft
from reliefseg.generate.objects import Building, Patch, Roof
from reliefseg.generate.spectra import GLASS, METAL_ROOFS, SHEET_STEEL, SOLAR, Spectrum
from reliefseg.generate.streets import Pose

STOREY_M = 2.8
"""Height of a storey, metres."""
TILE_ROW_M = 0.34
"""Height of a row of roof tiles as seen from above, metres."""


def add_roofed(draft: Draft, pose: Pose, length: float, width: float, eave: float, roof: Roof) -> None:
    """A house under this shape of roof, in one of the scene's colours."""
    if roof is Roof.FLAT:
        add_flat(draft, pose, length, width, eave, draft.flat_roof())
    else:
        add_pitched(draft, pose, length, width, eave, roof, draft.tile_roof())


def add_pitched(
    draft: Draft, pose: Pose, length: float, width: float, eave: float, roof: Roof, spectrum: Spectrum
) -> None:
    """A house under a tiled roof, its ridge along its longer side; chimney, dormers, solar panels by chance."""
    rng = draft.rng
    if width > length:
        pose, length, width = pose.moved(0, 0, pi / 2), width, length
    pitch = min(rng.uniform(0.4, 1.05), 7 / width)
    chimney = rng.uniform(-0.4, 0.4) if rng.random() < 0.65 else None
    house = Building(pose, length, width, eave, roof, pitch, spectrum, chimney, rows=TILE_ROW_M)
    draft.add_building(house._replace(patches=tuple(_on_slope(draft, house))))
    if pitch > 0.55 and rng.random() < 0.35:
        _dormers(draft, house)


def add_wing(draft: Draft, pose: Pose, length: float, width: float, eave: float, aside: float) -> None:
    """An L- or T-shaped house: a second roof across the first, at a side."""
    rng, spectrum, pitch = draft.rng, draft.tile_roof(), draft.rng.uniform(0.45, 0.95)
    main = Building(pose, length, width, eave, Roof.GABLE, pitch, spectrum, rng.uniform(-0.3, 0.3), rows=TILE_ROW_M)
    narrow = width * rng.uniform(0.6, 0.95)
    reach = width / 2 + aside
    shift = float(rng.choice((-1.0, 1.0, 0.2))) * max(0.0, length - narrow) / 2
    at = pose.moved(shift, reach / 2, pi / 2)
    wing = Building(at, reach, narrow, eave, Roof.GABLE, pitch, spectrum, foot=pose, rows=TILE_ROW_M)
    draft.add_building(main)
    draft.add_building(wing)


def _dormers(draft: Draft, house: Building) -> None:
    """One to five dormers in a row on one side or both."""
    rng = draft.rng
    count, wide = int(rng.integers(1, max(2, min(6, int(house.length / 3))))), rng.uniform(1.3, 2.6)
    roof = Roof.FLAT if rng.random() < 0.3 else Roof.GABLE
    for side in (-1, 1) if rng.random() < 0.5 else (1,):
        for k in range(count):
            along = ((k + 0.5) / count - 0.5) * house.length * 0.85
            deep = house.width * 0.36
            at = house.pose.moved(along, side * (house.width / 2 - 0.7 - deep / 2), pi / 2)
            eave = house.eave + house.pitch * 0.7 + 1.0
            draft.add_building(
                Building(at, deep, wide, eave, roof, 0.5, house.spectrum, foot=house.pose, rows=TILE_ROW_M)
            )


def _on_slope(draft: Draft, house: Building) -> list[Patch]:
    """Solar panels or roof windows on one slope, where there are any."""
    rng, patches = draft.rng, []
    side = 1 if rng.random() < 0.5 else -1
    slope = house.width / 2
    if rng.random() < 0.14 and house.roof is Roof.GABLE:
        long, deep = house.length * rng.uniform(0.3, 0.85), slope * rng.uniform(0.4, 0.8)
        patches.append(Patch(0, side * slope * 0.5, long, deep, SOLAR.varied(rng, 0.15, 0.1), 0.05))
    for _ in range(rng.poisson(0.8)):
        along, across = rng.uniform(-0.35, 0.35) * house.length, -side * slope * rng.uniform(0.35, 0.7)
        patches.append(Patch(along, across, 0.9, 1.1, GLASS))
    return patches


def add_flat(draft: Draft, pose: Pose, length: float, width: float, eave: float, spectrum: Spectrum) -> None:
    """A flat roof with parapet, and on larger ones what technology puts there."""
    flat = Building(pose, length, width, eave, Roof.FLAT, 0.0, spectrum)
    patches = _on_flat(draft, flat) if length * width > 60 else []
    draft.add_building(flat._replace(patches=tuple(patches)))


def _on_flat(draft: Draft, flat: Building) -> list[Patch]:
    """Repairs, skylights, air conditioners, rows of solar panels, a lift's housing: each by chance."""
    rng, area = draft.rng, flat.length * flat.width
    patches: list[Patch] = []
    for _ in range(rng.poisson(0.7)):
        large = (flat.length * rng.uniform(0.15, 0.5), flat.width * rng.uniform(0.2, 0.6))
        patches.append(_anywhere(draft, flat, *large, flat.spectrum.varied(rng, 0.15, 0.03), 0.0))
    if rng.random() < 0.2:
        patches += _solar_rows(draft, flat)
    for _ in range(min(40, rng.poisson(area / 110 * rng.uniform(0, 1.3)))):
        steel = SHEET_STEEL.towards(METAL_ROOFS[0], rng.uniform(0, 1.2)).varied(rng, 0.15, 0.04)
        size = rng.uniform(0.8, 2.6), rng.uniform(0.7, 1.6)
        patches.append(_anywhere(draft, flat, *size, steel, rng.uniform(0.5, 1.5)))
    if area > 150 and rng.random() < 0.6:
        size = rng.uniform(3, 6), rng.uniform(3, 5)
        patches.append(_anywhere(draft, flat, *size, flat.spectrum.varied(rng, 0.2, 0.03), 2.5))
    return patches


def _anywhere(draft: Draft, flat: Building, length: float, width: float, spectrum: Spectrum, rise: float) -> Patch:
    """A patch at a random place of a roof, not over its edge."""
    room = max(0.0, flat.length - length - 1) / 2, max(0.0, flat.width - width - 1) / 2
    along, across = draft.rng.uniform(-room[0], room[0]), draft.rng.uniform(-room[1], room[1])
    return Patch(along, across, min(length, flat.length - 1), min(width, flat.width - 1), spectrum, rise)


def _solar_rows(draft: Draft, flat: Building) -> list[Patch]:
    """Rows of solar panels over part of a roof."""
    rng, pitch = draft.rng, draft.rng.uniform(1.6, 2.4)
    long, start = flat.length * rng.uniform(0.3, 0.8), -flat.width * rng.uniform(0.2, 0.4)
    shift = rng.uniform(-1, 1) * (flat.length - long) / 2 * 0.8
    rows = int(min(20, (flat.width * 0.4 - start) / pitch))
    return [Patch(shift, start + k * pitch, long, 1.1, SOLAR.varied(rng, 0.05, 0.02), 0.35) for k in range(rows)]
