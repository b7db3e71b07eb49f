"""Smooth random fields: the texture of lawns and roofs, the lie of the land."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy import ndimage


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Float32[np.ndarray, "height width"]:
    """Random numbers (mean 0, deviation about 1) that change over some `cell` pixels, alike in all directions.

    A cell of one pixel or less gives white noise. A lattice, shifted at random, is joined smoothly; that of larger
    cells is finer and smoothed first, so that it does not show.
    """
    if cell <= 1:
        return rng.standard_normal(shape, dtype=np.float32)
    if cell > 3:
        return _joined(rng, shape, cell / 2, smooth=0.85) * np.float32(3.25)
    return _joined(rng, shape, cell, smooth=0.0) * np.float32(1.35)


def _joined(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, smooth: float
) -> Float32[np.ndarray, "height width"]:
    """A lattice of normal numbers, smoothed by so many of its steps, joined between its points."""
    height, width = shape
    start = rng.random(2) * cell
    lattice = rng.standard_normal((int(height / cell) + 3, int(width / cell) + 3), dtype=np.float32)
    if smooth:
        lattice = ndimage.gaussian_filter(lattice, smooth, mode="wrap")
    below, weight = _steps(height, cell, float(start[0]))
    rows = lattice[below] * (1 - weight)[:, None] + lattice[below + 1] * weight[:, None]
    left, weight = _steps(width, cell, float(start[1]))
    return rows[:, left] * (1 - weight) + rows[:, left + 1] * weight


def _steps(count: int, cell: float, start: float) -> tuple[np.ndarray, Float32[np.ndarray, " count"]]:
    """For each pixel the lattice point before it, and how far it is on the way to the next."""
    at = (np.arange(count) + start) / cell
    below = at.astype(np.intp)
    weight = (at - below).astype(np.float32)
    return below, weight * weight * (3 - 2 * weight)
