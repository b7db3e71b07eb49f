"""A town plan being drawn: plots and parcels of ground, and what is added to them."""

from __future__ import annotations

from math import ceil, hypot, pi
from typing import NamedTuple

import numpy as np

from reliefseg.generate.character import Character
from reliefseg.generate.objects import Blob, Building, Car, Habit, Surface, TownPlan, Tree, Yard
from reliefseg.generate.room import Room
from reliefseg.generate.spectra import (
    BRICK_PAVING,
    CAR_PAINT_SHARES,
    CAR_PAINTS,
    CONCRETE,
    DECKING,
    FLAT_ROOFS,
    GRASS_FRESH,
    LEAVES_AUTUMN,
    LEAVES_DUSTY,
    LEAVES_RED,
    NEEDLES,
    PAINT,
    SLATE_PAVING,
    TILE_ROOFS,
    TWIGS,
    Material,
    Spectrum,
)
from reliefseg.generate.streets import Pose, StreetNet

TOUCHING_M = 0.3
"""Things may reach so far into what is taken, metres: walls touch, streets bend."""
SHRINKS = (1.0, 0.92, 0.84, 0.75, 0.65, 0.5)
"""Sizes tried for what does not fit, relative."""
TIGHT = {Material.CLUTTER, Material.WATER}
"""Surfaces that nothing else stands on, besides those that stand up themselves."""
BROADLEAF = {Habit.ROUND: 0.36, Habit.DENSE: 0.22, Habit.AIRY: 0.2, Habit.SPREADING: 0.18, Habit.COLUMN: 0.04}
"""How often broad-leaved trees have each habit."""
HABIT_SIZES = {
    Habit.ROUND: (1.0, (1.5, 2.7), 1.6),
    Habit.DENSE: (0.95, (1.5, 2.5), 1.4),
    Habit.AIRY: (1.0, (1.8, 2.9), 1.6),
    Habit.SPREADING: (1.2, (1.2, 1.9), 1.6),
    Habit.COLUMN: (0.6, (4.5, 7.0), 2.0),
    Habit.CONE: (0.75, (3.4, 5.0), 0.0),
    Habit.PALM: (0.75, (2.4, 4.2), 1.5),
}
"""Radius relative to a round crown's; height in radii, from least to most, and what is added to it, metres."""


class Plot(NamedTuple):
    """A rectangle in street coordinates, metres: p along the long streets, q across them."""

    p0: float
    p1: float
    q0: float
    q1: float

    @property
    def length(self) -> float:
        """Metres along p."""
        return self.p1 - self.p0

    @property
    def depth(self) -> float:
        """Metres along q."""
        return self.q1 - self.q0


class Parcel(NamedTuple):
    """A piece of a plot with a street in front: from there `into` (+1 or −1) is the way in along q."""

    p0: float
    p1: float
    front: float
    into: int
    depth: float

    @property
    def width(self) -> float:
        """Metres along the street."""
        return self.p1 - self.p0

    def piece(self, p0: float, p1: float, start: float, stop: float) -> Plot:
        """The part from `p0` to `p1` along the street, from `start` to `stop` metres in from it."""
        ends = self.front + self.into * start, self.front + self.into * stop
        return Plot(p0, p1, min(ends), max(ends))


