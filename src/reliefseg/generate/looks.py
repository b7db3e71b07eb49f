"""How towns differ: what their blocks hold, how their streets lie, what they are built of."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class BlockKind(Enum):
    """What a block is used for."""

    HOUSES = 0
    TERRACES = 1
    COURTS = 2
    HALLS = 3
    PARK = 4
    PERIMETER = 5
    SLABS = 6
    FIELDS = 7
    FARMS = 8
    COMPOUNDS = 9
    WASTE = 10
    WATER = 11
    SQUARE = 12
    WOOD = 13


class Span(NamedTuple):
    """From the least to the most, metres unless said otherwise."""

    least: float
    most: float


class Look(NamedTuple):
    """One kind of town.

    `kinds` are relative weights of what blocks hold. Long streets lie `across` apart, cross streets `along`; their
    carriageways are `half` wide to each side, pavements `pavement`. `gone` is the share of cross-street pieces left
    out, so that blocks differ in length; `steepest` the most a street winds, metres aside per metre on. `storeys`
    are those of blocks of flats; `tree_cover` and `parked` are factors on what is common, `arid` the share of scenes
    on sand, `big_roads` the chance that a broad road runs through.
    """

    weight: float
    kinds: dict[BlockKind, float]
    across: Span
    along: Span
    half: Span
    pavement: Span
    storeys: Span
    tree_cover: Span
    gone: float
    steepest: float
    big_roads: float
    arid: float = 0.0


K = BlockKind
LOOKS = {
    "suburb": Look(
        3.0, {K.HOUSES: 5, K.TERRACES: 2, K.COURTS: 1, K.HALLS: 0.3, K.PARK: 0.5, K.WASTE: 0.1, K.WATER: 0.15},
        Span(42, 66), Span(65, 130), Span(2.4, 3.3), Span(1.0, 2.4), Span(2, 4), Span(0.6, 1.9), 0.3, 0.30, 0.15,
    ),
    "villas": Look(
        1.5, {K.HOUSES: 6, K.PARK: 1, K.WATER: 0.2, K.FIELDS: 0.3},
        Span(60, 90), Span(80, 170), Span(2.3, 3.0), Span(0.8, 1.8), Span(2, 3), Span(0.9, 2.2), 0.4, 0.40, 0.05,
    ),
    "terraces": Look(
        1.5, {K.TERRACES: 6, K.HOUSES: 1, K.COURTS: 1, K.PARK: 0.6, K.HALLS: 0.2},
        Span(40, 56), Span(60, 120), Span(2.4, 3.2), Span(1.2, 2.2), Span(3, 4), Span(0.5, 1.6), 0.25, 0.15, 0.1,
    ),
    "old town": Look(
        1.5, {K.PERIMETER: 6, K.SQUARE: 0.7, K.PARK: 0.3, K.WATER: 0.15},
        Span(34, 58), Span(38, 85), Span(1.7, 2.8), Span(0.6, 1.5), Span(2, 4), Span(0.3, 1.0), 0.25, 0.40, 0.05,
    ),
    "city": Look(
        2.0, {K.PERIMETER: 6, K.COURTS: 0.7, K.HALLS: 0.5, K.SQUARE: 0.4, K.PARK: 0.5, K.SLABS: 0.4},
        Span(60, 100), Span(70, 150), Span(3.0, 5.0), Span(2.2, 4.0), Span(4, 6), Span(0.5, 1.6), 0.1, 0.10, 0.5,
    ),
    "estate": Look(
        1.5, {K.SLABS: 5, K.COURTS: 2, K.PARK: 1, K.HALLS: 0.6, K.WASTE: 0.2, K.WATER: 0.2},
        Span(70, 115), Span(90, 170), Span(2.8, 4.0), Span(1.6, 3.0), Span(4, 11), Span(0.5, 1.7), 0.3, 0.15, 0.4,
    ),
    "industry": Look(
        1.7, {K.HALLS: 6, K.WASTE: 1.2, K.HOUSES: 0.4, K.PARK: 0.2, K.FIELDS: 0.3, K.COURTS: 0.4, K.WATER: 0.2},
        Span(70, 130), Span(90, 180), Span(3.2, 4.5), Span(0.8, 2.2), Span(2, 4), Span(0.2, 0.9), 0.3, 0.08, 0.5,
    ),
    "village": Look(
        1.5, {K.FARMS: 3, K.HOUSES: 2, K.FIELDS: 3.5, K.PARK: 0.5, K.WATER: 0.3, K.WASTE: 0.2},
        Span(60, 120), Span(80, 160), Span(2.2, 2.9), Span(0.3, 1.3), Span(2, 3), Span(0.5, 1.7), 0.45, 0.40, 0.1,
    ),
    "arid town": Look(
        2.5, {K.COMPOUNDS: 6, K.WASTE: 1.6, K.HALLS: 1, K.SLABS: 1, K.PARK: 0.5, K.WATER: 0.4, K.SQUARE: 0.2},
        Span(44, 80), Span(60, 150), Span(2.6, 4.2), Span(0.8, 2.8), Span(3, 14), Span(0.25, 1.1), 0.3, 0.40, 0.5, 1.0,
    ),
    "southern city": Look(
        1.0, {K.PERIMETER: 4, K.COMPOUNDS: 2, K.COURTS: 1, K.SQUARE: 0.5, K.WASTE: 0.6, K.PARK: 0.4},
        Span(45, 80), Span(50, 110), Span(2.2, 4.0), Span(1.0, 2.6), Span(3, 7), Span(0.3, 1.0), 0.15, 0.20, 0.3, 0.5,
    ),
    "edge of the desert": Look(
        1.2, {K.WASTE: 5, K.WATER: 1.2, K.COMPOUNDS: 1.2, K.HALLS: 0.6, K.PARK: 0.3, K.SLABS: 0.2},
        Span(70, 150), Span(90, 240), Span(2.4, 4.5), Span(0.4, 2.0), Span(3, 9), Span(0.1, 0.8), 0.5, 0.40, 0.4, 1.0,
    ),
    "open country": Look(
        0.8, {K.FIELDS: 5, K.WOOD: 1.5, K.WATER: 0.7, K.FARMS: 1, K.PARK: 0.5, K.HOUSES: 0.4, K.HALLS: 0.2},
        Span(90, 170), Span(120, 250), Span(1.8, 3.0), Span(0.2, 0.8), Span(2, 3), Span(0.4, 1.4), 0.5, 0.40, 0.15,
    ),
    "mixed": Look(
        2.0, {K.HOUSES: 2, K.TERRACES: 1.5, K.COURTS: 2, K.HALLS: 1.2, K.PARK: 0.8, K.PERIMETER: 1, K.SLABS: 0.8,
              K.WASTE: 0.4, K.WATER: 0.2},
        Span(46, 80), Span(65, 140), Span(2.5, 3.8), Span(1.2, 2.6), Span(3, 6), Span(0.5, 1.7), 0.25, 0.25, 0.3,
    ),
}  # fmt: skip
"""All kinds of town by name; `weight` says how often each is drawn."""
