"""The flat ground of parcels and yards: every owner's own lawn, front yard, paths and beds; courts and slabs.

Flat ground has the outlines and the colours of roofs, so that neither tells heights.
"""

from __future__ import annotations

from math import pi

from reliefseg.generate.draft import Draft, Parcel, Plot
from reliefseg.generate.spectra import (
    CONCRETE,
    COURTS,
    GRASS_DRY,
    GRAVEL,
    PAINT,
    SOIL,
    Material,
    Spectrum,
)
from reliefseg.generate.streets import Pose

Ground = tuple[Material, Spectrum]
FRONTS = 0.55
"""Share of parcels whose front yard is not the garden's lawn."""
COURT_M = {"tennis": (36.0, 18.0), "games": (28.0, 15.0), "small": (15.0, 9.0)}
"""Length and width of sports courts with their run-off, metres."""
KERB_M = 0.2
"""Width of the kerb about a slab, metres."""


def lay_gardens(draft: Draft, parcels: list[Parcel]) -> None:
    """Gives every parcel ground of its own: garden, front yard, paths, beds."""
    for parcel in parcels:
        _lay_garden(draft, parcel)


def _lay_garden(draft: Draft, parcel: Parcel) -> None:
    rng, whole = draft.rng, (parcel.p0, parcel.p1)
    draft.add_yard(parcel.piece(*whole, 0, parcel.depth), *_garden(draft))
    front = min(rng.uniform(2, 6), parcel.depth / 3)
    if rng.random() < FRONTS:
        draft.add_yard(parcel.piece(*whole, 0, front), *_front(draft))
    if rng.random() < 0.4:
        at = rng.uniform(parcel.p0, parcel.p1 - 1.5)
        draft.add_yard(
            parcel.piece(at, at + rng.uniform(0.9, 1.6), 0, parcel.depth * rng.uniform(0.3, 0.9)), *_hard(draft)
        )
    if rng.random() < 0.3:
        edge, wide = parcel.p0 + 0.3, rng.uniform(0.6, 2.2)
        draft.add_yard(parcel.piece(edge, edge + wide, front, parcel.depth - 1), *_planted(draft))
    if rng.random() < 0.3:
        deep = rng.uniform(1, 3)
        draft.add_yard(parcel.piece(*whole, parcel.depth - deep, parcel.depth), *_planted(draft))
    if parcel.depth > 22 and rng.random() < 0.18:
        _kitchen_garden(draft, parcel)


def _garden(draft: Draft) -> Ground:
    """An owner's lawn, more or less watered and mown; at times let grow, dug or gravelled. On sand, sand or stones."""
    rng, (material, yard) = draft.rng, draft.character.yard
    if rng.random() < 0.12:
        return _hard(draft)
    if material is Material.SAND:
        return material, yard.varied(rng, 0.14, 0.03)
    lawn = yard.towards(GRASS_DRY, rng.beta(0.6, 2.5)).towards(SOIL, rng.beta(0.5, 4)).varied(rng, 0.13, 0.06)
    return (Material.MEADOW if rng.random() < 0.25 else material), lawn


def _front(draft: Draft) -> Ground:
    return _hard(draft) if draft.rng.random() < 0.6 else _planted(draft)


def _hard(draft: Draft) -> Ground:
    """Stones or gravel."""
    if draft.rng.random() < 0.35:
        return Material.GRAVEL, GRAVEL.towards(CONCRETE, draft.rng.uniform(-0.5, 1)).varied(draft.rng, 0.2, 0.05)
    return Material.PAVING, draft.stones()


def _planted(draft: Draft) -> Ground:
    """Soil, more or less grown over."""
    rng = draft.rng
    return Material.SOIL, SOIL.varied(rng, 0.15, 0.06).towards(draft.character.leaves, rng.beta(1, 1)).varied(
        rng, 0.1, 0.08
    )


def _kitchen_garden(draft: Draft, parcel: Parcel) -> None:
    """Beds side by side, each grown otherwise."""
    rng, beds = draft.rng, int(draft.rng.integers(3, 8))
    wide, deep = rng.uniform(0.9, 1.5), rng.uniform(2.5, 6)
    at = rng.uniform(parcel.p0, max(parcel.p0, parcel.p1 - beds * (wide + 0.4)))
    for k in range(beds):
        left = at + k * (wide + 0.4)
        draft.add_yard(
            parcel.piece(left, min(left + wide, parcel.p1), parcel.depth - 1 - deep, parcel.depth - 1), *_planted(draft)
        )


def lay_skirt(draft: Draft, pose: Pose, length: float, width: float) -> None:
    """The strip of gravel or slabs about a house's foot that many have."""
    if draft.rng.random() < 0.4:
        wide = draft.rng.uniform(0.6, 3.0)
        draft.add_surface(pose, length + wide, width + wide, *_hard(draft))


def lay_slabs(draft: Draft, plot: Plot, per_hectare: float) -> None:
    """Yards of concrete, tar, stones or felt within a kerb, as large as roofs and of their colours.

    They lie only where nothing stands, parks or is paved already.
    """
    rng, area = draft.rng, max(0.0, plot.length) * max(0.0, plot.depth)
    for _ in range(rng.poisson(per_hectare * area / 10_000)):
        p, q = rng.uniform(plot.p0, plot.p1), rng.uniform(plot.q0, plot.q1)
        long, deep = rng.uniform(4, 28) / 2, rng.uniform(3, 14) / 2
        slab = Plot(max(plot.p0, p - long), min(plot.p1, p + long), max(plot.q0, q - deep), min(plot.q1, q + deep))
        if min(slab.length, slab.depth) > 3 and draft.fits(draft.middle(slab), slab.length + 1, slab.depth + 1):
            _lay_slab(draft, slab)


def _lay_slab(draft: Draft, slab: Plot) -> None:
    """One yard and its kerb; its ground is taken."""
    rng = draft.rng
    draft.room.take(draft.middle(slab), slab.length, slab.depth)
    covers = (draft.flat_roof(), draft.tile_roof(), draft.stones(), draft.character.asphalt.varied(rng, 0.25, 0.03))
    draft.add_yard(slab, Material.PAVING, draft.character.pavement.varied(rng, 0.2, 0.02))
    draft.add_yard(
        Plot(slab.p0 + KERB_M, slab.p1 - KERB_M, slab.q0 + KERB_M, slab.q1 - KERB_M),
        Material.PAVING,
        covers[rng.integers(4)],
    )


def lay_court(draft: Draft, pose: Pose) -> None:
    """A sports court with its lines, where there is room for it."""
    rng = draft.rng
    length, width = COURT_M[str(rng.choice(list(COURT_M)))]
    if not draft.fits(pose, length, width):
        return
    cover = COURTS[rng.integers(len(COURTS))].varied(rng, 0.15, 0.05)
    draft.add_surface(pose, length, width, Material.CLUTTER, cover)
    line = cover.towards(PAINT, 0.6)
    inner = length * 0.66, width * 0.6
    for side in (-0.5, 0, 0.5):
        draft.add_surface(pose.moved(side * inner[0], 0, pi / 2), inner[1], 0.21, Material.CLUTTER, line)
    for side in (-0.5, 0.5):
        draft.add_surface(pose.moved(0, side * inner[1]), inner[0], 0.21, Material.CLUTTER, line)
