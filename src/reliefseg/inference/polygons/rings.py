"""Arcs put together to the polygons of regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from affine import Affine
from jaxtyping import Int64, Shaped

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
        chains = [order[ends[k] : ends[k + 1]] for k in rings]
        yield _assembled(arcs, turns, chains, region[rings], transform)


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


def _assembled(
    arcs: Arcs,
    turns: _Turns,
    chains: list[Int64[np.ndarray, " chain"]],
    region: Int64[np.ndarray, " rings"],
    transform: Affine,
) -> Shaped[np.ndarray, " batch"]:
    """Polygons from rings, which are sorted by region: of each the outer ring first."""
    if not chains:
        return np.empty(0, object)
    lines = [np.concatenate([_points(arcs, turns, k) for k in chain]) for chain in chains]
    rings = [np.concatenate([line, line[:1]]) for line in lines]
    outer = np.array([_signed_area(ring) for ring in rings]) > 0
    order = np.lexsort((~outer, region))
    points = np.concatenate([rings[k] for k in order])
    ring_ends = np.concatenate([[0], np.cumsum([len(rings[k]) for k in order])])
    polygon_ends = np.concatenate([np.flatnonzero(np.diff(region, prepend=-1)), [len(region)]])
    xs, ys = transform @ (points[:, 1].astype(np.float64), points[:, 0].astype(np.float64))
    return shapely.from_ragged_array(shapely.GeometryType.POLYGON, np.column_stack([xs, ys]), (ring_ends, polygon_ends))


def _points(arcs: Arcs, turns: _Turns, turn: int) -> Shaped[np.ndarray, "points 2"]:
    """An arc's points in the direction it is passed, without the last, which is the next arc's first."""
    arc = turns.arc[turn]
    points = arcs.points[arcs.ends[arc] : arcs.ends[arc + 1]]
    return points[:0:-1] if turns.backward[turn] else points[:-1]


def _signed_area(ring: Shaped[np.ndarray, "points 2"]) -> float:
    """Twice the area inside a closed ring, positive where it lies on the left, as seen on the map."""
    rows, cols = (ring - ring[0]).astype(np.int64).T
    return float((cols[1:] * rows[:-1] - cols[:-1] * rows[1:]).sum())
