"""Arcs with fewer points: Douglas–Peucker on every arc alone, so that both regions beside it get the same line."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from reliefseg.inference.polygons.arcs import Arcs

TOLERANCE = 0.99
"""Pixels that a simplified arc may be away from a corner it leaves out; below 1, see `simplified`."""


def simplified(arcs: Arcs, tolerance: float = TOLERANCE) -> Arcs:
    """Arcs that leave out corners no farther than `tolerance` (below 1 pixel) from the line drawn.

    Two arcs never cross. What lies between a chord and the corners it stands for is nearer than 1 pixel to their
    line, and all other corners are at least 1 pixel from it, so none is there; a chord that crossed another one
    would need one. Only whole arcs between the same two junctions could fall together: so each arc keeps the
    corner farthest from its first chord, a closed one those of the first two.

    Source: Douglas and Peucker, Cartographica 10 (1973); de Berg, van Kreveld and Schirra, Cartography and
    Geographic Information Systems 25 (1998), for the condition.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"a tolerance of {tolerance} px could make arcs cross; it must be below 1")
    kept = _kept(arcs.points, arcs.ends, tolerance)
    lengths = np.add.reduceat(kept.astype(np.int64), arcs.ends[:-1]) if len(arcs.left) else np.empty(0, np.int64)
    return arcs._replace(points=arcs.points[kept], ends=np.concatenate([[0], np.cumsum(lengths)]))


def _kept(
    points: Int32[np.ndarray, "points 2"], ends: Int64[np.ndarray, " _ends"], tolerance: float
) -> Bool[np.ndarray, " points"]:
    """All arcs are halved at once, chord by chord, until no corner is too far from its chord."""
    kept = np.zeros(len(points), bool)
    first, last = ends[:-1], ends[1:] - 1
    kept[first] = kept[last] = True
    forced = 1 + (points[first] == points[last]).all(axis=1)
    while len(first):
        spanning = last - first > 1
        first, last, forced = first[spanning], last[spanning], forced[spanning]
        farthest, distance = _farthest(points, first, last)
        split = (distance > tolerance) | (forced > 0)
        first, last, farthest, forced = first[split], last[split], farthest[split], forced[split] - 1
        kept[farthest] = True
        first, last = np.concatenate([first, farthest]), np.concatenate([farthest, last])
        forced = np.tile(forced, 2)
    return kept


def _farthest(
    points: Int32[np.ndarray, "points 2"], first: Int64[np.ndarray, " chords"], last: Int64[np.ndarray, " chords"]
) -> tuple[Int64[np.ndarray, " chords"], Float64[np.ndarray, " chords"]]:
    """The corner farthest from each chord, the first of equals, and how far it is."""
    lengths = last - first - 1
    begins = np.cumsum(lengths) - lengths
    chord = np.repeat(np.arange(len(first)), lengths)
    inner = np.arange(len(chord)) - begins[chord] + first[chord] + 1
    distance = _distance(points[inner], points[first][chord], points[last][chord])
    if not len(first):
        return first, distance
    largest = np.maximum.reduceat(distance, begins)
    at = np.flatnonzero(distance == largest[chord])
    return inner[at[np.diff(chord[at], prepend=-1) > 0]], largest


def _distance(
    points: Int32[np.ndarray, "n 2"], start: Int32[np.ndarray, "n 2"], stop: Int32[np.ndarray, "n 2"]
) -> Float64[np.ndarray, " n"]:
    """How far points are from the straight lines between others, both ends included."""
    along, out = (stop - start).astype(np.float64), (points - start).astype(np.float64)
    share = (out * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1)
    return np.hypot(*(out - np.clip(share, 0, 1)[:, None] * along).T)
