"""Fills plots of open land and dry land: fields, farms, walled compounds, waste ground, ponds, parks."""

from __future__ import annotations

from math import pi

import numpy as np

from reliefseg.generate.dense import container
from reliefseg.generate.draft import Draft, Parcel, Plot, parcels
from reliefseg.generate.gardens import lay_court, lay_gardens, lay_skirt, lay_slabs
from reliefseg.generate.objects import Roof
from reliefseg.generate.roofs import STOREY_M, add_flat, add_pitched
from reliefseg.generate.spectra import CROP_SHARES, CROPS, POOL, SAND, SOIL, SPRING_CROP_SHARES, Material


def fill_fields(draft: Draft, plot: Plot) -> None:
    """Strips of different crops with the rows of plough or mower, a hedge or trees between some."""
    rng, at = draft.rng, plot.p0
    shares = SPRING_CROP_SHARES if draft.character.bare else CROP_SHARES
    while plot.p1 - at > 3:
        width = min(rng.uniform(12, 60), plot.p1 - at)
        pose = draft.streets.place(at + width / 2, (plot.q0 + plot.q1) / 2).moved(0, 0, pi / 2)
        crop = CROPS[rng.choice(len(CROPS), p=shares)].varied(rng, 0.15, 0.06)
        rows = float(rng.choice((0.0, 0.75, 1.5, 3.0)))
        draft.add_surface(pose, plot.depth, width - 0.6, Material.FIELD, crop, 0.0, rows)
        if rng.random() < 0.25:
            tree_row(draft, Plot(at, at, plot.q0, plot.q1))
        at += width


def tree_row(draft: Draft, line: Plot) -> None:
    """Trees from one end of a plot to the other."""
    steps = int(max(line.length, line.depth) / draft.rng.uniform(4, 9))
    for share in np.linspace(0, 1, max(2, steps)).tolist():
        place = draft.streets.place(line.p0 + share * line.length, line.q0 + share * line.depth)
        draft.add_tree(place, 2.7)


def fill_farms(draft: Draft, plot: Plot) -> None:
    """Farmsteads: a house and barns about a yard, orchards and meadows behind."""
    cut = parcels(draft.rng, plot, 28, 48)
    lay_gardens(draft, cut)
    for parcel in cut:
        _farm(draft, parcel)
    draft.scatter_trees(plot, 45, 3.0)


def _farm(draft: Draft, parcel: Parcel) -> None:
    rng = draft.rng
    middle, deep = (parcel.p0 + parcel.p1) / 2, min(parcel.depth - 3, rng.uniform(24, 34))
    if deep < 14:
        return
    yard = draft.on(parcel, middle, deep / 2)
    draft.add_paving(yard, parcel.width * 0.55, deep * 0.8)
    house = draft.on(parcel, parcel.p0 + 6, 7.5).moved(0, 0, pi / 2)
    size = rng.uniform(11, 15), rng.uniform(8, 10)
    add_pitched(draft, house, *size, 0.5 + STOREY_M * 2, Roof.GABLE, draft.tile_roof())
    barn = draft.on(parcel, middle, deep - 5)
    if room := draft.shrunk(barn, parcel.width * 0.7, rng.uniform(9, 13)):
        add_pitched(draft, barn, *room, rng.uniform(4, 6), Roof.GABLE, draft.tile_roof())
    if rng.random() < 0.6:
        shed = draft.on(parcel, parcel.p1 - 5, deep / 2 - 2).moved(0, 0, pi / 2)
        if room := draft.shrunk(shed, deep * 0.5, 7.5):
            add_pitched(draft, shed, *room, rng.uniform(3, 4.5), Roof.GABLE, draft.tile_roof())
    if parcel.depth - deep > 14 and rng.random() < 0.6:
        _orchard(draft, parcel, deep + 5)


def _orchard(draft: Draft, parcel: Parcel, start: float) -> None:
    """Small trees in rows."""
    for inwards in np.arange(start, parcel.depth - 3, 6.5).tolist():
        for p in np.arange(parcel.p0 + 3, parcel.p1 - 2, 6.5).tolist():
            draft.add_tree(draft.on(parcel, p, inwards), 1.8)


def fill_compounds(draft: Draft, plot: Plot) -> None:
    """Flat-roofed houses of several boxes within walls, sandy yards, palms, a pool now and then."""
    rng = draft.rng
    least = rng.uniform(13, 24)
    cut = parcels(rng, plot, least, 1.6 * least)
    lay_gardens(draft, cut)
    for parcel in cut:
        if rng.random() < 0.9:
            _compound(draft, parcel)
    lay_slabs(draft, plot, 25)
    draft.scatter_trees(plot, 70, 1.9)
    draft.scatter_shrubs(plot, 100)


