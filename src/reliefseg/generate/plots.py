"""Fills plots of ground: detached houses, terraces, slabs round courts, halls with car parks, parks."""

from __future__ import annotations

from math import pi

import numpy as np

from reliefseg.generate.draft import Draft, Parcel, Plot, parcels
from reliefseg.generate.objects import Building, Roof
from reliefseg.generate.spectra import SHEET_STEEL, SOIL, WATER, Material
from reliefseg.generate.streets import Pose

STOREY_M = 2.8
"""Height of a storey, metres."""


def fill_houses(draft: Draft, plot: Plot) -> None:
    """Detached houses with gardens, drives and garages."""
    for parcel in parcels(draft.rng, plot, 12.5, 21):
        if draft.rng.random() < 0.93:
            _detached(draft, parcel)
        else:
            _bed(draft, parcel, parcel.depth / 2, 0.6 * parcel.width, 0.5 * parcel.depth)
        if draft.rng.random() < 0.5:
            edge = draft.on(parcel, parcel.p1, parcel.depth * 0.62)
            _hedge(draft, edge.moved(0, 0, pi / 2), parcel.depth * 0.7)
    draft.scatter_trees(plot, 105, 2.6)


def _detached(draft: Draft, parcel: Parcel) -> None:
    """A house to one side of its parcel, a drive on the other, a garden behind."""
    rng = draft.rng
    length = min(parcel.width - 4.5, rng.uniform(8.5, 14))
    width = min(parcel.depth - 7, rng.uniform(8, 11.5))
    setback = rng.uniform(2.5, max(3.0, min(6.5, parcel.depth - width - 3)))
    side = 1 if rng.random() < 0.5 else -1
    middle = (parcel.p0 + parcel.p1) / 2 + side * max(0.0, (parcel.width - length) / 2 - 1.2)
    _house(draft, draft.on(parcel, middle, setback + width / 2), length, width)
    free = middle - side * (length / 2 + 0.2), parcel.p0 if side > 0 else parcel.p1
    _drive(draft, parcel, min(free), max(free), setback)
    _garden(draft, parcel, middle, setback + width)


