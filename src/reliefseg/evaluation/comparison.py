"""How sure we are that one way of learning is better than another: paired differences over scenes and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Real

from reliefseg.errors import InputError

FIGURES = ("mean_iou", "mean_f1", "overall_accuracy", "boundary_f1")
"""What is compared, beside the IoU of each class (`iou <class>`)."""
DRAWS = 10_000
LEVEL = 0.95
FEWEST_SCENES, FEWEST_SEEDS = 5, 3
"""With fewer, nothing is ever called evidence."""

Verdict = Literal["helps", "hurts", "no evidence"]
Counts = Int64[np.ndarray, "seeds scenes 7 classes"]
"""Of runs that differ in nothing but the seed, on the same scenes: pixels that map and truth agree on, of the truth,
of the map; then outline pixels shown, fitting, true and found (`BoundaryCounts`)."""


class Difference(NamedTuple):
    """A figure with an ingredient minus without it: fractions, nan where undefined.

    `low` and `high` hold the 95 % interval, `p` says how rarely so large a difference comes of chance alone.
    """

    estimate: float
    low: float
    high: float
    p: float

    def to_json(self) -> dict[str, float | None]:
        """Plain numbers, None where undefined."""
        return {name: None if isnan(value) else float(value) for name, value in self._asdict().items()}


def counts_of(runs: Sequence[Mapping[str, Any]]) -> Counts:
    """The counts of runs, one a seed, from what their `metrics.json` hold.

    InputError: runs evaluated on different scenes or classes, or by a version that did not keep outlines.
    """
    scenes, classes = runs[0]["scenes"], runs[0]["classes"]
    if any((one["scenes"], one["classes"]) != (scenes, classes) for one in runs):
        raise InputError(
            "runs to be compared: were evaluated on different scenes or classes; evaluate them on the same"
        )
    if any("outlines" not in one["per_scene"][scene] for one in runs for scene in scenes):
        raise InputError("runs to be compared: metrics.json holds no outlines; evaluate them again with this version")
    return np.array([[_scene_counts(one["per_scene"][scene]) for scene in scenes] for one in runs], dtype=np.int64)


def _scene_counts(scene: Mapping[str, Any]) -> Int64[np.ndarray, "7 classes"]:
    confusion = np.array(scene["confusion"], dtype=np.int64)
    pixels = [np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)]
    return np.array([*pixels, *(scene["outlines"][name] for name in ("shown", "fitting", "true", "found"))])


def figure_names(classes: Sequence[str]) -> tuple[str, ...]:
    """What the figures are called, in their order."""
    return (*FIGURES, *(f"iou {name}" for name in classes))


def figures(counts: Real[np.ndarray, "*any 7 classes"]) -> Float64[np.ndarray, "*any figures"]:
    """The figures of pooled counts, defined as in `metrics.json`; nan where undefined."""
    both, true, shown, outlined, fitting, outlines, found = np.moveaxis(counts, -2, 0)
    iou = _ratio(both, true + shown - both, true > 0)
    f1 = _ratio(2 * both, true + shown, true > 0)
    precision, recall = (np.nan_to_num(_ratio(a, b, b > 0)) for a, b in ((fitting, outlined), (found, outlines)))
    boundary = np.where(outlines > 0, np.nan_to_num(_ratio(2 * precision * recall, precision + recall)), np.nan)
    accuracy = _ratio(both.sum(axis=-1), true.sum(axis=-1))
    means = np.stack([_mean(iou), _mean(f1), accuracy, _mean(boundary)], axis=-1)
    return np.concatenate([means, iou], axis=-1)


def compare(
    pairs: Sequence[tuple[Counts, Counts]], classes: Sequence[str], *, seed: int = 0, draws: int = DRAWS
) -> dict[str, Difference]:
    """Differences with an ingredient minus without it, by figure; a pair is (with, without): same scenes, same seeds.

    A run's figure comes from counts pooled over scenes; the difference is the mean over seeds, and over pairs where
    the ingredient was tried in several surroundings. ValueError where runs do not pair.
    """
    truths = [one[..., 1, :] for pair in pairs for one in pair]
    if not all(np.array_equal(truth, truths[0]) for truth in truths):
        raise ValueError("runs do not pair: other scenes, seeds or truth")
    estimate = np.mean([_differences(*(one.sum(axis=1) for one in pair)).mean(axis=0) for pair in pairs], axis=0)
    spread = _resampled(pairs, estimate, np.random.default_rng(seed), draws)
    return {name: _summary(float(estimate[i]), spread[:, i]) for i, name in enumerate(figure_names(classes))}


def _resampled(
    pairs: Sequence[tuple[Counts, Counts]],
    estimate: Float64[np.ndarray, " figures"],
    rng: np.random.Generator,
    draws: int,
) -> Float64[np.ndarray, "draws figures"]:
    """The differences had other scenes and seeds come along: both are drawn anew, independently, with replacement.

    Few of a kind vary too little when drawn from themselves. So what changing the n scenes does, and what changing
    the n seeds does to that, is stretched in each draw by √(n / χ²) of n − 1 degrees of freedom: a normal spread
    becomes Student's t. Of a class's IoU, n are the scenes that show the class; of one nothing can be said: nan. With
    one seed, the spread over seeds is not in it.

    Source: Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007), for drawing rows and columns;
    Hesterberg, What teachers should know about the bootstrap, The American Statistician 69 (2015), for the
    narrowness of few; the stretching is ours.
    """
    seeds, scenes = pairs[0][0].shape[:2]
    of_scenes = rng.multinomial(scenes, np.full(scenes, 1 / scenes), draws).astype(np.float64)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
    by_seed = np.mean([_differences(*(_pooled(of_scenes, one) for one in pair)) for pair in pairs], axis=0)
    all_seeds = by_seed.mean(axis=1)
    moved_by_scenes = all_seeds - estimate
    moved_by_seeds = np.einsum("ds,dsf->df", of_seeds, by_seed) - all_seeds
    by_scenes = _stretch(scenes_showing(pairs[0][0]), rng, draws) * moved_by_scenes
    by_seeds = _stretch(np.array([seeds]), rng, draws) * moved_by_seeds if seeds > 1 else 0
    return estimate + by_scenes + by_seeds


def _pooled(
    of_scenes: Float64[np.ndarray, "draws scenes"], counts: Counts
) -> Float64[np.ndarray, "draws seeds 7 classes"]:
    """Counts over the scenes of each draw."""
    return np.einsum("dn,snkc->dskc", of_scenes, counts, optimize=True)


def _stretch(n: Int64[np.ndarray, " k"], rng: np.random.Generator, draws: int) -> Float64[np.ndarray, "draws k"]:
    """How much further than their own draws n things would vary; nan for one thing.

    The same draw of χ² serves all figures that rest on as many things.
    """
    stretch = np.full((draws, len(n)), np.nan)
    for count in np.unique(n[n > 1]):
        stretch[:, n == count] = np.sqrt(count / rng.chisquare(count - 1, (draws, 1)))
    return stretch


def _differences(
    one: Real[np.ndarray, "*any 7 classes"], other: Real[np.ndarray, "*any 7 classes"]
) -> Float64[np.ndarray, "*any figures"]:
    return figures(one) - figures(other)


def _summary(estimate: float, spread: Float64[np.ndarray, " draws"]) -> Difference:
    """Interval and two-sided p of draws; those in which a figure is undefined do not count."""
    spread = spread[~np.isnan(spread)]
    if np.isnan(estimate) or not len(spread):
        return Difference(estimate, nan, nan, nan)
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).clip(-1, 1)
    tail = min((spread <= 0).sum(), (spread >= 0).sum())
    return Difference(estimate, float(low), float(high), min(1.0, 2 * float(tail + 1) / (len(spread) + 1)))


def holm(p: Sequence[float]) -> list[float]:
    """p-values of several tests made as strict as if there had been one; nan stays and does not count.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = [i for i in np.argsort(p, kind="stable") if not np.isnan(p[i])]
    adjusted = [nan] * len(p)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = highest
    return adjusted


def verdict(difference: Difference, adjusted_p: float, scenes: int, seeds: int) -> Verdict:
    """What may be said of a difference, given its p after Holm's correction and what it rests on."""
    enough = scenes >= FEWEST_SCENES and seeds >= FEWEST_SEEDS
    clear = difference.low > 0 or difference.high < 0
    if not enough or not clear or not adjusted_p < 1 - LEVEL:
        return "no evidence"
    return "helps" if difference.estimate > 0 else "hurts"


def scenes_showing(counts: Counts) -> Int64[np.ndarray, " figures"]:
    """On how many scenes each figure rests: all with truth; for a class's IoU those that show the class."""
    true = counts[0, :, 1, :] > 0
    return np.concatenate([np.full(len(FIGURES), true.any(axis=1).sum()), true.sum(axis=0)]).astype(np.int64)


def _ratio(part: np.ndarray, whole: np.ndarray, defined: np.ndarray | None = None) -> np.ndarray:
    """Part over whole, nan where the whole is nothing or it is not defined."""
    known = whole > 0 if defined is None else defined & (whole > 0)
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=known)


def _mean(values: Float64[np.ndarray, "*any classes"]) -> Float64[np.ndarray, "*any"]:
    """The mean of the defined values, nan where there is none."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))
