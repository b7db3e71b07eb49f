"""Whether a map's probabilities say how often it is right."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from reliefseg.raster.classes import IGNORE_INDEX

BINS = 15
"""Guo et al. have as many; all are as wide."""


class ReliabilityCounts(NamedTuple):
    """Labelled pixels by the probability of the class they were given: how many, how many right, summed probability.

    A bin has the probabilities above its lower and up to its upper bound.
    """

    pixels: Int64[np.ndarray, " bins"]
    right: Int64[np.ndarray, " bins"]
    confidence: Float64[np.ndarray, " bins"]

    @classmethod
    def none(cls) -> ReliabilityCounts:
        """Of no pixel."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS))

    def plus(self, other: ReliabilityCounts) -> ReliabilityCounts:
        """Of both together."""
        return ReliabilityCounts(*(one + more for one, more in zip(self, other, strict=True)))


def count_reliability(
    truth: UInt8[np.ndarray, "h w"], predicted: UInt8[np.ndarray, "h w"], confidence: Float32[np.ndarray, "h w"]
) -> ReliabilityCounts:
    """Counts a scene; `confidence` is the probability of the class that the map gives a pixel.

    Pixels whose truth is IGNORE_INDEX count nowhere.
    """
    valid = truth != IGNORE_INDEX
    sure, right = confidence[valid].astype(np.float64), truth[valid] == predicted[valid]
    bins = np.clip(np.ceil(sure * BINS).astype(np.intp) - 1, 0, BINS - 1)
    return ReliabilityCounts(
        np.bincount(bins, minlength=BINS).astype(np.int64),
        np.bincount(bins[right], minlength=BINS).astype(np.int64),
        np.bincount(bins, sure, BINS),
    )


def expected_calibration_error(counts: ReliabilityCounts) -> float | None:
    """How far stated probability and share right lie apart, mean over pixels of their bins' distance; None: no pixel.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2 (Expected Calibration Error).
    """
    total = counts.pixels.sum()
    return float(np.abs(counts.right - counts.confidence).sum() / total) if total else None


def calibration_figures(counts: ReliabilityCounts, temperature: float) -> dict[str, Any]:
    """`calibration` as `metrics.json` holds it: fractions, None for bins without pixels."""
    return {
        "expected_calibration_error": expected_calibration_error(counts),
        "bins": [_bin(*one) for one in zip(*(column.tolist() for column in counts), strict=True)],
        "temperature": temperature,
    }


def _bin(pixels: int, right: int, confidence: float) -> dict[str, Any]:
    if not pixels:
        return {"confidence": None, "accuracy": None, "pixels": 0}
    return {"confidence": confidence / pixels, "accuracy": right / pixels, "pixels": pixels}
