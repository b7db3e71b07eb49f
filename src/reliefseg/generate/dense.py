"""Fills plots of the dense town: closed blocks round courtyards, slabs and towers, halls, squares."""

from __future__ import annotations

from math import pi

import numpy as np

from reliefseg.generate.draft import SHRINKS, Draft, Parcel, Plot
from reliefseg.generate.gardens import lay_court, lay_slabs
from reliefseg.generate.objects import Building, Patch, Roof
from reliefseg.generate.roofs import STOREY_M, TILE_ROW_M, add_flat, add_pitched
from reliefseg.generate.spectra import METAL_ROOFS, SHEET_STEEL, Material, Spectrum
from reliefseg.generate.streets import Pose


def fill_perimeter(draft: Draft, plot: Plot) -> None:
    """Houses wall to wall round a block; low back buildings, trees and cars in its court."""
    rng, look = draft.rng, draft.character.look
    deep = min(rng.uniform(8.5, 13.5), plot.depth / 2.2)
    storeys = rng.uniform(*look.storeys)
    for front, into in ((plot.q0, 1), (plot.q1, -1)):
        _frontage(draft, Parcel(plot.p0, plot.p1, front, into, plot.depth), deep, storeys)
    if plot.depth > 2.6 * deep:
        for end, into in ((plot.p0, 1), (plot.p1, -1)):
            _end(draft, plot, end + into * deep / 2, deep, storeys)
    _court(draft, Plot(plot.p0 + deep, plot.p1 - deep, plot.q0 + deep, plot.q1 - deep))


def _frontage(draft: Draft, row: Parcel, deep: float, storeys: float) -> None:
    """Houses of different width, height and colour along a street."""
    rng, at = draft.rng, row.p0
    while row.p1 - at > 4:
        width = min(rng.uniform(7, 24), row.p1 - at)
        if row.p1 - at - width < 6:
            width = row.p1 - at
        if rng.random() < 0.96:
            own = deep * rng.uniform(0.85, 1.1)
            _town_house(draft, draft.on(row, at + width / 2, own / 2), width + 0.3, own, storeys)
        at += width


def _end(draft: Draft, plot: Plot, p: float, deep: float, storeys: float) -> None:
    """The houses along a block's short side."""
    rng, at, stop = draft.rng, plot.q0 + deep, plot.q1 - deep
    while stop - at > 4:
        width = min(rng.uniform(8, 22), stop - at)
        if rng.random() < 0.85:
            pose = draft.streets.place_across(p, at + width / 2)
            _town_house(draft, pose, width + 0.3, deep, storeys)
        at += width


def _town_house(draft: Draft, pose: Pose, length: float, width: float, storeys: float) -> None:
    """One house of a closed row, its ridge along the street; narrower where it would reach into another street."""
    rng = draft.rng
    length *= next((by for by in SHRINKS if draft.off_streets(pose, length * by - 1, width - 1)), 0)
    if length < 4:
        return
    eave = 1.0 + 3.0 * max(1, round(storeys + rng.normal(0, 0.6)))
    if rng.random() < draft.character.flat_share:
        add_flat(draft, pose, length, width, eave, draft.flat_roof())
        return
    pitch, chimney = min(rng.uniform(0.4, 1.1), 6 / width), rng.uniform(-0.45, 0.45)
    draft.add_building(
        Building(pose, length, width, eave, Roof.GABLE, pitch, draft.tile_roof(), chimney, rows=TILE_ROW_M)
    )


def _court(draft: Draft, court: Plot) -> None:
    """The inside of a block: paved or green, with back buildings."""
    rng = draft.rng
    if court.length < 4 or court.depth < 4:
        return
    green = rng.random() < 0.4
    if green:
        draft.add_yard(court, *draft.character.yard)
    if court.depth > 9 and rng.random() < 0.7:
        car_park(draft, draft.middle(court), court.length * 0.7, 7)
    for _ in range(rng.poisson(court.length * court.depth / 200)):
        size = min(rng.uniform(5, 14), court.length - 1), min(rng.uniform(4, 8), court.depth - 1)
        place = draft.anywhere(court)
        if room := draft.shrunk(place, *size):
            add_flat(draft, place, *room, rng.uniform(2.6, 7), draft.flat_roof())
    lay_slabs(draft, court, 60)
    draft.scatter_trees(court, 175 if green else 45, 2.7)


