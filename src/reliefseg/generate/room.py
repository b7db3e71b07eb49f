"""Knows which ground is taken, so that what comes later keeps off it."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, floor, hypot, sin
from typing import NamedTuple

from reliefseg.generate.streets import Pose

CELL_M = 12.0
"""Side of the squares by which rectangles are found, metres."""


class Box(NamedTuple):
    """A rectangle of ground: its pose, half its length and width, half its diagonal, metres."""

    pose: Pose
    half_along: float
    half_across: float
    reach: float


class Room:
    """The rectangles of ground that are taken: by houses, cars, bays, walls, containers, pools, slabs."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[Box]] = {}

    def take(self, pose: Pose, length: float, width: float) -> None:
        """Takes a rectangle, metres."""
        box = _box(pose, length, width)
        for cell in _cells_of(box):
            self._cells.setdefault(cell, []).append(box)

    def free(self, pose: Pose, length: float, width: float) -> bool:
        """Whether nothing taken reaches into a rectangle, metres; touching is allowed."""
        box = _box(pose, length, width)
        return not any(overlap(box, other) for cell in _cells_of(box) for other in self._cells.get(cell, ()))


def _box(pose: Pose, length: float, width: float) -> Box:
    return Box(pose, length / 2, width / 2, hypot(length, width) / 2)


def _cells_of(box: Box) -> Iterator[tuple[int, int]]:
    """The squares that the box's upright hull touches."""
    turn, tilt = abs(cos(box.pose.angle)), abs(sin(box.pose.angle))
    down = tilt * box.half_along + turn * box.half_across
    right = turn * box.half_along + tilt * box.half_across
    for row in range(floor((box.pose.down - down) / CELL_M), floor((box.pose.down + down) / CELL_M) + 1):
        for col in range(floor((box.pose.right - right) / CELL_M), floor((box.pose.right + right) / CELL_M) + 1):
            yield row, col


def overlap(one: Box, other: Box) -> bool:
    """Whether two rectangles overlap: no side of either parts them (separating axes)."""
    down, right = other.pose.down - one.pose.down, other.pose.right - one.pose.right
    if hypot(down, right) >= one.reach + other.reach:
        return False
    turn, tilt = abs(cos(one.pose.angle - other.pose.angle)), abs(sin(one.pose.angle - other.pose.angle))
    return not (_parts(one, other, down, right, turn, tilt) or _parts(other, one, down, right, turn, tilt))


def _parts(one: Box, other: Box, down: float, right: float, turn: float, tilt: float) -> bool:
    """Whether the other box lies wholly beyond a side of the one."""
    c, s = cos(one.pose.angle), sin(one.pose.angle)
    along, across = abs(right * c + down * s), abs(down * c - right * s)
    return (
        along >= one.half_along + turn * other.half_along + tilt * other.half_across
        or across >= one.half_across + tilt * other.half_along + turn * other.half_across
    )
