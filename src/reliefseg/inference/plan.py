"""The plan of a scene: which windows are computed together, and what they contribute to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from reliefseg.inference.windows import Axis
from reliefseg.raster import Window

PIECE = 1024
"""Side of a piece, about, network pixels …"""
PIECE_OF_SCENE = 2048
"""… and at most about so many pixels of the scene."""


class Piece(NamedTuple):
    """Neighbouring windows that are computed, and kept on disk, together.

    `rows` and `cols` are the first window and the one after the last in each direction. `area` is what they
    contribute to, on the working grid; areas overlap as windows do. `core`, in pixels of the scene, is what the piece
    alone answers for: cores cover the scene without overlap.
    """

    number: int
    rows: tuple[int, int]
    cols: tuple[int, int]
    area: Window
    core: Window


@dataclass(frozen=True)
class Plan:
    """How a scene of `height` × `width` pixels is computed on its working grid of `rows` × `cols` network pixels.

    Everything follows from these numbers alone, so that a piece is the same wherever and whenever it is computed:
    its windows, their order, and the batches of at most `batch` they are computed in.
    """

    height: int
    width: int
    rows: int
    cols: int
    window: int
    margin: int
    batch: int

    @classmethod
    def of(cls, height: int, width: int, scale: float, *, window: int, margin: int, batch: int) -> Plan:
        """The plan at `scale` network pixels a pixel of the scene."""
        rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
        return cls(height, width, rows, cols, window, margin, batch)

    @cached_property
    def down(self) -> Axis:
        """Windows from top to bottom."""
        return Axis(self.rows, self.window, self.margin)

    @cached_property
    def across(self) -> Axis:
        """Windows from left to right."""
        return Axis(self.cols, self.window, self.margin)

    @property
    def row_step(self) -> float:
        """Pixels of the scene a network pixel, from top to bottom."""
        return self.height / self.rows

    @property
    def col_step(self) -> float:
        """Pixels of the scene a network pixel, from left to right."""
        return self.width / self.cols

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces, row by row."""
        return tuple(
            Piece(number, rows, cols, self._area(rows, cols), self._core(rows, cols))
            for number, (rows, cols) in enumerate((r, c) for r in self._groups[0] for c in self._groups[1])
        )

    @cached_property
    def _groups(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        sides = _side(self.rows, self.row_step), _side(self.cols, self.col_step)
        return self.down.groups(sides[0]), self.across.groups(sides[1])

    def windows(self, piece: Piece) -> Iterator[tuple[int, int]]:
        """The piece's windows, row by row, as their numbers downwards and across."""
        return ((i, j) for i in range(*piece.rows) for j in range(*piece.cols))

    def kept(self, i: int, j: int) -> Window:
        """What is kept of a window, on the working grid; it may reach over the scene's edge."""
        return Window(self.down.kept[i], self.across.kept[j], self.down.keep, self.across.keep)

    def weights(self, i: int, j: int) -> Float32[np.ndarray, "keep keep"]:
        """Weights of what is kept of a window; over all windows they sum to one."""
        return np.outer(self.down.weights[i], self.across.weights[j])

    def seen(self, piece: Piece) -> Window:
        """All that the piece's windows see, on the working grid; it may reach over the scene's edge."""
        first = self.kept(piece.rows[0], piece.cols[0]).expanded(self.margin)
        last = self.kept(piece.rows[1] - 1, piece.cols[1] - 1).expanded(self.margin)
        height, width = last.row + last.height - first.row, last.col + last.width - first.col
        return Window(first.row, first.col, height, width)

    def to_scene(self, window: Window) -> Window:
        """The pixels of the scene that a part of the working grid, inside it, touches."""
        top, left = int(window.row * self.row_step), int(window.col * self.col_step)
        bottom = int(np.ceil((window.row + window.height) * self.row_step))
        right = int(np.ceil((window.col + window.width) * self.col_step))
        return Window(top, left, bottom - top, right - left).clipped(self.height, self.width)

    def contributing(self, part: Window) -> list[Piece]:
        """The pieces that contribute to a part of the working grid."""
        down = _touching(self.down, self._groups[0], part.row, part.row + part.height)
        across = _touching(self.across, self._groups[1], part.col, part.col + part.width)
        return [self.pieces[i * len(self._groups[1]) + j] for i in down for j in across]

    def answering(self, window: Window) -> list[Piece]:
        """The pieces whose cores cover a window of the scene."""
        near = self.contributing(self.working(window))
        return [p for p in near if (common := p.core.shared(window)).height and common.width]

    def working(self, window: Window) -> Window:
        """The part of the working grid that a window of the scene touches."""
        top, left = int(window.row / self.row_step), int(window.col / self.col_step)
        bottom = int(np.ceil((window.row + window.height) / self.row_step))
        right = int(np.ceil((window.col + window.width) / self.col_step))
        return Window(top, left, bottom - top, right - left).expanded(1).clipped(self.rows, self.cols)

    def _area(self, rows: tuple[int, int], cols: tuple[int, int]) -> Window:
        (top, bottom), (left, right) = self.down.reach(*rows), self.across.reach(*cols)
        return Window(top, left, bottom - top, right - left)

    def _core(self, rows: tuple[int, int], cols: tuple[int, int]) -> Window:
        top, bottom = (round(self.down.cut(i) * self.row_step) for i in rows)
        left, right = (round(self.across.cut(j) * self.col_step) for j in cols)
        return Window(top, left, bottom - top, right - left)


def _touching(axis: Axis, groups: list[tuple[int, int]], first: int, last: int) -> list[int]:
    reaches = [axis.reach(*group) for group in groups]
    return [i for i, (start, stop) in enumerate(reaches) if start < last and first < stop]


def _side(extent: int, step: float) -> int:
    """A piece's side; small scenes are halved, so that one piece is read or written while another is computed."""
    return max(1, round(min(PIECE, PIECE_OF_SCENE / step, extent / 2)))
