"""How a scene is covered by overlapping windows, and how what a network sees in them becomes one map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64

from reliefseg.depth.alignment import align
from reliefseg.raster import Window


@dataclass(frozen=True)
class Plan:
    """Windows of one size in a grid of rows and columns, spread evenly over a scene, overlapping by `overlap` or more.

    All lie inside the scene, except that a scene smaller than the window gets one that reaches over its edges,
    equally on both sides. `window` and `overlap` are pixels; `overlap` is at most half of `window`.
    """

    height: int
    width: int
    window: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= self.window // 2:
            raise ValueError(f"overlap {self.overlap}: expected 1 … {self.window // 2}, half of the window")

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """First row of every row of windows."""
        return _starts(self.height, self.window, self.overlap)

    @cached_property
    def cols(self) -> tuple[int, ...]:
        """First column of every column of windows."""
        return _starts(self.width, self.window, self.overlap)

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def windows(self) -> Iterator[Window]:
        """All windows, row by row."""
        for row in self.rows:
            for col in self.cols:
                yield Window(row, col, self.window, self.window)

    def inner(self, window: Window) -> Window:
        """The part of a window that lies in the scene."""
        return window.clipped(self.height, self.width)

    def weights(self, window: Window) -> Float32[np.ndarray, "height width"]:
        """Weights of the part of a window in the scene; over all windows they sum to one at every pixel.

        1 where a window is alone, falling smoothly to nearly 0 towards its border over `overlap` pixels.
        """
        inner = self.inner(window)
        down = self._row_weights[self.rows.index(window.row)][inner.row - window.row :][: inner.height]
        along = self._col_weights[self.cols.index(window.col)][inner.col - window.col :][: inner.width]
        return np.outer(down, along).astype(np.float32)

    @cached_property
    def _row_weights(self) -> Float64[np.ndarray, "rows window"]:
        return _shares(self.rows, self.window, self.overlap)

    @cached_property
    def _col_weights(self) -> Float64[np.ndarray, "cols window"]:
        return _shares(self.cols, self.window, self.overlap)


def blend(
    plan: Plan, look: Callable[[Window], Float32[np.ndarray, "window window"]]
) -> Float32[np.ndarray, "height width"]:
    """One map of relative depth from what `look` sees in each window, without seams.

    Each window is known only up to scale and shift. The first stays as it is; each further one is first brought in
    line with what is already there where they overlap (`align`), then blended in by `Plan.weights`. Errors of that
    can add up over many windows; one fit over all overlaps comes with the issue on relief. Memory: two float32 maps.
    """
    total = np.zeros((plan.height, plan.width), np.float32)
    covered = np.zeros_like(total)
    for window in plan.windows():
        inner, weights = plan.inner(window), plan.weights(window)
        seen = look(window)[inner.shifted(-window.row, -window.col).slices]
        there, share = total[inner.slices], covered[inner.slices]
        known = share > 1e-6
        if known.any():
            seen = align(seen, there / np.where(known, share, 1), known)
        there += weights * seen
        share += weights
    return total / covered


def _starts(extent: int, window: int, overlap: int) -> tuple[int, ...]:
    if extent <= window:
        return ((extent - window) // 2,)
    count = 1 + -(-(extent - window) // (window - overlap))
    return tuple(int(place) for place in np.linspace(0, extent - window, count))


def _shares(starts: tuple[int, ...], window: int, overlap: int) -> Float64[np.ndarray, "windows window"]:
    """Weights along one axis: squared sines over the overlap, divided by their sum over all windows."""
    distance = np.minimum(np.arange(window), np.arange(window)[::-1]) + 0.5
    ramp = np.sin(np.clip(distance / overlap, 0, 1) * np.pi / 2) ** 2
    total = np.zeros(starts[-1] - starts[0] + window)
    for start in starts:
        total[start - starts[0] :][:window] += ramp
    return np.stack([ramp / total[start - starts[0] :][:window] for start in starts])
