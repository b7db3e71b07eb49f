"""Scales and shifts that bring windows of relative depth in line with each other: one fit over all overlaps.

Least squares would be smallest at scale 0 and shrink with noise, so each pair of windows is fitted symmetrically, and
what pairs say is then reconciled in two sparse graph problems, of log scales and of shifts, in which a pair that
contradicts all others counts little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve

from reliefseg.depth.mosaic import Mosaic, Plan, Planes, enlarged
from reliefseg.raster import Window

SAMPLE = 1500
"""Pixels of an overlap that are looked at."""
LINES = 120
"""Lines through two pixels each that are tried on an overlap. Source: Torr & Zisserman, MLESAC, CVIU 78 (2000)."""
INLIER = 3.0
"""Pixels farther from the line than so many deviations are taken for spoilt."""
SMALLEST_DOUBT = 0.02
"""Added to 1 - r², so that no overlap is trusted without end."""
SMALLEST_NOISE = 1e-4
"""Deviations from the line count from this share of the overlap's relief on."""
PULL = 1e-4
"""Weight of the pull of log scales and shifts towards 0, as a share of what overlaps weigh."""
ROUNDS = 40
"""Rounds of reweighting: least absolute deviations by least squares. Source: Holland & Welsch 1977."""

SMALLEST_OFF = 1e-4
"""Edges that are off by less, as a share of the largest step, weigh no more than those that are off by this."""

Valid = Callable[[Window], Bool[np.ndarray, "height width"]]


class Line(NamedTuple):
    """How two windows see what both see: other ≈ exp(log_ratio) · one + constant.

    It goes through (`one_centre`, `other_centre`). `trust` says how far relief decides the ratio: the share of the
    pixels near the line times r² / (1 - r²), r their correlation, for the variance of a ratio of spreads grows with
    1 - r². `noise` is their deviation from the line over the root of the ratio, which treats both windows alike.
    `share` of the pixels lie near the line.
    """

    log_ratio: float
    one_centre: float
    other_centre: float
    trust: float
    noise: float
    share: float


class Pair(NamedTuple):
    """Two windows by number, and the line between them."""

    one: int
    other: int
    line: Line


def aligned_mosaic(plan: Plan, planes: Planes, valid: Valid) -> Mosaic:
    """The windows as one map, each with the scale and shift that all overlaps together ask for.

    Pixels that are not `valid` say nothing. Where an overlap is flat, scales stay near their neighbours'.
    """
    pairs = [Pair(i, j, _line_between(plan, planes, i, j, shared, valid)) for i, j, shared in plan.neighbours()]
    scales = np.exp(reconciled(len(plan), [(p.one, p.other, p.line.log_ratio, p.line.trust) for p in pairs]))
    return Mosaic(plan, planes, scales, reconciled(len(plan), _offsets(pairs, scales)))