def fill_slabs(draft: Draft, plot: Plot) -> None:
    """Tall slabs or towers on open ground, with a car park, paths and trees."""
    rng = draft.rng
    tower = rng.random() < 0.4
    size = (rng.uniform(16, 26), rng.uniform(15, 22)) if tower else (rng.uniform(30, 75), rng.uniform(10.5, 13.5))
    apart = size[1] + rng.uniform(18, 34), size[0] + rng.uniform(14, 26)
    storeys = rng.uniform(*draft.character.look.storeys) * (1.3 if tower else 1)
    turned = pi / 2 * int(rng.random() < 0.3)
    step_q, step_p = apart if not turned else apart[::-1]
    for q in np.arange(plot.q0 + step_q / 2, plot.q1 - step_q / 3, step_q).tolist():
        for p in np.arange(plot.p0 + step_p / 2, plot.p1 - step_p / 3, step_p).tolist():
            _slab(draft, draft.streets.place(p, q).moved(0, 0, turned), size, storeys)
    draft.add_paving(draft.middle(plot).moved(0, 0, rng.normal(0, 0.3)), plot.length * 0.9, 2.2)
    if rng.random() < 0.8:
        beside = draft.streets.place((plot.p0 + plot.p1) / 2, plot.q1 - 8.5)
        car_park(draft, beside, min(plot.length - 8, 70), 16)
    if rng.random() < 0.35:
        lay_court(draft, draft.anywhere(plot))
    lay_slabs(draft, plot, 12)
    draft.scatter_trees(plot, 75, 3.2)


def _slab(draft: Draft, pose: Pose, size: tuple[float, float], storeys: float) -> None:
    """A block of flats under a flat roof, now and then under a low tiled one."""
    rng, room = draft.rng, draft.shrunk(pose, *size)
    if room is None:
        return
    size = room
    eave = 1.2 + STOREY_M * max(3, round(storeys + rng.normal(0, 0.8)))
    if eave < 18 and rng.random() > 0.35 + draft.character.flat_share:
        add_pitched(draft, pose, *size, eave, Roof.HIP, draft.tile_roof())
    else:
        add_flat(draft, pose, *size, eave, draft.flat_roof())
        if rng.random() < 0.4:
            add_flat(draft, pose, size[0] * 0.55, size[1] * 0.7, eave + 3, draft.flat_roof())


