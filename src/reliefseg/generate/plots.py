"""Fills plots where people live: detached houses, terraces, blocks of flats on lawns."""

from __future__ import annotations

from math import pi

from reliefseg.generate.dense import car_park
from reliefseg.generate.draft import Draft, Parcel, Plot, parcels
from reliefseg.generate.gardens import lay_gardens, lay_skirt, lay_slabs
from reliefseg.generate.objects import Building, Roof
from reliefseg.generate.roofs import STOREY_M, TILE_ROW_M, add_flat, add_roofed, add_wing
from reliefseg.generate.spectra import POOL, SOIL, TWIGS, Material
from reliefseg.generate.streets import Pose


def fill_houses(draft: Draft, plot: Plot) -> None:
    """Detached houses with gardens, drives and garages."""
    least = draft.rng.uniform(12.5, 19)
    cut = parcels(draft.rng, plot, least, 1.6 * least)
    lay_gardens(draft, cut)
    for parcel in cut:
        if draft.rng.random() < 0.93:
            _detached(draft, parcel)
        else:
            _bed(draft, parcel, parcel.depth / 2, 0.6 * parcel.width, 0.5 * parcel.depth)
        if draft.rng.random() < 0.5:
            edge = draft.on(parcel, parcel.p1, parcel.depth * 0.62)
            _hedge(draft, edge.moved(0, 0, pi / 2), parcel.depth * 0.7)
    draft.scatter_trees(plot, 105, 2.6)
    draft.scatter_shrubs(plot, 160)


def _detached(draft: Draft, parcel: Parcel) -> None:
    """A house to one side of its parcel, a drive on the other, a garden behind."""
    rng = draft.rng
    length = min(parcel.width - 4.5, rng.uniform(8.5, 14))
    width = min(parcel.depth - 7, rng.uniform(8, 11.5))
    setback = rng.uniform(2.5, max(3.0, min(6.5, parcel.depth - width - 3)))
    side = 1 if rng.random() < 0.5 else -1
    middle = (parcel.p0 + parcel.p1) / 2 + side * max(0.0, (parcel.width - length) / 2 - 1.2)
    at = draft.on(parcel, middle, setback + width / 2)
    lay_skirt(draft, at, length, width)
    _house(draft, at, length, width)
    free = middle - side * (length / 2 + 0.2), parcel.p0 if side > 0 else parcel.p1
    _drive(draft, parcel, min(free), max(free), setback)
    _garden(draft, parcel, middle, setback + width)