def _compound(draft: Draft, parcel: Parcel) -> None:
    rng, middle = draft.rng, (parcel.p0 + parcel.p1) / 2
    _walls(draft, parcel)
    length, width = parcel.width * rng.uniform(0.55, 0.85), min(parcel.depth - 4, rng.uniform(9, 18))
    pose = draft.on(parcel, middle + rng.uniform(-1, 1), rng.uniform(2, max(2.5, parcel.depth - width - 2)) + width / 2)
    room = draft.shrunk(pose, length, width)
    if room is None:
        return
    (length, width), eave, cover = room, 0.8 + 3.3 * int(rng.integers(1, 4)), draft.flat_roof()
    add_flat(draft, pose, length, width, eave, cover)
    for _ in range(rng.integers(0, 4)):
        part = length * rng.uniform(0.25, 0.6), width * rng.uniform(0.3, 0.6)
        at = pose.moved(rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.45, 0.45) * width)
        other = max(3.0, eave + float(rng.choice((-3.3, 1.2, 3.0))))
        add_flat(draft, at, *part, other, cover.varied(rng, 0.1, 0.02))
    if rng.random() < 0.3:
        draft.add_paving(draft.on(parcel, middle, 2.8), parcel.width * 0.8, 4)
    if rng.random() < 0.2:
        pool = draft.on(parcel, middle, parcel.depth - 4)
        if draft.fits(pool, 7, 3.5):
            draft.add_surface(pool, 7, 3.5, Material.CLUTTER, POOL.varied(rng, 0.1, 0.05))
    if rng.random() < 0.45:
        garden = draft.on(parcel, parcel.p0 + 3, parcel.depth - 4)
        draft.add_surface(garden, 5, 6, Material.LAWN, draft.character.lawn)


def _walls(draft: Draft, parcel: Parcel) -> None:
    """Garden walls along two sides of a parcel."""
    height, spectrum = draft.rng.uniform(1.8, 3), draft.character.facade
    side = draft.on(parcel, parcel.p1, parcel.depth / 2).moved(0, 0, pi / 2)
    draft.add_surface(side, parcel.depth, 0.35, Material.WALL, spectrum, height)
    front = draft.on(parcel, (parcel.p0 + parcel.p1) / 2, 0.3)
    draft.add_surface(front, parcel.width * 0.8, 0.35, Material.WALL, spectrum, height)


def fill_waste(draft: Draft, plot: Plot) -> None:
    """Bare ground: patches, tracks, heaps of goods, a few shrubs; building land."""
    rng, ground = draft.rng, draft.character.sand.towards(SOIL, draft.rng.uniform(0, 0.6))
    for _ in range(rng.integers(2, 9)):
        at = draft.anywhere(plot)
        size = plot.length * rng.uniform(0.1, 0.5), plot.depth * rng.uniform(0.1, 0.5)
        draft.add_blob(at, *size, Material.SAND, ground.towards(SAND, rng.uniform(0, 0.6)).varied(rng, 0.15, 0.03))
    track = draft.middle(plot).moved(0, 0, rng.uniform(0, pi))
    for side in (-0.9, 0.9):
        ruts = ground.varied(rng, 0.2, 0.02)
        draft.add_surface(track.moved(0, side), min(plot.length, plot.depth) * 0.9, 0.6, Material.SAND, ruts)
    if rng.random() < 0.3:
        size = rng.uniform(8, 20), rng.uniform(6, 12)
        lay_skirt(draft, draft.middle(plot), *size)
        add_flat(draft, draft.middle(plot), *size, rng.uniform(3, 7), draft.flat_roof())
    for _ in range(rng.poisson(2)):
        container(draft, draft.anywhere(plot))
    draft.scatter_trees(plot, 22, 1.6)
    draft.scatter_shrubs(plot, 60)


def fill_water(draft: Draft, plot: Plot) -> None:
    """A pond with trees on its bank, or a basin between quays."""
    if draft.rng.random() < 0.3:
        quays = plot.length - 4, plot.depth - 4
        draft.add_surface(draft.middle(plot), *quays, Material.WATER, draft.character.water)
        return
    size = plot.length * draft.rng.uniform(0.5, 0.85), plot.depth * draft.rng.uniform(0.5, 0.85)
    draft.add_blob(draft.middle(plot), *size, Material.WATER, draft.character.water)
    draft.scatter_trees(plot, 50, 3.0)


def fill_park(draft: Draft, plot: Plot) -> None:
    """Meadow with paths, beds and ponds, trees alone and in groups."""
    rng = draft.rng
    for _ in range(rng.integers(1, 4)):
        at = draft.anywhere(plot)
        grass = draft.character.lawn.varied(rng, 0.1, 0.05)
        draft.add_blob(at, rng.uniform(8, 30), rng.uniform(6, 25), Material.LAWN, grass)
    path = draft.middle(plot)
    draft.add_paving(path.moved(0, plot.depth * rng.uniform(-0.2, 0.2), rng.normal(0, 0.15)), plot.length, 2.4)
    if rng.random() < 0.5:
        draft.add_paving(path.moved(plot.length * rng.uniform(-0.3, 0.3), 0, pi / 2), plot.depth, 2.0)
    if rng.random() < 0.4:
        lay_court(draft, draft.anywhere(plot))
    if rng.random() < 0.25:
        at = draft.anywhere(plot)
        draft.add_blob(at, rng.uniform(10, 25), rng.uniform(8, 15), Material.WATER, draft.character.water)
    draft.scatter_trees(plot, 40, 3.5)
    draft.scatter_shrubs(plot, 30)
    for _ in range(rng.poisson(4)):
        _grove(draft, plot)


def fill_wood(draft: Draft, plot: Plot) -> None:
    """A wood: crown beside crown."""
    draft.scatter_trees(plot, 330, 3.2)


def _grove(draft: Draft, plot: Plot) -> None:
    """A group of four to eleven trees."""
    rng, spread = draft.rng, draft.rng.uniform(3, 8)
    middle = rng.uniform((plot.p0, plot.q0), (plot.p1, plot.q1))
    for _ in range(rng.integers(4, 12)):
        p, q = np.clip(middle + rng.normal(0, spread, 2), (plot.p0, plot.q0), (plot.p1, plot.q1)).tolist()
        draft.add_tree(draft.streets.place(p, q), 3.2)