def car_park(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """A paved strip where there is room, with stalls to both sides if it is broad; at times a container at its end."""
    rng, room = draft.rng, draft.shrunk(pose, length, width)
    if room is None or room[1] < 5:
        return
    length, width = room
    draft.add_surface(pose, length, width, Material.PAVING, draft.character.asphalt.varied(rng, 0.12, 0.03))
    if rng.random() < 0.3:
        container(draft, pose.moved(length / 2 - 1.3, 0, pi / 2))
    for side in (-1, 1) if width > 13 else (0,):
        stalls(draft, pose.moved(0, side * (width / 2 - 2.6)), length - 3, draft.character.parked + 0.2)
    draft.room.take(pose, length, width)


def container(draft: Draft, pose: Pose) -> None:
    """A steel box, where there is room for one."""
    paint = SHEET_STEEL.towards(_metal(draft), draft.rng.uniform(0, 1))
    length = float(draft.rng.choice((6.1, 6.1, 12.2)))
    if draft.fits(pose, length, 2.45):
        draft.add_surface(pose, length, 2.45, Material.CLUTTER, paint, 2.6)


def stalls(draft: Draft, pose: Pose, length: float, taken: float) -> None:
    """Bays side by side across a strip, 2.6 m × 5 m each, between lines, with cars in some; none where no room is."""
    for k in range(int(length / 2.6)):
        at = pose.moved((k + 0.5) * 2.6 - length / 2, 0)
        if not draft.room.free(at, 2.5, 5.0) or not draft.off_streets(at, 2.6, 5.0):
            continue
        draft.room.take(at, 2.6, 5.0)
        for side in (-1.3, 1.3):
            draft.add_line(at.moved(side, 0, pi / 2), 4.8)
        if draft.rng.random() < taken:
            turned = pi / 2 + pi * int(draft.rng.random() < 0.3) + draft.rng.normal(0, 0.02)
            draft.park(at.moved(0, float(np.clip(draft.rng.normal(0, 0.2), -0.4, 0.4)), turned))


def fill_halls(draft: Draft, plot: Plot) -> None:
    """Large halls, rows of parking cars or containers beside them, a planted verge; the open ground is asphalt."""
    rng, at = draft.rng, plot.p0 + 3
    while plot.p1 - at > 22:
        length = min(rng.uniform(18, 75), plot.p1 - at - 4)
        width = plot.depth * rng.uniform(0.45, 0.85)
        edge = plot.q0 + 3 if rng.random() < 0.5 else plot.q1 - 3 - width
        _hall(draft, draft.streets.place(at + length / 2, edge + width / 2), length, width)
        at += length + rng.uniform(4, 10)
        if plot.p1 - at > 12 and rng.random() < 0.6:
            room = min(rng.uniform(12, 45), plot.p1 - at - 2)
            _apron(draft, Plot(at, at + room, plot.q0 + 3, plot.q1 - 3))
            at += room + 4
    verge = draft.streets.place(plot.p1 - 1.0, (plot.q0 + plot.q1) / 2).moved(0, 0, pi / 2)
    draft.add_surface(verge, plot.depth, 2.0, *draft.character.yard)
    lay_slabs(draft, plot, rng.uniform(5, 60))
    draft.scatter_trees(Plot(plot.p1 - 2, plot.p1 - 0.5, plot.q0, plot.q1), 500, 2.2)


def _apron(draft: Draft, apron: Plot) -> None:
    """Open ground beside a hall: cars in rows, or goods and containers."""
    rng, middle = draft.rng, (apron.p0 + apron.p1) / 2
    if rng.random() < 0.65:
        taken = draft.character.parked + rng.uniform(-0.1, 0.4)
        for q in np.arange(apron.q0 + 3, apron.q1 - 2, 8.5).tolist():
            stalls(draft, draft.streets.place(middle, q), apron.length - 1, taken)
        draft.room.take(draft.middle(apron), apron.length, apron.depth)
        return
    for _ in range(rng.poisson(apron.length * apron.depth / 130)):
        container(draft, draft.anywhere(apron).moved(0, 0, pi / 2 * int(rng.integers(2))))


def _hall(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """A flat membrane roof, or one or more bays of ribbed metal with strips of skylight."""
    rng, eave, room = draft.rng, draft.rng.uniform(4.5, 12), draft.shrunk(pose, length, width)
    if room is None:
        return
    length, width = room
    _loading_yard(draft, pose, length, width)
    if rng.random() < 0.45:
        add_flat(draft, pose, length, width, eave, draft.flat_roof())
        return
    bays, spectrum = int(rng.integers(1, max(2, int(width / 12)))), _metal(draft)
    for k in range(bays):
        at = pose.moved(0, ((k + 0.5) / bays - 0.5) * width)
        strips = tuple(
            Patch(along, 0, 1.2, width / bays * 0.7, Spectrum(0.45, 0.45, 0.46, 0.45))
            for along in np.arange(-length / 2 + 4, length / 2 - 3, rng.uniform(5, 12)).tolist()
        )
        bay = Building(at, length, width / bays + 0.1, eave, Roof.GABLE, rng.uniform(0.05, 0.2), spectrum, rows=0.9)
        draft.add_building(bay._replace(foot=pose, patches=strips if rng.random() < 0.4 else ()))


def _loading_yard(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """Concrete or stones along a hall's long side, now and then on both."""
    rng = draft.rng
    for side in (-1, 1):
        deep, cover = rng.uniform(4, 10), draft.stones() if rng.random() < 0.5 else draft.flat_roof()
        yard = pose.moved(rng.uniform(-0.1, 0.1) * length, side * (width + deep) / 2)
        if rng.random() < 0.5 and draft.fits(yard, length * 0.8, deep):
            draft.add_surface(yard, length * 0.8 + 0.4, deep + 0.4, Material.PAVING, draft.character.pavement)
            draft.add_surface(yard, length * 0.8, deep, Material.PAVING, cover)
            draft.room.take(yard, length * 0.8, deep)


def _metal(draft: Draft) -> Spectrum:
    return METAL_ROOFS[draft.rng.integers(len(METAL_ROOFS))].varied(draft.rng, 0.15, 0.04)


def fill_square(draft: Draft, plot: Plot) -> None:
    """A paved square with rows of trees and market stalls; at times a church or a hall in its middle."""
    rng = draft.rng
    middle = draft.middle(plot)
    for p in np.arange(plot.p0 + 4, plot.p1 - 3, 8.0).tolist():
        for q in (plot.q0 + 3, plot.q1 - 3):
            draft.add_tree(draft.streets.place(p, q), 2.6)
    if rng.random() < 0.6:
        nave = draft.shrunk(middle, plot.length * rng.uniform(0.3, 0.6), plot.depth * rng.uniform(0.25, 0.45))
        if nave:
            add_pitched(draft, middle, *nave, rng.uniform(7, 13), Roof.GABLE, draft.tile_roof())
    for _ in range(rng.poisson(5)):
        place, tent = draft.anywhere(plot), Spectrum(0.6, 0.58, 0.56, 0.54).varied(rng, 0.2, 0.15)
        if draft.fits(place, 3.2, 3.0):
            draft.add_surface(place, 3.2, 3.0, Material.CLUTTER, tent, 2.6)
    lay_slabs(draft, plot, 15)
