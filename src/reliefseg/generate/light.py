"""Light: the shadows that heights cast, the shading of slopes, the dimness beside walls."""

from __future__ import annotations

from math import atan2, cos, hypot, radians, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from reliefseg.generate.canvas import Canvas
from reliefseg.generate.character import Sun
from reliefseg.generate.streets import Pose

SKYLIGHT = {"nir": 0.13, "red": 0.17, "green": 0.21, "blue": 0.27}
"""Share of the light on level ground that comes from the sky, not the sun: what is left in shadow."""
REACH_M = 2.5
"""How far what stands beside a pixel takes sky away from it, about, metres."""
WALL = 3.0
"""A slope steeper than this (metres up per metre) is a wall, which a view from straight above does not see."""


TRUNK = 0.07
"""Half a trunk's width, relative to the crown's radius."""


class Ball(NamedTuple):
    """An upright ellipsoid of leaves that floats above the ground, metres.

    Its middle is `down` and `right` of the scene's and at `elevation` above sea level, `foot` is the elevation of the
    ground below. A ray through its middle keeps exp(−2 `density`) of its light.
    """

    down: float
    right: float
    elevation: float
    radius: float
    half_height: float
    foot: float
    density: float


def overshadowed(
    solid: Float32[np.ndarray, "height width"], surface: Float32[np.ndarray, "height width"], gsd: float, sun: Sun
) -> Float32[np.ndarray, "height width"]:
    """How many metres of each pixel of `surface` lie in the shadow of `solid`, which reaches down to the ground.

    0 in the sun, at the foot of a sunless wall its whole height. `solid` is sheared so that rays run down its rows; one
    running maximum then finds, for every pixel, the highest ray that anything nearer the sun stops. Exact to half a
    pixel at any length of shadow.
    """
    if abs(sun.down) < abs(sun.right):
        turned = Sun(90 - sun.azimuth - 180, sun.elevation)  # rows and columns change places
        return overshadowed(np.ascontiguousarray(solid.T), np.ascontiguousarray(surface.T), gsd, turned).T
    if sun.down < 0:
        return overshadowed(solid[::-1], surface[::-1], gsd, Sun(180 - sun.azimuth, sun.elevation))[::-1]
    shifts = np.rint(np.arange(len(surface)) * (sun.right / sun.down)).astype(int)
    shifts -= shifts.min()
    climb = np.float32(gsd * sun.rise / sun.down) * np.arange(len(surface), dtype=np.float32)[:, None]
    rays = _sheared(solid - climb, shifts)
    horizon = np.maximum.accumulate(rays[::-1], axis=0)[::-1]
    return np.maximum(0, _unsheared(horizon, shifts, surface.shape[1]) + climb - surface)


