"""Smooth random fields: the texture of lawns and roofs, the lie of the land."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Float32[np.ndarray, "height width"]:
    """Random numbers (mean 0, deviation about 1) on a lattice of `cell` pixels, joined smoothly.

    A cell of one pixel or less gives white noise. The lattice is shifted at random.
    """
    if cell <= 1:
        return rng.standard_normal(shape, dtype=np.float32)
    height, width = shape
    start = rng.random(2) * cell
    lattice = rng.standard_normal((int(height / cell) + 3, int(width / cell) + 3), dtype=np.float32)
    below, weight = _steps(height, cell, float(start[0]))
    rows = lattice[below] * (1 - weight)[:, None] + lattice[below + 1] * weight[:, None]
    left, weight = _steps(width, cell, float(start[1]))
    field = rows[:, left] * (1 - weight) + rows[:, left + 1] * weight
    return field * np.float32(1.35)  # joining takes away about a quarter of the deviation


def _steps(count: int, cell: float, start: float) -> tuple[np.ndarray, Float32[np.ndarray, " count"]]:
    """For each pixel the lattice point before it, and how far it is on the way to the next."""
    at = (np.arange(count) + start) / cell
    below = at.astype(np.intp)
    weight = (at - below).astype(np.float32)
    return below, weight * weight * (3 - 2 * weight)