def _house(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """One or two storeys under a roof of any shape, its ridge along the street or towards it; at times with a wing."""
    rng = draft.rng
    eave = 0.5 + STOREY_M * int(rng.integers(1, 3)) + rng.uniform(0, 0.5)
    if rng.random() < draft.character.flat_share:
        add_flat(draft, pose, length, width, eave + 0.3, draft.flat_roof())
        if rng.random() < 0.3:
            add_flat(draft, pose.moved(length * 0.2, 0), length * 0.5, width * 0.8, eave + 3.0, draft.flat_roof())
    elif rng.random() < 0.25:
        add_wing(draft, pose, length, min(width, 8.5), eave, rng.uniform(1.5, 4))
    else:
        turned = pi / 2 * int(rng.random() < 0.3)
        roof = Roof.GABLE if rng.random() < 0.7 else Roof.HIP
        sides = (width, length) if turned else (length, width)
        add_roofed(draft, pose.moved(0, 0, turned), *sides, eave, roof)


def _drive(draft: Draft, parcel: Parcel, start: float, stop: float, setback: float) -> None:
    """A drive beside the house, with a garage at its end or a car on it or neither."""
    rng, width, middle = draft.rng, min(3.2, stop - start), (start + stop) / 2
    has_garage = width > 2.7 and rng.random() < 0.55
    length = setback + (1.0 if has_garage else 6.5)
    pose = draft.on(parcel, middle, length / 2).moved(0, 0, pi / 2)
    draft.add_paving(pose, length, width)
    if has_garage:
        garage = draft.on(parcel, middle, length + 3.1).moved(0, 0, pi / 2)
        if draft.fits(garage, 6.2, width):
            add_flat(draft, garage, 6.2, width, 2.7, draft.flat_roof())
    if length > 5.2 and rng.random() < 0.5:
        draft.add_car(draft.on(parcel, middle, length - 2.6).moved(0, rng.normal(0, 0.1), pi / 2))


def _garden(draft: Draft, parcel: Parcel, middle: float, behind: float) -> None:
    """What lies behind a house: terrace, beds, now and then a pool or a shed."""
    rng, room = draft.rng, parcel.depth - behind
    if room > 4 and rng.random() < 0.7:
        terrace = draft.on(parcel, middle + rng.uniform(-2, 2), behind + 1.6)
        draft.add_paving(terrace, rng.uniform(3.5, 6), 3.6)
    if room > 7 and rng.random() < 0.35:
        _bed(draft, parcel, behind + room * 0.7, rng.uniform(2, 5), rng.uniform(1.5, 3))
    if room > 9 and rng.random() < 0.1:
        pool = draft.on(parcel, middle, behind + room * 0.55)
        if draft.fits(pool, 7.5, 4.2):
            draft.add_surface(pool, 7.5, 4.2, Material.CLUTTER, draft.character.pavement)
            draft.add_surface(pool, 6.5, 3.2, Material.CLUTTER, POOL.varied(rng, 0.1, 0.05))
    elif room > 6 and rng.random() < 0.3:
        corner = draft.on(parcel, parcel.p0 + 2.6, parcel.depth - 2.0)
        if draft.fits(corner, 3.4, 2.6):
            draft.add_building(Building(corner, 3.4, 2.6, 2.3, Roof.GABLE, 0.35, draft.tile_roof()))


def _bed(draft: Draft, parcel: Parcel, inwards: float, length: float, width: float) -> None:
    pose = draft.on(parcel, draft.rng.uniform(parcel.p0 + 2, parcel.p1 - 2), inwards)
    draft.add_surface(pose, length, width, Material.SOIL, SOIL.varied(draft.rng, 0.15, 0.05))


def _hedge(draft: Draft, pose: Pose, length: float) -> None:
    rng = draft.rng
    own = TWIGS if draft.is_bare(0.5) else draft.character.leaves
    spectrum = own.varied(rng, 0.1, 0.05)
    draft.add_surface(pose, length, rng.uniform(0.6, 1.1), Material.HEDGE, spectrum, rng.uniform(0.9, 1.7))


def fill_terraces(draft: Draft, plot: Plot) -> None:
    """Houses wall to wall in rows of four to eight, small gardens behind."""
    for row in parcels(draft.rng, plot, 30, 50):
        _terrace(draft, row)
    draft.scatter_trees(plot, 95, 2.2)
    draft.scatter_shrubs(plot, 160)


def _terrace(draft: Draft, row: Parcel) -> None:
    rng = draft.rng
    width, setback = min(rng.uniform(8.5, 11), row.depth - 6), rng.uniform(1.0, 3.5)
    eave, pitch, colour = 0.4 + STOREY_M * int(rng.integers(2, 4)), rng.uniform(0.5, 0.9), draft.tile_roof()
    count = max(1, int((row.width - 4) / rng.uniform(5.6, 7.5)))
    unit, step = (row.width - 4) / count, rng.uniform(0, 0.35)
    starts = [row.p0 + 2 + k * unit for k in range(count)]
    lay_gardens(draft, [row._replace(p0=start, p1=start + unit) for start in starts])
    for k in range(count):
        p = row.p0 + 2 + (k + 0.5) * unit
        pose = draft.on(row, p, setback + width / 2)
        shade = colour.varied(rng, 0.07, 0.02) if rng.random() < 0.85 else draft.tile_roof()
        chimney = -0.45 if rng.random() < 0.6 else None
        own = eave + step * (k % 2)
        draft.add_building(Building(pose, unit + 0.4, width, own, Roof.GABLE, pitch, shade, chimney, rows=TILE_ROW_M))
        _narrow_garden(draft, row, p, setback + width, unit)


def _narrow_garden(draft: Draft, row: Parcel, p: float, behind: float, unit: float) -> None:
    """Behind a terraced house: paving, a hedge towards the neighbour, now and then a shed."""
    rng = draft.rng
    if rng.random() < 0.6:
        draft.add_paving(draft.on(row, p, behind + 1.4), unit * 0.8, 2.8)
    if rng.random() < 0.35:
        _hedge(draft, draft.on(row, p + unit / 2, behind + 3.5).moved(0, 0, pi / 2), 6.5)
    if row.depth > behind + 8 and rng.random() < 0.3:
        shed = draft.on(row, p, row.depth - 1.6)
        if draft.fits(shed, 3.0, 2.4):
            add_flat(draft, shed, 3.0, 2.4, 2.3, draft.flat_roof())


def fill_courts(draft: Draft, plot: Plot) -> None:
    """Blocks of flats along the streets; between them lawns, trees and a paved court with cars."""
    cut = parcels(draft.rng, plot, 24, 42)
    lay_gardens(draft, cut)
    for row in cut:
        _flats(draft, row)
    lay_slabs(draft, plot, 15)
    draft.scatter_trees(plot, 90, 3.1)
    draft.scatter_shrubs(plot, 70)


def _flats(draft: Draft, row: Parcel) -> None:
    rng = draft.rng
    width, setback = min(rng.uniform(10.5, 13.5), row.depth - 5), rng.uniform(0.5, 4)
    length = row.width - rng.uniform(3, 8)
    eave = 0.8 + STOREY_M * max(2, round(rng.uniform(*draft.character.look.storeys)))
    pose = draft.on(row, (row.p0 + row.p1) / 2, setback + width / 2)
    flat, fitting = rng.random() < 0.25 + draft.character.flat_share, draft.shrunk(pose, length, width)
    if fitting is None:
        return
    add_roofed(draft, pose, *fitting, eave, Roof.FLAT if flat else (Roof.GABLE, Roof.HIP)[rng.integers(2)])
    room = row.depth - setback - width
    if room > 7.5 and rng.random() < 0.65:
        behind = draft.on(row, (row.p0 + row.p1) / 2, setback + width + 2 + (room - 2) / 2)
        car_park(draft, behind, length * rng.uniform(0.4, 0.8), 5.6)
