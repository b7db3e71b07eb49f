"""How a scene is covered by overlapping windows, and how what a network sees in them becomes one map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64

from reliefseg.raster import Window
from reliefseg.raster.spread import Spread


@runtime_checkable
class Planes(Protocol):
    """What windows show, by the windows' numbers: in a list, or on disk."""

    def __getitem__(self, index: int, /) -> Float32[np.ndarray, "side side"]: ...


@dataclass(frozen=True)
class Plan:
    """Windows of one size in rows and columns, spread evenly over a scene, overlapping by `overlap` or more.

    Windows are numbered row by row.

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
    def _down(self) -> Spread:
        return Spread(self.height, self.window, self.overlap)

    @cached_property
    def _across(self) -> Spread:
        return Spread(self.width, self.window, self.overlap)

    @property
    def rows(self) -> tuple[int, ...]:
        """First row of every row of windows."""
        return self._down.starts

    @property
    def cols(self) -> tuple[int, ...]:
        """First column of every column of windows."""
        return self._across.starts

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def __getitem__(self, index: int) -> Window:
        row, col = divmod(index, len(self.cols))
        return Window(self.rows[row], self.cols[col], self.window, self.window)

    def inner(self, window: Window) -> Window:
        """The part of a window that lies in the scene."""
        return window.clipped(self.height, self.width)

    def touching(self, part: Window) -> list[int]:
        """Numbers of the windows that have pixels in a part of the scene."""
        rows = self._down.touching(part.row, part.height)
        cols = self._across.touching(part.col, part.width)
        return [row * len(self.cols) + col for row in rows for col in cols]

    def neighbours(self) -> Iterator[tuple[int, int, Window]]:
        """Windows beside and below each other: their numbers, and the pixels of the scene they share."""
        for index in range(len(self)):
            row, col = divmod(index, len(self.cols))
            for r, c in ((row, col + 1), (row + 1, col)):
                if r < len(self.rows) and c < len(self.cols):
                    other = r * len(self.cols) + c
                    yield index, other, self.inner(self[index]).shared(self.inner(self[other]))

    def weights(self, index: int, part: Window) -> Float32[np.ndarray, "height width"]:
        """Weights of a part of a window, seen from the window's corner; over all windows they sum to one.

        1 where a window is alone, falling smoothly to nearly 0 towards its border over `overlap` pixels.
        """
        row, col = divmod(index, len(self.cols))
        rows, cols = part.slices
        return np.outer(self._down.weights[row][rows], self._across.weights[col][cols]).astype(np.float32)


@dataclass(frozen=True)
class Mosaic:
    """Windows of a plan as one map without seams. `planes` are what the windows show, row by row of windows.

    A plane may be smaller than its window; it is enlarged (bilinear). Window i is taken as `scales[i]` times its
    plane plus `shifts[i]`. Any part can be read, in memory of that part and one window.
    """

    plan: Plan
    planes: Planes
    scales: Float64[np.ndarray, " windows"]
    shifts: Float64[np.ndarray, " windows"]

    @classmethod
    def as_they_are(cls, plan: Plan, planes: Planes) -> Mosaic:
        """Windows that agree with each other, because they know metres."""
        return cls(plan, planes, np.ones(len(plan)), np.zeros(len(plan)))

    def read(self, part: Window) -> Float32[np.ndarray, "height width"]:
        """The map in a part of the scene."""
        total = np.zeros((part.height, part.width), np.float32)
        for index in self.plan.touching(part):
            window = self.plan[index]
            common = part.shared(self.plan.inner(window))
            there = common.shifted(-window.row, -window.col)
            seen = enlarged(self.planes[index], self.plan.window, there)
            seen = seen * np.float32(self.scales[index]) + np.float32(self.shifts[index])
            total[common.shifted(-part.row, -part.col).slices] += self.plan.weights(index, there) * seen
        return total


def enlarged(plane: Float32[np.ndarray, "side side"], size: int, part: Window) -> Float32[np.ndarray, "height width"]:
    """A part of a plane that is enlarged to `size` pixels a side: linear between the centres of its pixels."""
    side = len(plane)
    if side == size:
        return plane[part.slices]
    (top, bottom, down), (left, right, along) = (_between(s, side / size, side) for s in part.slices)
    rows = plane[top] + (plane[bottom] - plane[top]) * down[:, None]
    return rows[:, left] + (rows[:, right] - rows[:, left]) * along


def _between(places: slice, step: float, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each place the pixel before it, the one behind it, and how far it lies between them."""
    at = np.clip((np.arange(places.start, places.stop) + 0.5) * step - 0.5, 0, side - 1)
    before = np.minimum(at.astype(int), side - 1)
    return before, np.minimum(before + 1, side - 1), (at - before).astype(np.float32)