def _house(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """One or two storeys under a roof of any shape, its ridge along the street or towards it."""
    rng = draft.rng
    roof = (Roof.FLAT, Roof.GABLE, Roof.HIP)[rng.choice(3, p=(0.16, 0.6, 0.24))]
    eave = 0.5 + STOREY_M * int(rng.integers(1, 3)) + rng.uniform(0, 0.5)
    spectrum = draft.flat_roof() if roof is Roof.FLAT else draft.tile_roof()
    chimney = rng.uniform(-0.35, 0.35) if roof is not Roof.FLAT and rng.random() < 0.75 else None
    if rng.random() < 0.3:
        pose, length, width = pose.moved(0, 0, pi / 2), width, length
    draft.add_building(Building(pose, length, width, eave, roof, rng.uniform(0.45, 1.0), spectrum, chimney))


def _drive(draft: Draft, parcel: Parcel, start: float, stop: float, setback: float) -> None:
    """A drive beside the house, with a garage at its end or a car on it or neither."""
    rng, width, middle = draft.rng, min(3.2, stop - start), (start + stop) / 2
    has_garage = width > 2.7 and rng.random() < 0.55
    length = setback + (1.0 if has_garage else 6.5)
    pose = draft.on(parcel, middle, length / 2).moved(0, 0, pi / 2)
    draft.add_paving(pose, length, width)
    if has_garage:
        garage = draft.on(parcel, middle, length + 3.1).moved(0, 0, pi / 2)
        draft.add_building(Building(garage, 6.2, width, 2.7, Roof.FLAT, 0.0, draft.flat_roof()))
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
        draft.add_surface(pool, 7.5, 4.2, Material.CLUTTER, draft.character.pavement)
        draft.add_surface(pool, 6.5, 3.2, Material.CLUTTER, WATER.varied(rng, 0.1, 0.05))
    elif room > 6 and rng.random() < 0.3:
        corner = draft.on(parcel, parcel.p0 + 2.6, parcel.depth - 2.0)
        draft.add_building(Building(corner, 3.4, 2.6, 2.3, Roof.GABLE, 0.35, draft.tile_roof()))


def _bed(draft: Draft, parcel: Parcel, inwards: float, length: float, width: float) -> None:
    pose = draft.on(parcel, draft.rng.uniform(parcel.p0 + 2, parcel.p1 - 2), inwards)
    draft.add_surface(pose, length, width, Material.SOIL, SOIL.varied(draft.rng, 0.15, 0.05))


def _hedge(draft: Draft, pose: Pose, length: float) -> None:
    rng = draft.rng
    spectrum = draft.character.leaves.varied(rng, 0.1, 0.05)
    draft.add_surface(pose, length, rng.uniform(0.6, 1.1), Material.HEDGE, spectrum, rng.uniform(0.9, 1.7))


def fill_terraces(draft: Draft, plot: Plot) -> None:
    """Houses wall to wall in rows of four to eight, small gardens behind."""
    for row in parcels(draft.rng, plot, 30, 50):
        _terrace(draft, row)
    draft.scatter_trees(plot, 95, 2.2)


def _terrace(draft: Draft, row: Parcel) -> None:
    rng = draft.rng
    width, setback = min(rng.uniform(8.5, 11), row.depth - 6), rng.uniform(1.0, 3.5)
    eave, pitch, colour = 0.4 + STOREY_M * int(rng.integers(2, 4)), rng.uniform(0.5, 0.9), draft.tile_roof()
    count = max(1, int((row.width - 4) / rng.uniform(5.6, 7.5)))
    unit, step = (row.width - 4) / count, rng.uniform(0, 0.35)
    for k in range(count):
        p = row.p0 + 2 + (k + 0.5) * unit
        pose = draft.on(row, p, setback + width / 2)
        shade = colour.varied(rng, 0.07, 0.02) if rng.random() < 0.85 else draft.tile_roof()
        chimney = -0.45 if rng.random() < 0.6 else None
        draft.add_building(Building(pose, unit + 0.4, width, eave + step * (k % 2), Roof.GABLE, pitch, shade, chimney))
        _narrow_garden(draft, row, p, setback + width, unit)


def _narrow_garden(draft: Draft, row: Parcel, p: float, behind: float, unit: float) -> None:
    """Behind a terraced house: paving, a hedge towards the neighbour, now and then a shed."""
    rng = draft.rng
    if rng.random() < 0.6:
        draft.add_paving(draft.on(row, p, behind + 1.4), unit * 0.8, 2.8)
    if rng.random() < 0.35:
        _hedge(draft, draft.on(row, p + unit / 2, behind + 3.5).moved(0, 0, pi / 2), 6.5)
    if row.depth > behind + 8 and rng.random() < 0.3:
        draft.add_building(
            Building(draft.on(row, p, row.depth - 1.6), 3.0, 2.4, 2.3, Roof.FLAT, 0.0, draft.flat_roof())
        )


def fill_courts(draft: Draft, plot: Plot) -> None:
    """Blocks of flats along the streets; between them lawns, trees and a paved court with cars."""
    for row in parcels(draft.rng, plot, 24, 42):
        _flats(draft, row)
    draft.scatter_trees(plot, 90, 3.1)


def _flats(draft: Draft, row: Parcel) -> None:
    rng = draft.rng
    width, setback = min(rng.uniform(10.5, 13.5), row.depth - 5), rng.uniform(0.5, 4)
    length = row.width - rng.uniform(3, 8)
    roof = (Roof.FLAT, Roof.GABLE, Roof.HIP)[rng.choice(3, p=(0.55, 0.31, 0.14))]
    eave = 0.8 + STOREY_M * int(rng.integers(3, 6))
    pose = draft.on(row, (row.p0 + row.p1) / 2, setback + width / 2)
    spectrum = draft.flat_roof() if roof is Roof.FLAT else draft.tile_roof()
    draft.add_building(Building(pose, length, width, eave, roof, rng.uniform(0.35, 0.7), spectrum))
    if roof is Roof.FLAT and rng.random() < 0.8:
        lift = pose.moved(rng.uniform(-0.3, 0.3) * length, 0)
        draft.add_building(Building(lift, 4.2, 3.4, eave + 2.4, Roof.FLAT, 0.0, spectrum.varied(rng, 0.2, 0.03)))
    room = row.depth - setback - width
    if room > 7.5 and rng.random() < 0.65:
        _car_park(draft, row, setback + width + 2 + (room - 2) / 2, length * rng.uniform(0.4, 0.8))


def _car_park(draft: Draft, row: Parcel, inwards: float, length: float) -> None:
    """A paved strip with stalls across it and, now and then, a container at its end."""
    rng, middle = draft.rng, (row.p0 + row.p1) / 2
    pose = draft.on(row, middle, inwards)
    draft.add_surface(pose, length, 5.6, Material.PAVING, draft.character.asphalt.varied(rng, 0.12, 0.03))
    _stalls(draft, pose, length - 3, draft.character.parked + 0.25)
    if rng.random() < 0.3:
        box = pose.moved(length / 2 - 1.3, 0, pi / 2)
        draft.add_surface(box, 4.5, 2.2, Material.CLUTTER, SHEET_STEEL.varied(rng, 0.25, 0.25), 2.3)


def _stalls(draft: Draft, pose: Pose, length: float, taken: float) -> None:
    """Cars side by side across a strip, 2.6 m each."""
    count = int(length / 2.6)
    for k in range(count):
        if draft.rng.random() < taken:
            at = pose.moved((k + 0.5) * 2.6 - length / 2, draft.rng.normal(0, 0.2))
            draft.add_car(at.moved(0, 0, pi / 2 + pi * int(draft.rng.random() < 0.3) + draft.rng.normal(0, 0.02)))


def fill_halls(draft: Draft, plot: Plot) -> None:
    """A large flat hall, rows of parking cars beside it, a planted strip of lawn; the open ground is asphalt."""
    rng = draft.rng
    row = Parcel(plot.p0, plot.p1, plot.q0, 1, plot.depth)
    length, width = plot.length * rng.uniform(0.45, 0.65) - 4, plot.depth - rng.uniform(6, 12)
    _hall(draft, draft.on(row, plot.p0 + 3 + length / 2, plot.depth / 2), length, width)
    left = plot.length - length - 8
    for inwards in np.arange(6.0, plot.depth - 5, 8.5).tolist():
        _stalls(draft, draft.on(row, plot.p1 - 2 - left / 2, inwards), left - 2, draft.character.parked + 0.15)
    verge = draft.on(row, plot.p1 - 1.2, plot.depth / 2).moved(0, 0, pi / 2)
    draft.add_surface(verge, plot.depth, 2.4, Material.LAWN, draft.character.lawn)
    draft.scatter_trees(Plot(plot.p1 - 2, plot.p1 - 0.5, plot.q0, plot.q1), 500, 2.2)


def _hall(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """A flat roof with a few vents on it."""
    rng, eave, spectrum = draft.rng, draft.rng.uniform(5, 9.5), draft.flat_roof()
    draft.add_building(Building(pose, length, width, eave, Roof.FLAT, 0.0, spectrum))
    for _ in range(rng.integers(0, 7)):
        vent = pose.moved(rng.uniform(-0.42, 0.42) * length, rng.uniform(-0.4, 0.4) * width)
        draft.add_building(Building(vent, 2.2, 1.6, eave + 1.1, Roof.FLAT, 0.0, spectrum.varied(rng, 0.3, 0.05)))


def fill_park(draft: Draft, plot: Plot) -> None:
    """Meadow with a path, trees alone and in groups."""
    rng = draft.rng
    row = Parcel(plot.p0, plot.p1, plot.q0, 1, plot.depth)
    path = draft.on(row, (plot.p0 + plot.p1) / 2, plot.depth * rng.uniform(0.3, 0.7))
    draft.add_paving(path.moved(0, 0, rng.normal(0, 0.12)), plot.length, 2.4)
    draft.scatter_trees(plot, 40, 3.5)
    for _ in range(rng.poisson(4)):
        _grove(draft, plot)


def _grove(draft: Draft, plot: Plot) -> None:
    """A group of four to eleven trees."""
    rng, spread = draft.rng, draft.rng.uniform(3, 8)
    middle = rng.uniform((plot.p0, plot.q0), (plot.p1, plot.q1))
    for _ in range(rng.integers(4, 12)):
        p, q = np.clip(middle + rng.normal(0, spread, 2), (plot.p0, plot.q0), (plot.p1, plot.q1)).tolist()
        draft.add_tree(draft.streets.place(p, q), 3.2)
