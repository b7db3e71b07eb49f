"""A town plan being drawn: plots and parcels of ground, and what is added to them."""

from __future__ import annotations

from math import hypot, pi
from typing import NamedTuple

import numpy as np

from reliefseg.generate.character import Character
from reliefseg.generate.objects import Blob, Building, Car, Surface, TownPlan, Tree, Yard
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
    Material,
    Spectrum,
)
from reliefseg.generate.streets import Pose, StreetNet


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
    """A town plan being drawn: knows the scene's ways, drops what lies out of sight."""

    def __init__(self, rng: np.random.Generator, character: Character, streets: StreetNet, half_m: float):
        self.rng, self.character, self.streets, self.half_m = rng, character, streets, half_m
        self.plan = TownPlan([], [], [], [], [], [])

    def sees(self, pose: Pose, reach: float) -> bool:
        """Whether something of this reach can touch the square that is drawn."""
        return bool(max(abs(pose.down), abs(pose.right)) < self.half_m + reach)

    def sees_plot(self, plot: Plot) -> bool:
        """Whether any of a plot can touch the square that is drawn."""
        middle = self.streets.place((plot.p0 + plot.p1) / 2, (plot.q0 + plot.q1) / 2)
        return self.sees(middle, hypot(plot.length, plot.depth) / 2 + 15)

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
        """Adds a rectangle of another surface."""
        if length > 0.2 and width > 0.2 and self.sees(pose, hypot(length, width) / 2):
            self.plan.surfaces.append(Surface(pose, length, width, material, spectrum, height, rows))

    def add_blob(self, pose: Pose, length: float, width: float, material: Material, spectrum: Spectrum) -> None:
        """Adds a roundish patch of another ground, or a pond."""
        if min(length, width) > 1 and self.sees(pose, hypot(length, width) / 2):
            lobes = (self.rng.uniform(0, 2 * pi), self.rng.uniform(0.05, 0.3))
            self.plan.blobs.append(Blob(pose, length, width, lobes, material, spectrum))

    def add_building(self, building: Building) -> None:
        """Adds a house."""
        big_enough = min(building.length, building.width) > 1
        if big_enough and self.sees(building.pose, hypot(building.length, building.width) / 2):
            self.plan.buildings.append(building)

    def add_car(self, pose: Pose) -> None:
        """Adds a car of about 4.5 m × 1.8 m."""
        if self.sees(pose, 3):
            paint = CAR_PAINTS[self.rng.choice(len(CAR_PAINTS), p=CAR_PAINT_SHARES)].varied(self.rng, 0.1, 0.04)
            self.plan.cars.append(Car(pose, self.rng.uniform(3.9, 4.9), self.rng.uniform(1.68, 1.9), paint))

    def add_tree(self, pose: Pose, radius: float) -> None:
        """Adds a tree of about this crown radius, metres."""
        if not self.sees(pose, 7):
            return
        rng = self.rng
        conifer = bool(rng.random() < self.character.conifers)
        radius = float(np.clip(radius * rng.lognormal(0, 0.3) * (0.75 if conifer else 1), 0.8, 6.5))
        height = radius * rng.uniform(3.4, 5.0) if conifer else 1.6 + radius * rng.uniform(1.5, 2.7)
        height = float(np.clip(height, 2.5, 24))
        lobes = (rng.uniform(0, 2 * pi), rng.uniform(0.02, 0.2))
        spectrum = (NEEDLES if conifer else self._foliage()).varied(rng, 0.16, 0.07)
        self.plan.trees.append(Tree(pose.down, pose.right, radius, height, conifer, lobes, spectrum))

    def add_shrub(self, pose: Pose) -> None:
        """Adds a bush, at most as high as a person: low vegetation."""
        if self.sees(pose, 2):
            rng, radius = self.rng, self.rng.uniform(0.4, 1.2)
            lobes, spectrum = (rng.uniform(0, 2 * pi), 0.15), self._foliage().varied(rng, 0.2, 0.1)
            height = radius * rng.uniform(1.0, 1.7)
            self.plan.trees.append(Tree(pose.down, pose.right, radius, height, False, lobes, spectrum))

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
            p, q = self.rng.uniform(plot.p0, plot.p1), self.rng.uniform(plot.q0, plot.q1)
            self.add_tree(self.streets.place(p, q), radius)

    def scatter_shrubs(self, plot: Plot, per_hectare: float) -> None:
        """Bushes anywhere on a plot."""
        for _ in range(self.rng.poisson(per_hectare * max(0.0, plot.length) * max(0.0, plot.depth) / 10_000)):
            p, q = self.rng.uniform(plot.p0, plot.p1), self.rng.uniform(plot.q0, plot.q1)
            self.add_shrub(self.streets.place(p, q))


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
