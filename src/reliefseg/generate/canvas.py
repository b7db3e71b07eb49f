"""The pixels a town is drawn on: what each shows, how high it is, what colour it has."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, floor, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from reliefseg.generate.spectra import BANDS, Material, Spectrum
from reliefseg.generate.streets import Pose


class Stencil(NamedTuple):
    """The pixels about an object and where they lie in its own frame, metres along and across its long axis."""

    rows: slice
    cols: slice
    along: Float32[np.ndarray, "height width"]
    across: Float32[np.ndarray, "height width"]

    @property
    def at(self) -> tuple[slice, slice]:
        """To index a plane with."""
        return self.rows, self.cols


@dataclass(frozen=True)
class Canvas:
    """Planes that objects are drawn into; its centre is the scene's, its size the scene's and a margin.

    `ground` and `surface` are metres above sea level, `albedo` the share of light thrown back in `bands`.
    """

    gsd: float
    bands: tuple[str, ...]
    ground: Float32[np.ndarray, "height width"]
    surface: Float32[np.ndarray, "height width"]
    material: UInt8[np.ndarray, "height width"]
    albedo: Float32[np.ndarray, "bands height width"]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.ground.shape[0], self.ground.shape[1]

    def metres(self) -> tuple[Float32[np.ndarray, " height"], Float32[np.ndarray, " width"]]:
        """Metres from the centre of each row and of each column."""
        height, width = self.shape
        down = (np.arange(height, dtype=np.float32) + np.float32(0.5 - height / 2)) * np.float32(self.gsd)
        right = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) * np.float32(self.gsd)
        return down, right

    def pixel(self, down: float, right: float) -> tuple[int, int]:
        """The pixel at a place, the nearest one for places outside."""
        height, width = self.shape
        row, col = floor(down / self.gsd + height / 2), floor(right / self.gsd + width / 2)
        return min(max(row, 0), height - 1), min(max(col, 0), width - 1)

    def holds(self, down: float, right: float) -> bool:
        """Whether a place lies on the canvas."""
        height, width = self.shape
        return abs(down) < height * self.gsd / 2 and abs(right) < width * self.gsd / 2

    def stencil(self, pose: Pose, half_along: float, half_across: float) -> Stencil | None:
        """The pixels of a rectangle about a pose and a pixel more; None where it lies outside."""
        height, width = self.shape
        turn, tilt = cos(pose.angle), sin(pose.angle)
        reach_down = (abs(tilt) * half_along + abs(turn) * half_across) / self.gsd + 1
        reach_right = (abs(turn) * half_along + abs(tilt) * half_across) / self.gsd + 1
        row, col = pose.down / self.gsd + height / 2, pose.right / self.gsd + width / 2
        rows = slice(max(0, floor(row - reach_down)), min(height, ceil(row + reach_down)))
        cols = slice(max(0, floor(col - reach_right)), min(width, ceil(col + reach_right)))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        down = ((np.arange(rows.start, rows.stop) + 0.5 - row) * self.gsd).astype(np.float32)[:, None]
        right = ((np.arange(cols.start, cols.stop) + 0.5 - col) * self.gsd).astype(np.float32)[None, :]
        turn32, tilt32 = np.float32(turn), np.float32(tilt)
        return Stencil(rows, cols, turn32 * right + tilt32 * down, turn32 * down - tilt32 * right)

    def paint(
        self,
        stencil: Stencil,
        where: Bool[np.ndarray, "height width"],
        material: Material,
        spectrum: Spectrum,
        shade: Float32[np.ndarray, "height width"] | None = None,
        hidden: Float32[np.ndarray, "height width"] | None = None,
    ) -> None:
        """Gives pixels a material and a colour, times `shade` where there is one.

        `hidden` is how much of what was there no longer shows, 0 … 1; by default all.
        """
        self.material[stencil.at][where] = material
        for plane, value in zip(self.albedo, self.pick(spectrum), strict=True):
            there = plane[stencil.at]
            colour = value if shade is None else value * shade[where]
            there[where] = colour if hidden is None else colour + (there[where] - colour) * (1 - hidden[where])

    def lift(
        self,
        stencil: Stencil,
        where: Bool[np.ndarray, "height width"],
        elevation: Float32[np.ndarray, "height width"],
    ) -> None:
        """Puts the surface of pixels at an elevation, metres above sea level."""
        np.copyto(self.surface[stencil.at], elevation, where=where)

    def pick(self, spectrum: Spectrum) -> list[np.float32]:
        """A spectrum's values in the canvas's bands."""
        return [np.float32(spectrum[BANDS.index(band)]) for band in self.bands]


def blank_canvas(ground: Float32[np.ndarray, "height width"], gsd: float, bands: tuple[str, ...]) -> Canvas:
    """Bare ground."""
    albedo = np.zeros((len(bands), *ground.shape), np.float32)
    return Canvas(gsd, bands, ground, ground.copy(), np.full(ground.shape, Material.LAWN, np.uint8), albedo)
