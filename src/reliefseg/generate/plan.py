"""Plans a town: what stands in each block between the streets, and along them."""

from __future__ import annotations

from enum import Enum
from math import pi
from typing import NamedTuple

import numpy as np

from reliefseg.generate.character import Character
from reliefseg.generate.draft import Draft, Plot
from reliefseg.generate.objects import TownPlan
from reliefseg.generate.plots import fill_courts, fill_halls, fill_houses, fill_park, fill_terraces
from reliefseg.generate.streets import Lines, Pose, StreetNet

CAR_PITCH_M = 6.0
"""Room that a parked car takes along the kerb, metres."""


class BlockKind(Enum):
    """What a block is used for."""

    HOUSES = 0
    TERRACES = 1
    COURTS = 2
    HALLS = 3
    PARK = 4


PAVED_KINDS = (BlockKind.HALLS,)
"""Blocks whose open ground is asphalt."""
FILLERS = {
    BlockKind.HOUSES: fill_houses,
    BlockKind.TERRACES: fill_terraces,
    BlockKind.COURTS: fill_courts,
    BlockKind.HALLS: fill_halls,
    BlockKind.PARK: fill_park,
}


class Town(NamedTuple):
    """A planned town: its streets, the use of each block (cross interval, long interval), and what stands there."""

    streets: StreetNet
    kinds: dict[tuple[int, int], BlockKind]
    plan: TownPlan


def plan_town(rng: np.random.Generator, streets: StreetNet, character: Character, half_m: float) -> Town:
    """Plans all blocks and streets that touch a square reaching `half_m` metres from the centre each way."""
    draft = Draft(rng, character, streets, half_m)
    kinds: dict[tuple[int, int], BlockKind] = {}
    for i in range(len(streets.cross.at) - 1):
        for j in range(len(streets.long.at) - 1):
            kinds[i, j] = draw_kind(rng, character.density)
            plot = block_plot(streets, i, j)
            if draft.sees_plot(plot):
                FILLERS[kinds[i, j]](draft, plot)
    line_streets(draft, streets)
    return Town(streets, kinds, draft.plan)


def draw_kind(rng: np.random.Generator, density: float) -> BlockKind:
    """What a block is used for; the denser the town, the more slabs and the fewer gardens."""
    weights = np.array([1.25 - density, 0.45, 0.15 + 0.75 * density, 0.08 + 0.2 * density, 0.14])
    return BlockKind(int(rng.choice(len(weights), p=weights / weights.sum())))


def block_plot(streets: StreetNet, i: int, j: int) -> Plot:
    """The ground between cross streets i and i + 1 and long streets j and j + 1, without pavements."""
    cross, long = streets.cross, streets.long
    return Plot(
        cross.at[i] + cross.reach(i), cross.at[i + 1] - cross.reach(i + 1),
        long.at[j] + long.reach(j), long.at[j + 1] - long.reach(j + 1),
    )  # fmt: skip


def line_streets(draft: Draft, streets: StreetNet) -> None:
    """Cars at the kerbs and on the move, and rows of trees on the pavements."""
    for index in range(len(streets.long.at)):
        _line_one(draft, Kerb(streets, streets.long, index, streets.cross))
    for index in range(len(streets.cross.at)):
        _line_one(draft, Kerb(streets, streets.cross, index, streets.long))


class Kerb(NamedTuple):
    """One street of a family, crossed by those of the other."""

    streets: StreetNet
    lines: Lines
    number: int
    others: Lines

    def pose(self, along: float, side: float) -> Pose:
        """The pose so far along the street and so far to its side, metres; its long axis along the street."""
        at = self.lines.at[self.number] + side
        if self.lines is self.streets.long:
            return self.streets.place(along, at)
        return self.streets.place(at, along).moved(0, 0, pi / 2)

    def places(self, rng: np.random.Generator, spacing: float, jitter: float) -> list[float]:
        """Positions along the street, so many metres apart, each moved on by up to `jitter`; none on crossings."""
        regular = np.arange(self.others.at[0], self.others.at[-1], spacing)
        moved = (regular + rng.uniform(0, jitter, len(regular))).tolist()
        return [along for along in moved if not self.others.middle_of(along)]


def _line_one(draft: Draft, kerb: Kerb) -> None:
    rng, half = draft.rng, kerb.lines.half[kerb.number]
    planted, spacing = rng.random() < 0.4, rng.uniform(8, 15)
    for side in (-1, 1):
        parked = draft.character.parked * rng.uniform(0.3, 1.5) * (half > 2.7 or side > 0)
        _add_cars(draft, kerb, side * (half - 1.05), kerb.places(rng, CAR_PITCH_M, 0.9), parked)
        _add_cars(draft, kerb, side * half * 0.4, kerb.places(rng, 45, 40), 0.25)
        if planted:
            _plant_row(draft, kerb, side * (half + 0.7 * kerb.lines.pavement[kerb.number]), spacing)


def _add_cars(draft: Draft, kerb: Kerb, side: float, places: list[float], share: float) -> None:
    """Cars on a share of the places, heading either way, not quite straight."""
    for along in places:
        if draft.rng.random() < share:
            turned = pi * int(draft.rng.random() < 0.5) + draft.rng.normal(0, 0.02)
            draft.add_car(kerb.pose(along, side).moved(0, 0, turned))


def _plant_row(draft: Draft, kerb: Kerb, side: float, spacing: float) -> None:
    """A row of street trees with a gap here and there."""
    for along in kerb.places(draft.rng, spacing, 0.2 * spacing):
        if draft.rng.random() < 0.8:
            draft.add_tree(kerb.pose(along, side), 2.6)
