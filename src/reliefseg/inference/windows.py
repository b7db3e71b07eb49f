"""How a scene is covered by windows, and how overlapping probabilities are blended."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32

from reliefseg.raster import Window


def starts(extent: int, window: int, margin: int) -> list[int]:
    """First rows (or columns) of windows whose kept parts, the window less its margins, cover 0 … extent.

    Windows reach over the edge by the margin, so that the scene's own edge is kept too; they are spread evenly.
    """
    keep = window - 2 * margin
    if keep <= 0:
        raise ValueError(f"margin {margin} leaves nothing of a window of {window}; at most {(window - 1) // 2}")
    if extent <= keep:
        return [(extent - window) // 2]
    overlap = keep // 4
    count = -(-(extent - overlap) // (keep - overlap))
    places = np.linspace(0, extent - keep, count)
    return [int(p) - margin for p in places]


def windows(height: int, width: int, window: int, margin: int) -> list[Window]:
    """Windows covering a scene of this size, row by row."""
    cols = starts(width, window, margin)
    return [Window(row, col, window, window) for row in starts(height, window, margin) for col in cols]


@lru_cache(maxsize=8)
def blending_weights(window: int, margin: int) -> Float32[np.ndarray, "window window"]:
    """Weight of every pixel of a window: 0 in the margin, rising smoothly over a quarter of what is kept.

    Weights are divided by their sum where windows overlap. Source: overlap-tile, Ronneberger et al. 2015, fig. 2.
    """
    keep = window - 2 * margin
    ramp = max(1, keep // 4)
    distance = np.minimum(np.arange(keep) + 0.5, keep - np.arange(keep) - 0.5)
    line = np.sin(np.clip(distance / ramp, 0, 1) * np.pi / 2) ** 2
    line = np.pad(np.maximum(line, 1e-3), margin)
    return np.outer(line, line).astype(np.float32)
