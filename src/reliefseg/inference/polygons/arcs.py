"""Borders between regions, cut into arcs: lines from junction to junction, or closed ones, along pixels' sides.

A point is a (row, col) corner of pixels. An arc runs so that the region of lower number lies on its left, as
seen on the map: it is the same arc, point by point, however the scene was cut into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64

EAST, SOUTH, WEST, NORTH = range(4)


class Arcs(NamedTuple):
    """Arcs one after another: the points of arc k are `points[ends[k]:ends[k + 1]]`, corners and both ends.

    `left` and `right` are the regions beside each arc; it leaves its first point and comes to its last in a
    direction (EAST, SOUTH, WEST, NORTH).
    """

    points: Int32[np.ndarray, "points 2"]
    ends: Int64[np.ndarray, " _ends"]
    left: Int32[np.ndarray, " arcs"]
    right: Int32[np.ndarray, " arcs"]
    leaving: Int64[np.ndarray, " arcs"]
    arriving: Int64[np.ndarray, " arcs"]

    def chosen(self, which: Bool[np.ndarray, " arcs"]) -> Arcs:
        """Some of the arcs."""
        lengths = np.diff(self.ends)
        ends = np.concatenate([[0], np.cumsum(lengths[which])])
        beside = (values[which] for values in self[2:])
        return Arcs(self.points[np.repeat(which, lengths)], ends, *beside)


def all_arcs(several: Sequence[Arcs]) -> Arcs:
    """Several bundles of arcs as one."""
    lengths = np.concatenate([np.diff(arcs.ends) for arcs in several])
    points = np.concatenate([arcs.points for arcs in several])
    beside = (np.concatenate(values) for values in zip(*(arcs[2:] for arcs in several), strict=True))
    return Arcs(points, np.concatenate([[0], np.cumsum(lengths)]), *beside)


def arcs_of(
    points: Int32[np.ndarray, "points 2"],
    ends: Int64[np.ndarray, " _ends"],
    left: Int32[np.ndarray, " arcs"],
    right: Int32[np.ndarray, " arcs"],
) -> Arcs:
    """Arcs with the directions that follow from their points."""
    first, last = ends[:-1], ends[1:] - 1
    return Arcs(points, ends, left, right, _direction(points, first, first + 1), _direction(points, last - 1, last))


def walk(
    following: Int64[np.ndarray, " n"], starts: Int64[np.ndarray, " starts"]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " _ends"]]:
    """Chains of things of which each knows the next (−1: none), one after another, and where each chain ends.

    A chain begins at each start that no chain before has passed.
    """
    after, passed = following.tolist(), bytearray(len(following))
    order: list[int] = []
    ends = [0]
    for at in starts.tolist():
        while at >= 0 and not passed[at]:
            passed[at] = 1
            order.append(at)
            at = after[at]
        if len(order) > ends[-1]:
            ends.append(len(order))
    return np.array(order, np.int64), np.array(ends, np.int64)


def trace(regions: Int32[np.ndarray, "rows cols"], row: int, col: int) -> tuple[Arcs, Bool[np.ndarray, "arcs 2"]]:
    """The arcs of a block, given with the row above it and the column to its left, and which of their ends are cuts.

    A block has its pixels' upper and left sides. Arcs are cut where they meet the block's frame; a block in the
    scene's first row or column has none on that side. `row`, `col`: the block's first pixel.
    """
    sides = _Sides(regions)
    frame = np.zeros(sides.corner.shape, bool)
    frame[[0, -1] if row else -1], frame[:, [0, -1] if col else -1] = True, True
    stop = (sides.degree > 2) | (frame & (sides.degree > 0))
    tail, head, left, right = sides.runs(stop)
    run_at = np.full(stop.size, -1, np.int64)
    run_at[tail] = np.arange(len(tail))
    stopped = stop.ravel()
    following = np.where(stopped[head], -1, run_at[head])
    # A ring begins at its uppermost, leftmost point, with the run that leaves it.
    begins = np.where(tail < head, np.arange(len(tail)), following)
    order, ends = walk(following, np.concatenate([np.flatnonzero(stopped[tail]), begins]))
    first, last = order[ends[:-1]], order[ends[1:] - 1]
    corners = np.insert(head[order], ends[:-1], tail[first])
    rows, cols = np.divmod(corners, stop.shape[1])
    points = np.column_stack([rows + row, cols + col]).astype(np.int32)
    arcs = arcs_of(points, ends + np.arange(len(ends)), left[first], right[first])
    framed = frame.ravel()
    return arcs, np.column_stack([framed[tail[first]], framed[head[last]]])


class _Sides:
    """The sides of a block's pixels that lie between two regions."""

    def __init__(self, regions: Int32[np.ndarray, "rows cols"]):
        self.regions = regions
        shape = regions.shape
        self.across, self.down = np.zeros(shape, bool), np.zeros(shape, bool)
        self.across[:-1, :-1] = regions[:-1, 1:] != regions[1:, 1:]  # from a point to the one east of it
        self.down[:-1, :-1] = regions[1:, :-1] != regions[1:, 1:]  # and south of it
        self.from_west, self.from_north = np.zeros(shape, bool), np.zeros(shape, bool)
        self.from_west[:, 1:], self.from_north[1:] = self.across[:, :-1], self.down[:-1]
        meeting = (self.across, self.down, self.from_west, self.from_north)
        self.degree = np.sum(meeting, axis=0, dtype=np.int8)
        self.corner = (self.degree == 2) & (self.across ^ self.from_west)

    def runs(self, stop: Bool[np.ndarray, "rows cols"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Straight runs between corners and stops: tail and head point, region on the left and on the right."""
        width = stop.shape[1]
        special = stop | self.corner
        west, east = np.flatnonzero(special & self.across), np.flatnonzero(special & self.from_west)
        north, south = (
            _row_major(np.flatnonzero((special & sides).T), stop.shape) for sides in (self.down, self.from_north)
        )
        flat = self.regions.ravel()
        upper, lower = flat[west + 1], flat[west + width + 1]
        onward, back = flat[north + width + 1], flat[north + width]
        tail, head = np.concatenate([west, north]), np.concatenate([east, south])
        left, right = np.concatenate([upper, onward]), np.concatenate([lower, back])
        turned = left > right
        tail, head = np.where(turned, head, tail), np.where(turned, tail, head)
        return tail, head, np.minimum(left, right), np.maximum(left, right)


def stitch(pieces: Arcs, cut: Bool[np.ndarray, "pieces 2"], width: int) -> Arcs:
    """Joins pieces of arcs at cut ends where exactly two meet; `width` is the scene's, in pixels."""
    codes = pieces.points[:, 0].astype(np.int64) * (width + 1) + pieces.points[:, 1]
    ends = codes[np.stack([pieces.ends[:-1], pieces.ends[1:] - 1])]
    points, where, counts = np.unique(ends, return_inverse=True, return_counts=True)
    tail, head = where.reshape(ends.shape)
    joint = (counts == 2) & np.isin(points, ends.T[cut])
    leaving = np.full(len(points), -1, np.int64)
    leaving[tail] = np.arange(len(tail))
    following = np.where(joint[head], leaving[head], -1)
    order, ends = walk(following, np.concatenate([np.flatnonzero(~joint[tail]), np.arange(len(tail))]))
    chains = [order[start:stop] for start, stop in pairwise(ends.tolist())]
    lines = [_straightened(_ring(pieces, c) if following[c[-1]] == c[0] else _line(pieces, c)) for c in chains]
    lead = order[ends[:-1]]
    lengths = np.array([0, *map(len, lines)], np.int64)
    points = np.concatenate(lines) if lines else pieces.points
    return arcs_of(points, np.cumsum(lengths), pieces.left[lead], pieces.right[lead])


def _line(pieces: Arcs, chain: Int64[np.ndarray, " pieces"]) -> Int32[np.ndarray, "points 2"]:
    """The points of pieces one after another."""
    parts = [pieces.points[pieces.ends[k] + 1 : pieces.ends[k + 1]] for k in chain]
    return np.concatenate([pieces.points[pieces.ends[chain[0]]][None], *parts])


def _ring(pieces: Arcs, chain: Int64[np.ndarray, " pieces"]) -> Int32[np.ndarray, "points 2"]:
    """The points of pieces that close, from the uppermost, leftmost one on."""
    ring = _line(pieces, chain)[1:]
    top = np.lexsort((ring[:, 1], ring[:, 0]))[0]
    return np.concatenate([ring[top:], ring[: top + 1]])


def _straightened(line: Int32[np.ndarray, "points 2"]) -> Int32[np.ndarray, "corners 2"]:
    """Without the points at which the line goes straight on."""
    steps = np.diff(line, axis=0) != 0
    return line[np.concatenate([[True], (steps[1:] != steps[:-1]).any(axis=1), [True]])]


def _row_major(flat: Int64[np.ndarray, " n"], shape: tuple[int, ...]) -> Int64[np.ndarray, " n"]:
    """Flat numbers down the columns as flat numbers along the rows."""
    cols, rows = np.divmod(flat, shape[0])
    return rows * shape[1] + cols


def _direction(
    points: Int32[np.ndarray, "points 2"], start: Int64[np.ndarray, " n"], stop: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    rows, cols = (points[stop] - points[start]).T
    return np.where(cols != 0, np.where(cols > 0, EAST, WEST), np.where(rows > 0, SOUTH, NORTH)).astype(np.int64)
