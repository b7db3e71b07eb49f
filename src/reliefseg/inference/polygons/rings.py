"""Arcs put together to the polygons of regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from jaxtyping import Bool, Int32, Int64, Shaped

from reliefseg.inference.polygons.arcs import Arcs, walk
from reliefseg.inference.polygons.regions import OUTSIDE

BATCH = 20_000
"""Polygons made at a time."""


class _Turns(NamedTuple):
    """Every arc from both sides: arc k with its left region, then, turned round, with its right one."""

    arc: Int64[np.ndarray, " n"]
    backward: Shaped[np.ndarray, " n"]
    region: Int64[np.ndarray, " n"]


def polygons(arcs: Arcs, transform: Affine) -> Iterator[Shaped[np.ndarray, " batch"]]:
    """The polygon of every region in order, in batches; `transform` brings (col, row) to the ground.

    Where a region touches itself at a corner its rings touch there, so that every ring is simple.
    """
    turns = _turns(arcs)
    order, ends = walk(_following(arcs, turns), np.arange(len(turns.arc)))
    region = turns.region[order[ends[:-1]]]
    in_order = np.argsort(region, kind="stable")
    for begin in range(0, max(1, region.max(initial=-1) + 1), BATCH):
        low, high = np.searchsorted(region[in_order], [begin, begin + BATCH])
        rings = in_order[low:high]
        chains = np.diff(ends)[rings]
        some = order[_ranges(ends[rings], chains)]
        points, lengths = _ring_points(arcs, turns.arc[some], turns.backward[some], chains)
        yield _assembled(points, lengths, region[rings], transform)


def _turns(arcs: Arcs) -> _Turns:
    count = len(arcs.left)
    arc = np.tile(np.arange(count), 2)
    backward = np.arange(2 * count) >= count
    region = np.concatenate([arcs.left, arcs.right]).astype(np.int64)
    first = arcs.points[arcs.ends[:-1]]
    # Sorted by where they begin, they are in the same order however the scene was cut into blocks.
    order = np.lexsort((arcs.leaving[arc], first[arc, 1], first[arc, 0], backward))
    order = order[region[order] != OUTSIDE]
    return _Turns(arc[order], backward[order], region[order])


def _following(arcs: Arcs, turns: _Turns) -> Int64[np.ndarray, " n"]:
    """The arc that goes on round the same region.

    Where two do, the region has two opposite pixels at that corner: turning right goes over to the other one.
    """
    forward = ~turns.backward
    first, last = arcs.ends[:-1][turns.arc], arcs.ends[1:][turns.arc] - 1
    start = arcs.points[np.where(forward, first, last)].astype(np.int64)
    stop = arcs.points[np.where(forward, last, first)].astype(np.int64)
    leaving, arriving = arcs.leaving[turns.arc], arcs.arriving[turns.arc]
    out = np.where(forward, leaving, (arriving + 2) % 4)
    come = np.where(forward, arriving, (leaving + 2) % 4)
    nodes = start[:, 0] << 32 | start[:, 1], stop[:, 0] << 32 | stop[:, 1]
    _, node = np.unique(np.concatenate(nodes), return_inverse=True)
    count = len(start)
    here, there = turns.region * 2 * count + node[:count], turns.region * 2 * count + node[count:]
    order = np.argsort(here, kind="stable")
    low, high = np.searchsorted(here[order], there), np.searchsorted(here[order], there, side="right")
    one, other = order[low], order[high - 1]
    return np.where(out[one] == (come + 1) % 4, one, other)


def _ring_points(
    arcs: Arcs, arc: Int64[np.ndarray, " n"], backward: Bool[np.ndarray, " n"], chains: Int64[np.ndarray, " rings"]
) -> tuple[Int32[np.ndarray, "points 2"], Int64[np.ndarray, " rings"]]:
    """The points of closed rings of so many arcs each, and how many there are in each."""
    first, last = arcs.ends[:-1][arc], arcs.ends[1:][arc] - 1
    lengths = last - first  # without an arc's last point, which is the next one's first
    step = np.where(backward, -1, 1)
    points = arcs.points[_ranges(np.where(backward, last, first), lengths, step)]
    of_ring = np.add.reduceat(lengths, np.cumsum(chains) - chains) if len(chains) else chains
    stops = np.cumsum(of_ring)
    return np.insert(points, stops, points[stops - of_ring], axis=0), of_ring + 1


def _assembled(
    points: Int32[np.ndarray, "points 2"],
    lengths: Int64[np.ndarray, " rings"],
    region: Int64[np.ndarray, " rings"],
    transform: Affine,
) -> Shaped[np.ndarray, " batch"]:
    """Polygons from closed rings, which are sorted by region: of each the outer ring first."""
    if not len(region):
        return np.empty(0, object)
    starts = np.cumsum(lengths) - lengths
    order = np.lexsort((_signed_areas(points, starts) < 0, region))
    rows, cols = points[_ranges(starts[order], lengths[order])].astype(np.float64).T
    ring_ends = np.concatenate([[0], np.cumsum(lengths[order])])
    polygon_ends = np.concatenate([np.flatnonzero(np.diff(region, prepend=-1)), [len(region)]])
    ground = np.column_stack(transform @ (cols, rows))
    return shapely.from_ragged_array(shapely.GeometryType.POLYGON, ground, (ring_ends, polygon_ends))


def _signed_areas(
    points: Int32[np.ndarray, "points 2"], starts: Int64[np.ndarray, " rings"]
) -> Int64[np.ndarray, " rings"]:
    """Twice the area inside each closed ring, positive where it lies on the left, as seen on the map."""
    rows, cols = points.astype(np.int64).T
    cross = np.append(cols[1:] * rows[:-1] - cols[:-1] * rows[1:], 0)
    cross[starts[1:] - 1] = 0  # from one ring to the next
    return np.add.reduceat(cross, starts)


def _ranges(
    starts: Int64[np.ndarray, " n"], lengths: Int64[np.ndarray, " n"], step: Int64[np.ndarray, " n"] | int = 1
) -> Int64[np.ndarray, " total"]:
    """Numbers from each start on, as many as its length, one range after another."""
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(starts, lengths) + within * np.repeat(np.broadcast_to(step, lengths.shape), lengths)