class Draft:
    """A town plan being drawn: knows the scene's ways and what ground is taken, drops what lies out of sight."""

    def __init__(self, rng: np.random.Generator, character: Character, streets: StreetNet, half_m: float):
        self.rng, self.character, self.streets, self.half_m = rng, character, streets, half_m
        self.plan = TownPlan([], [], [], [], [], [])
        self.room = Room()

    def fits(self, pose: Pose, length: float, width: float) -> bool:
        """Whether a rectangle lies off all streets and on ground that nothing has taken."""
        inner = length - 2 * TOUCHING_M, width - 2 * TOUCHING_M
        return min(inner) > 0 and self.room.free(pose, *inner) and self.off_streets(pose, *inner)

    def off_streets(self, pose: Pose, length: float, width: float) -> bool:
        """Whether the outline of a rectangle lies on no carriageway or pavement."""
        steps = ceil(length / 8), ceil(width / 8)
        sides = [((k / steps[0] - 0.5) * length, side * width / 2) for k in range(steps[0] + 1) for side in (-1, 1)]
        ends = [(end * length / 2, (k / steps[1] - 0.5) * width) for k in range(1, steps[1]) for end in (-1, 1)]
        return not any(self.streets.on_street(*pose.moved(*point)[:2]) for point in sides + ends)

    def shrunk(self, pose: Pose, length: float, width: float) -> tuple[float, float] | None:
        """The length and width at which a rectangle fits, at least half of what was wanted; None where it does not."""
        return next(((length * by, width * by) for by in SHRINKS if self.fits(pose, length * by, width * by)), None)

    def middle(self, plot: Plot) -> Pose:
        """The pose at a plot's middle, its long axis along the long streets."""
        return self.streets.place((plot.p0 + plot.p1) / 2, (plot.q0 + plot.q1) / 2)

    def anywhere(self, plot: Plot) -> Pose:
        """The pose at a random place of a plot."""
        return self.streets.place(self.rng.uniform(plot.p0, plot.p1), self.rng.uniform(plot.q0, plot.q1))

    def sees(self, pose: Pose, reach: float) -> bool:
        """Whether something of this reach can touch the square that is drawn."""
        return bool(max(abs(pose.down), abs(pose.right)) < self.half_m + reach)

    def sees_plot(self, plot: Plot) -> bool:
        """Whether any of a plot can touch the square that is drawn."""
        return self.sees(self.middle(plot), hypot(plot.length, plot.depth) / 2 + 15)

    def add_yard(self, plot: Plot, material: Material, spectrum: Spectrum) -> None:
        """Covers a plot's ground; streets and pavements run over it."""
        if min(plot.length, plot.depth) > 0.2 and self.sees_plot(plot):
            self.plan.yards.append(Yard(*plot, material, spectrum))

    def on(self, parcel: Parcel, p: float, inwards: float) -> Pose:
        """The pose at `p`, so many metres in from a parcel's front; its long axis along the street."""
        return self.streets.place(p, parcel.front + parcel.into * inwards)

    def add_surface(
        self, pose: Pose, length: float, width: float, material: Material, spectrum: Spectrum,
        height: float = 0.0, rows: float = 0.0,
    ) -> None:  # fmt: skip
        """Adds a rectangle of another surface; what stands up and what is water or a court takes its ground."""
        if length > 0.2 and width > 0.2 and self.sees(pose, hypot(length, width) / 2):
            self.plan.surfaces.append(Surface(pose, length, width, material, spectrum, height, rows))
            if height > 0 or material in TIGHT:
                self.room.take(pose, length, width)

    def add_blob(self, pose: Pose, length: float, width: float, material: Material, spectrum: Spectrum) -> None:
        """Adds a roundish patch of another ground, or a pond."""
        if min(length, width) > 1 and self.sees(pose, hypot(length, width) / 2):
            lobes = (self.rng.uniform(0, 2 * pi), self.rng.uniform(0.05, 0.3))
            self.plan.blobs.append(Blob(pose, length, width, lobes, material, spectrum))

    def add_building(self, building: Building) -> None:
        """Adds a house and takes its ground."""
        big_enough = min(building.length, building.width) > 1
        if big_enough and self.sees(building.pose, hypot(building.length, building.width) / 2):
            self.plan.buildings.append(building)
            self.room.take(building.pose, building.length, building.width)

    def add_car(self, pose: Pose) -> None:
        """Adds a car where there is room for one."""
        if self.room.free(pose, 5.2, 2.1):
            self.room.take(pose, 4.9, 1.9)
            self.park(pose)

    def park(self, pose: Pose) -> None:
        """Adds a car of about 4.5 m × 1.8 m on ground that was kept for it."""
        if self.sees(pose, 3):
            paint = CAR_PAINTS[self.rng.choice(len(CAR_PAINTS), p=CAR_PAINT_SHARES)].varied(self.rng, 0.1, 0.04)
            self.plan.cars.append(Car(pose, self.rng.uniform(3.9, 4.9), self.rng.uniform(1.68, 1.9), paint))

    def add_tree(self, pose: Pose, radius: float) -> None:
        """Adds a tree of about this crown radius, metres, where its trunk has room."""
        if not self.sees(pose, 7) or not self.room.free(pose, 0.8, 0.8):
            return
        rng, habit = self.rng, self._habit()
        girth, slender, least = HABIT_SIZES[habit]
        radius = float(np.clip(radius * rng.lognormal(0, 0.3) * girth, 0.8, 6.5))
        height = float(np.clip(least + radius * rng.uniform(*slender), 2.5, 24))
        lobes = (rng.uniform(0, 2 * pi), rng.uniform(0.02, 0.2))
        bare = habit in BROADLEAF and self.is_bare(0.93)
        own = NEEDLES if habit is Habit.CONE else TWIGS if bare else self._foliage()
        spectrum = own.varied(rng, 0.16, 0.07)
        self.plan.trees.append(Tree(pose.down, pose.right, radius, height, habit, lobes, spectrum, bare))

    def _habit(self) -> Habit:
        """A tree's habit: conifers as the scene has them, palms where gardens are sand."""
        if self.rng.random() < self.character.conifers:
            return Habit.CONE
        if self.character.yard[0] is Material.SAND and self.rng.random() < 0.35:
            return Habit.PALM
        return list(BROADLEAF)[self.rng.choice(len(BROADLEAF), p=list(BROADLEAF.values()))]

    def add_shrub(self, pose: Pose) -> None:
        """Adds a bush, at most as high as a person: low vegetation."""
        if self.sees(pose, 2):
            rng, radius = self.rng, self.rng.uniform(0.4, 1.2)
            bare = self.is_bare(0.65)
            lobes, own = (rng.uniform(0, 2 * pi), 0.15), TWIGS if bare else self._foliage()
            spectrum, height = own.varied(rng, 0.2, 0.1), radius * rng.uniform(1.0, 1.7)
            self.plan.trees.append(Tree(pose.down, pose.right, radius, height, Habit.SHRUB, lobes, spectrum, bare))

    def is_bare(self, share: float) -> bool:
        """Whether a plant has no leaves: before they come this share of its kind, else none."""
        return self.character.bare and self.rng.random() < share

    def _foliage(self) -> Spectrum:
        """The scene's leaves, of another kind now and then: silver willow, limes, early autumn, copper beech."""
        others = (LEAVES_DUSTY, GRASS_FRESH, LEAVES_AUTUMN, LEAVES_RED)
        other = others[self.rng.choice(4, p=(0.4, 0.42, 0.12, 0.06))]
        return self.character.leaves.towards(other, self.rng.beta(0.5, 1.6))

    def add_paving(self, pose: Pose, length: float, width: float) -> None:
        """Adds a paved rectangle."""
        self.add_surface(pose, length, width, Material.PAVING, self.stones())

    def add_line(self, pose: Pose, length: float) -> None:
        """Adds a painted line on the ground."""
        self.add_surface(pose, length, 0.25, Material.MARKING, self.character.asphalt.towards(PAINT, 0.6))

    def stones(self) -> Spectrum:
        """What a drive or terrace is laid with: the scene's own stones, in four of ten others or boards."""
        others = (CONCRETE, BRICK_PAVING, SLATE_PAVING, DECKING)
        own = self.rng.random() < 0.6
        return (self.character.paving if own else others[self.rng.integers(4)]).varied(self.rng, 0.14, 0.04)

    def tile_roof(self) -> Spectrum:
        """A roof of tiles or slates in one of the scene's colours."""
        return TILE_ROOFS[self.rng.choice(len(TILE_ROOFS), p=self.character.tile_roofs)].varied(self.rng, 0.14, 0.05)

    def flat_roof(self) -> Spectrum:
        """A flat roof's cover."""
        return FLAT_ROOFS[self.rng.choice(len(FLAT_ROOFS), p=self.character.flat_roofs)].varied(self.rng, 0.14, 0.03)

    def scatter_trees(self, plot: Plot, per_hectare: float, radius: float) -> None:
        """Trees anywhere on a plot, as many as the scene's tree cover lets grow."""
        area = max(0.0, plot.length) * max(0.0, plot.depth)
        for _ in range(self.rng.poisson(per_hectare * self.character.tree_cover * area / 10_000)):
            self.add_tree(self.anywhere(plot), radius)

    def scatter_shrubs(self, plot: Plot, per_hectare: float) -> None:
        """Bushes anywhere on a plot."""
        for _ in range(self.rng.poisson(per_hectare * max(0.0, plot.length) * max(0.0, plot.depth) / 10_000)):
            self.add_shrub(self.anywhere(plot))


def parcels(rng: np.random.Generator, plot: Plot, least: float, most: float) -> list[Parcel]:
    """Cuts a plot into two rows of parcels, back to back; one row where it is not deep enough."""
    two = plot.depth > 26
    depth = plot.depth / 2 if two else plot.depth
    cut: list[Parcel] = []
    for front, into in ((plot.q0, 1), (plot.q1, -1))[: 2 if two else 1]:
        at = plot.p0
        while plot.p1 - at >= least:
            width = min(rng.uniform(least, most), plot.p1 - at)
            width = plot.p1 - at if plot.p1 - at - width < least else width
            cut.append(Parcel(at, at + width, front, into, depth))
            at += width
    return cut
