"""Scale and shift of one window of relative depth, from its overlap with what is already known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

SCALE_LIMIT = 5.0
"""No window is stretched or shrunk by more than this."""
SAMPLE = 20_000
"""Pixels of an overlap that are looked at."""
TRIMMED_PERCENTILES = (2.0, 98.0)
"""Values outside are drawn to these percentiles before anything is fitted."""


def align(
    seen: Float32[np.ndarray, "height width"],
    there: Float32[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
) -> Float32[np.ndarray, "height width"]:
    """`seen` scaled and shifted to agree with `there` where that is `known`.

    The scale is the ratio of both spreads, which treats the two alike and so does not shrink with noise as least
    squares would. As an exponent it has the correlation of both: an overlap that says nothing (flat, or unlike)
    leaves the scale at 1. The shift is the median of what then differs.
    """
    every = max(1, known.sum() // SAMPLE)
    new, old = seen[known][::every].astype(np.float64), there[known][::every].astype(np.float64)
    scale = _scale(_trimmed(new), _trimmed(old))
    shift = np.median(old - scale * new)
    return (scale * seen + shift).astype(np.float32)


def _scale(new: np.ndarray, old: np.ndarray) -> float:
    spread_new, spread_old = float(new.std()), float(old.std())
    if not (spread_new > _noise(new) and spread_old > _noise(old)):
        return 1.0
    agreement = ((new - new.mean()) * (old - old.mean())).mean() / (spread_new * spread_old)
    limit = np.log(SCALE_LIMIT)
    exponent = np.clip(max(0.0, agreement) * np.log(spread_old / spread_new), -limit, limit)
    return float(np.exp(exponent))


def _noise(values: np.ndarray) -> float:
    """A spread below this is rounding of float32, not relief."""
    return 1e-6 * float(np.abs(values).max(initial=0.0))


def _trimmed(values: np.ndarray) -> np.ndarray:
    return np.clip(values, *np.percentile(values, TRIMMED_PERCENTILES))