def fit_line(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> Line:
    """The line through most of the pixels two windows share, the same whichever comes first, up to its direction.

    The line that is best on pixels near it is chosen from `LINES` lines through two pixels; its slope is then the
    ratio of both spreads of the pixels near it (reduced major axis), which does not shrink with noise.
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    units = _spread(one), _spread(other)
    if len(one) < 3 or not min(units):
        return Line(0.0, _middle(one), _middle(other), 0.0, 0.0, float(len(one) > 0))
    x, y = (one - np.median(one)) / units[0], (other - np.median(other)) / units[1]
    near, noise = _consensus(x, y)
    if near.sum() < 3 or not (x[near].std() and y[near].std()):
        return Line(0.0, _middle(one), _middle(other), 0.0, 1.0, float(near.mean()))
    correlation = float(np.corrcoef(x[near], y[near])[0, 1])
    ratio = other[near].std() / one[near].std()
    share = float(near.mean())
    trust = share * max(0.0, correlation) ** 2 / (1 - correlation**2 + SMALLEST_DOUBT)
    spread = np.sqrt(one[near].std() * other[near].std())
    noise = spread * np.sqrt(max(0.0, 2 - 2 * correlation)) / np.sqrt(ratio)
    return Line(float(np.log(ratio)), one[near].mean(), other[near].mean(), trust, float(noise), share)


def reconciled(nodes: int, edges: Iterable[tuple[int, int, float, float]]) -> Float64[np.ndarray, " nodes"]:
    """Values of nodes from what edges say: (i, j, value_i - value_j, weight), least absolute deviations.

    A weak pull to 0 decides what edges leave open.
    """
    kept = [edge for edge in edges if edge[3] > 0]
    if not kept:
        return np.zeros(nodes)
    one, other, step, weight = (np.array(column) for column in zip(*kept, strict=True))
    unit = max(float(np.abs(step).max()), 1e-12)
    values, reweighted = np.zeros(nodes), weight
    for _ in range(ROUNDS):
        values = _least_squares(nodes, one, other, step / unit, reweighted, PULL * weight.mean())
        off = np.abs(values[one] - values[other] - step / unit)
        reweighted = weight / np.maximum(off, SMALLEST_OFF)
    return values * unit


def brought_in_line(
    plane: Float32[np.ndarray, "height width"], like: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """A whole window scaled and shifted to agree with another look at it."""
    every = max(1, plane.size // SAMPLE)
    line = fit_line(plane.ravel()[::every], like.ravel()[::every])
    ratio = np.exp(line.log_ratio)
    return (ratio * (plane - line.one_centre) + line.other_centre).astype(np.float32)


def _line_between(plan: Plan, planes: Planes, one: int, other: int, shared: Window, valid: Valid) -> Line:
    known = valid(shared)
    every = max(1, int(known.sum()) // SAMPLE)

    def seen(index: int) -> np.ndarray:
        window = plan[index]
        part = enlarged(planes[index], plan.window, shared.shifted(-window.row, -window.col))
        return part[known][::every]

    return fit_line(seen(one), seen(other))


def _offsets(pairs: Sequence[Pair], scales: Float64[np.ndarray, " windows"]) -> list[tuple[int, int, float, float]]:
    """What pairs say of shifts once scales are known; pairs that differ much after that weigh little."""
    noise = np.array([p.line.noise * np.sqrt(scales[p.one] * scales[p.other]) for p in pairs])
    usual = float(np.median(noise)) if pairs else 0.0
    weights = [
        p.line.share / (1 + n / usual) ** 2 if usual else p.line.share for p, n in zip(pairs, noise, strict=True)
    ]
    return [
        (p.one, p.other, scales[p.other] * p.line.other_centre - scales[p.one] * p.line.one_centre, w)
        for p, w in zip(pairs, weights, strict=True)
    ]


def _consensus(x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]) -> tuple[Bool[np.ndarray, " n"], float]:
    """The pixels near the best line, and their usual distance from it; `x` and `y` have relief of about 1."""
    slopes, at = _lines(x, y)
    if not len(slopes):
        return np.ones(len(x), bool), 1.0
    off = np.abs((y - y[at, None]) - slopes[:, None] * (x - x[at, None])) / np.sqrt(slopes)[:, None]
    noise = max(1.4826 * float(np.median(off, axis=1).min()), SMALLEST_NOISE)
    cost = np.minimum(off, INLIER * noise).sum(axis=1)
    return off[cost.argmin()] <= INLIER * noise, noise


def _lines(x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]) -> tuple[np.ndarray, Int[np.ndarray, " lines"]]:
    """Rising lines through two pixels that differ more than usual: slopes, and one of the pixels of each."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, len(x), (2, 8 * LINES))
    rise, run = y[one] - y[other], x[one] - x[other]
    apart = np.minimum(np.abs(rise), np.abs(run))
    good = (rise * run > 0) & (apart >= np.median(apart)) & (apart > 1e-9)
    return (rise[good] / run[good])[:LINES], one[good][:LINES]


def _spread(values: Float64[np.ndarray, " n"]) -> float:
    """Relief of an overlap: a spread that outliers do not blow up; 0 where it is rounding of float32."""
    if not len(values):
        return 0.0
    low, high = np.percentile(values, [5, 95])
    spread = float(high - low) or float(np.ptp(values))
    return spread if spread > 1e-6 * float(np.abs(values).max()) else 0.0


def _middle(values: Float64[np.ndarray, " n"]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _least_squares(
    nodes: int, one: np.ndarray, other: np.ndarray, step: np.ndarray, weight: np.ndarray, pull: float
) -> Float64[np.ndarray, " nodes"]:
    edges = np.arange(len(one))
    incidence = coo_array(
        (np.repeat([1.0, -1.0], len(one)), (np.tile(edges, 2), np.concatenate([one, other]))), shape=(len(one), nodes)
    ).tocsr()
    normal = incidence.T @ diags_array(weight) @ incidence + pull * diags_array(np.ones(nodes))
    return spsolve(normal.tocsc(), incidence.T @ (weight * step))