def sunlit(shadow_m: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """How much of the sun each pixel sees, 0 … 1: shadows have an edge of 0.25 m in height."""
    return 1 - np.minimum(shadow_m / np.float32(0.25), 1)


def through_crowns(
    canvas: Canvas, balls: list[Ball], grain: Float32[np.ndarray, "height width"], sun: Sun
) -> Float32[np.ndarray, "height width"]:
    """The share of sunlight that crowns let through to each pixel; below and beside them there is sun again."""
    light = np.ones(canvas.shape, np.float32)
    frayed = 1 + np.float32(0.2) * np.clip(grain, -0.7, 2)
    for ball in balls:
        _dim(light, canvas, ball, frayed, sun)
    return light


def _dim(light: np.ndarray, canvas: Canvas, ball: Ball, frayed: np.ndarray, sun: Sun) -> None:
    """Dims what lies in one ball's shadow: less at its edge, unevenly, by the way a ray has through its leaves.

    In the ball's own measure, where it is a sphere of radius 1, a ray's way through it is a chord. Below it stands a
    trunk.
    """
    radius, half = ball.radius, ball.half_height
    far = (ball.elevation - ball.foot) * 1.15 / sun.rise + hypot(radius, half / sun.rise)
    pose = Pose(ball.down, ball.right, atan2(sun.down, sun.right)).moved((radius - far) / 2, 0)
    stencil = canvas.stencil(pose, (radius + far) / 2, radius)
    if stencil is None:
        return
    along = (stencil.along + np.float32((radius - far) / 2)) / np.float32(radius)
    across = stencil.across / np.float32(radius)
    up = (canvas.surface[stencil.at] - np.float32(ball.elevation)) / np.float32(half)
    steep = hypot(1 / radius, sun.rise / half)
    onwards = along * np.float32(1 / radius / steep) + up * np.float32(sun.rise / half / steep)
    aside = along * along + across * across + up * up - onwards * onwards
    aside *= frayed[stencil.at]
    chord = np.sqrt(np.maximum(0, 1 - aside))
    light[stencil.at] *= np.exp(np.float32(-ball.density) * np.clip(chord - onwards, 0, 2 * chord))
    below = up * np.float32(half) < along * np.float32(radius * sun.rise)
    light[stencil.at][below & (along < 0) & (np.abs(across) < TRUNK)] *= np.float32(0.3)


def _sheared(plane: Float32[np.ndarray, "height width"], shifts: np.ndarray) -> Float32[np.ndarray, "height wider"]:
    """Each row moved left by its shift, in a frame wide enough; what is unknown is as low as can be."""
    most = int(shifts.max())
    out = np.full((plane.shape[0], plane.shape[1] + most), -np.inf, np.float32)
    for row, shift in enumerate(shifts.tolist()):
        out[row, most - shift : most - shift + plane.shape[1]] = plane[row]
    return out


def _unsheared(
    plane: Float32[np.ndarray, "height wider"], shifts: np.ndarray, width: int
) -> Float32[np.ndarray, "height width"]:
    most = int(shifts.max())
    return np.stack([plane[row, most - s : most - s + width] for row, s in enumerate(shifts.tolist())])


def incidence(
    surface: Float32[np.ndarray, "height width"], gsd: float, sun: Sun
) -> Float32[np.ndarray, "height width"]:
    """Sunlight on each pixel's slope, relative to level ground (1); 0 on slopes turned away. Walls count as level."""
    down, right = (_slope(surface, gsd, axis) for axis in (0, 1))
    level = cos(radians(sun.elevation)) / sin(radians(sun.elevation))
    facing = 1 - np.float32(level) * (down * np.float32(sun.down) + right * np.float32(sun.right))
    return np.maximum(0, facing) / np.sqrt(1 + down * down + right * right)


def _slope(surface: Float32[np.ndarray, "height width"], gsd: float, axis: int) -> Float32[np.ndarray, "height width"]:
    """Metres up per metre along an axis, the gentler of the two sides of each pixel; 0 on steps, ridges and ledges.

    Beside a wall the other side counts: a roof's face is lit alike up to its edge, whichever way its edge runs.
    """
    steps = np.diff(surface, axis=axis) / np.float32(gsd)
    before = np.concatenate([steps.take([0], axis), steps], axis)
    after = np.concatenate([steps, steps.take([-1], axis)], axis)
    walled = np.abs(before) > WALL
    np.copyto(before, after, where=walled)
    np.copyto(after, before, where=np.abs(after) > WALL)
    gentler = np.maximum(0, np.minimum(before, after)) + np.minimum(0, np.maximum(before, after))
    gentler[np.abs(gentler) > WALL] = 0
    return np.clip(gentler, -1.6, 1.6)


def openness(surface: Float32[np.ndarray, "height width"], gsd: float) -> Float32[np.ndarray, "height width"]:
    """How much of the sky each pixel sees, 0.4 … 1: less beside what is higher within some `REACH_M`."""
    step = max(1, round(0.4 / gsd))
    coarse = surface[::step, ::step]
    around = ndimage.gaussian_filter(coarse, REACH_M / (step * gsd), truncate=2.5)
    rows = np.minimum(np.arange(surface.shape[0]) // step, coarse.shape[0] - 1)
    cols = np.minimum(np.arange(surface.shape[1]) // step, coarse.shape[1] - 1)
    above = around[rows][:, cols] - surface
    return np.exp(-np.clip(above, 0, 6) * np.float32(0.16)).astype(np.float32)
