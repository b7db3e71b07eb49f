"""The street net: two families of gently winding lines, and the blocks between them."""

from __future__ import annotations

from bisect import bisect
from math import atan, cos, pi, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from reliefseg.generate.looks import Look, Span
from reliefseg.generate.spectra import Spectrum

BRICK_M = 3.1
"""Only streets whose carriageway reaches less far to each side are laid with bricks, metres."""


class Pose(NamedTuple):
    """Where an object stands: metres from the scene's centre, and the angle of its long axis.

    The long axis points to (right: cos angle, down: sin angle).
    """

    down: float
    right: float
    angle: float

    def moved(self, along: float, across: float, turned: float = 0.0) -> Pose:
        """The pose so many metres along and across the long axis, turned by so many radians."""
        down = self.down + along * sin(self.angle) + across * cos(self.angle)
        right = self.right + along * cos(self.angle) - across * sin(self.angle)
        return Pose(down, right, self.angle + turned)


class Wave(NamedTuple):
    """A sideways swing of the streets: metres to each side, radians a metre, phase."""

    swing: float
    rate: float
    phase: float

    def at(self, position: float) -> float:
        """Metres to the side."""
        return self.swing * sin(self.rate * position + self.phase)

    def slope(self, position: float) -> float:
        """Metres to the side per metre onwards."""
        return self.swing * self.rate * cos(self.rate * position + self.phase)

    def over(self, positions: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
        """`at` for many positions."""
        return np.float32(self.swing) * np.sin(positions * np.float32(self.rate) + np.float32(self.phase))


class Lines(NamedTuple):
    """A family of streets side by side: where they lie, their carriageways' half widths, their pavements' widths."""

    at: tuple[float, ...]
    half: tuple[float, ...]
    pavement: tuple[float, ...]

    def reach(self, index: int) -> float:
        """From the middle of a street to the end of its pavement, metres."""
        return self.half[index] + self.pavement[index]

    def middle_of(self, position: float) -> bool:
        """Whether a position lies on a street of this family or within 4 m of one."""
        return any(abs(position - at) < half + 4 for at, half in zip(self.at, self.half, strict=True))


class StreetNet(NamedTuple):
    """Streets in their own coordinates: p along the long streets, q across them, metres.

    The straight frame (u, v) is the scene's, turned by `angle` about its centre. Long streets lie at constant
    q = v + swing(u), cross streets at constant p = u + swing(v). Where `gone` is true, a cross street has no piece
    between a long street and the next. `bricks` says how far a street is laid with bricks instead of asphalt, 0 … 1.
    """

    angle: float
    bend_p: Wave
    bend_q: Wave
    long: Lines
    cross: Lines
    tints: tuple[float, ...]
    bricks: tuple[float, ...]
    gone: Bool[np.ndarray, "cross long"]

    def place(self, p: float, q: float) -> Pose:
        """The pose at street coordinates, its long axis along the long streets."""
        u, v = p, q
        for _ in range(6):
            u, v = p - self.bend_p.at(v), q - self.bend_q.at(u)
        right = u * cos(self.angle) - v * sin(self.angle)
        down = u * sin(self.angle) + v * cos(self.angle)
        return Pose(down, right, self.angle - atan(self.bend_q.slope(u)))

    def place_across(self, p: float, q: float) -> Pose:
        """The pose at street coordinates, its long axis along the cross streets."""
        down, right, _ = self.place(p, q)
        v = cos(self.angle) * down - sin(self.angle) * right
        return Pose(down, right, self.angle + pi / 2 + atan(self.bend_p.slope(v)))

    def on_street(self, down: float, right: float) -> bool:
        """Whether a place lies on a carriageway or a pavement."""
        u, v = cos(self.angle) * right + sin(self.angle) * down, cos(self.angle) * down - sin(self.angle) * right
        p, q = u + self.bend_p.at(v), v + self.bend_q.at(u)
        i = min(max(bisect(self.cross.at, p) - 1, 0), len(self.cross.at) - 2)
        j = min(max(bisect(self.long.at, q) - 1, 0), len(self.long.at) - 2)
        if any(abs(q - self.long.at[k]) < self.long.reach(k) for k in (j, j + 1)):
            return True
        return any(abs(p - self.cross.at[k]) < self.cross.reach(k) and not self.gone[k, j] for k in (i, i + 1))

    def coordinates(
        self, down: Float32[np.ndarray, " height"], right: Float32[np.ndarray, " width"]
    ) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
        """Street coordinates p and q of every pixel."""
        turn, tilt = np.float32(cos(self.angle)), np.float32(sin(self.angle))
        u = turn * right[None, :] + tilt * down[:, None]
        v = turn * down[:, None] - tilt * right[None, :]
        return u + self.bend_p.over(v), v + self.bend_q.over(u)


class Nearest(NamedTuple):
    """For every pixel the two lines it lies between and how far it is from the nearer one."""

    interval: Shaped[np.ndarray, "height width"]
    line: Shaped[np.ndarray, "height width"]
    distance: Float32[np.ndarray, "height width"]


def nearest_line(lines: Lines, position: Float32[np.ndarray, "height width"]) -> Nearest:
    """Finds the nearer line for every position; interval i lies between lines i and i + 1."""
    at = np.array(lines.at, np.float32)
    interval = np.clip(np.searchsorted(at, position) - 1, 0, len(at) - 2).astype(np.int16)
    before, after = position - at[interval], at[interval + 1] - position
    line = interval + (after < before)
    return Nearest(interval, line, np.minimum(np.abs(before), np.abs(after)))


def draw_streets(rng: np.random.Generator, reach: float, look: Look) -> StreetNet:
    """Draws a net that covers a circle of `reach` metres, as this kind of town has it."""
    long, cross = _draw_lines(rng, reach, look, look.across), _draw_lines(rng, reach, look, look.along)
    if rng.random() < look.big_roads:
        long = _broadened(rng, long)
    half = np.array(long.half + cross.half)
    bricked = (half < BRICK_M) & (rng.random(len(half)) < rng.uniform(0, 0.9) * (rng.random() < 0.45))
    return StreetNet(
        angle=rng.uniform(0, pi),
        bend_p=_draw_wave(rng, 0.6 * look.steepest),
        bend_q=_draw_wave(rng, look.steepest),
        long=long,
        cross=cross,
        tints=tuple(rng.normal(0, 0.12, len(half)).tolist()),
        bricks=tuple((rng.uniform(0.3, 1.1, len(half)) * bricked).tolist()),
        gone=rng.random((len(cross.at), len(long.at))) < look.gone,
    )


def _draw_wave(rng: np.random.Generator, most: float) -> Wave:
    length = rng.uniform(150, 420)
    steepest = rng.uniform(0, most) * (rng.random() < 0.75)
    return Wave(steepest * length / (2 * pi), 2 * pi / length, rng.uniform(0, 2 * pi))


def _draw_lines(rng: np.random.Generator, reach: float, look: Look, apart: Span) -> Lines:
    """Lines from beyond −reach to beyond +reach; one in five is a main street, a third wider."""
    beyond = reach + 70
    position = -beyond - rng.uniform(0, apart.most)
    at = [position]
    while at[-1] < beyond:
        at.append(at[-1] + rng.uniform(*apart))
    main = rng.random(len(at)) < 0.2
    half = rng.uniform(*look.half, len(at)) * np.where(main, 1.35, 1.0)
    return Lines(tuple(at), tuple(half.tolist()), tuple(rng.uniform(*look.pavement, len(at)).tolist()))


def _broadened(rng: np.random.Generator, lines: Lines) -> Lines:
    """The lines with one near the middle made a road of four to six lanes."""
    middle = len(lines.at) // 2 + int(rng.integers(-1, 2))
    half = list(lines.half)
    half[middle] = rng.uniform(6.5, 11.0)
    return lines._replace(half=tuple(half))


def tinted(spectrum: Spectrum, tint: float) -> Spectrum:
    """A street's own shade of the scene's asphalt."""
    return Spectrum(*(value * (1 + tint) for value in spectrum))
