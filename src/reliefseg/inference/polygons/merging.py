"""Regions too small to show, merged into the neighbour they share the longest border with."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from reliefseg.inference.blocks import NODATA
from reliefseg.inference.polygons.regions import OUTSIDE, Parts, joined, paired, total_by_code, unpaired


class Regions(NamedTuple):
    """The regions to draw, in the order of their first pixel, and the region of each part (OUTSIDE: not valid)."""

    class_ids: UInt8[np.ndarray, " regions"]
    of_part: Int32[np.ndarray, " parts"]


class _Map(NamedTuple):
    """A map of regions: class, size, first pixel, and which are neighbours along how many pixels."""

    class_ids: UInt8[np.ndarray, " regions"]
    pixels: Int64[np.ndarray, " regions"]
    first: Int64[np.ndarray, " regions"]
    pairs: Int64[np.ndarray, "pairs 2"]
    lengths: Int64[np.ndarray, " pairs"]

    def linked(self, links: Int64[np.ndarray, "links 2"]) -> tuple[Int64[np.ndarray, " regions"], _Map]:
        """Makes one of what is linked: it takes the class of its largest member. Also each old region's new number."""
        group, first = _in_order(joined(links, len(self.first)), self.first)
        pixels = np.zeros(len(first), np.int64)
        np.add.at(pixels, group, self.pixels)
        one, other = group[self.pairs.T]
        apart = one != other
        codes, lengths = total_by_code(paired(one[apart], other[apart]), self.lengths[apart])
        return group, _Map(self.class_ids[_largest(group, self.pixels)], pixels, first, unpaired(codes), lengths)


def join_regions(parts: Parts, smallest: int) -> Regions:
    """Joins parts over block borders and merges what has fewer than `smallest` pixels, holes of a region too.

    A small region takes the class of the neighbour with which it shares the longest border (of equals: the
    larger, then the earlier one). The smallest go first: below 2 pixels, 4, 8, … What borders on nothing valid
    stays. The result does not depend on how the scene was cut into blocks.
    """
    alone = _Map(parts.class_ids, parts.pixels, parts.first, parts.pairs, parts.lengths)
    group, regions = alone.linked(parts.links)
    for limit in _limits(smallest):
        for links in (partial(_choices, limit=limit), _alike):
            merged, regions = regions.linked(links(regions))
            group = merged[group]
    return _numbered(regions.class_ids, group)


def _limits(smallest: int) -> list[int]:
    """Powers of two up to the last, which is `smallest` itself.

    Where no region is smaller than half a limit, two that merge are never below it: one round each is enough.
    """
    powers = [2**power for power in range(1, max(smallest - 1, 0).bit_length())]
    return [*powers, smallest] if smallest > 1 else []


def _choices(regions: _Map, limit: int) -> Int64[np.ndarray, "choices 2"]:
    """Every region below the limit that has neighbours, and the one it merges into."""
    both = np.concatenate([regions.pairs, regions.pairs[:, ::-1]])
    lengths = np.tile(regions.lengths, 2)
    small = regions.pixels[both[:, 0]] < limit
    source, target = both[small].T
    order = np.lexsort((target, -regions.pixels[target], -lengths[small], source))
    best = order[np.diff(source[order], prepend=-1) > 0]
    return np.column_stack([source[best], target[best]])


def _alike(regions: _Map) -> Int64[np.ndarray, "links 2"]:
    """Neighbours that have become of one class."""
    one, other = regions.class_ids[regions.pairs.T]
    return regions.pairs[one == other]


def _in_order(
    group: Int64[np.ndarray, " n"], first: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " groups"]]:
    """Groups numbered anew by their first pixel, and that pixel."""
    earliest = np.full(group.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, group, first)
    order = np.argsort(earliest)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[group], earliest[order]


def _largest(group: Int64[np.ndarray, " n"], pixels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " groups"]:
    """The largest member of each group; of equals, the earliest."""
    order = np.lexsort((np.arange(len(group)), -pixels, group))
    return order[np.diff(group[order], prepend=-1) > 0]


def _numbered(class_ids: UInt8[np.ndarray, " groups"], group: Int64[np.ndarray, " parts"]) -> Regions:
    """Leaves out what is not valid; the others keep their order."""
    valid = class_ids != NODATA
    number = np.where(valid, np.cumsum(valid) - 1, OUTSIDE).astype(np.int32)
    return Regions(class_ids[valid], number[group])
