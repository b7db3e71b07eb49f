"""Plans a town: what stands in each block between the streets, and along them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from math import pi
from typing import NamedTuple

import numpy as np

from reliefseg.generate.character import Character
from reliefseg.generate.country import (
    fill_compounds,
    fill_farms,
    fill_fields,
    fill_park,
    fill_waste,
    fill_water,
    fill_wood,
)
from reliefseg.generate.dense import fill_halls, fill_perimeter, fill_slabs, fill_square
from reliefseg.generate.draft import Draft, Plot
from reliefseg.generate.looks import BlockKind, Look
from reliefseg.generate.objects import TownPlan
from reliefseg.generate.plots import fill_courts, fill_houses, fill_terraces
from reliefseg.generate.spectra import Material
from reliefseg.generate.streets import Lines, Pose, StreetNet

CAR_PITCH_M = 6.0
"""Room that a parked car takes along the kerb, metres."""
LONGEST_M = 260.0
"""Blocks are not joined beyond this length, metres."""
FILLERS: dict[BlockKind, Callable[[Draft, Plot], None]] = {
    BlockKind.HOUSES: fill_houses,
    BlockKind.TERRACES: fill_terraces,
    BlockKind.COURTS: fill_courts,
    BlockKind.HALLS: fill_halls,
    BlockKind.PARK: fill_park,
    BlockKind.PERIMETER: fill_perimeter,
    BlockKind.SLABS: fill_slabs,
    BlockKind.FIELDS: fill_fields,
    BlockKind.FARMS: fill_farms,
    BlockKind.COMPOUNDS: fill_compounds,
    BlockKind.WASTE: fill_waste,
    BlockKind.WATER: fill_water,
    BlockKind.SQUARE: fill_square,
    BlockKind.WOOD: fill_wood,
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
    for j in range(len(streets.long.at) - 1):
        for start, stop in joined_blocks(streets, j):
            kind = draw_kind(rng, character.look)
            kinds |= {(i, j): kind for i in range(start, stop)}
            plot = block_plot(streets, start, stop, j)
            if min(plot.length, plot.depth) > 8 and draft.sees_plot(plot):
                FILLERS[kind](draft, plot)
    line_streets(draft, streets)
    return Town(streets, kinds, draft.plan)


def joined_blocks(streets: StreetNet, j: int) -> Iterator[tuple[int, int]]:
    """Cross streets that bound each block of row `j`, first and last.

    Puts back into `streets.gone` the pieces without which a block would be longer than `LONGEST_M`.
    """
    at, start = streets.cross.at, 0
    for i in range(1, len(at)):
        last = i == len(at) - 1
        if not last and at[i + 1] - at[start] > LONGEST_M:
            streets.gone[i, j] = False
        if last or not streets.gone[i, j]:
            yield start, i
            start = i


def draw_kind(rng: np.random.Generator, look: Look) -> BlockKind:
    """What a block is used for in this kind of town."""
    weights = np.array(list(look.kinds.values()), float)
    return list(look.kinds)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def block_plot(streets: StreetNet, start: int, stop: int, j: int) -> Plot:
    """The ground between two cross streets and the long streets j and j + 1, without pavements."""
    cross, long = streets.cross, streets.long
    return Plot(
        cross.at[start] + cross.reach(start), cross.at[stop] - cross.reach(stop),
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
        return self.streets.place_across(at, along)

    def places(self, rng: np.random.Generator, spacing: float, jitter: float) -> list[float]:
        """Positions along the street, so many metres apart, each moved on by up to `jitter`; none on crossings."""
        regular = np.arange(self.others.at[0], self.others.at[-1], spacing)
        moved = (regular + rng.uniform(0, jitter, len(regular))).tolist()
        return [along for along in moved if not self.others.middle_of(along) and not self._gone(along)]

    def _gone(self, along: float) -> bool:
        """Whether the street has no piece there."""
        if self.lines is self.streets.long:
            return False
        return bool(self.streets.gone[self.number, max(0, bisect(self.others.at, along) - 1)])


def _line_one(draft: Draft, kerb: Kerb) -> None:
    rng, half = draft.rng, kerb.lines.half[kerb.number]
    planted, spacing = rng.random() < 0.4, rng.uniform(8, 15)
    for side in (-1, 1):
        parked = draft.character.parked * rng.uniform(0.3, 1.5) * (half < 6 and (half > 2.7 or side > 0))
        _add_cars(draft, kerb, side * (half - 1.05), kerb.places(rng, CAR_PITCH_M, 0.9), parked)
        _mend(draft, kerb, side * half * 0.5, half)
        for lane in (0.4,) if half < 6 else (0.25, 0.5, 0.75):
            _add_cars(draft, kerb, side * half * lane, kerb.places(rng, 45, 40), 0.3)
        if planted:
            _plant_row(draft, kerb, side * (half + 0.7 * kerb.lines.pavement[kerb.number]), spacing)


def _add_cars(draft: Draft, kerb: Kerb, side: float, places: list[float], share: float) -> None:
    """Cars on a share of the places, heading either way, not quite straight."""
    for along in places:
        if draft.rng.random() < share:
            turned = pi * int(draft.rng.random() < 0.5) + draft.rng.normal(0, 0.02)
            draft.add_car(kerb.pose(along, side).moved(0, 0, turned))


def _mend(draft: Draft, kerb: Kerb, side: float, half: float) -> None:
    """Patches of newer or older asphalt where the street was dug up."""
    rng = draft.rng
    for along in kerb.places(rng, 30, 29):
        if rng.random() < 0.25:
            size = rng.uniform(1, 14), rng.uniform(0.6, half * 0.9)
            shade = draft.character.asphalt.varied(rng, 0.14, 0.01)
            draft.add_surface(kerb.pose(along, side), *size, Material.ASPHALT, shade)


def _plant_row(draft: Draft, kerb: Kerb, side: float, spacing: float) -> None:
    """A row of street trees with a gap here and there."""
    for along in kerb.places(draft.rng, spacing, 0.2 * spacing):
        if draft.rng.random() < 0.8:
            draft.add_tree(kerb.pose(along, side), 2.6)
